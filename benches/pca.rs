//! `CovariancePca` on 20,000 feature vectors, beside `benches/peers/pca.py`.
//!
//! `cargo bench --features rayon --bench pca`
use core::time::Duration;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows, Scaling, SketchPca};

const ROWS: usize = 20_000;
const BATCH: usize = 1_000;

/// The rows of the peers' script: triangular noise, the hardest spectrum.
fn rows(columns: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..ROWS * columns).map(|_| next() + next()).collect()
}

fn moments(data: &[f32], columns: usize) -> CovariancePca {
    let mut pca = CovariancePca::new(columns).expect("columns");
    for batch in data.chunks(BATCH * columns) {
        pca.partial_fit(Rows::new(batch, columns).expect("rows")).expect("finite rows");
    }
    pca
}

fn pca(c: &mut Criterion) {
    let mut group = c.benchmark_group("pca");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for columns in [1280, 2048] {
        let data = rows(columns);
        let all = Rows::new(&data, columns).expect("rows");
        group.bench_function(BenchmarkId::new("exact to 50", columns), |b| {
            b.iter(|| moments(&data, columns).fit(Keep::Count(50)).expect("a fit"));
        });
        let state = moments(&data, columns);
        group.bench_function(BenchmarkId::new("fit to 50, scaled", columns), |b| {
            b.iter(|| state.fit_scaled(Keep::Count(50), Scaling::Standard).expect("a fit"));
        });
        group.bench_function(BenchmarkId::new("merge", columns), |b| {
            let mut sum = state.clone();
            b.iter(|| sum.merge(&state).expect("the same columns"));
        });
        let projection = state.fit(Keep::Count(50)).expect("a fit");
        let mut out = vec![0.0; ROWS * 50];
        group.bench_function(BenchmarkId::new("transform", columns), |b| {
            b.iter(|| projection.transform_into(all, &mut out).expect("finite rows"));
        });
        group.bench_function(BenchmarkId::new("sketch of 64", columns), |b| {
            b.iter(|| {
                let mut sketch = SketchPca::new(columns, 64).expect("a sketch");
                sketch.partial_fit(all).expect("finite rows");
                sketch.fit(Keep::Count(50)).expect("a fit")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pca);
criterion_main!(benches);

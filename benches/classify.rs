//! Heads on components: 131 classes, 50 columns, as the model in the box has them.
//!
//! `cargo bench --bench classify`
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fruitcore::classify::softmax::SoftmaxFit;
use fruitcore::classify::{CentroidFit, Head, Metric, Neighbors, Reads, Weighting};
use fruitcore::pca::Rows;
use std::hint::black_box;

const COLUMNS: usize = 50;
const CLASSES: usize = 131;
/// Rows to learn from.
const REFERENCES: usize = 10_000;
/// Rows to answer.
const ROWS: usize = 1_000;

/// Rows around one centre a class, and the class of each.
fn rows(count: usize, seed: u64) -> (Vec<f32>, Vec<u32>) {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let labels: Vec<u32> = (0..count).map(|i| (i % CLASSES) as u32).collect();
    let centre = |label: u32, column: usize| ((label as usize * 37 + column * 11) % 17) as f32 / 8.0;
    let values = labels.iter().flat_map(|&l| (0..COLUMNS).map(move |c| (l, c)));
    (values.map(|(l, c)| centre(l, c) + next()).collect(), labels)
}

fn classify(c: &mut Criterion) {
    let (known, labels) = rows(REFERENCES, 1);
    let (asked, _) = rows(ROWS, 2);
    let all = Rows::new(&known, COLUMNS).expect("rows");
    let classes: Vec<String> = (0..CLASSES).map(|i| format!("class {i:03}")).collect();
    let names: Vec<&str> = labels.iter().map(|&l| classes[l as usize].as_str()).collect();

    let mut group = c.benchmark_group("classify");
    group.sample_size(20).throughput(Throughput::Elements(REFERENCES as u64));
    let centroids = || {
        let mut fit = CentroidFit::new(COLUMNS).expect("columns");
        fit.partial_fit(all, &names).expect("a fit");
        fit.finish().expect("classes")
    };
    group.bench_function("centroid fit", |b| b.iter(centroids));
    let regression = || {
        let fit = SoftmaxFit::new(COLUMNS, classes.clone()).expect("classes").max_iterations(10);
        fit.fit(|visit| visit(all, &labels)).expect("a fit").0
    };
    group.bench_function("softmax fit, 10 iterations", |b| b.iter(regression));

    group.throughput(Throughput::Elements(ROWS as u64));
    let nearest = centroids();
    group.bench_function("centroid predict", |b| {
        b.iter(|| {
            asked.chunks(COLUMNS).map(|row| nearest.predict(black_box(row)).expect("a row").0).sum::<usize>()
        });
    });
    let softmax = regression();
    let mut scratch = vec![0.0; CLASSES];
    group.bench_function("softmax predict", |b| {
        b.iter(|| {
            let class = |row| softmax.predict(black_box(row), &mut scratch).expect("a row").0;
            asked.chunks(COLUMNS).map(class).sum::<usize>()
        });
    });
    for metric in [Metric::Euclidean, Metric::Cosine] {
        let (known, labels) = (known.clone(), labels.clone());
        let neighbors = Neighbors::from_parts(classes.clone(), known, labels, 5, metric, Weighting::Uniform);
        let neighbors = neighbors.expect("neighbours");
        let mut shares = vec![0.0; CLASSES];
        group.bench_function(format!("k-NN of {REFERENCES}, {metric:?}"), |b| {
            b.iter(|| {
                for row in asked.chunks(COLUMNS) {
                    neighbors.probabilities(black_box(row), &mut shares).expect("a row");
                }
            });
        });
    }
    let head = Head::new("fruit", Reads::Components, softmax).expect("a head");
    let mut probabilities = vec![0.0; ROWS * CLASSES];
    group.bench_function("head of softmax, all rows at once", |b| {
        let rows = Rows::new(&asked, COLUMNS).expect("rows");
        b.iter(|| head.probabilities_of(rows, black_box(&mut probabilities)).expect("rows"));
    });
    group.finish();
}

criterion_group!(benches, classify);
criterion_main!(benches);

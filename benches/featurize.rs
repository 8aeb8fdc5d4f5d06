//! Each network at 224×224 on Burn's CPU device, one picture and sixteen.
//!
//! `cargo bench --bench featurize`
use burn::tensor::{Device, Tensor};
use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fruitcore::Featurizer;
use fruitcore::featurize::NetworkFeaturizer;
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::RandomWeights;

fn featurize(c: &mut Criterion) {
    let device = Device::default();
    let mut group = c.benchmark_group("featurize");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for &kind in NetworkKind::ALL {
        let graph = NetworkSpec::new(kind).graph().expect("a network");
        let net = NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 1), &device).expect("weights");
        for n in [1, 16] {
            let pictures = Tensor::<4>::ones([n, 3, 224, 224], &device);
            group.throughput(Throughput::Elements(n as u64));
            group.bench_with_input(BenchmarkId::new(kind.name(), n), &pictures, |b, pictures| {
                // Reading the features back makes every device finish its work.
                b.iter(|| net.featurize(pictures.clone()).expect("features").into_data());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, featurize);
criterion_main!(benches);

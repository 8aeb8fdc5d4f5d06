//! Loading a checkpoint of ResNet50: directory, every tensor, no network.
//!
//! `cargo bench --bench weights`
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::{Checkpoint, RandomWeights, WeightSource};
use safetensors::tensor::{Dtype, TensorView};

fn load(c: &mut Criterion) {
    let graph = NetworkSpec::new(NetworkKind::Resnet50).graph().expect("a network");
    let parameters = graph.parameters();
    let random = RandomWeights::new(&graph, 1);
    let tensors: Vec<(&str, &[usize], Vec<u8>)> = parameters
        .iter()
        .map(|(name, shape)| {
            let values = random.tensor(name, shape).expect("a tensor");
            (name.as_str(), shape.as_slice(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("a view"))
    });
    let file = safetensors::serialize(views, None).expect("a file");

    let mut group = c.benchmark_group("weights");
    group.sample_size(20).throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("resnet50 safetensors", |b| {
        b.iter(|| {
            let checkpoint = Checkpoint::from_bytes(file.as_slice()).expect("a checkpoint");
            let read = |(name, shape): &(String, Vec<usize>)| {
                checkpoint.tensor(name, shape).expect("a tensor").len()
            };
            parameters.iter().map(read).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, load);
criterion_main!(benches);

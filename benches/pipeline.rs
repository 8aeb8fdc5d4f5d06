//! A fitted artifact: reading its directory, loading it, and one frame through it.
//!
//! `cargo bench --bench pipeline`
use burn::tensor::Device;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fruitcore::classify::{CentroidFit, Head, Reads};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::RandomWeights;
use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows, Scaling};
use fruitcore::pipeline::{Pipeline, PipelineFile, Storage};
use fruitcore::preprocess::Preset;
use fruitcore::{Frame, PixelFormat};
use std::hint::black_box;

const COLUMNS: usize = 1280;

/// The model in the box by its sizes: MobileNetV2 0.35 at 160×160, 50 components, 131 classes.
fn artifact() -> Vec<u8> {
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(160, 160);
    let weights = RandomWeights::new(&spec.graph().expect("a network"), 1);
    let rows: Vec<f32> = (0..200 * COLUMNS).map(|i| (i * i % 251) as f32).collect();
    let mut pca = CovariancePca::new(COLUMNS).expect("columns");
    pca.partial_fit(Rows::new(&rows, COLUMNS).expect("rows")).expect("finite rows");
    let projection = pca.fit_scaled(Keep::Count(50), Scaling::Standard).expect("a fit");

    let mut centroids = CentroidFit::new(50).expect("columns");
    let names: Vec<String> = (0..131).map(|i| format!("class {i:03}")).collect();
    let centres: Vec<f32> = (0..131 * 50).map(|i| (i * i % 13) as f32).collect();
    centroids.partial_fit(Rows::new(&centres, 50).expect("rows"), &names).expect("finite rows");
    let centroids = centroids.finish().expect("classes");
    let head = Head::new("kind", Reads::Components, centroids).expect("a head");
    Pipeline::builder(&Preset::Simple.recipe(160).expect("a recipe"), spec, &projection)
        .weights(&weights, Storage::F16)
        .weights_id("random:1")
        .classes(&names)
        .head(&head)
        .to_bytes()
        .expect("an artifact")
}

fn pipeline(c: &mut Criterion) {
    let device = Device::default();
    let bytes = artifact();
    let mut group = c.benchmark_group("pipeline");
    group.sample_size(20).throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("read", |b| {
        b.iter(|| PipelineFile::from_bytes(black_box(&bytes)).expect("an artifact"))
    });
    group.bench_function("load", |b| {
        b.iter(|| Pipeline::from_bytes(black_box(&bytes), &device).expect("a pipeline"))
    });

    let mut loaded = Pipeline::from_bytes(&bytes, &device).expect("a pipeline");
    group.throughput(Throughput::Elements(1));
    for (format, width, height) in [(PixelFormat::Rgb, 160, 160), (PixelFormat::Yuyv, 640, 480)] {
        let pixels: Vec<u8> = (0..format.row_bytes(width) * height).map(|i| (i * i % 253) as u8).collect();
        let frame = Frame::new(format, width, height, &pixels).expect("a frame");
        group.bench_function(format!("transform {format:?} {width}x{height}"), |b| {
            b.iter(|| loaded.transform(black_box(&frame)).expect("components"));
        });
        group.bench_function(format!("classify {format:?} {width}x{height}"), |b| {
            b.iter(|| loaded.classify(black_box(&frame)).expect("a prediction").probability());
        });
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);

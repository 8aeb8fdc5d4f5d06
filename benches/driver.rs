//! What the driver costs beside the network: pictures made up in memory, a network that adds up.
//!
//! `cargo bench --features host --bench driver`

use burn::tensor::{Device, Tensor, TensorData};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fruitcore::{
    Featurizer, Frame, PixelFormat, Preprocessor, Result,
    host::{
        driver::{Control, Decode, Driver, Limits, Stages, Wanted},
        sink::{Content, CsvOptions, Format, Table},
        source::{Body, Object, Source},
    },
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use std::{hint::black_box, sync::Arc};

const PICTURES: usize = 4096;
const FEATURES: usize = 1280;

struct Made;

impl Source for Made {
    fn list(&self) -> BoxStream<'_, Result<Object>> {
        let one = |i: usize| Object {
            path: format!("class {:02}/{i:06}.jpg", i % 60),
            label: Some(format!("class {:02}", i % 60)),
            size: 48,
            version: None,
            body: Body::Inline(Bytes::from(i.to_le_bytes().repeat(6))),
        };
        futures::stream::iter((0..PICTURES).map(move |i| Ok(one(i)))).boxed()
    }
    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>> {
        async move {
            match &object.body {
                Body::Inline(bytes) => Ok(bytes.clone()),
                _ => Ok(Bytes::new()),
            }
        }
        .boxed()
    }
    fn describe(&self) -> String {
        String::from("made up")
    }
}

struct Raw(Vec<u8>);

impl Decode for Raw {
    fn decode(&mut self, encoded: &[u8]) -> Result<Frame<'_>> {
        self.0.clear();
        self.0.extend_from_slice(encoded);
        Frame::new(PixelFormat::Rgb, 4, 4, &self.0)
    }
}

struct Plain;

impl Preprocessor for Plain {
    fn output_shape(&self) -> [usize; 3] {
        [3, 4, 4]
    }
    fn preprocess_into(&mut self, frame: &Frame<'_>, out: &mut [f32]) -> Result<()> {
        out.iter_mut().zip(frame.data()).for_each(|(o, v)| *o = f32::from(*v));
        Ok(())
    }
}

struct Sum;

impl Featurizer for Sum {
    fn input_shape(&self) -> [usize; 3] {
        [3, 4, 4]
    }
    fn feature_len(&self) -> usize {
        FEATURES
    }
    fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
        let (device, n) = (batch.device(), batch.dims()[0]);
        let rows: Vec<f32> = (0..n * FEATURES).map(|i| i as f32).collect();
        Ok(Tensor::from_data(TensorData::new(rows, [n, FEATURES]), &device))
    }
}

fn overhead(c: &mut Criterion) {
    let mut group = c.benchmark_group("driver");
    group.throughput(Throughput::Elements(PICTURES as u64)).sample_size(10);
    for workers in [1, 2] {
        let mut limits = Limits::default();
        limits.workers = workers;
        let driver = Driver {
            stages: Stages::new(
                Arc::new(|| Ok(Box::new(Raw(Vec::new())))),
                Arc::new(|| Ok(Box::new(Plain))),
                Arc::new(Sum),
                Device::default(),
            ),
            limits,
            part_size: FEATURES,
            limit: None,
            strict: true,
            count_ahead: false,
        };
        group.bench_function(BenchmarkId::new("pictures", workers), |b| {
            b.iter(|| {
                let mut rows = 0;
                let commit = &mut |part: fruitcore::host::driver::Part| {
                    rows += part.output.map_or(0, |o| o.table.len());
                    Ok(())
                };
                driver.run(Arc::new(Made), &Control::default(), &|_| Wanted::Compute, commit).unwrap();
                assert_eq!(rows, PICTURES);
            });
        });
    }
    group.finish();
}

fn sinks(c: &mut Criterion) {
    let mut table = Table::new(Content::Features, FEATURES).unwrap();
    let mut state = 1u32;
    for i in 0..1024 {
        let row: Vec<f32> = (0..FEATURES)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Half of a network's features are zero.
                (state as f32 / u32::MAX as f32 - 0.5).max(0.0)
            })
            .collect();
        table.push(format!("class/{i}.jpg"), Some("class"), &row).unwrap();
    }
    let mut group = c.benchmark_group("sink");
    group.throughput(Throughput::Bytes((table.values().len() * 4) as u64)).sample_size(10);
    for format in [Format::Parquet, Format::Ipc, Format::Csv(CsvOptions::default())] {
        let file: Bytes = format.encode(&table).unwrap().into();
        println!("{}: {} bytes of {}", format.extension(), file.len(), table.values().len() * 4);
        group.bench_function(BenchmarkId::new("write", format.extension()), |b| {
            b.iter(|| format.encode(black_box(&table)).unwrap());
        });
        group.bench_function(BenchmarkId::new("read", format.extension()), |b| {
            b.iter(|| format.decode(Content::Features, black_box(file.clone())).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, overhead, sinks);
criterion_main!(benches);

//! Peak memory of whole runs of different length, each in a process of its own:
//! `cargo bench --features host --bench memory [-- COUNT…]`, by default 5,000 and 100,000 pictures.
//!
//! Pictures are real JPEGs of 100×100 made in memory, decoded and prepared for 224×224; the network
//! is an average over a grid, so that a run takes minutes, not hours. Parts, moments, sinks and
//! components are those of any run.

use burn::tensor::{Device, Tensor, TensorData};
use bytes::Bytes;
use fruitcore::{
    Featurizer, Result,
    host::{
        driver::{Control, Stages},
        run::{Run, RunOptions, open_output},
        sink::picture::PictureFormat,
        source::{Body, Object, Source},
    },
    preprocess::Preset,
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use std::{process::Command, sync::Arc};

const COUNT: &str = "FRUITCORE_BENCH_MEMORY_COUNT";
const SIDE: usize = 224;
/// 16 × 16 cells of 14 × 14 pixels, 3 channels.
const GRID: usize = 16;

struct Made {
    count: usize,
    files: Vec<Bytes>,
}

impl Made {
    fn new(count: usize) -> Self {
        let picture = |n: usize| {
            let rgb: Vec<u8> = (0..100 * 100 * 3)
                .map(|i| {
                    let (x, y, c) = (i / 3 % 100, i / 300, i % 3);
                    (128.0 + 100.0 * f64::sin((x * (n % 7 + 1) + y * (n % 5 + c + 1)) as f64 / 40.0)) as u8
                })
                .collect();
            Bytes::from(PictureFormat::Jpeg(90).encode(&rgb, 100, 100).unwrap())
        };
        Self { count, files: (0..64).map(picture).collect() }
    }
}

impl Source for Made {
    fn list(&self) -> BoxStream<'_, Result<Object>> {
        let one = |i: usize| Object {
            path: format!("class {:03}/{i:07}.jpg", i / 500),
            label: Some(format!("class {:03}", i / 500 % 131)),
            size: self.files[i % 64].len() as u64,
            version: Some(String::from("1")),
            body: Body::Stored(object_store::path::Path::from(i.to_string())),
        };
        futures::stream::iter((0..self.count).map(move |i| Ok(one(i)))).boxed()
    }
    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>> {
        let i = match &object.body {
            Body::Stored(path) => path.as_ref().parse().unwrap_or(0),
            _ => 0,
        };
        let file: &[u8] = &self.files[i % 64];
        // A copy, as a file or a response body would be.
        async move { Ok(Bytes::copy_from_slice(file)) }.boxed()
    }
    fn describe(&self) -> String {
        String::from("made up")
    }
}

struct Grid;

impl Featurizer for Grid {
    fn input_shape(&self) -> [usize; 3] {
        [3, SIDE, SIDE]
    }
    fn feature_len(&self) -> usize {
        3 * GRID * GRID
    }
    fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
        let (device, n) = (batch.device(), batch.dims()[0]);
        let values = batch.into_data().try_into_vec::<f32>().unwrap_or_default();
        let mut rows = vec![0f32; n * self.feature_len()];
        let cell = SIDE / GRID;
        for (plane, out) in values.chunks_exact(SIDE * SIDE).zip(rows.chunks_exact_mut(GRID * GRID)) {
            for (y, line) in plane.chunks_exact(SIDE).enumerate() {
                for (x, part) in line.chunks_exact(cell).enumerate() {
                    out[y / cell * GRID + x] += part.iter().sum::<f32>() / (cell * cell) as f32;
                }
            }
        }
        Ok(Tensor::from_data(TensorData::new(rows, [n, self.feature_len()]), &device))
    }
}

fn child(count: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stages = Stages::pictures(
        Default::default(),
        Preset::KerasTf.recipe(SIDE).expect("a recipe"),
        Arc::new(Grid),
        Device::default(),
    );
    let output = open_output(&folder.path().to_string_lossy()).expect("an output");
    let run = Run::new(Arc::new(Made::new(count)), stages, output).options(RunOptions::default());
    let summary = run.start(&Control::default()).expect("a run");
    assert_eq!(summary.rows, count as u64);
    println!(
        "{count:>7} pictures: {:.1} MiB at most, {} parts, {:.0} pictures/s",
        summary.peak_memory.unwrap_or(0) as f64 / f64::from(1 << 20),
        summary.parts,
        summary.images_per_second
    );
}

fn main() {
    if let Some(count) = std::env::var(COUNT).ok().and_then(|n| n.parse().ok()) {
        return child(count);
    }
    let asked: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let counts = if asked.is_empty() { vec![5_000, 100_000] } else { asked };
    for count in counts {
        let own = std::env::current_exe().expect("this program's path");
        let status = Command::new(own).env(COUNT, count.to_string()).status().expect("a process");
        assert!(status.success(), "{count} pictures: {status}");
    }
}

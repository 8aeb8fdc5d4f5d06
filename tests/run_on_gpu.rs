//! A run on a GPU whose buffers are too small for the micro-batches asked for, against a plain loop.
//! `FRUITCORE_WGPU=cpu` takes a software adapter.
#![cfg(all(feature = "host", feature = "wgpu"))]

mod run_support;

use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use fruitcore::{
    Featurizer, Result,
    host::{
        driver::{Control, Limits, Stages},
        run::{LocalStore, Run},
        sink::{Content, Format},
    },
};
use run_support::*;
use std::sync::Arc;

/// [`Linear`] by way of 19 MB for each picture.
struct Wasteful(Tensor<2>);

const COPIES: usize = 100_000;

impl Wasteful {
    fn new(device: &Device) -> Self {
        // Its columns are what the map makes of each value alone.
        let inputs = 3 * SIDE * SIDE;
        let one = |i| (0..inputs).map(|j| f32::from(u8::from(i == j))).collect::<Vec<_>>();
        let weights: Vec<f32> = (0..inputs).flat_map(|i| Linear::new().row(&one(i))).collect();
        Self(Tensor::from_data(TensorData::new(weights, [inputs, FEATURES]), device))
    }
}

impl Featurizer for Wasteful {
    fn input_shape(&self) -> [usize; 3] {
        [3, SIDE, SIDE]
    }
    fn feature_len(&self) -> usize {
        FEATURES
    }
    fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
        let [n, c, h, w] = batch.dims();
        // A product, whose result is always written; copies alone would be left out.
        let ones = Tensor::ones([1, 1, COPIES], &batch.device());
        let copies = batch.reshape([n, c * h * w, 1]).matmul(ones);
        Ok(copies.max_dim(2).reshape([n, c * h * w]).matmul(self.0.clone()))
    }
}

#[test]
fn batches_beyond_its_buffers() {
    let software = std::env::var("FRUITCORE_WGPU").is_ok_and(|v| v == "cpu");
    let device = Device::wgpu(if software { DeviceKind::Cpu } else { DeviceKind::DefaultDevice });
    let mut source = Made::new(90);
    source.damaged = 13;
    let (expected, rejected) = reference(&source);
    let mut options = options();
    assert_eq!(Limits::for_device(&device).batch, 64);
    options.limits = Limits::for_device(&device);
    options.limits.workers = 3;
    let folder = tempfile::tempdir().unwrap();
    let (like, network) = (stages(&source), Wasteful::new(&device));
    let stages = Stages::new(like.decoder, like.preprocessor, Arc::new(network), device);
    let run = Run::new(Arc::new(source), stages, Arc::new(LocalStore::new(folder.path())));
    let summary = run.options(options).start(&Control::default()).unwrap();
    assert_eq!((summary.rows, summary.rejected), (expected.len() as u64, rejected.len() as u64));
    let found = read(folder.path(), Content::Features, &Format::Parquet);
    assert_eq!(found.paths(), expected.paths());
    for (a, b) in found.values().iter().zip(expected.values()) {
        assert!((a - b).abs() <= 1e-4, "{a} {b}");
    }
}

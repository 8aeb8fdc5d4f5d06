//! A camera frame to components without an operating system.
#![no_std]
extern crate alloc;

use alloc::vec;
use burn::tensor::{Device, Tensor, TensorData};
use embedded_alloc::LlffHeap;
use fruitcore::{Featurizer, Frame, Preprocessor, Result};
use panic_halt as _;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

/// One frame through preprocessing and network.
pub fn features(
    frame: &Frame<'_>,
    preprocessor: &mut dyn Preprocessor,
    featurizer: &dyn Featurizer,
) -> Result<Tensor<2>> {
    let [c, h, w] = preprocessor.output_shape();
    let mut picture = vec![0.0; c * h * w];
    preprocessor.preprocess_into(frame, &mut picture)?;
    let device = Device::flex();
    featurizer.featurize(Tensor::from_data(TensorData::new(picture, [1, c, h, w]), &device))
}

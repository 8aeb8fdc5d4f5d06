//! In and out of Burn's CPU tensors without a copy.

use alloc::vec::Vec;
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};

/// The tensor underneath, if it lives on the CPU under autodiff.
pub(super) fn tracked<const D: usize>(x: &Tensor<D>) -> Option<FloatTensor<Autodiff<Flex>>> {
    x.clone().try_into_primitive::<Autodiff<Flex>>().ok()
}

pub(super) fn untracked<const D: usize>(x: FloatTensor<Autodiff<Flex>>) -> Tensor<D> {
    Tensor::from_primitive::<Autodiff<Flex>>(x)
}

/// In row-major order, copied only if it isn't.
pub(super) fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.as_slice::<f32>().is_some() { x } else { x.to_contiguous() }
}

/// The values of a [`contiguous`] tensor.
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().unwrap_or_default()
}

/// The values to change: the tensor's own memory if nothing else reads it.
pub(super) fn owned(x: FlexTensor) -> Vec<f32> {
    let shared = contiguous(x);
    shared.into_data().try_into_vec::<f32>().unwrap_or_default()
}

pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

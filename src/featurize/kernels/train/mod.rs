//! Training's operations with backward passes of their own.
//!
//! Pictures lie as `[channels, n, h, w]`: a 1 × 1 convolution is then one matrix product over all
//! pictures, and BatchNorm's statistics and a depthwise filter each have one contiguous run of
//! memory per channel. On the CPU ([`Flex`](burn::backend::Flex) under autodiff) the functions here
//! run these layouts directly; elsewhere, and for tensors outside autodiff, they are Burn's own
//! operations. Both give the same values and gradients to rounding; sums are in an order that
//! doesn't depend on the number of threads.

// Lanes are arrays, and indices say which lane meets which.
#![allow(clippy::needless_range_loop)]

mod conv;
mod depthwise;
mod flex;
mod gemm;
mod lanes;
mod norm;
#[cfg(test)]
mod tests;

pub(crate) use norm::{Moments, norm};

use crate::featurize::network::{Activation, Conv, Padding};
use burn::tensor::{Tensor, module, ops::ConvOptions, ops::PadMode};

/// A convolution without bias, norm and activation: `[ci, n, h, w]` and `[co, ci / groups, kh, kw]` to
/// `[co, n, oh, ow]`.
pub(crate) fn conv2d(x: Tensor<4>, weight: Tensor<4>, c: &Conv) -> Tensor<4> {
    let own = if c.groups == 1 {
        conv::conv(&x, &weight, c)
    } else if c.groups == c.channels_in && c.groups == c.channels_out {
        depthwise::depthwise(&x, &weight, c)
    } else {
        None
    };
    own.unwrap_or_else(|| stock(x, weight, c))
}

/// The same by Burn's operations.
fn stock(x: Tensor<4>, weight: Tensor<4>, c: &Conv) -> Tensor<4> {
    let Padding { top, left, bottom, right } = c.padding;
    let x = x.swap_dims(0, 1);
    let (x, inside) = if top == bottom && left == right {
        (x, [top, left])
    } else {
        (x.pad((left, right, top, bottom), PadMode::Constant(0.0)), [0, 0])
    };
    let options = ConvOptions::new(c.stride, inside, [1, 1], c.groups);
    module::conv2d(x, weight, None, options).swap_dims(0, 1)
}

/// The activation alone.
pub(crate) fn activate(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::None => x,
        Activation::Relu => burn::tensor::activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

//! What the network definitions share.

use super::{Activation, Conv, Norm, Padding};
use crate::{Error, ErrorKind, Stage};
use alloc::{format, string::String};

/// A square convolution padded by half its kernel, without bias, norm and activation.
pub(super) fn conv(
    name: String,
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    stride: usize,
) -> Conv {
    Conv {
        name,
        channels_in,
        channels_out,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: Padding::all(kernel / 2),
        groups: 1,
        bias: false,
        norm: None,
        residual: None,
        activation: Activation::None,
    }
}

pub(super) fn norm(name: String, epsilon: f32) -> Option<Norm> {
    Some(Norm { name, epsilon })
}

/// An input size a network doesn't exist for.
pub(super) fn side_error([h, w]: [usize; 2], remedy: &str) -> Error {
    let message = format!("input of {h}x{w} (height x width): {remedy}");
    Error::new(ErrorKind::InvalidArgument, Stage::Config, message)
}

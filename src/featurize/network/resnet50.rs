//! ResNet50 of He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2015
//! (arXiv:1512.03385).

use super::blocks::{conv, norm};
use super::{Activation, Graph, Op, Padding, Pool, Value, Variant};
use crate::Result;
use alloc::format;

/// Blocks, inner width and first stride of each stage.
const STAGES: [(usize, usize, usize); 4] = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)];
/// Output width of a bottleneck over its inner width.
const EXPANSION: usize = 4;

/// The network up to global average pooling.
///
/// torchvision (`torchvision/models/resnet.py`, "V1.5") strides in the 3×3 convolution, its
/// convolutions have no bias, BatchNorm ε = 1e-5. Keras (`keras/applications/resnet.py`) strides
/// in the first 1×1 as the paper does, its convolutions have biases, ε = 1.001e-5. Keras pads with
/// zeros before max pooling where torchvision has −∞: after ReLU both give the same maximum.
pub(super) fn build(variant: Variant, input: [usize; 2]) -> Result<Graph> {
    let keras = variant == Variant::Keras;
    let epsilon = if keras { 1.001e-5 } else { 1e-5 };
    let block = |name, bn, channels_in, channels_out, kernel, stride, activation| {
        let mut c = conv(name, channels_in, channels_out, kernel, stride);
        c.bias = keras;
        c.norm = norm(bn, epsilon);
        c.activation = activation;
        c
    };
    let mut graph = Graph::new([3, input[0], input[1]]);
    let stem = block("conv1".into(), "bn1".into(), 3, 64, 7, 2, Activation::Relu);
    let mut x = graph.push(Value::Input, Op::Conv(stem))?;
    let pool = Pool { kernel: [3, 3], stride: [2, 2], padding: Padding::all(1) };
    x = graph.push(x, Op::MaxPool(pool))?;
    let mut channels = 64;
    for (stage, &(blocks, width, first_stride)) in (1..).zip(&STAGES) {
        for i in 0..blocks {
            let at = format!("layer{stage}.{i}");
            let conv_of = |k: usize, cin, cout, kernel, stride, activation| {
                block(format!("{at}.conv{k}"), format!("{at}.bn{k}"), cin, cout, kernel, stride, activation)
            };
            let stride = if i == 0 { first_stride } else { 1 };
            let (stride1, stride2) = if keras { (stride, 1) } else { (1, stride) };
            let out = width * EXPANSION;
            let shortcut = if i == 0 {
                let (name, bn) = (format!("{at}.downsample.0"), format!("{at}.downsample.1"));
                let down = block(name, bn, channels, out, 1, stride, Activation::None);
                graph.push(x, Op::Conv(down))?
            } else {
                x
            };
            x = graph.push(x, Op::Conv(conv_of(1, channels, width, 1, stride1, Activation::Relu)))?;
            x = graph.push(x, Op::Conv(conv_of(2, width, width, 3, stride2, Activation::Relu)))?;
            let mut last = conv_of(3, width, out, 1, 1, Activation::Relu);
            last.residual = Some(shortcut);
            x = graph.push(x, Op::Conv(last))?;
            channels = out;
        }
    }
    graph.push(x, Op::GlobalAvgPool)?;
    Ok(graph)
}

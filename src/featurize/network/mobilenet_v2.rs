//! MobileNetV2 of Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: inverted residuals and
//! linear bottlenecks", 2018 (arXiv:1801.04381).

use super::blocks::{conv, norm};
use super::{Activation, Conv, Graph, Op, Padding, Value, Variant};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String};
use core::ops::RangeInclusive;

/// Expansion, channels, repeats and first stride: table 2 of the paper.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
const STEM: usize = 32;
const HEAD: usize = 1280;
/// Width multipliers with published weights.
const WIDTHS: RangeInclusive<f64> = 0.35..=1.4;

/// The network up to global average pooling of the last convolution.
///
/// torchvision (`torchvision/models/mobilenetv2.py`) pads symmetrically, BatchNorm ε = 1e-5. Keras
/// (`keras/applications/mobilenet_v2.py`) pads an even side before stride 2 only at its end
/// (`correct_pad`, and TensorFlow's `same` in the stem), ε = 1e-3, and truncates a stage's scaled
/// width before rounding it to a multiple of 8.
pub(super) fn build(variant: Variant, width: f64, input: [usize; 2]) -> Result<Graph> {
    if !WIDTHS.contains(&width) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            Stage::Config,
            format!("MobileNetV2 exists in widths {} to {}, found {width}", WIDTHS.start(), WIDTHS.end()),
        ));
    }
    let mut net = Builder { graph: Graph::new([3, input[0], input[1]]), variant };
    let mut channels = round8(STEM as f64 * width);
    let mut x = net.conv(Value::Input, "features.0", ".0", ".1", net.block(3, channels, 3, 2))?;
    let mut index = 1;
    for (expansion, base, repeats, first_stride) in STAGES {
        let out = stage_width(variant, base, width);
        for i in 0..repeats {
            let stride = if i == 0 { first_stride } else { 1 };
            x = net.inverted_residual(x, index, [channels, out], expansion, stride)?;
            channels = out;
            index += 1;
        }
    }
    let head = net.block(channels, feature_len(width), 1, 1);
    x = net.conv(x, &format!("features.{index}"), ".0", ".1", head)?;
    net.graph.push(x, Op::GlobalAvgPool)?;
    Ok(net.graph)
}

/// Channels of the last convolution: wider networks widen it, narrower ones don't narrow it.
fn feature_len(width: f64) -> usize {
    round8(HEAD as f64 * width.max(1.0))
}

struct Builder {
    graph: Graph,
    variant: Variant,
}

impl Builder {
    fn block(&self, channels_in: usize, channels_out: usize, kernel: usize, stride: usize) -> Conv {
        let mut c = conv(String::new(), channels_in, channels_out, kernel, stride);
        c.activation = Activation::Relu6;
        c
    }

    fn conv(&mut self, x: Value, at: &str, name: &str, bn: &str, mut c: Conv) -> Result<Value> {
        c.name = format!("{at}{name}");
        c.norm = norm(format!("{at}{bn}"), if self.variant == Variant::Keras { 1e-3 } else { 1e-5 });
        if let (Variant::Keras, [2, 2], Some([_, h, w])) = (self.variant, c.stride, self.graph.shape(x)) {
            // An odd side gets one row at either end, an even one only the last.
            c.padding = Padding { top: h % 2, left: w % 2, bottom: 1, right: 1 };
        }
        self.graph.push(x, Op::Conv(c))
    }

    fn inverted_residual(
        &mut self,
        input: Value,
        index: usize,
        [channels, out]: [usize; 2],
        expansion: usize,
        stride: usize,
    ) -> Result<Value> {
        let at = format!("features.{index}.conv");
        let hidden = channels * expansion;
        let mut x = input;
        // Positions in torchvision's sequence; without expansion everything moves up by one.
        let [dw, pw, pw_bn] = if expansion == 1 { [0, 1, 2] } else { [1, 2, 3] };
        if expansion != 1 {
            x = self.conv(x, &at, ".0.0", ".0.1", self.block(channels, hidden, 1, 1))?;
        }
        let mut depthwise = self.block(hidden, hidden, 3, stride);
        depthwise.groups = hidden;
        x = self.conv(x, &at, &format!(".{dw}.0"), &format!(".{dw}.1"), depthwise)?;
        let mut project = self.block(hidden, out, 1, 1);
        project.activation = Activation::None;
        project.residual = (stride == 1 && channels == out).then_some(input);
        self.conv(x, &at, &format!(".{pw}"), &format!(".{pw_bn}"), project)
    }
}

fn stage_width(variant: Variant, base: usize, width: f64) -> usize {
    let scaled = base as f64 * width;
    round8(if variant == Variant::Keras { libm::trunc(scaled) } else { scaled })
}

/// The nearest multiple of 8, but never below 90 % of `v` (`_make_divisible` in both references).
fn round8(v: f64) -> usize {
    let rounded = ((v + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * v { rounded + 8 } else { rounded }
}

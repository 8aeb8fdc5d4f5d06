//! The small description a network is defined in. Burn's executor and the CPU plan are both built
//! from it, so a network's structure is written down once.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};

/// Where a node's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// The network's input, `[n, c, h, w]`.
    Input,
    /// The output of the node with this index; always smaller than the index of the node using it.
    Node(usize),
}

/// Function applied last in a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Identity.
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

/// Zeros (for max pooling: −∞) around the input, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Padding {
    pub top: usize,
    pub left: usize,
    pub bottom: usize,
    pub right: usize,
}

impl Padding {
    /// The same on every side.
    pub const fn all(pixels: usize) -> Self {
        Self { top: pixels, left: pixels, bottom: pixels, right: pixels }
    }
}

/// Inference BatchNorm: `(x − running_mean) / sqrt(running_var + epsilon) · weight + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Prefix of the tensors `.weight`, `.bias`, `.running_mean`, `.running_var`, each `[channels]`.
    pub name: String,
    /// Added to the variance.
    pub epsilon: f32,
}

/// A 2-D convolution block: conv (+ bias) → BatchNorm → + residual → activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Prefix of the tensors `.weight` `[channels_out, channels_in / groups, kh, kw]` and, if
    /// `bias`, `.bias` `[channels_out]`.
    pub name: String,
    /// Input channels.
    pub channels_in: usize,
    /// Output channels.
    pub channels_out: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Zero padding.
    pub padding: Padding,
    /// 1, or `channels_in` for a depthwise convolution.
    pub groups: usize,
    /// Whether the convolution has a bias of its own.
    pub bias: bool,
    /// BatchNorm after the convolution.
    pub norm: Option<Norm>,
    /// Added after BatchNorm, before the activation.
    pub residual: Option<Value>,
    /// Applied last.
    pub activation: Activation,
}

/// Max pooling window; its padding is smaller than the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Padding with −∞.
    pub padding: Padding,
}

/// A fully connected layer: `x · weightᵀ + bias` → activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Prefix of the tensors `.weight` `[features_out, features_in]` and `.bias` `[features_out]`.
    pub name: String,
    /// Input features.
    pub features_in: usize,
    /// Output features.
    pub features_out: usize,
    /// Applied last.
    pub activation: Activation,
}

/// Order in which [`Op::Flatten`] reads a `[c, h, w]` picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlattenOrder {
    /// Channel, row, column (PyTorch).
    Chw,
    /// Row, column, channel (Keras).
    Hwc,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Convolution block.
    Conv(Conv),
    /// Max pooling.
    MaxPool(Pool),
    /// Average pooling to a fixed output size, windows as PyTorch's `AdaptiveAvgPool2d`.
    AdaptiveAvgPool([usize; 2]),
    /// Mean over rows and columns; `[c, h, w]` → `[c, 1, 1]`.
    GlobalAvgPool,
    /// `[c, h, w]` → `[c·h·w, 1, 1]`.
    Flatten(FlattenOrder),
    /// Fully connected layer on `[features_in, 1, 1]`.
    Linear(Linear),
}

/// An operation and its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The first (for all but residual blocks the only) input.
    pub input: Value,
    /// What is computed.
    pub op: Op,
}

/// A network for one input size: nodes in execution order; the last node's output is the feature
/// vector, `[feature_len, 1, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    input: [usize; 3],
    nodes: Vec<Node>,
    shapes: Vec<[usize; 3]>,
}

impl Graph {
    /// An empty graph for pictures of `[channels, height, width]`.
    pub fn new(input: [usize; 3]) -> Self {
        Self { input, nodes: Vec::new(), shapes: Vec::new() }
    }

    /// Appends a node and returns its output.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the operation doesn't fit its input, or its output would be empty or
    /// beyond what can be addressed.
    pub fn push(&mut self, input: Value, op: Op) -> Result<Value> {
        let shape = self.infer(input, &op)?;
        let size = shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        if size.is_none_or(|n| n == 0 || n > isize::MAX as usize / size_of::<f32>()) {
            let message = format!("node {} would give a picture of {shape:?}", self.nodes.len());
            return Err(Error::new(ErrorKind::Shape, Stage::Featurize, message));
        }
        self.nodes.push(Node { input, op });
        self.shapes.push(shape);
        Ok(Value::Node(self.nodes.len() - 1))
    }

    /// Channels, height and width of one picture.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// The nodes in execution order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// `[c, h, w]` of a value; `None` for a node that doesn't exist.
    pub fn shape(&self, value: Value) -> Option<[usize; 3]> {
        match value {
            Value::Input => Some(self.input),
            Value::Node(i) => self.shapes.get(i).copied(),
        }
    }

    /// Length of the feature vector: the number of elements of the last node's output.
    pub fn feature_len(&self) -> usize {
        self.shapes.last().unwrap_or(&self.input).iter().product()
    }

    /// Every tensor the network needs, by name, with its shape, in execution order.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::new();
        for node in &self.nodes {
            match &node.op {
                Op::Conv(c) => {
                    let [kh, kw] = c.kernel;
                    let shape = Vec::from([c.channels_out, c.channels_in / c.groups, kh, kw]);
                    all.push((format!("{}.weight", c.name), shape));
                    if c.bias {
                        all.push((format!("{}.bias", c.name), Vec::from([c.channels_out])));
                    }
                    for part in c.norm.iter().flat_map(|n| {
                        ["weight", "bias", "running_mean", "running_var"].map(|p| format!("{}.{p}", n.name))
                    }) {
                        all.push((part, Vec::from([c.channels_out])));
                    }
                }
                Op::Linear(l) => {
                    all.push((format!("{}.weight", l.name), Vec::from([l.features_out, l.features_in])));
                    all.push((format!("{}.bias", l.name), Vec::from([l.features_out])));
                }
                Op::MaxPool(_) | Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool | Op::Flatten(_) => {}
            }
        }
        all
    }

    fn infer(&self, input: Value, op: &Op) -> Result<[usize; 3]> {
        let bad = |m: String| Err(Error::new(ErrorKind::Shape, Stage::Featurize, m));
        let Some([c, h, w]) = self.shape(input) else {
            return bad(format!("node {} uses {input:?}, which does not exist yet", self.nodes.len()));
        };
        if c == 0 || h == 0 || w == 0 {
            return bad(format!("an empty picture of [{c}, {h}, {w}]"));
        }
        match op {
            Op::Conv(conv) => {
                if conv.channels_in != c
                    || conv.groups == 0
                    || !c.is_multiple_of(conv.groups)
                    || !conv.channels_out.is_multiple_of(conv.groups)
                {
                    return bad(format!(
                        "{}: {} input channels on {c} channels",
                        conv.name, conv.channels_in
                    ));
                }
                let Some((oh, ow)) = window([h, w], conv.kernel, conv.stride, conv.padding) else {
                    return bad(format!("{}: kernel does not fit {h}x{w}; use a larger input", conv.name));
                };
                let out = [conv.channels_out, oh, ow];
                match conv.residual.map(|r| self.shape(r)) {
                    Some(r) if r != Some(out) => {
                        bad(format!("{}: residual {r:?} does not match {out:?}", conv.name))
                    }
                    _ => Ok(out),
                }
            }
            Op::MaxPool(p)
                if p.padding.top.max(p.padding.bottom) >= p.kernel[0]
                    || p.padding.left.max(p.padding.right) >= p.kernel[1] =>
            {
                bad(format!("pooling window of {:?} fits into its padding; pad less", p.kernel))
            }
            Op::MaxPool(p) => match window([h, w], p.kernel, p.stride, p.padding) {
                Some((oh, ow)) => Ok([c, oh, ow]),
                None => bad(format!("pooling window does not fit {h}x{w}; use a larger input")),
            },
            Op::AdaptiveAvgPool([oh, ow]) => Ok([c, *oh, *ow]),
            Op::GlobalAvgPool => Ok([c, 1, 1]),
            Op::Flatten(_) => Ok([c.saturating_mul(h).saturating_mul(w), 1, 1]),
            Op::Linear(l) if [l.features_in, 1, 1] == [c, h, w] => Ok([l.features_out, 1, 1]),
            Op::Linear(l) => {
                bad(format!("{}: expects {} features, found [{c}, {h}, {w}]", l.name, l.features_in))
            }
        }
    }
}

/// Output height and width of a sliding window, rounding down.
fn window(
    [h, w]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    pad: Padding,
) -> Option<(usize, usize)> {
    let one = |n: usize, k: usize, s: usize| match s {
        0 => None,
        _ if k == 0 => None,
        _ => n.checked_sub(k).map(|r| r / s + 1),
    };
    Some((
        one(h.checked_add(pad.top)?.checked_add(pad.bottom)?, kernel[0], stride[0])?,
        one(w.checked_add(pad.left)?.checked_add(pad.right)?, kernel[1], stride[1])?,
    ))
}

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
    /// Of all values and weights.
    floats: usize,
}

/// Floats of a graph's values and weights, at most: so many pictures at once, transformed weights and scratch memory
/// can be counted without an overflow.
const MOST: usize = usize::MAX >> if usize::BITS > 32 { 24 } else { 4 };

/// Executors fill up channels to a multiple of this.
const LANES: usize = 16;

/// Floats of a value as executors hold it; `None` if nothing is in it or it is too large.
fn floats([c, h, w]: [usize; 3]) -> Option<usize> {
    let floats = c.checked_next_multiple_of(LANES)?.checked_mul(h)?.checked_mul(w)?;
    (1..=MOST).contains(&floats).then_some(floats)
}

impl Graph {
    /// An empty graph for pictures of `[channels, height, width]`; whoever uses it refuses a size that is none.
    pub fn new(input: [usize; 3]) -> Self {
        Self { input, nodes: Vec::new(), shapes: Vec::new(), floats: floats(input).unwrap_or(usize::MAX) }
    }

    /// Appends a node and returns its output.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the operation doesn't fit its input, its output would be empty, or the graph's values
    /// and weights would be beyond what can be addressed.
    pub fn push(&mut self, input: Value, op: Op) -> Result<Value> {
        self.check()?;
        let shape = self.infer(input, &op)?;
        let bad = |message| Err(Error::new(ErrorKind::Shape, Stage::Featurize, message));
        let Some(value) = floats(shape) else {
            return bad(format!("node {} would give a picture of {shape:?}", self.nodes.len()));
        };
        let all = self.weights(input, &op).and_then(|n| n.checked_add(value)?.checked_add(self.floats));
        let Some(all) = all.filter(|n| *n <= MOST) else {
            return bad(format!(
                "node {} makes the network larger than can be addressed; use smaller pictures or fewer channels",
                self.nodes.len()
            ));
        };
        self.floats = all;
        self.nodes.push(Node { input, op });
        self.shapes.push(shape);
        Ok(Value::Node(self.nodes.len() - 1))
    }

    /// Refuses pictures that hold nothing or can't be addressed; nodes were looked at when they were pushed.
    pub(in super::super) fn check(&self) -> Result<()> {
        if self.floats <= MOST {
            return Ok(());
        }
        let message =
            format!("no network takes pictures of {:?}; give channels, height and width", self.input);
        Err(Error::new(ErrorKind::Shape, Stage::Featurize, message))
    }

    /// Floats of an operation's weights; `None` if they, or its padded input, can't be addressed.
    fn weights(&self, input: Value, op: &Op) -> Option<usize> {
        let [c, h, w] = self.shape(input)?;
        let padded = |p: &Padding| {
            let (rows, columns) = (p.top.checked_add(p.bottom)?, p.left.checked_add(p.right)?);
            floats([c, h.checked_add(rows)?, w.checked_add(columns)?])
        };
        match op {
            Op::Conv(conv) => {
                padded(&conv.padding)?;
                let [rows, columns] = conv.kernel;
                let inputs = (conv.channels_in / conv.groups).checked_next_multiple_of(LANES)?;
                floats([conv.channels_out, rows, columns])?.checked_mul(inputs)
            }
            Op::MaxPool(pool) => padded(&pool.padding).map(|_| 0),
            Op::Linear(l) => floats([l.features_out, l.features_in.checked_next_multiple_of(LANES)?, 1]),
            Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool | Op::Flatten(_) => Some(0),
        }
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
        // Only an input that nobody has looked at can be too large.
        self.shapes.last().unwrap_or(&self.input).iter().fold(1, |n, &side| n.saturating_mul(side))
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

#[cfg(test)]
mod tests;

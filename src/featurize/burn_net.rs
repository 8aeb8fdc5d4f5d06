//! Burn's executor: a network's definition as tensors and operations on any device.

use super::Precision;
use super::fold::Folded;
use super::network::{Activation, Conv, FlattenOrder, Graph, Linear, Op, Padding, Pool, Value};
use super::weights::WeightSource;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec, vec::Vec};
use burn::tensor::activation::relu;
use burn::tensor::module::{adaptive_avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// A network with its weights on a device, BatchNorm folded into the convolutions.
pub(super) struct BurnNet {
    layers: Vec<Layer>,
    /// For each node the last node that reads it.
    last_use: Vec<usize>,
    feature_len: usize,
    /// `f32` or `f16`.
    precision: Precision,
}

struct Layer {
    input: Value,
    step: Step,
}

enum Step {
    Conv {
        weight: Tensor<4>,
        bias: Tensor<1>,
        options: ConvOptions<2>,
        /// Applied before the convolution where the two ends of a side differ.
        pad: Option<Padding>,
        residual: Option<Value>,
        activation: Activation,
    },
    MaxPool(MaxPoolOptions<2>),
    AdaptiveAvgPool([usize; 2]),
    GlobalAvgPool,
    Flatten(FlattenOrder),
    Linear {
        /// `[features_in, features_out]`, a transposed view of what the source gave.
        weight: Tensor<2>,
        bias: Tensor<2>,
        activation: Activation,
    },
}

impl BurnNet {
    pub(super) fn new(
        graph: &Graph,
        source: &dyn WeightSource,
        device: &Device,
        precision: Precision,
    ) -> Result<Self> {
        graph.check()?;
        let weights = Weights { source, device, dtype: dtype(precision) };
        let nodes = graph.nodes();
        let mut layers = Vec::with_capacity(nodes.len());
        let mut last_use = vec![usize::MAX; nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            let step = match &node.op {
                Op::Conv(c) => conv(c, &weights)?,
                Op::MaxPool(p) => Step::MaxPool(pool(p)),
                Op::AdaptiveAvgPool(size) => Step::AdaptiveAvgPool(*size),
                Op::GlobalAvgPool => Step::GlobalAvgPool,
                Op::Flatten(order) => Step::Flatten(*order),
                Op::Linear(l) => linear(l, &weights)?,
            };
            for value in [Some(node.input), step.residual()].into_iter().flatten() {
                if let Value::Node(used) = value
                    && let Some(last) = last_use.get_mut(used)
                {
                    *last = i;
                }
            }
            layers.push(Layer { input: node.input, step });
        }
        Ok(Self { layers, last_use, feature_len: graph.feature_len(), precision })
    }

    /// What all of it is computed in.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// `[n, c, h, w]` of the graph's input shape, in `f32` and on the device of the weights, to features
    /// in `f32`.
    pub(super) fn forward(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
        let [n, ..] = batch.dims();
        let batch = if self.precision.is_full() { batch } else { batch.cast(dtype(self.precision)) };
        let mut values = Values { batch, nodes: Vec::with_capacity(self.layers.len()) };
        for (i, layer) in self.layers.iter().enumerate() {
            // Given up at their last use, so that memory is used again and not summed up.
            let mut read = |value: Value| values.read(value, |node| self.last_use.get(node) == Some(&i));
            let (x, residual) = match layer.step.residual() {
                Some(value) if value == layer.input => {
                    let x = read(value)?;
                    (x.clone(), Some(x))
                }
                Some(value) => (read(layer.input)?, Some(read(value)?)),
                None => (read(layer.input)?, None),
            };
            values.nodes.push(Some(layer.step.run(x, residual)));
        }
        let last = match self.layers.len() {
            0 => values.batch,
            count => values.read(Value::Node(count - 1), |_| true)?,
        };
        let features = last.reshape([n, self.feature_len]);
        Ok(if self.precision.is_full() { features } else { features.cast(DType::F32) })
    }
}

/// What has been computed and is still needed.
struct Values {
    batch: Tensor<4>,
    nodes: Vec<Option<Tensor<4>>>,
}

impl Values {
    fn read(&mut self, value: Value, is_last: impl Fn(usize) -> bool) -> Result<Tensor<4>> {
        let found = match value {
            Value::Input => Some(self.batch.clone()),
            Value::Node(i) => {
                self.nodes.get_mut(i).and_then(|v| if is_last(i) { v.take() } else { v.clone() })
            }
        };
        found.ok_or_else(|| {
            let message = format!("{value:?} is read after its last use; please report this as a bug");
            Error::new(ErrorKind::InvalidArgument, Stage::Featurize, message)
        })
    }
}

impl Step {
    fn residual(&self) -> Option<Value> {
        match self {
            Self::Conv { residual, .. } => *residual,
            _ => None,
        }
    }

    fn run(&self, x: Tensor<4>, residual: Option<Tensor<4>>) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        match self {
            Self::Conv { weight, bias, options, pad, activation, .. } => {
                let x = match pad {
                    Some(p) => x.pad((p.left, p.right, p.top, p.bottom), PadMode::Constant(0.0)),
                    None => x,
                };
                let y = conv2d(x, weight.clone(), Some(bias.clone()), options.clone());
                activate(if let Some(r) = residual { y + r } else { y }, *activation)
            }
            Self::MaxPool(options) => max_pool2d(x, options.clone()),
            Self::AdaptiveAvgPool(size) => adaptive_avg_pool2d(x, *size),
            Self::GlobalAvgPool => x.reshape([n, c, h * w, 1]).mean_dim(2),
            Self::Flatten(FlattenOrder::Chw) => x.reshape([n, c * h * w, 1, 1]),
            Self::Flatten(FlattenOrder::Hwc) => x.permute([0, 2, 3, 1]).reshape([n, c * h * w, 1, 1]),
            Self::Linear { weight, bias, activation } => {
                let y = x.reshape([n, c]).matmul(weight.clone()) + bias.clone();
                let out = y.dims()[1];
                activate(y.reshape([n, out, 1, 1]), *activation)
            }
        }
    }
}

fn activate(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::None => x,
        Activation::Relu => relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

/// Where weights come from, where they go, and in what.
struct Weights<'a> {
    source: &'a dyn WeightSource,
    device: &'a Device,
    dtype: DType,
}

impl Weights<'_> {
    fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        let tensor = Tensor::from_data(TensorData::new(values, shape), (self.device, DType::F32));
        if self.dtype == DType::F32 { tensor } else { tensor.cast(self.dtype) }
    }
}

fn dtype(precision: Precision) -> DType {
    if precision == Precision::F16 { DType::F16 } else { DType::F32 }
}

fn conv(c: &Conv, weights: &Weights<'_>) -> Result<Step> {
    let folded = Folded::conv(c, weights.source)?;
    let bias = folded.bias.iter().map(|&b| b as f32).collect();
    let shape = [c.channels_out, c.channels_in / c.groups, c.kernel[0], c.kernel[1]];
    let p = c.padding;
    let symmetric = p.top == p.bottom && p.left == p.right;
    let inside = if symmetric { [p.top, p.left] } else { [0, 0] };
    Ok(Step::Conv {
        weight: weights.tensor(folded.weights(), shape),
        bias: weights.tensor(bias, [c.channels_out]),
        options: ConvOptions::new(c.stride, inside, [1, 1], c.groups),
        pad: (!symmetric).then_some(p),
        residual: c.residual,
        activation: c.activation,
    })
}

fn linear(l: &Linear, weights: &Weights<'_>) -> Result<Step> {
    let source = weights.source;
    let shape = [l.features_out, l.features_in];
    let weight = source.tensor(&format!("{}.weight", l.name), &shape)?.into_owned();
    let bias = source.tensor(&format!("{}.bias", l.name), &shape[..1])?.into_owned();
    Ok(Step::Linear {
        weight: weights.tensor(weight, shape).transpose(),
        bias: weights.tensor(bias, [1, l.features_out]),
        activation: l.activation,
    })
}

fn pool(p: &Pool) -> MaxPoolOptions<2> {
    let Padding { top, left, bottom, right } = p.padding;
    MaxPoolOptions::new(p.kernel).with_stride(p.stride).with_padding_pairs([(top, bottom), (left, right)])
}

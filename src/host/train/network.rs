//! A network's graph as a function that can be differentiated.

use super::{fail, parameters::Parameters};
use crate::featurize::kernels::train::{Moments, activate, conv2d, norm};
use crate::featurize::network::{Conv, FlattenOrder, Graph, Op, Padding, Value};
use crate::{ErrorKind, Result};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use burn::tensor::module::{adaptive_avg_pool2d, max_pool2d};
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// The parameters as leaves of one step's graph.
pub(super) struct Leaves<'a> {
    parameters: &'a Parameters,
    device: &'a Device,
    pub(super) tensors: BTreeMap<&'a str, Tensor<1>>,
}

impl<'a> Leaves<'a> {
    /// On `device`, which does autodiff.
    pub(super) fn new(parameters: &'a Parameters, device: &'a Device) -> Self {
        let tensors = parameters
            .all
            .iter()
            .filter(|p| !p.name.contains(".running_"))
            .map(|p| {
                let data = TensorData::new(p.values.clone(), [p.values.len()]);
                let leaf = Tensor::<1>::from_data(data, (device, DType::F32));
                (p.name.as_str(), if p.trained() { leaf.require_grad() } else { leaf })
            })
            .collect();
        Self { parameters, device, tensors }
    }

    pub(super) fn leaf(&self, name: &str) -> Result<Tensor<1>> {
        self.tensors.get(name).cloned().ok_or_else(|| fail(ErrorKind::NotFound, "no such parameter").at(name))
    }

    /// `[c, 1, 1, 1]` from running statistics, without gradient.
    fn fixed(&self, name: &str) -> Result<Tensor<4>> {
        let p = self
            .parameters
            .get(name)
            .ok_or_else(|| fail(ErrorKind::NotFound, "no such parameter").at(name))?;
        let data = TensorData::new(p.values.clone(), [p.values.len(), 1, 1, 1]);
        Ok(Tensor::from_data(data, (self.device, DType::F32)))
    }

    /// `[n, c, h, w]` to features `[d, n]`, and each BatchNorm's statistics.
    pub(super) fn features(
        &self,
        graph: &Graph,
        batch: Tensor<4>,
    ) -> Result<(Tensor<2>, Vec<(String, Moments)>)> {
        let [n, ..] = batch.dims();
        let input = batch.swap_dims(0, 1);
        let mut values: Vec<Tensor<4>> = Vec::with_capacity(graph.nodes().len());
        let mut moments = Vec::new();
        for node in graph.nodes() {
            let read = |value: Value| match value {
                Value::Input => Ok(input.clone()),
                Value::Node(i) => values.get(i).cloned().ok_or_else(|| {
                    fail(ErrorKind::InvalidArgument, format!("node {i} is read before it is made"))
                }),
            };
            let x = read(node.input)?;
            let [c, _, h, w] = x.dims();
            let y = match &node.op {
                Op::Conv(conv) => {
                    let residual = conv.residual.map(read).transpose()?;
                    self.conv(conv, x, residual, &mut moments)?
                }
                Op::MaxPool(p) => {
                    let Padding { top, left, bottom, right } = p.padding;
                    let options = MaxPoolOptions::new(p.kernel)
                        .with_stride(p.stride)
                        .with_padding_pairs([(top, bottom), (left, right)]);
                    max_pool2d(x, options)
                }
                Op::AdaptiveAvgPool(size) => adaptive_avg_pool2d(x, *size),
                Op::GlobalAvgPool => x.reshape([c, n, h * w, 1]).mean_dim(2),
                Op::Flatten(FlattenOrder::Chw) => x.permute([0, 2, 3, 1]).reshape([c * h * w, n, 1, 1]),
                Op::Flatten(FlattenOrder::Hwc) => x.permute([2, 3, 0, 1]).reshape([c * h * w, n, 1, 1]),
                Op::Linear(l) => {
                    let weight =
                        self.leaf(&format!("{}.weight", l.name))?.reshape([l.features_out, l.features_in]);
                    let bias = self.leaf(&format!("{}.bias", l.name))?.reshape([l.features_out, 1]);
                    let y = weight.matmul(x.reshape([c, n])) + bias;
                    activate(y.reshape([l.features_out, n, 1, 1]), l.activation)
                }
            };
            values.push(y);
        }
        let last = values.pop().unwrap_or(input);
        Ok((last.reshape([graph.feature_len(), n]), moments))
    }

    fn conv(
        &self,
        c: &Conv,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        moments: &mut Vec<(String, Moments)>,
    ) -> Result<Tensor<4>> {
        let shape = [c.channels_out, c.channels_in / c.groups, c.kernel[0], c.kernel[1]];
        let weight = self.leaf(&format!("{}.weight", c.name))?.reshape(shape);
        let mut y = conv2d(x, weight, c);
        if c.bias {
            y = y + self.leaf(&format!("{}.bias", c.name))?.reshape([c.channels_out, 1, 1, 1]);
        }
        // The activation is part of the norm's operation where nothing comes between.
        let (mut rest, inner) = (c.activation, c.activation);
        if let Some(bn) = &c.norm {
            let (gamma, beta) =
                (self.leaf(&format!("{}.weight", bn.name))?, self.leaf(&format!("{}.bias", bn.name))?);
            let trained = self.parameters.get(&format!("{}.weight", bn.name)).is_some_and(|p| p.trained());
            if trained {
                let inner =
                    if residual.is_some() { crate::featurize::network::Activation::None } else { inner };
                let (out, seen) = norm(y, gamma, beta, bn.epsilon, inner);
                if residual.is_none() {
                    rest = crate::featurize::network::Activation::None;
                }
                moments.push((bn.name.clone(), seen));
                y = out;
            } else {
                let shape = [c.channels_out, 1, 1, 1];
                let deviation = (self.fixed(&format!("{}.running_var", bn.name))? + bn.epsilon).sqrt();
                let scale = gamma.reshape(shape) / deviation;
                y = (y - self.fixed(&format!("{}.running_mean", bn.name))?) * scale + beta.reshape(shape);
            }
        }
        if let Some(r) = residual {
            y = y + r;
        }
        Ok(activate(y, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Featurizer;
    use crate::featurize::NetworkFeaturizer;
    use crate::featurize::network::{NetworkKind, NetworkSpec, Tap, Variant};
    use crate::rng::Rng;

    /// With every layer frozen, BatchNorm takes its running statistics, as featurizers do.
    #[test]
    fn frozen_networks_give_the_featurizers_features() {
        for kind in [NetworkKind::MobileNetV2, NetworkKind::Resnet50, NetworkKind::Vgg16] {
            for variant in [Variant::Torchvision, Variant::Keras] {
                let mut spec = NetworkSpec::new(kind).variant(variant).tap(Tap::Pooled).input(32, 32);
                if kind == NetworkKind::MobileNetV2 {
                    spec = spec.width(0.35);
                }
                let graph = spec.graph().unwrap();
                let layers =
                    graph.nodes().iter().filter(|n| matches!(n.op, Op::Conv(_) | Op::Linear(_))).count();
                let parameters = Parameters::new(&graph, &[], None, layers, 5).unwrap();
                let mut rng = Rng::new(9);
                let pictures: Vec<f32> =
                    (0..2 * 3 * 32 * 32).map(|_| rng.unit() as f32 * 2.0 - 1.0).collect();
                let on = |device: &Device| {
                    Tensor::<4>::from_data(
                        TensorData::new(pictures.clone(), [2, 3, 32, 32]),
                        (device, DType::F32),
                    )
                };
                let device = Device::flex().autodiff();
                let leaves = Leaves::new(&parameters, &device);
                let (features, moments) = leaves.features(&graph, on(&device)).unwrap();
                assert!(moments.is_empty());
                let found = features.transpose().into_data().try_into_vec::<f32>().unwrap();
                let plain = Device::flex();
                let network = NetworkFeaturizer::new(&graph, &parameters.averages(), &plain).unwrap();
                let expected =
                    network.featurize(on(&plain)).unwrap().into_data().try_into_vec::<f32>().unwrap();
                let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                assert!(scale > 0.0);
                for (a, b) in found.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-4 * scale, "{spec}: {a} and {b} of {scale}");
                }
            }
        }
    }
}

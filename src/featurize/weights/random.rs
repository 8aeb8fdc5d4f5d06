//! [`RandomWeights`]: a network without a checkpoint.

use super::WeightSource;
use crate::featurize::network::{Activation, Graph, Op};
use crate::rng::Rng;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{borrow::Cow, collections::BTreeMap, format, string::String, vec::Vec};

/// Weights drawn from a seed, the same on every machine: a baseline for features, and a way to try a
/// pipeline before there is a checkpoint.
///
/// Convolutions and linear layers are normal with variance `gain / fan_in`, gain 2 before a ReLU and
/// 1 elsewhere (He et al. 2015), biases zero. BatchNorm is the identity; where a residual is added
/// it halves its branch, so that activations keep their scale through any depth.
///
/// ```
/// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
/// use fruitcore::featurize::weights::{RandomWeights, WeightSource};
/// let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(96, 96).graph()?;
/// let weights = RandomWeights::new(&graph, 7);
/// let first = weights.tensor("features.0.0.weight", &[16, 3, 3, 3])?;
/// assert_eq!(first, RandomWeights::new(&graph, 7).tensor("features.0.0.weight", &[16, 3, 3, 3])?);
/// assert_ne!(first, RandomWeights::new(&graph, 8).tensor("features.0.0.weight", &[16, 3, 3, 3])?);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomWeights {
    seed: u64,
    names: Vec<String>,
    tensors: BTreeMap<String, (Vec<usize>, Fill)>,
}

#[derive(Clone, Copy, Debug)]
enum Fill {
    Constant(f32),
    Normal(f32),
}

impl RandomWeights {
    /// Weights for every parameter of `graph`.
    pub fn new(graph: &Graph, seed: u64) -> Self {
        let mut fills = BTreeMap::new();
        for node in graph.nodes() {
            let (name, fan_in, activation) = match &node.op {
                Op::Conv(c) => {
                    if let Some(norm) = &c.norm {
                        let gain = if c.residual.is_some() { 0.5 } else { 1.0 };
                        fills.insert(format!("{}.weight", norm.name), Fill::Constant(gain));
                        fills.insert(format!("{}.running_var", norm.name), Fill::Constant(1.0));
                    }
                    let [kh, kw] = c.kernel;
                    (&c.name, c.channels_in / c.groups.max(1) * kh * kw, c.activation)
                }
                Op::Linear(l) => (&l.name, l.features_in, l.activation),
                _ => continue,
            };
            let gain = if activation == Activation::None { 1.0 } else { 2.0 };
            let deviation = libm::sqrtf(gain / fan_in.max(1) as f32);
            fills.insert(format!("{name}.weight"), Fill::Normal(deviation));
        }
        let parameters = graph.parameters();
        let names = parameters.iter().map(|(name, _)| name.clone()).collect();
        let tensors = parameters
            .into_iter()
            .map(|(name, shape)| {
                let fill = fills.get(&name).copied().unwrap_or(Fill::Constant(0.0));
                (name, (shape, fill))
            })
            .collect();
        Self { seed, names, tensors }
    }
}

impl WeightSource for RandomWeights {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let Some((own, fill)) = self.tensors.get(name) else {
            let m = "no parameter of the network these random weights were made for";
            return Err(Error::new(ErrorKind::NotFound, Stage::Weights, m).at(name));
        };
        if own != shape {
            let m = format!("expected {shape:?}, these random weights were made for {own:?}");
            return Err(Error::new(ErrorKind::Shape, Stage::Weights, m).at(name));
        }
        let count = shape.iter().product();
        let mut values = Vec::with_capacity(count);
        match *fill {
            Fill::Constant(value) => values.resize(count, value),
            Fill::Normal(deviation) => {
                let mut normal = Normal::new(self.seed, name);
                while values.len() < count {
                    values
                        .extend(normal.pair().map(|v| v * deviation).into_iter().take(count - values.len()));
                }
            }
        }
        Ok(Cow::Owned(values))
    }
}

/// Standard normal numbers: SplitMix64 and Box–Muller.
struct Normal(Rng);

impl Normal {
    /// A stream of its own for each seed and tensor name (FNV-1a).
    fn new(seed: u64, name: &str) -> Self {
        let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        let start = seed.to_le_bytes().into_iter().fold(0xcbf2_9ce4_8422_2325, hash);
        Self(Rng::new(name.bytes().fold(start, hash)))
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / 16_777_216.0 + 1.0 / 33_554_432.0
    }

    fn pair(&mut self) -> [f32; 2] {
        let radius = libm::sqrtf(-2.0 * libm::logf(self.uniform()));
        let (sin, cos) = libm::sincosf(core::f32::consts::TAU * self.uniform());
        [radius * cos, radius * sin]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::network::{NetworkKind, NetworkSpec, Tap};

    #[test]
    fn every_parameter_of_every_network_is_there() {
        for spec in [
            NetworkSpec::new(NetworkKind::MobileNetV2),
            NetworkSpec::new(NetworkKind::Resnet50),
            NetworkSpec::new(NetworkKind::Vgg16).tap(Tap::Pooled).input(32, 32),
        ] {
            let graph = spec.graph().unwrap();
            let weights = RandomWeights::new(&graph, 1);
            assert_eq!(weights.names().len(), graph.parameters().len());
            for (name, shape) in graph.parameters() {
                let values = weights.tensor(&name, &shape).unwrap();
                assert_eq!(values.len(), shape.iter().product::<usize>());
                let fan_in: usize = shape.iter().skip(1).product();
                if shape.len() > 1 && values.len() > 2000 {
                    let n = values.len() as f32;
                    let mean = values.iter().sum::<f32>() / n;
                    let variance = values.iter().map(|v| v * v).sum::<f32>() / n * fan_in as f32;
                    assert!(mean.abs() * (fan_in as f32).sqrt() < 0.1, "{name}: mean {mean}");
                    assert!(
                        (0.85..1.15).contains(&variance) || (1.7..2.3).contains(&variance),
                        "{name}: {variance}"
                    );
                }
            }
        }
    }

    #[test]
    fn refuses_what_it_was_not_made_for() {
        let graph = NetworkSpec::new(NetworkKind::Resnet50).graph().unwrap();
        let weights = RandomWeights::new(&graph, 1);
        assert_eq!(weights.tensor("nothing", &[1]).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(weights.tensor("bn1.weight", &[1]).unwrap_err().kind(), ErrorKind::Shape);
    }
}

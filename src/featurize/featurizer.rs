//! [`NetworkFeaturizer`]: a network, its weights and a device.

use super::Featurizer;
use super::burn_net::BurnNet;
use super::network::Graph;
use super::weights::WeightSource;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{borrow::Cow, format, string::String, vec::Vec};
use burn::tensor::{DType, Device, Tensor};

/// A [`Featurizer`] that runs a network's [`Graph`] with weights from a [`WeightSource`] on a Burn
/// device.
///
/// Weights are read, checked and converted once, when it is built: BatchNorm is folded into the
/// convolutions (in f64, rounded once), which changes features by less than 1e-5 relative. It keeps no
/// scratch memory between calls, so one featurizer serves many threads.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use fruitcore::Featurizer;
/// use fruitcore::featurize::NetworkFeaturizer;
/// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
/// use fruitcore::featurize::weights::RandomWeights;
///
/// let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph()?;
/// let device = Device::default();
/// let net = NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 7), &device)?;
/// let pictures = Tensor::<4>::zeros([2, 3, 32, 32], &device);
/// assert_eq!(net.featurize(pictures)?.dims(), [2, 1280]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct NetworkFeaturizer {
    input: [usize; 3],
    feature_len: usize,
    device: Device,
    executor: Executor,
}

/// What computes the features.
enum Executor {
    /// Burn's operations, on every device.
    Burn(BurnNet),
}

impl NetworkFeaturizer {
    /// Reads the network's weights and puts them on the device.
    ///
    /// # Errors
    /// Whatever `source` answers for a tensor it lacks or has in another shape;
    /// [`ErrorKind::Shape`] if it gives another number of values than asked for;
    /// [`ErrorKind::NonFinite`] if a weight is NaN or infinite or a BatchNorm variance negative. Each
    /// names the tensor.
    pub fn new(graph: &Graph, source: &dyn WeightSource, device: &Device) -> Result<Self> {
        let source = Checked(source);
        Ok(Self {
            input: graph.input_shape(),
            feature_len: graph.feature_len(),
            device: device.clone(),
            executor: Executor::Burn(BurnNet::new(graph, &source, device)?),
        })
    }

    /// The device the features are computed on.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Featurizer for NetworkFeaturizer {
    fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    fn feature_len(&self) -> usize {
        self.feature_len
    }

    fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
        let [n, c, h, w] = batch.dims();
        if n == 0 || [c, h, w] != self.input {
            let [ic, ih, iw] = self.input;
            return Err(Error::new(
                ErrorKind::Shape,
                Stage::Featurize,
                format!(
                    "the network takes [n, {ic}, {ih}, {iw}] with n of at least 1, found \
                     [{n}, {c}, {h}, {w}]; preprocess to its input size or build it for another"
                ),
            ));
        }
        let batch = if batch.device() == self.device { batch } else { batch.to_device(&self.device) };
        let batch = if batch.dtype() == DType::F32 { batch } else { batch.cast(DType::F32) };
        match &self.executor {
            Executor::Burn(net) => net.forward(batch),
        }
    }
}

/// A source whose answers executors needn't check again.
struct Checked<'a>(&'a dyn WeightSource);

impl WeightSource for Checked<'_> {
    fn names(&self) -> Vec<String> {
        self.0.names()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let values = self.0.tensor(name, shape)?;
        let expected: usize = shape.iter().product();
        let bad = |kind, message| Err(Error::new(kind, Stage::Weights, message).at(name));
        if values.len() != expected {
            let message = format!(
                "{shape:?} needs {expected} values, the source gave {}; is it a checkpoint of another network?",
                values.len()
            );
            return bad(ErrorKind::Shape, message);
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            let message = format!("value {i} is {}; the checkpoint is damaged, fetch it again", values[i]);
            return bad(ErrorKind::NonFinite, message);
        }
        if name.ends_with(".running_var") && values.iter().any(|&v| v < 0.0) {
            let message = "a variance is negative; the checkpoint is damaged, fetch it again";
            return bad(ErrorKind::NonFinite, message.into());
        }
        Ok(values)
    }
}

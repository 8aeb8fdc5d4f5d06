//! [`NetworkFeaturizer`]: a network, its weights and a device.

use super::burn_net::BurnNet;
use super::kernels::{Plan, PlanOptions};
use super::network::Graph;
use super::on_cpu::OnCpu;
use super::weights::{Checked, WeightSource};
use super::{Featurizer, Precision, SliceFeaturizer};
use crate::{Error, ErrorKind, Result, Stage, memory};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// A [`Featurizer`] that runs a network's [`Graph`] with weights from a [`WeightSource`] on a Burn
/// device.
///
/// On the CPU devices (flex, ndarray) the network runs as a [`Plan`] on this crate's own kernels, on
/// every other device by Burn's operations; [`with_burn_operations`](Self::with_burn_operations) asks
/// for those anywhere. Both agree to 1e-5 relative.
///
/// Weights are read, checked and converted once, when it is built: BatchNorm is folded into the
/// convolutions (in f64, rounded once). One featurizer serves many threads. On the CPU each call runs
/// on its caller's thread, so that a program with a thread per core needs no others; `parallel` (feature
/// `rayon`) splits single calls. Memory is kept for as many calls as were ever under way at once.
///
/// A program that wants each picture's features as soon as they can be had builds for calls of one picture
/// ([`with_options`](Self::with_options) and [`PlanOptions::for_batch`]) and adds `parallel`.
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
    /// The CPU's own kernels.
    Plan(Box<OnCpu>),
    /// Burn's operations, on every device.
    Burn(BurnNet),
}

impl NetworkFeaturizer {
    /// Reads the network's weights and makes it ready for the device, by the fastest way there.
    ///
    /// # Errors
    /// Whatever `source` answers for a tensor it lacks or has in another shape;
    /// [`ErrorKind::Shape`] if it gives another number of values than asked for;
    /// [`ErrorKind::NonFinite`] if a weight is NaN or infinite or a BatchNorm variance negative. Each
    /// names the tensor.
    pub fn new(graph: &Graph, source: &dyn WeightSource, device: &Device) -> Result<Self> {
        Self::with_precision(graph, source, device, Precision::F32)
    }

    /// [`new`](Self::new) in another precision: bf16 or int8 on the CPU devices, f16 on others that have it.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
    /// use fruitcore::featurize::{NetworkFeaturizer, Precision, weights::RandomWeights};
    ///
    /// let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph()?;
    /// let (weights, device) = (RandomWeights::new(&graph, 7), Device::default());
    /// let net = NetworkFeaturizer::with_precision(&graph, &weights, &device, Precision::Int8)?;
    /// assert_eq!(net.precision(), Precision::Int8);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new); [`ErrorKind::Unsupported`] for a precision that the device doesn't have, or
    /// for a network that no [`Plan`] can run.
    pub fn with_precision(
        graph: &Graph,
        source: &dyn WeightSource,
        device: &Device,
        precision: Precision,
    ) -> Result<Self> {
        Self::with_options(graph, source, device, &PlanOptions { precision, ..PlanOptions::default() })
    }

    /// [`new`](Self::new) with options of one's own; where Burn's operations run, only the precision counts.
    /// The fastest way to one picture's features, by all threads:
    ///
    /// ```
    /// # #[cfg(feature = "rayon")] {
    /// use burn::tensor::{Device, Tensor};
    /// use fruitcore::Featurizer;
    /// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
    /// use fruitcore::featurize::{NetworkFeaturizer, kernels::PlanOptions, weights::RandomWeights};
    ///
    /// let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph()?;
    /// let (weights, device) = (RandomWeights::new(&graph, 7), Device::default());
    /// let options = PlanOptions::for_batch(1);
    /// let net = NetworkFeaturizer::with_options(&graph, &weights, &device, &options)?.parallel();
    /// assert_eq!(net.featurize(Tensor::<4>::zeros([1, 3, 32, 32], &device))?.dims(), [1, 1280]);
    /// # }
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// Plans for other numbers of pictures choose other algorithms: features agree to 1e-5 relative, not to
    /// the bit.
    ///
    /// # Errors
    /// As [`with_precision`](Self::with_precision); [`ErrorKind::InvalidArgument`] for a micro-batch outside
    /// 1 to 64.
    pub fn with_options(
        graph: &Graph,
        source: &dyn WeightSource,
        device: &Device,
        options: &PlanOptions,
    ) -> Result<Self> {
        let precision = options.precision;
        if !is_cpu(device) {
            if Self::precision_on(device, precision) != precision {
                let m = match precision {
                    Precision::F16 => format!("{device:?} does not compute in f16; use f32"),
                    _ => format!("{precision} is for the CPU devices; use f16 or f32 here, or --device flex"),
                };
                return Err(Error::new(ErrorKind::Unsupported, Stage::Featurize, m));
            }
            return Self::by_burn(graph, source, device, precision);
        }
        match Plan::new(graph, source, options) {
            Ok(plan) => Ok(Self::from_plan(plan, device)),
            Err(e) if e.kind() == ErrorKind::Unsupported && precision.is_full() => {
                Self::with_burn_operations(graph, source, device)
            }
            Err(e) => Err(e),
        }
    }

    /// What to compute a stored network in: what it says where the device has it, else `f32`.
    pub(crate) fn precision_on(device: &Device, precision: Precision) -> Precision {
        let has = match precision {
            Precision::F32 => true,
            Precision::Bf16 | Precision::Int8 => is_cpu(device),
            Precision::F16 => !is_cpu(device) && device.supports_dtype(DType::F16),
        };
        if has { precision } else { Precision::F32 }
    }

    /// [`new`](Self::new), but by Burn's operations on every device: to compare, or to measure.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_burn_operations(graph: &Graph, source: &dyn WeightSource, device: &Device) -> Result<Self> {
        Self::by_burn(graph, source, device, Precision::F32)
    }

    fn by_burn(
        graph: &Graph,
        source: &dyn WeightSource,
        device: &Device,
        precision: Precision,
    ) -> Result<Self> {
        let executor = Executor::Burn(BurnNet::new(graph, &Checked(source), device, precision)?);
        let (input, feature_len) = (graph.input_shape(), graph.feature_len());
        Ok(Self::with_executor(input, feature_len, device, executor))
    }

    /// A plan built with options of one's own; batches from any device are brought to the CPU and
    /// features are put on `device`.
    pub fn from_plan(plan: Plan, device: &Device) -> Self {
        let (input, feature_len) = (plan.input_shape(), plan.feature_len());
        Self::with_executor(input, feature_len, device, Executor::Plan(Box::new(OnCpu::new(plan))))
    }

    fn with_executor(input: [usize; 3], feature_len: usize, device: &Device, executor: Executor) -> Self {
        Self { input, feature_len, device: device.clone(), executor }
    }

    /// Uses as many threads as rayon has for one call (on the CPU; elsewhere the device does): pictures
    /// are divided among them, and where a call has at most half as many pictures as there are threads,
    /// all threads compute each picture together, as a [`Team`](super::kernels::Team). Calls at the same
    /// time share the threads. Features stay the same to the bit.
    ///
    /// For programs that call from one thread; with a thread per core calling, leave it off. The driver of
    /// feature `host` needs it neither: it knows how many of its threads are idle.
    #[cfg(feature = "rayon")]
    #[must_use]
    pub fn parallel(mut self) -> Self {
        if let Executor::Plan(plan) = &mut self.executor {
            plan.parallel();
        }
        self
    }

    /// Threads that a call may use.
    pub(crate) fn threads(&self) -> usize {
        match &self.executor {
            Executor::Plan(plan) => plan.threads(),
            Executor::Burn(_) => 1,
        }
    }

    /// The plan it runs; `None` where it runs Burn's operations.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.executor {
            Executor::Plan(plan) => Some(plan.plan()),
            Executor::Burn(_) => None,
        }
    }

    /// What products are computed in.
    pub fn precision(&self) -> Precision {
        match &self.executor {
            Executor::Plan(plan) => plan.plan().precision(),
            Executor::Burn(net) => net.precision(),
        }
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
        let batch = if batch.dtype() == DType::F32 { batch } else { batch.cast(DType::F32) };
        match &self.executor {
            Executor::Burn(net) if batch.device() == self.device => net.forward(batch),
            Executor::Burn(net) => net.forward(batch.to_device(&self.device)),
            Executor::Plan(plan) => {
                let features = run(plan, batch, n * self.feature_len)?;
                let data = TensorData::new(features, [n, self.feature_len]);
                Ok(Tensor::from_data(data, &self.device))
            }
        }
    }

    fn slices(&self) -> Option<&dyn SliceFeaturizer> {
        match &self.executor {
            Executor::Plan(plan) => Some(&**plan),
            Executor::Burn(_) => None,
        }
    }

    fn release(&self) {
        if let Executor::Plan(plan) = &self.executor {
            plan.release();
        }
    }
}

/// Runs a plan on a batch; on a CPU device the batch's memory is read in place.
fn run(plan: &OnCpu, batch: Tensor<4>, len: usize) -> Result<Vec<f32>> {
    let unreadable = |why: String| {
        let message = format!("the batch can't be read on the CPU ({why}); move it to a CPU device first");
        Error::new(ErrorKind::Unsupported, Stage::Featurize, message)
    };
    let data = batch.try_into_data().map_err(|e| unreadable(format!("{e}")))?;
    let pictures = data.as_slice::<f32>().map_err(|e| unreadable(format!("{e:?}")))?;
    let mut features = memory::zeros(len, "use smaller batches")?;
    plan.run(pictures, &mut features)?;
    Ok(features)
}

/// Whether tensors on the device lie in this process' memory and compute on its CPU.
pub(crate) fn is_cpu(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    if *device == Device::flex() {
        return true;
    }
    #[cfg(feature = "ndarray")]
    #[allow(deprecated)]
    if *device == Device::ndarray() {
        return true;
    }
    let _ = device;
    false
}

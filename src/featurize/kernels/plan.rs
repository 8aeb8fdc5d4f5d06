//! [`Plan`]: layers, packed weights and an arena.

use super::super::network::Graph;
use super::super::weights::WeightSource;
use super::Precision;
use super::buffer::{Buffer, Weights};
use super::build::build;
use super::cut::Cut;
use super::isa::{self, Kernels};
use super::layer::{Layer, Place};
use super::packing::Packing;
use super::reduced::{self, Engine};
use super::simd::Isa;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};

/// How a [`Plan`] is built.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PlanOptions {
    /// Instruction set; the best one by default.
    pub isa: Isa,
    /// Pictures that go through late layers together, 1 to 64, so that each of their many weights
    /// serves more pixels; early layers take one picture at a time, which stays in cache. A plan runs
    /// any number of pictures; this is the size of its steps. With 1, for single pictures, layers take the
    /// algorithm that reads fewer weights: ResNet50's are a third less, and done sooner.
    pub micro_batch: usize,
    /// Whether 3 × 3 convolutions may run by Winograd's algorithm, where that is faster; in full
    /// precision only.
    pub winograd: bool,
    /// What products are computed in; `f32` unless set.
    pub precision: Precision,
    /// Whether reduced precision may use AMX, where processor and system allow it.
    pub amx: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            isa: Isa::best(),
            micro_batch: MICRO_BATCH,
            winograd: true,
            precision: Precision::F32,
            amx: true,
        }
    }
}

const MICRO_BATCH: usize = 8;

impl PlanOptions {
    /// The defaults, for calls with at most so many pictures: [`micro_batch`](Self::micro_batch) is no larger.
    ///
    /// ```
    /// use fruitcore::featurize::kernels::PlanOptions;
    /// assert_eq!([1, 4, 100].map(|n| PlanOptions::for_batch(n).micro_batch), [1, 4, 8]);
    /// ```
    pub fn for_batch(pictures: usize) -> Self {
        Self { micro_batch: pictures.clamp(1, MICRO_BATCH), ..Self::default() }
    }
}

/// A network ready to run on the CPU: folded and packed weights, layers in order, and the place of
/// every intermediate picture in one arena whose size is known before the first picture.
///
/// A plan is immutable and needs no threads: share it, and give each thread a [`Workspace`].
#[derive(Clone)]
pub struct Plan {
    pub(super) kernels: &'static Kernels,
    pub(super) layers: Vec<Layer>,
    pub(super) weights: Weights,
    /// Of what the weights are packed from and how.
    pub(super) digest: u64,
    pub(super) input: [usize; 3],
    /// `[c, h, w]` and place of the last value.
    pub(super) output: ([usize; 3], Place),
    /// Floats of arena per picture, before and after the cut.
    pub(super) arena: [usize; 2],
    pub(super) cut: Cut,
    /// Floats of scratch, whatever the batch.
    pub(super) scratch: usize,
    /// Words of it, at its end, that products in reduced precision keep activations in.
    pub(super) packing: usize,
    pub(super) engine: Option<&'static Engine>,
    /// Floats a team needs besides, for one picture.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "teams are threads"))]
    pub(super) common: usize,
    pub(super) micro_batch: usize,
}

/// The memory one thread needs to run a [`Plan`].
pub struct Workspace(pub(super) Buffer);

impl Plan {
    /// Folds, packs and places a network.
    ///
    /// # Errors
    /// What `weights` returns for a missing or misshapen tensor; [`Shape`](ErrorKind::Shape) if it gives another
    /// number of values than asked for, or the graph's input is empty or too large;
    /// [`NonFinite`](ErrorKind::NonFinite) if a weight is NaN or infinite or a BatchNorm variance negative;
    /// [`Unsupported`](ErrorKind::Unsupported) for grouped convolutions that aren't depthwise and
    /// for an instruction set this processor lacks; [`Limit`](ErrorKind::Limit) if the memory isn't
    /// there; [`InvalidArgument`](ErrorKind::InvalidArgument) for a micro-batch outside 1 to 64.
    pub fn new(graph: &Graph, weights: &dyn WeightSource, options: &PlanOptions) -> Result<Self> {
        let (plan, packing) = Self::without_weights(graph, options)?;
        plan.packed(&packing, weights)
    }

    /// Layers and places; the weights are still to come.
    pub(super) fn without_weights<'g>(
        graph: &'g Graph,
        options: &PlanOptions,
    ) -> Result<(Self, Packing<'g>)> {
        graph.check()?;
        if !(1..=64).contains(&options.micro_batch) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                Stage::Config,
                format!("a micro-batch of {} pictures; use 1 to 64", options.micro_batch),
            ));
        }
        if options.precision == Precision::F16 {
            return Err(unsupported("f16 is for GPUs; use bf16 or int8 on the CPU".into()));
        }
        let Some(kernels) = isa::kernels(options.isa) else {
            return Err(unsupported(format!(
                "this processor or build has no {}; use Isa::best()",
                options.isa.name()
            )));
        };
        let engine = reduced::choose(options.isa, options.precision, options.amx);
        let (plan, packing) = build(graph, options, kernels, engine)?;
        match plan.floats() {
            Some(_) => Ok((plan, packing)),
            None => {
                let m =
                    "the network needs more memory than can be addressed; use smaller pictures or batches";
                Err(Error::new(ErrorKind::Limit, Stage::Featurize, m))
            }
        }
    }

    pub(super) fn packed(self, packing: &Packing<'_>, weights: &dyn WeightSource) -> Result<Self> {
        Ok(Self { weights: Weights::Own(packing.pack(weights)?), ..self })
    }

    /// Channels, height and width of one picture.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// Length of one feature vector.
    pub fn feature_len(&self) -> usize {
        self.output.0.iter().product()
    }

    /// The instruction set it runs on.
    pub fn isa(&self) -> Isa {
        self.kernels.isa
    }

    /// What products are computed in.
    pub fn precision(&self) -> Precision {
        self.engine.map_or(Precision::F32, Engine::precision)
    }

    /// What computes them: instructions and precision, for people.
    pub fn arithmetic(&self) -> &'static str {
        self.engine.map_or(self.kernels.isa.name(), |engine| engine.name)
    }

    /// The most pictures that go through a late layer together.
    pub fn micro_batch(&self) -> usize {
        self.micro_batch
    }

    /// Output channel blocks in the widest tile, and so in a panel of weights.
    pub(super) fn nb(&self) -> usize {
        self.engine.map_or(0, |engine| engine.nb).max(self.kernels.nb)
    }

    /// Bytes of packed weights.
    pub fn weight_bytes(&self) -> usize {
        size_of_val(self.weights.as_slice())
    }

    /// Bytes of a [`Workspace`].
    pub fn workspace_bytes(&self) -> usize {
        self.floats().unwrap_or(usize::MAX / size_of::<f32>()) * size_of::<f32>()
    }

    /// Floats of a [`Workspace`]; `None` if that many can't be addressed.
    fn floats(&self) -> Option<usize> {
        let arenas = self.arena[1].checked_mul(self.micro_batch)?.checked_add(self.arena[0])?;
        arenas.checked_add(self.scratch).filter(|n| *n <= isize::MAX as usize / size_of::<f32>())
    }

    /// Memory for one thread to run this plan.
    ///
    /// # Errors
    /// [`Limit`](ErrorKind::Limit) if it isn't there.
    pub fn workspace(&self) -> Result<Workspace> {
        Buffer::zeroed(self.workspace_bytes() / size_of::<f32>()).map(Workspace)
    }
}

pub(super) fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, Stage::Featurize, message)
}

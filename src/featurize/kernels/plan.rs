//! From a [`Graph`] and its weights to a list of layers, packed weights and an arena.

use super::super::fold::Folded;
use super::super::network::{Activation, Conv, Graph, Linear, Op, Value};
use super::super::weights::WeightSource;
use super::Precision;
use super::buffer::Buffer;
use super::cut::{self, Arenas, Cut};
use super::group::{self, Group, Lifetimes};
use super::inverted::InvertedLayer;
use super::isa::{self, Kernels};
use super::layer::{ConvLayer, DepthwiseLayer, Kind, Layer, Place, ProductLayer, WinogradLayer};
use super::pack;
use super::reduced::{self, Engine};
use super::simd::{Isa, LANES};
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
    /// any number of pictures; this is the size of its steps.
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
        Self { isa: Isa::best(), micro_batch: 4, winograd: true, precision: Precision::F32, amx: true }
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
    pub(super) weights: Buffer,
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
    /// What `weights` returns for a missing or misshapen tensor;
    /// [`Unsupported`](ErrorKind::Unsupported) for grouped convolutions that aren't depthwise and
    /// for an instruction set this processor lacks; [`Limit`](ErrorKind::Limit) if the memory isn't
    /// there; [`InvalidArgument`](ErrorKind::InvalidArgument) for a micro-batch outside 1 to 64.
    pub fn new(graph: &Graph, weights: &dyn WeightSource, options: &PlanOptions) -> Result<Self> {
        if !(1..=64).contains(&options.micro_batch) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                Stage::Config,
                format!("a micro-batch of {} pictures; use 1 to 64", options.micro_batch),
            ));
        }
        let Some(kernels) = isa::kernels(options.isa) else {
            return Err(unsupported(format!(
                "this processor or build has no {}; use Isa::best()",
                options.isa.name()
            )));
        };
        let engine = reduced::choose(options.isa, options.precision, options.amx);
        Self::with_engine(graph, weights, options, kernels, engine)
    }

    /// The rest of [`Plan::new`].
    pub(super) fn with_engine(
        graph: &Graph,
        weights: &dyn WeightSource,
        options: &PlanOptions,
        kernels: &'static Kernels,
        engine: Option<&'static Engine>,
    ) -> Result<Self> {
        let parameters = graph.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let packed = Buffer::with_capacity(parameters)?;
        Builder {
            graph,
            kernels,
            options,
            engine,
            weights,
            packed,
            scratch: 0,
            packing: 0,
            common: 0,
            together: 1,
        }
        .build()
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
        (self.scratch + self.arena[0] + self.arena[1] * self.micro_batch) * size_of::<f32>()
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

struct Builder<'a> {
    graph: &'a Graph,
    kernels: &'static Kernels,
    options: &'a PlanOptions,
    engine: Option<&'static Engine>,
    weights: &'a dyn WeightSource,
    packed: Buffer,
    scratch: usize,
    packing: usize,
    common: usize,
    /// Pictures that go through the layer at hand.
    together: usize,
}

impl Builder<'_> {
    fn build(mut self) -> Result<Plan> {
        let nodes = self.graph.nodes();
        let blocked_input = nodes.is_empty()
            || nodes.iter().any(|n| match &n.op {
                Op::Conv(c) => c.residual == Some(Value::Input) || n.input == Value::Input && c.groups != 1,
                _ => n.input == Value::Input,
            });
        let groups = group::groups(self.graph);
        let lifetimes = Lifetimes::new(self.graph, &groups, blocked_input);
        let first = cut::cut(self.graph, &groups, &lifetimes, self.options.micro_batch);
        let arenas = Arenas::new(&lifetimes.slots, first);
        let place = |v: Value, late: bool| arenas.offsets[usize::from(late)][lifetimes.slot(v)];
        let mut layers = Vec::new();
        let mut before = layers.len();
        if blocked_input {
            layers.push(Layer {
                name: String::from("input"),
                kind: Kind::Block,
                input: Place::Input,
                residual: None,
                output: Place::Arena(place(Value::Input, first == 0)),
                from: self.graph.input_shape(),
                to: self.graph.input_shape(),
                operations: 0,
                weights: 0,
            });
        }
        for (g, group) in groups.iter().cloned().enumerate() {
            let late = g >= first;
            self.together = if late { self.options.micro_batch } else { 1 };
            let place = |v: Value| Place::Arena(place(v, late));
            let (first, last) = (&nodes[group.start], &nodes[group.end - 1]);
            let planar = first.input == Value::Input && matches!(&first.op, Op::Conv(c) if c.groups == 1);
            let (from, to) = (self.shape(first.input), self.shape(Value::Node(group.end - 1)));
            let packed = self.packed.len();
            let Some((name, kind, operations)) = self.step(group.clone(), planar)? else { continue };
            let residual = match &last.op {
                Op::Conv(c) => c.residual.map(place),
                _ => None,
            };
            let input = if planar { Place::Input } else { place(first.input) };
            let output = place(Value::Node(group.end - 1));
            let weights = self.packed.len() - packed;
            layers.push(Layer { name, kind, input, residual, output, from, to, operations, weights });
            if !late {
                before = layers.len();
            }
        }
        let last_early = first.checked_sub(1).and_then(|g| groups.get(g));
        let cut = last_early.map_or_else(Cut::default, |group| {
            let value = Value::Node(group.end - 1);
            Cut::new(before, [false, true].map(|late| place(value, late)), self.shape(value))
        });
        let last = nodes.len().checked_sub(1).map_or(Value::Input, Value::Node);
        self.packed.shrink();
        let output = (self.shape(last), Place::Arena(place(last, true)));
        Ok(Plan {
            kernels: self.kernels,
            layers,
            weights: self.packed,
            input: self.graph.input_shape(),
            output,
            arena: arenas.floats,
            cut,
            scratch: self.scratch.next_multiple_of(LANES) + self.packing.next_multiple_of(LANES),
            packing: self.packing.next_multiple_of(LANES),
            engine: self.engine,
            common: self.common.next_multiple_of(LANES),
            micro_batch: self.options.micro_batch,
        })
    }

    fn shape(&self, value: Value) -> [usize; 3] {
        self.graph.shape(value).unwrap_or_default()
    }

    /// Name, kind and operations per picture of a step; `None` if it changes nothing.
    fn step(&mut self, group: Group, planar: bool) -> Result<Option<(String, Kind, u64)>> {
        let nodes = &self.graph.nodes()[group.clone()];
        let operations = group.clone().map(|i| self.operations(i)).sum();
        if nodes.len() > 1 {
            return self.inverted(group).map(|(name, kind)| Some((name, kind, operations)));
        }
        let (op, from) = (&nodes[0].op, self.shape(nodes[0].input));
        if group::is_identity(op, from) {
            return Ok(None);
        }
        let index = group.start;
        let (name, kind) = match op {
            Op::Conv(c) => (c.name.clone(), self.conv(c, from, self.shape(Value::Node(index)), planar)?),
            Op::Linear(l) => (l.name.clone(), self.linear(l)?),
            Op::MaxPool(p) => (format!("max_pool.{index}"), Kind::MaxPool(*p)),
            Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool => (format!("avg_pool.{index}"), Kind::AvgPool),
            Op::Flatten(order) => (format!("flatten.{index}"), Kind::Flatten(*order)),
        };
        Ok(Some((name, kind, operations)))
    }

    /// Multiplications and additions of a node.
    fn operations(&self, index: usize) -> u64 {
        let [_, h, w] = self.shape(Value::Node(index));
        2 * cut::weights(&self.graph.nodes()[index].op) as u64 * (h * w) as u64
    }

    /// Expansion (if there is one), depthwise convolution and projection as one step.
    fn inverted(&mut self, group: Group) -> Result<(String, Kind)> {
        let mut convs = Vec::new();
        for i in group.clone() {
            let node = &self.graph.nodes()[i];
            if let Op::Conv(c) = &node.op {
                convs.push((c, self.conv(c, self.shape(node.input), self.shape(Value::Node(i)), false)?));
            }
        }
        let name = String::from(convs[0].0.name.as_str());
        let from = self.shape(self.graph.nodes()[group.end - 2].input);
        let to = self.shape(Value::Node(group.end - 2));
        let mut kinds = convs.into_iter().rev().map(|(_, kind)| kind);
        let layer = match (kinds.next(), kinds.next(), kinds.next()) {
            (Some(Kind::Product(project)), Some(Kind::Depthwise(depthwise)), expand) => {
                let expand = match expand {
                    Some(Kind::Product(expand)) => Some(expand),
                    _ => None,
                };
                InvertedLayer::new(expand, depthwise, project, from, to)
            }
            _ => return Err(unsupported(format!("{name}: not an inverted residual"))),
        };
        self.scratch = self.scratch.max(layer.scratch());
        self.common = self.common.max(layer.common());
        Ok((name, Kind::Inverted(layer)))
    }

    fn conv(&mut self, c: &Conv, from: [usize; 3], to: [usize; 3], planar: bool) -> Result<Kind> {
        let folded = Folded::conv(c, self.weights)?;
        let bounds = bounds(c.activation);
        let sizes = [c.channels_in, c.channels_out];
        let nb = self.kernels.nb;
        let bias = self.packed.len();
        pack::bias(&mut self.packed, &folded);
        let weights = self.packed.len();
        let taps = c.kernel[0] * c.kernel[1];
        if c.groups != 1 {
            if c.groups != c.channels_in || c.channels_out != c.channels_in {
                return Err(unsupported(format!("{}: {} groups; 1 or depthwise only", c.name, c.groups)));
            }
            let layer = DepthwiseLayer::new(c, from, weights, bias, bounds)?;
            self.scratch = self.scratch.max(layer.scratch());
            pack::depthwise(&mut self.packed, &folded, c.channels_in, taps);
            return Ok(Kind::Depthwise(layer));
        }
        // The first convolution stays in full precision: three channels are little work.
        let engine = self.engine.filter(|engine| !planar && engine.fits(c.channels_in * taps));
        if !planar && group::is_pointwise(&Op::Conv(c.clone())) {
            return Ok(Kind::Product(self.product(&folded, sizes, bias, bounds, engine)));
        }
        if let Some(engine) = engine {
            let weights = reduced::pack(&mut self.packed, &folded, sizes, taps, engine);
            let layer = ConvLayer::new(c, to, planar, [weights, bias], bounds, Some(engine))?;
            self.scratch = self.scratch.max(layer.scratch());
            return Ok(Kind::Conv(layer));
        }
        if !planar && self.options.winograd {
            let layer = WinogradLayer::new(c, to, self.together, [weights, bias], bounds);
            if let Some(layer) = layer {
                pack::winograd(&mut self.packed, &folded, sizes, nb);
                self.scratch = self.scratch.max(layer.scratch());
                return Ok(Kind::Winograd(layer));
            }
        }
        let layer = ConvLayer::new(c, to, planar, [weights, bias], bounds, None)?;
        pack::product(&mut self.packed, &folded, sizes, taps, if planar { 1 } else { LANES }, nb);
        self.scratch = self.scratch.max(layer.scratch());
        Ok(Kind::Conv(layer))
    }

    fn linear(&mut self, l: &Linear) -> Result<Kind> {
        let folded = Folded::linear(l, self.weights)?;
        let bias = self.packed.len();
        pack::bias(&mut self.packed, &folded);
        let sizes = [l.features_in, l.features_out];
        let engine = self.engine.filter(|engine| engine.fits(l.features_in));
        Ok(Kind::Product(self.product(&folded, sizes, bias, bounds(l.activation), engine)))
    }

    fn product(
        &mut self,
        folded: &Folded<'_>,
        sizes: [usize; 2],
        bias: usize,
        bounds: Option<[f32; 2]>,
        engine: Option<&'static Engine>,
    ) -> ProductLayer {
        let weights = match engine {
            Some(engine) => reduced::pack(&mut self.packed, folded, sizes, 1, engine),
            None => {
                let weights = self.packed.len();
                pack::product(&mut self.packed, folded, sizes, 1, LANES, self.kernels.nb);
                weights
            }
        };
        let layer = ProductLayer { weights, bias, bounds, sizes, engine };
        self.packing = self.packing.max(layer.packing());
        layer
    }
}

fn bounds(activation: Activation) -> Option<[f32; 2]> {
    match activation {
        Activation::None => None,
        Activation::Relu => Some([0.0, f32::INFINITY]),
        Activation::Relu6 => Some([0.0, 6.0]),
    }
}

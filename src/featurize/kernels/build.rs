//! From a [`Graph`] to a list of layers and the places of all they read and write; no weight is looked at.

use super::super::network::{Activation, Conv, Graph, Linear, Op, Value};
use super::buffer::Weights;
use super::cut::{self, Arenas, Cut};
use super::group::{self, Group, Lifetimes};
use super::halves::Halves;
use super::interleaved::{self, InterleavedLayer};
use super::inverted::InvertedLayer;
use super::isa::Kernels;
use super::layer::{ConvLayer, DepthwiseLayer, Kind, Layer, Place, ProductLayer};
use super::packing::{Form, Operation, Packing};
use super::plan::{Plan, PlanOptions, unsupported};
use super::reduced::Engine;
use super::simd::LANES;
use super::winograd::WinogradLayer;
use crate::Result;
use alloc::{format, string::String, vec::Vec};

/// A plan without weights, and what they will be.
pub(super) fn build<'g>(
    graph: &'g Graph,
    options: &PlanOptions,
    kernels: &'static Kernels,
    engine: Option<&'static Engine>,
) -> Result<(Plan, Packing<'g>)> {
    let packing = Packing::new(kernels.nb);
    Builder {
        graph,
        kernels,
        options,
        engine,
        packed: packing,
        scratch: 0,
        packing: 0,
        common: 0,
        together: 1,
        converts: true,
    }
    .build()
}

struct Builder<'g, 'a> {
    graph: &'g Graph,
    kernels: &'static Kernels,
    options: &'a PlanOptions,
    engine: Option<&'static Engine>,
    packed: Packing<'g>,
    scratch: usize,
    packing: usize,
    common: usize,
    /// Pictures that go through the layer at hand.
    together: usize,
    /// Whether reduced precision converts what the layer at hand reads.
    converts: bool,
}

impl<'g> Builder<'g, '_> {
    fn build(mut self) -> Result<(Plan, Packing<'g>)> {
        let nodes = self.graph.nodes();
        let blocked_input = nodes.is_empty()
            || nodes.iter().any(|n| match &n.op {
                Op::Conv(c) => c.residual == Some(Value::Input) || n.input == Value::Input && c.groups != 1,
                _ => n.input == Value::Input,
            });
        let groups = group::groups(self.graph);
        let end_to_end = self.engine.filter(|engine| engine.end_to_end.is_some());
        let halves = end_to_end.map_or_else(Halves::none, |engine| Halves::new(self.graph, &groups, engine));
        let lifetimes = Lifetimes::new(self.graph, &groups, blocked_input, &halves);
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
            let place = |v: Value| halves.place(v, place(v, late));
            let (first, last) = (&nodes[group.start], &nodes[group.end - 1]);
            let planar = first.input == Value::Input && matches!(&first.op, Op::Conv(c) if c.groups == 1);
            let (from, to) = (self.shape(first.input), self.shape(Value::Node(group.end - 1)));
            let packed = self.packed.floats();
            self.converts = !halves.contains(first.input);
            let Some((name, kind, operations)) = self.step(group.clone(), planar)? else { continue };
            let residual = match &last.op {
                Op::Conv(c) => c.residual.map(place),
                _ => None,
            };
            let input = if planar { Place::Input } else { place(first.input) };
            let output = place(Value::Node(group.end - 1));
            debug_assert!(!output.is_halves() || kind.writes_halves(), "{name}");
            let weights = self.packed.floats() - packed;
            layers.push(Layer { name, kind, input, residual, output, from, to, operations, weights });
            if !late {
                before = layers.len();
            }
        }
        let last_early = first.checked_sub(1).and_then(|g| groups.get(g));
        let cut = last_early.map_or_else(Cut::default, |group| {
            let value = Value::Node(group.end - 1);
            let places = [false, true].map(|late| halves.place(value, place(value, late)));
            Cut::new(before, places, self.shape(value))
        });
        let last = nodes.len().checked_sub(1).map_or(Value::Input, Value::Node);
        let output = (self.shape(last), halves.place(last, place(last, true)));
        // What is too large stays so.
        let whole = |n: usize| n.checked_next_multiple_of(LANES).unwrap_or(usize::MAX);
        let plan = Plan {
            digest: self.packed.digest(),
            kernels: self.kernels,
            layers,
            weights: Weights::none(),
            input: self.graph.input_shape(),
            output,
            arena: arenas.floats,
            cut,
            scratch: whole(self.scratch).saturating_add(whole(self.packing)),
            packing: whole(self.packing),
            engine: self.engine,
            common: whole(self.common),
            micro_batch: self.options.micro_batch,
        };
        Ok((plan, self.packed))
    }

    fn shape(&self, value: Value) -> [usize; 3] {
        self.graph.shape(value).unwrap_or_default()
    }

    /// Name, kind and operations per picture of a step; `None` if it changes nothing.
    fn step(&mut self, group: Group, planar: bool) -> Result<Option<(String, Kind, u64)>> {
        let nodes = &self.graph.nodes()[group.clone()];
        let operations = group.clone().map(|i| self.operations(i)).fold(0, u64::saturating_add);
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
            Op::Linear(l) => (l.name.clone(), self.linear(l)),
            Op::MaxPool(p) => (format!("max_pool.{index}"), Kind::MaxPool(*p)),
            Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool => (format!("avg_pool.{index}"), Kind::AvgPool),
            Op::Flatten(order) => (format!("flatten.{index}"), Kind::Flatten(*order)),
        };
        Ok(Some((name, kind, operations)))
    }

    /// Multiplications and additions of a node.
    fn operations(&self, index: usize) -> u64 {
        let [_, h, w] = self.shape(Value::Node(index));
        (2 * cut::weights(&self.graph.nodes()[index].op) as u64).saturating_mul((h * w) as u64)
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

    fn conv(&mut self, c: &'g Conv, from: [usize; 3], to: [usize; 3], planar: bool) -> Result<Kind> {
        let (op, bounds) = (Operation::Conv(c), bounds(c.activation));
        if c.groups != 1 {
            if c.groups != c.channels_in || c.channels_out != c.channels_in {
                return Err(unsupported(format!("{}: {} groups; 1 or depthwise only", c.name, c.groups)));
            }
            let [weights, bias] = self.packed.push(op, Form::Depthwise);
            let layer = DepthwiseLayer::new(c, from, weights, bias, bounds)?;
            self.scratch = self.scratch.max(layer.scratch());
            return Ok(Kind::Depthwise(layer));
        }
        if planar
            && let Some(engine) = self.engine
            && let Some(interleave) = engine.end_to_end.filter(|_| interleaved::fits(c))
        {
            let places = self.packed.push(op, Form::Interleaved(engine));
            let layer = InterleavedLayer::new(c, to, places, bounds, engine, interleave)?;
            self.scratch = self.scratch.max(layer.scratch());
            return Ok(Kind::Interleaved(layer));
        }
        // The first convolution otherwise stays in full precision: three channels are little work.
        let taps = c.kernel[0] * c.kernel[1];
        let engine = self.engine.filter(|engine| !planar && engine.fits(c.channels_in * taps));
        if !planar && group::is_pointwise(c) {
            return Ok(Kind::Product(self.product(op, bounds, engine)));
        }
        if engine.is_none()
            && !planar
            && self.options.winograd
            && let Some(mut layer) =
                WinogradLayer::new(c, to, self.together, bounds, self.kernels.winograd_few)
        {
            [layer.weights, layer.bias] = self.packed.push(op, layer.form());
            self.scratch = self.scratch.max(layer.scratch());
            self.common = self.common.max(layer.common());
            return Ok(Kind::Winograd(layer));
        }
        let group = if planar { 1 } else { LANES };
        let places = self.packed.push(op, engine.map_or(Form::Product { group }, Form::Reduced));
        let layer = ConvLayer::new(c, to, planar, places, bounds, engine, self.together)?;
        self.scratch = self.scratch.max(layer.scratch());
        Ok(Kind::Conv(layer))
    }

    fn linear(&mut self, l: &'g Linear) -> Kind {
        let engine = self.engine.filter(|engine| engine.fits(l.features_in));
        Kind::Product(self.product(Operation::Linear(l), bounds(l.activation), engine))
    }

    fn product(
        &mut self,
        op: Operation<'g>,
        bounds: Option<[f32; 2]>,
        engine: Option<&'static Engine>,
    ) -> ProductLayer {
        let form = engine.map_or(Form::Product { group: LANES }, Form::Reduced);
        let [weights, bias] = self.packed.push(op, form);
        let layer = ProductLayer { weights, bias, bounds, sizes: op.sizes(), engine };
        if self.converts {
            self.packing = self.packing.max(layer.packing());
        }
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

//! Which values lie in bfloat16 between the layers.
//!
//! A value that products read in bfloat16, and besides them only sums and pooling, is rounded when it is written instead of
//! when it is read: half of the bytes, and nothing to convert. It then lies as products read it, 32 channels a pixel:
//! `[⌈c / 32⌉][n][h][w][32]`, in the place of `f32`'s blocks of 16.

use super::super::network::{Conv, Graph, Op, Value};
use super::group::{Group, index, is_identity};
use super::interleaved;
use super::layer::{Place, blocks};
use super::reduced::Engine;
use super::simd::LANES;
use alloc::{vec, vec::Vec};

/// Values in bfloat16; all others are `f32`.
pub(super) struct Halves {
    /// By value: the input, then the nodes. Meaningless for values inside a group.
    of: Vec<bool>,
    /// Floats beyond a value's last that a product's tile may read.
    beyond: usize,
}

impl Halves {
    /// No value.
    pub(super) fn none() -> Self {
        Self { of: Vec::new(), beyond: 0 }
    }

    /// Every value that products write, or pooling of such, and products, pooling or a sum of such read; but the
    /// last, whose features are `f32`.
    pub(super) fn new(graph: &Graph, groups: &[Group], engine: &Engine) -> Self {
        let nodes = graph.nodes();
        let mut of = vec![false; nodes.len() + 1];
        // Steps of several operations keep theirs in `f32`, as depthwise convolutions want them.
        let single = |group: &&Group| group.len() == 1;
        for group in groups.iter().filter(single) {
            of[group.end] = match &nodes[group.start].op {
                Op::Conv(c) if nodes[group.start].input == Value::Input => {
                    c.groups == 1 && interleaved::fits(c)
                }
                Op::Conv(c) => c.groups == 1,
                Op::Linear(_) | Op::MaxPool(_) => true,
                op => is_identity(op, graph.shape(nodes[group.start].input).unwrap_or_default()),
            };
        }
        if let Some(last) = of.last_mut() {
            *last = false;
        }
        for group in groups {
            for node in &nodes[group.clone()] {
                if group.len() > 1 || matches!(&node.op, Op::Conv(c) if c.groups != 1) {
                    of[index(node.input)] = false;
                }
            }
        }
        // Sums are of the same form as what is added, pooled values as what is pooled.
        loop {
            let before = of.clone();
            for group in groups {
                let node = &nodes[group.end - 1];
                let with = match &node.op {
                    Op::Conv(Conv { residual, .. }) => *residual,
                    Op::MaxPool(_) => Some(node.input),
                    op => is_identity(op, graph.shape(node.input).unwrap_or_default()).then_some(node.input),
                };
                if let Some(with) = with.map(index) {
                    let both = of[with] && of[group.end];
                    (of[with], of[group.end]) = (both, both);
                }
            }
            if of == before {
                return Self { of, beyond: engine.mr * LANES };
            }
        }
    }

    pub(super) fn contains(&self, value: Value) -> bool {
        self.of.get(index(value)).is_some_and(|&halves| halves)
    }

    /// The place of a value that lies so far into an arena.
    pub(super) fn place(&self, value: Value, offset: usize) -> Place {
        if self.contains(value) { Place::Halves(offset) } else { Place::Arena(offset) }
    }

    /// Floats that a value takes, of so many channels and pixels.
    pub(super) fn floats(&self, value: Value, channels: usize, pixels: usize) -> usize {
        match self.contains(value) {
            true => blocks(channels).div_ceil(2) * LANES * pixels + self.beyond,
            false => blocks(channels) * LANES * pixels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Precision;
    use super::super::super::network::{NetworkKind, NetworkSpec, Tap};
    use super::super::layer::Kind;
    use super::super::{Isa, PlanOptions, build, isa, reduced};
    use super::*;

    /// Layers of a network on AMX's engine whose output isn't in bfloat16.
    fn full(spec: &NetworkSpec) -> Vec<&'static str> {
        let graph = spec.graph().unwrap();
        let options = PlanOptions { precision: Precision::Bf16, ..Default::default() };
        let engines = reduced::all(Isa::Plain, Precision::Bf16);
        let engine = engines.into_iter().find(|engine| engine.end_to_end.is_some()).unwrap();
        let kernels = isa::kernels(Isa::Plain).unwrap();
        let (plan, _) = build::build(&graph, &options, kernels, Some(engine)).unwrap();
        assert!(!matches!(plan.output.1, Place::Halves(_)));
        let full = |kind: &Kind| !matches!(kind, Kind::Inverted(_));
        plan.layers.iter().filter(|l| !l.output.is_halves() && full(&l.kind)).map(|l| l.kind.name()).collect()
    }

    #[test]
    fn networks_are_in_bfloat16_from_end_to_end() {
        assert_eq!(full(&NetworkSpec::new(NetworkKind::Resnet50)), ["avg_pool"]);
        assert_eq!(full(&NetworkSpec::new(NetworkKind::Vgg16)), ["flatten", "gemm-bf16"]);
        assert_eq!(full(&NetworkSpec::new(NetworkKind::Vgg16).tap(Tap::Pooled)), ["avg_pool"]);
        // Depthwise convolutions are on either side.
        assert_eq!(full(&NetworkSpec::new(NetworkKind::MobileNetV2)), ["conv-bf16", "avg_pool"]);
    }
}

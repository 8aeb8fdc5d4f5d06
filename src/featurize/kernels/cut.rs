//! Where a network's layers begin to take several pictures together.
//!
//! Early layers have large pictures and few weights: one picture after the other stays in cache. Late
//! layers have small pictures and many weights: each weight that is read serves a micro-batch.

use super::super::network::{Graph, Op, Value};
use super::arena::{self, Slot};
use super::group::{Group, Lifetimes};
use super::layer::Place;
use super::simd::LANES;
use alloc::vec::Vec;

/// Groups from which on layers take a micro-batch: from there each has at least as many weights as
/// values, and one value alone passes.
pub(super) fn cut(graph: &Graph, groups: &[Group], lifetimes: &Lifetimes, micro_batch: usize) -> usize {
    if micro_batch == 1 {
        return 0;
    }
    let size = |v| graph.shape(v).unwrap_or_default().iter().product::<usize>();
    let mut best = groups.len();
    for (g, group) in groups.iter().enumerate().rev() {
        let nodes = &graph.nodes()[group.clone()];
        let weights: usize = nodes.iter().map(|n| weights(&n.op)).sum();
        let values = size(nodes[0].input) + size(Value::Node(group.end - 1));
        if weights > 0 && weights < values {
            break;
        }
        let before = g.checked_sub(1).map(|before| Value::Node(groups[before].end - 1));
        if before.is_none_or(|value| lifetimes.passes_alone(value, g)) {
            best = g;
        }
    }
    best
}

/// Weights of an operation: its multiplications for each pixel of the output.
pub(super) fn weights(op: &Op) -> usize {
    match op {
        Op::Conv(c) => c.channels_in / c.groups * c.kernel.iter().product::<usize>() * c.channels_out,
        Op::Linear(l) => l.features_in * l.features_out,
        _ => 0,
    }
}

/// Offsets of all slots in the memory of one picture before the cut, and in that of a micro-batch
/// after it; and the floats per picture of both.
pub(super) struct Arenas {
    pub(super) offsets: [Vec<usize>; 2],
    pub(super) floats: [usize; 2],
}

impl Arenas {
    pub(super) fn new(slots: &[Slot], cut: usize) -> Self {
        let size = |s: &Slot, here: bool| if here { s.size } else { 0 };
        let early = |s: &Slot| Slot { size: size(s, cut > 0 && s.first <= cut), last: s.last.min(cut), ..*s };
        let late = |s: &Slot| Slot { size: size(s, s.last > cut), first: s.first.max(cut), ..*s };
        let (early, first) = arena::place(&slots.iter().map(early).collect::<Vec<_>>());
        let (late, second) = arena::place(&slots.iter().map(late).collect::<Vec<_>>());
        Self { offsets: [early, late], floats: [first, second] }
    }
}

/// What passes the cut; nothing if no layer is before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// Layers before it.
    pub(super) layers: usize,
    /// Where the last of them leaves its value, and where the next one finds a micro-batch of them.
    pub(super) places: [usize; 2],
    /// Blocks of the value.
    pub(super) blocks: usize,
    /// Floats of a block.
    pub(super) plane: usize,
}

impl Cut {
    /// `places` in the early arena and in the late one.
    pub(super) fn new(layers: usize, places: [Place; 2], [c, h, w]: [usize; 3]) -> Self {
        let blocks = places[0].blocks(c);
        Self { layers, places: places.map(Place::offset), blocks, plane: h * w * LANES }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::network::{NetworkKind, NetworkSpec};
    use super::super::group;
    use super::super::halves::Halves;
    use super::*;

    #[test]
    fn networks_are_cut_where_weights_outweigh_values() {
        for (kind, before) in [
            (NetworkKind::MobileNetV2, "features.7.conv.2"),
            (NetworkKind::Resnet50, "layer3.0.conv3"),
            (NetworkKind::Vgg16, "features.14"),
        ] {
            let graph = NetworkSpec::new(kind).graph().unwrap();
            let groups = group::groups(&graph);
            let lifetimes = Lifetimes::new(&graph, &groups, false, &Halves::none());
            let found = cut(&graph, &groups, &lifetimes, 4);
            let last = |op: &Op| match op {
                Op::Conv(c) => Some(c.name.clone()),
                _ => None,
            };
            let nodes = &graph.nodes()[..groups[found].start];
            assert_eq!(nodes.iter().rev().find_map(|n| last(&n.op)).as_deref(), Some(before), "{kind:?}");
            assert_eq!(cut(&graph, &groups, &lifetimes, 1), 0);
            // Both memories together are smaller than one for all pictures.
            let whole = Arenas::new(&lifetimes.slots, 0).floats;
            let parts = Arenas::new(&lifetimes.slots, found).floats;
            assert!(whole[0] == 0 && parts[0] <= whole[1] && 3 * parts[1] < whole[1], "{parts:?} {whole:?}");
        }
    }
}

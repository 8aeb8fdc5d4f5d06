//! Which nodes of a graph run as one step, and how long each step's result is needed.

use super::super::network::{Conv, Graph, Op, Padding, Value};
use super::arena::Slot;
use super::halves::Halves;
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// Adjacent nodes that run as one step; only the last one's value is kept.
pub(super) type Group = Range<usize>;

/// Cuts a graph into steps: a depthwise convolution takes the 1 × 1 convolutions before and after it
/// into its step where nothing else reads what passes between them (an inverted residual).
pub(super) fn groups(graph: &Graph) -> Vec<Group> {
    let nodes = graph.nodes();
    let mut readers = vec![0; nodes.len()];
    for node in nodes {
        let residual = match &node.op {
            Op::Conv(c) => c.residual,
            _ => None,
        };
        for value in [Some(node.input), residual].into_iter().flatten() {
            if let Value::Node(i) = value {
                readers[i] += 1;
            }
        }
    }
    // Whether node `i` is read by node `i + 1` alone, as its input.
    let feeds_next =
        |i: usize| readers[i] == 1 && nodes.get(i + 1).is_some_and(|next| next.input == Value::Node(i));
    let conv = |i: usize| match nodes.get(i).map(|n| &n.op) {
        Some(Op::Conv(c)) => Some(c),
        _ => None,
    };
    let mut all: Vec<Group> = Vec::new();
    let mut i = 0;
    while i < nodes.len() {
        let depthwise = i + usize::from(conv(i).is_some_and(is_pointwise) && nodes[i].input != Value::Input);
        let fuses = conv(depthwise).is_some_and(is_depthwise)
            && (i..=depthwise).all(feeds_next)
            && nodes[i].input != Value::Input
            && (i..=depthwise).all(|i| !has_residual(&nodes[i].op))
            && conv(depthwise + 1).is_some_and(is_pointwise);
        let end = if fuses { depthwise + 2 } else { i + 1 };
        all.push(i..end);
        i = end;
    }
    all
}

/// 1 × 1, stride 1, over all channels.
pub(super) fn is_pointwise(c: &Conv) -> bool {
    c.groups == 1 && c.kernel == [1, 1] && c.stride == [1, 1] && c.padding == Padding::default()
}

fn is_depthwise(c: &Conv) -> bool {
    c.groups > 1 && c.groups == c.channels_in && c.channels_out == c.channels_in
}

fn has_residual(op: &Op) -> bool {
    matches!(op, Op::Conv(Conv { residual: Some(_), .. }))
}

/// Whether an operation leaves blocked data as it is.
pub(super) fn is_identity(op: &Op, [_, h, w]: [usize; 3]) -> bool {
    match op {
        Op::AdaptiveAvgPool(size) => *size == [h, w],
        Op::GlobalAvgPool | Op::Flatten(_) => h * w == 1,
        Op::Conv(_) | Op::MaxPool(_) | Op::Linear(_) => false,
    }
}

/// A slot per value that needs memory, and the slot each value uses.
pub(super) struct Lifetimes {
    pub(super) slots: Vec<Slot>,
    /// By value: the input, then the nodes. Meaningless for values inside a group.
    slot_of: Vec<usize>,
}

/// Place of a value in lists of all: the input, then the nodes.
pub(super) fn index(value: Value) -> usize {
    match value {
        Value::Input => 0,
        Value::Node(i) => i + 1,
    }
}

impl Lifetimes {
    /// Group `g` runs in step `g + 1`; step 0 blocks the input if a layer needs that.
    pub(super) fn new(graph: &Graph, groups: &[Group], blocked_input: bool, halves: &Halves) -> Self {
        let nodes = graph.nodes();
        let shape = |v: Value| graph.shape(v).unwrap_or_default();
        let size = |v: Value| {
            let [c, h, w] = shape(v);
            halves.floats(v, c, h * w)
        };
        let mut last_use = vec![0; nodes.len() + 1];
        for (g, group) in groups.iter().enumerate() {
            for node in &nodes[group.clone()] {
                last_use[index(node.input)] = g + 1;
                if let Op::Conv(Conv { residual: Some(r), .. }) = &node.op {
                    last_use[index(*r)] = g + 1;
                }
            }
        }
        // The last value is read when everything has run.
        last_use[nodes.len()] = groups.len() + 1;
        let input = if blocked_input { size(Value::Input) } else { 0 };
        let mut slots = vec![Slot { size: input, first: 0, last: last_use[0] }];
        let mut slot_of = vec![0; nodes.len() + 1];
        for (g, group) in groups.iter().enumerate() {
            let (step, last) = (g + 1, group.end - 1);
            let source = slot_of[index(nodes[group.start].input)];
            // A sum replaces its residual where nothing else reads that any more; operations that
            // change nothing keep their input's memory.
            let shared = match &nodes[last].op {
                Op::Conv(Conv { residual: Some(r), .. }) => {
                    let slot = slot_of[index(*r)];
                    (slots[slot].last == step && slot != source).then_some(slot)
                }
                op => is_identity(op, shape(nodes[last].input)).then_some(source),
            };
            let slot = shared.unwrap_or_else(|| {
                slots.push(Slot { size: size(Value::Node(last)), first: step, last: step });
                slots.len() - 1
            });
            slots[slot].last = slots[slot].last.max(last_use[last + 1]).max(step);
            slot_of[last + 1] = slot;
        }
        Self { slots, slot_of }
    }

    /// Whether `value`, written by the group before group `g`, is all that this and later ones read.
    pub(super) fn passes_alone(&self, value: Value, g: usize) -> bool {
        let passes = |s: &Slot| s.size > 0 && s.first <= g && s.last > g;
        passes(&self.slots[self.slot(value)]) && self.slots.iter().filter(|s| passes(s)).count() == 1
    }

    pub(super) fn slot(&self, value: Value) -> usize {
        self.slot_of[index(value)]
    }
}

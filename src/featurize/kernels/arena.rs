//! Where each intermediate picture lies: buffers with disjoint lifetimes share memory.

use alloc::{vec, vec::Vec};

/// A buffer and the steps between which it holds something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Floats per picture.
    pub(super) size: usize,
    /// The step that writes it.
    pub(super) first: usize,
    /// The last step that reads it.
    pub(super) last: usize,
}

/// Offsets of the slots and the size of the whole, largest slot first, each at the lowest offset
/// free during its lifetime (greedy by size: Pisarchyk and Lee, "Efficient Memory Management for
/// Deep Neural Net Inference", 2020).
pub(super) fn place(slots: &[Slot]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_key(|&i| core::cmp::Reverse(slots[i].size));
    let mut offsets = vec![0; slots.len()];
    let mut placed: Vec<usize> = Vec::new(); // sorted by offset
    let mut total = 0;
    for i in order {
        let slot = slots[i];
        let mut at = 0;
        for &j in &placed {
            let other = slots[j];
            let together = slot.first <= other.last && other.first <= slot.last;
            if together {
                if at + slot.size <= offsets[j] {
                    break;
                }
                at = at.max(offsets[j] + other.size);
            }
        }
        offsets[i] = at;
        total = total.max(at + slot.size);
        let index = placed.partition_point(|&j| offsets[j] <= at);
        placed.insert(index, i);
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buffers_alive_together_never_overlap(
            slots in proptest::collection::vec((1usize..100, 0usize..20, 0usize..6), 1..30)
        ) {
            let slots: Vec<Slot> =
                slots.into_iter().map(|(size, first, len)| Slot { size, first, last: first + len }).collect();
            let (offsets, total) = place(&slots);
            for (i, a) in slots.iter().enumerate() {
                prop_assert!(offsets[i] + a.size <= total);
                for (j, b) in slots.iter().enumerate().take(i) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = offsets[i] + a.size <= offsets[j] || offsets[j] + b.size <= offsets[i];
                    prop_assert!(!together || apart, "{i} and {j}");
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let slots: Vec<Slot> = (0..5).map(|i| Slot { size: 10, first: i, last: i + 1 }).collect();
        assert_eq!(place(&slots).1, 20);
    }
}

//! What a head says about one row.

use alloc::{string::String, vec::Vec};

/// The most probable classes of one row, and whether the head knows it at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction<'a> {
    pub(super) classes: &'a [String],
    /// Classes and probabilities, the most probable first; at least one.
    pub(super) top: Vec<(usize, f32)>,
    pub(super) threshold: f32,
}

impl<'a> Prediction<'a> {
    /// The most probable class; `None` for "unknown", if its probability is below the head's threshold.
    pub fn label(&self) -> Option<&'a str> {
        self.class().map(|class| self.name(class))
    }

    /// [`label`](Self::label) as an index into the head's classes.
    pub fn class(&self) -> Option<usize> {
        let (class, probability) = self.first();
        (probability >= self.threshold).then_some(class)
    }

    /// The most probable class, known or not.
    pub fn best(&self) -> &'a str {
        self.name(self.first().0)
    }

    /// Probability of the most probable class.
    pub fn probability(&self) -> f32 {
        self.first().1
    }

    /// The most probable classes with their probabilities, in descending order; of equal ones the
    /// first in the head's order first.
    pub fn top(&self) -> impl ExactSizeIterator<Item = (&'a str, f32)> + '_ {
        self.top.iter().map(|(class, p)| (self.name(*class), *p))
    }

    fn first(&self) -> (usize, f32) {
        self.top.first().copied().unwrap_or((0, 0.0))
    }

    fn name(&self, class: usize) -> &'a str {
        self.classes.get(class).map_or("", String::as_str)
    }
}

/// The `k` largest of `probabilities` with their indices, at least one of them.
pub(super) fn largest(probabilities: &[f32], k: usize) -> Vec<(usize, f32)> {
    let k = k.clamp(1, probabilities.len().max(1));
    let mut top: Vec<(usize, f32)> = Vec::with_capacity(k + 1);
    for (class, p) in probabilities.iter().copied().enumerate() {
        if top.len() < k || top.last().is_some_and(|last| p > last.1) {
            let at = top.partition_point(|other| other.1 >= p);
            top.insert(at, (class, p));
            top.truncate(k);
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_is_a_stable_sort_s_beginning() {
        let p = [0.1, 0.3, 0.05, 0.3, 0.2, 0.05];
        let mut sorted: Vec<(usize, f32)> = p.iter().copied().enumerate().collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        for k in 1..=p.len() {
            assert_eq!(largest(&p, k), sorted[..k]);
        }
        assert_eq!(largest(&p, 0), sorted[..1]);
        assert_eq!(largest(&p, 99), sorted);
    }
}

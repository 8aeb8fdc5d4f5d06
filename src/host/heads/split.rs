//! Which rows are held back: drawn by path and class, so that order and parts don't matter.

use crate::{host::run::hex, rng::Rng, state::Checksum};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How rows were divided, as a head's note keeps it: enough to divide them again.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Division {
    seed: u64,
    share: f64,
    most: usize,
    /// SHA-256 of the rows' paths and labels.
    rows: String,
}

/// Classes with the pictures each has, and what is held back of each.
#[derive(Debug, Default)]
pub(super) struct Split {
    seed: u64,
    draws: BTreeMap<String, Vec<u64>>,
    /// By class: rows whose draw is below this are held back.
    limits: BTreeMap<String, u64>,
    digest: Sha256,
}

impl Split {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Sees a labelled row.
    pub(super) fn see(&mut self, path: &str, label: &str) {
        let draw = self.draw(path);
        for text in [path, label] {
            self.digest.update((text.len() as u64).to_le_bytes());
            self.digest.update(text);
        }
        match self.draws.get_mut(label) {
            Some(draws) => draws.push(draw),
            None => {
                self.draws.insert(String::from(label), Vec::from([draw]));
            }
        }
    }

    /// Divides rows as `division` says; `None` if it was of other rows.
    pub(super) fn again<'r>(
        division: &Division,
        rows: impl Iterator<Item = (&'r str, &'r str)>,
    ) -> Option<Self> {
        let mut split = Self::new(division.seed);
        rows.for_each(|(path, label)| split.see(path, label));
        let same = split.finish(division.share, division.most) == *division;
        same.then_some(split)
    }

    /// Holds back `share` of each class, at most `most` rows in all, and never a class's last row.
    pub(super) fn finish(&mut self, share: f64, most: usize) -> Division {
        let rows = hex(&self.digest.clone().finalize());
        let division = Division { seed: self.seed, share, most, rows };
        let rows: usize = self.draws.values().map(Vec::len).sum();
        let share = share.min(most as f64 / rows.max(1) as f64);
        for (label, draws) in &mut self.draws {
            draws.sort_unstable();
            let back = libm::round(draws.len() as f64 * share) as usize;
            let back = back.min(draws.len().saturating_sub(1));
            self.limits.insert(label.clone(), draws.get(back).copied().unwrap_or(0));
        }
        division
    }

    /// Rows of each class.
    pub(super) fn classes(&self) -> impl ExactSizeIterator<Item = (&str, usize)> {
        self.draws.iter().map(|(label, draws)| (label.as_str(), draws.len()))
    }

    /// Whether a row is held back; `None` for a class that was not seen.
    pub(super) fn holds_back(&self, path: &str, label: &str) -> Option<bool> {
        Some(self.draw(path) < *self.limits.get(label)?)
    }

    fn draw(&self, path: &str) -> u64 {
        let mut sum = Checksum::default();
        sum.update(path.as_bytes());
        Rng::new(sum.finish() ^ self.seed).next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn split(n: usize, share: f64, most: usize) -> (usize, usize) {
        let mut split = Split::new(3);
        let path = |i: usize| format!("a/{i}.jpg");
        (0..n).for_each(|i| split.see(&path(i), "a"));
        split.see("b/only.jpg", "b");
        split.finish(share, most);
        assert_eq!(split.holds_back("b/only.jpg", "b"), Some(false));
        assert_eq!(split.holds_back("c/1.jpg", "c"), None);
        let back = (0..n).filter(|i| split.holds_back(&path(*i), "a") == Some(true)).count();
        (back, split.classes().len())
    }

    #[test]
    fn shares_are_exact_and_every_class_keeps_a_row() {
        assert_eq!(split(100, 0.15, 1000), (15, 2));
        assert_eq!(split(2, 0.9, 1000), (1, 2));
        assert_eq!(split(1, 0.5, 1000), (0, 2));
        assert_eq!(split(3, 0.15, 1000), (0, 2));
        assert_eq!(split(999, 0.5, 100), (100, 2));
        assert_eq!(split(10, 0.0, 100), (0, 2));
    }
}

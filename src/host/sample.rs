//! Seeded samples of rows.

use crate::rng::Rng;
use alloc::{string::String, vec::Vec};
use sha2::{Digest, Sha256};

/// `m` of `n` indices in ascending order, all of them if there are no more; the same for a seed.
pub(crate) fn sample(n: usize, m: usize, seed: u64) -> Vec<usize> {
    if n <= m {
        return (0..n).collect();
    }
    // Selection sampling: each index with the chance that fills what is left.
    let mut rng = Rng::new(seed ^ 0x5A4D_504C);
    let mut chosen = Vec::with_capacity(m);
    for i in 0..n {
        if rng.unit() * ((n - i) as f64) < (m - chosen.len()) as f64 {
            chosen.push(i);
        }
    }
    chosen
}

/// The rows `which` of `[n, d]` values.
pub(crate) fn gather(values: &[f32], d: usize, which: &[usize]) -> Vec<f32> {
    which.iter().filter_map(|&i| values.get(i * d..(i + 1) * d)).flatten().copied().collect()
}

/// Numbers for names, in the names' order; rows without a name have none.
pub(crate) fn number<'a>(
    labels: impl Iterator<Item = Option<&'a str>> + Clone,
) -> (Vec<&'a str>, Vec<Option<u32>>) {
    let mut names: Vec<&str> = labels.clone().flatten().collect();
    names.sort_unstable();
    names.dedup();
    let of = |label: &str| names.binary_search(&label).ok().and_then(|i| u32::try_from(i).ok());
    let numbers = labels.map(|l| l.and_then(of)).collect();
    (names, numbers)
}

/// Tells whether a result was made of these values: SHA-256 of them, row after row.
#[derive(Clone, Default)]
pub(crate) struct ValuesDigest(Sha256);

impl ValuesDigest {
    pub(crate) fn of(values: &[f32]) -> String {
        let mut digest = Self::default();
        digest.add(values);
        digest.finish()
    }

    pub(crate) fn add(&mut self, values: &[f32]) {
        self.0.update(bytemuck::cast_slice::<f32, u8>(values));
    }

    pub(crate) fn finish(self) -> String {
        crate::host::run::hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_ascending_and_exact() {
        let chosen = sample(1000, 37, 5);
        assert_eq!(chosen.len(), 37);
        assert!(chosen.windows(2).all(|w| w[0] < w[1]) && chosen[36] < 1000);
        assert_eq!(chosen, sample(1000, 37, 5));
        assert_ne!(chosen, sample(1000, 37, 6));
        assert_eq!(sample(3, 10, 0), [0, 1, 2]);
    }
}

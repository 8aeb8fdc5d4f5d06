//! First centres: k-means++ and its greedy form.

use super::{
    Seeding,
    lanes::{GROUP, Packed},
};
use crate::rng::Rng;
use alloc::{vec, vec::Vec};
use pulp::{Arch, Simd, WithSimd};

/// Rows summed together: few enough to be searched quickly for the one a draw falls on.
const BLOCK: usize = 512;

/// `k` rows of `[n, d]` as first centres, `[k, d]`; needs n ≥ k ≥ 1.
pub(super) fn draw(seeding: Seeding, rows: &[f32], d: usize, k: usize, rng: &mut Rng) -> Vec<f32> {
    let n = rows.len() / d;
    let row = |i: usize| &rows[i * d..(i + 1) * d];
    let trials = match seeding {
        Seeding::PlusPlus => 1,
        Seeding::Greedy => (2 + libm::log(k as f64) as usize).min(GROUP),
    };
    let first = rng.below(n);
    let mut centres = Vec::with_capacity(k * d);
    centres.extend_from_slice(row(first));
    // Squared distance of each row to the centres drawn so far.
    let mut near = vec![f32::INFINITY; n];
    let mut tried = vec![0f32; n * trials];
    let mut sums = distances(rows, d, row(first), 1, &near, &mut tried);
    take(&mut near, &tried, 1, 0);
    let mut chosen = 0;
    let mut candidates = Vec::with_capacity(trials * d);
    for _ in 1..k {
        let blocks: Vec<f64> = sums.iter().map(|s| s[chosen]).collect();
        candidates.clear();
        for _ in 0..trials {
            candidates.extend_from_slice(row(weighted(&near, &blocks, rng)));
        }
        sums = distances(rows, d, &candidates, trials, &near, &mut tried);
        let total = |c: usize| sums.iter().map(|s| s[c]).sum::<f64>();
        let totals: Vec<f64> = (0..trials).map(total).collect();
        chosen = (1..trials).fold(0, |best, c| if totals[c] < totals[best] { c } else { best });
        centres.extend_from_slice(&candidates[chosen * d..(chosen + 1) * d]);
        take(&mut near, &tried, trials, chosen);
    }
    centres
}

/// Makes the distances of candidate `chosen` those to the nearest centre.
fn take(near: &mut [f32], tried: &[f32], trials: usize, chosen: usize) {
    near.iter_mut().zip(tried.chunks_exact(trials)).for_each(|(near, tried)| *near = tried[chosen]);
}

/// Distances if each candidate, `[trials, d]`, became a centre: of each row into `tried`,
/// `[n, trials]`; their sums over each block of rows are returned.
fn distances(
    rows: &[f32],
    d: usize,
    candidates: &[f32],
    trials: usize,
    near: &[f32],
    tried: &mut [f32],
) -> Vec<[f64; GROUP]> {
    let packed = Packed::new(candidates, d);
    let block =
        |((rows, near), tried)| Arch::new().dispatch(Block { packed: &packed, trials, rows, d, near, tried });
    let n = near.len();
    let tried = &mut tried[..n * trials];
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        let blocks = rows.par_chunks(BLOCK * d).zip(near.par_chunks(BLOCK));
        blocks.zip(tried.par_chunks_mut(BLOCK * trials)).map(block).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        let blocks = rows.chunks(BLOCK * d).zip(near.chunks(BLOCK));
        blocks.zip(tried.chunks_mut(BLOCK * trials)).map(block).collect()
    }
}

struct Block<'a> {
    packed: &'a Packed,
    trials: usize,
    rows: &'a [f32],
    d: usize,
    near: &'a [f32],
    tried: &'a mut [f32],
}

impl WithSimd for Block<'_> {
    type Output = [f64; GROUP];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f64; GROUP] {
        let mut sums = [0f64; GROUP];
        let mut out = [f32::INFINITY; GROUP];
        let rows = self.rows.chunks_exact(self.d).zip(self.near);
        for ((row, near), tried) in rows.zip(self.tried.chunks_exact_mut(self.trials)) {
            self.packed.squared(simd, row, 0, self.trials, &mut out);
            for ((out, sum), tried) in out.iter().zip(&mut sums).zip(tried) {
                *tried = out.min(*near);
                *sum += f64::from(*tried);
            }
        }
        sums
    }
}

/// An index with probability proportional to its weight, `blocks` being the weights' sums; any index
/// if all weights are zero.
fn weighted(weights: &[f32], blocks: &[f64], rng: &mut Rng) -> usize {
    let total: f64 = blocks.iter().sum();
    if total <= 0.0 {
        return rng.below(weights.len());
    }
    let mut left = rng.unit() * total;
    for (number, (sum, weights)) in blocks.iter().zip(weights.chunks(BLOCK)).enumerate() {
        if left >= *sum {
            left -= sum;
            continue;
        }
        for (i, w) in weights.iter().enumerate() {
            left -= f64::from(*w);
            if left < 0.0 {
                return number * BLOCK + i;
            }
        }
    }
    // Rounding used up the sum: the last row with any weight.
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
}

//! First centres: k-means++ and its greedy form.

use super::Seeding;
use crate::{classify::distance::squared, rng::Rng};
use alloc::{vec, vec::Vec};

/// `k` rows of `[n, d]` as first centres, `[k, d]`; needs n ≥ k ≥ 1.
pub(super) fn draw(seeding: Seeding, rows: &[f32], d: usize, k: usize, rng: &mut Rng) -> Vec<f32> {
    let n = rows.len() / d;
    let row = |i: usize| &rows[i * d..(i + 1) * d];
    let trials = match seeding {
        Seeding::PlusPlus => 1,
        Seeding::Greedy => 2 + libm::log(k as f64) as usize,
    };
    let first = rng.below(n);
    let mut centres = Vec::with_capacity(k * d);
    centres.extend_from_slice(row(first));
    // Squared distance of each row to the centres drawn so far.
    let mut nearest: Vec<f32> = rows.chunks_exact(d).map(|r| squared(r, row(first))).collect();
    let (mut candidate, mut best) = (vec![0f32; n], vec![0f32; n]);
    for _ in 1..k {
        let total: f64 = nearest.iter().map(|v| f64::from(*v)).sum();
        let mut best_total = f64::INFINITY;
        let mut chosen = 0;
        for _ in 0..trials {
            let i = weighted(&nearest, total, rng);
            let mut sum = 0.0;
            for ((c, r), near) in candidate.iter_mut().zip(rows.chunks_exact(d)).zip(&nearest) {
                *c = squared(r, row(i)).min(*near);
                sum += f64::from(*c);
            }
            if sum < best_total {
                (best_total, chosen) = (sum, i);
                core::mem::swap(&mut best, &mut candidate);
            }
        }
        centres.extend_from_slice(row(chosen));
        core::mem::swap(&mut nearest, &mut best);
    }
    centres
}

/// An index with probability proportional to its weight; any index if all weights are zero.
fn weighted(weights: &[f32], total: f64, rng: &mut Rng) -> usize {
    if total <= 0.0 {
        return rng.below(weights.len());
    }
    let mut left = rng.unit() * total;
    for (i, w) in weights.iter().enumerate() {
        left -= f64::from(*w);
        if left < 0.0 {
            return i;
        }
    }
    // Rounding used up the sum: the last row with any weight.
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
}

//! Squared Euclidean distances of many rows to few centres, as one matrix product a block.

use alloc::{vec, vec::Vec};
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};

/// Rows a block: its products with a few hundred centres stay in L2.
pub(super) const BLOCK: usize = 128;

/// ‖a − b‖² by differences, accurate also when the two are close.
pub(super) fn squared(a: &[f32], b: &[f32]) -> f32 {
    // Eight partial sums let the compiler use vector registers.
    let mut sums = [0f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            let d = x[i] - y[i];
            sums[i] += d * d;
        }
    }
    sums.iter().sum::<f32>() + tail
}

pub(super) fn squared_norm(a: &[f32]) -> f32 {
    a.iter().map(|x| x * x).sum()
}

/// The nearest and second nearest centre of one row, by squared distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Nearest {
    pub(super) index: usize,
    pub(super) best: f32,
    pub(super) second: f32,
}

/// Centres with their norms and the scratch memory a block needs.
pub(super) struct Centres {
    columns: usize,
    norms: Vec<f32>,
    products: Vec<f32>,
}

impl Centres {
    pub(super) fn new(centres: &[f32], columns: usize) -> Self {
        let norms: Vec<f32> = centres.chunks_exact(columns).map(squared_norm).collect();
        Self { columns, products: vec![0.0; norms.len() * BLOCK], norms }
    }

    pub(super) fn refresh(&mut self, centres: &[f32]) {
        for (norm, centre) in self.norms.iter_mut().zip(centres.chunks_exact(self.columns)) {
            *norm = squared_norm(centre);
        }
    }

    /// Calls `found` with the index of each row of `rows` (at most [`BLOCK`] rows) and its nearest
    /// centres. Distances come from ‖x‖² + ‖c‖² − 2x·c; the nearest's is computed anew by
    /// differences, because the expansion cancels where it is small.
    pub(super) fn nearest(&mut self, centres: &[f32], rows: &[f32], mut found: impl FnMut(usize, Nearest)) {
        let (d, k) = (self.columns, self.norms.len());
        let n = rows.len() / d;
        debug_assert!(n <= BLOCK);
        let products = &mut self.products[..n * k];
        matmul(
            MatMut::from_row_major_slice_mut(products, n, k),
            Accum::Replace,
            MatRef::from_row_major_slice(rows, n, d),
            MatRef::from_row_major_slice(centres, k, d).transpose(),
            -2.0f32,
            Par::Seq,
        );
        for (i, (row, products)) in rows.chunks_exact(d).zip(products.chunks_exact(k)).enumerate() {
            let (mut index, mut best, mut second) = (0, f32::INFINITY, f32::INFINITY);
            for (j, (product, norm)) in products.iter().zip(&self.norms).enumerate() {
                let distance = product + norm;
                if distance < best {
                    (index, second, best) = (j, best, distance);
                } else if distance < second {
                    second = distance;
                }
            }
            let norm = squared_norm(row);
            let best = squared(row, &centres[index * d..(index + 1) * d]);
            found(i, Nearest { index, best, second: (second + norm).max(best) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn equals_plain_loops() {
        let mut rng = Rng::new(7);
        for (n, k, d) in [(1, 1, 1), (5, 3, 2), (BLOCK, 17, 50), (33, 131, 20)] {
            let mut draw = |m: usize| (0..m).map(|_| rng.unit() as f32 - 0.5).collect::<Vec<_>>();
            let (rows, centres) = (draw(n * d), draw(k * d));
            let mut seen = 0;
            Centres::new(&centres, d).nearest(&centres, &rows, |i, got| {
                let row = &rows[i * d..(i + 1) * d];
                let mut all: Vec<f32> = centres.chunks(d).map(|c| squared(row, c)).collect();
                assert!(got.best - all.iter().copied().fold(f32::INFINITY, f32::min) < 1e-5);
                all.sort_by(f32::total_cmp);
                if k > 1 {
                    assert!((got.second - all[1]).abs() < 1e-4, "{} {}", got.second, all[1]);
                }
                seen += 1;
            });
            assert_eq!(seen, n);
        }
    }
}

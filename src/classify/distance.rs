//! Squared Euclidean distances of many rows to few centres, as one matrix product a block, and what
//! such products need.

use crate::pca::Rows;
use alloc::{vec, vec::Vec};
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};
use pulp::Arch;

/// Rows a block: its products with a few hundred centres stay in L2.
pub(crate) const BLOCK: usize = 128;

/// ‖a − b‖² by differences, accurate also when the two are close.
#[inline]
pub(crate) fn squared(a: &[f32], b: &[f32]) -> f32 {
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

pub(crate) fn squared_norm(a: &[f32]) -> f32 {
    a.iter().map(|x| x * x).sum()
}

/// Mean of each column, in `f64`; zeros without rows.
pub(crate) fn column_means(rows: Rows<'_>) -> Vec<f64> {
    let mut mean = vec![0f64; rows.columns()];
    for row in rows.data().chunks_exact(rows.columns()) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
    }
    mean.iter_mut().for_each(|m| *m /= rows.len().max(1) as f64);
    mean
}

/// The rows less `mean`: distances by products lose digits far from the origin.
pub(crate) fn centred(rows: Rows<'_>, mean: &[f64]) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.data().len());
    for row in rows.data().chunks_exact(rows.columns()) {
        out.extend(row.iter().zip(mean).map(|(v, m)| (f64::from(*v) - m) as f32));
    }
    out
}

/// −2·A·Bᵀ of `a`, `[n, d]`, and `b`, `[m, d]`, into `out`, `[n, m]`: with ‖b‖² added, squared
/// distances but for ‖a‖², which ranks the rows of `b` alike.
pub(crate) fn minus_twice_products(a: &[f32], b: &[f32], d: usize, out: &mut [f32]) {
    let (n, m) = (a.len() / d, b.len() / d);
    matmul(
        MatMut::from_row_major_slice_mut(out, n, m),
        Accum::Replace,
        MatRef::from_row_major_slice(a, n, d),
        MatRef::from_row_major_slice(b, m, d).transpose(),
        -2.0f32,
        Par::Seq,
    );
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

    /// Calls `found` with the number of each of `rows` (at most [`BLOCK`]) and its nearest centres.
    /// Which is nearest comes from ‖c‖² − 2x·c; the distance to it is computed anew by differences,
    /// because the expansion cancels where it is small.
    pub(super) fn nearest(&mut self, centres: &[f32], rows: &[f32], mut found: impl FnMut(usize, Nearest)) {
        let (d, k) = (self.columns, self.norms.len());
        let n = rows.len() / d;
        debug_assert!(n <= BLOCK);
        let products = &mut self.products[..n * k];
        minus_twice_products(rows, centres, d, products);
        let mut least = [(0, 0.0); BLOCK];
        Arch::new().dispatch(|| {
            for (least, products) in least.iter_mut().zip(products.chunks_exact(k)) {
                *least = least_sums(products, &self.norms);
            }
        });
        for (i, (row, (index, second))) in rows.chunks_exact(d).zip(least).enumerate() {
            let best = squared(row, &centres[index * d..(index + 1) * d]);
            found(i, Nearest { index, best, second: (second + squared_norm(row)).max(best) });
        }
    }
}

/// The nearest centre of a row, and the squared distances to it and to the second nearest; infinite
/// without a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Nearest {
    pub(super) index: usize,
    pub(super) best: f32,
    pub(super) second: f32,
}

/// Where `a + b` is least (of equal sums any), and the second least of the sums.
#[inline(always)]
fn least_sums(a: &[f32], b: &[f32]) -> (usize, f32) {
    let ((a8, ra), (b8, rb)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let (mut least, mut next, mut at) = ([f32::INFINITY; 8], [f32::INFINITY; 8], [0u32; 8]);
    for (number, (a, b)) in (0u32..).zip(a8.iter().zip(b8)) {
        for lane in 0..8 {
            let sum = a[lane] + b[lane];
            let less = sum < least[lane];
            let loser = if less { least[lane] } else { sum };
            next[lane] = if loser < next[lane] { loser } else { next[lane] };
            least[lane] = if less { sum } else { least[lane] };
            at[lane] = if less { number } else { at[lane] };
        }
    }
    let (mut best, mut second, mut index) = (f32::INFINITY, f32::INFINITY, 0);
    let mut take = |sum: f32, i: usize| {
        if sum < best {
            (best, second, index) = (sum, best, i);
        } else if sum < second {
            second = sum;
        }
    };
    for lane in 0..8 {
        take(least[lane], at[lane] as usize * 8 + lane);
        take(next[lane], usize::MAX); // never the least: its lane has one before it
    }
    for (i, (a, b)) in ra.iter().zip(rb).enumerate() {
        take(a + b, a8.len() * 8 + i);
    }
    (index, second)
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
                assert_eq!(got.best, squared(row, &centres[got.index * d..(got.index + 1) * d]));
                let mut all: Vec<f32> = centres.chunks(d).map(|c| squared(row, c)).collect();
                all.sort_by(f32::total_cmp);
                assert!(got.best - all[0] < 1e-5);
                match all.get(1) {
                    Some(second) => assert!((got.second - second).abs() < 1e-4, "{} {second}", got.second),
                    None => assert_eq!(got.second, f32::INFINITY),
                }
                seen += 1;
            });
            assert_eq!(seen, n);
        }
    }
}

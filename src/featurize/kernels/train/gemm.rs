//! Matrix products of row-major matrices on all threads, summed in a fixed order.

use alloc::{vec, vec::Vec};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Columns that one task computes.
const BLOCK: usize = 4096;

/// `a · b`: `[m, k]` times `[k, p]`; with `transposed`, `a` is `[k, m]`.
pub(super) fn product(a: &[f32], b: &[f32], [m, k, p]: [usize; 3], transposed: bool) -> Vec<f32> {
    let mut out = vec![0.0; m * p];
    let lhs = if transposed {
        MatRef::from_row_major_slice(a, k, m).transpose()
    } else {
        MatRef::from_row_major_slice(a, m, k)
    };
    let rhs = MatRef::from_row_major_slice(b, k, p);
    let dst = MatMut::from_row_major_slice_mut(&mut out, m, p);
    if p < 2 * BLOCK {
        matmul(dst, Accum::Replace, lhs, rhs, 1.0, Par::rayon(0));
    } else {
        dst.par_col_chunks_mut(BLOCK).enumerate().for_each(|(i, part)| {
            let columns = part.ncols();
            matmul(part, Accum::Replace, lhs, rhs.subcols(i * BLOCK, columns), 1.0, Par::Seq);
        });
    }
    out
}

/// `a · bᵀ`: `[m, p]` times `[k, p]` transposed, to `[m, k]`. The inner sum is cut in blocks of fixed
/// size, added in order.
pub(super) fn product_transposed(a: &[f32], b: &[f32], [m, k, p]: [usize; 3]) -> Vec<f32> {
    let (lhs, rhs) = (MatRef::from_row_major_slice(a, m, p), MatRef::from_row_major_slice(b, k, p));
    let partial: Vec<Vec<f32>> = (0..p.div_ceil(BLOCK))
        .into_par_iter()
        .map(|i| {
            let columns = BLOCK.min(p - i * BLOCK);
            let mut out = vec![0.0; m * k];
            let (l, r) = (lhs.subcols(i * BLOCK, columns), rhs.subcols(i * BLOCK, columns));
            let dst = MatMut::from_row_major_slice_mut(&mut out, m, k);
            matmul(dst, Accum::Replace, l, r.transpose(), 1.0, Par::Seq);
            out
        })
        .collect();
    let mut parts = partial.into_iter();
    let mut sum = parts.next().unwrap_or_else(|| vec![0.0; m * k]);
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(s, v)| *s += v);
    }
    sum
}

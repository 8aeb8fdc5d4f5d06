//! Leading eigenpairs of the co-moment of few rows.
//!
//! Of `n` centred rows at most `n − 1` directions vary, so `n` steps of Cholesky's method with pivoting
//! take the whole matrix `L·Lᵀ`; with `L = Q·R`, its eigenpairs are those of the small `R·Rᵀ`, turned by
//! `Q`. Each step is accurate to rounding relative to the largest eigenvalue, as the reduction of the
//! whole matrix is, and vectors are orthonormal whatever the spectrum. `O(d·n²)` instead of `O(d³)`.

use super::{
    eigen::{self, Leading, Wanted},
    kernels,
};
use crate::Result;
use alloc::{vec, vec::Vec};
use faer::{Accum, MatMut, MatRef, linalg::matmul::matmul};

/// Leading eigenpairs of the `d × d` matrix of rank `n` at most whose lower triangle is in `a`, column
/// after column; `None` if its rank is larger, or a value isn't finite.
pub(super) fn leading(a: &[f64], d: usize, n: usize, wanted: Wanted) -> Result<Option<Leading>> {
    let Some(factor) = cholesky(a, d, n) else { return Ok(None) };
    let qr = MatRef::from_column_major_slice(&factor, d, n).qr();
    let r = qr.thin_R();
    let mut small = vec![0.0; n * n];
    let into = MatMut::from_column_major_slice_mut(&mut small, n, n);
    // The factors' strictly lower part is zero in R, so the whole product may be formed.
    matmul(into, Accum::Replace, r, r.transpose(), 1.0, eigen::par());
    let Leading { values, vectors } = eigen::leading(small, n, wanted)?;
    let k = values.len();
    let mut turned = vec![0.0; k * d];
    matmul(
        MatMut::from_column_major_slice_mut(&mut turned, d, k),
        Accum::Replace,
        qr.compute_thin_Q().as_ref(),
        MatRef::from_column_major_slice(&vectors, n, k),
        1.0,
        eigen::par(),
    );
    Ok(Some(Leading { values, vectors: turned }))
}

/// `[n][d]`, `L` by columns, zeros once nothing is left; `None` if more than rounding is left.
fn cholesky(a: &[f64], d: usize, n: usize) -> Option<Vec<f64>> {
    let kernels = kernels::best();
    let mut diagonal: Vec<f64> = a.iter().step_by(d + 1).copied().collect();
    let largest = diagonal.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    if !diagonal.iter().all(|v| v.is_finite()) {
        return None;
    }
    let rounding = 8.0 * f64::EPSILON * n as f64 * largest;
    let mut factor = vec![0.0; d * n];
    let mut by = Vec::with_capacity(n);
    let mut pivots = Vec::with_capacity(n);
    let pivot = |diagonal: &[f64]| {
        diagonal.iter().enumerate().max_by(|x, y| x.1.total_cmp(y.1)).map(|(i, v)| (i, *v))
    };
    for k in 0..n {
        let (p, left) = pivot(&diagonal)?;
        if left <= rounding {
            break;
        }
        let (known, rest) = factor.split_at_mut(k * d);
        let column = rest.get_mut(..d)?;
        // The column of the symmetric matrix: a row of the triangle as far as the diagonal.
        let above = a.iter().skip(p).step_by(d);
        column.iter_mut().zip(above).take(p).for_each(|(c, v)| *c = *v);
        column.iter_mut().skip(p).zip(a.get(p * d + p..(p + 1) * d)?).for_each(|(c, v)| *c = *v);
        by.clear();
        by.extend(known.chunks_exact(d).map(|l| -l.get(p).copied().unwrap_or(0.0)));
        kernels.combine(known, d, &by, column);
        let scale = 1.0 / libm::sqrt(left);
        column.iter_mut().for_each(|c| *c *= scale);
        pivots.iter().for_each(|q: &usize| column.iter_mut().skip(*q).take(1).for_each(|c| *c = 0.0));
        pivots.push(p);
        diagonal.iter_mut().zip(column.iter()).for_each(|(d, c)| *d -= c * c);
        diagonal.iter_mut().skip(p).take(1).for_each(|d| *d = 0.0);
    }
    let (_, left) = pivot(&diagonal)?;
    // What is left of a matrix of the promised rank is the rounding of its entries.
    (left <= 64.0 * rounding && factor.iter().all(|v| v.is_finite())).then_some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// The co-moment of `n` centred rows of `d` values; every fourth row repeats the one before it.
    fn moment(n: usize, d: usize, scale: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut rng = Rng::new(n as u64);
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for i in 0..n {
            let new = (0..d).map(|_| (rng.unit() - 0.5) * scale(i)).collect();
            rows.push(if i % 4 == 3 { rows[i - 1].clone() } else { new });
        }
        for j in 0..d {
            let mean = rows.iter().map(|r| r[j]).sum::<f64>() / n as f64;
            rows.iter_mut().for_each(|r| r[j] -= mean);
        }
        let mut a = vec![0.0; d * d];
        for j in 0..d {
            for i in j..d {
                a[j * d + i] = rows.iter().map(|r| r[i] * r[j]).sum();
            }
        }
        a
    }

    #[test]
    fn equals_the_reduction_of_the_whole_matrix() {
        let shapes = if cfg!(miri) { &[(3, 12)][..] } else { &[(2, 8), (3, 12), (10, 64), (40, 170)] };
        for &(n, d) in shapes {
            // Even variances, and some that fall by six orders.
            for fall in [0.0, -14.0] {
                let a = moment(n, d, |i| libm::exp(fall * i as f64 / n as f64));
                let found = leading(&a, d, n, Wanted::Count(n)).unwrap().expect("rank below n");
                let whole = eigen::leading(a.clone(), d, Wanted::Count(n)).unwrap();
                let tolerance = 1e-14 * whole.values[0] * d as f64;
                for (x, y) in found.values.iter().zip(&whole.values) {
                    assert!((x - y).abs() <= tolerance, "{n} {d}: {x} {y}");
                }
                let at = |i: usize, j: usize| if i >= j { a[j * d + i] } else { a[i * d + j] };
                for (k, z) in found.vectors.chunks(d).enumerate() {
                    for (l, other) in found.vectors.chunks(d).enumerate() {
                        let dot: f64 = z.iter().zip(other).map(|(x, y)| x * y).sum();
                        assert!((dot - f64::from(u8::from(k == l))).abs() < 1e-13, "{n} {d} {k} {l} {dot}");
                    }
                    for i in 0..d {
                        let image: f64 = (0..d).map(|j| at(i, j) * z[j]).sum();
                        assert!((image - found.values[k] * z[i]).abs() <= tolerance);
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_a_larger_rank_and_overflow() {
        let none = leading(&[0.0; 64], 8, 2, Wanted::Count(2)).unwrap().unwrap();
        assert_eq!(none.values, [0.0, 0.0]);
        let a = moment(16, 32, |_| 1.0);
        assert!(leading(&a, 32, 6, Wanted::Count(2)).unwrap().is_none());
        assert!(leading(&[f64::INFINITY; 64], 8, 2, Wanted::Count(2)).unwrap().is_none());
    }
}

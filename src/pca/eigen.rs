//! Leading eigenpairs of a symmetric matrix.
//!
//! Reduction to tridiagonal form, bisection for the leading eigenvalues only, inverse
//! iteration for their vectors, back-transformation of those vectors alone: the way of LAPACK's
//! `dsyevx`. Where that does not pay, or a vector's residual is not at rounding level, divide and
//! conquer computes all of them. Either way the result is accurate to rounding whatever the spectrum.

use super::{
    kernels,
    reduce::{Columns, tridiagonalise},
    tridiagonal::Tridiagonal,
};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{boxed::Box, vec, vec::Vec};
use core::mem;
use faer::{
    MatMut, Par,
    diag::{DiagMut, DiagRef},
    dyn_stack::{MemBuffer, MemStack},
    linalg::evd::{self, ComputeEigenvectors},
};

/// Which eigenpairs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// The largest `n`.
    Count(usize),
    /// The fewest whose sum reaches `target`, at most `most`.
    Sum { target: f64, most: usize },
}

/// Eigenvalues in descending order and their unit eigenvectors.
#[derive(Debug)]
pub(crate) struct Leading {
    pub(crate) values: Vec<f64>,
    /// `[values.len(), d]`, a vector a row.
    pub(crate) vectors: Vec<f64>,
}

/// The parallelism of this build.
pub(crate) fn par() -> Par {
    #[cfg(feature = "rayon")]
    let par = Par::rayon(0);
    #[cfg(not(feature = "rayon"))]
    let par = Par::Seq;
    par
}

/// Leading eigenpairs of the `d × d` matrix whose lower triangle is in `a`, column after column.
///
/// # Errors
/// [`ErrorKind::NonFinite`] if values overflow, [`ErrorKind::Unsupported`] if no algorithm converges,
/// which no finite matrix is known to cause.
pub(crate) fn leading(a: Vec<f64>, d: usize, wanted: Wanted) -> Result<Leading> {
    leading_of(
        Box::new(move |j, to: &mut [f64]| to.copy_from_slice(&a[j * (d + 1)..][..to.len()])),
        d,
        wanted,
    )
}

/// [`leading`] of the matrix with these columns.
pub(super) fn leading_of(columns: Columns, d: usize, wanted: Wanted) -> Result<Leading> {
    pooled(move || solve(columns, d, wanted))
}

/// On a thread of the pool: bisection and turning back have tasks too short to be waited for from outside.
fn pooled<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "rayon")]
    return rayon::join(work, || ()).0;
    #[cfg(not(feature = "rayon"))]
    work()
}

fn solve(columns: Columns, d: usize, wanted: Wanted) -> Result<Leading> {
    if d < 2 {
        let mut values = vec![0.0; d];
        columns(0, &mut values);
        return Ok(Leading { values, vectors: vec![1.0; d] });
    }
    let kernels = kernels::best();
    let mut reduced = tridiagonalise(kernels, columns, d).ok_or_else(|| {
        let m = "the covariance is not a matrix of its columns; this is a defect of the program";
        Error::new(ErrorKind::Unsupported, Stage::Pca, m)
    })?;
    let (diagonal, off) = (mem::take(&mut reduced.diagonal), mem::take(&mut reduced.off));
    if diagonal.iter().chain(&off).any(|v| !v.is_finite()) {
        let m = "the covariance leaves the range of f64; check the features for extreme values";
        return Err(Error::new(ErrorKind::NonFinite, Stage::Pca, m));
    }
    let t = Tridiagonal::new(diagonal, off);
    // Beyond an eighth of them, reorthogonalisation costs more than divide and conquer.
    let partial = t.largest(wanted, d / 8).and_then(|values| Some((t.vectors(&values)?, values)));
    let (mut vectors, values) = match partial {
        Some(found) => found,
        None => all(&t, d, wanted, par())?,
    };
    reduced.turn_back(kernels, d, &mut vectors);
    Ok(Leading { values, vectors })
}

/// The vectors and values of every eigenpair by divide and conquer, cut to those wanted.
fn all(t: &Tridiagonal, d: usize, wanted: Wanted, par: Par) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut ascending = vec![0.0; d];
    let mut vectors = vec![0.0; d * d];
    let scratch = evd::self_adjoint_evd_scratch::<f64>(d, ComputeEigenvectors::Yes, par, Default::default());
    evd::tridiagonal_self_adjoint_evd(
        DiagRef::from_slice(t.diagonal()),
        DiagRef::from_slice(t.off_diagonal()),
        DiagMut::from_slice_mut(&mut ascending),
        Some(MatMut::from_column_major_slice_mut(&mut vectors, d, d)),
        par,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| {
        let m = "the eigenvalues of the covariance do not converge; check the features for extreme values";
        Error::new(ErrorKind::Unsupported, Stage::Pca, m)
    })?;
    let mut values: Vec<f64> = ascending.into_iter().rev().collect();
    let mut sum = 0.0;
    let k = match wanted {
        Wanted::Count(k) => k,
        Wanted::Sum { target, most } => {
            let reached = values.iter().position(|v| {
                sum += v.max(0.0);
                sum >= target
            });
            reached.map_or(most, |i| i + 1).min(most)
        }
    }
    .min(d);
    values.truncate(k);
    Ok((vectors.chunks_exact(d).rev().take(k).flatten().copied().collect(), values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use faer::{Mat, MatRef};

    /// A symmetric matrix with these eigenvalues, by random reflections.
    fn with_spectrum(values: &[f64], seed: u64) -> Mat<f64> {
        let d = values.len();
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5
        };
        let mut a = Mat::from_fn(d, d, |i, j| if i == j { values[i] } else { 0.0 });
        for _ in 0..4 {
            let v = Mat::from_fn(d, 1, |_, _| next());
            let norm = v.squared_norm_l2();
            let h = Mat::<f64>::identity(d, d) - faer::Scale(2.0 / norm) * &v * v.transpose();
            a = &h * a * &h;
        }
        a
    }

    fn check(a: &Mat<f64>, found: &Leading, expected: &[f64]) {
        let (d, k) = (a.nrows(), found.values.len());
        let norm = expected.iter().fold(0.0f64, |m, v| m.max(v.abs())).max(1e-300);
        let tolerance = 1e-15 * norm * d as f64;
        for (v, e) in found.values.iter().zip(expected) {
            assert!((v - e).abs() <= tolerance, "{v} for {e}");
        }
        let z = MatRef::from_column_major_slice(&found.vectors, d, k);
        let gram = z.transpose() * z;
        let residual = a * z;
        for j in 0..k {
            for i in 0..k {
                let unit = if i == j { 1.0 } else { 0.0 };
                assert!((gram[(i, j)] - unit).abs() < 1e-13, "{i} {j} {}", gram[(i, j)]);
            }
            for i in 0..d {
                let r = residual[(i, j)] - found.values[j] * z[(i, j)];
                assert!(r.abs() <= 20.0 * tolerance, "residual {r} of pair {j}");
            }
        }
    }

    fn run(mut spectrum: Vec<f64>, wanted: Wanted, k: usize) {
        let d = spectrum.len();
        let a = with_spectrum(&spectrum, d as u64);
        let flat = (0..d * d).map(|i| a[(i % d, i / d)]).collect();
        let found = leading(flat, d, wanted).unwrap();
        spectrum.sort_by(|x, y| y.total_cmp(x));
        assert_eq!(found.values.len(), k);
        check(&a, &found, &spectrum);
    }

    const D: usize = if cfg!(miri) { 16 } else { 160 };

    #[test]
    fn few_of_a_decaying_spectrum() {
        run((0..D).map(|i| libm::exp(-(i as f64) / 4.0)).collect(), Wanted::Count(D / 8), D / 8);
    }

    #[test]
    fn multiple_eigenvalues_keep_orthogonal_vectors() {
        run((0..D).map(|i| if i < D / 2 { 3.0 } else { 1.0 }).collect(), Wanted::Count(D / 8), D / 8);
        run(vec![2.0; D], Wanted::Count(D / 8), D / 8);
        run(vec![0.0; D], Wanted::Count(2), 2);
    }

    #[test]
    fn more_than_the_rank() {
        let mut spectrum = vec![0.0; D];
        spectrum[..3].copy_from_slice(&[5.0, 4.0, 1e-3]);
        run(spectrum, Wanted::Count(D / 8), D / 8);
    }

    #[test]
    fn all_of_them() {
        run((0..D).map(|i| i as f64).collect(), Wanted::Count(D), D);
        run(vec![4.0, 1.0], Wanted::Count(2), 2);
        run(vec![4.0], Wanted::Count(1), 1);
    }

    #[test]
    fn overflow_is_an_error() {
        for bad in [f64::MAX, f64::INFINITY, f64::NAN] {
            let e = leading(vec![bad; D * D], D, Wanted::Count(1)).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NonFinite);
        }
    }

    #[test]
    fn as_few_as_reach_a_sum() {
        let mut spectrum = vec![0.0; D];
        spectrum[..4].copy_from_slice(&[8.0, 4.0, 2.0, 1.0]);
        run(spectrum.clone(), Wanted::Sum { target: 11.9, most: D }, 2);
        run(spectrum.clone(), Wanted::Sum { target: 12.1, most: D }, 3);
        run(spectrum.clone(), Wanted::Sum { target: 100.0, most: 5 }, 5);
        run(vec![1.0; D], Wanted::Sum { target: D as f64 - 0.5, most: D }, D);
    }
}

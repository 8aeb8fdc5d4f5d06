//! Householder reduction of a symmetric matrix to tridiagonal form, by panels: within a panel the
//! matrix is only read, one triangle once a column; then one product brings it up to date (Dongarra,
//! Sorensen and Hammarling, "Block reduction of matrices to condensed forms", 1989).

use super::kernels::{Kernels, Pair, Side, add_lower};
use alloc::{vec, vec::Vec};

/// Columns between two updates of the matrix.
const PANEL: usize = if cfg!(miri) { 4 } else { 32 };

/// Rows from which the product with the matrix is worth the threads.
#[cfg(feature = "rayon")]
const MANY: usize = if cfg!(miri) { 16 } else { 256 };

/// What the reduction leaves beside the reflectors' tails in the matrix.
pub(super) struct Reduced {
    pub(super) diagonal: Vec<f64>,
    /// One shorter than the diagonal.
    pub(super) off: Vec<f64>,
    /// `‖v‖² / 2` of each reflector `I − 2·v·vᵀ/‖v‖²` with `v₀ = 1`; infinite for the identity.
    pub(super) taus: Vec<f64>,
}

/// Reduces the `d × d` matrix whose lower triangle is in `a`, column after column. Column `j` keeps
/// its reflector's tail from row `j + 2` on.
pub(super) fn tridiagonalise(kernels: &Kernels, a: &mut [f64], d: usize) -> Reduced {
    let mut reduced =
        Reduced { diagonal: vec![0.0; d], off: vec![0.0; d - 1], taus: vec![f64::INFINITY; d - 1] };
    // The panel's reflectors and their images in turn, `[2 · PANEL][d]`.
    let mut vw = vec![0.0; 2 * PANEL * d];
    let mut scratch = Scratch { product: vec![vec![0.0; d]; threads()], sums: vec![vec![0.0; d]; threads()] };
    let mut pair = Pair::default();
    let mut start = 0;
    while start < d {
        let width = PANEL.min(d - start);
        for k in 0..width {
            column(kernels, a, d, start, k, &mut vw, &mut scratch, &mut reduced);
        }
        let next = start + width;
        if next < d {
            update(kernels, a, d, next, width, &vw, &mut pair);
        }
        start = next;
    }
    reduced
}

struct Scratch {
    /// A partial product for each thread.
    product: Vec<Vec<f64>>,
    /// Likewise, the part that comes from the transpose.
    sums: Vec<Vec<f64>>,
}

/// Column `start + k`: brings it up to date, makes its reflector and the reflector's image.
#[allow(clippy::too_many_arguments)]
fn column(
    kernels: &Kernels,
    a: &mut [f64],
    d: usize,
    start: usize,
    k: usize,
    vw: &mut [f64],
    scratch: &mut Scratch,
    out: &mut Reduced,
) {
    let j = start + k;
    let (known, rest) = vw.split_at_mut(2 * k * d);
    let (v, rest) = rest.split_at_mut(d);
    let w = &mut rest[..d];
    let mut by = [0.0; 2 * PANEL];
    // a −= V·wⱼ + W·vⱼ.
    for l in 0..k {
        (by[2 * l], by[2 * l + 1]) = (-known[(2 * l + 1) * d + j], -known[2 * l * d + j]);
    }
    let from = known.get(j..).unwrap_or_default();
    kernels.combine(from, d, &by[..2 * k], &mut a[j * d + j..(j + 1) * d]);
    out.diagonal[j] = a[j * d + j];
    if j + 1 == d {
        return;
    }
    let below = j + 1;
    let (off, tau) = reflector(&mut a[j * d + below..(j + 1) * d]);
    out.off[j] = off;
    out.taus[j] = tau;
    v[..below].fill(0.0);
    v[below] = 1.0;
    v[below + 1..].copy_from_slice(&a[j * d + below + 1..(j + 1) * d]);
    w.fill(0.0);
    if tau.is_infinite() {
        v[below] = 0.0;
        return;
    }
    // w = (A − V·Wᵀ − W·Vᵀ)·v / tau, then made such that A − v·wᵀ − w·vᵀ is the reflected matrix.
    let (v, w) = (&v[below..], &mut w[below..]);
    multiply(kernels, &a[below * d + below..], d, v, w, scratch);
    let mut dots = [0.0; 2 * PANEL];
    let from = known.get(below..).unwrap_or_default();
    kernels.dots(from, d, v, &mut dots[..2 * k]);
    for l in 0..k {
        (by[2 * l], by[2 * l + 1]) = (-dots[2 * l + 1], -dots[2 * l]);
    }
    kernels.combine(from, d, &by[..2 * k], w);
    let inverse = 1.0 / tau;
    let mut along = [0.0];
    kernels.dots(w, d, v, &mut along);
    let back = -0.5 * inverse * inverse * along[0];
    w.iter_mut().zip(v).for_each(|(w, v)| *w = *w * inverse + back * v);
}

/// Replaces `x` by `[·, v₁, …]` of the reflector that takes it to `[beta, 0, …]`; returns `beta` and
/// half the square of `v`.
fn reflector(x: &mut [f64]) -> (f64, f64) {
    let Some((head, tail)) = x.split_first_mut() else { return (0.0, f64::INFINITY) };
    let squares = |by: f64, x: &[f64]| x.iter().fold(0.0, |sum, v| sum + (v * by) * (v * by));
    let mut tail_norm = libm::sqrt(squares(1.0, tail));
    if !(1e-140..1e140).contains(&tail_norm) {
        let largest = tail.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        if largest < f64::MIN_POSITIVE {
            return (*head, f64::INFINITY);
        }
        tail_norm = largest * libm::sqrt(squares(1.0 / largest, tail));
    }
    let beta = -libm::copysign(libm::hypot(*head, tail_norm), *head);
    let by = 1.0 / (*head - beta);
    tail.iter_mut().for_each(|v| *v *= by);
    let ratio = tail_norm * by;
    (beta, 0.5 * (1.0 + ratio * ratio))
}

/// `y = A·x` for the symmetric `A` whose lower triangle's columns are `stride` apart.
fn multiply(kernels: &Kernels, a: &[f64], stride: usize, x: &[f64], y: &mut [f64], scratch: &mut Scratch) {
    let m = x.len();
    #[cfg(feature = "rayon")]
    if m >= MANY && scratch.product.len() > 1 {
        use rayon::prelude::*;
        let parts = scratch.product.len();
        // Equal areas of the triangle, so that a thread meets the same columns every time.
        let bound = |t: usize| {
            let part = 1.0 - libm::sqrt(1.0 - t as f64 / parts as f64);
            if t == parts { m } else { (part * m as f64) as usize / 4 * 4 }
        };
        let work = scratch.product.par_iter_mut().zip(&mut scratch.sums).enumerate().with_max_len(1);
        work.for_each(|(t, (product, sums))| {
            triangle(kernels, a, stride, x, bound(t), bound(t + 1), &mut product[..m], &mut sums[..m]);
        });
        for (t, (product, sums)) in scratch.product.iter().zip(&scratch.sums).enumerate() {
            let (first, last) = (bound(t), bound(t + 1));
            y[first..].iter_mut().zip(&product[first..m]).for_each(|(y, p)| *y += p);
            y[first..last].iter_mut().zip(&sums[first..last]).for_each(|(y, s)| *y += s);
        }
        return;
    }
    if let (Some(product), Some(sums)) = (scratch.product.first_mut(), scratch.sums.first_mut()) {
        triangle(kernels, a, stride, x, 0, m, &mut product[..m], &mut sums[..m]);
        y.iter_mut().zip(product).zip(sums).for_each(|((y, p), s)| *y += *p + *s);
    }
}

/// The columns from `first` to `last`: their product with `x` to `product`, that of their transpose
/// without the diagonal to `sums`.
#[allow(clippy::too_many_arguments)]
fn triangle(
    kernels: &Kernels,
    a: &[f64],
    stride: usize,
    x: &[f64],
    first: usize,
    last: usize,
    product: &mut [f64],
    sums: &mut [f64],
) {
    let m = x.len();
    product[first..].fill(0.0);
    sums[first..last].fill(0.0);
    for c in (first..last).step_by(4) {
        let width = 4.min(last - c);
        corner(&a[c * stride + c..], stride, &x[c..c + width], &mut product[c..], &mut sums[c..]);
        let below = c + width;
        if below < m {
            let columns = &a[c * stride + below..];
            let transposed = (&x[below..], &mut sums[c..below]);
            kernels.both(columns, stride, transposed, (&x[c..below], &mut product[below..]));
        }
    }
}

/// The first `x.len()` rows of as many columns, at most four.
fn corner(a: &[f64], stride: usize, x: &[f64], product: &mut [f64], sums: &mut [f64]) {
    let n = x.len();
    let (product, sums) = (&mut product[..n], &mut sums[..n]);
    for l in 0..n {
        let column = &a[l * stride..][..n];
        product[l] += column[l] * x[l];
        for i in l + 1..n {
            product[i] += column[i] * x[l];
            sums[l] += column[i] * x[i];
        }
    }
}

/// `A −= V·Wᵀ + W·Vᵀ` from row and column `next` on.
#[allow(clippy::too_many_arguments)]
fn update(
    kernels: &Kernels,
    a: &mut [f64],
    d: usize,
    next: usize,
    width: usize,
    vw: &[f64],
    pair: &mut Pair,
) {
    let m = d - next;
    let Pair { left, right } = pair;
    left.reshape(kernels, Side::Left, [2 * width, m]);
    right.reshape(kernels, Side::Right, [2 * width, m]);
    let mut negative = vec![0.0; m];
    for (k, column) in vw.chunks_exact(d).take(2 * width).enumerate() {
        left.set_row(k, &column[next..]);
        negative.iter_mut().zip(&column[next..]).for_each(|(n, v)| *n = -v);
        right.set_row(k ^ 1, &negative);
    }
    add_lower(kernels, left, right, &mut a[next * d + next..], d);
}

fn threads() -> usize {
    #[cfg(feature = "rayon")]
    let threads = rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    let threads = 1;
    threads
}

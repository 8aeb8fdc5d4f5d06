//! `C += Aᵀ·B`, lower triangle, for operands in [`Panels`].
//!
//! Tiles of `C` stay in registers while the depth goes by; with AVX-512 24 × 8 values, 11 loads for 24
//! FMAs. A stripe of columns of `C` is one task: its part of `B` stays in the second-level cache while
//! panels of `A` come by, each used for all of the stripe.

use super::{
    isa::Kernels,
    panels::{Panels, WIDTH},
    simd::Doubles,
};

/// Most depth a tile takes at once, and one for the row that a block of rows has more: its operands,
/// `(24 + 8) · 8` bytes a step, stay in near caches.
const DEPTH: usize = 257;

/// Columns of a stripe.
const STRIPE: usize = 2 * WIDTH;

/// One tile of the product.
pub(super) struct Tile {
    /// `[depth]` rows of the tile's height.
    a: *const f64,
    /// `[depth]` rows of the tile's width.
    b: *const f64,
    depth: usize,
    /// Columns of the tile's height, `stride` apart; added to.
    c: *mut f64,
    stride: usize,
}

/// A tile of `MV` registers by `NR` columns.
///
/// # Safety
/// The pointers of `t` are valid for what its fields say; `c` overlaps neither operand.
#[inline(always)]
pub(super) unsafe fn tile<S: Doubles, const MV: usize, const NR: usize>(s: S, t: &Tile) {
    // SAFETY: all accesses are to `depth` rows of the operands and to the `MV` registers of each of
    // `NR` columns of `c`.
    unsafe {
        for j in 0..NR {
            for i in (0..MV * S::LANES).step_by(8) {
                s.prefetch(t.c.add(j * t.stride + i));
            }
        }
        let mut acc = [[s.splat(0.0); MV]; NR];
        let (mut a, mut b) = (t.a, t.b);
        let height = MV * S::LANES;
        for _ in 0..t.depth / 4 {
            step::<S, MV, NR>(s, a, b, &mut acc);
            step::<S, MV, NR>(s, a.add(height), b.add(NR), &mut acc);
            step::<S, MV, NR>(s, a.add(2 * height), b.add(2 * NR), &mut acc);
            step::<S, MV, NR>(s, a.add(3 * height), b.add(3 * NR), &mut acc);
            (a, b) = (a.add(4 * height), b.add(4 * NR));
        }
        for _ in 0..t.depth % 4 {
            step::<S, MV, NR>(s, a, b, &mut acc);
            (a, b) = (a.add(height), b.add(NR));
        }
        for (j, acc) in acc.iter().enumerate() {
            for (i, v) in acc.iter().enumerate() {
                let c = t.c.add(j * t.stride + i * S::LANES);
                s.store(c, s.add(s.load(c), *v));
            }
        }
    }
}

/// One step of the depth.
///
/// # Safety
/// `a` is valid for `MV` registers, `b` for `NR` values.
#[inline(always)]
unsafe fn step<S: Doubles, const MV: usize, const NR: usize>(
    s: S,
    a: *const f64,
    b: *const f64,
    acc: &mut [[S::V; MV]; NR],
) {
    // SAFETY: the caller's promise covers each access.
    unsafe {
        let a: [S::V; MV] = core::array::from_fn(|i| s.load(a.add(i * S::LANES)));
        for (j, acc) in acc.iter_mut().enumerate() {
            let x = s.splat(*b.add(j));
            for i in 0..MV {
                acc[i] = s.fma(a[i], x, acc[i]);
            }
        }
    }
}

/// Adds the lower triangle of `aᵀ·b` to `c`, whose columns start `stride` values apart.
///
/// # Panics
/// If the shapes don't fit: a defect of the caller.
pub(in super::super) fn add_lower(kernels: &Kernels, a: &Panels, b: &Panels, c: &mut [f64], stride: usize) {
    let m = a.columns();
    assert!(b.columns() == m && b.depth() == a.depth() && m <= stride, "operands of one shape");
    assert!([a.width(), b.width()] == kernels.tile, "a left and a right operand");
    if m == 0 || a.depth() == 0 {
        return;
    }
    let c = &mut c[..(m - 1) * stride + m];
    let stripe = |first: usize, c: &mut [f64]| {
        add_stripe(kernels, (a, first, 0), (b, first), &mut c[first..], stride);
    };
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        let stripes = c.par_chunks_mut(STRIPE * stride).enumerate().with_max_len(1);
        stripes.for_each(|(i, c)| stripe(i * STRIPE, c));
    }
    #[cfg(not(feature = "rayon"))]
    for (i, c) in c.chunks_mut(STRIPE * stride).enumerate() {
        stripe(i * STRIPE, c);
    }
}

/// A part of the product: columns of `C` from the first one's diagonal on, as many as `c` has. `b` has them
/// from its column `at` on; `a` has `C`'s rows from row `top` of the part on, from its column `from` on. `from`
/// and `at` are multiples of [`WIDTH`].
pub(in super::super) fn add_stripe(
    kernels: &Kernels,
    (a, from, top): (&Panels, usize, usize),
    (b, at): (&Panels, usize),
    c: &mut [f64],
    stride: usize,
) {
    let (m, n, depth) = (a.columns(), c.len().div_ceil(stride), a.depth());
    let [rows, columns] = kernels.tile;
    assert!(from.is_multiple_of(WIDTH) && at.is_multiple_of(WIDTH), "whole widths");
    assert!(b.depth() == depth && at + n <= b.columns(), "operands of one shape");
    let parts = depth.div_ceil(DEPTH).max(1);
    for part in 0..parts {
        let (begin, end) = (part * depth / parts, (part + 1) * depth / parts);
        for i in (from..m).step_by(rows) {
            let a = &a.panel(i / rows)[begin * rows..];
            let row = top + i - from;
            for j in (0..n).step_by(columns) {
                if row + rows <= j {
                    continue; // above the diagonal
                }
                let b = &b.panel((at + j) / columns)[begin * columns..];
                let fits = i + rows <= m && j + columns <= n && row + 1 >= j + columns;
                if fits {
                    add_tile(kernels, a, b, end - begin, &mut c[j * stride + row..], stride);
                } else {
                    let mut edge = [0.0; WIDTH * 8];
                    add_tile(kernels, a, b, end - begin, &mut edge, WIDTH);
                    for (j, edge) in (j..n.min(j + columns)).zip(edge.chunks_exact(WIDTH)) {
                        for i in row.max(j)..(top + m - from).min(row + rows) {
                            c[j * stride + i] += edge[i - row];
                        }
                    }
                }
            }
        }
    }
}

fn add_tile(kernels: &Kernels, a: &[f64], b: &[f64], depth: usize, c: &mut [f64], stride: usize) {
    let [rows, columns] = kernels.tile;
    if depth == 0 {
        return;
    }
    assert!(a.len() >= depth * rows && b.len() >= depth * columns);
    assert!(c.len() >= (columns - 1) * stride + rows);
    let t = Tile { a: a.as_ptr(), b: b.as_ptr(), depth, c: c.as_mut_ptr(), stride };
    // SAFETY: the lengths were checked; `kernels` are supported by this processor.
    unsafe { (kernels.product)(&t) }
}

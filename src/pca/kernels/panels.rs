//! Columns packed side by side for the product, `f64`.

use super::{isa::Kernels, simd::Doubles};
use crate::featurize::kernels::large_pages;
use alloc::vec::Vec;

/// Columns that are packed together: a multiple of every instruction set's tile in both directions.
pub(in super::super) const WIDTH: usize = 24;

/// Widths that one task centres: so that it reads a few cache lines of each row.
const STRIPE: usize = 4;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f64; 8]);

const LINES: usize = WIDTH / 8;

/// A `depth × columns` matrix as panels `[columns / width][depth][width]`, as wide as the tile that reads
/// them in order; the last one that has columns is filled with zeros.
#[derive(Default)]
pub(in super::super) struct Panels {
    lines: Vec<Line>,
    depth: usize,
    columns: usize,
    width: usize,
}

impl Panels {
    /// Takes another shape, as the product's left operand or as its right one; what the panels hold is
    /// unspecified but for being initialised.
    pub(in super::super) fn reshape(&mut self, kernels: &Kernels, side: Side, [depth, columns]: [usize; 2]) {
        let lines = columns.div_ceil(WIDTH) * depth * LINES;
        if lines > self.lines.capacity() {
            self.lines = large_pages::with_capacity(lines);
        }
        self.lines.resize(lines, Line([0.0; 8]));
        (self.depth, self.columns, self.width) = (depth, columns, kernels.tile[side as usize]);
    }

    pub(in super::super) fn depth(&self) -> usize {
        self.depth
    }

    pub(in super::super) fn columns(&self) -> usize {
        self.columns
    }

    /// Columns of a panel.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// `[depth][width]` of a panel.
    pub(super) fn panel(&self, i: usize) -> &[f64] {
        // SAFETY: `Line` is `repr(C)` around eight values and has no padding.
        let values =
            unsafe { core::slice::from_raw_parts(self.lines.as_ptr().cast::<f64>(), self.lines.len() * 8) };
        let size = self.depth * self.width;
        &values[i * size..(i + 1) * size]
    }

    /// All values, panel after panel.
    fn values_mut(&mut self) -> &mut [f64] {
        // SAFETY: as in `panel`; the borrow is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 8) }
    }

    /// Sets row `k` to `values`, one for each column.
    pub(in super::super) fn set_row(&mut self, k: usize, values: &[f64]) {
        let (width, size) = (self.width, self.depth * self.width);
        for (panel, values) in self.values_mut().chunks_exact_mut(size.max(1)).zip(values.chunks(width)) {
            let row = &mut panel[k * width..(k + 1) * width];
            row.fill(0.0);
            row[..values.len()].copy_from_slice(values);
        }
    }
}

/// Which operand of the product.
#[derive(Clone, Copy)]
pub(in super::super) enum Side {
    Left,
    Right,
}

/// The two operands of a product of rows with themselves.
#[derive(Default)]
pub(in super::super) struct Pair {
    pub(in super::super) left: Panels,
    pub(in super::super) right: Panels,
}

impl Pair {
    /// Fills the first `rows.len() / mean.len()` rows with `rows` less their mean, which goes to
    /// `mean`; a last row is left to the caller. Each column is summed from the first row to the last,
    /// whatever the number of threads.
    pub(in super::super) fn centre(&mut self, kernels: &Kernels, rows: &[f32], mean: &mut [f64]) {
        let d = mean.len();
        let n = rows.len() / d;
        self.left.reshape(kernels, Side::Left, [n + 1, d]);
        self.right.reshape(kernels, Side::Right, [n + 1, d]);
        let (wide, size) = (STRIPE * WIDTH, (n + 1) * WIDTH);
        let stripe = |first: usize, mean: &mut [f64], left: &mut [f64], right: &mut [f64]| {
            let out = left.chunks_exact_mut(size).zip(right.chunks_exact_mut(size));
            for ((i, mean), (left, right)) in mean.chunks_mut(WIDTH).enumerate().zip(out) {
                let first = first + i * WIDTH;
                if mean.len() == WIDTH {
                    centre_width(kernels, (&rows[first..], d), n, mean, [left, right]);
                } else {
                    let mut padded = alloc::vec![0.0f32; n * WIDTH];
                    for (to, from) in padded.chunks_exact_mut(WIDTH).zip(rows.chunks_exact(d)) {
                        to[..mean.len()].copy_from_slice(&from[first..]);
                    }
                    let mut all = [0.0; WIDTH];
                    centre_width(kernels, (&padded, WIDTH), n, &mut all, [left, right]);
                    mean.copy_from_slice(&all[..mean.len()]);
                }
            }
        };
        let (left, right) = (self.left.values_mut(), self.right.values_mut());
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            let out = left.par_chunks_mut(STRIPE * size).zip(right.par_chunks_mut(STRIPE * size));
            let stripes = mean.par_chunks_mut(wide).zip(out).enumerate();
            stripes.for_each(|(i, (mean, (left, right)))| stripe(i * wide, mean, left, right));
        }
        #[cfg(not(feature = "rayon"))]
        {
            let out = left.chunks_mut(STRIPE * size).zip(right.chunks_mut(STRIPE * size));
            for (i, (mean, (left, right))) in mean.chunks_mut(wide).zip(out).enumerate() {
                stripe(i * wide, mean, left, right);
            }
        }
    }
}

/// Rows of one width, of which there are `n`, a stride apart; the panels have one row more.
fn centre_width(
    kernels: &Kernels,
    (rows, stride): (&[f32], usize),
    n: usize,
    mean: &mut [f64],
    [left, right]: [&mut [f64]; 2],
) {
    assert!(n == 0 || rows.len() >= (n - 1) * stride + WIDTH);
    assert!(mean.len() == WIDTH && left.len() == (n + 1) * WIDTH && right.len() == left.len());
    let out = [left.as_mut_ptr(), right.as_mut_ptr()];
    let c = Centre { rows: rows.as_ptr(), stride, n, mean: mean.as_mut_ptr(), out };
    // SAFETY: the lengths were checked; `kernels` are supported by this processor.
    unsafe { (kernels.centre)(&c) }
}

/// Rows to be centred.
pub(super) struct Centre {
    rows: *const f32,
    /// Values from a row to the next.
    stride: usize,
    n: usize,
    /// `[WIDTH]`, written.
    mean: *mut f64,
    /// Panels `[WIDTH / width][n + 1][width]` of the left and of the right operand, written but for
    /// their last row.
    out: [*mut f64; 2],
}

/// For panels of widths `LEFT` and `RIGHT`.
///
/// # Safety
/// The pointers of `c` are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn centre<S: Doubles, const LEFT: usize, const RIGHT: usize>(s: S, c: &Centre) {
    const { assert!(WIDTH.is_multiple_of(LEFT) && WIDTH.is_multiple_of(RIGHT)) };
    // SAFETY: every access is to one of the `n` rows of `WIDTH` values that the caller vouches for.
    unsafe {
        // A third of a width at a time: few enough registers everywhere.
        for first in (0..WIDTH).step_by(8) {
            let mut sum = [s.splat(0.0); 8];
            let vectors = 8 / S::LANES;
            for k in 0..c.n {
                let row = c.rows.add(k * c.stride + first);
                for (v, sum) in sum.iter_mut().enumerate().take(vectors) {
                    *sum = s.add(*sum, s.widen(row.add(v * S::LANES)));
                }
            }
            for (v, sum) in sum.iter().enumerate().take(vectors) {
                s.store(c.mean.add(first + v * S::LANES), *sum);
            }
        }
        for j in 0..WIDTH {
            *c.mean.add(j) /= c.n as f64;
        }
        let mut values = [0.0; WIDTH];
        for k in 0..c.n {
            let row = c.rows.add(k * c.stride);
            for j in (0..WIDTH).step_by(S::LANES) {
                let x = s.sub(s.widen(row.add(j)), s.load(c.mean.add(j)));
                s.store(values.as_mut_ptr().add(j), x);
            }
            spread::<LEFT>(&values, c.out[0].add(k * LEFT), c.n + 1);
            spread::<RIGHT>(&values, c.out[1].add(k * RIGHT), c.n + 1);
        }
    }
}

/// A row's values to their panels of `depth` rows.
///
/// # Safety
/// `out` is a row of the first of `WIDTH / W` panels that are valid for writing.
#[inline(always)]
unsafe fn spread<const W: usize>(values: &[f64; WIDTH], out: *mut f64, depth: usize) {
    for (p, part) in values.as_chunks::<W>().0.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { out.add(p * depth * W).cast::<[f64; W]>().write(*part) }
    }
}

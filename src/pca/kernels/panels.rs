//! Columns packed side by side for the product, `f64`.

use super::{isa::Kernels, simd::Doubles};
use alloc::vec::Vec;

/// Columns of a panel: a multiple of every instruction set's tile in both directions, and whole cache
/// lines, so that one packing serves both operands of a product.
pub(super) const WIDTH: usize = 24;

/// Columns that one task centres: a few panels, so that it reads a few cache lines of each row.
const STRIPE: usize = 4;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f64; 8]);

const LINES: usize = WIDTH / 8;

/// A `depth × columns` matrix as `[columns / WIDTH][depth][WIDTH]`, the last panel filled with zeros.
#[derive(Default)]
pub(in super::super) struct Panels {
    lines: Vec<Line>,
    depth: usize,
    columns: usize,
}

impl Panels {
    /// Takes another shape; what the panels hold is unspecified but for being initialised.
    pub(in super::super) fn reshape(&mut self, depth: usize, columns: usize) {
        self.lines.resize(columns.div_ceil(WIDTH) * depth * LINES, Line([0.0; 8]));
        (self.depth, self.columns) = (depth, columns);
    }

    pub(in super::super) fn depth(&self) -> usize {
        self.depth
    }

    pub(in super::super) fn columns(&self) -> usize {
        self.columns
    }

    /// `[depth · WIDTH]` of a panel, from a cache line's start.
    pub(super) fn panel(&self, i: usize) -> &[f64] {
        let size = self.depth * LINES;
        let lines = &self.lines[i * size..(i + 1) * size];
        // SAFETY: `Line` is `repr(C)` around eight values and has no padding.
        unsafe { core::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 8) }
    }

    /// All values, panel after panel.
    fn values_mut(&mut self) -> &mut [f64] {
        // SAFETY: as in `panel`; the borrow is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 8) }
    }

    /// Sets row `k` to `values`, one for each column.
    pub(in super::super) fn set_row(&mut self, k: usize, values: &[f64]) {
        let size = self.depth * WIDTH;
        for (panel, values) in self.values_mut().chunks_exact_mut(size.max(1)).zip(values.chunks(WIDTH)) {
            let row = &mut panel[k * WIDTH..(k + 1) * WIDTH];
            row.fill(0.0);
            row[..values.len()].copy_from_slice(values);
        }
    }

    /// Fills the first `rows.len() / mean.len()` rows with `rows` less their mean, which goes to
    /// `mean`; a last row is left to the caller. Each column is summed from the first row to the last,
    /// whatever the number of threads.
    pub(in super::super) fn centre(&mut self, kernels: &Kernels, rows: &[f32], mean: &mut [f64]) {
        let d = mean.len();
        let n = rows.len() / d;
        self.reshape(n + 1, d);
        let (wide, size) = (STRIPE * WIDTH, (n + 1) * WIDTH);
        let stripe = |first: usize, mean: &mut [f64], out: &mut [f64]| {
            for ((i, mean), out) in mean.chunks_mut(WIDTH).enumerate().zip(out.chunks_exact_mut(size)) {
                let first = first + i * WIDTH;
                if mean.len() == WIDTH {
                    centre_panel(kernels, &rows[first..], d, n, mean, out);
                } else {
                    let mut padded = alloc::vec![0.0f32; n * WIDTH];
                    for (to, from) in padded.chunks_exact_mut(WIDTH).zip(rows.chunks_exact(d)) {
                        to[..mean.len()].copy_from_slice(&from[first..]);
                    }
                    let mut all = [0.0; WIDTH];
                    centre_panel(kernels, &padded, WIDTH, n, &mut all, out);
                    mean.copy_from_slice(&all[..mean.len()]);
                }
            }
        };
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            let out = self.values_mut().par_chunks_mut(STRIPE * size);
            let stripes = mean.par_chunks_mut(wide).zip(out).enumerate();
            stripes.for_each(|(i, (mean, out))| stripe(i * wide, mean, out));
        }
        #[cfg(not(feature = "rayon"))]
        for (i, (mean, out)) in
            mean.chunks_mut(wide).zip(self.values_mut().chunks_mut(STRIPE * size)).enumerate()
        {
            stripe(i * wide, mean, out);
        }
    }
}

/// One panel's rows: `n` of them, `stride` apart.
fn centre_panel(kernels: &Kernels, rows: &[f32], stride: usize, n: usize, mean: &mut [f64], out: &mut [f64]) {
    assert!(n == 0 || rows.len() >= (n - 1) * stride + WIDTH);
    assert!(mean.len() == WIDTH && out.len() >= n * WIDTH);
    let c = Centre { rows: rows.as_ptr(), stride, n, mean: mean.as_mut_ptr(), out: out.as_mut_ptr() };
    // SAFETY: the lengths were checked; `kernels` are supported by this processor.
    unsafe { (kernels.centre)(&c) }
}

/// Rows to be centred, a panel wide.
pub(super) struct Centre {
    rows: *const f32,
    /// Values from a row to the next.
    stride: usize,
    n: usize,
    /// `[WIDTH]`, written.
    mean: *mut f64,
    /// `[n][WIDTH]`, written.
    out: *mut f64,
}

/// # Safety
/// The pointers of `c` are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn centre<S: Doubles>(s: S, c: &Centre) {
    // SAFETY: every access is to one of the `n` rows of `WIDTH` values that the caller vouches for.
    unsafe {
        // A third of a panel at a time: few enough registers everywhere.
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
        for k in 0..c.n {
            let (row, out) = (c.rows.add(k * c.stride), c.out.add(k * WIDTH));
            for j in (0..WIDTH).step_by(S::LANES) {
                s.store(out.add(j), s.sub(s.widen(row.add(j)), s.load(c.mean.add(j))));
            }
        }
    }
}

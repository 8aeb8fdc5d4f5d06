//! Columns packed side by side for the product, `f64`.

use super::{isa::Kernels, lines::Lines, simd::Doubles};
use alloc::vec::Vec;

/// Columns that are packed together: a multiple of every instruction set's tile in both directions.
pub(in super::super) const WIDTH: usize = 24;

/// Widths that one task centres: so that it reads a few cache lines of each row.
#[cfg(feature = "rayon")]
const STRIPE: usize = 4;

/// A `depth × columns` matrix as panels `[columns / width][depth][width]`; the last one that has columns is
/// filled with zeros.
#[derive(Default)]
pub(in super::super) struct Panels {
    values: Lines,
    depth: usize,
    columns: usize,
    width: usize,
}

impl Panels {
    /// Takes another shape, as the product's left operand or as its right one; what the panels hold is
    /// unspecified but for being initialised.
    pub(in super::super) fn reshape(&mut self, kernels: &Kernels, side: Side, [depth, columns]: [usize; 2]) {
        self.values.resize(columns.next_multiple_of(WIDTH) * depth);
        (self.depth, self.columns, self.width) = (depth, columns, kernels.widths[side as usize]);
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

    /// From column `j`'s first row on, rows of its panel, [`width`](Self::width) values each.
    pub(super) fn from(&self, j: usize) -> &[f64] {
        let (size, panel) = (self.depth * self.width, j / self.width);
        &self.values[panel * size + j % self.width..(panel + 1) * size]
    }

    /// Sets row `k` to `values`, one for each column.
    pub(in super::super) fn set_row(&mut self, k: usize, values: &[f64]) {
        let (width, size) = (self.width, self.depth * self.width);
        for (panel, values) in self.values.chunks_exact_mut(size.max(1)).zip(values.chunks(width.max(1))) {
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

/// The two operands of a product of rows with themselves: one, where both have panels of the same width.
#[derive(Default)]
pub(in super::super) struct Pair {
    left: Panels,
    right: Option<Panels>,
}

impl Pair {
    /// As [`Panels::reshape`].
    pub(super) fn reshape(&mut self, kernels: &Kernels, shape: [usize; 2]) {
        self.left.reshape(kernels, Side::Left, shape);
        let [left, right] = kernels.widths;
        self.right = (left != right).then(|| self.right.take().unwrap_or_default());
        if let Some(right) = &mut self.right {
            right.reshape(kernels, Side::Right, shape);
        }
    }

    /// Makes `rows`, those of one slice after those of the other, less their mean, the first rows of the operands;
    /// a last row is left to the caller. The mean goes to `mean`. Each column is summed from the first row to the
    /// last, whatever the number of threads.
    pub(in super::super) fn centre(&mut self, kernels: &Kernels, rows: [&[f32]; 2], mean: &mut [f64]) {
        let d = mean.len();
        let n = rows[0].len() / d + rows[1].len() / d;
        self.reshape(kernels, [n + 1, d]);
        let mut right = self.right.as_mut().map(|right| right.values.chunks_exact_mut((n + 1) * WIDTH));
        let left = self.left.values.chunks_exact_mut((n + 1) * WIDTH);
        let widths: Vec<_> = mean
            .chunks_mut(WIDTH)
            .zip(left)
            .map(|(mean, left)| (mean, [left, right.as_mut().and_then(Iterator::next).unwrap_or_default()]))
            .collect();
        let centre = |(i, (mean, out)): (usize, (&mut [f64], _))| {
            let first = i * WIDTH;
            if mean.len() == WIDTH {
                centre_width(kernels, (rows.map(|r| r.get(first..).unwrap_or_default()), d), n, mean, out);
            } else {
                let mut padded = alloc::vec![0.0f32; n * WIDTH];
                let all = rows.iter().flat_map(|rows| rows.chunks_exact(d));
                for (to, from) in padded.chunks_exact_mut(WIDTH).zip(all) {
                    to[..mean.len()].copy_from_slice(&from[first..]);
                }
                let mut all = [0.0; WIDTH];
                centre_width(kernels, ([&padded, &[]], WIDTH), n, &mut all, out);
                mean.copy_from_slice(&all[..mean.len()]);
            }
        };
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            widths.into_par_iter().enumerate().with_max_len(STRIPE).for_each(centre);
        }
        #[cfg(not(feature = "rayon"))]
        widths.into_iter().enumerate().for_each(centre);
    }

    /// Sets row `k` of both operands.
    pub(in super::super) fn set_row(&mut self, k: usize, values: &[f64]) {
        self.left.set_row(k, values);
        if let Some(right) = &mut self.right {
            right.set_row(k, values);
        }
    }

    pub(super) fn operands(&self) -> [&Panels; 2] {
        [&self.left, self.right.as_ref().unwrap_or(&self.left)]
    }
}

/// `n` rows of one width, a stride apart, in two slices; the panels have one row more.
fn centre_width(
    kernels: &Kernels,
    (rows, stride): ([&[f32]; 2], usize),
    n: usize,
    mean: &mut [f64],
    [left, right]: [&mut [f64]; 2],
) {
    assert!(stride >= WIDTH, "rows of one width at least");
    // The last row of a slice may end with its width.
    let rows = rows.map(|rows| (rows.as_ptr(), (rows.len() + stride - WIDTH) / stride));
    assert!(rows[0].1 + rows[1].1 == n, "rows that are there");
    assert!(mean.len() == WIDTH && left.len() == (n + 1) * WIDTH);
    assert!(kernels.widths[0] == kernels.widths[1] || right.len() == left.len());
    let out = [left.as_mut_ptr(), right.as_mut_ptr()];
    let c = Centre { rows, stride, mean: mean.as_mut_ptr(), out };
    // SAFETY: the lengths were checked; `kernels` are supported by this processor.
    unsafe { (kernels.centre)(&c) }
}

/// Rows to be centred.
pub(super) struct Centre {
    /// Where rows begin, and how many: some, then the others.
    rows: [(*const f32, usize); 2],
    /// Values from a row to the next.
    stride: usize,
    /// `[WIDTH]`, written.
    mean: *mut f64,
    /// Panels `[WIDTH / width][rows + 1][width]` of the left and of the right operand, written but for
    /// their last row; only the left ones where the widths are the same.
    out: [*mut f64; 2],
}

/// For panels of widths `LEFT` and `RIGHT`.
///
/// # Safety
/// The pointers of `c` are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn centre<S: Doubles, const LEFT: usize, const RIGHT: usize>(s: S, c: &Centre) {
    const { assert!(WIDTH.is_multiple_of(LEFT) && WIDTH.is_multiple_of(RIGHT)) };
    // SAFETY: every access is to one of the rows of `WIDTH` values that the caller vouches for.
    unsafe {
        let n = c.rows[0].1 + c.rows[1].1;
        let mut sum = [s.splat(0.0); WIDTH];
        let vectors = WIDTH / S::LANES;
        for (rows, n) in c.rows {
            for k in 0..n {
                let row = rows.add(k * c.stride);
                for (v, sum) in sum.iter_mut().enumerate().take(vectors) {
                    *sum = s.add(*sum, s.widen(row.add(v * S::LANES)));
                }
            }
        }
        for (v, sum) in sum.iter().enumerate().take(vectors) {
            s.store(c.mean.add(v * S::LANES), *sum);
        }
        for j in 0..WIDTH {
            *c.mean.add(j) /= n as f64;
        }
        let mut values = [0.0; WIDTH];
        let mut at = 0;
        for (rows, own) in c.rows {
            for k in 0..own {
                let row = rows.add(k * c.stride);
                for j in (0..WIDTH).step_by(S::LANES) {
                    let x = s.sub(s.widen(row.add(j)), s.load(c.mean.add(j)));
                    s.store(values.as_mut_ptr().add(j), x);
                }
                spread::<LEFT>(&values, c.out[0].add(at * LEFT), n + 1);
                if LEFT != RIGHT {
                    spread::<RIGHT>(&values, c.out[1].add(at * RIGHT), n + 1);
                }
                at += 1;
            }
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

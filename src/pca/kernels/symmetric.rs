//! The product of a symmetric matrix, of which the lower triangle is stored, with a vector: each value is read
//! once for its row and for its column.

use super::{isa::Kernels, simd::Doubles};

/// Columns that lie one after the other, from the first one's diagonal on.
pub(super) struct Columns {
    a: *const f64,
    /// Values from a column to the next.
    stride: usize,
    /// From the first column's diagonal on.
    rows: usize,
    /// As many as are taken together, or a multiple.
    columns: usize,
    /// `[rows]`.
    x: *const f64,
    /// `[rows]`, added to; overlaps nothing else.
    y: *mut f64,
    /// Whether to begin with the last columns.
    backwards: bool,
}

/// `N` columns at a time.
///
/// # Safety
/// The pointers of `c` are valid for what its fields say; `columns` is a multiple of `N`.
#[inline(always)]
pub(super) unsafe fn multiply<S: Doubles, const N: usize>(s: S, c: &Columns) {
    let groups = c.columns / N;
    for group in 0..groups {
        let first = N * if c.backwards { groups - 1 - group } else { group };
        // SAFETY: `first + N` is at most the number of columns.
        unsafe { together::<S, N>(s, c, first) }
    }
}

/// `N` columns from `first` on.
///
/// # Safety
/// As for [`multiply`]; the columns are there.
#[inline(always)]
unsafe fn together<S: Doubles, const N: usize>(s: S, c: &Columns, first: usize) {
    const { assert!(N.is_multiple_of(S::LANES)) };
    // SAFETY: accesses are to rows from `first` to `c.rows` of `N` columns. Above the diagonal that is memory of
    // the columns before, or of the rows above, of the same matrix, whose values are masked.
    unsafe {
        let a: [*const f64; N] = core::array::from_fn(|l| c.a.add((first + l) * c.stride + first));
        let (x, y) = (c.x.add(first), c.y.add(first));
        let by: [S::V; N] = core::array::from_fn(|l| s.splat(*x.add(l)));
        let mut sums = [s.splat(0.0); N];
        // The triangle on the diagonal.
        for i in (0..N).step_by(S::LANES) {
            let wide = s.load(x.add(i));
            let mut to = s.load(y.add(i));
            for l in 0..N {
                if i + S::LANES > l {
                    let a = s.load(a[l].add(i));
                    to = s.fma(s.lanes_from(a, l.saturating_sub(i)), by[l], to);
                    if i + S::LANES > l + 1 {
                        sums[l] = s.fma(s.lanes_from(a, (l + 1).saturating_sub(i)), wide, sums[l]);
                    }
                }
            }
            s.store(y.add(i), to);
        }
        let rows = c.rows - first;
        let whole = N + (rows - N) / S::LANES * S::LANES;
        for i in (N..whole).step_by(S::LANES) {
            let wide = s.load(x.add(i));
            let mut to = s.load(y.add(i));
            for l in 0..N {
                let a = s.load(a[l].add(i));
                sums[l] = s.fma(a, wide, sums[l]);
                to = s.fma(a, by[l], to);
            }
            s.store(y.add(i), to);
        }
        if whole < rows {
            // The last register, less the rows that are done.
            let i = rows - S::LANES;
            let wide = s.load(x.add(i));
            let mut to = s.load(y.add(i));
            for l in 0..N {
                let a = s.lanes_from(s.load(a[l].add(i)), whole - i);
                sums[l] = s.fma(a, wide, sums[l]);
                to = s.fma(a, by[l], to);
            }
            s.store(y.add(i), to);
        }
        for (l, sum) in sums.iter().enumerate() {
            let mut lanes = [0.0; 8];
            s.store(lanes.as_mut_ptr(), *sum);
            *y.add(l) += lanes.iter().sum::<f64>();
        }
    }
}

impl Kernels {
    /// `y += A·x` for a part of the symmetric `A`: `columns` of its lower triangle, `stride` apart, from the
    /// first one's diagonal on, and the same rows of what mirrors them. Rows of `x` and `y` begin there too.
    pub(in super::super) fn multiply(
        &self,
        a: &[f64],
        stride: usize,
        columns: usize,
        (x, y): (&[f64], &mut [f64]),
        backwards: bool,
    ) {
        let rows = x.len();
        assert!(y.len() == rows && columns <= rows && rows <= stride, "one shape");
        let whole = columns / self.together * self.together;
        assert!(columns == 0 || a.len() >= (columns - 1) * stride + rows, "columns that are there");
        if whole > 0 {
            let (x, y) = (x.as_ptr(), y.as_mut_ptr());
            let c = Columns { a: a.as_ptr(), stride, rows, columns: whole, x, y, backwards };
            // SAFETY: the lengths were checked; `self` are kernels that this processor supports.
            unsafe { (self.multiply)(&c) }
        }
        for l in whole..columns {
            let column = &a[l * stride..][..rows];
            y[l] += column[l] * x[l];
            for i in l + 1..rows {
                y[i] += column[i] * x[l];
                y[l] += column[i] * x[i];
            }
        }
    }
}

//! Passes over columns: dot products with a vector, and sums of columns.

use super::{isa::Kernels, simd::Doubles};

/// Columns that one pass takes together.
const TOGETHER: usize = 4;

/// Columns and what is done to them.
pub(super) struct Sweep {
    a: *const f64,
    /// Values from a column to the next.
    stride: usize,
    rows: usize,
    columns: usize,
    /// `[rows]`; not read without sums.
    x: *const f64,
    /// `[columns]`: `aᵀ·x` is added.
    sums: *mut f64,
    /// `[columns]`; not read without additions.
    by: *const f64,
    /// `[rows]`: `a·by` is added.
    y: *mut f64,
}

/// # Safety
/// The pointers of `t` are valid for what its fields say; `y` overlaps nothing else.
#[inline(always)]
pub(super) unsafe fn sweep<S: Doubles, const SUM: bool>(s: S, t: &mut Sweep) {
    // SAFETY: the columns are those of `t`, once each.
    unsafe {
        let mut j = 0;
        while j + TOGETHER <= t.columns {
            columns::<S, TOGETHER, SUM>(s, t, j);
            j += TOGETHER;
        }
        while j < t.columns {
            columns::<S, 1, SUM>(s, t, j);
            j += 1;
        }
    }
}

/// `N` columns from `first` on.
///
/// # Safety
/// As for [`sweep`].
#[inline(always)]
unsafe fn columns<S: Doubles, const N: usize, const SUM: bool>(s: S, t: &mut Sweep, first: usize) {
    // SAFETY: accesses are to rows below `t.rows` of columns below `t.columns`.
    unsafe {
        let a: [*const f64; N] = core::array::from_fn(|l| t.a.add((first + l) * t.stride));
        let by: [f64; N] = core::array::from_fn(|l| if !SUM { *t.by.add(first + l) } else { 0.0 });
        let wide = by.map(|by| s.splat(by));
        let mut sums = [s.splat(0.0); N];
        let whole = t.rows / S::LANES * S::LANES;
        for i in (0..whole).step_by(S::LANES) {
            let x = if SUM { s.load(t.x.add(i)) } else { s.splat(0.0) };
            let mut y = if !SUM { s.load(t.y.add(i)) } else { s.splat(0.0) };
            for l in 0..N {
                let a = s.load(a[l].add(i));
                if SUM {
                    sums[l] = s.fma(a, x, sums[l]);
                }
                if !SUM {
                    y = s.fma(a, wide[l], y);
                }
            }
            if !SUM {
                s.store(t.y.add(i), y);
            }
        }
        for l in 0..N {
            let mut lanes = [0.0; 8];
            s.store(lanes.as_mut_ptr(), sums[l]);
            let mut sum: f64 = lanes.iter().sum();
            for i in whole..t.rows {
                let a = *a[l].add(i);
                if SUM {
                    sum += a * *t.x.add(i);
                }
                if !SUM {
                    *t.y.add(i) += a * by[l];
                }
            }
            if SUM {
                *t.sums.add(first + l) += sum;
            }
        }
    }
}

impl Kernels {
    /// `sums += aᵀ·x` for the columns of `a`, `stride` apart; `x.len()` rows, `sums.len()` columns.
    pub(in super::super) fn dots(&self, a: &[f64], stride: usize, x: &[f64], sums: &mut [f64]) {
        self.run(0, a, stride, Some((x, sums)), None);
    }

    /// `y += a·by`; `y.len()` rows, `by.len()` columns.
    pub(in super::super) fn combine(&self, a: &[f64], stride: usize, by: &[f64], y: &mut [f64]) {
        self.run(1, a, stride, None, Some((by, y)));
    }

    fn run(
        &self,
        which: usize,
        a: &[f64],
        stride: usize,
        sum: Option<(&[f64], &mut [f64])>,
        add: Option<(&[f64], &mut [f64])>,
    ) {
        let shapes =
            (sum.as_ref().map(|(x, s)| (x.len(), s.len())), add.as_ref().map(|(b, y)| (y.len(), b.len())));
        let (rows, columns) = match shapes {
            (Some(s), Some(a)) => {
                assert_eq!(s, a, "one shape");
                s
            }
            (Some(s), None) | (None, Some(s)) => s,
            (None, None) => return,
        };
        if rows == 0 || columns == 0 {
            return;
        }
        assert!(a.len() >= (columns - 1) * stride + rows, "columns that are there");
        let (x, sums) =
            sum.map_or((core::ptr::null(), core::ptr::null_mut()), |(x, s)| (x.as_ptr(), s.as_mut_ptr()));
        let (by, y) =
            add.map_or((core::ptr::null(), core::ptr::null_mut()), |(b, y)| (b.as_ptr(), y.as_mut_ptr()));
        let mut t = Sweep { a: a.as_ptr(), stride, rows, columns, x, sums, by, y };
        // SAFETY: the lengths were checked; pass `which` uses what its caller gave; `self` are kernels
        // that this processor supports.
        unsafe { (self.sweeps[which])(&mut t) }
    }
}

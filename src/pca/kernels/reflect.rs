//! Householder reflectors: of a panel's columns, found and applied in one pass over its rows, and applied to
//! rows of [`WIDTH`] columns.

use super::{
    isa::Kernels,
    panels::WIDTH,
    simd::{Doubles, load},
};

/// A row of [`WIDTH`] values.
pub(in super::super) type Row = [f64; WIDTH];

/// A pass over a panel's rows: each row's value of column `at` is multiplied by `by` and, times `with`, added
/// to the others; then the products of its value of column `next` with the whole row are summed.
#[derive(Clone, Copy)]
pub(in super::super) struct Pass {
    pub(in super::super) at: usize,
    pub(in super::super) by: f64,
    /// One at `at`.
    pub(in super::super) with: Row,
    /// Zero at `at` if that column is replaced, else one.
    pub(in super::super) keep: Row,
    pub(in super::super) next: usize,
}

/// What [`pass`] works on.
pub(super) struct Rows<'a> {
    pass: &'a Pass,
    /// `[count][WIDTH]`.
    rows: *mut f64,
    count: usize,
    sums: &'a mut Row,
}

/// With `R` registers a row.
///
/// # Safety
/// The pointer of `t` is valid for what its fields say, and its pass's columns are below [`WIDTH`].
#[inline(always)]
pub(super) unsafe fn pass<S: Doubles, const R: usize>(s: S, t: &mut Rows<'_>) {
    const { assert!(R * S::LANES == WIDTH) };
    // SAFETY: accesses are to `count` rows and to rows of the fields.
    unsafe {
        let p = t.pass;
        let with = load::<S, R>(s, p.with.as_ptr());
        let keep = load::<S, R>(s, p.keep.as_ptr());
        let mut sums = load::<S, R>(s, t.sums.as_ptr());
        for r in 0..t.count {
            let to = t.rows.add(r * WIDTH);
            let x = s.splat(*to.add(p.at) * p.by);
            let mut values = load::<S, R>(s, to);
            for i in 0..R {
                values[i] = s.fma(with[i], x, s.fma(values[i], keep[i], s.splat(0.0)));
                s.store(to.add(i * S::LANES), values[i]);
            }
            let y = s.splat(*to.add(p.next));
            for i in 0..R {
                sums[i] = s.fma(values[i], y, sums[i]);
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            s.store(t.sums.as_mut_ptr().add(i * S::LANES), *sum);
        }
    }
}

/// A reflector `I − tau·v·vᵀ` and the rows it is applied to.
pub(super) struct Turn {
    /// `[WIDTH]`.
    v: *const f64,
    tau: f64,
    /// `[WIDTH][WIDTH]`.
    rows: *mut f64,
}

/// With `R` registers a row.
///
/// # Safety
/// The pointers of `t` are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn turn<S: Doubles, const R: usize>(s: S, t: &Turn) {
    const { assert!(R * S::LANES == WIDTH && WIDTH.is_multiple_of(2)) };
    // SAFETY: accesses are to `WIDTH` rows.
    unsafe {
        let mut along = [[s.splat(0.0); R]; 2];
        for r in (0..WIDTH).step_by(2) {
            for (half, along) in along.iter_mut().enumerate() {
                let by = s.splat(*t.v.add(r + half));
                for (i, along) in along.iter_mut().enumerate() {
                    *along = s.fma(s.load(t.rows.add((r + half) * WIDTH + i * S::LANES)), by, *along);
                }
            }
        }
        let back = s.splat(-t.tau);
        let along: [S::V; R] =
            core::array::from_fn(|i| s.fma(s.add(along[0][i], along[1][i]), back, s.splat(0.0)));
        for r in 0..WIDTH {
            let by = s.splat(*t.v.add(r));
            for (i, along) in along.iter().enumerate() {
                let to = t.rows.add(r * WIDTH + i * S::LANES);
                s.store(to, s.fma(*along, by, s.load(to)));
            }
        }
    }
}

impl Kernels {
    /// `pass` over `rows`, `[count][WIDTH]`; adds to `sums`.
    ///
    /// # Panics
    /// If the shapes don't fit: a defect of the caller.
    pub(in super::super) fn pass(&self, pass: &Pass, rows: &mut [f64], sums: &mut Row) {
        assert!(
            pass.at < WIDTH && pass.next < WIDTH && rows.len().is_multiple_of(WIDTH),
            "columns of the rows"
        );
        let mut t = Rows { pass, count: rows.len() / WIDTH, rows: rows.as_mut_ptr(), sums };
        // SAFETY: the lengths were checked; `self` are kernels that this processor supports.
        unsafe { (self.pass)(&mut t) }
    }

    /// `rows −= tau·v·(vᵀ·rows)`.
    ///
    /// # Panics
    /// As [`pass`](Self::pass).
    pub(in super::super) fn turn(&self, v: &Row, tau: f64, rows: &mut [f64]) {
        assert!(rows.len() == WIDTH * WIDTH, "as many rows as the reflector has");
        let t = Turn { v: v.as_ptr(), tau, rows: rows.as_mut_ptr() };
        // SAFETY: as for `pass`.
        unsafe { (self.turn)(&t) }
    }
}

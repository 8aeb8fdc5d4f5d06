//! The steps of a sweep that reduces a column of a band to tridiagonal form: its reflector, and those that chase
//! what it leaves below the band down to the matrix' end.

use super::{
    isa::Kernels,
    panels::WIDTH,
    reflect::Row,
    simd::{Doubles, load, store},
};

/// Values of a band's column, from the diagonal down: the band and what a sweep leaves below it for the next.
pub(in super::super) const DEEP: usize = 2 * WIDTH;

/// Reflectors whose tail is below this, of a matrix with entries about one, change nothing.
const NOTHING: f64 = 1e-280;

/// A step of a sweep: a reflector `I − tau·v·vᵀ` of [`WIDTH`] rows and columns, from both sides.
pub(super) struct Step {
    /// Columns of [`DEEP`] values: the sweep's, else those of the step before, then this step's.
    band: *mut f64,
    /// What the step before was; without one it is the sweep's first.
    before: Option<(*const f64, f64)>,
    /// `[WIDTH]`: the reflector it makes.
    v: *mut f64,
    tau: f64,
}

/// With `R` registers a column of [`WIDTH`] rows.
///
/// # Safety
/// The pointers of `t` are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn chase<S: Doubles, const R: usize>(s: S, t: &mut Step) {
    const { assert!(R * S::LANES == WIDTH) };
    // SAFETY: a column of the block below begins `WIDTH` rows below its diagonal or less, so that it ends within
    // `DEEP` rows.
    unsafe {
        let (tau, columns) = match t.before {
            // The sweep's column, below its diagonal.
            None => (reflector::<S, R>(s, t.band.add(1), load(s, t.band.add(1)), t.v), 1),
            Some(before) => (below::<S, R>(s, t.band.add(WIDTH), before, t.v), WIDTH),
        };
        t.tau = tau;
        if tau != 0.0 {
            diagonal::<S, R>(s, t.band.add(columns * DEEP), t.v, tau);
        }
    }
}

/// Zeros, then ones: those from `WIDTH − c` on are zero before place `c`.
static FROM: [f64; 2 * WIDTH] = {
    let mut all = [0.0; 2 * WIDTH];
    let mut i = WIDTH;
    while i < all.len() {
        all[i] = 1.0;
        i += 1;
    }
    all
};

/// A one, then zeros.
static UNIT: Row = {
    let mut all = [0.0; WIDTH];
    all[0] = 1.0;
    all
};

/// Makes `x` the reflector that takes it to `[beta, 0, …]`: that goes to `column`, the reflector to `to`. Returns
/// its `tau`.
///
/// # Safety
/// Both pointers are valid for writing [`WIDTH`] values.
#[inline(always)]
unsafe fn reflector<S: Doubles, const R: usize>(s: S, column: *mut f64, x: [S::V; R], to: *mut f64) -> f64 {
    // SAFETY: the caller's promise, and tables of at least `WIDTH` values from where they are read.
    unsafe {
        let tail: [S::V; R] = load(s, FROM.as_ptr().add(WIDTH - 1));
        let tail: [S::V; R] = core::array::from_fn(|i| s.fma(x[i], tail[i], s.splat(0.0)));
        let mut squares = s.splat(0.0);
        for tail in tail {
            squares = s.fma(tail, tail, squares);
        }
        let unit: [S::V; R] = load(s, UNIT.as_ptr());
        let mut head = s.splat(0.0);
        for i in 0..R {
            head = s.fma(x[i], unit[i], head);
        }
        // Not libm's root: what it is made of is slow beside wide registers.
        let root = |x: f64| s.sum(s.fma(s.sqrt(s.splat(x)), s.splat(1.0 / S::LANES as f64), s.splat(0.0)));
        let (beta, tau, by) = factors(s.sum(head), s.sum(squares), root);
        let by = s.splat(by);
        store::<S, R>(s, to, core::array::from_fn(|i| s.fma(tail[i], by, unit[i])));
        let beta = s.splat(beta);
        store::<S, R>(s, column, core::array::from_fn(|i| s.fma(unit[i], beta, s.splat(0.0))));
        tau
    }
}

/// `beta`, `tau` and what a tail is multiplied by, from a column's head, its tail's squares and the square root; `tau` is zero if the
/// reflector is the identity.
#[inline(always)]
pub(in super::super) fn factors(head: f64, squares: f64, root: impl Fn(f64) -> f64) -> (f64, f64, f64) {
    if squares < NOTHING {
        return (head, 0.0, 0.0);
    }
    let beta = -root(head * head + squares).copysign(head);
    (beta, (beta - head) / beta, 1.0 / (head - beta))
}

/// Columns of a block that stay in registers while a sum over each is made.
const TOGETHER: usize = 4;

/// The block below a step's, of columns `DEEP − 1` apart: the step before from the right, then the reflector that
/// takes its first column to `[beta, 0, …]`, which goes to `to`, from the left. Returns that one's `tau`.
///
/// # Safety
/// `e` is valid for [`WIDTH`] columns of as many rows, `before` and `to` for as many values.
#[inline(always)]
unsafe fn below<S: Doubles, const R: usize>(
    s: S,
    e: *mut f64,
    (before, before_tau): (*const f64, f64),
    to: *mut f64,
) -> f64 {
    // SAFETY: accesses are to rows of the block's columns.
    unsafe {
        let column = |c: usize| e.add(c * (DEEP - 1));
        let mut image = [[s.splat(0.0); R]; 2];
        for c in (0..WIDTH).step_by(2) {
            for (half, image) in image.iter_mut().enumerate() {
                let by = s.splat(*before.add(c + half));
                let values: [S::V; R] = load(s, column(c + half));
                *image = core::array::from_fn(|i| s.fma(values[i], by, image[i]));
            }
        }
        let back = s.splat(-before_tau);
        let image: [S::V; R] =
            core::array::from_fn(|i| s.fma(s.add(image[0][i], image[1][i]), back, s.splat(0.0)));
        let after = |c: usize| -> [S::V; R] {
            let (by, values) = (s.splat(*before.add(c)), load::<S, R>(s, column(c)));
            core::array::from_fn(|i| s.fma(image[i], by, values[i]))
        };
        let tau = reflector::<S, R>(s, e, after(0), to);
        let v: [S::V; R] = load(s, to);
        for first in (0..WIDTH).step_by(TOGETHER) {
            // The first column is done.
            let done = usize::from(first == 0);
            let values: [[S::V; R]; TOGETHER] = core::array::from_fn(|l| after(first + l));
            let along = s.sums(core::array::from_fn(|l| {
                let mut along = s.splat(0.0);
                for i in 0..R {
                    along = s.fma(values[l % TOGETHER][i], v[i], along);
                }
                along
            }));
            for (l, values) in values.into_iter().enumerate().skip(done) {
                let by = s.splat(-tau * along[l]);
                store::<S, R>(s, column(first + l), core::array::from_fn(|i| s.fma(v[i], by, values[i])));
            }
        }
        tau
    }
}

/// The block on the diagonal, of which the lower triangle is there, columns [`DEEP`] apart: a reflector from both
/// sides.
///
/// # Safety
/// `a` is valid for [`WIDTH`] columns of as many rows from their diagonals on, `v` for as many values.
#[inline(always)]
unsafe fn diagonal<S: Doubles, const R: usize>(s: S, a: *mut f64, v: *const f64, tau: f64) {
    // SAFETY: accesses are to registers that begin at or above the diagonal of a column, and hold a value of it or
    // one below; what lies above is memory of the columns before, and left as it was.
    unsafe {
        let column = |c: usize| a.add(c * (DEEP - 1));
        let wide: [S::V; R] = load(s, v);
        let mut image = [s.splat(0.0); R];
        let mut across: Row = [0.0; WIDTH];
        for first in (0..WIDTH).step_by(8) {
            let sums = s.sums(core::array::from_fn(|l| {
                let c = first + l;
                let values: [S::V; R] = load(s, column(c));
                let from: [S::V; R] = load(s, FROM.as_ptr().add(WIDTH - c));
                let after: [S::V; R] = load(s, FROM.as_ptr().add(WIDTH - c - 1));
                let by = s.splat(*v.add(c));
                let mut sum = s.splat(0.0);
                for i in 0..R {
                    let by = s.fma(from[i], by, s.splat(0.0));
                    image[i] = s.fma(values[i], by, image[i]);
                    sum = s.fma(values[i], s.fma(after[i], wide[i], s.splat(0.0)), sum);
                }
                sum
            }));
            across[first..first + 8].copy_from_slice(&sums);
        }
        let across: [S::V; R] = load(s, across.as_ptr());
        let mut along = s.splat(0.0);
        for i in 0..R {
            image[i] = s.add(image[i], across[i]);
            along = s.fma(image[i], wide[i], along);
        }
        // a − v·wᵀ − w·vᵀ with w = tau·image − ½·tau²·(imageᵀ·v)·v
        let (by, back) = (s.splat(-tau), s.splat(0.5 * tau * tau * s.sum(along)));
        let w: [S::V; R] = core::array::from_fn(|i| s.fma(wide[i], back, s.fma(image[i], by, s.splat(0.0))));
        let mut row: Row = [0.0; WIDTH];
        store(s, row.as_mut_ptr(), w);
        for (c, w_by) in row.into_iter().enumerate() {
            let (v_by, w_by) = (s.splat(*v.add(c)), s.splat(w_by));
            let values: [S::V; R] = load(s, column(c));
            let from: [S::V; R] = load(s, FROM.as_ptr().add(WIDTH - c));
            let changed = |i: usize| {
                let change = s.fma(w[i], v_by, s.fma(wide[i], w_by, s.splat(0.0)));
                s.fma(change, from[i], values[i])
            };
            store::<S, R>(s, column(c), core::array::from_fn(changed));
        }
    }
}

impl Kernels {
    /// A sweep's next step after `before`, else its first: makes its reflector `v` and returns `tau`. `band` has the
    /// columns of that step, else the sweep's own, then this one's.
    ///
    /// # Panics
    /// If the shapes don't fit: a defect of the caller.
    pub(in super::super) fn chase(&self, band: &mut [f64], before: Option<(&Row, f64)>, v: &mut Row) -> f64 {
        let columns = if before.is_some() { 2 * WIDTH } else { 1 + WIDTH };
        assert!(band.len() >= columns * DEEP, "columns that are there");
        let before = before.map(|(v, tau)| (v.as_ptr(), tau));
        let mut t = Step { band: band.as_mut_ptr(), before, v: v.as_mut_ptr(), tau: 0.0 };
        // SAFETY: the lengths were checked; `self` are kernels that this processor supports.
        unsafe { (self.chase)(&mut t) }
        t.tau
    }
}

//! Products of matrices that are [`WIDTH`] columns wide, row after row: what the reduction to a band and
//! the way back from it are made of.

use super::{isa::Kernels, panels::WIDTH, simd::Doubles};
use core::ptr::null;

/// Values of a block.
pub(in super::super) const BLOCK: usize = WIDTH * WIDTH;

/// A square of [`WIDTH`] rows, one after the other.
pub(in super::super) type Block = [f64; BLOCK];

pub(in super::super) const ZEROS: Block = [0.0; BLOCK];

/// Rows that are taken together where two operands pass by: both fit into the first cache.
pub(in super::super) const CHUNK: usize = 3 * WIDTH;

/// `C += B₀·A₀ + B₁·A₁`.
pub(super) struct Tall {
    /// `[rows][WIDTH]`, overlaps no operand.
    c: *mut f64,
    /// A multiple of [`WIDTH`].
    rows: usize,
    /// `[rows][WIDTH]` and a block, as many as `count` says.
    terms: [(*const f64, *const f64); 2],
    count: usize,
}

/// `C += Bᵀ·A`.
pub(super) struct Across {
    /// A block, overlaps no operand.
    c: *mut f64,
    /// `[depth][WIDTH]` each.
    b: *const f64,
    a: *const f64,
    depth: usize,
}

/// In tiles of `NR` rows by `MV` registers.
///
/// # Safety
/// The pointers of `t` are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn tall<S: Doubles, const MV: usize, const NR: usize>(s: S, t: &Tall) {
    const { assert!(WIDTH.is_multiple_of(NR) && WIDTH.is_multiple_of(MV * S::LANES)) };
    for row in (0..t.rows).step_by(NR) {
        for column in (0..WIDTH).step_by(MV * S::LANES) {
            // SAFETY: accesses are to `NR` rows of `c` and of each `b`, `NR` dividing their number, and to blocks.
            unsafe {
                let c = t.c.add(row * WIDTH + column);
                let mut acc = load::<S, MV, NR>(s, c);
                for (b, a) in t.terms.iter().take(t.count) {
                    let (b, a) = (b.add(row * WIDTH), a.add(column));
                    for k in 0..WIDTH {
                        step::<S, MV, NR>(s, a.add(k * WIDTH), (b.add(k), WIDTH), &mut acc);
                    }
                }
                store::<S, MV, NR>(s, c, &acc);
            }
        }
    }
}

/// In tiles of `NR` rows by `MV` registers.
///
/// # Safety
/// As for [`tall`].
#[inline(always)]
pub(super) unsafe fn across<S: Doubles, const MV: usize, const NR: usize>(s: S, t: &Across) {
    const { assert!(WIDTH.is_multiple_of(NR) && WIDTH.is_multiple_of(MV * S::LANES)) };
    for row in (0..WIDTH).step_by(NR) {
        for column in (0..WIDTH).step_by(MV * S::LANES) {
            // SAFETY: accesses are to a block and to `depth` rows of the operands.
            unsafe {
                let c = t.c.add(row * WIDTH + column);
                let mut acc = load::<S, MV, NR>(s, c);
                for k in 0..t.depth {
                    let (a, b) = (t.a.add(k * WIDTH + column), t.b.add(k * WIDTH + row));
                    step::<S, MV, NR>(s, a, (b, 1), &mut acc);
                }
                store::<S, MV, NR>(s, c, &acc);
            }
        }
    }
}

/// # Safety
/// `c` is valid for `NR` rows of `MV` registers.
#[inline(always)]
unsafe fn load<S: Doubles, const MV: usize, const NR: usize>(s: S, c: *const f64) -> [[S::V; MV]; NR] {
    // SAFETY: the caller's promise.
    core::array::from_fn(|j| core::array::from_fn(|i| unsafe { s.load(c.add(j * WIDTH + i * S::LANES)) }))
}

/// # Safety
/// As for [`load`], for writing.
#[inline(always)]
unsafe fn store<S: Doubles, const MV: usize, const NR: usize>(s: S, c: *mut f64, acc: &[[S::V; MV]; NR]) {
    for (j, acc) in acc.iter().enumerate() {
        for (i, v) in acc.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { s.store(c.add(j * WIDTH + i * S::LANES), *v) };
        }
    }
}

/// Adds to each row a row of `a` times that row's value of `b`.
///
/// # Safety
/// `a` is valid for `MV` registers, `b` for `NR` values its distance apart.
#[inline(always)]
pub(super) unsafe fn step<S: Doubles, const MV: usize, const NR: usize>(
    s: S,
    a: *const f64,
    (b, apart): (*const f64, usize),
    acc: &mut [[S::V; MV]; NR],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let a: [S::V; MV] = core::array::from_fn(|i| s.load(a.add(i * S::LANES)));
        for (j, acc) in acc.iter_mut().enumerate() {
            let x = s.splat(*b.add(j * apart));
            for i in 0..MV {
                acc[i] = s.fma(a[i], x, acc[i]);
            }
        }
    }
}

impl Kernels {
    /// `c += Σ b·a` for up to two terms: `c` and each `b` `[rows][WIDTH]`, `rows` a multiple of [`WIDTH`].
    ///
    /// # Panics
    /// If the shapes don't fit: a defect of the caller.
    pub(in super::super) fn add_tall(&self, c: &mut [f64], terms: &[(&[f64], &Block)]) {
        assert!(c.len().is_multiple_of(BLOCK) && terms.len() <= 2, "whole blocks");
        assert!(terms.iter().all(|(b, _)| b.len() == c.len()), "one shape");
        let mut pointers = [(null(), null()); 2];
        for (to, (b, a)) in pointers.iter_mut().zip(terms) {
            *to = (b.as_ptr(), a.as_ptr());
        }
        let t = Tall { c: c.as_mut_ptr(), rows: c.len() / WIDTH, terms: pointers, count: terms.len() };
        // SAFETY: the lengths were checked; `self` are kernels that this processor supports.
        unsafe { (self.tall)(&t) }
    }

    /// `c += bᵀ·a`, each `[depth][WIDTH]`.
    ///
    /// # Panics
    /// As [`add_tall`](Self::add_tall).
    pub(in super::super) fn add_across(&self, c: &mut Block, b: &[f64], a: &[f64]) {
        assert!(a.len() == b.len() && a.len().is_multiple_of(WIDTH), "one shape");
        for (b, a) in b.chunks(CHUNK * WIDTH).zip(a.chunks(CHUNK * WIDTH)) {
            let t = Across { c: c.as_mut_ptr(), b: b.as_ptr(), a: a.as_ptr(), depth: a.len() / WIDTH };
            // SAFETY: as for `add_tall`.
            unsafe { (self.across)(&t) }
        }
    }
}

//! Sturm counts of a symmetric tridiagonal matrix.

use super::isa::Kernels;

/// Shifts counted side by side, so that the divisions of one hide the latency of another.
pub(in super::super) const SHIFTS: usize = 16;

/// A matrix, shifts, and how many of its eigenvalues are smaller.
pub(super) struct Counts<'a> {
    diagonal: &'a [f64],
    /// Of the values beside the diagonal; zero before the first.
    squares: &'a [f64],
    /// The smallest pivot.
    tiny: f64,
    shifts: &'a [f64; SHIFTS],
    counts: [u64; SHIFTS],
}

/// The signs of the pivots of the matrix less each shift.
#[inline(always)]
pub(super) fn count(t: &mut Counts<'_>) {
    let mut pivot = [1.0f64; SHIFTS];
    let mut counts = [0u64; SHIFTS];
    for (d, square) in t.diagonal.iter().zip(t.squares) {
        for l in 0..SHIFTS {
            let p = (d - t.shifts[l]) - square / pivot[l];
            let p = if p.abs() < t.tiny { -t.tiny } else { p };
            counts[l] += u64::from(p < 0.0);
            pivot[l] = p;
        }
    }
    t.counts = counts;
}

impl Kernels {
    /// How many eigenvalues of the matrix are smaller than each shift. `squares` are of the values left of the
    /// diagonal's, the first zero; pivots smaller than `tiny` are taken for it.
    pub(in super::super) fn count_below(
        &self,
        diagonal: &[f64],
        squares: &[f64],
        tiny: f64,
        shifts: &[f64; SHIFTS],
    ) -> [usize; SHIFTS] {
        let mut t = Counts { diagonal, squares, tiny, shifts, counts: [0; SHIFTS] };
        // SAFETY: `self` are kernels that this processor supports; the function asks no more.
        unsafe { (self.count)(&mut t) }
        t.counts.map(|n| n as usize)
    }
}

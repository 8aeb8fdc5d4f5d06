//! From a band to tridiagonal form.

use super::band::Band;
use crate::pca::kernels::{DEEP, Kernels, Lines, WIDTH, ZEROS};
use alloc::vec::Vec;

/// The reflectors that a band was chased with, sweep after sweep.
pub(super) struct Chased {
    /// `[reflectors][WIDTH]`.
    v: Lines,
    tau: Vec<f64>,
}

/// Sweeps that go down the matrix right behind one another, so that its columns come from the nearest cache.
const TOGETHER: usize = 4;

/// Sweeps whose reflectors are applied together, for the same reason.
const TURNED: usize = 24;

/// Steps of the sweep of column `j`.
fn steps(d: usize, j: usize) -> usize {
    (d - 1 - j).div_ceil(WIDTH)
}

/// The diagonal of the tridiagonal matrix, what is beside it, and how it came about.
pub(super) fn chase(kernels: &Kernels, band: &Band, d: usize) -> (Vec<f64>, Vec<f64>, Chased) {
    let mut columns = spread(band, d);
    let sweeps = d.saturating_sub(1);
    let count = (0..sweeps).map(|j| steps(d, j)).sum::<usize>();
    let (mut v, mut tau) = (Lines::zeros(count * WIDTH), alloc::vec![0.0; count]);
    let mut rest = (&mut v[..], &mut tau[..]);
    for first in (0..sweeps).step_by(TOGETHER) {
        let together = (first..sweeps.min(first + TOGETHER)).map(|j| {
            let ((v, tau), n) = (core::mem::take(&mut rest), steps(d, j));
            let ((v, v_rest), (tau, tau_rest)) = (v.split_at_mut(n * WIDTH), tau.split_at_mut(n));
            rest = (v_rest, tau_rest);
            Sweep { column: j, v: v.as_chunks_mut().0, tau }
        });
        let mut together: Vec<_> = together.collect();
        for time in 0..steps(d, first) + together.len() {
            // A step may follow the next one of the sweep before.
            for (lag, sweep) in together.iter_mut().enumerate() {
                time.checked_sub(lag).into_iter().for_each(|step| sweep.go_on(kernels, &mut columns, step));
            }
        }
    }
    let diagonal = columns.iter().step_by(DEEP).take(d).copied().collect();
    let off = columns.iter().skip(1).step_by(DEEP).take(sweeps).copied().collect();
    (diagonal, off, Chased { v, tau })
}

/// One column's way down the matrix.
struct Sweep<'a> {
    column: usize,
    /// Its reflectors.
    v: &'a mut [[f64; WIDTH]],
    tau: &'a mut [f64],
}

impl Sweep<'_> {
    /// Does a step, if there are as many.
    fn go_on(&mut self, kernels: &Kernels, columns: &mut [f64], step: usize) {
        let Some((done, [v, ..])) = self.v.split_at_mut_checked(step) else { return };
        let before = done.last().map(|v| (v, self.tau[step - 1]));
        let from = self.column + before.map_or(0, |_| 1 + (step - 1) * WIDTH);
        self.tau[step] = kernels.chase(&mut columns[from * DEEP..], before, v);
    }
}

/// The band's columns from the diagonal down, and zeros as far as a step may reach.
fn spread(band: &Band, d: usize) -> Lines {
    let mut columns = Lines::zeros((band.diagonal.len() * WIDTH).max(d) * DEEP + (WIDTH + 1) * DEEP);
    let below = band.below.iter().chain(core::iter::once(&ZEROS));
    for ((block, below), to) in band.diagonal.iter().zip(below).zip(columns.chunks_mut(WIDTH * DEEP)) {
        for (c, to) in to.chunks_exact_mut(DEEP).enumerate() {
            let column = |block: &[f64], rows: core::ops::Range<usize>| {
                rows.map(|r| block[r * WIDTH + c]).collect::<Vec<_>>()
            };
            let values = column(block, c..WIDTH).into_iter().chain(column(below, 0..c + 1));
            to.iter_mut().zip(values).for_each(|(to, value)| *to = value);
        }
    }
    columns
}

impl Chased {
    /// Applies the reflectors, the last sweep's first, to `rows`: `[d and more][WIDTH]`.
    pub(super) fn turn_back(&self, kernels: &Kernels, d: usize, rows: &mut [f64]) {
        let sweeps = d.saturating_sub(1);
        let mut end = self.tau.len();
        for first in (0..sweeps).step_by(TURNED).rev() {
            // Each sweep's first reflector, the last sweep's first.
            let mut group = Vec::with_capacity(TURNED);
            for j in (first..sweeps.min(first + TURNED)).rev() {
                let n = steps(d, j);
                end -= n;
                group.push((j, end, n));
            }
            // A reflector only meets those of the sweep after it of the same step and of the one before.
            for step in 0..steps(d, first) {
                for (j, at, _) in group.iter().filter(|(_, _, n)| step < *n) {
                    let (at, row) = (at + step, j + 1 + step * WIDTH);
                    let Some(v) = self.v[at * WIDTH..].first_chunk() else { continue };
                    if self.tau[at] != 0.0 {
                        kernels.turn(v, self.tau[at], &mut rows[row * WIDTH..(row + WIDTH) * WIDTH]);
                    }
                }
            }
        }
    }
}

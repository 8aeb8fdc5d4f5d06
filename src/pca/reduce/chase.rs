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
const TRAIN: usize = 4;

/// Steps of each sweep of a train between two meetings.
const STRIDE: usize = 3;

/// Strides from a train to the next: both work at a time, on columns of their own.
const APART: usize = 3;

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
    let mut trains = Vec::with_capacity(sweeps.div_ceil(TRAIN));
    for first in (0..sweeps).step_by(TRAIN) {
        let sweeps = (first..sweeps.min(first + TRAIN)).map(|j| {
            let ((v, tau), n) = (core::mem::take(&mut rest), steps(d, j));
            let ((v, v_rest), (tau, tau_rest)) = (v.split_at_mut(n * WIDTH), tau.split_at_mut(n));
            rest = (v_rest, tau_rest);
            Sweep { column: j, v: v.as_chunks_mut().0, tau }
        });
        trains.push(Train { sweeps: sweeps.collect(), first, time: 0, end: steps(d, first) + TRAIN });
    }
    let (mut gone, mut wave) = (0, 0);
    while gone < trains.len() {
        let on_the_way = trains.len().min(wave / APART + 1);
        advance(kernels, &mut trains[gone..on_the_way], &mut columns, 0);
        gone += trains[gone..on_the_way].iter().take_while(|train| train.time >= train.end).count();
        wave += 1;
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

/// Sweeps of neighbouring columns, each one step behind the one before.
struct Train<'a> {
    sweeps: Vec<Sweep<'a>>,
    first: usize,
    /// Steps of the first sweep that are done.
    time: usize,
    end: usize,
}

impl Train<'_> {
    /// The first column that it will still change.
    fn low(&self) -> usize {
        let last = self.first + TRAIN;
        self.time.checked_sub(TRAIN).map_or(self.first, |steps| last + steps * WIDTH)
    }

    /// Goes on for a stride; the columns are those from `origin` on.
    fn advance(&mut self, kernels: &Kernels, columns: &mut [f64], origin: usize) {
        for time in self.time..self.time + STRIDE {
            for (lag, sweep) in self.sweeps.iter_mut().enumerate() {
                // A step may follow the next one of the sweep before.
                let Some(step) = time.checked_sub(lag).filter(|step| *step < sweep.tau.len()) else {
                    continue;
                };
                let (done, v) = sweep.v.split_at_mut(step);
                let before = done.last().map(|v| (v, sweep.tau[step - 1]));
                let from = sweep.column + before.map_or(0, |_| 1 + (step - 1) * WIDTH);
                sweep.tau[step] = kernels.chase(&mut columns[(from - origin) * DEEP..], before, &mut v[0]);
            }
        }
        self.time += STRIDE;
    }
}

/// A stride of all trains, the first of which is farthest down; the columns are those from `origin` on.
fn advance(kernels: &Kernels, trains: &mut [Train<'_>], columns: &mut [f64], origin: usize) {
    let (ahead, behind) = trains.split_at_mut(trains.len() / 2);
    match (ahead, behind) {
        ([], trains) => trains.iter_mut().for_each(|train| train.advance(kernels, columns, origin)),
        (ahead, behind) => {
            let low = ahead.iter().map(Train::low).min().unwrap_or(origin);
            let (above, below) = columns.split_at_mut((low - origin) * DEEP);
            let first = || advance(kernels, ahead, below, low);
            let second = || advance(kernels, behind, above, origin);
            #[cfg(feature = "rayon")]
            rayon::join(first, second);
            #[cfg(not(feature = "rayon"))]
            {
                first();
                second();
            }
        }
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

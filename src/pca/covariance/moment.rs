//! The co-moment: the lower triangle of a symmetric matrix.

use crate::{
    featurize::kernels::large_pages,
    pca::kernels::{self, Kernels, Lines, Pair, SQUARE, WIDTH},
};
use alloc::vec::Vec;
use core::fmt;

/// In squares of [`WIDTH`] rows and columns, each column after column: those of the first columns from the diagonal
/// down, then the next columns'. What is above the diagonal, or beyond the last column, is of no meaning.
#[derive(Clone, Default)]
pub(super) struct Moment {
    columns: usize,
    squares: Lines,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Moment {
    pub(super) fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// Zeros for a matrix of `d` columns; `None` if there is no memory for them.
    pub(super) fn zeros(d: usize) -> Option<Self> {
        let of = d.div_ceil(WIDTH);
        let squares = of.checked_mul(of + 1)? / 2;
        Some(Self { columns: d, squares: Lines::try_zeros(squares.checked_mul(SQUARE)?)? })
    }

    /// Adds the product of the operands.
    pub(super) fn add(&mut self, kernels: &Kernels, pair: &Pair) {
        kernels::add_lower(kernels, pair, &mut self.squares);
    }

    /// Copies column `j` from its diagonal on.
    pub(super) fn column(&self, j: usize, to: &mut [f64]) {
        let (of, band, l) = (self.columns.div_ceil(WIDTH), j / WIDTH, j % WIDTH);
        let first = band * of - band * band.saturating_sub(1) / 2;
        let rows = self.squares.chunks_exact(WIDTH).skip(first * WIDTH + l).step_by(WIDTH);
        let (mut to, mut above) = (to, l);
        for rows in rows.take(of - band) {
            let rows = rows.get(above..).unwrap_or_default();
            let (now, later) = to.split_at_mut(rows.len().min(to.len()));
            now.iter_mut().zip(rows).for_each(|(to, from)| *to = *from);
            (to, above) = (later, 0);
        }
    }

    /// Each column's squares, with the column's place in them.
    fn columns(&self) -> impl Iterator<Item = (&[f64], usize)> {
        let of = self.columns.div_ceil(WIDTH);
        let mut rest: &[f64] = &self.squares;
        let bands = (0..of).map_while(move |j| {
            let band;
            (band, rest) = rest.split_at_checked((of - j) * SQUARE)?;
            Some(band)
        });
        bands.flat_map(|band| (0..WIDTH).map(move |l| (band, l))).take(self.columns)
    }

    /// Each column from its diagonal on.
    pub(super) fn below(&self) -> impl Iterator<Item = impl Iterator<Item = f64>> {
        self.columns().enumerate().map(|(j, (band, l))| {
            let rows = band.chunks_exact(WIDTH).skip(l).step_by(WIDTH).flatten();
            rows.copied().skip(l).take(self.columns - j)
        })
    }

    pub(super) fn diagonal(&self) -> impl Iterator<Item = f64> {
        self.columns().filter_map(|(band, l)| band.get(l * (WIDTH + 1)).copied())
    }

    /// Calls `change` with row, column and value of each that has a meaning, column after column, until it fails.
    pub(super) fn try_each<E>(
        &mut self,
        mut change: impl FnMut(usize, usize, &mut f64) -> Result<(), E>,
    ) -> Result<(), E> {
        let (d, mut rest) = (self.columns, &mut self.squares[..]);
        for first in (0..d).step_by(WIDTH) {
            let size = ((d - first).div_ceil(WIDTH) * SQUARE).min(rest.len());
            let (band, others) = rest.split_at_mut(size);
            rest = others;
            for l in 0..WIDTH.min(d - first) {
                let rows = band.chunks_exact_mut(WIDTH).skip(l).step_by(WIDTH).flatten();
                for (i, value) in (first..d).zip(rows).skip(l) {
                    change(i, first + l, value)?;
                }
            }
        }
        Ok(())
    }

    /// As [`try_each`](Self::try_each), for changes that don't fail.
    pub(super) fn each(&mut self, mut change: impl FnMut(usize, usize, &mut f64)) {
        let Ok(()) = self.try_each(|i, j, value| {
            change(i, j, value);
            Ok::<(), core::convert::Infallible>(())
        });
    }

    /// The matrix, column after column, zeros above its diagonal.
    pub(super) fn full(&self) -> Vec<f64> {
        let d = self.columns;
        let mut full = large_pages::with_capacity(d * d);
        for (j, (band, l)) in self.columns().enumerate() {
            full.resize(j * (d + 1), 0.0);
            let mut above = l;
            for rows in band.chunks_exact(WIDTH).skip(l).step_by(WIDTH) {
                let left = (j + 1) * d - full.len() + above;
                full.extend_from_slice(rows.get(above..left.min(WIDTH)).unwrap_or_default());
                above = 0;
            }
        }
        full
    }
}

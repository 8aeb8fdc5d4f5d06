//! The co-moment: the lower triangle of a symmetric matrix.

use crate::{
    featurize::kernels::large_pages,
    pca::kernels::{self, BLOCK, Kernels, Lines, Pair, WIDTH},
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
        Some(Self { columns: d, squares: Lines::try_zeros(squares.checked_mul(BLOCK)?)? })
    }

    /// Adds the product of the operands.
    pub(super) fn add(&mut self, kernels: &Kernels, pair: &Pair) {
        kernels::add_lower(kernels, pair, &mut self.squares);
    }

    /// Column `j` from its diagonal on, square by square.
    fn pieces(&self, j: usize) -> impl Iterator<Item = &[f64]> {
        let (d, of, band, l) = (self.columns, self.columns.div_ceil(WIDTH), j / WIDTH, j % WIDTH);
        let before = band * of - band * band.saturating_sub(1) / 2;
        let squares = self.squares.get(before * BLOCK..).unwrap_or_default();
        let rows = squares.chunks_exact(WIDTH).skip(l).step_by(WIDTH);
        rows.zip(band..of).map(move |(rows, square)| {
            let above = if square == band { l } else { 0 };
            rows.get(above..WIDTH.min(d - square * WIDTH)).unwrap_or_default()
        })
    }

    /// Copies column `j` from its diagonal on.
    pub(super) fn column(&self, j: usize, to: &mut [f64]) {
        let mut rest = to;
        for piece in self.pieces(j) {
            let (now, later) = rest.split_at_mut(piece.len().min(rest.len()));
            now.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            rest = later;
        }
    }

    /// Each column from its diagonal on.
    pub(super) fn below(&self) -> impl Iterator<Item = impl Iterator<Item = f64>> {
        (0..self.columns).map(|j| self.pieces(j).flatten().copied())
    }

    pub(super) fn diagonal(&self) -> impl Iterator<Item = f64> {
        self.below().filter_map(|mut column| column.next())
    }

    /// Calls `change` with row, column and value of each that has a meaning, column after column, until it fails.
    pub(super) fn try_each<E>(
        &mut self,
        mut change: impl FnMut(usize, usize, &mut f64) -> Result<(), E>,
    ) -> Result<(), E> {
        let (d, mut rest) = (self.columns, &mut self.squares[..]);
        for first in (0..d).step_by(WIDTH) {
            let size = ((d - first).div_ceil(WIDTH) * BLOCK).min(rest.len());
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
        for j in 0..d {
            full.resize(j * (d + 1), 0.0);
            self.pieces(j).for_each(|piece| full.extend_from_slice(piece));
        }
        full
    }
}

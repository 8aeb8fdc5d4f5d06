//! Reduction of a symmetric matrix to tridiagonal form in two steps: to a band by block reflectors, all of it
//! products of blocks, then from the band by chasing what each column's reflector leaves below it (Bischof, Lang
//! and Sun, "A framework for symmetric band reduction", 2000). The usual single step reads the whole matrix for
//! each column, from as far as it lies.

mod back;
mod band;
mod chase;
mod panel;
mod shares;
#[cfg(test)]
mod tests;

use super::{kernels::Kernels, team};
use alloc::{boxed::Box, vec::Vec};

/// Copies a column of a matrix from its diagonal on. Dropped as soon as it has copied all.
pub(super) type Columns = Box<CopyColumn>;

type CopyColumn = dyn Fn(usize, &mut [f64]) + Send + Sync;

/// A tridiagonal matrix and the way its vectors turn back.
pub(super) struct Reduced {
    pub(super) diagonal: Vec<f64>,
    /// One shorter than the diagonal.
    pub(super) off: Vec<f64>,
    band: band::Band,
    chased: chase::Chased,
}

/// Reduces the `d × d` matrix with these columns. `None` if the team broke up: a defect.
pub(super) fn tridiagonalise(kernels: &Kernels, columns: Columns, d: usize) -> Option<Reduced> {
    by_team(kernels, columns, d, team::size(d))
}

/// The size of the team, but not who does the work of which member, decides what is rounded how.
pub(super) fn by_team(kernels: &Kernels, columns: Columns, d: usize, members: usize) -> Option<Reduced> {
    let band = band::reduce(kernels, columns, d, members)?;
    let (mut diagonal, mut off, chased) = chase::chase(kernels, &band, d);
    let by = 1.0 / band.scale;
    diagonal.iter_mut().chain(&mut off).for_each(|v| *v *= by);
    Some(Reduced { diagonal, off, band, chased })
}

impl Reduced {
    /// Turns vectors of the tridiagonal matrix, `[vectors][d]`, into the matrix' own, of `d` columns.
    pub(super) fn turn_back(&self, kernels: &Kernels, d: usize, vectors: &mut [f64]) {
        back::turn(kernels, &self.band, &self.chased, d, vectors);
    }
}

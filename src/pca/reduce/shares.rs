//! Rows that a team shares out, and what they change the matrix by.

use crate::pca::kernels::{BLOCK, Block, CHUNK, Kernels, Lines, WIDTH};
use alloc::vec::Vec;
use core::ops::{Deref, Range};

/// A member's rows of a panel.
#[derive(Clone)]
pub(super) struct Share {
    /// Blocks of rows; the first ones are member 0's.
    pub(super) rows: Range<usize>,
    /// Where they lie there.
    pub(super) start: usize,
}

impl Share {
    pub(super) fn place(&self) -> Range<usize> {
        self.start..self.start + self.rows.len() * BLOCK
    }
}

/// A member's rows of what makes `A − V·Wᵀ − W·Vᵀ` the reflected matrix.
#[derive(Default)]
pub(super) struct Change {
    /// Of `A·V`.
    pub(super) product: Lines,
    pub(super) w: Lines,
    /// The negatives of each block of `V` and of `W`, transposed.
    pub(super) v_turned: Lines,
    pub(super) w_turned: Lines,
}

/// The reflectors of the last panel, if there was one, and what they change the matrix by.
pub(super) struct Last<V, C>(pub(super) Option<(Shares<V>, Shares<C>)>);

impl<V: Deref<Target = Lines>, C: Deref<Target = Change>> Last<V, C> {
    /// Changes some blocks of rows of stripe `j`.
    pub(super) fn bring_up_to_date(
        &self,
        kernels: &Kernels,
        j: usize,
        rows: Range<usize>,
        to: &mut [f64],
    ) -> Option<()> {
        let Some((v, changes)) = &self.0 else { return Some(()) };
        let (change, at) = changes.of(j)?;
        let v_by = change.v_turned.get(at * BLOCK..)?.first_chunk()?;
        let w_by = change.w_turned.get(at * BLOCK..)?.first_chunk()?;
        let first = rows.start;
        for (rows, v) in v.chunks(rows) {
            let (change, at) = changes.of(rows.start)?;
            let w = change.w.get(at * BLOCK..(at + rows.len()) * BLOCK)?;
            let to = to.get_mut((rows.start - first) * BLOCK..(rows.end - first) * BLOCK)?;
            kernels.add_tall(to, &[(v, w_by), (w, v_by)]);
        }
        Some(())
    }
}

/// Rows, and what has them.
pub(super) struct Shares<G>(pub(super) Vec<(Share, G)>);

impl<G: Deref> Shares<G> {
    /// What has block `j` of rows, and its number there.
    pub(super) fn of(&self, j: usize) -> Option<(&G::Target, usize)> {
        let (share, of) = self.0.iter().find(|(share, _)| share.rows.contains(&j))?;
        Some((of, j - share.rows.start))
    }
}

impl<G: Deref<Target = Lines>> Shares<G> {
    pub(super) fn block(&self, j: usize) -> Option<&Block> {
        let (share, of) = self.0.iter().find(|(share, _)| share.rows.contains(&j))?;
        of.get(share.start + (j - share.rows.start) * BLOCK..)?.first_chunk()
    }

    /// A few of these blocks of rows at a time, each of one share.
    pub(super) fn chunks(&self, rows: Range<usize>) -> impl Iterator<Item = (Range<usize>, &[f64])> {
        self.0.iter().flat_map(move |(share, of)| {
            let within = |i: usize| i.clamp(share.rows.start, share.rows.end);
            let (from, to) = (within(rows.start), within(rows.end));
            let at = |i: usize| share.start + (i - share.rows.start) * BLOCK;
            let chunks = of.get(at(from)..at(to)).unwrap_or_default().chunks(CHUNK * WIDTH);
            chunks.enumerate().map(move |(i, values)| {
                let at = from + i * (CHUNK / WIDTH);
                (at..at + values.len() / BLOCK, values)
            })
        })
    }
}

/// Makes `to` the negatives of the blocks, each transposed.
pub(super) fn turn(blocks: &[f64], to: &mut Lines) {
    to.resize(blocks.len());
    for (to, block) in to.chunks_exact_mut(BLOCK).zip(blocks.chunks_exact(BLOCK)) {
        for (i, row) in block.chunks_exact(WIDTH).enumerate() {
            for (to, value) in to.iter_mut().skip(i).step_by(WIDTH).zip(row) {
                *to = -value;
            }
        }
    }
}

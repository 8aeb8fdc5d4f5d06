//! The columns of a thread, and their product with a vector.

use super::CopyColumn;
use crate::pca::kernels::{Kernels, LINE, Lines, WIDTH};
use alloc::vec::Vec;

/// What the columns of a block are multiplied in multiples of, those that are done with included: a multiple of
/// what the kernels take together, and a cache line.
const STEP: usize = LINE;

/// Columns of the matrix that lie one after the other.
struct Block<'a> {
    first: usize,
    /// Where the reflectors go: at most [`WIDTH`] whole columns of the matrix.
    home: &'a mut [f64],
    /// Where the columns lie in the triangle, each from row `first` on.
    at: usize,
    stride: usize,
}

/// A thread's columns of the lower triangle, in memory of its own.
pub(super) struct Triangle<'a> {
    d: usize,
    blocks: Vec<Block<'a>>,
    /// Made by the thread that needs it.
    values: Lines,
    len: usize,
    /// The direction of the next pass over the blocks: there and back, so that what the cache kept from the
    /// last pass is met first.
    backwards: bool,
}

impl<'a> Triangle<'a> {
    /// From the first columns of blocks of whole columns, and these; columns have `d` rows.
    pub(super) fn new(d: usize, homes: Vec<(usize, &'a mut [f64])>) -> Self {
        let mut at = 0;
        let block = |(first, home): (usize, &'a mut [f64])| {
            let stride = (d - first).next_multiple_of(STEP);
            let block = Block { first, at, stride, home };
            at += block.home.len() / d * stride;
            block
        };
        let blocks = homes.into_iter().map(block).collect();
        Self { d, blocks, values: Lines::default(), len: at, backwards: false }
    }

    /// Takes the columns' values from where they come from, else from their home.
    pub(super) fn load(&mut self, columns: Option<&CopyColumn>) -> Option<()> {
        let d = self.d;
        self.values = Lines::zeros(self.len);
        for b in &self.blocks {
            let values = self.values.get_mut(b.at..)?.chunks_exact_mut(b.stride);
            for ((l, to), home) in values.enumerate().zip(b.home.chunks_exact(d)) {
                let (first, to) = (b.first + l, to.get_mut(l..d - b.first)?);
                match columns {
                    Some(columns) => columns(first, to),
                    None => to.copy_from_slice(home.get(first..)?),
                }
            }
        }
        Some(())
    }

    /// Column `j` from its diagonal on, if it is of these.
    pub(super) fn column(&self, j: usize) -> Option<&[f64]> {
        let b = self.blocks.iter().find(|b| b.holds(j))?;
        let (at, rows) = (b.at + (j - b.first) * b.stride, self.d - b.first);
        self.values.get(at + j - b.first..at + rows)
    }

    /// Column `j` of the matrix below its diagonal, if it is of these.
    pub(super) fn home(&mut self, j: usize) -> Option<&mut [f64]> {
        let b = self.blocks.iter_mut().find(|b| b.holds(j))?;
        let l = j - b.first;
        b.home.get_mut(l * self.d + j + 1..(l + 1) * self.d)
    }

    /// What the columns from `below` on, and their transpose, add to the product with `x`: the rows of `product`
    /// from `below` on. `x` and `product` have the matrix's rows; `x` is zero above `below`.
    pub(super) fn multiply(&mut self, kernels: &Kernels, below: usize, x: &[f64], product: &mut [f64]) {
        let from = below / STEP * STEP;
        product[from..].fill(0.0);
        let (backwards, d) = (self.backwards, self.d);
        let multiply = |b: &Block<'_>| {
            let first = b.first.max(from);
            let (l, columns) = (first - b.first, b.home.len() / d);
            if l < columns {
                let a = &self.values[b.at + l * b.stride + l..b.at + columns * b.stride];
                let vectors = (&x[first..], &mut product[first..]);
                kernels.multiply(a, b.stride, columns - l, vectors, backwards);
            }
        };
        there_or_back(self.blocks.iter(), backwards, multiply);
        self.backwards = !backwards;
    }

    /// Calls `update` with each block from column `next` on: its first column, its columns from that row on, and
    /// what lies between them.
    pub(super) fn update(&mut self, next: usize, mut update: impl FnMut(usize, &mut [f64], usize)) {
        let (backwards, d, values) = (self.backwards, self.d, &mut self.values);
        there_or_back(self.blocks.iter().filter(|b| b.first >= next), backwards, |b| {
            let end = b.at + b.home.len() / d * b.stride;
            update(b.first, &mut values[b.at..end], b.stride);
        });
        self.backwards = !backwards;
    }
}

impl Block<'_> {
    fn holds(&self, j: usize) -> bool {
        j.checked_sub(self.first).is_some_and(|l| l < WIDTH)
    }
}

fn there_or_back<T>(items: impl DoubleEndedIterator<Item = T>, backwards: bool, each: impl FnMut(T)) {
    if backwards { items.rev().for_each(each) } else { items.for_each(each) }
}

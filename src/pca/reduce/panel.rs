//! The QR factorisation of a panel, rows dealt to a team: what all know of a column once its products are summed.

use crate::pca::kernels::{Block, Pass, Row, WIDTH, factors};

/// A column's reflector `I − tau·v·vᵀ`.
pub(super) struct Column {
    /// Which one.
    at: usize,
    /// The column's value on the diagonal of `R`.
    beta: f64,
    tau: f64,
    by: f64,
    /// The products of `v` with the panel's columns; with those before, which are reflectors, the dot products of both.
    along: Row,
}

impl Column {
    /// From the row that it makes the last with a value in this column, and the sums of the products of this
    /// column with each over the rows below.
    pub(super) fn new(at: usize, head: &Row, sums: &Row) -> Self {
        let (beta, tau, by) = factors(head[at], sums[at], libm::sqrt);
        let along = core::array::from_fn(|l| head[l] + by * sums[l]);
        Self { at, beta, tau, by, along }
    }

    /// What is to be done to all rows below.
    pub(super) fn pass(&self) -> Pass {
        let mut pass = Pass { at: self.at, by: self.by, with: [0.0; WIDTH], keep: [1.0; WIDTH], next: 0 };
        pass.next = (self.at + 1).min(WIDTH - 1);
        for (l, (with, along)) in pass.with.iter_mut().zip(&self.along).enumerate().skip(self.at) {
            *with = if l == self.at { 1.0 } else { -self.tau * along };
        }
        pass.keep[self.at] = 0.0;
        pass
    }

    /// Makes the head a row of `R` from the column on; before it, it keeps the other reflectors.
    pub(super) fn finish(&self, head: &mut [f64]) {
        for (l, (value, along)) in head.iter_mut().zip(&self.along).enumerate().skip(self.at) {
            *value = if l == self.at { self.beta } else { *value - self.tau * along };
        }
    }

    /// Adds the column to `t`, the triangle in `I − V·T·Vᵀ`.
    pub(super) fn join(&self, t: &mut Block) {
        let (c, tau) = (self.at, self.tau);
        for row in t.chunks_exact_mut(WIDTH).take(c) {
            let sum: f64 = row.iter().zip(&self.along).take(c).map(|(t, along)| t * along).sum();
            row[c] = -tau * sum;
        }
        t[c * WIDTH + c] = tau;
    }
}

/// A pass that only sums the products with the first column.
pub(super) const FIRST: Pass = Pass { at: 0, by: 0.0, with: [0.0; WIDTH], keep: [1.0; WIDTH], next: 0 };

/// Splits what a panel's first block has become into reflectors, which stay, and `R`.
pub(super) fn split(block: &mut [f64]) -> Block {
    let mut r = [0.0; WIDTH * WIDTH];
    for (i, (row, to)) in block.chunks_exact_mut(WIDTH).zip(r.chunks_exact_mut(WIDTH)).enumerate() {
        to[i..].copy_from_slice(&row[i..]);
        row[i..].fill(0.0);
        row[i] = 1.0;
    }
    r
}

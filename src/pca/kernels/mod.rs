//! The `f64` loops that principal components spend their time in, compiled once per instruction set:
//! centring and packing rows, the product that sums co-moments, and the sweeps over columns of the
//! reduction to tridiagonal form.
#![allow(unsafe_code)]

mod gram;
mod isa;
mod lines;
mod panels;
mod simd;
mod sweep;
mod symmetric;

#[cfg(test)]
mod tests;

pub(super) use gram::{SQUARE, add_lower, add_stripe};
pub(super) use isa::{Kernels, best};
pub(super) use lines::{LINE, Lines};
pub(super) use panels::{Pair, Panels, Side, WIDTH};

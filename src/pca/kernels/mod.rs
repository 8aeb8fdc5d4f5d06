//! The `f64` loops that principal components spend their time in, compiled once per instruction set:
//! centring and packing rows, the product that sums co-moments, and what the reduction to tridiagonal
//! form and the way back are made of.
#![allow(unsafe_code)]

mod blocks;
mod chase;
mod gram;
mod isa;
mod lines;
mod panels;
mod reflect;
mod simd;
mod sturm;
mod sweep;

#[cfg(test)]
mod tests;

pub(super) use blocks::{BLOCK, Block, CHUNK, ZEROS};
pub(super) use chase::{DEEP, factors};
pub(super) use gram::add_lower;
#[cfg(test)]
pub(super) use isa::kernels as of;
pub(super) use isa::{Kernels, best};
pub(super) use lines::Lines;
pub(super) use panels::{Pair, WIDTH};
pub(super) use reflect::{Pass, Row};
pub(super) use sturm::SHIFTS;

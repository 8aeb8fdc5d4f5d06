//! The CPU's own executor: a network folded, packed and placed once, then run without allocation.
//!
//! [`Plan::new`] builds from the same [`Graph`](super::network::Graph) that Burn's executor runs:
//! BatchNorm goes into the weights, bias, residual sum and activation into the store, 3 × 3
//! convolutions to Winograd's algorithm where it pays, and every intermediate picture gets its place
//! in one arena. Activations lie in blocks of 16 channels from the first layer to the last. Kernels
//! are written once over sixteen lanes and compiled for each instruction set; the best is chosen when
//! the plan is built.
#![allow(unsafe_code)]

mod arena;
mod buffer;
mod depthwise;
mod exec;
mod fold;
mod gemm;
mod group;
mod inverted;
mod isa;
mod layer;
mod pack;
mod plan;
mod pool;
mod profile;
mod shelf;
mod simd;
mod winograd;

#[cfg(test)]
mod tests;

pub use plan::{Plan, PlanOptions, Workspace};
pub use profile::LayerProfile;
pub(super) use shelf::Shared;
pub use simd::Isa;

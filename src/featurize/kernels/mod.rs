//! The CPU's own executor: a network folded, packed and placed once, then run without allocation.
//!
//! [`Plan::new`] builds from the same [`Graph`](super::network::Graph) that Burn's executor runs:
//! BatchNorm goes into the weights, bias, residual sum and activation into the store, 3 × 3
//! convolutions to Winograd's algorithm where it pays, and every intermediate picture gets its place
//! in one arena. Activations lie in blocks of 16 channels from the first layer to the last (on AMX in
//! bfloat16, of 32). Kernels are written once over sixteen lanes and compiled for each instruction set;
//! the best is chosen when the plan is built. [`Precision`] trades exactness for speed where the
//! processor has products of bfloat16 or of 8 bits.
//!
//! [`NetworkFeaturizer`](super::NetworkFeaturizer) builds and runs plans by itself on CPU devices;
//! what is here is for programs that want slices instead of tensors, their own memory, or a profile.
//!
//! ```
//! use fruitcore::featurize::kernels::{Isa, Plan, PlanOptions};
//! use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
//! use fruitcore::featurize::weights::RandomWeights;
//!
//! let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph()?;
//! let mut options = PlanOptions::default();
//! options.isa = Isa::Plain; // the best one by default
//! options.micro_batch = 1;
//! let plan = Plan::new(&graph, &RandomWeights::new(&graph, 7), &options)?;
//!
//! // One workspace per thread; its size is known before the first picture.
//! let mut workspace = plan.workspace()?;
//! assert!(plan.workspace_bytes() < 2 << 20);
//! let (pictures, mut features) = ([0.5; 2 * 3 * 32 * 32], [0.0; 2 * 1280]);
//! plan.run(&mut workspace, &pictures, &mut features)?;
//!
//! // Where the time goes.
//! let start = std::time::Instant::now();
//! let layers = plan.profile(&mut workspace, &pictures, &mut features, || start.elapsed().as_secs_f64())?;
//! let slowest = layers.iter().max_by(|a, b| a.time.total_cmp(&b.time)).unwrap();
//! println!("{} ({}): {:.1} GFLOP/s", slowest.name, slowest.algorithm, slowest.operations as f64 / slowest.time / 1e9);
//! # Ok::<(), fruitcore::Error>(())
//! ```
#![allow(unsafe_code)]

mod arena;
mod buffer;
mod build;
mod cut;
mod depthwise;
mod exec;
mod gemm;
mod group;
mod halves;
mod image;
mod interleaved;
mod inverted;
mod isa;
pub(crate) mod large_pages;
mod layer;
mod pack;
mod packing;
mod peak;
mod plan;
mod pool;
mod profile;
mod rearrange;
mod reduced;
mod share;
mod shelf;
mod simd;
#[cfg(feature = "std")]
mod team;
mod tiles;
#[cfg(feature = "train")]
pub(crate) mod train;
mod winograd;

#[cfg(test)]
mod tests;

use super::Precision;
pub use image::Aligned;
pub use plan::{Plan, PlanOptions, Workspace};
pub use profile::LayerProfile;
pub use reduced::Amx;
#[cfg(feature = "rayon")]
pub(crate) use share::{Broken, Steps};
pub(super) use shelf::Shared;
pub use simd::Isa;
#[cfg(target_arch = "aarch64")]
pub(crate) use simd::Neon;
pub(crate) use simd::Plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use simd::Simd128;
#[cfg(target_arch = "x86_64")]
pub(crate) use simd::{Avx2, Avx512};
#[cfg(feature = "std")]
pub use team::Team;

//! Products in reduced precision: bfloat16 and 8-bit integers.
//!
//! Activations are converted when a product reads them, strip by strip: 16 words of 32 bits a pixel and
//! group of channels, so that a tile's pixels are adjacent as they are in `f32`. A word holds one, two or
//! four channels, as the instructions want them; weights lie alike. An [`Engine`] is one way to compute:
//! AMX tiles, AVX-512's dot products, or what every processor has. All give the same sums: exact in
//! integers, and in bfloat16 up to the order of `f32` additions. AMX is so fast with bfloat16 that bringing `f32` and
//! converting it would take most of the time: there values lie in bfloat16 from layer to layer
//! ([`Halves`](super::halves::Halves)), and the first convolution is computed so, too.

mod access;
#[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "std"))]
mod amx;
mod dot;
mod engine;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux", feature = "std")))]
mod interleave;
#[cfg(test)]
mod model;
mod portable;
mod product;
mod rows;
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux", feature = "std")))]
mod tiles;
mod weights;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use access::Amx;
#[cfg(test)]
pub(super) use engine::all;
pub(super) use engine::{Engine, InterleaveFn, choose};
pub(super) use product::{PIXEL, Reduced, Source};
use rows::Form;
pub(super) use rows::{Level, Rows, copy};
pub(super) use weights::{pack, pack_interleaved};

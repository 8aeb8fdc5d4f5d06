//! The row kernels, compiled a second time for AVX2 where the processor has it.
//!
//! Each kernel is one plain safe function beside the step it serves; what is here compiles that very
//! function with wider vectors. So both variants are one source, and a property test compares them. Only
//! what compilers don't find has a source of its own ([`Shuffles`]), compared by the same test.
#![allow(unsafe_code)]

#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
#[path = "no_shuffle.rs"]
mod shuffle;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod shuffle;

pub(super) use shuffle::Shuffles;

use super::resize::{opencv, pillow, tensorflow, torch};
use super::{denoise, equalize, normalize, source};
use crate::Frame;

/// Which compilation of the kernels to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Isa {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    avx2: bool,
}

impl Isa {
    /// The best this processor has.
    pub(super) fn detect() -> Self {
        Self {
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            avx2: std::is_x86_feature_detected!("avx2"),
        }
    }

    /// The plain compilation.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self {
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            avx2: false,
        }
    }
}

macro_rules! kernels {
    ($($module:ident::$name:ident($($arg:ident: $ty:ty),* $(,)?);)*) => {
        impl Isa {
            $(
                pub(super) fn $name(self, $($arg: $ty),*) {
                    #[cfg(all(feature = "std", target_arch = "x86_64"))]
                    {
                        #[target_feature(enable = "avx2")]
                        fn wide($($arg: $ty),*) {
                            $module::$name($($arg),*)
                        }
                        if self.avx2 {
                            // SAFETY: `avx2` is set by `detect` only after the processor reported AVX2;
                            // `wide` is otherwise safe code.
                            return unsafe { wide($($arg),*) };
                        }
                    }
                    $module::$name($($arg),*)
                }
            )*
        }
    };
}

kernels! {
    source::deinterleave(src: &[u8], a: &mut [u8], b: &mut [u8], c: &mut [u8]);
    source::camera_row(frame: &Frame<'_>, y: usize, r: &mut [u8], g: &mut [u8], b: &mut [u8]);
    source::interleave(r: &[u8], g: &[u8], b: &[u8], out: &mut [u8]);
    denoise::gaussian_row(up: &[u8], mid: &[u8], down: &[u8], sums: &mut [u16], out: &mut [u8]);
    denoise::median_row(up: &[u8], mid: &[u8], down: &[u8], sorted: &mut [u8], out: &mut [u8]);
    equalize::rgb_to_ycrcb(r: &mut [u8], g: &mut [u8], b: &mut [u8]);
    equalize::ycrcb_to_rgb(y: &mut [u8], cr: &mut [u8], cb: &mut [u8]);
    normalize::affine_row(src: &[u8], affine: &normalize::Affine, dst: &mut [f32]);
    opencv::opencv_columns(src: &[u8], start: &[u32], coef: &[i32], out: &mut [i16]);
    opencv::opencv_rows(upper: &[i16], lower: &[i16], coef: [i32; 2], out: &mut [u8]);
    pillow::pillow_columns(src: &[u8], taps: usize, start: &[u32], coef: &[i32], out: &mut [u8]);
    pillow::pillow_rows(rows: &[u8], coef: &[i32], sums: &mut [i32], out: &mut [u8]);
    tensorflow::tf_columns(src: &[u8], pairs: &[u32], lerp: &[f32], out: &mut [f32]);
    tensorflow::tf_rows(top: &[f32], bottom: &[f32], lerp: f32, out: &mut [f32]);
    torch::torch_columns(src: &[u8], taps: usize, start: &[u32], coef: &[f32], out: &mut [f32]);
    torch::torch_rows(rows: &[f32], coef: &[f32], sums: &mut [f32], out: &mut [u8]);
}

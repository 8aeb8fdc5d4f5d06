//! AArch64 Advanced SIMD: four registers of four lanes.

use super::Simd;
use core::arch::aarch64::*;

/// Proof of Advanced SIMD.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon(());

impl Neon {
    /// # Safety
    /// The processor supports Advanced SIMD.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

macro_rules! four {
    ($f:ident, $($a:expr),+) => {
        // SAFETY: a value of this type proves Advanced SIMD.
        unsafe { [$f($($a[0]),+), $f($($a[1]),+), $f($($a[2]),+), $f($($a[3]),+)] }
    };
}

// SAFETY: constructing the type is unsafe and demands the instructions.
unsafe impl Simd for Neon {
    type V = [float32x4_t; 4];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: a value of this type proves Advanced SIMD.
        [unsafe { vdupq_n_f32(x) }; 4]
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        four!(vfmaq_f32, c, a, b)
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        four!(vaddq_f32, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        four!(vsubq_f32, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        four!(vmulq_f32, a, b)
    }
    // FMAX and FMIN return NaN if either operand is, as the bound never is.
    #[inline(always)]
    fn max(self, bound: f32, x: Self::V) -> Self::V {
        self.max_v(self.splat(bound), x)
    }
    #[inline(always)]
    fn min(self, bound: f32, x: Self::V) -> Self::V {
        let bound = self.splat(bound);
        four!(vminq_f32, bound, x)
    }
    #[inline(always)]
    fn max_v(self, a: Self::V, b: Self::V) -> Self::V {
        four!(vmaxq_f32, a, b)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's pointer is valid for 16 floats; the value proves Advanced SIMD.
        unsafe { [vld1q_f32(p), vld1q_f32(p.add(4)), vld1q_f32(p.add(8)), vld1q_f32(p.add(12))] }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's pointer is valid for 16 floats; the value proves Advanced SIMD.
        unsafe {
            vst1q_f32(p, v[0]);
            vst1q_f32(p.add(4), v[1]);
            vst1q_f32(p.add(8), v[2]);
            vst1q_f32(p.add(12), v[3]);
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u32) -> [Self::V; 2] {
        // SAFETY: the caller's pointer is valid for 16 words; the value proves Advanced SIMD.
        unsafe {
            let words: [uint32x4_t; 4] = core::array::from_fn(|i| vld1q_u32(p.add(4 * i)));
            let high = vdupq_n_u32(0xffff_0000);
            [
                words.map(|w| vreinterpretq_f32_u32(vshlq_n_u32::<16>(w))),
                words.map(|w| vreinterpretq_f32_u32(vandq_u32(w, high))),
            ]
        }
    }
}

//! `f64` lanes of each instruction set.

use crate::featurize::kernels::Plain;
#[cfg(target_arch = "x86_64")]
use crate::featurize::kernels::{Avx2, Avx512};

/// A register of `f64` lanes.
///
/// # Safety
/// Implementations may execute their instruction set's instructions in every method, so a value may
/// only be constructed where the processor supports them.
pub(super) unsafe trait Doubles: Copy {
    /// Lanes of `V`.
    const LANES: usize;
    /// One register, or a few that act as one.
    type V: Copy;

    /// All lanes `x`.
    fn splat(self, x: f64) -> Self::V;
    /// `a · b + c`, fused where the set has it.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// Zero instead of the lanes before `first`, whatever they hold.
    fn lanes_from(self, a: Self::V, first: usize) -> Self::V;
    /// `LANES` values from `p`.
    ///
    /// # Safety
    /// `p` is valid for reading `LANES` values.
    unsafe fn load(self, p: *const f64) -> Self::V;
    /// `LANES` values of `f32`, widened.
    ///
    /// # Safety
    /// `p` is valid for reading `LANES` values.
    unsafe fn widen(self, p: *const f32) -> Self::V;
    /// `LANES` values to `p`.
    ///
    /// # Safety
    /// `p` is valid for writing `LANES` values.
    unsafe fn store(self, p: *mut f64, v: Self::V);
    /// Brings the cache line at `p` into the nearest cache; any address is allowed.
    #[inline(always)]
    fn prefetch(self, p: *const f64) {
        let _ = p;
    }
}

// SAFETY: executes no instruction the build's target doesn't have.
unsafe impl Doubles for Plain {
    const LANES: usize = 4;
    type V = [f64; 4];

    #[inline(always)]
    fn splat(self, x: f64) -> Self::V {
        [x; 4]
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        core::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        core::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        core::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn lanes_from(self, a: Self::V, first: usize) -> Self::V {
        core::array::from_fn(|i| if i >= first { a[i] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f64) -> Self::V {
        // SAFETY: the caller's pointer is valid for 4 values; an array has its element's alignment.
        unsafe { p.cast::<Self::V>().read() }
    }
    #[inline(always)]
    unsafe fn widen(self, p: *const f32) -> Self::V {
        // SAFETY: as for `load`.
        unsafe { p.cast::<[f32; 4]>().read() }.map(f64::from)
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f64, v: Self::V) {
        // SAFETY: as for `load`, for writing.
        unsafe { p.cast::<Self::V>().write(v) }
    }
}

/// Implements [`Doubles`] by one intrinsic each; `$set` proves them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! doubles {
    ($set:ident, $lanes:literal, $v:ident, $splat:ident, $fma:expr, $add:ident, $sub:ident,
     $load:ident, $widen:expr, $store:ident, $prefetch:expr, $lanes_from:expr) => {
        // SAFETY: constructing the type is unsafe and demands the instructions.
        unsafe impl Doubles for $set {
            const LANES: usize = $lanes;
            type V = $v;

            #[inline(always)]
            fn splat(self, x: f64) -> Self::V {
                // SAFETY: a value of this type proves the instruction.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: a value of this type proves the instruction.
                unsafe { $fma(a, b, c) }
            }
            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: a value of this type proves the instruction.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: a value of this type proves the instruction.
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            fn lanes_from(self, a: Self::V, first: usize) -> Self::V {
                // SAFETY: a value of this type proves the instruction.
                unsafe { $lanes_from(a, first) }
            }
            #[inline(always)]
            unsafe fn load(self, p: *const f64) -> Self::V {
                // SAFETY: the caller's pointer is valid; a value of this type proves the instruction.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn widen(self, p: *const f32) -> Self::V {
                // SAFETY: as for `load`.
                unsafe { $widen(p) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut f64, v: Self::V) {
                // SAFETY: as for `load`.
                unsafe { $store(p, v) }
            }
            #[inline(always)]
            #[allow(unused_unsafe)] // NEON's does nothing.
            fn prefetch(self, p: *const f64) {
                // SAFETY: a prefetch never faults.
                unsafe { $prefetch(p) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use core::arch::x86_64::*;

    doubles!(
        Avx2,
        4,
        __m256d,
        _mm256_set1_pd,
        _mm256_fmadd_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_loadu_pd,
        |p| _mm256_cvtps_pd(_mm_loadu_ps(p)),
        _mm256_storeu_pd,
        |p: *const f64| _mm_prefetch::<_MM_HINT_T0>(p.cast()),
        |a, first: usize| {
            let lanes = _mm256_setr_epi64x(0, 1, 2, 3);
            let before = _mm256_cmpgt_epi64(_mm256_set1_epi64x(first as i64), lanes);
            _mm256_andnot_pd(_mm256_castsi256_pd(before), a)
        }
    );
    doubles!(
        Avx512,
        8,
        __m512d,
        _mm512_set1_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_loadu_pd,
        |p| _mm512_cvtps_pd(_mm256_loadu_ps(p)),
        _mm512_storeu_pd,
        |p: *const f64| _mm_prefetch::<_MM_HINT_T0>(p.cast()),
        |a, first: usize| _mm512_maskz_mov_pd((0xff_u32 << first.min(8)) as u8, a)
    );
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::*;
    use crate::featurize::kernels::Neon;
    use core::arch::aarch64::*;

    doubles!(
        Neon,
        2,
        float64x2_t,
        vdupq_n_f64,
        |a, b, c| vfmaq_f64(c, a, b),
        vaddq_f64,
        vsubq_f64,
        vld1q_f64,
        |p| vcvt_f64_f32(vld1_f32(p)),
        vst1q_f64,
        |_| (),
        |a, first: usize| {
            let lanes = vcombine_u64(vcreate_u64(0), vcreate_u64(1));
            let kept = vcgeq_u64(lanes, vdupq_n_u64(first as u64));
            vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(a), kept))
        }
    );
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use super::*;
    use crate::featurize::kernels::Simd128;
    use core::arch::wasm32::*;

    // SAFETY: the build's target has the instructions.
    unsafe impl Doubles for Simd128 {
        const LANES: usize = 2;
        type V = v128;

        #[inline(always)]
        fn splat(self, x: f64) -> Self::V {
            f64x2_splat(x)
        }
        #[inline(always)]
        fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            f64x2_add(f64x2_mul(a, b), c)
        }
        #[inline(always)]
        fn add(self, a: Self::V, b: Self::V) -> Self::V {
            f64x2_add(a, b)
        }
        #[inline(always)]
        fn sub(self, a: Self::V, b: Self::V) -> Self::V {
            f64x2_sub(a, b)
        }
        #[inline(always)]
        fn lanes_from(self, a: Self::V, first: usize) -> Self::V {
            v128_and(a, i64x2_ge(i64x2(0, 1), i64x2_splat(first as i64)))
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f64) -> Self::V {
            // SAFETY: the caller's pointer is valid for 2 values; the load needs no alignment.
            unsafe { v128_load(p.cast()) }
        }
        #[inline(always)]
        unsafe fn widen(self, p: *const f32) -> Self::V {
            // SAFETY: as for `load`, for 2 floats.
            f64x2_promote_low_f32x4(unsafe { v128_load64_zero(p.cast()) })
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f64, v: Self::V) {
            // SAFETY: as for `load`, for writing.
            unsafe { v128_store(p.cast(), v) }
        }
    }
}

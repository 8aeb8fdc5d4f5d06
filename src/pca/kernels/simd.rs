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
    /// The square root of each lane.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// The sum of the lanes.
    fn sum(self, a: Self::V) -> f64;
    /// The sum of each register's lanes.
    #[inline(always)]
    fn sums(self, all: [Self::V; 8]) -> [f64; 8] {
        all.map(|a| self.sum(a))
    }
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

/// # Safety
/// `p` is valid for `R` registers.
#[inline(always)]
pub(super) unsafe fn load<S: Doubles, const R: usize>(s: S, p: *const f64) -> [S::V; R] {
    // SAFETY: the caller's promise.
    core::array::from_fn(|i| unsafe { s.load(p.add(i * S::LANES)) })
}

/// # Safety
/// `p` is valid for writing `R` registers.
#[inline(always)]
pub(super) unsafe fn store<S: Doubles, const R: usize>(s: S, p: *mut f64, x: [S::V; R]) {
    for (i, x) in x.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { s.store(p.add(i * S::LANES), x) }
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
    fn sqrt(self, a: Self::V) -> Self::V {
        a.map(libm::sqrt)
    }
    #[inline(always)]
    fn sum(self, a: Self::V) -> f64 {
        (a[0] + a[2]) + (a[1] + a[3])
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
     $load:ident, $widen:expr, $store:ident, $prefetch:expr, $sqrt:ident, $sum:expr $(, $sums:expr)?) => {
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
            fn sqrt(self, a: Self::V) -> Self::V {
                // SAFETY: a value of this type proves the instruction.
                unsafe { $sqrt(a) }
            }
            #[inline(always)]
            fn sum(self, a: Self::V) -> f64 {
                // SAFETY: a value of this type proves the instruction.
                unsafe { $sum(a) }
            }
            $(
                #[inline(always)]
                fn sums(self, all: [Self::V; 8]) -> [f64; 8] {
                    // SAFETY: a value of this type proves the instructions.
                    unsafe { $sums(all) }
                }
            )?
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
        _mm256_sqrt_pd,
        |a| {
            let halves = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd::<1>(a));
            _mm_cvtsd_f64(_mm_add_sd(halves, _mm_unpackhi_pd(halves, halves)))
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
        _mm512_sqrt_pd,
        |a| _mm512_reduce_add_pd(a),
        each
    );

    /// The sum of each.
    ///
    /// # Safety
    /// As for `pairs`.
    #[inline(always)]
    unsafe fn each([a, b, c, d, e, f, g, h]: [__m512d; 8]) -> [f64; 8] {
        // SAFETY: the caller's promise; both types are eight values.
        unsafe {
            let all = quarters(halves(pairs(a, b), pairs(c, d)), halves(pairs(e, f), pairs(g, h)));
            core::mem::transmute::<__m512d, [f64; 8]>(all)
        }
    }

    /// The sums of neighbours, `a`'s and `b`'s in turn.
    ///
    /// # Safety
    /// The processor has AVX-512, as for the others.
    #[inline(always)]
    unsafe fn pairs(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: the caller's promise.
        unsafe { _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b)) }
    }

    /// The sum of `a`'s halves, then that of `b`'s.
    ///
    /// # Safety
    /// As for `pairs`.
    #[inline(always)]
    unsafe fn halves(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: the caller's promise.
        unsafe { _mm512_add_pd(_mm512_shuffle_f64x2::<0x44>(a, b), _mm512_shuffle_f64x2::<0xee>(a, b)) }
    }

    /// The sums of neighbouring quarters, `a`'s, then `b`'s.
    ///
    /// # Safety
    /// As for `pairs`.
    #[inline(always)]
    unsafe fn quarters(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: the caller's promise.
        unsafe { _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xdd>(a, b)) }
    }
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
        vsqrtq_f64,
        |a| vaddvq_f64(a)
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
        fn sqrt(self, a: Self::V) -> Self::V {
            f64x2_sqrt(a)
        }
        #[inline(always)]
        fn sum(self, a: Self::V) -> f64 {
            f64x2_extract_lane::<0>(a) + f64x2_extract_lane::<1>(a)
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

//! AVX2 + FMA (two registers) and AVX-512 (one register).

use super::Simd;
use core::arch::x86_64::*;

/// Proof of AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

/// Proof of AVX-512F.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx2 {
    /// # Safety
    /// The processor supports AVX2 and FMA.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

impl Avx512 {
    /// # Safety
    /// The processor supports AVX-512F, AVX2 and FMA, as [`Isa::Avx512`](super::Isa::Avx512) does.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

macro_rules! both {
    ($f:ident, $a:expr, $b:expr) => {
        // SAFETY: a value of this type proves AVX2 and FMA.
        unsafe { [$f($a[0], $b[0]), $f($a[1], $b[1])] }
    };
}

// SAFETY: constructing the type is unsafe and demands the instructions.
unsafe impl Simd for Avx2 {
    type V = [__m256; 2];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: a value of this type proves AVX2 and FMA.
        let v = unsafe { _mm256_set1_ps(x) };
        [v, v]
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: a value of this type proves AVX2 and FMA.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn max(self, bound: f32, x: Self::V) -> Self::V {
        self.max_v(self.splat(bound), x)
    }
    #[inline(always)]
    fn min(self, bound: f32, x: Self::V) -> Self::V {
        both!(_mm256_min_ps, self.splat(bound), x)
    }
    #[inline(always)]
    fn max_v(self, a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's pointer is valid for 16 floats; the value proves AVX2.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's pointer is valid for 16 floats; the value proves AVX2.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u32) -> [Self::V; 2] {
        // SAFETY: the caller's pointer is valid for 16 words; the value proves AVX2.
        unsafe {
            let words = [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(8).cast())];
            let high = _mm256_set1_epi32(-0x1_0000);
            [
                words.map(|w| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(w))),
                words.map(|w| _mm256_castsi256_ps(_mm256_and_si256(w, high))),
            ]
        }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a prefetch never faults; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}

// SAFETY: constructing the type is unsafe and demands the instructions.
unsafe impl Simd for Avx512 {
    type V = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, bound: f32, x: Self::V) -> Self::V {
        self.max_v(self.splat(bound), x)
    }
    #[inline(always)]
    fn min(self, bound: f32, x: Self::V) -> Self::V {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_min_ps(self.splat(bound), x) }
    }
    #[inline(always)]
    fn max_v(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's pointer is valid for 16 floats; the value proves AVX-512F.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's pointer is valid for 16 floats; the value proves AVX-512F.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u32) -> [Self::V; 2] {
        // SAFETY: the caller's pointer is valid for 16 words; the value proves AVX-512F.
        unsafe {
            let words = _mm512_loadu_si512(p.cast());
            let high = _mm512_set1_epi32(-0x1_0000);
            [
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)),
                _mm512_castsi512_ps(_mm512_and_si512(words, high)),
            ]
        }
    }
    #[inline(always)]
    fn largest(self, v: Self::V) -> f32 {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_reduce_max_ps(v) }
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        // SAFETY: a value of this type proves AVX-512F.
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a prefetch never faults; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}

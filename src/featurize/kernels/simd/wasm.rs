//! WebAssembly's 128-bit SIMD: four registers of four lanes.

use super::Simd;
use core::arch::wasm32::*;

/// Proof of 128-bit SIMD: the type exists only in builds that have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Simd128;

macro_rules! four {
    ($f:ident, $($a:expr),+) => {
        [$f($($a[0]),+), $f($($a[1]),+), $f($($a[2]),+), $f($($a[3]),+)]
    };
}

// SAFETY: the build's target has the instructions.
unsafe impl Simd for Simd128 {
    type V = [v128; 4];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [f32x4_splat(x); 4]
    }
    // Not fused: the instruction set has no such operation.
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        four!(f32x4_add, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        four!(f32x4_sub, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        four!(f32x4_mul, a, b)
    }
    // `pmax(x, y)` is `x < y ? y : x`: `x` where either is NaN.
    #[inline(always)]
    fn max(self, bound: f32, x: Self::V) -> Self::V {
        let bound = self.splat(bound);
        four!(f32x4_pmax, x, bound)
    }
    #[inline(always)]
    fn min(self, bound: f32, x: Self::V) -> Self::V {
        let bound = self.splat(bound);
        four!(f32x4_pmin, x, bound)
    }
    #[inline(always)]
    fn max_v(self, a: Self::V, b: Self::V) -> Self::V {
        four!(f32x4_pmax, b, a)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        let p = p.cast::<v128>();
        // SAFETY: the caller's pointer is valid for 16 floats; these loads need no alignment.
        unsafe { [v128_load(p), v128_load(p.add(1)), v128_load(p.add(2)), v128_load(p.add(3))] }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        let p = p.cast::<v128>();
        // SAFETY: the caller's pointer is valid for 16 floats; these stores need no alignment.
        unsafe {
            v128_store(p, v[0]);
            v128_store(p.add(1), v[1]);
            v128_store(p.add(2), v[2]);
            v128_store(p.add(3), v[3]);
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u32) -> [Self::V; 2] {
        // SAFETY: the caller's pointer is valid for 16 words.
        let words: [v128; 4] = core::array::from_fn(|i| unsafe { v128_load(p.add(4 * i).cast()) });
        let high = u32x4_splat(0xffff_0000);
        [words.map(|w| u32x4_shl(w, 16)), words.map(|w| v128_and(w, high))]
    }
}

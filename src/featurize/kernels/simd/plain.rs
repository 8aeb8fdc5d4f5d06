//! The portable twin: an array the compiler vectorises.

use super::{LANES, Simd};

/// Portable lanes; needs nothing of the processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    for i in 0..LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

// SAFETY: executes no instruction the build's target doesn't have.
unsafe impl Simd for Plain {
    type V = [f32; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let mut out = c;
        for i in 0..LANES {
            out[i] += a[i] * b[i];
        }
        out
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn max(self, bound: f32, x: Self::V) -> Self::V {
        self.max_v([bound; LANES], x)
    }
    #[inline(always)]
    fn min(self, bound: f32, x: Self::V) -> Self::V {
        zip([bound; LANES], x, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max_v(self, a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's pointer is valid for 16 floats; an array has f32's alignment.
        unsafe { p.cast::<Self::V>().read() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: as for `load`, for writing.
        unsafe { p.cast::<Self::V>().write(v) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u32) -> [Self::V; 2] {
        // SAFETY: as for `load`, of words.
        let words = unsafe { p.cast::<[u32; LANES]>().read() };
        [words.map(|w| f32::from_bits(w << 16)), words.map(|w| f32::from_bits(w & 0xffff_0000))]
    }
}

//! What every processor has: bfloat16 on `f32` lanes, 8 bits on integers of 16.

use super::super::simd::{LANES, Simd};
use super::dot::{Dot, Tile};
use super::rows::Level;

/// bfloat16 weights, two channels a word, widened to `f32`; activations are rounded already.
#[derive(Clone, Copy)]
pub(super) struct Halves<S>(pub(super) S);

// SAFETY: executes what `S` proves.
unsafe impl<S: Simd> Dot for Halves<S> {
    type S = S;
    type Sum = S::V;
    type Weights = [S::V; 2];
    const WORDS: usize = 2;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn zero(self) -> S::V {
        self.0.splat(0.0)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u32) -> [S::V; 2] {
        // SAFETY: the caller's promise.
        unsafe { self.0.load_bf16(p) }
    }
    #[inline(always)]
    unsafe fn dot(self, a: *const u32, b: [S::V; 2], sum: S::V) -> S::V {
        let a = a.cast::<f32>();
        // Each from memory to all lanes; both in one load would go through general registers.
        // SAFETY: the caller's two words are floats.
        unsafe {
            let sum = self.0.fma(self.0.splat(*a), b[0], sum);
            self.0.fma(self.0.splat(*a.add(1)), b[1], sum)
        }
    }
    #[inline(always)]
    unsafe fn value(self, sum: S::V, t: &Tile, _: Level, block: usize) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(sum, self.0.load(t.bias.add(block * LANES))) }
    }
}

/// Two channels a word as `i16`; the compiler makes of it what the build's target has.
#[derive(Clone, Copy)]
pub(super) struct Pairs<S>(pub(super) S);

// SAFETY: executes what `S` proves.
unsafe impl<S: Simd> Dot for Pairs<S> {
    type S = S;
    type Sum = [i32; LANES];
    type Weights = [[i16; 2]; LANES];
    const WORDS: usize = 1;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn zero(self) -> Self::Sum {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u32) -> Self::Weights {
        // SAFETY: the caller's 16 words are pairs.
        unsafe { p.cast::<Self::Weights>().read() }
    }
    #[inline(always)]
    unsafe fn dot(self, a: *const u32, b: Self::Weights, mut sum: Self::Sum) -> Self::Sum {
        // SAFETY: the caller's word is a pair.
        let a = unsafe { a.cast::<[i16; 2]>().read() };
        for (sum, b) in sum.iter_mut().zip(b) {
            *sum += i32::from(a[0]) * i32::from(b[0]) + i32::from(a[1]) * i32::from(b[1]);
        }
        sum
    }
    #[inline(always)]
    unsafe fn value(self, sum: Self::Sum, t: &Tile, level: Level, block: usize) -> S::V {
        let s = self.0;
        // SAFETY: the caller's promise.
        unsafe {
            let total = t.total.add(block * LANES).cast::<[i32; LANES]>().read();
            let mut exact = [0.0; LANES];
            for i in 0..LANES {
                exact[i] = (sum[i] - level.zero * total[i]) as f32;
            }
            let scale = s.mul(s.splat(level.scale), s.load(t.scale.add(block * LANES)));
            s.fma(s.load(exact.as_ptr()), scale, s.load(t.bias.add(block * LANES)))
        }
    }
}

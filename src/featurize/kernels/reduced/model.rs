//! What instructions that this machine may lack do to words, by their definition: the twins of AMX,
//! AVX512_BF16 and AVX512_VNNI.

use super::super::simd::{LANES, Plain, Simd};
use super::dot::{Dot, Tile};
use super::portable::Pairs;
use super::rows::Level;
use super::tiles::{self, ROWS, Tiles};

/// Both channels of a bfloat16 word.
fn halves(word: u32) -> [f32; 2] {
    [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)]
}

fn dot_bf16(a: u32, b: u32, sum: f32) -> f32 {
    let (a, b) = (halves(a), halves(b));
    sum + a[0] * b[0] + a[1] * b[1]
}

/// Unsigned bytes times signed ones.
fn dot_bytes(a: u32, b: u32, sum: i32) -> i32 {
    let products = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
    sum + products.map(|(a, b)| i32::from(a) * i32::from(b.cast_signed())).sum::<i32>()
}

/// `vdpbf16ps`.
#[derive(Clone, Copy)]
pub(super) struct Halves;

/// `vpdpbusd`.
#[derive(Clone, Copy)]
pub(super) struct Quads;

macro_rules! dot {
    ($type:ident, $number:ty, $dot:ident, |$sum:ident, $t:ident, $level:ident, $block:ident| $value:expr) => {
        // SAFETY: executes no instruction the build's target doesn't have.
        unsafe impl Dot for $type {
            type S = Plain;
            type Sum = [$number; LANES];
            type Weights = [u32; LANES];
            const WORDS: usize = 1;

            fn simd(self) -> Plain {
                Plain
            }
            fn zero(self) -> Self::Sum {
                [<$number>::default(); LANES]
            }
            unsafe fn load(self, p: *const u32) -> Self::Weights {
                // SAFETY: the caller's 16 words.
                unsafe { p.cast::<Self::Weights>().read() }
            }
            unsafe fn dot(self, a: *const u32, b: Self::Weights, mut sum: Self::Sum) -> Self::Sum {
                // SAFETY: the caller's word.
                let a = unsafe { a.read() };
                sum.iter_mut().zip(b).for_each(|(sum, b)| *sum = $dot(a, b, *sum));
                sum
            }
            unsafe fn value(self, $sum: Self::Sum, $t: &Tile, $level: Level, $block: usize) -> [f32; LANES] {
                // SAFETY: the caller's promise.
                unsafe { $value }
            }
        }
    };
}
dot!(Halves, f32, dot_bf16, |sum, t, _level, block| Plain.add(sum, Plain.load(t.bias.add(block * LANES))));
dot!(Quads, i32, dot_bytes, |sum, t, level, block| Pairs(Plain).value(sum, t, level, block));

/// Eight tiles; `H`: of halves, else of bytes.
struct Model<const H: bool>([[[u32; LANES]; ROWS]; 8]);

// SAFETY: executes no instruction the build's target doesn't have.
unsafe impl<const H: bool> Tiles for Model<H> {
    fn zero<const T: usize>(&mut self) {
        self.0[T] = [[0; LANES]; ROWS];
    }
    unsafe fn load<const T: usize>(&mut self, p: *const u32, stride: usize) {
        for (i, row) in self.0[T].iter_mut().enumerate() {
            // SAFETY: the caller's rows.
            *row = unsafe { p.byte_add(i * stride).cast::<[u32; LANES]>().read_unaligned() };
        }
    }
    unsafe fn store<const T: usize>(&mut self, p: *mut u32) {
        // SAFETY: the caller's 256 words.
        unsafe { p.cast::<[[u32; LANES]; ROWS]>().write(self.0[T]) }
    }
    fn multiply<const C: usize, const A: usize, const B: usize>(&mut self) {
        for i in 0..ROWS {
            for j in 0..LANES {
                let products = (0..ROWS).map(|k| (self.0[A][i][k], self.0[B][k][j]));
                let sum = self.0[C][i][j];
                self.0[C][i][j] = if H {
                    products.fold(f32::from_bits(sum), |sum, (a, b)| dot_bf16(a, b, sum)).to_bits()
                } else {
                    products.fold(sum.cast_signed(), |sum, (a, b)| dot_bytes(a, b, sum)).cast_unsigned()
                };
            }
        }
    }
}

pub(super) unsafe fn tile_bf16(t: &Tile) {
    let mut tiles = Model::<true>([[[0xdead; LANES]; ROWS]; 8]);
    // SAFETY: the caller's promise; sums are 16 floats.
    unsafe { tiles::tile(&mut tiles, Halves, t, |p| p.cast::<[f32; LANES]>().read()) }
}

pub(super) unsafe fn tile_int8(t: &Tile) {
    let mut tiles = Model::<false>([[[0xdead; LANES]; ROWS]; 8]);
    // SAFETY: the caller's promise; sums are 16 integers.
    unsafe { tiles::tile(&mut tiles, Quads, t, |p| p.cast::<[i32; LANES]>().read()) }
}

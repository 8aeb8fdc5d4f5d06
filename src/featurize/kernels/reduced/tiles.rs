//! Products on registers of 16 rows of 16 words.
//!
//! Four tiles hold sums for 32 pixels × 32 channels, two activations, two weights: a step of 16 words
//! loads four tiles for four products. Written over [`Tiles`], so that a model of the registers can
//! stand for them.

use super::super::simd::LANES;
use super::dot::{Dot, Tile, finish, finish_halves};
use core::mem::MaybeUninit;

/// Rows of a tile: pixels of activations and sums, words of weights.
pub(super) const ROWS: usize = 16;
/// Pixels of the widest product.
pub(super) const PIXELS: usize = 2 * ROWS;

/// Eight tiles of 16 × 16 words, and a product of two that is added to a third.
///
/// # Safety
/// As [`Dot`]: a value proves that the processor has them and that they are configured on this thread.
pub(super) unsafe trait Tiles {
    /// Brings the cache line at `p` into the second-level cache; any address is allowed.
    fn prefetch(&self, p: *const u32) {
        let _ = p;
    }
    /// Sets tile `T` to zeros.
    fn zero<const T: usize>(&mut self);
    /// Reads tile `T`, rows `stride` bytes apart, wherever they begin.
    ///
    /// # Safety
    /// `p` is valid for 16 words in each of 16 rows.
    unsafe fn load<const T: usize>(&mut self, p: *const u32, stride: usize);
    /// Writes tile `T`, rows next to each other.
    ///
    /// # Safety
    /// `p` is valid for 256 words.
    unsafe fn store<const T: usize>(&mut self, p: *mut u32);
    /// `C[i][j] += Σ A[i][k] · B[k][j]`, words multiplied part by part.
    fn multiply<const C: usize, const A: usize, const B: usize>(&mut self);
}

/// Up to 32 pixels × 2 output blocks.
///
/// # Safety
/// As [`tile`](super::dot::tile), with a multiple of 16 pixels readable.
#[inline(always)]
pub(super) unsafe fn tile<T: Tiles, D: Dot>(
    tiles: &mut T,
    d: D,
    t: &Tile,
    load: impl Fn(*const u32) -> D::Sum,
) {
    let mut sums = MaybeUninit::<Sums>::uninit();
    let sums = sums.as_mut_ptr().cast::<u32>();
    // SAFETY: the caller's promise; every sum that is finished has been written.
    unsafe {
        match (t.pixels > ROWS, t.blocks) {
            (false, 1) => multiply::<T, 1, 1>(tiles, t, sums),
            (false, _) => multiply::<T, 1, 2>(tiles, t, sums),
            (true, 1) => multiply::<T, 2, 1>(tiles, t, sums),
            (true, _) => multiply::<T, 2, 2>(tiles, t, sums),
        }
        // Both blocks are one in bfloat16.
        let blocks = if t.halves { 1 } else { t.blocks };
        for j in 0..blocks {
            let (mut row, mut column) = (0, t.column);
            for m in 0..t.pixels {
                if column < t.width {
                    let sum = |j| load(sums.add(((m / ROWS * 2 + j) * ROWS + m % ROWS) * LANES));
                    match t.halves {
                        true => finish_halves(d, t, [sum(0), sum(1)], row + column * LANES),
                        false => finish(d, t, sum(j), m, j, row + column * LANES),
                    }
                }
                column += 1;
                if column == t.pitch {
                    (row, column) = (row + t.c_row, 0);
                }
            }
        }
    }
}

/// Four tiles of sums in memory: `[2][2][16][16]`.
#[repr(C, align(64))]
struct Sums([u32; 4 * ROWS * LANES]);

/// Sums of `M · 16` pixels × `N` blocks, all groups and taps.
///
/// # Safety
/// As [`tile`]; `sums` is valid for four tiles.
#[inline(always)]
unsafe fn multiply<T: Tiles, const M: usize, const N: usize>(tiles: &mut T, t: &Tile, sums: *mut u32) {
    tiles.zero::<0>();
    tiles.zero::<1>();
    tiles.zero::<2>();
    tiles.zero::<3>();
    // SAFETY: tiles are read where the caller vouches for, and written to sums.
    unsafe {
        let taps = core::slice::from_raw_parts(t.taps, t.tap_count);
        let (mut a, mut b, mut next) = (t.a, t.b, t.next);
        for _ in 0..t.groups {
            for &tap in taps {
                let a = a.add(tap as usize);
                tiles.load::<4>(a, t.step);
                tiles.load::<6>(b, 4 * N * LANES);
                tiles.multiply::<0, 4, 6>();
                if N > 1 {
                    tiles.load::<7>(b.add(LANES), 4 * N * LANES);
                    tiles.multiply::<1, 4, 7>();
                }
                if M > 1 {
                    tiles.load::<5>(a.byte_add(ROWS * t.step), t.step);
                    tiles.multiply::<2, 5, 6>();
                    if N > 1 {
                        tiles.multiply::<3, 5, 7>();
                    }
                }
                b = b.add(ROWS * N * LANES);
                for _ in 0..t.lines {
                    tiles.prefetch(next);
                    next = next.wrapping_add(LANES);
                }
            }
            a = a.add(t.group_stride);
        }
        tiles.store::<0>(sums);
        tiles.store::<1>(sums.add(ROWS * LANES));
        tiles.store::<2>(sums.add(2 * ROWS * LANES));
        tiles.store::<3>(sums.add(3 * ROWS * LANES));
    }
}

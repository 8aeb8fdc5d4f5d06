//! Register-blocked products of words, written once for every instruction that multiplies them.

use super::super::simd::{LANES, Simd};
use super::rows::{Level, bf16};
use core::array::from_fn;

/// One output tile and where its operands are. Words are of 32 bits.
// Only AMX's tiles take pixels of several rows, pixels that overlap, and write bfloat16.
#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux", feature = "std")), allow(dead_code))]
pub(in super::super) struct Tile {
    /// First pixel of the first group of activations, `[groups][pixels][16]`.
    pub(in super::super) a: *const u32,
    /// Bytes between pixels; only tiles of AMX's kind take any but 64.
    pub(in super::super) step: usize,
    /// Full groups of 16 words.
    pub(in super::super) groups: usize,
    /// Words between groups.
    pub(in super::super) group_stride: usize,
    /// Offset of each tap from `a`, in words.
    pub(in super::super) taps: *const u32,
    /// How many taps.
    pub(in super::super) tap_count: usize,
    /// Steps in a last, partial group.
    pub(in super::super) tail: usize,
    /// Packed weights: `[groups][taps][steps][blocks · 16]`, then `[taps][tail][blocks · 16]`.
    pub(in super::super) b: *const u32,
    /// Weights to bring nearer on the way, so many cache lines a step of 16. Any address.
    pub(in super::super) next: *const u32,
    pub(in super::super) lines: usize,
    /// `[blocks · 16]`.
    pub(in super::super) bias: *const f32,
    /// What a channel's 8-bit weights are multiples of, `[blocks · 16]`; null in bfloat16.
    pub(in super::super) scale: *const f32,
    /// Sum of a channel's 8-bit weights, `[blocks · 16]`; null in bfloat16.
    pub(in super::super) total: *const i32,
    /// Of each pixel; `level_step` 0: of all.
    pub(in super::super) levels: *const Level,
    pub(in super::super) level_step: usize,
    /// First pixel of the first row of the first output block.
    pub(in super::super) c: *mut f32,
    /// Floats between output blocks, and between rows.
    pub(in super::super) c_stride: usize,
    pub(in super::super) c_row: usize,
    /// Where in its row the first pixel is.
    pub(in super::super) column: usize,
    /// Pixels in a row, and from one row to the next: what is between them is computed and not written.
    pub(in super::super) width: usize,
    pub(in super::super) pitch: usize,
    /// Whether output and residual are in bfloat16, two output blocks in one; only tiles of AMX's kind do that.
    pub(in super::super) halves: bool,
    /// Added before the bounds, laid out as `c`; null for none.
    pub(in super::super) residual: *const f32,
    /// Bounds of the activation function.
    pub(in super::super) bounds: Option<[f32; 2]>,
    pub(in super::super) pixels: usize,
    pub(in super::super) blocks: usize,
}

/// An instruction that multiplies words and adds to sixteen sums.
///
/// # Safety
/// As [`Simd`]: a value proves that the processor has the instruction.
pub(in super::super) unsafe trait Dot: Copy {
    /// The lanes results are finished on.
    type S: Simd;
    /// Sixteen sums.
    type Sum: Copy;
    /// Weights of a step for sixteen output channels.
    type Weights: Copy;
    /// Words of activations a step takes.
    const WORDS: usize;

    fn simd(self) -> Self::S;
    fn zero(self) -> Self::Sum;
    /// # Safety
    /// `p` is valid for 16 words.
    unsafe fn load(self, p: *const u32) -> Self::Weights;
    /// # Safety
    /// `a` is valid for [`WORDS`](Self::WORDS) words.
    unsafe fn dot(self, a: *const u32, b: Self::Weights, sum: Self::Sum) -> Self::Sum;
    /// The sums of output block `block` as values, bias added.
    ///
    /// # Safety
    /// `t.bias`, and in integers `t.scale` and `t.total`, are valid for the block.
    unsafe fn value(self, sum: Self::Sum, t: &Tile, level: Level, block: usize) -> <Self::S as Simd>::V;

    /// Two output blocks from bfloat16.
    ///
    /// # Safety
    /// `p` is valid for 16 words.
    #[inline(always)]
    unsafe fn load_halves(self, p: *const u32) -> [<Self::S as Simd>::V; 2] {
        // SAFETY: the caller's promise; arrays of 16 floats are read.
        unsafe {
            let halves = p.cast::<[[u16; LANES]; 2]>().read();
            halves.map(|half| self.simd().load(half.map(|h| f32::from_bits(u32::from(h) << 16)).as_ptr()))
        }
    }
    /// Two output blocks, rounded to bfloat16.
    ///
    /// # Safety
    /// As [`load_halves`](Self::load_halves).
    #[inline(always)]
    unsafe fn store_halves(self, p: *mut u32, values: [<Self::S as Simd>::V; 2]) {
        let halves = values.map(|v| {
            let mut lanes = [0.0; LANES];
            // SAFETY: an array of 16 floats is written.
            unsafe { self.simd().store(lanes.as_mut_ptr(), v) }
            lanes.map(|x| bf16(x) as u16)
        });
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[[u16; LANES]; 2]>().write(halves) }
    }
}

/// `MR` pixels × `NB` output blocks.
///
/// # Safety
/// Every pointer of `t` is valid for what its field says it holds, for `MR` pixels and `NB` blocks.
#[inline(always)]
pub(super) unsafe fn tile<D: Dot, const MR: usize, const NB: usize>(d: D, t: &Tile) {
    debug_assert!(!t.halves && t.step == size_of::<[u32; LANES]>());
    // SAFETY: all reads and writes stay inside what the caller vouches for.
    unsafe {
        let taps = core::slice::from_raw_parts(t.taps, t.tap_count);
        let mut sums = [[d.zero(); NB]; MR];
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.groups {
            for &tap in taps {
                let a = a.add(tap as usize);
                for k in 0..LANES / D::WORDS {
                    step::<D, MR, NB>(d, a.add(k * D::WORDS), b.add(k * NB * LANES), &mut sums);
                }
                b = b.add(LANES / D::WORDS * NB * LANES);
            }
            a = a.add(t.group_stride);
        }
        if t.tail > 0 {
            for &tap in taps {
                let a = a.add(tap as usize);
                for k in 0..t.tail {
                    step::<D, MR, NB>(d, a.add(k * D::WORDS), b, &mut sums);
                    b = b.add(NB * LANES);
                }
            }
        }
        // A copy, so that the loop above needs no place in memory for its sums: this one counts through them.
        let done = sums;
        for j in 0..NB {
            for (m, sums) in done.iter().enumerate() {
                finish(d, t, sums[j], m, j, (t.column + m) * LANES);
            }
        }
    }
}

/// # Safety
/// `a` is valid for a step's words of `MR` pixels, `b` for `NB` blocks.
#[inline(always)]
unsafe fn step<D: Dot, const MR: usize, const NB: usize>(
    d: D,
    a: *const u32,
    b: *const u32,
    sums: &mut [[D::Sum; NB]; MR],
) {
    // SAFETY: the caller's promise covers each access.
    unsafe {
        let b: [D::Weights; NB] = from_fn(|j| d.load(b.add(j * LANES)));
        for (m, sums) in sums.iter_mut().enumerate() {
            for j in 0..NB {
                sums[j] = d.dot(a.add(m * LANES), b[j], sums[j]);
            }
        }
    }
}

/// Sums to output: scale, bias, residual, bounds.
///
/// # Safety
/// As [`tile`], for pixel `m` and block `j`, which lies `at` floats from the first of the block.
#[inline(always)]
pub(super) unsafe fn finish<D: Dot>(d: D, t: &Tile, sum: D::Sum, m: usize, j: usize, at: usize) {
    let s = d.simd();
    // SAFETY: the caller's promise.
    unsafe {
        let level = if t.levels.is_null() { Level::NONE } else { *t.levels.add(m * t.level_step) };
        let at = j * t.c_stride + at;
        let residual = (!t.residual.is_null()).then(|| s.load(t.residual.add(at)));
        s.store(t.c.add(at), bounded(d, d.value(sum, t, level, j), residual, t.bounds));
    }
}

/// [`finish`] for both blocks of an output in bfloat16.
///
/// # Safety
/// As there; without a second block its half is zeros.
// Only AMX's tiles write so.
#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux", feature = "std")), allow(dead_code))]
#[inline(always)]
pub(super) unsafe fn finish_halves<D: Dot>(d: D, t: &Tile, sums: [D::Sum; 2], at: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let [low, high] = match t.residual.is_null() {
            true => [None; 2],
            false => d.load_halves(t.residual.add(at).cast()).map(Some),
        };
        let low = bounded(d, d.value(sums[0], t, Level::NONE, 0), low, t.bounds);
        let high = match t.blocks {
            1 => d.simd().splat(0.0),
            _ => bounded(d, d.value(sums[1], t, Level::NONE, 1), high, t.bounds),
        };
        d.store_halves(t.c.add(at).cast(), [low, high]);
    }
}

/// Residual sum and activation function.
#[inline(always)]
fn bounded<D: Dot>(
    d: D,
    v: <D::S as Simd>::V,
    residual: Option<<D::S as Simd>::V>,
    bounds: Option<[f32; 2]>,
) -> <D::S as Simd>::V {
    let s = d.simd();
    let v = residual.map_or(v, |r| s.add(v, r));
    bounds.map_or(v, |[lo, hi]| s.min(hi, s.max(lo, v)))
}

//! Activations in the form a product reads.

use super::super::simd::{LANES, Simd};

/// What a 32-bit word of activations holds.
// Not every instruction set reads each.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// One channel, `f32` rounded to bfloat16.
    Rounded,
    /// Two channels in bfloat16.
    Bf16,
    /// Two channels of 8 bits as `i16`.
    I16,
    /// Four channels of 8 bits.
    U8,
}

impl Form {
    /// Channels in a word.
    pub(in super::super) const fn channels(self) -> usize {
        match self {
            Self::Rounded => 1,
            Self::Bf16 | Self::I16 => 2,
            Self::U8 => 4,
        }
    }

    pub(in super::super) const fn is_integer(self) -> bool {
        matches!(self, Self::I16 | Self::U8)
    }
}

/// From here on floats are whole numbers.
const WHOLE: f32 = 8_388_608.0;

/// What 8-bit activations mean: `x = scale · (q − zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Level {
    pub(in super::super) scale: f32,
    /// 0 to 255.
    pub(in super::super) zero: i32,
}

impl Level {
    /// Of values that need none.
    pub(in super::super) const NONE: Self = Self { scale: 1.0, zero: 0 };

    /// The whole range of 8 bits for `lo..=hi` and zero, which has a number of its own so that padding
    /// is exact. `check` is zero unless a value was infinite or NaN: then all that is computed of them
    /// is NaN, as it would be in `f32`.
    ///
    /// Without branches, so that the compiler can make sixteen at a time.
    #[inline(always)]
    pub(super) fn new(lo: f32, hi: f32, check: f32) -> Self {
        let (lo, hi) = (if lo < 0.0 { lo } else { 0.0 }, if hi > 0.0 { hi } else { 0.0 });
        let range = hi - lo;
        let sound = (check == 0.0) & (range < f32::INFINITY);
        // So small that its inverse would overflow: as good as zero.
        let some = range >= 1e-35;
        let scale = if some { range / 255.0 } else { 1.0 };
        // To nearest, to even, from 0 to 255.
        let zero = (-lo * (255.0 / range) + WHOLE).to_bits() & 0xff;
        Self {
            scale: if sound { scale } else { f32::NAN },
            zero: if sound & some { zero.cast_signed() } else { 0 },
        }
    }

    /// What values are multiplied with to become numbers.
    fn inverse(self) -> f32 {
        if self.scale.is_nan() { 0.0 } else { 1.0 / self.scale }
    }
}

/// Pixels to convert, or to measure: `[blocks][pixels][16]` in.
#[derive(Clone, Copy)]
pub(in super::super) struct Rows {
    pub(in super::super) src: *const f32,
    /// Floats between pixels.
    pub(in super::super) step: usize,
    /// Floats between channel blocks.
    pub(in super::super) block: usize,
    pub(in super::super) pixels: usize,
    pub(in super::super) blocks: usize,
    /// `[groups][pixels][16]` words.
    pub(in super::super) dst: *mut u32,
    /// Words between groups.
    pub(in super::super) group: usize,
    /// Of each pixel; `level_step` 0: of all.
    pub(in super::super) levels: *mut Level,
    pub(in super::super) level_step: usize,
}

/// The level of all pixels together.
///
/// # Safety
/// `r.src` is valid for the pixels and blocks.
#[inline(always)]
pub(super) unsafe fn range<S: Simd>(s: S, r: &Rows) -> Level {
    // SAFETY: the caller's promise.
    let [lo, hi, check] = unsafe { ends(s, r, 0..r.pixels) };
    Level::new(lo, hi, check)
}

/// The smallest and the largest value of some pixels, and zero unless one is infinite or NaN.
///
/// # Safety
/// As [`range`].
#[inline(always)]
unsafe fn ends<S: Simd>(s: S, r: &Rows, pixels: core::ops::Range<usize>) -> [f32; 3] {
    let zero = s.splat(0.0);
    let (mut below, mut above, mut check) = (zero, zero, zero);
    for b in 0..r.blocks {
        for p in pixels.clone() {
            // SAFETY: the caller's promise.
            let v = unsafe { s.load(r.src.add(b * r.block + p * r.step)) };
            below = s.max_v(below, s.sub(zero, v));
            above = s.max_v(above, v);
            check = s.fma(v, zero, check);
        }
    }
    [-s.largest(below), s.largest(above), s.sum(check)]
}

/// Measures the level of each pixel.
///
/// # Safety
/// As [`range`]; `r.levels` is valid for a level a pixel.
#[inline(always)]
pub(super) unsafe fn measure<S: Simd>(s: S, r: &Rows) {
    for first in (0..r.pixels).step_by(LANES) {
        let count = LANES.min(r.pixels - first);
        let [mut lo, mut hi, mut check] = [[0.0; LANES]; 3];
        for p in 0..count {
            // SAFETY: the caller's promise.
            [lo[p], hi[p], check[p]] = unsafe { ends(s, r, first + p..first + p + 1) };
        }
        let levels: [Level; LANES] = core::array::from_fn(|p| Level::new(lo[p], hi[p], check[p]));
        // SAFETY: `count` levels of the caller's.
        unsafe { core::ptr::copy_nonoverlapping(levels.as_ptr(), r.levels.add(first), count) }
    }
}

/// bfloat16's bits of `x`, to nearest even.
#[inline(always)]
pub(super) fn bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if bits & 0x7fff_ffff > 0x7f80_0000 { bits >> 16 | 0x40 } else { rounded }
}

/// The number nearest to `x · inverse + zero`, to even, of those that 8 bits have.
#[inline(always)]
fn quantize(x: f32, inverse: f32, zero: f32) -> u32 {
    let v = x * inverse + zero;
    let v = if v > 0.0 { v } else { 0.0 };
    let v = if v < 255.0 { v } else { 255.0 };
    (v + WHOLE).to_bits() & 0xff
}

/// Converts pixels; channels beyond the last block are zeros.
///
/// # Safety
/// `r.src` is valid for the pixels and blocks, `r.dst` for the pixels of as many groups as hold the
/// blocks, `r.levels` for the pixels (or one) if the form is of integers.
#[inline(always)]
pub(super) unsafe fn pack(form: Form, r: &Rows) {
    let per = form.channels();
    let words = LANES / per;
    for p in 0..r.pixels {
        let [inverse, zero] = if form.is_integer() {
            // SAFETY: the caller's promise.
            let level = unsafe { *r.levels.add(p * r.level_step) };
            [level.inverse(), level.zero as f32]
        } else {
            [1.0, 0.0]
        };
        for b in 0..r.blocks.next_multiple_of(per) {
            // SAFETY: word `b % per · words` of the pixel in group `b / per`, and what the caller vouches
            // for.
            unsafe {
                let dst = r.dst.add(b / per * r.group + p * LANES + b % per * words);
                if b >= r.blocks {
                    core::ptr::write_bytes(dst, 0, words);
                    continue;
                }
                let src = r.src.add(b * r.block + p * r.step).cast::<[f32; LANES]>().read();
                match form {
                    Form::U8 => {
                        let bytes = src.map(|x| quantize(x, inverse, zero) as u8);
                        dst.cast::<[u8; LANES]>().write_unaligned(bytes);
                    }
                    Form::I16 => {
                        let halves = src.map(|x| quantize(x, inverse, zero) as u16);
                        dst.cast::<[u16; LANES]>().write_unaligned(halves);
                    }
                    Form::Bf16 => dst.cast::<[u16; LANES]>().write_unaligned(src.map(|x| bf16(x) as u16)),
                    Form::Rounded => {
                        dst.cast::<[u32; LANES]>().write_unaligned(src.map(|x| bf16(x) << 16));
                    }
                }
            }
        }
    }
}

/// Copies pixels that lie in bfloat16 already: `r.src` and `r.block` are of groups of 16 words.
///
/// # Safety
/// `r.src` is valid for the pixels and groups, `r.dst` likewise.
pub(in super::super) unsafe fn copy(r: &Rows, groups: usize) {
    for g in 0..groups {
        // SAFETY: pixels of group `g`.
        unsafe {
            let (src, dst) = (r.src.add(g * r.block).cast::<u32>(), r.dst.add(g * r.group));
            if r.step == LANES {
                core::ptr::copy_nonoverlapping(src, dst, r.pixels * LANES);
                continue;
            }
            for p in 0..r.pixels {
                core::ptr::copy_nonoverlapping(src.add(p * r.step), dst.add(p * LANES), LANES);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_is_the_nearest() {
        for bits in (0..=u32::MAX).step_by(65_521) {
            let x = f32::from_bits(bits);
            let y = f32::from_bits(bf16(x) << 16);
            if x.is_nan() {
                assert!(y.is_nan());
                continue;
            }
            let (below, above) = (bits & 0xffff_0000, (bits & 0xffff_0000).wrapping_add(0x1_0000));
            let far = |b: u32| (f64::from(f32::from_bits(b)) - f64::from(x)).abs();
            let nearest = if far(below) < far(above) { below } else { above };
            if far(below) == far(above) {
                assert_eq!(bf16(x) & 1, 0, "{x:e}");
            } else if f32::from_bits(above).is_finite() {
                assert_eq!(y.to_bits(), nearest, "{x:e}");
            }
        }
    }

    #[test]
    fn levels_keep_zero_and_the_ends() {
        for (lo, hi) in [(-1.0, 3.0), (0.0, 6.0), (-2.0, 0.0), (0.5, 2.0), (-7e-30, 1e-30), (-3e38, 1e37)] {
            let level = Level::new(lo, hi, 0.0);
            let back = |x: f32| {
                let q = quantize(x, level.inverse(), level.zero as f32);
                level.scale * (q as i32 - level.zero) as f32
            };
            assert_eq!(back(0.0), 0.0);
            for x in [lo, hi, (lo + hi) / 2.0] {
                assert!((back(x) - x).abs() <= level.scale * 0.501, "{x} {level:?}");
            }
        }
        assert_eq!(Level::new(0.0, 0.0, 0.0), Level::NONE);
        assert!(Level::new(0.0, f32::INFINITY, f32::NAN).scale.is_nan());
        assert!(Level::new(-3e38, 3e38, 0.0).scale.is_nan());
    }
}

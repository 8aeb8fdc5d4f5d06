//! Activations in the form a product reads.

use super::super::simd::{LANES, Simd};

/// What a 32-bit word of activations holds.
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
    pub(super) fn new(lo: f32, hi: f32, check: f32) -> Self {
        let (lo, hi) = (lo.min(0.0), hi.max(0.0));
        let range = hi - lo;
        if check != 0.0 || !range.is_finite() {
            return Self { scale: f32::NAN, zero: 0 };
        }
        // So small that its inverse would overflow: as good as zero.
        if range < 1e-35 {
            return Self::NONE;
        }
        let zero = libm::rintf(-lo * (255.0 / range));
        Self { scale: range / 255.0, zero: zero as i32 }
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

/// The level of some pixels together.
///
/// # Safety
/// `r.src` is valid for the pixels and blocks.
#[inline(always)]
pub(super) unsafe fn range<S: Simd>(s: S, r: &Rows, pixels: core::ops::Range<usize>) -> Level {
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
    let mut lanes = [[0.0; LANES]; 3];
    for (lanes, v) in lanes.iter_mut().zip([below, above, check]) {
        // SAFETY: an array of 16 floats is written.
        unsafe { s.store(lanes.as_mut_ptr(), v) }
    }
    // By halves: sixteen in a row would take longer than a pixel's channels.
    let halve = |mut lanes: [f32; LANES], f: fn(f32, f32) -> f32| {
        let mut half = LANES / 2;
        while half > 0 {
            let (low, high) = lanes.split_at_mut(half);
            low.iter_mut().zip(high).for_each(|(low, high)| *low = f(*low, *high));
            half /= 2;
        }
        lanes[0]
    };
    let larger = |a, b| if a > b { a } else { b };
    let [below, above, check] = lanes;
    Level::new(-halve(below, larger), halve(above, larger), halve(check, |a, b| a + b))
}

/// Measures the level of each pixel.
///
/// # Safety
/// As [`range`]; `r.levels` is valid for a level a pixel.
#[inline(always)]
pub(super) unsafe fn measure<S: Simd>(s: S, r: &Rows) {
    for p in 0..r.pixels {
        // SAFETY: the caller's promise.
        unsafe { *r.levels.add(p) = range(s, r, p..p + 1) }
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
    // From 2^23 on floats are whole numbers.
    (v + 8_388_608.0).to_bits() & 0xff
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
    for b in 0..r.blocks.next_multiple_of(per) {
        for p in 0..r.pixels {
            // SAFETY: word `b % per · words` of the pixel in group `b / per`, and what the caller vouches
            // for.
            unsafe {
                let dst = r.dst.add(b / per * r.group + p * LANES + b % per * words);
                if b >= r.blocks {
                    core::ptr::write_bytes(dst, 0, words);
                    continue;
                }
                let src = r.src.add(b * r.block + p * r.step).cast::<[f32; LANES]>().read();
                if form.is_integer() {
                    let level = *r.levels.add(p * r.level_step);
                    let (inverse, zero) = (level.inverse(), level.zero as f32);
                    if form == Form::U8 {
                        let bytes = src.map(|x| quantize(x, inverse, zero) as u8);
                        dst.cast::<[u8; LANES]>().write_unaligned(bytes);
                    } else {
                        let halves = src.map(|x| quantize(x, inverse, zero) as u16);
                        dst.cast::<[u16; LANES]>().write_unaligned(halves);
                    }
                } else if form == Form::Bf16 {
                    dst.cast::<[u16; LANES]>().write_unaligned(src.map(|x| bf16(x) as u16));
                } else {
                    dst.cast::<[u32; LANES]>().write_unaligned(src.map(|x| bf16(x) << 16));
                }
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

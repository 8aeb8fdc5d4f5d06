//! x86's own products of words.

use super::super::simd::{Avx2, Avx512, LANES};
use super::dot::{Dot, Tile};
use super::rows::{Level, Rows};
use core::arch::x86_64::*;

/// AVX-512 BF16: two channels a word.
#[derive(Clone, Copy)]
pub(super) struct Bf16Dot(Avx512);

/// AVX-512 VNNI: four channels of 8 bits a word.
#[derive(Clone, Copy)]
pub(super) struct Vnni(Avx512);

/// AVX-512BW: two channels of 8 bits a word as `i16`.
#[derive(Clone, Copy)]
pub(super) struct Pairs512(Avx512);

/// AVX2: two channels of 8 bits a word as `i16`. (The product of bytes saturates there.)
#[derive(Clone, Copy)]
pub(super) struct Pairs256(Avx2);

/// Whether AVX512_BF16's product of pairs beats two `f32` products: with AMD it takes half their time, with
/// Intel (Sapphire Rapids; measured) twice.
pub(super) fn pairs_are_faster() -> bool {
    let vendor = __cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() != b"GenuineIntel"
}

/// [`pack`](super::rows::pack) to pairs of bfloat16, 32 values an instruction. It takes what is too small for a
/// normal number for zero.
///
/// # Safety
/// As there; the processor supports AVX-512F and AVX512_BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn pack_bf16(r: &Rows) {
    for g in 0..r.blocks.div_ceil(2) {
        for p in 0..r.pixels {
            // SAFETY: block `2 · g` and the one after it, if there is one; 16 words of the pixel in group `g`.
            unsafe {
                let src = r.src.add(2 * g * r.block + p * r.step);
                let low = _mm512_loadu_ps(src);
                let high = match 2 * g + 1 < r.blocks {
                    true => _mm512_loadu_ps(src.add(r.block)),
                    false => _mm512_setzero_ps(),
                };
                _mm512_storeu_si512(r.dst.add(g * r.group + p * LANES).cast(), halves(low, high));
            }
        }
    }
}

impl Bf16Dot {
    /// # Safety
    /// The processor supports AVX-512F and AVX512_BF16.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Avx512::new() })
    }
}

impl Vnni {
    /// # Safety
    /// The processor supports AVX-512F and AVX512_VNNI.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Avx512::new() })
    }
}

impl Pairs512 {
    /// # Safety
    /// The processor supports AVX-512F and AVX-512BW.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Avx512::new() })
    }
}

impl Pairs256 {
    /// # Safety
    /// The processor supports AVX2 and FMA.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Avx2::new() })
    }
}

/// Sums of integers as values.
///
/// # Safety
/// The processor supports AVX-512F; `t.bias`, `t.scale` and `t.total` are valid for the block.
#[inline(always)]
unsafe fn value512(sum: __m512i, t: &Tile, level: Level, block: usize) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        let at = block * LANES;
        let mut sum = sum;
        // Not so after an activation function: then the slow product is saved.
        if level.zero != 0 {
            let total = _mm512_loadu_si512(t.total.add(at).cast());
            sum = _mm512_sub_epi32(sum, _mm512_mullo_epi32(_mm512_set1_epi32(level.zero), total));
        }
        let exact = _mm512_cvtepi32_ps(sum);
        let scale = _mm512_mul_ps(_mm512_set1_ps(level.scale), _mm512_loadu_ps(t.scale.add(at)));
        _mm512_fmadd_ps(exact, scale, _mm512_loadu_ps(t.bias.add(at)))
    }
}

/// Sixteen lanes of AVX-512, one word of activations a step. The instructions stand in `unsafe` blocks that
/// the type's proof covers.
macro_rules! dot512 {
    ($type:ident, $sums:ty, $zero:expr, |$a:ident, $b:ident, $sum:ident| $dot:expr,
     |$t:ident, $level:ident, $block:ident| $value:expr $(, { $($own:tt)+ })?) => {
        // SAFETY: constructing the type is unsafe and demands the instructions.
        unsafe impl Dot for $type {
            type S = Avx512;
            type Sum = $sums;
            type Weights = __m512i;
            const WORDS: usize = 1;

            #[inline(always)]
            fn simd(self) -> Avx512 {
                self.0
            }
            #[inline(always)]
            fn zero(self) -> $sums {
                // SAFETY: a value of this type proves AVX-512F.
                unsafe { $zero }
            }
            #[inline(always)]
            unsafe fn load(self, p: *const u32) -> __m512i {
                // SAFETY: the caller's pointer is valid for 16 words; the value proves AVX-512F.
                unsafe { _mm512_loadu_si512(p.cast()) }
            }
            #[inline(always)]
            unsafe fn dot(self, a: *const u32, $b: __m512i, $sum: $sums) -> $sums {
                // SAFETY: the caller's pointer is valid for a word; the value proves the instruction.
                unsafe {
                    let $a = _mm512_set1_epi32(a.cast::<i32>().read());
                    $dot
                }
            }
            #[inline(always)]
            unsafe fn value(self, $sum: $sums, $t: &Tile, $level: Level, $block: usize) -> __m512 {
                // SAFETY: the caller's promise; the value proves AVX-512F.
                unsafe { $value }
            }
            $($($own)+)?
        }
    };
}

// All 512 bits are 32 halves either way.
dot512!(
    Bf16Dot,
    __m512,
    _mm512_setzero_ps(),
    |a, b, sum| _mm512_dpbf16_ps(
        sum,
        core::mem::transmute::<__m512i, __m512bh>(a),
        core::mem::transmute::<__m512i, __m512bh>(b)
    ),
    |t, _level, block| _mm512_add_ps(sum, _mm512_loadu_ps(t.bias.add(block * LANES))),
    {
        #[inline(always)]
        unsafe fn load_halves(self, p: *const u32) -> [__m512; 2] {
            // SAFETY: the caller's pointer is valid for two half registers; the value proves AVX-512F.
            let wide = |i: usize| unsafe {
                let half = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast::<__m256i>().add(i)));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(half))
            };
            [wide(0), wide(1)]
        }
        #[inline(always)]
        unsafe fn store_halves(self, p: *mut u32, [low, high]: [__m512; 2]) {
            // SAFETY: the caller's pointer is valid for 16 words; the value proves AVX512_BF16.
            unsafe { _mm512_storeu_si512(p.cast(), halves(low, high)) }
        }
    }
);

/// Both rounded to bfloat16, one after the other.
///
/// # Safety
/// The processor supports AVX512_BF16.
#[inline(always)]
pub(super) unsafe fn halves(low: __m512, high: __m512) -> __m512i {
    // SAFETY: the caller's promise; all 512 bits are 32 halves.
    unsafe { core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}
dot512!(
    Vnni,
    __m512i,
    _mm512_setzero_si512(),
    |a, b, sum| _mm512_dpbusd_epi32(sum, a, b),
    |t, level, block| value512(sum, t, level, block)
);
dot512!(
    Pairs512,
    __m512i,
    _mm512_setzero_si512(),
    |a, b, sum| _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)),
    |t, level, block| value512(sum, t, level, block)
);

// SAFETY: constructing the type is unsafe and demands the instructions.
unsafe impl Dot for Pairs256 {
    type S = Avx2;
    type Sum = [__m256i; 2];
    type Weights = [__m256i; 2];
    const WORDS: usize = 1;

    #[inline(always)]
    fn simd(self) -> Avx2 {
        self.0
    }
    #[inline(always)]
    fn zero(self) -> Self::Sum {
        // SAFETY: a value of this type proves AVX2.
        [unsafe { _mm256_setzero_si256() }; 2]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const u32) -> Self::Weights {
        // SAFETY: the caller's pointer is valid for 16 words; the value proves AVX2.
        unsafe { [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(8).cast())] }
    }
    #[inline(always)]
    unsafe fn dot(self, a: *const u32, b: Self::Weights, sum: Self::Sum) -> Self::Sum {
        // SAFETY: the caller's pointer is valid for a word; the value proves AVX2.
        unsafe {
            let a = _mm256_set1_epi32(a.cast::<i32>().read());
            [
                _mm256_add_epi32(sum[0], _mm256_madd_epi16(a, b[0])),
                _mm256_add_epi32(sum[1], _mm256_madd_epi16(a, b[1])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn value(self, sum: Self::Sum, t: &Tile, level: Level, block: usize) -> [__m256; 2] {
        let half = |i: usize| {
            let at = block * LANES + 8 * i;
            // SAFETY: the caller's promise; the value proves AVX2 and FMA.
            unsafe {
                let total = _mm256_loadu_si256(t.total.add(at).cast());
                let shift = _mm256_mullo_epi32(_mm256_set1_epi32(level.zero), total);
                let exact = _mm256_cvtepi32_ps(_mm256_sub_epi32(sum[i], shift));
                let scale = _mm256_mul_ps(_mm256_set1_ps(level.scale), _mm256_loadu_ps(t.scale.add(at)));
                _mm256_fmadd_ps(exact, scale, _mm256_loadu_ps(t.bias.add(at)))
            }
        };
        [half(0), half(1)]
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::super::model::Halves;
    use super::super::rows::{Form, pack};
    use super::*;
    use alloc::vec;

    /// To the bit but for NaN, whose payload is the processor's, and numbers too small to be normal.
    #[test]
    fn pairs_are_those_of_plain_rust() {
        if !(std::is_x86_feature_detected!("avx512bf16") && std::is_x86_feature_detected!("avx512f")) {
            return;
        }
        for (blocks, pixels, step) in [(1, 1, LANES), (2, 3, LANES), (5, 4, 2 * LANES)] {
            let block = pixels * step + LANES;
            let value = |i: usize| f32::from_bits((i as u32).wrapping_mul(0x9e37_79b9));
            let usable = |x: f32| if x.is_normal() || x.is_infinite() { x } else { 0.0 };
            let src: vec::Vec<f32> = (0..blocks * block).map(|i| usable(value(i))).collect();
            let group = pixels * LANES;
            let [mut expected, mut found] = [0, 1].map(|_| vec![7u32; group * blocks.div_ceil(2) + LANES]);
            let rows = |dst| Rows {
                src: src.as_ptr(),
                step,
                block,
                pixels,
                blocks,
                dst,
                group,
                levels: core::ptr::null_mut(),
                level_step: 0,
            };
            // SAFETY: source and destinations are as long as `rows` says; the instructions are there.
            unsafe {
                pack(Form::Bf16, &rows(expected.as_mut_ptr()));
                pack_bf16(&rows(found.as_mut_ptr()));
            }
            assert_eq!(found, expected, "{blocks} blocks");
        }
    }

    #[test]
    fn halves_are_those_of_plain_rust() {
        if !std::is_x86_feature_detected!("avx512bf16") {
            return;
        }
        let value = |i: usize| ((i as u32).wrapping_mul(0x9e37_79b9) >> 8) as f32 / 1e6 - 8.0;
        let blocks: [[f32; LANES]; 2] = [0, LANES].map(|first| core::array::from_fn(|i| value(first + i)));
        // SAFETY: the instructions are there; sixteen words and floats are read and written.
        unsafe {
            let [mut expected, mut found] = [[0u32; LANES]; 2];
            Halves.store_halves(expected.as_mut_ptr(), blocks);
            own_halves(found.as_mut_ptr(), blocks);
            assert_eq!(found, expected);
            let mut back = [[0.0; LANES]; 2];
            own_back(found.as_ptr(), &mut back);
            assert_eq!(back, Halves.load_halves(found.as_ptr()));
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn own_halves(to: *mut u32, [low, high]: [[f32; LANES]; 2]) {
        // SAFETY: the caller's words; arrays of sixteen floats.
        unsafe {
            let values = [low, high].map(|v| _mm512_loadu_ps(v.as_ptr()));
            Bf16Dot::new().store_halves(to, values);
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn own_back(from: *const u32, to: &mut [[f32; LANES]; 2]) {
        // SAFETY: the caller's words; arrays of sixteen floats.
        unsafe {
            let [low, high] = Bf16Dot::new().load_halves(from);
            _mm512_storeu_ps(to[0].as_mut_ptr(), low);
            _mm512_storeu_ps(to[1].as_mut_ptr(), high);
        }
    }
}

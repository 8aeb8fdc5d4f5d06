//! Rows of a picture as the first convolution reads them in bfloat16.

use super::rows::bf16;

/// Rounds a row of planar pixels to bfloat16, the channels of each side by side: as many as `to` holds.
///
/// # Safety
/// `src` is valid for the row in as many planes as there are channels, `plane` floats apart.
pub(super) unsafe fn interleave(src: *const f32, plane: usize, channels: usize, to: &mut [u16]) {
    for (x, pixel) in to.chunks_exact_mut(channels).enumerate() {
        for (c, to) in pixel.iter_mut().enumerate() {
            // SAFETY: pixel `x` of plane `c`.
            *to = bf16(unsafe { *src.add(c * plane + x) }) as u16;
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "std"))]
pub(super) use fast::interleave_avx512;

#[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "std"))]
mod fast {
    use super::super::super::simd::LANES;
    use super::super::x86::halves;
    use super::interleave;
    use core::arch::x86_64::*;

    /// Where each number of three registers of interleaved pixels is, in the registers of three planes: of the first two
    /// one after the other, and of the third.
    const WOVEN: [([u16; 32], [u16; 32]); 3] = {
        let mut all = [([0; 32], [0; 32]); 3];
        let mut at = 0;
        while at < 96 {
            let (pixel, channel) = ((at / 3) as u16, at % 3);
            let (planes, third) = &mut all[at / 32];
            match channel {
                2 => third[at % 32] = pixel,
                c => planes[at % 32] = pixel + 32 * c as u16,
            }
            at += 1;
        }
        all
    };

    /// Which numbers of each register are the third plane's.
    const THIRD: [u32; 3] = {
        let mut masks = [0; 3];
        let mut at = 2;
        while at < 96 {
            masks[at / 32] |= 1 << (at % 32);
            at += 3;
        }
        masks
    };

    /// [`interleave`], 32 pixels of three channels at a time.
    ///
    /// # Safety
    /// As there; the processor supports AVX-512BW and AVX512_BF16.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(in super::super) unsafe fn interleave_avx512(
        src: *const f32,
        plane: usize,
        channels: usize,
        to: &mut [u16],
    ) {
        const PIXELS: usize = 2 * LANES;
        let whole = if channels == 3 { to.len() / (3 * PIXELS) * PIXELS } else { 0 };
        let (lines, rest) = to.split_at_mut(3 * whole);
        for (i, to) in lines.chunks_exact_mut(3 * PIXELS).enumerate() {
            // SAFETY: 32 pixels of each plane are the caller's; `to` is three registers long.
            unsafe {
                let plane = |c: usize| {
                    let src = src.add(c * plane + i * PIXELS);
                    halves(_mm512_loadu_ps(src), _mm512_loadu_ps(src.add(LANES)))
                };
                let planes = [plane(0), plane(1), plane(2)];
                for (j, (first, third)) in WOVEN.iter().enumerate() {
                    let [first, third] = [first, third].map(|at| _mm512_loadu_si512(at.as_ptr().cast()));
                    let two = _mm512_permutex2var_epi16(planes[0], first, planes[1]);
                    let woven = _mm512_mask_permutexvar_epi16(two, THIRD[j], third, planes[2]);
                    _mm512_storeu_si512(to.as_mut_ptr().add(j * PIXELS).cast(), woven);
                }
            }
        }
        // SAFETY: the pixels after them.
        unsafe { interleave(src.add(whole), plane, channels, rest) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use alloc::{vec, vec::Vec};

        #[test]
        fn woven_pixels_are_those_of_plain_rust() {
            if !(std::is_x86_feature_detected!("avx512bf16") && std::is_x86_feature_detected!("avx512bw")) {
                return;
            }
            let value = |i: usize| ((i as u32).wrapping_mul(0x9e37_79b9) >> 8) as f32 / 1e6 - 8.0;
            for (channels, pixels) in [(3, 100), (3, 31), (3, 64), (1, 40), (4, 40)] {
                let plane = pixels + 5;
                let src: Vec<f32> = (0..channels * plane).map(value).collect();
                let [mut expected, mut found] = [0, 1].map(|_| vec![7u16; channels * pixels]);
                // SAFETY: as many pixels in each plane; the instructions are there.
                unsafe {
                    interleave(src.as_ptr(), plane, channels, &mut expected);
                    interleave_avx512(src.as_ptr(), plane, channels, &mut found);
                }
                assert_eq!(found, expected, "{channels} channels, {pixels} pixels");
            }
        }
    }
}

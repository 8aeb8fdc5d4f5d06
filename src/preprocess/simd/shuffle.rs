//! The horizontal pass by shuffles: eight neighbouring results need few samples when a picture grows or hardly shrinks,
//! so one load brings them all and a shuffle brings each to its lane. Compilers load them one by one instead.

use super::Isa;
use alloc::vec::Vec;
use bytemuck::cast;
use core::arch::x86_64::*;

/// Results at a time.
const LANES: usize = 8;
/// Samples of a load.
const LOADED: usize = 16;
/// A lane with nothing but its lowest byte from the samples.
const ONE_BYTE: i32 = 0x8080_8000_u32 as i32;

/// The samples and weights of eight results.
#[derive(Clone, Debug)]
struct Group {
    /// First result.
    to: usize,
    /// First sample that is loaded.
    from: usize,
    /// Which of the loaded ones is each result's first.
    pick: [i32; LANES],
}

/// How a row's results come about; empty where shuffles don't reach.
#[derive(Clone, Debug, Default)]
pub(in crate::preprocess) struct Shuffles {
    groups: Vec<Group>,
    taps: usize,
    /// For each group and tap.
    weights: Vec<[i32; LANES]>,
}

impl Shuffles {
    /// For rows of `from` samples, `taps` of which from each start make a result by weights, one after the other.
    pub(in crate::preprocess) fn rebuild(
        &mut self,
        from: usize,
        taps: usize,
        start: &[u32],
        weights: &[i32],
    ) {
        self.groups.clear();
        self.weights.clear();
        self.taps = taps;
        if start.len() < LANES || from < LOADED {
            return;
        }
        for group in 0..start.len().div_ceil(LANES) {
            // The last one computes some results again.
            let to = (group * LANES).min(start.len() - LANES);
            let starts = &start[to..to + LANES];
            let first = starts.iter().map(|&s| s as usize).min().unwrap_or(0).min(from - LOADED);
            if starts.iter().any(|&s| s as usize - first + taps > LOADED) {
                self.groups.clear();
                return;
            }
            let pick = core::array::from_fn(|i| ONE_BYTE | (starts[i] as usize - first) as i32);
            self.groups.push(Group { to, from: first, pick });
            let weight = |i: usize, t: usize| weights.get((to + i) * taps + t).copied().unwrap_or(0);
            self.weights.extend((0..taps).map(|t| core::array::from_fn(|i| weight(i, t))));
        }
    }

    /// Whether there are any, for this processor and these samples.
    pub(in crate::preprocess) fn serve(&self, isa: Isa, src: &[u8]) -> bool {
        let reach = self.groups.last().is_some_and(|last| last.from + LOADED <= src.len());
        isa.avx2 && reach
    }

    /// Samples as they are; `false` if this is for the plain kernel, as below.
    pub(in crate::preprocess) fn nearest(&self, isa: Isa, src: &[u8], out: &mut [u8]) -> bool {
        let serves = self.serve(isa, src);
        if serves {
            // SAFETY: `serve` asks for AVX2, which `Isa::detect` found; `nearest` is otherwise safe code.
            unsafe { nearest(src, &self.groups, out) };
        }
        serves
    }

    /// As `pillow_columns`.
    pub(in crate::preprocess) fn pillow(&self, isa: Isa, src: &[u8], out: &mut [u8]) -> bool {
        let run = match self.taps {
            1 => pillow::<1>,
            2 => pillow::<2>,
            3 => pillow::<3>,
            4 => pillow::<4>,
            5 => pillow::<5>,
            6 => pillow::<6>,
            _ => return false,
        };
        let serves = self.serve(isa, src);
        if serves {
            // SAFETY: as above.
            unsafe { run(src, self, out) };
        }
        serves
    }

    /// As `opencv_columns`.
    pub(in crate::preprocess) fn opencv(&self, isa: Isa, src: &[u8], out: &mut [i16]) -> bool {
        let serves = self.taps == 2 && self.serve(isa, src);
        if serves {
            // SAFETY: as above.
            unsafe { opencv(src, self, out) };
        }
        serves
    }
}

/// What a group loads, in both halves.
#[inline]
#[target_feature(enable = "avx2")]
fn load(src: &[u8], group: &Group) -> __m256i {
    // `serve` checked the last one's.
    let mut samples = [0; LOADED];
    samples.copy_from_slice(&src[group.from..][..LOADED]);
    _mm256_broadcastsi128_si256(cast(samples))
}

/// Eight sums of products, from `start` on, wrapping.
#[inline]
#[target_feature(enable = "avx2")]
fn sums<const T: usize>(src: &[u8], group: &Group, weights: &[[i32; LANES]; T], start: i32) -> __m256i {
    let samples = load(src, group);
    let mut pick: __m256i = cast(group.pick);
    let mut sum = _mm256_set1_epi32(start);
    for weights in weights {
        let product = _mm256_mullo_epi32(_mm256_shuffle_epi8(samples, pick), cast(*weights));
        sum = _mm256_add_epi32(sum, product);
        pick = _mm256_add_epi32(pick, _mm256_set1_epi32(1));
    }
    sum
}

/// To 16 bits, which they fit.
#[inline]
#[target_feature(enable = "avx2")]
fn words(values: __m256i) -> __m128i {
    _mm_packs_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256::<1>(values))
}

/// To bytes, saturated.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes(values: __m256i) -> [u8; LANES] {
    let words = words(values);
    _mm_cvtsi128_si64(_mm_packus_epi16(words, words)).to_le_bytes()
}

#[target_feature(enable = "avx2")]
fn nearest(src: &[u8], groups: &[Group], out: &mut [u8]) {
    for group in groups {
        let picked = _mm256_shuffle_epi8(load(src, group), cast(group.pick));
        out[group.to..][..LANES].copy_from_slice(&bytes(picked));
    }
}

#[target_feature(enable = "avx2")]
fn pillow<const T: usize>(src: &[u8], shuffles: &Shuffles, out: &mut [u8]) {
    const BITS: i32 = crate::preprocess::resize::pillow::PRECISION_BITS as i32;
    for (group, weights) in shuffles.groups.iter().zip(shuffles.weights.as_chunks::<T>().0) {
        let sum = sums(src, group, weights, 1 << (BITS - 1));
        out[group.to..][..LANES].copy_from_slice(&bytes(_mm256_srai_epi32::<BITS>(sum)));
    }
}

#[target_feature(enable = "avx2")]
fn opencv(src: &[u8], shuffles: &Shuffles, out: &mut [i16]) {
    for (group, weights) in shuffles.groups.iter().zip(shuffles.weights.as_chunks::<2>().0) {
        let sixteenths: [i16; LANES] = cast(words(_mm256_srai_epi32::<4>(sums(src, group, weights, 0))));
        out[group.to..][..LANES].copy_from_slice(&sixteenths);
    }
}

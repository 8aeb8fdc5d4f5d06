//! F(4 × 4, 3 × 3) of one to four tiles, as of a single picture on 7 × 7 pixels: weights are transformed as they are read.
//!
//! Transformed weights are four times the filter's, which a few tiles wait for longer than they compute. Here one row of
//! a transformed tile's matrices has its sums in registers, six matrices by up to four tiles, while the input channels go
//! by: nine taps become six weights by ten operations or less, each of which serves its tiles at once and is never stored.

use super::super::simd::{LANES, Simd};
use super::Size;
use core::f64::consts::FRAC_1_SQRT_2;
use core::ops::Range;

/// Tiles at most.
pub(in super::super) const MOST: usize = 4;

/// Input channels that all rows of matrices take before the next do: their taps, 36 KB, are read six times.
const PART: usize = 64;

/// Taps a pair of channels has.
pub(in super::super) const TAPS: usize = 9;

/// Operations that make a pair's weights of them.
pub(in super::super) const TRANSFORM: usize = 60;

/// What a row's and a column's taps are stored with: points ±√½ then need sums only, ±√2 factors of 2 and 4.
const STORED: [f64; 3] = [1.0, FRAC_1_SQRT_2, 0.5];

/// What is left to multiply with, for a row's and a column's point: `1 / ∏(p − other points)`, of which ∞ has none
/// but what its tap was stored with.
const LEFT: [f64; 6] = [1.0, -2.0 / 3.0, -2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0, 2.0];

/// One output block of up to [`MOST`] tiles.
pub(in super::super) struct Few<'a> {
    /// First tile of the first matrix, `[matrix][input blocks][tile][16]`.
    pub(in super::super) src: *const f32,
    /// Floats between those matrices, and between input blocks.
    pub(in super::super) src_strides: [usize; 2],
    /// Input channels.
    pub(in super::super) channels: usize,
    /// `[channels][9][16]`, what [`stored`] makes of a filter.
    pub(in super::super) taps: *const f32,
    /// First tile of the first matrix's sums.
    pub(in super::super) dst: *mut f32,
    /// Floats between those.
    pub(in super::super) dst_stride: usize,
    /// Tiles that have a row's points.
    pub(in super::super) tiles: &'a [Range<usize>; 6],
}

/// Sums of products for every matrix.
pub(in super::super) type FewFn = unsafe fn(&Few<'_>);

/// One 3 × 3 kernel as it is stored, row after row.
pub(in super::super) fn stored(g: &[[f64; 3]; 3]) -> [f64; TAPS] {
    core::array::from_fn(|i| g[i / 3][i % 3] * STORED[i / 3] * STORED[i % 3])
}

/// # Safety
/// `f.src` is valid for its tiles in each matrix and input block, `f.taps` for `9 · channels` vectors, `f.dst` for its
/// tiles in each matrix; [`Few::tiles`] has no more than [`MOST`] in a row.
#[inline(always)]
pub(in super::super) unsafe fn few<S: Simd>(s: S, f: &Few<'_>) {
    let mut first = 0;
    while first < f.channels {
        let channels = first..f.channels.min(first + PART);
        // SAFETY: as this function.
        unsafe {
            row::<S, 0>(s, f, &channels);
            row::<S, 1>(s, f, &channels);
            row::<S, 2>(s, f, &channels);
            row::<S, 3>(s, f, &channels);
            row::<S, 4>(s, f, &channels);
            row::<S, 5>(s, f, &channels);
        }
        first = channels.end;
    }
}

/// # Safety
/// As for [`few`].
#[inline(always)]
unsafe fn row<S: Simd, const ROW: usize>(s: S, f: &Few<'_>, channels: &Range<usize>) {
    // SAFETY: as this function.
    unsafe {
        match f.tiles[ROW].len() {
            1 => sums::<S, ROW, 1>(s, f, channels),
            2 => sums::<S, ROW, 2>(s, f, channels),
            3 => sums::<S, ROW, 3>(s, f, channels),
            4 => sums::<S, ROW, 4>(s, f, channels),
            _ => {}
        }
    }
}

/// A row of matrices, for some input channels.
///
/// # Safety
/// As for [`few`]; the row has `TILES` tiles.
#[inline(always)]
unsafe fn sums<S: Simd, const ROW: usize, const TILES: usize>(s: S, f: &Few<'_>, channels: &Range<usize>) {
    let [matrices, blocks] = f.src_strides;
    let [is_first, is_last] = [channels.start == 0, channels.end == f.channels];
    let (two, minus_two, four) = (s.splat(2.0), s.splat(-2.0), s.splat(4.0));
    // SAFETY: all reads and writes are of this row's matrices and tiles, of taps of these channels.
    unsafe {
        let at = ROW * Size::Four.points();
        let tile = f.tiles[ROW].start * LANES;
        let src = f.src.add(at * matrices + tile);
        let dst = f.dst.add(at * f.dst_stride + tile);
        let mut acc: [[S::V; TILES]; 6] = core::array::from_fn(|x| {
            core::array::from_fn(|t| match is_first {
                true => s.splat(0.0),
                false => s.load(dst.add(x * f.dst_stride + t * LANES)),
            })
        });
        let mut taps = f.taps.add(channels.start * TAPS * LANES);
        // Taps that come next, two of every twelve lines a row.
        let mut next = taps.wrapping_add((channels.len() * (TAPS + 2 * ROW)) * LANES);
        let mut channel = channels.start;
        while channel < channels.end {
            let mut src = src.add(channel / LANES * blocks);
            for _ in 0..LANES.min(channels.end - channel) {
                let tap = |y: usize, x: usize| s.load(taps.add((3 * y + x) * LANES));
                let g: [S::V; 3] = core::array::from_fn(|x| match ROW {
                    0 => tap(0, x),
                    1 => s.add(s.add(tap(0, x), tap(2, x)), tap(1, x)),
                    2 => s.sub(s.add(tap(0, x), tap(2, x)), tap(1, x)),
                    3 => s.fma(two, tap(1, x), s.fma(four, tap(2, x), tap(0, x))),
                    4 => s.fma(minus_two, tap(1, x), s.fma(four, tap(2, x), tap(0, x))),
                    _ => tap(2, x),
                });
                s.prefetch(next);
                s.prefetch(next.wrapping_add(LANES));
                next = next.wrapping_add(2 * LANES);
                let mut multiply = |x: usize, weight: S::V| {
                    for (t, sum) in acc[x].iter_mut().enumerate() {
                        *sum = s.fma(s.splat(*src.add(x * matrices + t * LANES)), weight, *sum);
                    }
                };
                // One weight at a time: there are registers for no more.
                multiply(0, g[0]);
                let even = s.add(g[0], g[2]);
                multiply(1, s.add(even, g[1]));
                multiply(2, s.sub(even, g[1]));
                let even = s.fma(four, g[2], g[0]);
                multiply(3, s.fma(two, g[1], even));
                multiply(4, s.fma(minus_two, g[1], even));
                multiply(5, g[2]);
                taps = taps.add(TAPS * LANES);
                src = src.add(1);
            }
            channel += LANES;
        }
        for (x, acc) in acc.into_iter().enumerate() {
            let factor = s.splat((LEFT[ROW] * LEFT[x]) as f32);
            for (t, sum) in acc.into_iter().enumerate() {
                let sum = if is_last { s.mul(factor, sum) } else { sum };
                s.store(dst.add(x * f.dst_stride + t * LANES), sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::isa::kernels;
    use super::super::super::simd::{Isa, Plain};
    use super::super::super::tests::uniform;
    use super::super::{Size, weights};
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    proptest! {
        /// Against products with the weights that other tiles read.
        #[test]
        fn sums_are_those_of_stored_weights(
            seed: u64, channels in 1usize..150, tiles in proptest::array::uniform6((0usize..4, 0usize..=4)),
        ) {
            let tiles = tiles.map(|(from, to)| from..to.max(from));
            let (blocks, size) = (channels.div_ceil(LANES), Size::Four.matrices());
            let stride = (blocks * MOST + 1) * LANES;
            let src = uniform(seed, size * stride, -1.0, 1.0);
            let filters = uniform(seed ^ 5, channels * LANES * TAPS, -1.0, 1.0);
            let filter = |c: usize, lane: usize| {
                let at = (c * LANES + lane) * TAPS;
                let g = |y: usize, x: usize| f64::from(filters[at + 3 * y + x]);
                core::array::from_fn(|y| core::array::from_fn(|x| g(y, x)))
            };
            let mut taps = vec![0.0; channels * TAPS * LANES];
            let mut expected = vec![0.0; size * MOST * LANES];
            for (c, lane) in (0..channels).flat_map(|c| (0..LANES).map(move |lane| (c, lane))) {
                let g = filter(c, lane);
                for (i, tap) in stored(&g).into_iter().enumerate() {
                    taps[(c * TAPS + i) * LANES + lane] = tap as f32;
                }
                for (matrix, weight) in weights(Size::Four, &g).into_iter().enumerate() {
                    for t in 0..MOST {
                        let v = src[matrix * stride + (c / LANES * MOST + t) * LANES + c % LANES];
                        expected[(matrix * MOST + t) * LANES + lane] += weight * f64::from(v);
                    }
                }
            }
            let compiled = Isa::ALL.into_iter().filter_map(|isa| kernels(isa)?.winograd_few);
            for kernel in compiled.chain([plain as FewFn]) {
                let mut dst = vec![f32::NAN; size * MOST * LANES];
                let f = Few {
                    src: src.as_ptr(),
                    src_strides: [stride, MOST * LANES],
                    channels,
                    taps: taps.as_ptr(),
                    dst: dst.as_mut_ptr(),
                    dst_stride: MOST * LANES,
                    tiles: &tiles,
                };
                // SAFETY: all that `f` points to is that long.
                unsafe { kernel(&f) }
                let is_of = |i: usize| tiles[i / LANES / MOST / 6].contains(&(i / LANES % MOST));
                let of: Vec<_> = (0..dst.len()).filter(|&i| is_of(i)).collect();
                let norm = of.iter().map(|&i| expected[i] * expected[i]).sum::<f64>();
                let error = of.iter().map(|&i| (f64::from(dst[i]) - expected[i]).powi(2)).sum::<f64>();
                prop_assert!(error <= 1e-12 * norm, "{}", libm::sqrt(error / norm));
                // What belongs to nobody isn't touched.
                prop_assert!((0..dst.len()).all(|i| is_of(i) || dst[i].is_nan()));
            }
        }
    }

    unsafe fn plain(f: &Few<'_>) {
        // SAFETY: as this function.
        unsafe { few(Plain, f) }
    }
}

//! Pillow's resampling: nearest as `ImagingScaleAffine`, the others as `Resample.c` (kernel widened
//! when shrinking, 22-bit fixed-point weights, 8-bit intermediate after the horizontal pass).

use super::axis::{Axis, Side};

/// A resampling kernel and its half width.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    support: f64,
    at: fn(f64) -> f64,
}

pub(super) const BILINEAR: Kernel = Kernel { support: 1.0, at: triangle };
pub(super) const BICUBIC: Kernel = Kernel { support: 2.0, at: cubic };

pub(in crate::preprocess) const PRECISION_BITS: u32 = 22;

fn triangle(x: f64) -> f64 {
    (1.0 - libm::fabs(x)).max(0.0)
}

/// Keys' cubic with a = −0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = libm::fabs(x);
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Positions of nearest-neighbour sampling. Pillow adds the step again and again; so does this, to
/// fall on the same side of every pixel border.
pub(super) fn nearest(side: Side, axis: &mut Axis) {
    let step = side.from as f64 / side.to as f64;
    let mut position = step * 0.5;
    for i in 0..side.first + side.count {
        if i >= side.first {
            axis.start.push((position as usize).min(side.from - 1) as u32);
        }
        position += step;
    }
}

/// Whether Pillow (from version 13) resamples vertically before horizontally: when the height
/// shrinks, by more than twice as many pixels as the width.
pub(super) fn vertical_first(across: Side, down: Side) -> bool {
    down.from > down.to && down.from - down.to > 2 * across.from.saturating_sub(across.to)
}

/// Weights of the two-pass resampling.
pub(super) fn weights(side: Side, kernel: Kernel, axis: &mut Axis) {
    let scale = side.from as f64 / side.to as f64;
    let filter_scale = scale.max(1.0);
    let support = kernel.support * filter_scale;
    let inverse = 1.0 / filter_scale;
    // Two rounds: how many taps remain once outer zeros are dropped, then the table itself.
    axis.taps = 1;
    let mut row = alloc::vec::Vec::new();
    for fill in [false, true] {
        if fill && axis.taps > 6 && axis.taps.next_multiple_of(8) <= side.from {
            axis.taps = axis.taps.next_multiple_of(8);
        }
        for i in side.wanted() {
            let center = (i as f64 + 0.5) * scale;
            let start = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(side.from);
            row.clear();
            row.extend((start..end).map(|x| (kernel.at)((x as f64 - center + 0.5) * inverse)));
            let total: f64 = row.iter().sum();
            let fixed = |w: f64| {
                let w = if total != 0.0 { w / total } else { w } * f64::from(1 << PRECISION_BITS);
                (if w < 0.0 { w - 0.5 } else { w + 0.5 }) as i32
            };
            let skip = row.iter().take_while(|&&w| fixed(w) == 0).count();
            let used = row.len() - skip - row[skip..].iter().rev().take_while(|&&w| fixed(w) == 0).count();
            if !fill {
                axis.taps = axis.taps.max(used);
                continue;
            }
            let wanted = start + skip;
            let first = wanted.min(side.from - axis.taps);
            let base = axis.int.len();
            axis.int.resize(base + axis.taps, 0);
            let shifted = &mut axis.int[base + (wanted - first)..];
            shifted.iter_mut().zip(&row[skip..skip + used]).for_each(|(k, &w)| *k = fixed(w));
            axis.start.push(first as u32);
        }
    }
}

/// One row, horizontally.
#[inline(always)]
pub(in crate::preprocess) fn pillow_columns(
    src: &[u8],
    taps: usize,
    start: &[u32],
    coef: &[i32],
    out: &mut [u8],
) {
    match taps {
        1 => columns::<1>(src, start, coef, out),
        2 => columns::<2>(src, start, coef, out),
        3 => columns::<3>(src, start, coef, out),
        4 => columns::<4>(src, start, coef, out),
        5 => columns::<5>(src, start, coef, out),
        6 => columns::<6>(src, start, coef, out),
        _ => {
            for ((o, &s), k) in out.iter_mut().zip(start).zip(coef.chunks_exact(taps)) {
                let s = s as usize;
                // Eight sums side by side; integer sums are the same in any order.
                let (pixels, pixel_rest) = src[s..s + taps].as_chunks::<8>();
                let (weights, weight_rest) = k.as_chunks::<8>();
                let mut sums = [0i32; 8];
                for (p, k) in pixels.iter().zip(weights) {
                    for i in 0..8 {
                        sums[i] = sums[i].wrapping_add(i32::from(p[i]).wrapping_mul(k[i]));
                    }
                }
                let mut sum = sums.iter().fold(0, |a: i32, &b| a.wrapping_add(b));
                for (&p, &k) in pixel_rest.iter().zip(weight_rest) {
                    sum = sum.wrapping_add(i32::from(p).wrapping_mul(k));
                }
                *o = clip(sum);
            }
        }
    }
}

#[inline(always)]
fn columns<const T: usize>(src: &[u8], start: &[u32], coef: &[i32], out: &mut [u8]) {
    for ((o, &s), k) in out.iter_mut().zip(start).zip(coef.as_chunks::<T>().0) {
        let s = s as usize;
        let pixels = &src[s..s + T];
        let mut sum = 0i32;
        for t in 0..T {
            sum = sum.wrapping_add(i32::from(pixels[t]).wrapping_mul(k[t]));
        }
        *o = clip(sum);
    }
}

/// One row, vertically: `rows` holds one row for each weight.
#[inline(always)]
pub(in crate::preprocess) fn pillow_rows(rows: &[u8], coef: &[i32], sums: &mut [i32], out: &mut [u8]) {
    let width = out.len();
    match *coef {
        [_] => out.copy_from_slice(&rows[..width]),
        [a, b] => {
            let (upper, lower) = rows.split_at(width);
            for ((o, &u), &l) in out.iter_mut().zip(upper).zip(lower) {
                *o = clip((i32::from(u).wrapping_mul(a)).wrapping_add(i32::from(l).wrapping_mul(b)));
            }
        }
        _ => {
            sums.fill(0);
            for (row, &k) in rows.chunks_exact(width).zip(coef) {
                for (s, &p) in sums.iter_mut().zip(row) {
                    *s = s.wrapping_add(i32::from(p).wrapping_mul(k));
                }
            }
            out.iter_mut().zip(sums).for_each(|(o, s)| *o = clip(*s));
        }
    }
}

/// Rounds the fixed-point sum to a byte.
#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum.wrapping_add(1 << (PRECISION_BITS - 1)) >> PRECISION_BITS).clamp(0, 255) as u8
}

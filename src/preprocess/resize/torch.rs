//! torchvision's `resize` of a `uint8` tensor with bilinear antialiasing, as the `transforms()` of its
//! weights call it: to `float32`, ATen's separable antialiased interpolation
//! (`UpSampleKernel.cpp`), rounded half to even back to bytes.
//!
//! torchvision's newer v2 transforms take an integer path on some processors, which differs by one
//! level here and there; this is the path that every processor has.

use super::axis::{Axis, Side};

/// Triangle weights, computed in `f32` as ATen does for `float32` tensors.
pub(super) fn weights(side: Side, axis: &mut Axis) {
    let scale = side.from as f32 / side.to as f32;
    let support = scale.max(1.0);
    let inverse = 1.0 / support;
    let span = |i: usize| {
        let center = scale * (i as f32 + 0.5);
        let start = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(side.from);
        (center, start, end.max(start))
    };
    axis.taps = side.wanted().map(|i| span(i).2 - span(i).1).max().unwrap_or(1).max(1);
    for i in side.wanted() {
        let (center, start, end) = span(i);
        let weight = |x: usize| {
            let j = (x - start) as f32;
            (1.0 - libm::fabsf((j + start as f32 - center + 0.5) * inverse)).max(0.0)
        };
        let total: f32 = (start..end).map(weight).sum();
        let first = start.min(side.from - axis.taps);
        let base = axis.float.len();
        axis.float.resize(base + axis.taps, 0.0);
        for x in start..end {
            axis.float[base + x - first] = if total == 0.0 { weight(x) } else { weight(x) / total };
        }
        axis.start.push(first as u32);
    }
}

/// One row, horizontally.
#[inline(always)]
pub(in crate::preprocess) fn torch_columns(
    src: &[u8],
    taps: usize,
    start: &[u32],
    coef: &[f32],
    out: &mut [f32],
) {
    for ((o, &s), k) in out.iter_mut().zip(start).zip(coef.chunks_exact(taps)) {
        let s = s as usize;
        let (pixels, pixel_rest) = src[s..s + taps].as_chunks::<8>();
        let (weights, weight_rest) = k.as_chunks::<8>();
        let mut sums = [0.0f32; 8];
        for (p, k) in pixels.iter().zip(weights) {
            for i in 0..8 {
                sums[i] += f32::from(p[i]) * k[i];
            }
        }
        let rest = pixel_rest.iter().zip(weight_rest).map(|(&p, &k)| f32::from(p) * k);
        *o = rest.fold(if pixels.is_empty() { 0.0 } else { sums.iter().sum() }, |sum, p| sum + p);
    }
}

/// One row, vertically: `rows` holds one row for each weight.
#[inline(always)]
pub(in crate::preprocess) fn torch_rows(rows: &[f32], coef: &[f32], sums: &mut [f32], out: &mut [u8]) {
    sums.fill(0.0);
    for (row, &k) in rows.chunks_exact(out.len()).zip(coef) {
        sums.iter_mut().zip(row).for_each(|(s, &p)| *s += p * k);
    }
    // Adding 2²³ leaves no fraction bits: rounds half to even.
    out.iter_mut()
        .zip(sums)
        .for_each(|(o, s)| *o = ((s.clamp(0.0, 255.0) + 8_388_608.0) - 8_388_608.0) as u8);
}

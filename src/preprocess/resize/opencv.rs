//! OpenCV's `INTER_LINEAR` for 8-bit pictures (`resize.cpp`): 11-bit weights, exact horizontal sums
//! kept to 16 bits, vertical products cut at 16 bits each before the final rounding.

use super::axis::{Axis, Side};

const SCALE: f32 = 2048.0;

/// Sample left of each position and the weight of the one to its right.
fn positions(side: Side) -> impl Iterator<Item = (isize, f32)> {
    // OpenCV inverts the inverse scale.
    let scale = 1.0 / (side.to as f64 / side.from as f64);
    side.wanted().map(move |i| {
        let position = ((i as f64 + 0.5) * scale - 0.5) as f32;
        let floor = libm::floorf(position);
        (floor as isize, position - floor)
    })
}

fn fixed(weight: f32) -> i32 {
    libm::rintf(weight * SCALE) as i32
}

/// Horizontal: positions outside move onto the edge sample.
pub(super) fn column_weights(side: Side, axis: &mut Axis) {
    let last = side.from - 1;
    axis.taps = side.from.min(2);
    for (sample, weight) in positions(side) {
        if axis.taps == 1 {
            axis.start.push(0);
            axis.int.push(fixed(1.0));
        } else if sample < 0 {
            axis.start.push(0);
            axis.int.extend([fixed(1.0), 0]);
        } else if sample as usize >= last {
            axis.start.push(last as u32 - 1);
            axis.int.extend([0, fixed(1.0)]);
        } else {
            axis.start.push(sample as u32);
            axis.int.extend([fixed(1.0 - weight), fixed(weight)]);
        }
    }
}

/// Vertical: both rows are clamped separately and the weights stay, which rounds differently.
pub(super) fn row_weights(side: Side, axis: &mut Axis) {
    let last = side.from as isize - 1;
    for (sample, weight) in positions(side) {
        axis.start.extend([sample.clamp(0, last) as u32, (sample + 1).clamp(0, last) as u32]);
        axis.int.extend([fixed(1.0 - weight), fixed(weight)]);
    }
}

/// One row, horizontally; sums are at most 255·2048, so a sixteenth fits 16 bits.
#[inline(always)]
pub(in crate::preprocess) fn opencv_columns(src: &[u8], start: &[u32], coef: &[i32], out: &mut [i16]) {
    if let [only] = *src {
        out.fill(((i32::from(only) * coef[0]) >> 4) as i16);
        return;
    }
    for ((o, &s), &[a, b]) in out.iter_mut().zip(start).zip(coef.as_chunks().0) {
        let s = s as usize;
        let pixels = &src[s..s + 2];
        *o = ((i32::from(pixels[0]) * a + i32::from(pixels[1]) * b) >> 4) as i16;
    }
}

/// One row, vertically.
#[inline(always)]
pub(in crate::preprocess) fn opencv_rows(upper: &[i16], lower: &[i16], [a, b]: [i32; 2], out: &mut [u8]) {
    let high = |s: i16, k: i32| ((i32::from(s) * i32::from(k as i16)) >> 16) as i16;
    for ((o, &u), &l) in out.iter_mut().zip(upper).zip(lower) {
        *o = ((high(u, a) + high(l, b) + 2) >> 2) as u8;
    }
}

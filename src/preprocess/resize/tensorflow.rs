//! `tf.image.resize(method="bilinear")` without antialias (`resize_bilinear_op.cc`, half-pixel
//! centres): the result stays in floats on the 0–255 scale.

use super::axis::{Axis, Side};

/// Both samples of each position and the weight of the second.
pub(super) fn weights(side: Side, axis: &mut Axis) {
    let scale = side.from as f32 / side.to as f32;
    let last = side.from as isize - 1;
    for i in side.wanted() {
        let position = (i as f32 + 0.5) * scale - 0.5;
        let floor = libm::floorf(position);
        let clamp = |v: f32| (v as isize).clamp(0, last) as u32;
        axis.start.extend([clamp(floor), clamp(libm::ceilf(position))]);
        axis.float.push(position - floor);
    }
}

/// One row, horizontally.
#[inline(always)]
pub(in crate::preprocess) fn tf_columns(src: &[u8], pairs: &[u32], lerp: &[f32], out: &mut [f32]) {
    for ((o, &[left, right]), &t) in out.iter_mut().zip(pairs.as_chunks().0).zip(lerp) {
        let (left, right) = (f32::from(src[left as usize]), f32::from(src[right as usize]));
        *o = left + (right - left) * t;
    }
}

/// One row, vertically.
#[inline(always)]
pub(in crate::preprocess) fn tf_rows(top: &[f32], bottom: &[f32], lerp: f32, out: &mut [f32]) {
    for ((o, &t), &b) in out.iter_mut().zip(top).zip(bottom) {
        *o = t + (b - t) * lerp;
    }
}

//! Pooling on blocks of 16 channels.

use super::simd::{LANES, Simd};

/// One output row of max pooling, one channel block.
pub(super) struct Row {
    /// The first input row under the window that lies inside the picture.
    pub(super) src: *const f32,
    /// Rows of the window inside the picture.
    pub(super) rows: usize,
    /// Floats between input rows.
    pub(super) row_stride: usize,
    pub(super) kernel_width: usize,
    pub(super) stride: usize,
    pub(super) pad_left: usize,
    /// Pixels in an input row.
    pub(super) width: usize,
    /// Pixels in the output row.
    pub(super) out_width: usize,
    pub(super) out: *mut f32,
}

/// Computes one row.
pub(super) type RowFn = unsafe fn(&Row);

/// Max pooling of one row; taps outside the picture don't count.
///
/// # Safety
/// `r`'s pointers are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn row<S: Simd>(s: S, r: &Row) {
    for x in 0..r.out_width {
        let left = x * r.stride;
        let first = r.pad_left.saturating_sub(left);
        let last = (r.width + r.pad_left).saturating_sub(left).min(r.kernel_width);
        // SAFETY: taps `first..last` of `rows` rows lie inside the picture, `x` inside the output.
        unsafe {
            let mut acc = s.splat(f32::NEG_INFINITY);
            for y in 0..r.rows {
                let src = r.src.add(y * r.row_stride);
                for kx in first..last {
                    acc = s.max_v(acc, s.load(src.add((left + kx - r.pad_left) * LANES)));
                }
            }
            s.store(r.out.add(x * LANES), acc);
        }
    }
}

//! Pooling on blocks of 16 channels, in bfloat16 of 32.

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

/// Max pooling of one row; taps outside the picture don't count. `HALVES`: of blocks of 32 channels in bfloat16.
///
/// # Safety
/// `r`'s pointers are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn row<S: Simd, const HALVES: bool>(s: S, r: &Row) {
    let zero = s.splat(0.0);
    for x in 0..r.out_width {
        let left = x * r.stride;
        let first = r.pad_left.saturating_sub(left);
        let last = (r.width + r.pad_left).saturating_sub(left).min(r.kernel_width);
        // SAFETY: taps `first..last` of `rows` rows lie inside the picture, `x` inside the output.
        unsafe {
            let mut acc = [s.splat(f32::NEG_INFINITY); 2];
            for y in 0..r.rows {
                let src = r.src.add(y * r.row_stride);
                for kx in first..last {
                    let src = src.add((left + kx - r.pad_left) * LANES);
                    let [a, b] = if HALVES { s.load_bf16(src.cast()) } else { [s.load(src), zero] };
                    acc = [s.max_v(acc[0], a), if HALVES { s.max_v(acc[1], b) } else { zero }];
                }
            }
            let out = r.out.add(x * LANES);
            if HALVES { s.store_bf16(out.cast(), acc) } else { s.store(out, acc[0]) }
        }
    }
}

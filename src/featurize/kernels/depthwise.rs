//! Depthwise convolution of one output row and one block of 16 channels.

use super::simd::{LANES, Simd};

/// Largest kernel height.
pub(super) const MAX_ROWS: usize = 7;

/// One output row of one channel block.
pub(super) struct Row {
    /// The input rows under the kernel, `[kh]`; rows outside the picture point to zeros.
    pub(super) rows: [*const f32; MAX_ROWS],
    pub(super) kernel: [usize; 2],
    pub(super) stride: usize,
    pub(super) pad_left: usize,
    /// Pixels in an input row.
    pub(super) width: usize,
    /// Pixels in the output row.
    pub(super) out_width: usize,
    /// `[kh][kw][16]`.
    pub(super) weights: *const f32,
    /// `[16]`.
    pub(super) bias: *const f32,
    pub(super) out: *mut f32,
    /// What is added before the bounds, laid out as `out`; null for nothing.
    pub(super) residual: *const f32,
    pub(super) bounds: [f32; 2],
}

/// Computes one row.
pub(super) type RowFn = unsafe fn(&Row);

impl Row {
    /// Output columns whose whole window lies inside the input row.
    fn interior(&self) -> [usize; 2] {
        let from = self.pad_left.div_ceil(self.stride);
        let to = match (self.width + self.pad_left).checked_sub(self.kernel[1]) {
            Some(last) => last / self.stride + 1,
            None => 0,
        };
        let to = to.min(self.out_width);
        if from < to { [from, to] } else { [0, 0] }
    }
}

/// A K × K kernel with its weights in registers.
///
/// # Safety
/// `r`'s pointers are valid for what its fields say; `kernel` is `[K, K]` and `stride` is `STRIDE`.
#[inline(always)]
pub(super) unsafe fn row<S: Simd, const K: usize, const STRIDE: usize>(s: S, r: &Row) {
    let [from, to] = r.interior();
    // SAFETY: `run` stays inside the rows for interior columns; the others go through `pixel`, which
    // checks every tap. Weights are K · K vectors.
    unsafe {
        let weights: [[S::V; K]; K] =
            core::array::from_fn(|y| core::array::from_fn(|x| s.load(r.weights.add((y * K + x) * LANES))));
        for x in (0..from).chain(to..r.out_width) {
            pixel(s, r, x);
        }
        let mut x = from;
        while x + 4 <= to {
            run::<S, K, STRIDE, 4>(s, r, &weights, x);
            x += 4;
        }
        if x + 2 <= to {
            run::<S, K, STRIDE, 2>(s, r, &weights, x);
            x += 2;
        }
        if x < to {
            run::<S, K, STRIDE, 1>(s, r, &weights, x);
        }
    }
}

/// Any kernel and stride.
///
/// # Safety
/// `r`'s pointers are valid for what its fields say.
#[inline(always)]
pub(super) unsafe fn row_any<S: Simd>(s: S, r: &Row) {
    for x in 0..r.out_width {
        // SAFETY: `x` is inside the output row.
        unsafe { pixel(s, r, x) }
    }
}

/// `N` adjacent output pixels, all inside.
///
/// # Safety
/// As [`row`]; the windows of columns `x..x + N` lie inside the input row.
#[inline(always)]
unsafe fn run<S: Simd, const K: usize, const STRIDE: usize, const N: usize>(
    s: S,
    r: &Row,
    weights: &[[S::V; K]; K],
    x: usize,
) {
    // SAFETY: the caller's promise: input columns from `x · STRIDE − pad_left` on, for every tap.
    unsafe {
        let mut acc = [s.load(r.bias); N];
        for (ky, weights) in weights.iter().enumerate() {
            let src = r.rows[ky].add((x * STRIDE - r.pad_left) * LANES);
            // Column by column: each is loaded once for all pixels that it is a tap of.
            for column in 0..(N - 1) * STRIDE + K {
                let v = s.load(src.add(column * LANES));
                for (i, acc) in acc.iter_mut().enumerate() {
                    if let Some(w) = column.checked_sub(i * STRIDE).and_then(|kx| weights.get(kx)) {
                        *acc = s.fma(*w, v, *acc);
                    }
                }
            }
        }
        for (i, acc) in acc.iter().enumerate() {
            finish(s, r, x + i, *acc);
        }
    }
}

/// One output pixel; taps outside the row count as zero.
///
/// # Safety
/// As [`row_any`]; `x` is inside the output row.
#[inline(always)]
unsafe fn pixel<S: Simd>(s: S, r: &Row, x: usize) {
    let [kh, kw] = r.kernel;
    let left = x * r.stride;
    let first = r.pad_left.saturating_sub(left);
    let last = (r.width + r.pad_left).saturating_sub(left).min(kw);
    // SAFETY: taps `first..last` are those with `0 ≤ left + kx − pad_left < width`.
    unsafe {
        let mut acc = s.load(r.bias);
        for (ky, row) in r.rows.iter().enumerate().take(kh) {
            for kx in first..last {
                let v = s.load(row.add((left + kx - r.pad_left) * LANES));
                acc = s.fma(s.load(r.weights.add((ky * kw + kx) * LANES)), v, acc);
            }
        }
        finish(s, r, x, acc);
    }
}

/// Adds the residual, applies the bounds and stores output pixel `x`.
///
/// # Safety
/// As [`row_any`]; `x` is inside the output row.
#[inline(always)]
unsafe fn finish<S: Simd>(s: S, r: &Row, x: usize, mut v: S::V) {
    // SAFETY: `out`, and `residual` unless it is null, hold the output row.
    unsafe {
        if !r.residual.is_null() {
            v = s.add(v, s.load(r.residual.add(x * LANES)));
        }
        s.store(r.out.add(x * LANES), s.min(r.bounds[1], s.max(r.bounds[0], v)));
    }
}

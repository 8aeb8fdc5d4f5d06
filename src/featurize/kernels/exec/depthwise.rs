//! Depthwise convolutions, whole or in strips.

use super::super::depthwise;
use super::super::gemm::offset;
use super::super::layer::{DepthwiseLayer, Layer, blocks};
use super::super::simd::LANES;
use super::Run;
use core::{ops::Range, ptr};

/// Output rows of a depthwise convolution in one channel block of one picture.
pub(in super::super) struct Strip {
    /// Input row `first`.
    pub(in super::super) src: *const f32,
    pub(in super::super) first: usize,
    /// Height and width of the whole input.
    pub(in super::super) size: [usize; 2],
    /// The first of the output rows.
    pub(in super::super) dst: *mut f32,
    /// What is added to them, laid out as `dst`; null for nothing.
    pub(in super::super) residual: *const f32,
    pub(in super::super) rows: Range<usize>,
    /// Pixels in an output row.
    pub(in super::super) width: usize,
    /// A row of zeros.
    pub(in super::super) zeros: *const f32,
}

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn depthwise(&self, layer: &Layer, conv: &DepthwiseLayer) {
        let [c, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        // SAFETY: planes of `n` pictures; scratch holds a row of zeros.
        unsafe {
            ptr::write_bytes(self.scratch, 0, w * LANES);
            for plane in self.share.range(blocks(c) * self.n, 1) {
                let strip = Strip {
                    src: self.read(layer.input).add(plane * h * w * LANES),
                    first: 0,
                    size: [h, w],
                    dst: self.write(layer.output).add(plane * oh * ow * LANES),
                    residual: offset(self.residual(layer), plane * oh * ow * LANES),
                    rows: 0..oh,
                    width: ow,
                    zeros: self.scratch,
                };
                self.depthwise_strip(conv, plane / self.n, strip);
            }
        }
    }

    /// Output rows of one channel block.
    ///
    /// # Safety
    /// The strip's pointers are valid for what its fields say.
    pub(in super::super) unsafe fn depthwise_strip(&self, conv: &DepthwiseLayer, block: usize, s: Strip) {
        let [kh, kw] = conv.kernel;
        let [h, w] = s.size;
        let kernel = match (conv.kernel, conv.stride) {
            ([3, 3], [1, 1]) => self.plan.kernels.depthwise[0],
            ([3, 3], [2, 2]) => self.plan.kernels.depthwise[1],
            _ => self.plan.kernels.depthwise[2],
        };
        for (row, y) in s.rows.enumerate() {
            // SAFETY: rows inside the picture are in the strip, the others are zeros.
            unsafe {
                let rows = core::array::from_fn(|ky| {
                    let iy = (y * conv.stride[0] + ky).checked_sub(conv.padding.top);
                    match iy.filter(|&iy| iy < h && ky < kh) {
                        Some(iy) => s.src.add((iy - s.first) * w * LANES),
                        None => s.zeros,
                    }
                });
                kernel(&depthwise::Row {
                    rows,
                    kernel: conv.kernel,
                    stride: conv.stride[1],
                    pad_left: conv.padding.left,
                    width: w,
                    out_width: s.width,
                    weights: self.weights(conv.weights + block * kh * kw * LANES),
                    bias: self.weights(conv.bias + block * LANES),
                    out: s.dst.add(row * s.width * LANES),
                    residual: offset(s.residual, row * s.width * LANES),
                    bounds: conv.bounds,
                });
            }
        }
    }
}

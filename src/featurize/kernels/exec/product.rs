//! Products and convolutions by implicit GEMM.

use super::super::gemm::{Pixels, Product, offset};
use super::super::layer::{ConvLayer, Layer, ProductLayer, blocks};
use super::super::share::prefers_columns;
use super::super::simd::LANES;
use super::Run;
use core::ptr;

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn product(&self, layer: &Layer, p: &ProductLayer) {
        // A linear layer's pixels are pictures.
        let pixels = self.n * layer.to[1] * layer.to[2];
        let kernels = self.plan.kernels;
        let (columns, own) = self.share.divide(blocks(p.sizes[1]), kernels.nb, pixels, kernels.mr);
        let product = self.pointwise(p, pixels * LANES).columns(&columns);
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let chunk = p.chunk(kernels.mr);
        for x in own.clone().step_by(chunk) {
            let (from, to) = (x * LANES, (columns.start * pixels + x) * LANES);
            let px = Pixels::run(chunk.min(own.end - x), pixels * LANES);
            // SAFETY: the chunk's pixels are inside input and output.
            unsafe { product.run(a.add(from), c.add(to), offset(r, to), px) }
        }
    }

    /// The product of a 1 × 1 convolution on channel blocks `group_stride` floats apart.
    pub(in super::super) fn pointwise(&self, p: &ProductLayer, group_stride: usize) -> Product<'_> {
        Product {
            kernels: self.plan.kernels,
            planar: false,
            groups: p.sizes[0] / LANES,
            tail: p.sizes[0] % LANES,
            group_stride,
            taps: &[0],
            b: self.weights(p.weights),
            bias: self.weights(p.bias),
            blocks: blocks(p.sizes[1]),
            bounds: p.bounds,
        }
    }

    pub(super) unsafe fn conv(&self, layer: &Layer, conv: &ConvLayer) {
        let [_, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let group = conv.group();
        let kernels = self.plan.kernels;
        // Rows of all pictures, one after the other.
        let all = blocks(conv.sizes[1]);
        let (columns, own) = if prefers_columns(all, self.n * oh * ow) {
            (self.share.range(all, kernels.nb), 0..self.n * oh)
        } else {
            (0..all, self.share.range(self.n * oh, 1))
        };
        let product = Product {
            kernels,
            planar: conv.planar,
            groups: conv.sizes[0] / group,
            tail: conv.sizes[0] % group,
            group_stride: conv.group_stride(),
            taps: &conv.taps,
            b: self.weights(conv.weights),
            bias: self.weights(conv.bias),
            blocks: blocks(conv.sizes[1]),
            bounds: conv.bounds,
        }
        .columns(&columns);
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let plane = self.n * oh * ow * LANES;
        for i in 0..self.n {
            let end = own.end.saturating_sub(i * oh).min(oh);
            for y in (own.start.saturating_sub(i * oh)..end).step_by(conv.strip) {
                let rows = conv.strip.min(end - y);
                let at = columns.start * plane + (i * oh + y) * ow * LANES;
                // SAFETY: the strip's input rows go to scratch, which holds `strip` rows' worth;
                // output rows `y..y + rows` of picture `i` are inside.
                unsafe {
                    for g in 0..conv.groups() {
                        let from = if conv.planar { i * conv.sizes[0] + g } else { g * self.n + i };
                        let src = a.add(from * h * w * group);
                        let dst = self.scratch.add(g * conv.group_stride());
                        for r in 0..conv.rows(rows) {
                            let row = conv
                                .input_row(y, r)
                                .checked_sub(conv.padding.top)
                                .filter(|&iy| iy < h)
                                .map(|iy| src.add(iy * w * group));
                            pad_row(conv, dst.add(r * conv.row()), row, w);
                        }
                    }
                    let px = Pixels {
                        rows,
                        cols: ow,
                        a_row: conv.row_step() * conv.row(),
                        c_row: ow * LANES,
                        c_stride: plane,
                    };
                    product.run(self.scratch, c.add(at), offset(r, at), px);
                }
            }
        }
    }
}

/// One input row (none: outside) into scratch, padded and sorted by column modulo stride.
///
/// # Safety
/// `row` is valid for `width` pixels of the layer's group, `dst` for a scratch row.
unsafe fn pad_row(conv: &ConvLayer, dst: *mut f32, row: Option<*const f32>, width: usize) {
    let (group, stride) = (conv.group(), conv.stride[1]);
    // SAFETY: pixels `from..to` of a phase are those whose column is inside the input row.
    unsafe {
        let Some(row) = row else {
            ptr::write_bytes(dst, 0, conv.row());
            return;
        };
        for phase in 0..conv.phases() {
            let dst = dst.add(phase * conv.pitch * group);
            let from = conv.padding.left.saturating_sub(phase).div_ceil(stride).min(conv.pitch);
            let to = (width + conv.padding.left).saturating_sub(phase).div_ceil(stride).min(conv.pitch);
            let to = to.max(from);
            ptr::write_bytes(dst, 0, from * group);
            ptr::write_bytes(dst.add(to * group), 0, (conv.pitch - to) * group);
            if to == from {
                continue;
            }
            let src = row.add((from * stride + phase - conv.padding.left) * group);
            let dst = dst.add(from * group);
            if stride == 1 {
                ptr::copy_nonoverlapping(src, dst, (to - from) * group);
            } else if group == 1 {
                for p in 0..to - from {
                    *dst.add(p) = *src.add(p * stride);
                }
            } else {
                for p in 0..to - from {
                    ptr::copy_nonoverlapping(src.add(p * stride * LANES), dst.add(p * LANES), LANES);
                }
            }
        }
    }
}

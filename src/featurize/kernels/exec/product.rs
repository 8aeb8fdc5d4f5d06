//! Products and convolutions by implicit GEMM.

use super::super::gemm::{Pixels, Product, offset};
use super::super::layer::{ConvLayer, Layer, ProductLayer, blocks};
use super::super::share::prefers_columns;
use super::super::simd::LANES;
use super::Run;
use core::{ops::Range, ptr};

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn product(&self, layer: &Layer, p: &ProductLayer) {
        // A linear layer's pixels are pictures.
        let pixels = self.n * layer.to[1] * layer.to[2];
        let kernels = self.plan.kernels;
        let (columns, own) = self.share.divide(blocks(p.sizes[1]), self.plan.nb(), pixels, kernels.mr);
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let (from, to) = (own.start * LANES, (columns.start * pixels + own.start) * LANES);
        let px = Pixels::run(own.len(), pixels * LANES);
        // SAFETY: this thread's pixels are inside input and output.
        unsafe { self.pointwise(p, &columns, a.add(from), pixels * LANES, c.add(to), offset(r, to), px) }
    }

    /// A 1 × 1 convolution of one run of pixels, chunk by chunk, for some of its output blocks; input
    /// blocks are `block` floats apart.
    ///
    /// # Safety
    /// `a`, `c` and `residual` (null for none, else laid out as `c`) are valid for the pixels; the output
    /// begins at the first of `columns`, a multiple of [`Plan::nb`](super::super::Plan::nb).
    #[expect(clippy::too_many_arguments, reason = "three operands and their strides")]
    pub(in super::super) unsafe fn pointwise(
        &self,
        p: &ProductLayer,
        columns: &Range<usize>,
        a: *const f32,
        block: usize,
        c: *mut f32,
        residual: *const f32,
        px: Pixels,
    ) {
        if let Some(engine) = p.engine {
            // SAFETY: the caller's promise.
            return unsafe { self.pointwise_reduced(p, engine, columns, a, block, c, residual, px) };
        }
        let product = self.full(p, block).columns(columns);
        let chunk = p.chunk(self.plan.kernels.mr);
        for x in (0..px.cols).step_by(chunk) {
            let (at, px) = (x * LANES, Pixels { cols: chunk.min(px.cols - x), ..px });
            // SAFETY: the chunk's pixels are among the caller's.
            unsafe { product.run(a.add(at), c.add(at), offset(residual, at), px) }
        }
    }

    /// The product of a 1 × 1 convolution on channel blocks `group_stride` floats apart.
    fn full(&self, p: &ProductLayer, group_stride: usize) -> Product<'_> {
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
        if let Some(engine) = conv.engine {
            // SAFETY: as this method.
            return unsafe { self.conv_reduced(layer, conv, engine) };
        }
        let [_, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let group = conv.group();
        let kernels = self.plan.kernels;
        let (columns, own) = self.divide_rows(conv, [oh, ow]);
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

    /// This thread's output blocks, and rows of all pictures one after the other.
    pub(super) fn divide_rows(&self, conv: &ConvLayer, [oh, ow]: [usize; 2]) -> (Range<usize>, Range<usize>) {
        let all = blocks(conv.sizes[1]);
        if prefers_columns(all, self.n * oh * ow) {
            (self.share.range(all, self.plan.nb()), 0..self.n * oh)
        } else {
            (0..all, self.share.range(self.n * oh, 1))
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
            let Range { start: from, end: to } = conv.inside(phase, width);
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

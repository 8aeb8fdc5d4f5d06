//! Products and convolutions by implicit GEMM.

use super::super::gemm::{Pixels, Product, offset};
use super::super::layer::{ConvLayer, Layer, NEAR, Place, ProductLayer, blocks};
use super::super::share::prefers_columns;
use super::super::simd::LANES;
use super::Run;
use core::{ops::Range, ptr};

/// What a 1 × 1 convolution reads and writes: adjacent pixels.
pub(in super::super) struct Pointwise {
    /// The first pixel of the first input block.
    pub(in super::super) a: *const f32,
    /// Floats between input blocks.
    pub(in super::super) a_stride: usize,
    /// Output blocks; the first is a multiple of [`Plan::nb`](super::super::Plan::nb).
    pub(in super::super) columns: Range<usize>,
    /// The first pixel of the first of them.
    pub(in super::super) c: *mut f32,
    /// Floats between output blocks.
    pub(in super::super) c_stride: usize,
    /// Added before the bounds, laid out as `c`; null for none.
    pub(in super::super) residual: *const f32,
    pub(in super::super) pixels: usize,
    /// Whether the input is in bfloat16, and the output (with the residual).
    pub(in super::super) halves: [bool; 2],
    /// Whether what is read may be far away: written by other threads, or too much for a near cache.
    pub(in super::super) distant: bool,
}

impl Pointwise {
    /// Up to `chunk` pixels at a time: where they begin, in floats, and how many.
    pub(super) fn chunks(&self, chunk: usize) -> impl Iterator<Item = (usize, Pixels)> {
        let part = move |x| (x * LANES, Pixels::run(chunk.min(self.pixels - x), self.c_stride));
        (0..self.pixels).step_by(chunk).map(part)
    }
}

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn product(&self, layer: &Layer, p: &ProductLayer) {
        // A linear layer's pixels are pictures.
        let pixels = self.n * layer.to[1] * layer.to[2];
        let (columns, own) = self.divide_product(p, pixels);
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let first = columns.start / layer.output.per_block();
        let (from, to) = (own.start * LANES, (first * pixels + own.start) * LANES);
        // SAFETY: this thread's pixels are inside input and output.
        unsafe {
            self.pointwise(
                p,
                &Pointwise {
                    a: a.add(from),
                    a_stride: pixels * LANES,
                    columns,
                    c: c.add(to),
                    c_stride: pixels * LANES,
                    residual: offset(r, to),
                    pixels: own.len(),
                    halves: [layer.input, layer.output].map(Place::is_halves),
                    distant: self.team || p.sizes[0] * own.len() > NEAR,
                },
            );
        }
    }

    /// This thread's output blocks and pixels of a 1 × 1 convolution.
    pub(in super::super) fn divide_product(
        &self,
        p: &ProductLayer,
        pixels: usize,
    ) -> (Range<usize>, Range<usize>) {
        let mr = p.engine.map_or(self.plan.kernels.mr, |engine| engine.mr);
        self.share.divide(blocks(p.sizes[1]), self.plan.nb(), pixels, mr)
    }

    /// A 1 × 1 convolution, chunk by chunk.
    ///
    /// # Safety
    /// `run`'s pointers are valid for what its fields say.
    pub(in super::super) unsafe fn pointwise(&self, p: &ProductLayer, run: &Pointwise) {
        if let Some(engine) = p.engine {
            // SAFETY: the caller's promise.
            return unsafe { self.pointwise_reduced(p, engine, run) };
        }
        let product = self.full(p, run).columns(&run.columns);
        for (at, px) in run.chunks(p.chunk(self.plan.kernels.mr)) {
            // SAFETY: the chunk's pixels are among the caller's.
            unsafe { product.run(run.a.add(at), run.c.add(at), offset(run.residual, at), px) }
        }
    }

    /// The product of a 1 × 1 convolution, all of its columns.
    fn full(&self, p: &ProductLayer, run: &Pointwise) -> Product<'_> {
        Product {
            kernels: self.plan.kernels,
            planar: false,
            groups: p.sizes[0] / LANES,
            tail: p.sizes[0] % LANES,
            group_stride: run.a_stride,
            taps: &[0],
            b: self.weights(p.weights),
            bias: self.weights(p.bias),
            blocks: blocks(p.sizes[1]),
            bounds: p.bounds,
            distant: run.distant,
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
            distant: false,
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
                        for r in 0..conv.down().rows(rows) {
                            let row = conv.down().input_row(y, r, h).map(|iy| src.add(iy * w * group));
                            pad_row(conv, dst.add(conv.place(r)), row, w);
                        }
                    }
                    let px = Pixels::strip(rows, ow, conv.line(), plane);
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
/// `row` is valid for `width` pixels of the layer's group, `dst` for a line in every phase.
unsafe fn pad_row(conv: &ConvLayer, dst: *mut f32, row: Option<*const f32>, width: usize) {
    let (group, stride) = (conv.group(), conv.stride[1]);
    // SAFETY: pixels `from..to` of a phase are those whose column is inside the input row.
    unsafe {
        for phase in 0..conv.phases() {
            let dst = dst.add(phase * conv.phase());
            let Some(row) = row else {
                ptr::write_bytes(dst, 0, conv.line());
                continue;
            };
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

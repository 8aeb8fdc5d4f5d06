//! Convolutions by Winograd's algorithm.

use super::super::gemm::{Pixels, Product, offset};
use super::super::layer::{Layer, WinogradLayer, blocks};
use super::super::simd::LANES;
use super::super::winograd::{Input, Output};
use super::Run;
use core::ptr;

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn winograd(&self, layer: &Layer, conv: &WinogradLayer) {
        let [_, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let kernels = self.plan.kernels;
        let [k, n] = conv.sizes;
        let [tiles_y, tiles_x] = conv.tiles;
        let (out, matrices) = (conv.size.out(), conv.size.matrices());
        let input = kernels.winograd_input[conv.size as usize];
        let output = kernels.winograd_output[conv.size as usize];
        let total = self.n * tiles_y * tiles_x;
        let (v, v_stride) = (self.scratch, conv.input_stride());
        let m_stride = conv.output_stride();
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        // Threads that divide the output channels each transform all of the input: little beside
        // reading weights that are used for few tiles.
        let (columns, own) = self.share.divide(blocks(n), kernels.nb, total, kernels.mr);
        for first in own.clone().step_by(conv.chunk) {
            let chunk = conv.chunk.min(own.end - first);
            // SAFETY: scratch holds the matrices of `chunk` tiles for the input and as many for the
            // sums; runs of tiles stay inside one row of tiles of one picture.
            unsafe {
                let m = v.add(matrices * v_stride);
                let runs = |each: &mut dyn FnMut(usize, usize, usize, usize, usize)| {
                    let mut t = 0;
                    while t < chunk {
                        let (row, x) = ((first + t) / tiles_x, (first + t) % tiles_x);
                        let count = (tiles_x - x).min(chunk - t);
                        each(t, row / tiles_y, row % tiles_y, x, count);
                        t += count;
                    }
                };
                for b in 0..blocks(k) {
                    runs(&mut |t, i, y, x, count| {
                        input(&Input {
                            src: a.add((b * self.n + i) * h * w * LANES),
                            height: h,
                            width: w,
                            y: (y * out) as isize - conv.padding.top as isize,
                            x: (x * out) as isize - conv.padding.left as isize,
                            count,
                            dst: v.add((b * chunk + t) * LANES),
                            dst_stride: v_stride,
                        });
                    });
                }
                let matrix = (k * blocks(n)) * LANES;
                for i in 0..matrices {
                    let product = Product {
                        kernels,
                        planar: false,
                        groups: k / LANES,
                        tail: k % LANES,
                        group_stride: chunk * LANES,
                        taps: &[0],
                        b: self.weights(conv.weights + i * matrix),
                        bias: ptr::null(),
                        blocks: blocks(n),
                        bounds: None,
                    }
                    .columns(&columns);
                    let px = Pixels::run(chunk, chunk * LANES);
                    product.run(v.add(i * v_stride), m.add(i * m_stride), ptr::null(), px);
                }
                for (at, b) in columns.clone().enumerate() {
                    let bias = self.weights(conv.bias + b * LANES);
                    runs(&mut |t, i, y, x, count| {
                        let plane = (b * self.n + i) * oh * ow * LANES;
                        output(&Output {
                            src: m.add((at * chunk + t) * LANES),
                            src_stride: m_stride,
                            bias,
                            dst: c.add(plane),
                            residual: offset(r, plane),
                            height: oh,
                            width: ow,
                            y: y * out,
                            x: x * out,
                            count,
                            bounds: conv.bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]),
                        });
                    });
                }
            }
        }
    }
}

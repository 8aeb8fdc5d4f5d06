//! Convolutions by Winograd's algorithm.

use super::super::gemm::{Pixels, Product, offset};
use super::super::layer::{Layer, WinogradLayer, blocks};
use super::super::share::prefers_columns;
use super::super::simd::LANES;
use super::super::winograd::{Input, Output};
use super::Run;
use core::{ops::Range, ptr};

/// Tiles that go through the algorithm together, and where their matrices are.
struct Chunk {
    /// Of all pictures, one row of tiles after the other.
    tiles: Range<usize>,
    /// `[matrix][input blocks][tile][16]`.
    v: *mut f32,
    /// Floats between those matrices.
    v_stride: usize,
    /// `[matrix][columns][tile][16]`.
    m: *mut f32,
    m_stride: usize,
    /// Output blocks.
    columns: Range<usize>,
    /// Whether other threads wrote some of `v`.
    common: bool,
}

impl Chunk {
    /// Tiles that are adjacent in one row of tiles: how many come before in the chunk, row of tiles of all
    /// pictures, column, how many.
    fn runs(&self, tiles: Range<usize>, across: usize) -> impl Iterator<Item = [usize; 4]> {
        let (first, mut next) = (self.tiles.start, tiles.start);
        core::iter::from_fn(move || {
            let (row, x) = (next / across, next % across);
            let count = (across - x).min(tiles.end - next);
            let run = [next - first, row, x, count];
            next += count;
            (count > 0).then_some(run)
        })
    }
}

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn winograd(&self, layer: &Layer, conv: &WinogradLayer) {
        let [_, h, w] = layer.from;
        let nb = self.plan.nb();
        let [k, n] = conv.sizes.map(blocks);
        let total = self.n * conv.tiles[0] * conv.tiles[1];
        let matrices = conv.size.matrices();
        let (columns, own) = self.share.divide(n, nb, total, self.plan.kernels.mr);
        // A team that divides the output channels divides the transformation, too, and meets before the products.
        let widest = n.div_ceil(nb).div_ceil(self.share.of) * nb;
        let common = self.barrier.is_some()
            && conv.common() > 0
            && matrices * (widest * conv.common_chunk() + 1) * LANES <= conv.scratch();
        let len = if common { conv.common_chunk() } else { conv.chunk };
        for (i, first) in own.clone().step_by(len).enumerate() {
            let tiles = first..own.end.min(first + len);
            let v_stride = (k * len + 1) * LANES;
            // SAFETY: the plan made scratch large enough for a chunk's matrices, and for this thread's part of the
            // sums in a chunk that is common. What is common has room for two chunks: before a thread writes to
            // one again, all have met after they read it.
            unsafe {
                let v = match common {
                    true => self.common.add(i % 2 * matrices * v_stride),
                    false => self.scratch,
                };
                let m = if common { self.scratch } else { v.add(matrices * v_stride) };
                let m_stride = (columns.len() * len + 1) * LANES;
                let chunk = Chunk {
                    tiles: tiles.clone(),
                    v,
                    v_stride,
                    m,
                    m_stride,
                    columns: columns.clone(),
                    common,
                };
                if !common {
                    self.winograd_input(layer, conv, &chunk, 0..k, tiles);
                } else {
                    // What this thread itself wrote, by the rule for the layer before.
                    let (blocks, own) = if prefers_columns(k, h * w) {
                        (self.share.range(k, nb), tiles)
                    } else {
                        let own = self.share.range(tiles.len(), 1);
                        (0..k, tiles.start + own.start..tiles.start + own.end)
                    };
                    self.winograd_input(layer, conv, &chunk, blocks, own);
                    if !self.meet() {
                        return;
                    }
                }
                self.winograd_products(conv, &chunk);
                self.winograd_output(layer, conv, &chunk);
            }
        }
    }

    /// Transforms some of a chunk's tiles, those of some input blocks.
    unsafe fn winograd_input(
        &self,
        layer: &Layer,
        conv: &WinogradLayer,
        chunk: &Chunk,
        blocks: Range<usize>,
        tiles: Range<usize>,
    ) {
        let [_, h, w] = layer.from;
        let [down, across] = conv.tiles;
        let (a, len, out) = (self.read(layer.input), chunk.tiles.len(), conv.size.out());
        let input = self.plan.kernels.winograd_input[conv.size as usize];
        for b in blocks {
            for [t, row, x, count] in chunk.runs(tiles.clone(), across) {
                // SAFETY: the run's tiles are of one row of tiles of one picture, and in the chunk.
                unsafe {
                    input(&Input {
                        src: a.add((b * self.n + row / down) * h * w * LANES),
                        height: h,
                        width: w,
                        y: (row % down * out) as isize - conv.padding.top as isize,
                        x: (x * out) as isize - conv.padding.left as isize,
                        count,
                        dst: chunk.v.add((b * len + t) * LANES),
                        dst_stride: chunk.v_stride,
                    });
                }
            }
        }
    }

    /// A product for each matrix.
    unsafe fn winograd_products(&self, conv: &WinogradLayer, chunk: &Chunk) {
        let [k, n] = conv.sizes;
        let (len, matrix) = (chunk.tiles.len(), k * blocks(n) * LANES);
        for i in 0..conv.size.matrices() {
            let product = Product {
                kernels: self.plan.kernels,
                planar: false,
                groups: k / LANES,
                tail: k % LANES,
                group_stride: len * LANES,
                taps: &[0],
                b: self.weights(conv.weights + i * matrix),
                bias: ptr::null(),
                blocks: blocks(n),
                bounds: None,
                distant: chunk.common,
            }
            .columns(&chunk.columns);
            let px = Pixels::run(len, len * LANES);
            // SAFETY: matrix `i` of the chunk's tiles and of its sums.
            unsafe {
                let (v, m) = (chunk.v.add(i * chunk.v_stride), chunk.m.add(i * chunk.m_stride));
                product.run(v, m, ptr::null(), px);
            }
        }
    }

    /// Transforms a chunk's sums.
    unsafe fn winograd_output(&self, layer: &Layer, conv: &WinogradLayer, chunk: &Chunk) {
        let [_, h, w] = layer.to;
        let [down, across] = conv.tiles;
        let (c, r) = (self.write(layer.output), self.residual(layer));
        let (len, out) = (chunk.tiles.len(), conv.size.out());
        let output = self.plan.kernels.winograd_output[conv.size as usize];
        for (at, b) in chunk.columns.clone().enumerate() {
            let bias = self.weights(conv.bias + b * LANES);
            for [t, row, x, count] in chunk.runs(chunk.tiles.clone(), across) {
                let plane = (b * self.n + row / down) * h * w * LANES;
                // SAFETY: as in `winograd_input`; the output's blocks are this thread's.
                unsafe {
                    output(&Output {
                        src: chunk.m.add((at * len + t) * LANES),
                        src_stride: chunk.m_stride,
                        bias,
                        dst: c.add(plane),
                        residual: offset(r, plane),
                        height: h,
                        width: w,
                        y: row % down * out,
                        x: x * out,
                        count,
                        bounds: conv.bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]),
                    });
                }
            }
        }
    }
}

//! Convolutions by Winograd's algorithm.

use super::super::gemm::{Pixels, Product, offset};
use super::super::layer::{Layer, blocks};
use super::super::share::prefers_columns;
use super::super::simd::LANES;
use super::super::winograd::few::{Few, TAPS};
use super::super::winograd::{Input, Output, WinogradLayer, kernel};
use super::Run;
use core::{ops::Range, ptr};

/// Tiles that go through the algorithm together, and where their matrices are.
struct Chunk {
    /// Of all pictures, in the order of [`Tiles`](super::super::tiles::Tiles).
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

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn winograd(&self, layer: &Layer, conv: &WinogradLayer, phase: usize) {
        let total = self.n * conv.all_tiles();
        let (columns, own) = if self.by_tiles(conv) {
            (0..blocks(conv.sizes[1]), self.share.range(total, 1))
        } else {
            self.share.divide(blocks(conv.sizes[1]), self.plan.nb(), total, self.plan.kernels.mr)
        };
        if let Some(len) = self.common_chunk(conv) {
            let first = phase / 2 * len;
            let chunk = self.chunk(conv, first..total.min(first + len), len, columns, true);
            // SAFETY: as this method; a phase is done before the next begins.
            return unsafe {
                match phase % 2 {
                    0 => {
                        let (blocks, tiles) = self.input_share(layer, conv, &chunk);
                        self.winograd_input(layer, conv, &chunk, blocks, tiles);
                    }
                    _ => {
                        self.winograd_products(conv, &chunk);
                        self.winograd_output(layer, conv, &chunk);
                    }
                }
            };
        }
        for first in own.clone().step_by(conv.chunk) {
            let tiles = first..own.end.min(first + conv.chunk);
            let chunk = self.chunk(conv, tiles.clone(), conv.chunk, columns.clone(), false);
            // SAFETY: as this method.
            unsafe {
                self.winograd_input(layer, conv, &chunk, 0..blocks(conv.sizes[0]), tiles);
                self.winograd_products(conv, &chunk);
                self.winograd_output(layer, conv, &chunk);
            }
        }
    }

    /// Whether shares are tiles, whatever the number of channels: with a chunk's worth for each, weights are read as often
    /// as by one thread, and no tile is transformed twice or by another thread.
    fn by_tiles(&self, conv: &WinogradLayer) -> bool {
        conv.few.is_none() && (self.n * conv.all_tiles()).div_ceil(self.share.of) >= conv.chunk
    }

    /// How many tiles a team that divides the output channels transforms together, each thread some of them, before
    /// their products begin. `None` where each transforms what it needs.
    pub(super) fn common_chunk(&self, conv: &WinogradLayer) -> Option<usize> {
        let widest = blocks(conv.sizes[1]).div_ceil(self.plan.nb()).div_ceil(self.share.of) * self.plan.nb();
        let sums = conv.size.matrices() * (widest * conv.common_chunk() + 1) * LANES;
        let common = self.team && conv.common() > 0 && sums <= conv.scratch() && !self.by_tiles(conv);
        common.then(|| conv.common_chunk())
    }

    /// Some tiles of chunks of `len`, whose matrices lie in scratch but for what is common.
    fn chunk(
        &self,
        conv: &WinogradLayer,
        tiles: Range<usize>,
        len: usize,
        columns: Range<usize>,
        common: bool,
    ) -> Chunk {
        let v_stride = (blocks(conv.sizes[0]) * len + 1) * LANES;
        let m_stride = (columns.len() * len + 1) * LANES;
        let [v, m] = match common {
            true => [self.common, self.scratch],
            false => [self.scratch, self.scratch.wrapping_add(conv.size.matrices() * v_stride)],
        };
        Chunk { tiles, v, v_stride, m, m_stride, columns, common }
    }

    /// Input blocks and tiles of a common chunk that this share transforms: what it wrote, by the rule for the layer
    /// before.
    fn input_share(
        &self,
        layer: &Layer,
        conv: &WinogradLayer,
        chunk: &Chunk,
    ) -> (Range<usize>, Range<usize>) {
        let ([_, h, w], k, tiles) = (layer.from, blocks(conv.sizes[0]), chunk.tiles.clone());
        if prefers_columns(k, h * w) {
            return (self.share.range(k, self.plan.nb()), tiles);
        }
        let own = self.share.range(tiles.len(), 1);
        (0..k, tiles.start + own.start..tiles.start + own.end)
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
        let (a, len, out) = (self.read(layer.input), chunk.tiles.len(), conv.size.out());
        for b in blocks {
            for run in conv.tiles.adjacent(tiles.clone(), self.n) {
                let [y, x] = run.at.map(|tile| (tile * out) as isize);
                // SAFETY: the run's tiles are of one row of tiles of one picture, and in the chunk.
                unsafe {
                    (self.plan.kernels.winograd_input[kernel(run.lines)])(&Input {
                        src: a.add((b * self.n + run.picture) * h * w * LANES),
                        height: h,
                        width: w,
                        y: y - conv.padding.top as isize,
                        x: x - conv.padding.left as isize,
                        count: run.count,
                        dst: chunk.v.add((b * len + run.first - chunk.tiles.start) * LANES),
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
        if let Some(few) = conv.few {
            let tiles = core::array::from_fn(|row| conv.tiles.of_row(row, self.n));
            for (at, block) in chunk.columns.clone().enumerate() {
                let of_block = Few {
                    src: chunk.v,
                    src_strides: [chunk.v_stride, len * LANES],
                    channels: k,
                    taps: self.weights(conv.weights + block * k * TAPS * LANES),
                    dst: chunk.m.wrapping_add(at * len * LANES),
                    dst_stride: chunk.m_stride,
                    tiles: &tiles,
                };
                // SAFETY: the only chunk has all tiles, of which there are few; the plan packed their taps.
                unsafe { few(&of_block) }
            }
            return;
        }
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
            let tiles = conv.tiles.of_matrix(i, self.n);
            let (first, end) = (tiles.start.max(chunk.tiles.start), tiles.end.min(chunk.tiles.end));
            let px = Pixels::run(end.saturating_sub(first), len * LANES);
            let at = first.saturating_sub(chunk.tiles.start) * LANES;
            // SAFETY: matrix `i` of those of the chunk's tiles that have it, and of their sums.
            unsafe {
                let (v, m) = (chunk.v.add(i * chunk.v_stride + at), chunk.m.add(i * chunk.m_stride + at));
                product.run(v, m, ptr::null(), px);
            }
        }
    }

    /// Transforms a chunk's sums.
    unsafe fn winograd_output(&self, layer: &Layer, conv: &WinogradLayer, chunk: &Chunk) {
        let [_, h, w] = layer.to;
        let (c, r) = (self.write(layer.output), self.residual(layer));
        let (len, out) = (chunk.tiles.len(), conv.size.out());
        for (at, b) in chunk.columns.clone().enumerate() {
            let bias = self.weights(conv.bias + b * LANES);
            for run in conv.tiles.adjacent(chunk.tiles.clone(), self.n) {
                let plane = (b * self.n + run.picture) * h * w * LANES;
                // SAFETY: as in `winograd_input`; the output's blocks are this thread's.
                unsafe {
                    (self.plan.kernels.winograd_output[kernel(run.lines)])(&Output {
                        src: chunk.m.add((at * len + run.first - chunk.tiles.start) * LANES),
                        src_stride: chunk.m_stride,
                        bias,
                        dst: c.add(plane),
                        residual: offset(r, plane),
                        height: h,
                        width: w,
                        y: run.at[0] * out,
                        x: run.at[1] * out,
                        count: run.count,
                        bounds: conv.bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]),
                    });
                }
            }
        }
    }
}

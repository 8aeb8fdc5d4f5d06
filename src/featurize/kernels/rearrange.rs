//! Steps that move or pool values without weights.

use super::super::network::{FlattenOrder, Pool};
use super::exec::Run;
use super::layer::{Layer, Place, blocks};
use super::pool;
use super::simd::LANES;

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory.
impl Run<'_> {
    pub(super) unsafe fn block(&self, layer: &Layer) {
        let (c, plane) = (layer.from[0], layer.from[1] * layer.from[2]);
        // SAFETY: `n` planar pictures in, `n` blocked ones out.
        unsafe {
            let out = self.write(layer.output);
            for at in self.share.range(blocks(c) * self.n, 1) {
                let (b, i) = (at / self.n, at % self.n);
                for p in 0..plane {
                    for lane in 0..LANES {
                        let ch = b * LANES + lane;
                        let v = if ch < c { *self.input.add((i * c + ch) * plane + p) } else { 0.0 };
                        *out.add((at * plane + p) * LANES + lane) = v;
                    }
                }
            }
        }
    }

    pub(super) unsafe fn max_pool(&self, layer: &Layer, p: &Pool) {
        let [c, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let (a, out) = (self.read(layer.input), self.write(layer.output));
        let row = self.plan.kernels.max_pool[usize::from(layer.input.is_halves())];
        for plane in self.share.range(layer.input.blocks(c) * self.n, 1) {
            for y in 0..oh {
                let top = y * p.stride[0];
                let first = top.saturating_sub(p.padding.top);
                let last = (top + p.kernel[0]).saturating_sub(p.padding.top).min(h);
                // SAFETY: rows `first..last` of the plane are inside the picture.
                unsafe {
                    row(&pool::Row {
                        src: a.add((plane * h + first.min(h)) * w * LANES),
                        rows: last.saturating_sub(first),
                        row_stride: w * LANES,
                        kernel_width: p.kernel[1],
                        stride: p.stride[1],
                        pad_left: p.padding.left,
                        width: w,
                        out_width: ow,
                        out: out.add((plane * oh + y) * ow * LANES),
                    });
                }
            }
        }
    }

    /// Windows as PyTorch's: from ⌊i·h / oh⌋ to ⌈(i + 1)·h / oh⌉.
    pub(super) unsafe fn avg_pool(&self, layer: &Layer) {
        let [c, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let out = self.write(layer.output);
        for plane in self.share.range(blocks(c) * self.n, 1) {
            let block = [plane / self.n * LANES, plane % self.n];
            for y in 0..oh {
                for x in 0..ow {
                    let rows = y * h / oh..((y + 1) * h).div_ceil(oh);
                    let cols = x * w / ow..((x + 1) * w).div_ceil(ow);
                    let scale = 1.0 / (rows.len() * cols.len()) as f32;
                    let mut sum = [0.0f32; LANES];
                    // SAFETY: the window is inside the plane, the pixel inside the output.
                    unsafe {
                        for iy in rows {
                            for ix in cols.clone() {
                                let values: [f32; LANES] =
                                    self.channels(layer.input, block, h * w, iy * w + ix);
                                sum.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
                            }
                        }
                        let dst = out.add(((plane * oh + y) * ow + x) * LANES);
                        for (lane, sum) in sum.iter().enumerate() {
                            *dst.add(lane) = sum * scale;
                        }
                    }
                }
            }
        }
    }

    /// Channels from the first on, all in one block, of a picture's pixel in planes of so many.
    #[inline(always)]
    unsafe fn channels<const N: usize>(
        &self,
        place: Place,
        [first, i]: [usize; 2],
        plane: usize,
        pixel: usize,
    ) -> [f32; N] {
        let block = LANES * place.per_block();
        let at = ((first / block * self.n + i) * plane + pixel) * block + first % block;
        // SAFETY: the caller's channels are in the value.
        unsafe {
            match place.is_halves() {
                true => {
                    let halves = self.read(place).cast::<u16>().add(at).cast::<[u16; N]>().read();
                    halves.map(|half| f32::from_bits(u32::from(half) << 16))
                }
                false => self.read(place).add(at).cast::<[f32; N]>().read(),
            }
        }
    }

    pub(super) unsafe fn flatten(&self, layer: &Layer, order: FlattenOrder) {
        let [c, h, w] = layer.from;
        let plane = h * w;
        let out = self.write(layer.output);
        for i in 0..self.n {
            for j in self.share.range(blocks(c * plane) * LANES, LANES) {
                let (ch, p) = match order {
                    FlattenOrder::Chw => (j / plane, j % plane),
                    FlattenOrder::Hwc => (j % c, j / c),
                };
                // SAFETY: channel `ch`, pixel `p` of picture `i`; lanes beyond the last are zero.
                unsafe {
                    let v = match j < c * plane {
                        true => self.channels::<1>(layer.input, [ch, i], plane, p)[0],
                        false => 0.0,
                    };
                    *out.add((j / LANES * self.n + i) * LANES + j % LANES) = v;
                }
            }
        }
    }
}

/// `[blocks][n][h][w][16]` → `[n][c][h][w]`.
///
/// # Safety
/// `src` is valid for `n` blocked pictures of the shape; `features` is as long as `n` planar ones.
pub(super) unsafe fn unblock(src: *const f32, features: &mut [f32], [c, h, w]: [usize; 3], n: usize) {
    let plane = h * w;
    for (i, features) in features.chunks_exact_mut(c * plane).enumerate() {
        for (j, feature) in features.iter_mut().enumerate() {
            let (ch, p) = (j / plane, j % plane);
            // SAFETY: channel `ch`, pixel `p` of picture `i < n`.
            *feature = unsafe { *src.add(((ch / LANES * n + i) * plane + p) * LANES + ch % LANES) };
        }
    }
}

//! The first convolution in bfloat16: few channels, so a product takes all columns of a kernel's row at once.
//!
//! Rows of planar pictures are rounded and interleaved in scratch, `[x][c]`. What a row of the kernel multiplies then
//! lies together, and the next output pixel's begins some channels later: a tile reads its pixels where they overlap,
//! and nothing is copied for each tap. Where a row of the kernel fills no whole step, weights of zero multiply the numbers
//! that follow: a pixel that is infinite or NaN shows in a few more places than it would in `f32`.

use super::super::network::{Conv, Padding};
use super::exec::Run;
use super::gemm::{Pixels, offset};
use super::layer::{Down, Layer, NEAR, too_large};
use super::reduced::{Engine, InterleaveFn, Source};
use super::simd::LANES;
use crate::Result;
use alloc::vec::Vec;

/// Numbers in a line of words: what a step of a product takes of a pixel.
pub(super) const LINE: usize = 2 * LANES;

/// Whether a tile's pixels are no further from each other than blocked ones.
pub(super) fn fits(c: &Conv) -> bool {
    c.channels_in.checked_mul(c.stride[1]).is_some_and(|numbers| numbers <= LINE)
}

/// Steps that a kernel's row of so many columns takes.
pub(super) fn steps(channels: usize, columns: usize) -> usize {
    channels.saturating_mul(columns).div_ceil(LINE)
}

/// Of planar pictures.
#[derive(Clone)]
pub(super) struct InterleavedLayer {
    pub(super) weights: usize,
    pub(super) bias: usize,
    bounds: Option<[f32; 2]>,
    /// Channels in and out.
    sizes: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    engine: &'static Engine,
    interleave: InterleaveFn,
    /// Where each step begins, from an output pixel's first row, in words.
    taps: Vec<u32>,
    /// Words from row to row in scratch.
    line: usize,
    /// Output rows per strip.
    strip: usize,
}

impl InterleavedLayer {
    pub(super) fn new(
        c: &Conv,
        [_, oh, ow]: [usize; 3],
        [weights, bias]: [usize; 2],
        bounds: Option<[f32; 2]>,
        engine: &'static Engine,
        interleave: InterleaveFn,
    ) -> Result<Self> {
        let steps = steps(c.channels_in, c.kernel[1]);
        let numbers =
            (ow - 1).checked_mul(c.stride[1] * c.channels_in).and_then(|n| n.checked_add(steps * LINE));
        let line = numbers.map_or(usize::MAX, |n| n.div_ceil(2)).checked_next_multiple_of(LANES);
        let Some(line) = line.filter(|line| {
            line.checked_mul(2 * c.kernel[0]).is_some_and(|words| u32::try_from(words).is_ok())
        }) else {
            return Err(too_large(&c.name));
        };
        let mut layer = Self {
            weights,
            bias,
            bounds,
            sizes: [c.channels_in, c.channels_out],
            kernel: c.kernel,
            stride: c.stride,
            padding: c.padding,
            engine,
            interleave,
            taps: Vec::new(),
            line,
            strip: 1,
        };
        let rows = (NEAR / line).saturating_sub(c.kernel[0]) / layer.down().step() + 1;
        // Strips of equal height.
        layer.strip = oh.div_ceil(oh.div_ceil(rows));
        if layer.taps.try_reserve_exact(c.kernel[0] * steps).is_err() {
            return Err(too_large(&c.name));
        }
        for y in 0..c.kernel[0] {
            layer.taps.extend((0..steps).map(|step| (y * line + step * LANES) as u32));
        }
        Ok(layer)
    }

    fn down(&self) -> Down {
        Down { kernel: self.kernel[0], stride: self.stride[0], top: self.padding.top }
    }

    /// Words, with those a last tile may read beyond.
    pub(super) fn scratch(&self) -> usize {
        (self.down().rows(self.strip) * self.line).saturating_add((self.engine.mr + 1) * LANES)
    }
}

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    pub(super) unsafe fn interleaved(&self, layer: &Layer, conv: &InterleavedLayer) {
        let [channels, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let own = self.share.range(self.n * oh, 1);
        let (sizes, places) = ([LINE, conv.sizes[1]], [conv.weights, conv.bias]);
        let product = self.reduced(conv.engine, &conv.taps, 0, sizes, places, conv.bounds);
        let product = product.written(layer.output.is_halves());
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let (plane, words) = (self.n * oh * ow * LANES, self.scratch.cast::<u32>());
        let (before, down) = (channels * conv.padding.left, conv.down());
        for i in 0..self.n {
            let end = own.end.saturating_sub(i * oh).min(oh);
            for y in (own.start.saturating_sub(i * oh)..end).step_by(conv.strip) {
                let rows = conv.strip.min(end - y);
                let at = (i * oh + y) * ow * LANES;
                // SAFETY: the strip's input rows go to scratch, which holds `strip` rows' worth; output rows
                // `y..y + rows` of picture `i` are inside.
                unsafe {
                    for row in 0..down.rows(rows) {
                        let to = words.add(row * conv.line).cast::<u16>();
                        let to = core::slice::from_raw_parts_mut(to, 2 * conv.line);
                        let Some(iy) = down.input_row(y, row, h) else {
                            to.fill(0);
                            continue;
                        };
                        // Columns beyond the last that is read have no place.
                        let (left, to) = to.split_at_mut(before.min(to.len()));
                        let (to, right) = to.split_at_mut((w * channels).min(to.len() / channels * channels));
                        left.fill(0);
                        right.fill(0);
                        (conv.interleave)(a.add((i * channels * h + iy) * w), h * w, channels, to);
                    }
                    let px = Pixels::strip(rows, ow, down.step() * conv.line, plane);
                    let step = conv.stride[1] * channels * size_of::<u16>();
                    product.run(Source::spaced(words, step), c.add(at), offset(r, at), px);
                }
            }
        }
    }
}

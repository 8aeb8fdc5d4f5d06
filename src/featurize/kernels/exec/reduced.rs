//! Products and convolutions in reduced precision.

use super::super::gemm::{Pixels, offset};
use super::super::layer::{ConvLayer, Layer, MOST_TOGETHER, ProductLayer, blocks};
use super::super::reduced::{Engine, Level, PIXEL, Reduced, Rows, Source, copy};
use super::super::simd::LANES;
use super::{Pointwise, Run};
use core::ptr;

// Every method is unsafe for the same reason as the others of `Run`: it trusts that the plan placed
// `layer`'s values in this run's memory, and that its share is no other thread's.
impl Run<'_> {
    /// [`pointwise`](Self::pointwise), each chunk converted before it is read.
    pub(super) unsafe fn pointwise_reduced(
        &self,
        p: &ProductLayer,
        engine: &'static Engine,
        run: &Pointwise,
    ) {
        let chunk = p.chunk(engine.mr);
        let [from, to] = run.halves;
        if from {
            let product = self
                .reduced(engine, &[0], run.a_stride, p.sizes, [p.weights, p.bias], p.bounds)
                .written(to)
                .columns(&run.columns);
            for (at, px) in run.chunks(chunk) {
                let source = Source::spaced(run.a.wrapping_add(at).cast(), PIXEL);
                // SAFETY: the chunk's pixels are among the caller's; behind the last is what a tile may read.
                unsafe { product.run(source, run.c.add(at), offset(run.residual, at), px) }
            }
            return;
        }
        // Levels lie before the words, beyond which a last tile may read.
        let levels = self.scratch.wrapping_add(self.plan.scratch - self.plan.packing).cast::<Level>();
        let words = levels.wrapping_add(chunk.next_multiple_of(LANES / 2)).cast::<u32>();
        for (at, px) in run.chunks(chunk) {
            // SAFETY: the packing part of scratch is as large as the layer asked for; the chunk's pixels
            // are among the caller's.
            unsafe {
                engine.convert(&Rows {
                    src: run.a.add(at),
                    step: LANES,
                    block: run.a_stride,
                    pixels: px.cols,
                    blocks: blocks(p.sizes[0]),
                    dst: words,
                    group: px.cols * LANES,
                    levels,
                    level_step: 1,
                });
                let group = px.cols * LANES;
                let product =
                    self.reduced(engine, &[0], group, p.sizes, [p.weights, p.bias], p.bounds).written(to);
                let source = Source::pixels(words, levels);
                product.columns(&run.columns).run(source, run.c.add(at), offset(run.residual, at), px);
            }
        }
    }

    /// A product of the weights at these places, its output in `f32`.
    pub(in super::super) fn reduced<'t>(
        &self,
        engine: &'static Engine,
        taps: &'t [u32],
        group_stride: usize,
        [k, n]: [usize; 2],
        [weights, bias]: [usize; 2],
        bounds: Option<[f32; 2]>,
    ) -> Reduced<'t> {
        let padded = blocks(n) * LANES;
        let integer = engine.form.is_integer();
        Reduced {
            engine,
            channels: k,
            group_stride,
            taps,
            b: self.weights(weights).cast(),
            bias: self.weights(bias),
            scale: if integer { self.weights(bias + padded) } else { ptr::null() },
            total: if integer { self.weights(bias + 2 * padded).cast() } else { ptr::null() },
            blocks: blocks(n),
            bounds,
            halves: false,
        }
    }

    /// [`conv`](Self::conv), each strip converted on its way to scratch.
    pub(super) unsafe fn conv_reduced(&self, layer: &Layer, conv: &ConvLayer, engine: &'static Engine) {
        let [_, h, w] = layer.from;
        let [_, oh, ow] = layer.to;
        let (columns, own) = self.divide_rows(conv, [oh, ow]);
        let product = self
            .reduced(
                engine,
                &conv.taps,
                conv.group_stride(),
                conv.sizes,
                [conv.weights, conv.bias],
                conv.bounds,
            )
            .written(layer.output.is_halves())
            .columns(&columns);
        let (a, c, r) = (self.read(layer.input), self.write(layer.output), self.residual(layer));
        let (plane, words) = (self.n * oh * ow * LANES, self.scratch.cast::<u32>());
        let mut i = 0;
        while i < self.n {
            let (start, end) = (own.start.saturating_sub(i * oh), own.end.saturating_sub(i * oh).min(oh));
            // Together only what is this share's as a whole.
            let whole = if start == 0 { own.end.saturating_sub(i * oh) / oh } else { 0 };
            let pictures = conv.together.min(whole).max(1);
            let first = i;
            i += pictures;
            if start >= end {
                continue;
            }
            // SAFETY: all of each picture; then as `conv`: the strip's input rows go to scratch, which holds
            // `strip` rows' worth of as many pictures; output rows `y..y + rows` are inside.
            unsafe {
                let bring = |r: &Rows| match layer.input.is_halves() {
                    true => copy(r, conv.groups()),
                    false => engine.convert(r),
                };
                let mut levels = [Level::NONE; MOST_TOGETHER];
                let picture = |i: usize| Rows {
                    src: a.add((first + i) * h * w * LANES),
                    step: LANES,
                    block: self.n * h * w * LANES,
                    pixels: h * w,
                    blocks: blocks(conv.sizes[0]),
                    dst: ptr::null_mut(),
                    group: conv.group_stride(),
                    levels: ptr::null_mut(),
                    level_step: 0,
                };
                for (i, level) in levels.iter_mut().enumerate().take(pictures) {
                    *level = engine.level(&picture(i));
                }
                for y in (start..end).step_by(conv.strip) {
                    let rows = conv.strip.min(end - y);
                    for (i, level) in levels.iter_mut().enumerate().take(pictures) {
                        let words = words.add(i * conv.picture());
                        let zero = engine.zero(*level);
                        let step = conv.stride[1].saturating_mul(LANES);
                        let picture = Rows { step, levels: level, ..picture(i) };
                        for r in 0..conv.down().rows(rows) {
                            let row = conv.down().input_row(y, r, h);
                            let row = row.map(|iy| Rows { src: picture.src.add(iy * w * LANES), ..picture });
                            fill_row(conv, words.add(conv.place(r)), row, w, zero, bring);
                        }
                    }
                    let px = Pixels::strip(rows, ow, conv.line(), plane);
                    let block = columns.start / layer.output.per_block();
                    let at = block * plane + (first * oh + y) * ow * LANES;
                    let levels = levels.as_ptr();
                    let picture = conv.picture();
                    let source = Source { words, step: PIXEL, levels, level_step: 0, pictures, picture };
                    product.run(source, c.add(at), offset(r, at), px);
                }
            }
        }
    }
}

/// One input row (none: outside) into scratch, padded and sorted by column modulo stride, all groups; `bring` converts or
/// copies pixels.
///
/// # Safety
/// `row.src` is the row's first pixel, of which `bring` may take all; `dst` is valid for a line in every phase of every group.
unsafe fn fill_row(
    conv: &ConvLayer,
    dst: *mut u32,
    row: Option<Rows>,
    width: usize,
    zero: u32,
    bring: impl Fn(&Rows),
) {
    // SAFETY: pixels `inside` of a phase are those whose column is inside the input row.
    unsafe {
        for phase in 0..conv.phases() {
            let dst = dst.add(phase * conv.phase());
            let fill = |from: usize, to: usize| {
                for g in 0..conv.groups() {
                    let dst = dst.add(g * conv.group_stride() + from * LANES);
                    core::slice::from_raw_parts_mut(dst, (to - from) * LANES).fill(zero);
                }
            };
            let Some(row) = row else {
                fill(0, conv.pitch);
                continue;
            };
            let inside = conv.inside(phase, width);
            fill(0, inside.start);
            fill(inside.end, conv.pitch);
            if !inside.is_empty() {
                let column = inside.start * conv.stride[1] + phase - conv.padding.left;
                bring(&Rows {
                    src: row.src.add(column * LANES),
                    pixels: inside.len(),
                    dst: dst.add(inside.start * LANES),
                    ..row
                });
            }
        }
    }
}

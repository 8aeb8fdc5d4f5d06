//! A product's pixels, tile by tile.

use super::super::gemm::{Pixels, offset};
use super::super::simd::LANES;
use super::dot::Tile;
use super::engine::Engine;
use super::rows::{Level, Rows};
use core::{ops::Range, ptr};

/// Bytes of a pixel's 16 words.
pub(in super::super) const PIXEL: usize = 4 * LANES;

/// A product in reduced precision with its weights in place: everything but the pixels.
#[derive(Clone, Copy)]
pub(in super::super) struct Reduced<'a> {
    pub(in super::super) engine: &'static Engine,
    /// Input channels.
    pub(in super::super) channels: usize,
    /// Words between groups of activations.
    pub(in super::super) group_stride: usize,
    pub(in super::super) taps: &'a [u32],
    /// Panels of `[k][nb · 16]`, the last one of the blocks that remain.
    pub(in super::super) b: *const u32,
    /// `[blocks · 16]`.
    pub(in super::super) bias: *const f32,
    /// `[2][all blocks · 16]`: what 8-bit weights are multiples of, and their sums.
    pub(in super::super) scale: *const f32,
    pub(in super::super) total: *const i32,
    /// Output channel blocks.
    pub(in super::super) blocks: usize,
    pub(in super::super) bounds: Option<[f32; 2]>,
    /// Whether output and residual are in bfloat16.
    pub(in super::super) halves: bool,
}

/// Activations as a product reads them.
#[derive(Clone, Copy)]
pub(in super::super) struct Source {
    pub(in super::super) words: *const u32,
    /// Bytes between pixels; rows are then joined if a pixel has 16 words of its own.
    pub(in super::super) step: usize,
    /// Of each pixel; `level_step` 0: of all; null in bfloat16.
    pub(in super::super) levels: *const Level,
    pub(in super::super) level_step: usize,
    /// Pictures, whose rows follow each other in the output. Each has a level of its own if its pixels don't.
    pub(in super::super) pictures: usize,
    /// Words between them.
    pub(in super::super) picture: usize,
}

impl Source {
    /// Pixels of which each has a level, if any.
    pub(in super::super) fn pixels(words: *const u32, levels: *const Level) -> Self {
        Self { levels, level_step: 1, ..Self::spaced(words, PIXEL) }
    }

    /// Pixels in bfloat16, of which each begins `step` bytes after the one before.
    pub(in super::super) fn spaced(words: *const u32, step: usize) -> Self {
        Self { words, step, levels: ptr::null(), level_step: 0, pictures: 1, picture: 0 }
    }
}

impl Reduced<'_> {
    /// The same with output and residual in bfloat16 or not.
    pub(in super::super) fn written(self, halves: bool) -> Self {
        // Tiles write both of its blocks.
        debug_assert!(!halves || self.engine.nb == 2);
        Self { halves, ..self }
    }

    /// The same for some output blocks only; the first is a multiple of [`Engine::nb`]. The output and
    /// residual then begin at the first of them.
    pub(in super::super) fn columns(self, columns: &Range<usize>) -> Self {
        let at = columns.start * LANES;
        Self {
            b: self.b.wrapping_add(at * self.depth()),
            bias: self.bias.wrapping_add(at),
            scale: offset(self.scale, at),
            total: offset(self.total, at),
            blocks: columns.len(),
            ..self
        }
    }

    /// Steps of a panel.
    fn depth(&self) -> usize {
        let [groups, tail] = self.engine.groups(self.channels);
        (groups * (LANES / self.engine.words) + tail) * self.taps.len()
    }

    /// Computes all output blocks of the given pixels of every picture, panel by panel.
    ///
    /// # Safety
    /// `a`'s pointers, `c` and `residual` (null for none, else laid out as `c`) are valid for the pixels
    /// with the strides given, and `a` for [`Engine::mr`] more; the weights are what
    /// [`pack`](super::pack) made for this engine.
    pub(in super::super) unsafe fn run(&self, a: Source, c: *mut f32, residual: *const f32, px: Pixels) {
        let Engine { mr, nb, .. } = *self.engine;
        if px.rows == 0 || px.cols == 0 {
            return;
        }
        // Tiles have all their rows or none: short rows fill them with those that follow, and with what is between.
        let pitch = px.a_row / LANES;
        let end = (px.rows - 1) * pitch + px.cols;
        let joined =
            self.engine.whole && a.step == PIXEL && end.div_ceil(mr) < px.rows * px.cols.div_ceil(mr);
        let [rows, cols, pitch] = if joined { [1, end, pitch] } else { [px.rows, px.cols, usize::MAX] };
        let tiles = cols.div_ceil(mr);
        // Of equal width, unless all cost as much as the widest.
        let (size, larger) = if self.engine.whole { (mr, 0) } else { (cols / tiles, cols % tiles) };
        let [groups, tail] = self.engine.groups(self.channels);
        let depth = self.depth();
        // Few tiles wait for their weights more than they compute: those of the next panel come nearer meanwhile, the
        // same part of it with every tile.
        let serves = a.pictures * rows * tiles;
        let lines = if self.engine.whole { nb * LANES / serves } else { 0 };
        let part = lines * depth;
        if let Some([begin, _]) = self.engine.around {
            // SAFETY: `choose` has made sure that tiles are permitted.
            unsafe { begin() }
        }
        for j in (0..self.blocks).step_by(nb) {
            let at = j * LANES;
            let width = nb.min(self.blocks - j);
            let mut next = self.b.wrapping_add((at + nb * LANES) * depth);
            for (picture, row) in (0..a.pictures).flat_map(|picture| (0..rows).map(move |row| (picture, row)))
            {
                let mut x = 0;
                for i in 0..tiles {
                    let pixels = (size + usize::from(i < larger)).min(cols - x);
                    let block = if self.halves { j / 2 } else { j } * px.c_stride;
                    let to = (picture * px.rows + row + x / pitch) * px.c_row + block;
                    // SAFETY: within the caller's pixels and blocks.
                    unsafe {
                        (self.engine.tile)(&Tile {
                            a: a.words.add(picture * a.picture + row * px.a_row).byte_add(x * a.step),
                            step: a.step,
                            groups,
                            group_stride: self.group_stride,
                            taps: self.taps.as_ptr(),
                            tap_count: self.taps.len(),
                            tail,
                            b: self.b.add(at * depth),
                            next,
                            lines,
                            bias: self.bias.add(at),
                            scale: offset(self.scale, at),
                            total: offset(self.total, at),
                            levels: offset(a.levels, picture + x * a.level_step),
                            level_step: a.level_step,
                            c: c.add(to),
                            c_stride: px.c_stride,
                            c_row: px.c_row,
                            column: x % pitch,
                            width: px.cols,
                            pitch,
                            halves: self.halves,
                            residual: offset(residual, to),
                            bounds: self.bounds,
                            pixels,
                            blocks: width,
                        });
                    }
                    x += pixels;
                    next = next.wrapping_add(part);
                }
            }
        }
        if let Some([_, end]) = self.engine.around {
            // SAFETY: as for `begin`.
            unsafe { end() }
        }
    }
}

impl Engine {
    /// Groups of words a pixel of `blocks` channel blocks takes.
    pub(in super::super) fn words_groups(&self, blocks: usize) -> usize {
        blocks.div_ceil(self.form.channels())
    }

    /// Converts pixels; each gets a level of its own where [`Rows::level_step`] isn't 0.
    ///
    /// # Safety
    /// `r`'s pointers are valid for what its fields say.
    pub(in super::super) unsafe fn convert(&self, r: &Rows) {
        // SAFETY: the caller's promise; `choose` has checked the instruction set.
        unsafe {
            if self.form.is_integer() && r.level_step > 0 {
                (self.measure)(r);
            }
            (self.pack)(r);
        }
    }

    /// The level of all pixels of `r` together.
    ///
    /// # Safety
    /// `r.src` is valid for the pixels and blocks.
    pub(in super::super) unsafe fn level(&self, r: &Rows) -> Level {
        if !self.form.is_integer() {
            return Level::NONE;
        }
        // SAFETY: the caller's promise; `choose` has checked the instruction set.
        unsafe { (self.range)(r) }
    }

    /// A word whose channels are all zero.
    pub(in super::super) fn zero(&self, level: Level) -> u32 {
        match self.form {
            super::Form::Rounded | super::Form::Bf16 => 0,
            super::Form::I16 => level.zero.cast_unsigned() * 0x1_0001,
            super::Form::U8 => level.zero.cast_unsigned() * 0x101_0101,
        }
    }
}

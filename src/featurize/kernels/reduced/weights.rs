//! Weights in the order and form an engine reads them.

use super::super::super::fold::Folded;
use super::super::buffer::Buffer;
use super::super::interleaved::{LINE, steps};
use super::super::pack::rows;
use super::super::simd::LANES;
use super::engine::Engine;
use super::rows::bf16;
use alloc::vec::Vec;

/// The largest 8-bit weight: symmetric, so −128 is left out.
const MOST: f64 = 127.0;

impl Engine {
    /// Full groups of activations, and steps in a last, partial one, that `channels` take.
    pub(super) fn groups(&self, channels: usize) -> [usize; 2] {
        let (steps, group) = (channels.div_ceil(self.weights), LANES / self.words);
        if self.whole { [steps.div_ceil(group), 0] } else { [steps / group, steps % group] }
    }

    /// Rows of weights for a tap.
    pub(in super::super) fn rows(&self, channels: usize) -> usize {
        let [groups, tail] = self.groups(channels);
        groups * (LANES / self.words) + tail
    }

    /// Rows before the weights: in integers, scales and totals.
    pub(in super::super) fn head(&self) -> usize {
        if self.form.is_integer() { 2 } else { 0 }
    }

    /// Whether sums of so many products can't overflow.
    pub(in super::super) fn fits(&self, products: usize) -> bool {
        !self.form.is_integer() || products < (i32::MAX / (255 * 127)) as usize
    }
}

/// [`pack`] for interleaved rows: every step takes what its tap's row of the kernel multiplies, columns and channels one
/// after the other. In bfloat16 only.
pub(in super::super) fn pack_interleaved(
    into: &mut Buffer,
    folded: &Folded<'_>,
    [channels, out]: [usize; 2],
    [rows, columns]: [usize; 2],
    engine: &Engine,
) {
    let steps = steps(channels, columns);
    words(into, out, [engine.rows(LINE), rows * steps], engine, |o, i, tap| {
        let (row, i) = (tap / steps, tap % steps * LINE + i);
        let (column, channel) = (i / channels, i % channels);
        let inside = column < columns;
        if inside { bf16(folded.at(o, (channel * rows + row) * columns + column) as f32) } else { 0 }
    });
}

/// Appends, in integers, `[blocks · 16]` scales and `[blocks · 16]` totals; then a product's weights,
/// [`Tile::b`](super::dot::Tile::b) panel by panel.
pub(in super::super) fn pack(
    into: &mut Buffer,
    folded: &Folded<'_>,
    [channels, out]: [usize; 2],
    taps: usize,
    engine: &Engine,
) {
    let blocks = out.div_ceil(LANES);
    let at = |o: usize, c: usize, tap: usize| folded.at(o, c * taps + tap);
    let mut scales = Vec::new();
    if engine.form.is_integer() {
        let all = |o| (0..channels).flat_map(move |c| (0..taps).map(move |tap| at(o, c, tap)));
        scales.extend((0..out).map(|o| match all(o).map(libm::fabs).fold(0.0, f64::max) {
            0.0 => 1.0,
            most => most / MOST,
        }));
        into.extend(scales.iter().map(|&s| s as f32));
        let start = into.len();
        into.extend_zeros(blocks * LANES);
        let totals = &mut into.as_mut_words()[start..];
        for (o, (total, scale)) in totals.iter_mut().zip(&scales).enumerate() {
            let sum: i32 = all(o).map(|w| libm::rint(w / scale) as i32).sum();
            *total = sum.cast_unsigned();
        }
    }
    words(into, out, [engine.rows(channels), taps], engine, |o, channel, tap| {
        if channel >= channels {
            return 0;
        }
        let w = at(o, channel, tap);
        match scales.get(o) {
            Some(scale) => (libm::rint(w / scale) as i32).cast_unsigned(),
            None => bf16(w as f32),
        }
    });
}

/// Appends panels of words: so many steps for every tap, in groups. `part` is what output channel, number of the step's
/// and tap multiply.
fn words(
    into: &mut Buffer,
    out: usize,
    [steps, taps]: [usize; 2],
    engine: &Engine,
    part: impl Fn(usize, usize, usize) -> u32,
) {
    let bits = 32 / engine.weights;
    let word = |o: usize, step: usize, tap: usize| {
        let part = |i: usize| if o < out { part(o, step * engine.weights + i, tap) } else { 0 };
        (0..engine.weights).fold(0, |word, i| word | (part(i) & (u32::MAX >> (32 - bits))) << (bits * i))
    };
    let blocks = out.div_ceil(LANES);
    let order = rows(steps, taps, LANES / engine.words);
    let start = into.len();
    into.extend_zeros(steps * taps * blocks * LANES);
    let mut words = into.as_mut_words()[start..].iter_mut();
    for first in (0..blocks).step_by(engine.nb) {
        let columns = first * LANES..(first + engine.nb).min(blocks) * LANES;
        for (step, tap) in order.clone() {
            for (o, to) in columns.clone().zip(&mut words) {
                *to = word(o, step, tap);
            }
        }
    }
}

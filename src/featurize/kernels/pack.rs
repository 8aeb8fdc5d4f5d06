//! Weights in the order the kernels read them.

use super::super::fold::Folded;
use super::buffer::Buffer;
use super::simd::LANES;
use super::winograd::{self, Size, few};

/// Rows of packed weights for `channels` inputs and `taps` taps: groups of `group` channels, tap by
/// tap, then the channels that remain. Each is (input channel, tap).
pub(super) fn rows(
    channels: usize,
    taps: usize,
    group: usize,
) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..channels.div_ceil(group)).flat_map(move |g| {
        let end = channels.min((g + 1) * group);
        (0..taps).flat_map(move |tap| (g * group..end).map(move |c| (c, tap)))
    })
}

/// Appends `[panels][rows][nb · 16]`, the last panel as narrow as its blocks allow; columns beyond
/// `out` are zero.
fn panels(
    into: &mut Buffer,
    out: usize,
    nb: usize,
    rows: impl Iterator<Item = (usize, usize)> + Clone,
    at: impl Fn(usize, usize, usize) -> f64,
) {
    let blocks = out.div_ceil(LANES);
    for first in (0..blocks).step_by(nb) {
        let columns = first * LANES..(first + nb).min(blocks) * LANES;
        for (channel, tap) in rows.clone() {
            into.extend(columns.clone().map(|o| if o < out { at(o, channel, tap) as f32 } else { 0.0 }));
        }
    }
}

/// A product's weights: [`gemm::Tile::b`](super::gemm::Tile::b) panel by panel.
pub(super) fn product(
    into: &mut Buffer,
    folded: &Folded<'_>,
    [channels, out]: [usize; 2],
    taps: usize,
    group: usize,
    nb: usize,
) {
    panels(into, out, nb, rows(channels, taps, group), |o, c, tap| folded.at(o, c * taps + tap));
}

/// The products' weights for [`winograd`].
pub(super) fn winograd(
    into: &mut Buffer,
    folded: &Folded<'_>,
    [channels, out]: [usize; 2],
    nb: usize,
    size: Size,
) {
    let blocks = out.div_ceil(LANES);
    let (start, matrix) = (into.len(), channels * blocks * LANES);
    into.extend_zeros(size.matrices() * matrix);
    let into = &mut into.as_mut_slice()[start..];
    let mut at = 0;
    for first in (0..blocks).step_by(nb) {
        let columns = first * LANES..(first + nb).min(blocks) * LANES;
        for (channel, _) in rows(channels, 1, LANES) {
            for o in columns.clone() {
                if o < out {
                    let g = kernel(folded, o, channel);
                    for (i, u) in winograd::weights(size, &g)[..size.matrices()].iter().enumerate() {
                        into[i * matrix + at] = *u as f32;
                    }
                }
                at += 1;
            }
        }
    }
}

/// Of a 3 × 3 convolution.
fn kernel(folded: &Folded<'_>, o: usize, channel: usize) -> [[f64; 3]; 3] {
    let tap = |y, x| folded.at(o, channel * 9 + y * 3 + x);
    core::array::from_fn(|y| core::array::from_fn(|x| tap(y, x)))
}

/// Taps for [`winograd::few`], `[blocks][channels][9][16]`.
pub(super) fn winograd_taps(into: &mut Buffer, folded: &Folded<'_>, [channels, out]: [usize; 2]) {
    for block in (0..out).step_by(LANES) {
        for channel in 0..channels {
            let taps: [_; LANES] = core::array::from_fn(|lane| match block + lane < out {
                true => few::stored(&kernel(folded, block + lane, channel)),
                false => [0.0; few::TAPS],
            });
            for i in 0..few::TAPS {
                into.extend(taps.iter().map(|of_lane| of_lane[i] as f32));
            }
        }
    }
}

/// Depthwise weights, `[blocks][taps][16]`.
pub(super) fn depthwise(into: &mut Buffer, folded: &Folded<'_>, channels: usize, taps: usize) {
    for block in (0..channels).step_by(LANES) {
        for tap in 0..taps {
            into.extend(
                (block..block + LANES).map(|c| if c < channels { folded.at(c, tap) as f32 } else { 0.0 }),
            );
        }
    }
}

/// Biases, padded with zeros to whole blocks.
pub(super) fn bias(into: &mut Buffer, folded: &Folded<'_>) {
    into.extend(folded.bias.iter().map(|&b| b as f32));
}

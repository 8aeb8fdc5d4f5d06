//! One step of a plan: geometry and places, everything but the pointers.

use super::super::network::{Conv, FlattenOrder, Padding, Pool};
use super::depthwise::MAX_ROWS;
use super::interleaved::InterleavedLayer;
use super::inverted::InvertedLayer;
use super::plan::unsupported;
use super::reduced::Engine;
use super::simd::LANES;
use super::winograd::WinogradLayer;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};
use core::ops::Range;

/// Floats of scratch a step aims at: half of a usual second-level cache.
pub(super) const NEAR: usize = 192 << 10;

/// Pictures at most whose strips of a convolution share a panel of weights.
pub(super) const MOST_TOGETHER: usize = 16;

/// Channel blocks that hold `channels`.
pub(super) fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The caller's planar pictures.
    Input,
    /// The arena, at this offset in floats per picture.
    Arena(usize),
    /// The same in bfloat16, two channel blocks in one.
    Halves(usize),
}

impl Place {
    /// Channel blocks in one of the value's.
    pub(super) fn per_block(self) -> usize {
        if matches!(self, Self::Halves(_)) { 2 } else { 1 }
    }

    /// Blocks that the value takes.
    pub(super) fn blocks(self, channels: usize) -> usize {
        channels.div_ceil(LANES * self.per_block())
    }

    /// Floats per picture from the arena's start.
    pub(super) fn offset(self) -> usize {
        match self {
            Self::Input => 0,
            Self::Arena(offset) | Self::Halves(offset) => offset,
        }
    }

    pub(super) fn is_halves(self) -> bool {
        self.per_block() == 2
    }
}

/// One step.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) input: Place,
    pub(super) residual: Option<Place>,
    pub(super) output: Place,
    /// `[c, h, w]` read.
    pub(super) from: [usize; 3],
    /// `[c, h, w]` written.
    pub(super) to: [usize; 3],
    /// Multiplications and additions of the direct algorithm, per picture.
    pub(super) operations: u64,
    /// Floats of packed weights.
    pub(super) weights: usize,
}

impl Layer {
    /// Whether small shares of it cost no more than large ones, for `n` pictures: no input is transformed or
    /// converted again and no row expanded twice.
    #[cfg(feature = "std")]
    pub(super) fn is_divisible(&self, n: usize) -> bool {
        use super::share::prefers_columns;
        let [_, h, w] = self.to;
        match &self.kind {
            Kind::Product(p) => p.engine.is_none() || self.input.is_halves(),
            // Divided by columns, each share copies all of the input into its scratch.
            Kind::Conv(c) => {
                let copies = c.engine.is_none() || self.input.is_halves();
                copies && !prefers_columns(blocks(c.sizes[1]), n * h * w)
            }
            Kind::Interleaved(_) => false,
            Kind::Winograd(v) => v.few.is_some() || !prefers_columns(blocks(v.sizes[1]), n * v.tiles.count()),
            Kind::Inverted(_) => false,
            _ => true,
        }
    }
}

/// What a step does.
#[derive(Clone)]
pub(super) enum Kind {
    /// Planar to blocked.
    Block,
    /// 1 × 1 convolution or linear layer.
    Product(ProductLayer),
    /// Any other convolution, by implicit GEMM.
    Conv(ConvLayer),
    /// The first one, its channels interleaved, in bfloat16.
    Interleaved(InterleavedLayer),
    /// 3 × 3 stride 1, by Winograd's algorithm.
    Winograd(WinogradLayer),
    /// One filter per channel.
    Depthwise(DepthwiseLayer),
    /// Expansion, depthwise convolution and projection, strip by strip.
    Inverted(InvertedLayer),
    MaxPool(Pool),
    /// Adaptive average pooling.
    AvgPool,
    Flatten(FlattenOrder),
}

impl Kind {
    /// Name in profiles.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Product(p) => reduced_name(p.engine, ["gemm", "gemm-bf16", "gemm-int8"]),
            Self::Conv(c) => reduced_name(c.engine, ["conv", "conv-bf16", "conv-int8"]),
            Self::Interleaved(_) => "conv-bf16",
            Self::Winograd(w) => w.name(),
            Self::Depthwise(_) => "depthwise",
            Self::Inverted(_) => "inverted",
            Self::MaxPool(_) => "max_pool",
            Self::AvgPool => "avg_pool",
            Self::Flatten(_) => "flatten",
        }
    }
}

impl Kind {
    /// Whether it can write its output in bfloat16.
    pub(super) fn writes_halves(&self) -> bool {
        match self {
            Self::Product(p) => p.engine.is_some(),
            Self::Conv(c) => c.engine.is_some(),
            Self::Interleaved(_) | Self::MaxPool(_) => true,
            _ => false,
        }
    }
}

fn reduced_name(engine: Option<&Engine>, [full, bf16, int8]: [&'static str; 3]) -> &'static str {
    engine.map_or(full, |e| if e.form.is_integer() { int8 } else { bf16 })
}

/// Offsets into the plan's weights, sizes `[in, out]`.
#[derive(Clone)]
pub(super) struct ProductLayer {
    pub(super) weights: usize,
    pub(super) bias: usize,
    pub(super) bounds: Option<[f32; 2]>,
    pub(super) sizes: [usize; 2],
    /// In reduced precision. Scales and sums of 8-bit weights follow the bias.
    pub(super) engine: Option<&'static Engine>,
}

impl ProductLayer {
    /// Pixels to compute together, so that what they read and write stays near while the weights
    /// go by, and large weights serve many pixels.
    pub(super) fn chunk(&self, mr: usize) -> usize {
        let [k, n] = self.sizes;
        let least = if k * n > NEAR { 16 } else { 4 };
        (NEAR / (k + n) / mr).max(least) * mr
    }

    /// Words for a chunk of activations in reduced precision: their groups, the pixels a last tile may
    /// read beyond, a level each.
    pub(super) fn packing(&self) -> usize {
        self.engine.map_or(0, |engine| {
            let chunk = self.chunk(engine.mr);
            let groups = engine.words_groups(blocks(self.sizes[0]));
            let words = groups.saturating_mul(chunk).saturating_add(engine.mr).saturating_mul(LANES);
            words.saturating_add((2 * chunk).next_multiple_of(LANES))
        })
    }
}

/// A k × k convolution that copies strips of its input into padded scratch, where the pixels of a
/// tile are adjacent for every tap, and their rows a line apart: `[x mod stride][y mod stride][y / stride][x / stride]`.
#[derive(Clone)]
pub(super) struct ConvLayer {
    pub(super) weights: usize,
    pub(super) bias: usize,
    pub(super) bounds: Option<[f32; 2]>,
    pub(super) sizes: [usize; 2],
    pub(super) planar: bool,
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: Padding,
    /// Offsets in scratch, in floats.
    pub(super) taps: Vec<u32>,
    /// Output rows per strip.
    pub(super) strip: usize,
    /// Pictures whose strips a panel of weights serves, one after the other: more than one only if a strip is all of
    /// a picture, at most [`MOST_TOGETHER`].
    pub(super) together: usize,
    /// Pixels per row and phase in scratch.
    pub(super) pitch: usize,
    /// In reduced precision, where scratch holds words. Scales and sums of 8-bit weights follow the bias.
    pub(super) engine: Option<&'static Engine>,
}

impl ConvLayer {
    pub(super) fn new(
        c: &Conv,
        to: [usize; 3],
        planar: bool,
        [weights, bias]: [usize; 2],
        bounds: Option<[f32; 2]>,
        engine: Option<&'static Engine>,
        pictures: usize,
    ) -> Result<Self> {
        let [kh, kw] = c.kernel;
        let mut layer = Self {
            weights,
            bias,
            bounds,
            sizes: [c.channels_in, c.channels_out],
            planar,
            kernel: c.kernel,
            stride: c.stride,
            padding: c.padding,
            taps: Vec::new(),
            strip: 1,
            together: 1,
            pitch: to[2] + (kw - 1) / c.stride[1],
            engine,
        };
        // A strip of one row, whose rows are as many as the kernel's or some more, up to a multiple of the stride.
        let row = layer.pitch.checked_mul(layer.phases() * layer.group());
        let one = row.and_then(|row| row.checked_mul(kh.checked_mul(2)?));
        if one.is_none_or(|floats| u32::try_from(floats).is_err()) {
            return Err(too_large(&c.name));
        }
        let (one, two) = (layer.scratch(), Self { strip: 2, ..layer.clone() }.scratch());
        layer.strip = (NEAR.saturating_sub(one) / (two - one).max(1) + 1).min(to[1]);
        // Strips of equal height.
        layer.strip = to[1].div_ceil(to[1].div_ceil(layer.strip));
        if engine.is_some() && layer.strip == to[1] {
            let most = pictures.clamp(1, MOST_TOGETHER);
            layer.together = (NEAR / layer.picture().max(1)).clamp(1, most);
        }
        if layer.taps.try_reserve_exact(kh * kw).is_err() {
            return Err(too_large(&c.name));
        }
        for y in 0..kh {
            for x in 0..kw {
                let phase = (x % c.stride[1]) * layer.phase();
                layer.taps.push((phase + layer.place(y) + x / c.stride[1] * layer.group()) as u32);
            }
        }
        Ok(layer)
    }

    /// Channels of a group; in reduced precision its words.
    pub(super) fn group(&self) -> usize {
        if self.planar { 1 } else { LANES }
    }

    pub(super) fn groups(&self) -> usize {
        match self.engine {
            Some(engine) => engine.words_groups(blocks(self.sizes[0])),
            None => self.sizes[0].div_ceil(self.group()),
        }
    }

    /// Columns of different remainder modulo the stride that the kernel touches.
    pub(super) fn phases(&self) -> usize {
        self.stride[1].min(self.kernel[1])
    }

    /// Floats in a line of scratch, one phase of a row: from one output row's pixels to the next's.
    pub(super) fn line(&self) -> usize {
        self.pitch * self.group()
    }

    /// Floats between phases.
    pub(super) fn phase(&self) -> usize {
        self.down().rows(self.strip).next_multiple_of(self.down().step()) * self.line()
    }

    /// Where a row is in each phase: after those of the same remainder that output rows read one after the other.
    pub(super) fn place(&self, row: usize) -> usize {
        let step = self.down().step();
        (row % step * self.down().rows(self.strip).div_ceil(step) + row / step) * self.line()
    }

    pub(super) fn down(&self) -> Down {
        Down { kernel: self.kernel[0], stride: self.stride[0], top: self.padding.top }
    }

    /// Floats between channel groups in scratch.
    pub(super) fn group_stride(&self) -> usize {
        self.phases() * self.phase()
    }

    /// Floats or words of a picture's padded input.
    pub(super) fn picture(&self) -> usize {
        self.group_stride() * self.groups()
    }

    /// The same of all pictures, with the pixels a last tile may read beyond.
    pub(super) fn scratch(&self) -> usize {
        self.picture() * self.together + self.engine.map_or(0, |engine| engine.mr * LANES)
    }

    /// Pixels of a phase in scratch whose column is inside an input row of `width`.
    pub(super) fn inside(&self, phase: usize, width: usize) -> Range<usize> {
        let (left, stride) = (self.padding.left, self.stride[1]);
        let from = left.saturating_sub(phase).div_ceil(stride).min(self.pitch);
        let to = (width + left).saturating_sub(phase).div_ceil(stride).min(self.pitch);
        from..to.max(from)
    }
}

/// How a kernel goes down a picture, of which scratch holds only the rows that it reads.
#[derive(Clone, Copy)]
pub(super) struct Down {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    /// Rows of padding above.
    pub(super) top: usize,
}

impl Down {
    /// Rows from one output row to the next.
    pub(super) fn step(self) -> usize {
        self.stride.min(self.kernel)
    }

    /// Rows that so many output rows read.
    pub(super) fn rows(self, strip: usize) -> usize {
        (strip - 1) * self.step() + self.kernel
    }

    /// Input row, of `height`, of row `r` of those that output rows from `y` on read; none in the padding.
    pub(super) fn input_row(self, y: usize, r: usize, height: usize) -> Option<usize> {
        let Self { kernel, stride, top } = self;
        let padded = if kernel <= stride { (y + r / kernel) * stride + r % kernel } else { y * stride + r };
        padded.checked_sub(top).filter(|&row| row < height)
    }
}

pub(super) fn too_large(name: &str) -> Error {
    Error::new(ErrorKind::Limit, Stage::Featurize, format!("{name}: picture too large; use a smaller one"))
}

/// A depthwise convolution.
#[derive(Clone)]
pub(super) struct DepthwiseLayer {
    pub(super) weights: usize,
    pub(super) bias: usize,
    pub(super) bounds: [f32; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: Padding,
    /// Pixels of an input row: the scratch is one such row of zeros.
    width: usize,
}

impl DepthwiseLayer {
    pub(super) fn new(
        c: &Conv,
        from: [usize; 3],
        weights: usize,
        bias: usize,
        bounds: Option<[f32; 2]>,
    ) -> Result<Self> {
        if c.kernel[0] > MAX_ROWS {
            return Err(unsupported(format!(
                "{}: kernel height {} is above {MAX_ROWS}",
                c.name, c.kernel[0]
            )));
        }
        let bounds = bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        let Conv { kernel, stride, padding, .. } = *c;
        Ok(Self { weights, bias, bounds, kernel, stride, padding, width: from[2] })
    }

    pub(super) fn scratch(&self) -> usize {
        self.width * LANES
    }
}

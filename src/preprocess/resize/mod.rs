//! Resizing with the exact semantics of named peers.

mod axis;
pub(super) mod opencv;
pub(super) mod pillow;
pub(super) mod tensorflow;
pub(super) mod torch;

use self::axis::{AxisCache, Side};
use super::{
    crop::Window,
    fail,
    planes::{self, Planes},
    simd::Isa,
    source::{Source, frame_to_planes},
};
use crate::{ErrorKind, Result, frame::MAX_SIDE};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Whose resize to reproduce.
///
/// At 100→224 the bilinear ones agree but for rounding; when shrinking all differ a lot, because
/// only Pillow's and torchvision's widen the kernel. Weights were trained with one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ResizeFilter {
    /// Pillow `resize(…, NEAREST)`, the default of Keras' `load_img`. Identical bytes.
    PillowNearest,
    /// Pillow `resize(…, BILINEAR)`, torchvision's on pictures. Identical bytes to Pillow 13; Pillow up
    /// to 12 never began with the vertical pass, which is a level of difference here and there where
    /// the height shrinks by more than twice as many pixels as the width.
    PillowBilinear,
    /// Pillow `resize(…, BICUBIC)`. Identical bytes, as [`ResizeFilter::PillowBilinear`].
    PillowBicubic,
    /// OpenCV `resize(…, INTER_LINEAR)`. Identical bytes.
    OpencvLinear,
    /// `tf.image.resize(…, "bilinear")`, no antialias; its result keeps its fractions, so only a
    /// crop and the normalisation may follow.
    TfBilinear,
    /// torchvision's `resize(…, antialias=True)` of a `uint8` tensor through `float32`.
    TorchAntialias,
}

/// The size a resize leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ResizeTo {
    /// This height and width, whatever the proportions.
    Exact {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The shorter side gets this length; the longer one keeps the proportions, rounded down as in
    /// torchvision.
    Shorter(usize),
}

impl ResizeTo {
    /// Width and height for a picture of the given size.
    fn size(self, width: usize, height: usize) -> Result<(usize, usize)> {
        let (w, h) = match self {
            Self::Exact { height, width } => (width, height),
            Self::Shorter(side) => {
                let long = |long: usize, short: usize| (side as u64 * long as u64 / short as u64) as usize;
                if width <= height { (side, long(height, width)) } else { (long(width, height), side) }
            }
        };
        planes::check_size(w, h)?;
        Ok((w, h))
    }

    /// Refuses sides of zero or beyond the limit.
    pub(super) fn validate(self) -> Result<()> {
        let sides = match self {
            Self::Exact { height, width } => [height, width],
            Self::Shorter(side) => [side, side],
        };
        if sides.iter().all(|&s| (1..=MAX_SIDE).contains(&s)) {
            return Ok(());
        }
        let message = format!("a resize leads to 1 to {MAX_SIDE} pixels a side, found {sides:?}");
        Err(fail(ErrorKind::InvalidArgument, message))
    }
}

/// One resize step, with the crop that follows it folded in: only what the crop keeps is computed.
#[derive(Clone, Debug)]
pub(super) struct Resizer {
    filter: ResizeFilter,
    to: ResizeTo,
    /// Height, width.
    crop: Option<[usize; 2]>,
    columns: AxisCache,
    rows: AxisCache,
    plan: Plan,
    input: Vec<u8>,
    /// The frame, for a vertical pass that comes first.
    whole: Planes,
    /// The horizontally resized picture, in whichever type the filter keeps it.
    bytes: Vec<u8>,
    words: Vec<i16>,
    floats: Vec<f32>,
    sums: Vec<i32>,
    float_sums: Vec<f32>,
}

/// What the current picture needs.
#[derive(Clone, Copy, Debug)]
struct Plan {
    window: Window,
    channels: usize,
    /// Indices of the axes.
    columns: usize,
    rows: usize,
    /// Pillow's order of passes.
    vertical_first: bool,
}

impl Resizer {
    pub(super) fn new(filter: ResizeFilter, to: ResizeTo, crop: Option<[usize; 2]>) -> Self {
        Self {
            filter,
            to,
            crop,
            columns: AxisCache::default(),
            rows: AxisCache::default(),
            plan: Plan {
                window: Window::full(0, 0),
                channels: 0,
                columns: 0,
                rows: 0,
                vertical_first: false,
            },
            input: Vec::new(),
            whole: Planes::default(),
            bytes: Vec::new(),
            words: Vec::new(),
            floats: Vec::new(),
            sums: Vec::new(),
            float_sums: Vec::new(),
        }
    }

    /// Where the current result lies in the cropped picture.
    pub(super) fn window(&self) -> Window {
        self.plan.window
    }

    /// Channels of the current result.
    pub(super) fn channels(&self) -> usize {
        self.plan.channels
    }

    /// Whether rows come as floats ([`Resizer::row_floats`]) rather than bytes.
    pub(super) fn is_float(&self) -> bool {
        self.filter == ResizeFilter::TfBilinear
    }

    /// Plans for the picture and does the first pass; the rows can then be asked for.
    pub(super) fn begin(&mut self, isa: Isa, source: Source<'_>) -> Result<()> {
        let (from_width, from_height) = source.size();
        let (width, height) = self.to.size(from_width, from_height)?;
        let window = match self.crop {
            Some([h, w]) => Window::center(width, height, w, h),
            None => Window::full(width, height),
        };
        let across = Side { from: from_width, to: width, first: window.x, count: window.width };
        let down = Side { from: from_height, to: height, first: window.y, count: window.height };
        let columns = self.columns.find(self.filter, across, false);
        let rows = self.rows.find(self.filter, down, true);
        let vertical_first =
            matches!(self.filter, ResizeFilter::PillowBilinear | ResizeFilter::PillowBicubic)
                && pillow::vertical_first(across, down);
        self.plan = Plan { window, channels: source.channels(), columns, rows, vertical_first };
        if vertical_first {
            return self.vertical(isa, source);
        }
        let (columns, used) = (self.columns.get(columns), &self.rows.get(rows).used);
        let (w, n) = (window.width, used.len());
        planes::check_size(w, n)?;
        planes::grow(&mut self.input, 3 * from_width)?;
        let need = self.plan.channels * w * n;
        match self.filter {
            ResizeFilter::OpencvLinear => planes::grow(&mut self.words, need)?,
            ResizeFilter::TfBilinear => planes::grow(&mut self.floats, need)?,
            ResizeFilter::TorchAntialias => {
                planes::grow(&mut self.floats, need)?;
                planes::grow(&mut self.float_sums, w)?;
            }
            _ => {
                planes::grow(&mut self.bytes, need)?;
                planes::grow(&mut self.sums, w)?;
            }
        }
        for (i, &y) in used.iter().enumerate() {
            let planes = source.rows(isa, y as usize, &mut self.input);
            for (c, src) in planes.into_iter().enumerate().take(self.plan.channels) {
                let at = (c * n + i) * w..(c * n + i + 1) * w;
                let (taps, start) = (columns.taps, &columns.start[..]);
                match self.filter {
                    ResizeFilter::PillowNearest => {
                        columns.nearest(isa, src, &mut self.bytes[at]);
                    }
                    ResizeFilter::PillowBilinear | ResizeFilter::PillowBicubic => {
                        columns.pillow(isa, src, &mut self.bytes[at]);
                    }
                    ResizeFilter::OpencvLinear => {
                        columns.opencv(isa, src, &mut self.words[at]);
                    }
                    ResizeFilter::TfBilinear => {
                        isa.tf_columns(src, start, &columns.float, &mut self.floats[at]);
                    }
                    ResizeFilter::TorchAntialias => {
                        isa.torch_columns(src, taps, start, &columns.float, &mut self.floats[at]);
                    }
                }
            }
        }
        Ok(())
    }

    /// Pillow's other order: the vertical pass first, over the whole width.
    fn vertical(&mut self, isa: Isa, source: Source<'_>) -> Result<()> {
        let picture = match source {
            Source::Planes(planes) => planes,
            Source::Frame(frame) => {
                frame_to_planes(frame, isa, &mut self.whole)?;
                &self.whole
            }
        };
        let (w, h) = (picture.width, self.plan.window.height);
        planes::check_size(w, h)?;
        planes::grow(&mut self.bytes, self.plan.channels * w * h)?;
        planes::grow(&mut self.sums, w)?;
        let axis = self.rows.get(self.plan.rows);
        let outs = self.bytes.chunks_exact_mut(w).take(self.plan.channels * h);
        for (i, out) in outs.enumerate() {
            let (c, y) = (i / h, i % h);
            let first = axis.used[axis.start[y] as usize] as usize;
            let rows = &picture.plane(c)[first * w..(first + axis.taps) * w];
            isa.pillow_rows(rows, &axis.int[y * axis.taps..][..axis.taps], &mut self.sums[..w], out);
        }
        Ok(())
    }

    /// Row `y` of the window's resized part, `window().width` bytes. Not for float filters.
    pub(super) fn row_bytes(&mut self, isa: Isa, channel: usize, y: usize, out: &mut [u8]) {
        if self.plan.vertical_first {
            let (columns, h) = (self.columns.get(self.plan.columns), self.plan.window.height);
            let row = &self.bytes[(channel * h + y) * columns.from()..][..columns.from()];
            columns.pillow(isa, row, out);
            return;
        }
        let axis = self.rows.get(self.plan.rows);
        let w = self.plan.window.width;
        let base = channel * axis.used.len();
        let rows = |first: u32, n: usize| (base + first as usize) * w..(base + first as usize + n) * w;
        let taps = axis.taps;
        match self.filter {
            ResizeFilter::PillowNearest => out.copy_from_slice(&self.bytes[rows(axis.start[y], 1)]),
            ResizeFilter::OpencvLinear => {
                let (upper, lower) = (rows(axis.start[2 * y], 1), rows(axis.start[2 * y + 1], 1));
                let coef = [axis.int[2 * y], axis.int[2 * y + 1]];
                isa.opencv_rows(&self.words[upper], &self.words[lower], coef, out);
            }
            ResizeFilter::TorchAntialias => {
                let (coef, sums) = (&axis.float[y * taps..][..taps], &mut self.float_sums[..w]);
                isa.torch_rows(&self.floats[rows(axis.start[y], taps)], coef, sums, out);
            }
            _ => {
                let (coef, sums) = (&axis.int[y * taps..][..taps], &mut self.sums[..w]);
                isa.pillow_rows(&self.bytes[rows(axis.start[y], taps)], coef, sums, out);
            }
        }
    }

    /// Row `y` of the window's resized part as floats on the 0–255 scale. Float filters only.
    pub(super) fn row_floats(&self, isa: Isa, channel: usize, y: usize, out: &mut [f32]) {
        let axis = self.rows.get(self.plan.rows);
        let w = self.plan.window.width;
        let base = channel * axis.used.len();
        let row = |i: u32| &self.floats[(base + i as usize) * w..][..w];
        isa.tf_rows(row(axis.start[2 * y]), row(axis.start[2 * y + 1]), axis.float[y], out);
    }
}

//! Sampling positions and weights along one side, cached per size.

use super::{ResizeFilter, opencv, pillow, tensorflow, torch};
use alloc::vec::Vec;

/// How many sizes a step remembers; a source of more sizes than these recomputes weights.
const CACHED: usize = 16;

/// What a side is resized from and to, and which part of the result is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) from: usize,
    pub(super) to: usize,
    /// First wanted position of the result.
    pub(super) first: usize,
    /// Number of wanted positions.
    pub(super) count: usize,
}

impl Side {
    pub(super) fn wanted(self) -> core::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// Positions and weights for each wanted position of the result.
#[derive(Clone, Debug, Default)]
pub(super) struct Axis {
    side: Side,
    /// Weights a position.
    pub(super) taps: usize,
    /// First sample of a position; for pairs of samples that need not be neighbours, both.
    pub(super) start: Vec<u32>,
    /// Fixed-point weights, `taps` a position.
    pub(super) int: Vec<i32>,
    /// Float weights, `taps` a position.
    pub(super) float: Vec<f32>,
    /// Rows only: the samples that are used at all; `start` then counts in these.
    pub(super) used: Vec<u32>,
}

impl Axis {
    /// Samples along the side before resizing.
    pub(super) fn from(&self) -> usize {
        self.side.from
    }

    fn rebuild(&mut self, filter: ResizeFilter, side: Side, rows: bool) {
        self.side = side;
        self.taps = 1;
        self.start.clear();
        self.int.clear();
        self.float.clear();
        self.used.clear();
        match filter {
            ResizeFilter::PillowNearest => pillow::nearest(side, self),
            ResizeFilter::PillowBilinear => pillow::weights(side, pillow::BILINEAR, self),
            ResizeFilter::PillowBicubic => pillow::weights(side, pillow::BICUBIC, self),
            ResizeFilter::OpencvLinear if rows => opencv::row_weights(side, self),
            ResizeFilter::OpencvLinear => opencv::column_weights(side, self),
            ResizeFilter::TfBilinear => tensorflow::weights(side, self),
            ResizeFilter::TorchAntialias => torch::weights(side, self),
        }
        if rows {
            self.compact();
        }
    }

    /// Fills `used` and makes `start` count in it.
    fn compact(&mut self) {
        // A position on a sample has its zero weights dropped, so the next one may start before it.
        for &start in &self.start {
            self.used.extend(start..start + self.taps as u32);
        }
        self.used.sort_unstable();
        self.used.dedup();
        let used = &self.used;
        for start in &mut self.start {
            *start = used.partition_point(|&u| u < *start) as u32;
        }
    }
}

/// The axes seen lately.
#[derive(Clone, Debug, Default)]
pub(super) struct AxisCache {
    axes: Vec<Axis>,
    oldest: usize,
}

impl AxisCache {
    /// Index of the axis for `side`, made if it is new.
    pub(super) fn find(&mut self, filter: ResizeFilter, side: Side, rows: bool) -> usize {
        if let Some(i) = self.axes.iter().position(|a| a.side == side) {
            return i;
        }
        let i = if self.axes.len() < CACHED {
            self.axes.push(Axis::default());
            self.axes.len() - 1
        } else {
            self.oldest = (self.oldest + 1) % CACHED;
            self.oldest
        };
        self.axes[i].rebuild(filter, side, rows);
        i
    }

    pub(super) fn get(&self, index: usize) -> &Axis {
        &self.axes[index]
    }
}

//! Sampling positions and weights along one side, cached per size.

use super::{ResizeFilter, opencv, pillow, tensorflow, torch};
use crate::preprocess::simd::{Isa, Shuffles};
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
    /// Columns only: the same for whole vectors.
    shuffles: Shuffles,
}

impl Axis {
    /// Samples along the side before resizing.
    pub(super) fn from(&self) -> usize {
        self.side.from
    }

    /// One row, horizontally: the samples as they are.
    pub(super) fn nearest(&self, isa: Isa, src: &[u8], out: &mut [u8]) {
        if !self.shuffles.nearest(isa, src, out) {
            out.iter_mut().zip(&self.start).for_each(|(o, &s)| *o = src[s as usize]);
        }
    }

    /// One row, horizontally, as Pillow weights it.
    pub(super) fn pillow(&self, isa: Isa, src: &[u8], out: &mut [u8]) {
        if !self.shuffles.pillow(isa, src, out) {
            isa.pillow_columns(src, self.taps, &self.start, &self.int, out);
        }
    }

    /// One row, horizontally, as OpenCV weights it.
    pub(super) fn opencv(&self, isa: Isa, src: &[u8], out: &mut [i16]) {
        if !self.shuffles.opencv(isa, src, out) {
            isa.opencv_columns(src, &self.start, &self.int, out);
        }
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
        } else {
            self.shuffles.rebuild(side.from, self.taps, &self.start, &self.int);
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const FILTERS: [ResizeFilter; 4] = [
        ResizeFilter::PillowNearest,
        ResizeFilter::PillowBilinear,
        ResizeFilter::PillowBicubic,
        ResizeFilter::OpencvLinear,
    ];

    fn row(isa: Isa, filter: ResizeFilter, axis: &Axis, src: &[u8]) -> Vec<i32> {
        let (mut bytes, mut words) = (vec![0; axis.side.count], vec![0; axis.side.count]);
        match filter {
            ResizeFilter::PillowNearest => axis.nearest(isa, src, &mut bytes),
            ResizeFilter::OpencvLinear => axis.opencv(isa, src, &mut words),
            _ => axis.pillow(isa, src, &mut bytes),
        }
        bytes.into_iter().map(i32::from).zip(words).map(|(byte, word)| byte + i32::from(word)).collect()
    }

    /// Compares the kernels on a row of noise; whether shuffles made it.
    fn shuffled(filter: ResizeFilter, side: Side) -> bool {
        let src: Vec<u8> =
            (1..=side.from as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
        let mut cache = AxisCache::default();
        let index = cache.find(filter, side, false);
        let axis = cache.get(index);
        let [best, plain] = [Isa::detect(), Isa::plain()].map(|isa| row(isa, filter, axis, &src));
        assert_eq!(best, plain, "{filter:?} {side:?}");
        axis.shuffles.serve(Isa::detect(), &src)
    }

    #[test]
    fn shuffles_equal_plain_kernels() {
        for filter in FILTERS {
            for from in (1..40).chain([64, 100, 255]) {
                for to in (1..40).chain([64, 100, 224, 256]) {
                    shuffled(filter, Side { from, to, first: 0, count: to });
                    shuffled(filter, Side { from, to, first: to / 3, count: to - to / 2 });
                }
            }
        }
    }

    #[test]
    fn shuffles_serve_pictures_that_grow() {
        let wide = Isa::detect() != Isa::plain();
        for filter in FILTERS {
            let side = |from, to| Side { from, to, first: 0, count: to };
            assert_eq!(shuffled(filter, side(100, 224)), wide, "{filter:?}");
            assert_eq!(shuffled(filter, side(100, 256)), wide, "{filter:?}");
            assert!(!shuffled(filter, side(1500, 224)), "{filter:?}");
            assert!(!shuffled(filter, side(15, 224)) && !shuffled(filter, side(100, 7)), "{filter:?}");
        }
    }
}

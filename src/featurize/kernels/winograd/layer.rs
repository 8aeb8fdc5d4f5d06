//! A 3 × 3 convolution of stride 1: which of the algorithm's forms it takes, and its places.

use super::super::super::network::{Conv, Padding};
use super::super::layer::{NEAR, blocks};
use super::super::packing::Form;
use super::super::share::prefers_columns;
use super::super::simd::LANES;
use super::super::tiles::Tiles;
use super::{
    Size,
    few::{self, FewFn},
};

/// A 3 × 3 stride 1 convolution by Winograd's algorithm.
#[derive(Clone)]
pub(in super::super) struct WinogradLayer {
    pub(in super::super) size: Size,
    pub(in super::super) weights: usize,
    pub(in super::super) bias: usize,
    pub(in super::super) bounds: Option<[f32; 2]>,
    pub(in super::super) sizes: [usize; 2],
    pub(in super::super) padding: Padding,
    pub(in super::super) tiles: Tiles,
    /// Tiles transformed together.
    pub(in super::super) chunk: usize,
    /// What computes so few tiles that weights are stored as taps and transformed as they are read.
    pub(in super::super) few: Option<FewFn>,
}

impl WinogradLayer {
    /// Without places for its weights; `None` where the algorithm doesn't apply or wouldn't pay. `few` is the
    /// instruction set's kernel for few tiles, if it has one.
    pub(in super::super) fn new(
        c: &Conv,
        to: [usize; 3],
        micro_batch: usize,
        bounds: Option<[f32; 2]>,
        few: Option<FewFn>,
    ) -> Option<Self> {
        let sizes = [c.channels_in, c.channels_out];
        let [k, n] = sizes;
        if c.kernel != [3, 3] || c.stride != [1, 1] || k < LANES || n < LANES {
            return None;
        }
        // Costs in FMAs of 16 lanes. A weight costs one and a half: a core gets 14 GB a second from memory, 29
        // from its last cache, and a network's weights are in neither of the nearer ones.
        let pairs = (k as u64).saturating_mul(n as u64);
        let streamed = |weights: usize| (weights as u64 * 3).saturating_mul(pairs) / 2;
        let cost = |products: usize, weights: usize| {
            let products = (micro_batch as u64 * products as u64).saturating_mul(pairs);
            (products / LANES as u64).saturating_add(streamed(weights))
        };
        let direct = cost(to[1] * to[2] * 9, 9);
        let tiles = |size| Tiles::new(size, [to[1], to[2]]);
        let total = |size| micro_batch * tiles(size).count();
        let transforms = |size| {
            let of_block: u64 = match size {
                Size::Two => 60,
                Size::Four => 200,
            };
            of_block.saturating_mul((total(size) as u64).saturating_mul((blocks(k) + blocks(n)) as u64))
        };
        let stored = |size: Size| {
            let cost = cost(tiles(size).products(), size.matrices());
            (cost.saturating_add(transforms(size)), size, None)
        };
        // What it takes to transform them, and four fifths of the FMAs' rate.
        let few = few.filter(|_| total(Size::Four) <= few::MOST).map(|kernel| {
            let sums = |row| Size::Four.points() * tiles(Size::Four).of_row(row, micro_batch).len();
            let steps = (0..Size::Four.points()).map(sums).sum::<usize>() + few::TRANSFORM;
            let cost = (steps as u64 * 5 / 4).saturating_mul(pairs / LANES as u64);
            (
                cost.saturating_add(streamed(few::TAPS)).saturating_add(transforms(Size::Four)),
                Size::Four,
                Some(kernel),
            )
        });
        let all = Size::ALL.into_iter().map(stored).chain(few);
        let (cost, size, few) = all.min_by_key(|(cost, ..)| *cost)?;
        if cost > direct.saturating_mul(9) / 10 {
            return None;
        }
        let per_tile = size.matrices() * LANES * (blocks(k) + blocks(n));
        let least = if size.matrices() * k * n > 4 * NEAR { 112 } else { 28 };
        let chunk = (NEAR * 3 / 2 / per_tile).max(least).min(total(size));
        let chunk = total(size).div_ceil(total(size).div_ceil(chunk));
        let padding = c.padding;
        Some(Self { size, weights: 0, bias: 0, bounds, sizes, padding, tiles: tiles(size), chunk, few })
    }

    /// In profiles.
    pub(in super::super) fn name(&self) -> &'static str {
        match (self.size, self.few.is_some()) {
            (Size::Two, _) => "winograd-2x2",
            (Size::Four, false) => "winograd-4x4",
            (Size::Four, true) => "winograd-4x4-few",
        }
    }

    /// That its kernels read weights in.
    pub(in super::super) fn form(&self) -> Form {
        if self.few.is_some() { Form::WinogradTaps } else { Form::Winograd(self.size) }
    }

    /// A chunk's transformed input and its sums; between matrices a cache line more than needed, so that they
    /// don't compete for one cache set.
    pub(in super::super) fn scratch(&self) -> usize {
        let [k, n] = self.sizes.map(|channels| blocks(channels).saturating_mul(self.chunk).saturating_add(1));
        (self.size.matrices() * LANES).saturating_mul(k.saturating_add(n))
    }

    /// Tiles that a team transforms together: each thread needs half of the sums at most.
    pub(in super::super) fn common_chunk(&self) -> usize {
        (2 * self.chunk).min(self.all_tiles())
    }

    /// Tiles of a picture.
    pub(in super::super) fn all_tiles(&self) -> usize {
        self.tiles.count()
    }

    /// What a team has in common: a chunk's transformed tiles. 0 where each thread transforms all of its input:
    /// F(2 × 2) makes four times as much of it, and what another core wrote takes longer to come.
    pub(in super::super) fn common(&self) -> usize {
        if self.size == Size::Two || !prefers_columns(blocks(self.sizes[1]), self.all_tiles()) {
            return 0;
        }
        let floats = blocks(self.sizes[0]).saturating_mul(self.common_chunk()).saturating_add(1);
        floats.saturating_mul(self.size.matrices() * LANES)
    }
}

//! `C += Aᵀ·B`, lower triangle, for operands in [`Panels`].
//!
//! Tiles of `C` stay in registers while the depth goes by; with AVX-512 24 × 8 values, 11 loads for 24
//! FMAs. The co-moment is kept in squares of [`WIDTH`] columns, each in memory of its own: what a tile reads and
//! writes is then next to what the last one did.

use super::{
    blocks::{BLOCK, step},
    isa::Kernels,
    lines::LINE,
    panels::{Pair, Panels, WIDTH},
    simd::Doubles,
};
use alloc::vec::Vec;
use core::ptr::null;

/// Squares below one another that are added to while their rows' panels stay in the second-level cache and the
/// columns' panels come by.
const TOGETHER: usize = 8;

/// Cache lines from `ahead` on that a tile of this height fetches with each of its columns: all tiles of squares
/// below one another fetch the next columns' panel, if that has 256 rows.
const fn lines_ahead(height: usize) -> usize {
    (256 * WIDTH / LINE).div_ceil(TOGETHER * WIDTH * WIDTH / height)
}

/// One tile of the product.
pub(super) struct Tile {
    /// `[depth]` rows of the left operand's panels, of which the tile's height is used.
    a: *const f64,
    /// `[depth]` rows of the right operand's panels, of which the tile's width is used.
    b: *const f64,
    depth: usize,
    /// Columns of the tile's height, `stride` apart; added to.
    c: *mut f64,
    stride: usize,
    /// What will be read later; any address.
    ahead: *const f64,
}

/// A tile of `MV` registers by `NR` columns, from panels of `LEFT` and `RIGHT` columns.
///
/// # Safety
/// The pointers of `t` are valid for what its fields say; `c` overlaps neither operand.
#[inline(always)]
pub(super) unsafe fn tile<
    S: Doubles,
    const MV: usize,
    const NR: usize,
    const LEFT: usize,
    const RIGHT: usize,
>(
    s: S,
    t: &Tile,
) {
    const { assert!(MV * S::LANES <= LEFT && NR <= RIGHT) };
    // SAFETY: all accesses are to `depth` rows of the operands and to the `MV` registers of each of
    // `NR` columns of `c`.
    unsafe {
        let mut acc = [[s.splat(0.0); MV]; NR];
        let (mut a, mut b) = (t.a, t.b);
        // A column of `c` is fetched at a time: all at once, they would keep the operands waiting.
        for j in 0..NR {
            for i in (0..MV * S::LANES).step_by(LINE) {
                s.prefetch(t.c.add(j * t.stride + i));
            }
            let lines = const { lines_ahead(LEFT) };
            for i in j * lines..(j + 1) * lines {
                s.prefetch(t.ahead.wrapping_add(i * LINE));
            }
            for _ in 0..t.depth / NR {
                step::<S, MV, NR>(s, a, (b, 1), &mut acc);
                (a, b) = (a.add(LEFT), b.add(RIGHT));
            }
        }
        for _ in 0..t.depth % NR {
            step::<S, MV, NR>(s, a, (b, 1), &mut acc);
            (a, b) = (a.add(LEFT), b.add(RIGHT));
        }
        for (j, acc) in acc.iter().enumerate() {
            for (i, v) in acc.iter().enumerate() {
                let c = t.c.add(j * t.stride + i * S::LANES);
                s.store(c, s.add(s.load(c), *v));
            }
        }
    }
}

/// Adds the lower triangle of the operands' product to `squares`: those of the first columns from the diagonal down,
/// then the next columns'.
///
/// # Panics
/// If the shapes don't fit: a defect of the caller.
pub(in super::super) fn add_lower(kernels: &Kernels, pair: &Pair, squares: &mut [f64]) {
    let of = pair.operands()[0].columns().div_ceil(WIDTH);
    assert!(squares.len() == of * (of + 1) / 2 * BLOCK, "a triangle of squares");
    let mut columns = Vec::with_capacity(of);
    let mut rest = squares;
    for j in 0..of {
        let (column, others) = rest.split_at_mut((of - j) * BLOCK);
        (rest, _) = (others, columns.push(column));
    }
    let mut pieces = Vec::new();
    for first in (0..of).step_by(TOGETHER) {
        let end = of.min(first + TOGETHER);
        for (j, column) in columns.iter_mut().enumerate().take(end) {
            let i = first.max(j);
            let (piece, below) = core::mem::take(column).split_at_mut((end - i) * BLOCK);
            *column = below;
            pieces.push((i, j, piece));
        }
    }
    let add = |(first, j, piece): (usize, usize, &mut [f64])| {
        let [a, b] = pair.operands();
        let mut ahead = if j + 1 < of { b.from((j + 1) * WIDTH).as_ptr() } else { null() };
        for (i, square) in (first..).zip(piece.chunks_exact_mut(BLOCK)) {
            add_square(kernels, [a, b], [i, j], square, ahead);
            ahead = ahead.wrapping_add(256 * WIDTH / TOGETHER);
        }
    };
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        pieces.into_par_iter().with_max_len(1).for_each(add);
    }
    #[cfg(not(feature = "rayon"))]
    pieces.into_iter().for_each(add);
}

/// The `i`th square of rows and the `j`th of columns; what is above the diagonal, or beyond the last row, may be left
/// out.
fn add_square(
    kernels: &Kernels,
    [a, b]: [&Panels; 2],
    [i, j]: [usize; 2],
    square: &mut [f64],
    ahead: *const f64,
) {
    let ([rows, columns], lanes) = (kernels.tile, kernels.lanes());
    let last = WIDTH.min(a.columns() - i * WIDTH);
    let mut ahead = ahead;
    for row in (0..WIDTH).step_by(rows) {
        for column in (0..WIDTH).step_by(columns) {
            // As few registers as hold the rows that are of interest.
            let begin = if i > j { row } else { row.max(column / lanes * lanes) };
            let end = (row + rows).min(last.next_multiple_of(lanes));
            if begin < end {
                let operands = [(a, i * WIDTH + begin), (b, j * WIDTH + column)];
                let c = (&mut square[column * WIDTH + begin..], WIDTH);
                add_tile(kernels, operands, (end - begin) / lanes, c, ahead);
                ahead = ahead.wrapping_add(columns * lines_ahead(rows) * LINE);
            }
        }
    }
}

/// The tile of the operands' columns from these on, so many registers high; `ahead` as [`Tile`] has it.
fn add_tile(
    kernels: &Kernels,
    [(a, i), (b, j)]: [(&Panels, usize); 2],
    registers: usize,
    (c, stride): (&mut [f64], usize),
    ahead: *const f64,
) {
    let ([_, columns], depth, rows) = (kernels.tile, a.depth(), registers * kernels.lanes());
    assert!([a.width(), b.width()] == kernels.widths && b.depth() == depth, "a left and a right operand");
    if depth == 0 {
        return;
    }
    let (a, b) = (a.from(i), b.from(j));
    let [left, right] = kernels.widths;
    assert!(a.len() >= (depth - 1) * left + rows && b.len() >= (depth - 1) * right + columns);
    assert!(rows <= stride && c.len() >= (columns - 1) * stride + rows);
    let t = Tile { a: a.as_ptr(), b: b.as_ptr(), depth, c: c.as_mut_ptr(), stride, ahead };
    // SAFETY: the lengths were checked; `kernels` are supported by this processor.
    unsafe { (kernels.product[registers - 1])(&t) }
}

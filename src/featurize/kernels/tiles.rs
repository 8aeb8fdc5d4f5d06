//! How a Winograd layer's pictures are cut into tiles, and in which order those are computed.

use super::winograd::{Line, Size};
use core::ops::Range;

/// Tiles of a picture. Where its rows or columns are no multiple of a tile's, the last tiles are smaller and have fewer
/// points, which are some of the others': of F(4 × 4) on 14 × 14 pixels, 22 × 22 instead of 24 × 24 products.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    size: Size,
    /// Rows and columns of whole tiles.
    whole: [usize; 2],
    /// What is left of rows and columns.
    last: [Option<Line>; 2],
}

/// Tiles of all pictures that have the same lines, `rows` by `across` in each picture from `[y, x]` on.
#[derive(Clone, Copy)]
struct Class {
    lines: [Line; 2],
    from: [usize; 2],
    rows: usize,
    across: usize,
}

/// Tiles that are adjacent in one row of tiles.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Adjacent {
    /// The first of them.
    pub(super) first: usize,
    pub(super) picture: usize,
    /// Row and column of the first among the picture's tiles.
    pub(super) at: [usize; 2],
    pub(super) count: usize,
    pub(super) lines: [Line; 2],
}

impl Tiles {
    /// For pictures of this height and width.
    pub(super) fn new(size: Size, pixels: [usize; 2]) -> Self {
        match size {
            // What is beyond the picture is left out.
            Size::Two => Self { size, whole: pixels.map(|pixels| pixels.div_ceil(2)), last: [None; 2] },
            Size::Four => {
                let last = |pixels: usize| match pixels % 4 {
                    0 => None,
                    3 => Some(Line::LastThree),
                    _ => Some(Line::LastTwo),
                };
                Self { size, whole: pixels.map(|pixels| pixels / 4), last: pixels.map(last) }
            }
        }
    }

    /// How many a picture has.
    pub(super) fn count(&self) -> usize {
        self.classes().iter().map(|class| class.rows * class.across).sum()
    }

    /// Products of a picture for each pair of channels.
    pub(super) fn products(&self) -> usize {
        let points = |class: &Class| class.lines.map(|line| line.points().len());
        self.classes()
            .iter()
            .map(|class| class.rows * class.across * points(class).iter().product::<usize>())
            .sum()
    }

    /// In this order every point's tiles are adjacent: those of the last column, whole ones, those of the last row, the
    /// last of both.
    fn classes(&self) -> [Class; 4] {
        let whole = self.size.line();
        let [(rows, down), (columns, across)] = [0, 1].map(|i| (self.whole[i], self.last[i]));
        let class = |y: bool, x: bool| Class {
            lines: [if y { down } else { None }, if x { across } else { None }]
                .map(|line| line.unwrap_or(whole)),
            from: [if y { rows } else { 0 }, if x { columns } else { 0 }],
            rows: if y { down.is_some().into() } else { rows },
            across: if x { across.is_some().into() } else { columns },
        };
        [class(false, true), class(false, false), class(true, false), class(true, true)]
    }

    /// Those of `n` pictures that have a point: matrix `row · points + column` of a transformed tile.
    pub(super) fn of_matrix(&self, matrix: usize, n: usize) -> Range<usize> {
        let points = [matrix / self.size.points(), matrix % self.size.points()];
        self.that(n, |class| [0, 1].iter().all(|&i| class.lines[i].points().contains(&points[i])))
    }

    /// Those that have a row's points.
    pub(super) fn of_row(&self, row: usize, n: usize) -> Range<usize> {
        self.that(n, |class| class.lines[0].points().contains(&row))
    }

    /// Those of classes that are adjacent.
    fn that(&self, n: usize, is: impl Fn(&Class) -> bool) -> Range<usize> {
        let (mut all, mut next) = (0..0, 0);
        for class in self.classes() {
            let first = next;
            next += n * class.rows * class.across;
            if is(&class) && next > first {
                all = if all.is_empty() { first..next } else { all.start..next };
            }
        }
        all
    }

    /// Some tiles of `n` pictures.
    pub(super) fn adjacent(&self, tiles: Range<usize>, n: usize) -> impl Iterator<Item = Adjacent> {
        let mut first = 0;
        let classes = self.classes().map(|class| {
            let from = first;
            first += n * class.rows * class.across;
            (class, from)
        });
        classes.into_iter().flat_map(move |(class, from)| {
            let (mut next, end) =
                (tiles.start.max(from), tiles.end.min(from + n * class.rows * class.across));
            core::iter::from_fn(move || {
                let at = (next < end).then_some(next - from)?;
                let (row, x) = (at / class.across, at % class.across);
                let count = (class.across - x).min(end - next);
                next += count;
                Some(Adjacent {
                    first: from + at,
                    picture: row / class.rows,
                    at: [class.from[0] + row % class.rows, class.from[1] + x],
                    count,
                    lines: class.lines,
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tiles_cover_every_pixel_once(
            two: bool, n in 1usize..4, h in 1usize..20, w in 1usize..20, part in 1usize..30,
        ) {
            let size = if two { Size::Two } else { Size::Four };
            let tiles = Tiles::new(size, [h, w]);
            let total = n * tiles.count();
            let mut seen = vec![0; n * h * w];
            let mut of_matrix = vec![Vec::new(); size.matrices()];
            let parts = (0..total).step_by(part).map(|first| first..total.min(first + part));
            let mut next = 0;
            for run in parts.flat_map(|part| tiles.adjacent(part, n).collect::<Vec<_>>()) {
                prop_assert_eq!(run.first, next);
                next += run.count;
                let [down, across] = run.lines;
                for tile in 0..run.count {
                    let [y, x] = [run.at[0] * size.out(), (run.at[1] + tile) * size.out()];
                    for y in y..h.min(y + down.out()) {
                        for x in x..w.min(x + across.out()) {
                            seen[(run.picture * h + y) * w + x] += 1;
                        }
                    }
                    for row in down.points() {
                        for column in across.points() {
                            of_matrix[row * size.points() + column].push(run.first + tile);
                        }
                    }
                }
            }
            prop_assert_eq!(next, total);
            prop_assert!(seen.iter().all(|times| *times == 1));
            prop_assert_eq!(n * tiles.products(), of_matrix.iter().map(Vec::len).sum::<usize>());
            for (row, matrices) in of_matrix.chunks(size.points()).enumerate() {
                // Every tile has the first point.
                prop_assert_eq!(&tiles.of_row(row, n).collect::<Vec<_>>(), &matrices[0]);
            }
            for (matrix, expected) in of_matrix.into_iter().enumerate() {
                prop_assert_eq!(tiles.of_matrix(matrix, n).collect::<Vec<_>>(), expected);
            }
        }
    }
}

//! Winograd's F(4 × 4, 3 × 3), 36 products per 16 outputs instead of 144, and F(2 × 2, 3 × 3), 16 per 4
//! instead of 36: fewer saved, but weights of less than half the size, for layers that wait for those.
//!
//! F(4 × 4) has the interpolation points 0, ±√½, ±√2, ∞ instead of the usual 0, ±1, ±2, ∞: half the rounding
//! error (relative 1.2e-6 instead of 2.4e-6 for 256 channels) for the same work, since all coefficients
//! stay near 1. A tile of 6 × 6 inputs becomes 36 matrices over (tile, channel); 36 GEMMs; 6 × 6
//! sums become 4 × 4 outputs. F(2 × 2) has 0, ±1, ∞. Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2015; choice of points after Barabasz et al., "Error Analysis and Improving the Accuracy of
//! Winograd Convolution for Deep Neural Networks", 2018.

pub(super) mod few;
mod layer;

use super::simd::{LANES, Simd};
use core::f32::consts::{FRAC_1_SQRT_2, SQRT_2};
pub(super) use layer::WinogradLayer;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// F(2 × 2, 3 × 3).
    Two,
    /// F(4 × 4, 3 × 3).
    Four,
}

impl Size {
    pub(super) const ALL: [Self; 2] = [Self::Two, Self::Four];

    /// Output rows and columns of a tile.
    pub(super) const fn out(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Rows and columns of a transformed tile.
    pub(super) const fn points(self) -> usize {
        self.out() + 2
    }

    /// Rows or columns of a whole tile.
    pub(super) const fn line(self) -> Line {
        match self {
            Self::Two => Line::Two,
            Self::Four => Line::Four,
        }
    }

    /// Matrices of a transformed tile.
    pub(super) const fn matrices(self) -> usize {
        self.points() * self.points()
    }
}

/// Rows or columns of a tile. What is left of a picture is computed at some of F(4 × 4)'s points, with the same
/// weights: those lack the factors `p − q` of the points `q` that are left out, which the sums are then multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Two,
    Four,
    /// Three outputs at all points but −√2.
    LastThree,
    /// Two outputs at all points but ±√2.
    LastTwo,
}

impl Line {
    pub(super) const ALL: [Self; 4] = [Self::Two, Self::Four, Self::LastThree, Self::LastTwo];

    /// Outputs.
    pub(super) const fn out(self) -> usize {
        self.points().len() - 2
    }

    /// Which of its size's points it has; as many inputs.
    pub(super) const fn points(self) -> &'static [usize] {
        match self {
            Self::Two => &[0, 1, 2, 3],
            Self::Four => &[0, 1, 2, 3, 4, 5],
            Self::LastThree => &[0, 1, 2, 3, 5],
            Self::LastTwo => &[0, 1, 2, 5],
        }
    }

    /// Whose points it has.
    const fn size(self) -> Size {
        match self {
            Self::Two => Size::Two,
            _ => Size::Four,
        }
    }
}

/// Pairs of lines that tiles have, rows first: where [`Kernels`](super::isa::Kernels) have them.
pub(super) const fn kernel([rows, columns]: [Line; 2]) -> usize {
    match rows {
        Line::Two => 0,
        _ => 3 * (rows as usize) + columns as usize - 3,
    }
}

/// Input tiles, adjacent in one row of tiles, of one channel block.
pub(super) struct Input {
    /// The picture's plane of this block, `[height][width][16]`.
    pub(super) src: *const f32,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Top left corner of the first tile, which may lie outside.
    pub(super) y: isize,
    pub(super) x: isize,
    /// How many tiles.
    pub(super) count: usize,
    /// First tile of the first matrix, `[matrix][…][tile][16]`.
    pub(super) dst: *mut f32,
    /// Floats between matrices.
    pub(super) dst_stride: usize,
}

/// Output tiles, adjacent in one row of tiles, of one channel block.
pub(super) struct Output {
    /// First tile of the first matrix.
    pub(super) src: *const f32,
    /// Floats between matrices.
    pub(super) src_stride: usize,
    /// `[16]`.
    pub(super) bias: *const f32,
    /// The picture's plane of this block, `[height][width][16]`.
    pub(super) dst: *mut f32,
    /// Added before the bounds, laid out as `dst`; null for none.
    pub(super) residual: *const f32,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Top left corner of the first tile.
    pub(super) y: usize,
    pub(super) x: usize,
    /// How many tiles.
    pub(super) count: usize,
    pub(super) bounds: [f32; 2],
}

/// Transforms input tiles.
pub(super) type InputFn = unsafe fn(&Input);
/// Transforms output tiles.
pub(super) type OutputFn = unsafe fn(&Output);

/// `G`: rows (1, p, p²) / ∏(p − other points), for ∞ the last. `points` are the finite ones.
const fn weight_matrix<const P: usize>(points: &[f64]) -> [[f64; 3]; P] {
    let mut g = [[0.0, 0.0, 1.0]; P];
    let mut i = 0;
    while i < points.len() {
        let (p, mut rest) = (points[i], 1.0);
        let mut j = 0;
        while j < points.len() {
            if j != i {
                rest *= p - points[j];
            }
            j += 1;
        }
        g[i] = [1.0 / rest, p / rest, p * p / rest];
        i += 1;
    }
    g
}

const WEIGHTS_TWO: [[f64; 3]; 4] = weight_matrix(&[0.0, 1.0, -1.0]);
const WEIGHTS_FOUR: [[f64; 3]; 6] = {
    let (a, b) = (core::f64::consts::FRAC_1_SQRT_2, core::f64::consts::SQRT_2);
    weight_matrix(&[0.0, a, -a, b, -b])
};

/// `G g Gᵀ` of one 3 × 3 kernel, row after row: the first [`Size::matrices`] values.
pub(super) fn weights(size: Size, g: &[[f64; 3]; 3]) -> [f64; 36] {
    let (points, rows): (usize, &[[f64; 3]]) = match size {
        Size::Two => (4, &WEIGHTS_TWO),
        Size::Four => (6, &WEIGHTS_FOUR),
    };
    let mut out = [0.0; 36];
    for (out, by_row) in out.chunks_exact_mut(points).zip(rows) {
        let half: [f64; 3] = core::array::from_fn(|x| (0..3).map(|k| by_row[k] * g[k][x]).sum());
        for (out, by_column) in out.iter_mut().zip(rows) {
            *out = (0..3).map(|k| half[k] * by_column[k]).sum();
        }
    }
    out
}

/// `Bᵀ d` in one direction, for the line of this number.
#[inline(always)]
fn input_1d<S: Simd, const LINE: usize>(s: S, d: [S::V; 6]) -> [S::V; 6] {
    let mut out = d;
    let (a, b, half) = (s.splat(FRAC_1_SQRT_2), s.splat(SQRT_2), s.splat(-0.5));
    match Line::ALL[LINE] {
        Line::Two => {
            out[0] = s.sub(d[2], d[0]);
            out[1] = s.add(d[1], d[2]);
            out[2] = s.sub(d[2], d[1]);
            out[3] = s.sub(d[3], d[1]);
        }
        Line::Four => {
            let (two, mix) = (s.splat(-2.0), s.splat(-2.5));
            let even_a = s.fma(two, d[2], d[4]);
            let odd_a = s.mul(a, s.fma(two, d[1], d[3]));
            let even_b = s.fma(half, d[2], d[4]);
            let odd_b = s.mul(b, s.fma(half, d[1], d[3]));
            out[0] = s.add(s.fma(mix, d[2], d[0]), d[4]);
            out[1] = s.add(even_a, odd_a);
            out[2] = s.sub(even_a, odd_a);
            out[3] = s.add(even_b, odd_b);
            out[4] = s.sub(even_b, odd_b);
            out[5] = s.add(s.fma(mix, d[3], d[1]), d[5]);
        }
        Line::LastThree => {
            let odd = s.fma(half, d[1], d[3]);
            let minus_b = s.splat(-SQRT_2);
            out[0] = s.fma(minus_b, d[2], s.fma(a, d[0], odd));
            out[1] = s.fma(s.splat(-FRAC_1_SQRT_2), d[2], s.sub(d[3], d[1]));
            out[2] = s.fma(s.splat(-3.0 * FRAC_1_SQRT_2), d[2], s.add(d[3], d[1]));
            out[3] = odd;
            out[4] = s.fma(minus_b, odd, s.fma(half, d[2], d[4]));
        }
        Line::LastTwo => {
            let odd = s.mul(a, d[1]);
            out[0] = s.fma(half, d[0], d[2]);
            out[1] = s.add(d[2], odd);
            out[2] = s.sub(d[2], odd);
            out[3] = s.fma(half, d[1], d[3]);
        }
    }
    out
}

/// `Aᵀ m` in one direction, for the line of this number.
#[inline(always)]
fn output_1d<S: Simd, const LINE: usize>(s: S, m: [S::V; 6]) -> [S::V; 4] {
    let mut out = [m[0]; 4];
    let (a, b) = (FRAC_1_SQRT_2, SQRT_2);
    let (sum_a, dif_a) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    match Line::ALL[LINE] {
        Line::Two => {
            out[0] = s.add(m[0], sum_a);
            out[1] = s.add(dif_a, m[3]);
        }
        Line::Four => {
            let (sum_b, dif_b) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
            out[0] = s.add(s.add(m[0], sum_a), sum_b);
            out[1] = s.fma(s.splat(a), dif_a, s.mul(s.splat(b), dif_b));
            out[2] = s.fma(s.splat(0.5), sum_a, s.mul(s.splat(2.0), sum_b));
            out[3] = s.fma(s.splat(a * 0.5), dif_a, s.fma(s.splat(b * 2.0), dif_b, m[5]));
        }
        Line::LastThree => {
            // Factors √2, 3·√½, √½ and 2·√2.
            let (at_a, at_minus_a) = (s.mul(s.splat(3.0 * a), m[1]), s.mul(s.splat(a), m[2]));
            let at_b = s.mul(s.splat(2.0 * b), m[3]);
            let sum = s.add(at_a, at_minus_a);
            out[0] = s.add(s.fma(s.splat(b), m[0], sum), at_b);
            out[1] = s.fma(s.splat(a), s.sub(at_a, at_minus_a), s.mul(s.splat(b), at_b));
            out[2] = s.fma(s.splat(0.5), sum, s.fma(s.splat(2.0), at_b, m[4]));
        }
        Line::LastTwo => {
            // Factors −2 and −1.5.
            out[0] = s.fma(s.splat(-1.5), sum_a, s.mul(s.splat(-2.0), m[0]));
            out[1] = s.fma(s.splat(-1.5 * a), dif_a, m[3]);
        }
    }
    out
}

/// Gathers and transforms input tiles of the lines of these numbers.
///
/// # Safety
/// `t.src` is valid for `height · width` vectors, `t.dst` for `count` vectors in each matrix.
#[inline(always)]
pub(super) unsafe fn input<S: Simd, const ROWS: usize, const COLUMNS: usize>(s: S, t: &Input) {
    let [down, across] = const { [Line::ALL[ROWS], Line::ALL[COLUMNS]] };
    let [rows, columns] = [down, across].map(|line| line.points().len());
    for i in 0..t.count {
        let x = t.x + (i * across.out()) as isize;
        let inside = t.y >= 0 && x >= 0 && t.y as usize + rows <= t.height && x as usize + columns <= t.width;
        // SAFETY: an inside tile lies wholly in the plane; otherwise each pixel is checked. The
        // destination is the caller's.
        unsafe {
            let dst = t.dst.add(i * LANES);
            if inside {
                let src = t.src.add((t.y as usize * t.width + x as usize) * LANES);
                input_tile::<S, ROWS, COLUMNS>(s, dst, t.dst_stride, |row, col| {
                    s.load(src.add((row * t.width + col) * LANES))
                });
            } else {
                input_tile::<S, ROWS, COLUMNS>(s, dst, t.dst_stride, |row, col| {
                    let (y, x) = (t.y + row as isize, x + col as isize);
                    if y >= 0 && x >= 0 && (y as usize) < t.height && (x as usize) < t.width {
                        s.load(t.src.add((y as usize * t.width + x as usize) * LANES))
                    } else {
                        s.splat(0.0)
                    }
                });
            }
        }
    }
}

/// # Safety
/// `dst` is valid for one vector in each matrix.
#[inline(always)]
unsafe fn input_tile<S: Simd, const ROWS: usize, const COLUMNS: usize>(
    s: S,
    dst: *mut f32,
    stride: usize,
    pixel: impl Fn(usize, usize) -> S::V,
) {
    let [down, across] = const { [Line::ALL[ROWS], Line::ALL[COLUMNS]] };
    let zero = s.splat(0.0);
    let mut columns = [[zero; 6]; 6];
    for (col, column) in columns.iter_mut().enumerate() {
        if col < across.points().len() {
            let pixel = |row| if row < down.points().len() { pixel(row, col) } else { zero };
            *column = input_1d::<S, ROWS>(s, core::array::from_fn(pixel));
        }
    }
    #[expect(clippy::needless_range_loop, reason = "`row` indexes inside each column")]
    for row in 0..6 {
        let out = input_1d::<S, COLUMNS>(s, core::array::from_fn(|col| columns[col][row]));
        for (col, v) in out.into_iter().enumerate() {
            if row < down.points().len() && col < across.points().len() {
                let matrix = down.points()[row] * across.size().points() + across.points()[col];
                // SAFETY: one of the matrices.
                unsafe { s.store(dst.add(matrix * stride), v) }
            }
        }
    }
}

/// Transforms sums into outputs of the lines of these numbers; adds bias and residual, applies the bounds.
///
/// # Safety
/// `t.src` is valid for `count` vectors in each matrix, `t.dst` (and `t.residual`) for
/// `height · width` vectors.
#[inline(always)]
pub(super) unsafe fn output<S: Simd, const ROWS: usize, const COLUMNS: usize>(s: S, t: &Output) {
    let [down, across] = const { [Line::ALL[ROWS], Line::ALL[COLUMNS]] };
    // SAFETY: rows and columns are cut to those inside the plane.
    unsafe {
        let bias = s.load(t.bias);
        for i in 0..t.count {
            let src = t.src.add(i * LANES);
            let x = t.x + i * across.out();
            let mut columns = [[s.splat(0.0); 4]; 6];
            for (col, column) in columns.iter_mut().enumerate() {
                if col < across.points().len() {
                    let sum = |row: usize| {
                        if row < down.points().len() {
                            let matrix = down.points()[row] * across.size().points() + across.points()[col];
                            s.load(src.add(matrix * t.src_stride))
                        } else {
                            s.splat(0.0)
                        }
                    };
                    *column = output_1d::<S, ROWS>(s, core::array::from_fn(sum));
                }
            }
            let cols = across.out().min(t.width - x);
            #[expect(clippy::needless_range_loop, reason = "`row` indexes inside each column")]
            for row in 0..down.out().min(t.height - t.y) {
                let out = output_1d::<S, COLUMNS>(s, core::array::from_fn(|col| columns[col][row]));
                let at = ((t.y + row) * t.width + x) * LANES;
                for (col, v) in out.into_iter().enumerate() {
                    if col < cols {
                        let mut v = s.add(v, bias);
                        if !t.residual.is_null() {
                            v = s.add(v, s.load(t.residual.add(at + col * LANES)));
                        }
                        let v = s.min(t.bounds[1], s.max(t.bounds[0], v));
                        s.store(t.dst.add(at + col * LANES), v);
                    }
                }
            }
        }
    }
}

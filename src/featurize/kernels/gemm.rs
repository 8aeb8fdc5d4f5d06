//! Register-blocked matrix product: pixels × input channels · input channels × output channels.
//!
//! Activations lie in blocks of 16 channels, `[c / 16][pixels][16]`, so the pixels of a tile are
//! adjacent and no packing of activations is needed: a tile of up to [`Kernels::mr`] pixels times
//! [`Kernels::nb`] channel blocks stays in registers while the input channels go by. A k × k
//! convolution is the same product summed over its taps, each at an offset of its own (implicit
//! GEMM); planar input (the first layer's three channels) is the case of channel groups of one. Where
//! rows of a picture are short, a tile takes pixels of two or more, which then lie apart.
//!
//! Each step loads `nb` vectors of weights and broadcasts one activation per pixel. With 14 × 2
//! AVX-512 registers that is 16 loads for 28 FMAs: bound by the FMA units, not by the load ports.

use super::{
    isa::Kernels,
    simd::{LANES, Simd},
};
use core::{ops::Range, ptr};

/// Pixels of a tile, at most, on any instruction set.
pub(super) const MOST: usize = 16;

/// Steps that tiles take at a time, about: weights of 256 steps, 32 KB in the widest panel, then stay in the
/// nearest cache beside a tile's pixels, which a deep product's panel of megabytes doesn't. The sums wait
/// in the output meanwhile.
const NEAREST: usize = 256;

/// One output tile and where its operands are.
pub(super) struct Tile {
    /// First pixel of the first channel group.
    pub(super) a: *const f32,
    /// Floats from there to each pixel, read by tiles whose pixels lie apart.
    pub(super) pixels: [usize; MOST],
    /// Full channel groups (of 16 in blocked, of 1 in planar input).
    pub(super) groups: usize,
    /// Floats between channel groups.
    pub(super) group_stride: usize,
    /// Offset of each tap from `a`, in floats.
    pub(super) taps: *const u32,
    /// How many taps.
    pub(super) tap_count: usize,
    /// Channels in a last, partial group of blocked input.
    pub(super) tail: usize,
    /// Packed weights: `[groups][taps][16][nb · 16]`, then `[taps][tail][nb · 16]`.
    pub(super) b: *const f32,
    /// `[nb · 16]`, what the sums start from; null for zeros.
    pub(super) bias: *const f32,
    /// First pixel of the first output block.
    pub(super) c: *mut f32,
    /// Floats between output blocks.
    pub(super) c_stride: usize,
    /// Added before the bounds, laid out as `c`; null for none.
    pub(super) residual: *const f32,
    /// Bounds of the activation function.
    pub(super) bounds: Option<[f32; 2]>,
    /// Weights to bring nearer on the way: two cache lines for every four steps. Any address.
    pub(super) next: *const f32,
    /// Whether to bring twice as many.
    pub(super) hurry: bool,
    /// First pixel of the next tile, read by kernels that bring it nearer. Any address.
    pub(super) ahead: *const f32,
}

/// A tile's pixels are adjacent, in channel groups of 16.
pub(super) const BLOCKED: u8 = 0;
/// The same; those of the next tile are brought nearer.
pub(super) const DISTANT: u8 = 1;
/// Each at an offset of its own.
pub(super) const APART: u8 = 2;
/// Adjacent, in channel groups of one.
pub(super) const PLANAR: u8 = 3;

/// Computes one tile.
pub(super) type TileFn = unsafe fn(&Tile);

/// `MR` pixels × `NB` output blocks; `PIXELS` says how the pixels lie.
///
/// # Safety
/// Every pointer of `t` is valid for what its field says it holds, for `MR` pixels and `NB` blocks.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, const MR: usize, const NB: usize, const PIXELS: u8>(s: S, t: &Tile) {
    let group = if PIXELS == PLANAR { 1 } else { LANES };
    let pixels: [usize; MR] = core::array::from_fn(|m| if PIXELS == APART { t.pixels[m] } else { m * group });
    // SAFETY: all reads and writes stay inside what the caller vouches for: `a` at tap + pixel +
    // channel, `b` one row of NB vectors per step, `bias` NB vectors, `c` and `residual` MR
    // vectors in each of NB blocks.
    unsafe {
        let taps = core::slice::from_raw_parts(t.taps, t.tap_count);
        let bias: [S::V; NB] =
            core::array::from_fn(
                |j| {
                    if t.bias.is_null() { s.splat(0.0) } else { s.load(t.bias.add(j * LANES)) }
                },
            );
        let mut acc = [bias; MR];
        let mut b = t.b;
        let mut a = t.a;
        let (mut next, mut ahead) = (t.next, t.ahead);
        for _ in 0..t.groups {
            for &tap in taps {
                let a = a.add(tap as usize);
                if PIXELS == PLANAR {
                    step::<S, MR, NB>(s, &pixels, a, b, &mut acc);
                } else {
                    // Four at a time: loop control would take a tenth of the FMA ports' time.
                    for k in (0..LANES).step_by(4) {
                        let b = b.add(k * NB * LANES);
                        s.prefetch(next);
                        s.prefetch(next.wrapping_add(LANES));
                        next = next.wrapping_add(2 * LANES);
                        if t.hurry {
                            s.prefetch(next);
                            s.prefetch(next.wrapping_add(LANES));
                            next = next.wrapping_add(2 * LANES);
                        }
                        if PIXELS == DISTANT {
                            for i in 0..MR.div_ceil(4) {
                                s.prefetch(ahead.wrapping_add((k / 4 * MR.div_ceil(4) + i) * LANES));
                            }
                        }
                        step::<S, MR, NB>(s, &pixels, a.add(k), b, &mut acc);
                        step::<S, MR, NB>(s, &pixels, a.add(k + 1), b.add(NB * LANES), &mut acc);
                        step::<S, MR, NB>(s, &pixels, a.add(k + 2), b.add(2 * NB * LANES), &mut acc);
                        step::<S, MR, NB>(s, &pixels, a.add(k + 3), b.add(3 * NB * LANES), &mut acc);
                    }
                }
                b = b.add(group * NB * LANES);
            }
            a = a.add(t.group_stride);
            ahead = ahead.wrapping_add(t.group_stride);
        }
        if PIXELS != PLANAR && t.tail > 0 {
            for &tap in taps {
                let a = a.add(tap as usize);
                for k in 0..t.tail {
                    step::<S, MR, NB>(s, &pixels, a.add(k), b, &mut acc);
                    b = b.add(NB * LANES);
                }
            }
        }
        if !t.residual.is_null() {
            for j in 0..NB {
                for (m, acc) in acc.iter_mut().enumerate() {
                    acc[j] = s.add(acc[j], s.load(t.residual.add(j * t.c_stride + m * LANES)));
                }
            }
        }
        if let Some([lo, hi]) = t.bounds {
            for acc in &mut acc {
                for v in acc {
                    *v = s.min(hi, s.max(lo, *v));
                }
            }
        }
        for j in 0..NB {
            for (m, acc) in acc.iter().enumerate() {
                s.store(t.c.add(j * t.c_stride + m * LANES), acc[j]);
            }
        }
    }
}

/// One input channel: `acc[m][j] += a[pixels[m]] · b[j]`.
///
/// # Safety
/// `a` is valid at each of `pixels`, `b` for `NB` vectors.
#[inline(always)]
unsafe fn step<S: Simd, const MR: usize, const NB: usize>(
    s: S,
    pixels: &[usize; MR],
    a: *const f32,
    b: *const f32,
    acc: &mut [[S::V; NB]; MR],
) {
    // SAFETY: the caller's promise covers each access.
    unsafe {
        let b: [S::V; NB] = core::array::from_fn(|j| s.load(b.add(j * LANES)));
        for (&at, acc) in pixels.iter().zip(acc) {
            let x = s.splat(*a.add(at));
            for j in 0..NB {
                acc[j] = s.fma(x, b[j], acc[j]);
            }
        }
    }
}

/// A product with its weights in place: everything but the pixels.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) kernels: &'a Kernels,
    /// Input in channel groups of one instead of 16.
    pub(super) planar: bool,
    pub(super) groups: usize,
    pub(super) tail: usize,
    pub(super) group_stride: usize,
    pub(super) taps: &'a [u32],
    /// Panels of `[k][nb · 16]`, the last one of the blocks that remain.
    pub(super) b: *const f32,
    /// `[blocks · 16]`; null for zeros.
    pub(super) bias: *const f32,
    /// Output channel blocks.
    pub(super) blocks: usize,
    pub(super) bounds: Option<[f32; 2]>,
    /// Whether pixels may come from far away, as from another core's cache.
    pub(super) distant: bool,
}

/// Pixels to compute: `rows` runs of `cols` adjacent pixels.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Floats between rows of the input.
    pub(super) a_row: usize,
    /// Floats between rows of the output.
    pub(super) c_row: usize,
    /// Floats between blocks of the output.
    pub(super) c_stride: usize,
}

impl Pixels {
    /// `cols` adjacent pixels.
    pub(super) fn run(cols: usize, c_stride: usize) -> Self {
        Self { rows: 1, cols, a_row: 0, c_row: 0, c_stride }
    }

    /// A strip of whole rows of an output `cols` wide, read `a_row` floats apart.
    pub(super) fn strip(rows: usize, cols: usize, a_row: usize, c_stride: usize) -> Self {
        Self { rows, cols, a_row, c_row: cols * LANES, c_stride }
    }
}

impl Product<'_> {
    /// The same for some output blocks only; the first is a multiple of [`Kernels::nb`]. The output and
    /// residual then begin at the first of them.
    pub(super) fn columns(self, columns: &Range<usize>) -> Self {
        let b = self.b.wrapping_add(columns.start * LANES * self.depth());
        let bias = offset(self.bias, columns.start * LANES);
        Self { b, bias, blocks: columns.len(), ..self }
    }

    /// Rows of packed weights.
    pub(super) fn depth(&self) -> usize {
        self.groups * depth_of(self.planar, self.taps) + self.tail * self.taps.len()
    }

    /// Computes all output blocks of the given pixels, panel by panel, so that a panel of weights
    /// serves every pixel while it is near.
    ///
    /// # Safety
    /// `a`, `c` and `residual` (null for none, else laid out as `c`) are valid for the pixels with
    /// the strides given, `b` and `bias` for the weights; `c` overlaps neither `a` nor the weights.
    pub(super) unsafe fn run(&self, a: *const f32, c: *mut f32, residual: *const f32, px: Pixels) {
        let Kernels { mr, nb, .. } = *self.kernels;
        let pixel = if self.planar { 1 } else { LANES };
        // Short rows leave tiles half empty: then all pixels are one run, if the output's are.
        let joined = !self.planar
            && px.c_row == px.cols * LANES
            && (px.rows * px.cols).div_ceil(mr) < px.rows * px.cols.div_ceil(mr);
        let [rows, cols] = if joined { [1, px.rows * px.cols] } else { [px.rows, px.cols] };
        let place = |p: usize| {
            if joined { p / px.cols * px.a_row + p % px.cols * LANES } else { p * pixel }
        };
        let tiles = cols.div_ceil(mr);
        if tiles == 0 {
            return;
        }
        let (size, larger) = (cols / tiles, cols % tiles);
        let depth = self.depth();
        // Whatever the pixels, so that sums are the same in every batch and team.
        let parts = depth.div_ceil(NEAREST).clamp(1, self.groups.max(1));
        let step = depth_of(self.planar, self.taps);
        let mut j = 0;
        while j < self.blocks {
            let table = match self.planar {
                true => self.kernels.planar,
                // The first panel's sweep brings them all.
                false if self.distant && j == 0 => self.kernels.distant,
                false => self.kernels.blocked,
            };
            let width = nb.min(self.blocks - j);
            let of = |table: &'static [TileFn], len: usize| table[(width - 1) * mr + len - 1];
            let mut panel = self.b.wrapping_add(j * LANES * depth);
            for part in 0..parts {
                let (is_first, is_last) = (part == 0, part + 1 == parts);
                let [from, to] = [part, part + 1].map(|p| p * self.groups / parts);
                let tail = if is_last { self.tail } else { 0 };
                let depth = (to - from) * step + tail * self.taps.len();
                let mut tile = Tile {
                    a: ptr::null(),
                    pixels: [0; MOST],
                    groups: to - from,
                    group_stride: self.group_stride,
                    taps: self.taps.as_ptr(),
                    tap_count: self.taps.len(),
                    tail,
                    b: panel,
                    bias: if is_first { offset(self.bias, j * LANES) } else { ptr::null() },
                    c: ptr::null_mut(),
                    c_stride: px.c_stride,
                    residual: ptr::null(),
                    bounds: self.bounds.filter(|_| is_last),
                    next: ptr::null(),
                    hurry: rows * tiles < 2 * width,
                    ahead: ptr::null(),
                };
                // Tiles take turns in fetching the next weights, so that they have arrived when they are needed.
                let mut turn = 0;
                let share = if tile.hurry { depth } else { depth / 2 };
                for row in 0..rows {
                    let mut x = 0;
                    for i in 0..tiles {
                        let len = size + usize::from(i < larger);
                        let first = place(x);
                        let apart = joined && x % px.cols + len > px.cols;
                        if apart {
                            let pixels = tile.pixels[..len].iter_mut().enumerate();
                            pixels.for_each(|(m, p)| *p = place(x + m) - first);
                        }
                        let kernel = of(if apart { self.kernels.apart } else { table }, len);
                        let at = row * px.c_row + j * px.c_stride + x * LANES;
                        // SAFETY: within the caller's pixels and blocks; the kernel's tile is exactly
                        // `len` pixels × `width` blocks. A part after the first adds to what the one
                        // before left in the output.
                        unsafe {
                            tile.a = a.add(row * px.a_row + first + from * self.group_stride);
                            tile.c = c.add(at);
                            tile.residual = if is_first { offset(residual, at) } else { tile.c };
                            tile.next = panel.wrapping_add((depth * width + turn * share) * LANES);
                            tile.ahead = tile.a.wrapping_add(len * pixel);
                            kernel(&tile);
                        }
                        turn = (turn + 1) % (2 * width);
                        x += len;
                    }
                }
                panel = panel.wrapping_add(depth * width * LANES);
            }
            j += width;
        }
    }
}

/// Steps of a full channel group.
fn depth_of(planar: bool, taps: &[u32]) -> usize {
    if planar { taps.len() } else { LANES * taps.len() }
}

/// `p + items`, but null stays null.
#[inline(always)]
pub(super) fn offset<T>(p: *const T, items: usize) -> *const T {
    if p.is_null() { p } else { p.wrapping_add(items) }
}

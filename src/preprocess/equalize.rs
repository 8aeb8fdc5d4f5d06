//! Histogram equalisation and CLAHE on luma, byte for byte as OpenCV does them on the Y channel of
//! its 8-bit `COLOR_RGB2YCrCb`.

use super::{
    planes::{Planes, grow},
    simd::Isa,
};
use crate::Result;
use alloc::vec::Vec;

/// Equalises luma over the whole picture (`equalizeHist`).
pub(super) fn equalize(isa: Isa, picture: &mut Planes) {
    on_luma(isa, picture, |luma| {
        let mut histogram = [0u32; 256];
        luma.iter().for_each(|&v| histogram[usize::from(v)] += 1);
        let Some(first) = histogram.iter().position(|&n| n > 0) else { return };
        let rest = luma.len() as u32 - histogram[first];
        if rest == 0 {
            return;
        }
        let scale = 255.0 / rest as f32;
        let mut lut = [0u8; 256];
        let mut sum = 0;
        for (l, &n) in lut.iter_mut().zip(&histogram).skip(first + 1) {
            sum += n;
            *l = round_even(sum as f32 * scale);
        }
        luma.iter_mut().for_each(|v| *v = lut[usize::from(*v)]);
    });
}

/// Contrast-limited adaptive histogram equalisation (`createCLAHE(clip_limit, tiles)`).
#[derive(Clone, Debug)]
pub(super) struct Clahe {
    clip_limit: f64,
    tiles: [usize; 2],
    luts: Vec<[u8; 256]>,
    columns: Vec<Blend>,
}

/// Which two tiles a column or row lies between, and the weight of the second.
#[derive(Clone, Copy, Debug, Default)]
struct Blend {
    first: usize,
    second: usize,
    weight: f32,
}

impl Clahe {
    /// `tiles`: columns, rows.
    pub(super) fn new(clip_limit: f64, tiles: [usize; 2]) -> Self {
        Self { clip_limit, tiles, luts: Vec::new(), columns: Vec::new() }
    }

    pub(super) fn apply(&mut self, isa: Isa, picture: &mut Planes) -> Result<()> {
        let (width, height) = (picture.width, picture.height);
        let [tx, ty] = self.tiles;
        grow(&mut self.columns, width)?;
        if self.luts.len() < tx * ty {
            self.luts.resize(tx * ty, [0; 256]);
        }
        // OpenCV extends both sides unless both divide, also the one that does.
        let (ext_width, ext_height) = if width % tx == 0 && height % ty == 0 {
            (width, height)
        } else {
            (width + tx - width % tx, height + ty - height % ty)
        };
        let (tile_width, tile_height) = (ext_width / tx, ext_height / ty);
        for (x, column) in self.columns[..width].iter_mut().enumerate() {
            *column = Blend::at(x, tile_width, tx);
        }
        on_luma(isa, picture, |luma| {
            self.tables(luma, width, height, tile_width, tile_height);
            for (y, row) in luma.chunks_exact_mut(width).enumerate() {
                let v = Blend::at(y, tile_height, ty);
                let (upper, lower) = (&self.luts[v.first * tx..][..tx], &self.luts[v.second * tx..][..tx]);
                for (value, h) in row.iter_mut().zip(&self.columns) {
                    let at = |luts: &[[u8; 256]], tile: usize| f32::from(luts[tile][usize::from(*value)]);
                    let top = at(upper, h.first) * (1.0 - h.weight) + at(upper, h.second) * h.weight;
                    let bottom = at(lower, h.first) * (1.0 - h.weight) + at(lower, h.second) * h.weight;
                    *value = round_even(top * (1.0 - v.weight) + bottom * v.weight);
                }
            }
        });
        Ok(())
    }

    /// One lookup table a tile.
    fn tables(&mut self, luma: &[u8], width: usize, height: usize, tile_width: usize, tile_height: usize) {
        let [tx, ty] = self.tiles;
        let area = (tile_width * tile_height) as u32;
        let scale = 255.0 / area as f32;
        let limit = if self.clip_limit > 0.0 {
            ((self.clip_limit * f64::from(area) / 256.0) as u32).max(1)
        } else {
            u32::MAX
        };
        for tile_y in 0..ty {
            for tile_x in 0..tx {
                let mut histogram = [0u32; 256];
                for y in tile_y * tile_height..(tile_y + 1) * tile_height {
                    let row = &luma[reflect(y, height) * width..][..width];
                    let (start, end) = (tile_x * tile_width, (tile_x + 1) * tile_width);
                    let inside = row.get(start..end.min(width)).unwrap_or(&[]);
                    inside.iter().for_each(|&v| histogram[usize::from(v)] += 1);
                    for x in start.max(width)..end {
                        histogram[usize::from(row[reflect(x, width)])] += 1;
                    }
                }
                clip(&mut histogram, limit);
                let mut sum = 0;
                for (l, n) in self.luts[tile_y * tx + tile_x].iter_mut().zip(histogram) {
                    sum += n;
                    *l = round_even(sum as f32 * scale);
                }
            }
        }
    }
}

impl Blend {
    fn at(position: usize, tile: usize, tiles: usize) -> Self {
        let t = position as f32 * (1.0 / tile as f32) - 0.5;
        let floor = libm::floorf(t);
        let first = floor as isize;
        Self {
            first: first.max(0) as usize,
            second: ((first + 1).max(0) as usize).min(tiles - 1),
            weight: t - floor,
        }
    }
}

/// Cuts the histogram at `limit` and spreads what was cut over all bins.
fn clip(histogram: &mut [u32; 256], limit: u32) {
    let mut clipped = 0;
    for n in histogram.iter_mut() {
        clipped += n.saturating_sub(limit);
        *n = (*n).min(limit);
    }
    histogram.iter_mut().for_each(|n| *n += clipped / 256);
    let residual = clipped as usize % 256;
    if let Some(step) = 256usize.checked_div(residual) {
        histogram.iter_mut().step_by(step).take(residual).for_each(|n| *n += 1);
    }
}

/// Index `i` of a row of `n` continued by reflection without repeating the edge.
fn reflect(i: usize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let i = i % period;
    if i < n { i } else { period - i }
}

/// Rounds half to even and saturates, as `saturate_cast<uchar>`; `v` is not negative.
fn round_even(v: f32) -> u8 {
    const ADD: f32 = 8_388_608.0;
    ((v.min(255.0) + ADD) - ADD) as u8
}

/// Runs `change` on the luma plane; a gray picture is its own luma.
fn on_luma(isa: Isa, picture: &mut Planes, change: impl FnOnce(&mut [u8])) {
    if picture.channels == 1 {
        return change(picture.plane_mut(0));
    }
    let (r, g, b) = picture.rgb_mut();
    isa.rgb_to_ycrcb(r, g, b);
    change(picture.plane_mut(0));
    let (y, cr, cb) = picture.rgb_mut();
    isa.ycrcb_to_rgb(y, cr, cb);
}

/// In place, 14-bit fixed point (OpenCV, `color_yuv.simd.hpp`).
#[inline(always)]
pub(super) fn rgb_to_ycrcb(r: &mut [u8], g: &mut [u8], b: &mut [u8]) {
    for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
        let (red, green, blue) = (i32::from(*r), i32::from(*g), i32::from(*b));
        let y = (red * 4_899 + green * 9_617 + blue * 1_868 + (1 << 13)) >> 14;
        let chroma = |d: i32, k: i32| ((d * k + (128 << 14) + (1 << 13)) >> 14).clamp(0, 255) as u8;
        *r = y as u8;
        *g = chroma(red - y, 11_682);
        *b = chroma(blue - y, 9_241);
    }
}

/// The inverse, in place.
#[inline(always)]
pub(super) fn ycrcb_to_rgb(y: &mut [u8], cr: &mut [u8], cb: &mut [u8]) {
    for ((y, cr), cb) in y.iter_mut().zip(cr).zip(cb) {
        let (luma, red, blue) = (i32::from(*y), i32::from(*cr) - 128, i32::from(*cb) - 128);
        let add = |d: i32| (luma + ((d + (1 << 13)) >> 14)).clamp(0, 255) as u8;
        *y = add(red * 22_987);
        *cr = add(blue * -5_636 + red * -11_698);
        *cb = add(blue * 29_049);
    }
}

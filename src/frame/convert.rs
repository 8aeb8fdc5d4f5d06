//! Any [`Frame`] to RGB, row by row.

use super::{Frame, PixelFormat, bayer};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::format;

/// The longest side of a picture that is processed; OpenCV's and JPEG's limit too.
pub(crate) const MAX_SIDE: usize = 65_535;

/// Pixels of a YUV row that are converted together; even.
const RUN: usize = 64;

impl Frame<'_> {
    /// Writes the whole picture as interleaved RGB without gaps, `width * height * 3` bytes.
    ///
    /// Gray is repeated, alpha is dropped (as Pillow's `convert("RGB")`), YUV and Bayer data are
    /// converted with OpenCV's integer arithmetic, to the same bytes.
    ///
    /// ```
    /// use fruitcore::{Frame, PixelFormat};
    /// let frame = Frame::new(PixelFormat::Bgr, 1, 1, &[1, 2, 3])?;
    /// let mut rgb = [0; 3];
    /// frame.write_rgb(&mut rgb)?;
    /// assert_eq!(rgb, [3, 2, 1]);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `out` has another length or a Bayer mosaic is smaller than 3×3;
    /// [`ErrorKind::Limit`] if a side exceeds 65,535.
    pub fn write_rgb(&self, out: &mut [u8]) -> Result<()> {
        self.check_convertible()?;
        let row = self.width * 3;
        if Some(out.len()) != row.checked_mul(self.height) {
            let (w, h, found) = (self.width, self.height, out.len());
            let message = format!("{w}x{h} RGB needs width * height * 3 bytes of output, found {found}");
            return Err(Error::new(ErrorKind::Shape, Stage::Preprocess, message));
        }
        for (y, out) in out.chunks_exact_mut(row).enumerate() {
            if self.format.is_yuv() {
                self.yuv_runs(y, |x, [r, g, b]| {
                    let pixels = out[3 * x..].as_chunks_mut().0.iter_mut();
                    pixels.zip(r).zip(g).zip(b).for_each(|(((o, &r), &g), &b)| *o = [r, g, b]);
                });
            } else {
                self.rgb_row(y, |x, rgb| out[3 * x..3 * x + 3].copy_from_slice(&rgb));
            }
        }
        Ok(())
    }

    /// Refuses what [`Frame::rgb_row`] can't convert.
    pub(crate) fn check_convertible(&self) -> Result<()> {
        let (w, h) = (self.width, self.height);
        if w > MAX_SIDE || h > MAX_SIDE {
            let message = format!("{w}x{h} exceeds {MAX_SIDE} pixels a side: scale or tile the picture");
            return Err(Error::new(ErrorKind::Limit, Stage::Preprocess, message));
        }
        if self.format.is_bayer() && (w < 3 || h < 3) {
            let message = format!("demosaicing needs at least 3x3 pixels, found {w}x{h}");
            return Err(Error::new(ErrorKind::Shape, Stage::Preprocess, message));
        }
        Ok(())
    }

    /// Row `y` as red, green and blue planes of `width` bytes each; for [`PixelFormat::Gray`]
    /// only `r` is written.
    #[inline(always)]
    pub(crate) fn planar_row(&self, y: usize, r: &mut [u8], g: &mut [u8], b: &mut [u8]) {
        if self.format == PixelFormat::Gray {
            r.copy_from_slice(self.row(y));
        } else if self.format.is_yuv() {
            self.yuv_runs(y, |x, [red, green, blue]| {
                r[x..x + red.len()].copy_from_slice(red);
                g[x..x + red.len()].copy_from_slice(green);
                b[x..x + red.len()].copy_from_slice(blue);
            });
        } else {
            self.rgb_row(y, |x, [red, green, blue]| {
                r[x] = red;
                g[x] = green;
                b[x] = blue;
            });
        }
    }

    /// Row `row` of the buffer without padding; for NV12 the chroma rows follow the luma rows.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        let start = row * self.stride;
        &self.data[start..start + self.format.row_bytes(self.width)]
    }

    #[inline(always)]
    fn rgb_row(&self, y: usize, mut put: impl FnMut(usize, [u8; 3])) {
        let row = self.row(y);
        match self.format {
            PixelFormat::Rgb => row.as_chunks().0.iter().enumerate().for_each(|(x, &rgb)| put(x, rgb)),
            PixelFormat::Bgr => {
                row.as_chunks().0.iter().enumerate().for_each(|(x, &[b, g, r])| put(x, [r, g, b]));
            }
            PixelFormat::Rgba => {
                row.as_chunks().0.iter().enumerate().for_each(|(x, &[r, g, b, _])| put(x, [r, g, b]));
            }
            PixelFormat::Gray => row.iter().enumerate().for_each(|(x, &v)| put(x, [v; 3])),
            PixelFormat::BayerRggb
            | PixelFormat::BayerBggr
            | PixelFormat::BayerGrbg
            | PixelFormat::BayerGbrg => bayer::row(self, y, put),
            PixelFormat::Yuyv | PixelFormat::Nv12 => {}
        }
    }

    /// Calls `put` with the first position and the planes of each run of pixels of row `y`.
    #[inline(always)]
    fn yuv_runs(&self, y: usize, mut put: impl FnMut(usize, [&[u8]; 3])) {
        let row = self.row(y);
        let packed = self.format == PixelFormat::Yuyv;
        let chroma = if packed { row } else { self.row(self.height + y / 2) };
        let mut x = 0;
        while x < self.width {
            let n = RUN.min(self.width - x);
            // Luma and chroma brought to one sample a pixel, so that the arithmetic vectorises.
            let (mut luma, mut u, mut v) = ([0; RUN], [0; RUN], [0; RUN]);
            if packed {
                let quads = row[2 * x..2 * (x + n)].as_chunks().0.iter();
                for (i, &[y0, u0, y1, v0]) in quads.enumerate().take(RUN / 2) {
                    (luma[2 * i], luma[2 * i + 1]) = (y0, y1);
                    (u[2 * i], u[2 * i + 1]) = (u0, u0);
                    (v[2 * i], v[2 * i + 1]) = (v0, v0);
                }
            } else {
                luma[..n].copy_from_slice(&row[x..x + n]);
                let pairs = chroma[x..x + n].as_chunks().0.iter();
                for (i, &[u0, v0]) in pairs.enumerate().take(RUN / 2) {
                    (u[2 * i], u[2 * i + 1]) = (u0, u0);
                    (v[2 * i], v[2 * i + 1]) = (v0, v0);
                }
            }
            let (mut r, mut g, mut b) = ([0; RUN], [0; RUN], [0; RUN]);
            for i in 0..RUN {
                [r[i], g[i], b[i]] = yuv_to_rgb(luma[i], u[i], v[i]);
            }
            put(x, [&r[..n], &g[..n], &b[..n]]);
            x += n;
        }
    }
}

impl PixelFormat {
    pub(crate) fn is_yuv(self) -> bool {
        matches!(self, Self::Yuyv | Self::Nv12)
    }

    pub(crate) fn is_bayer(self) -> bool {
        matches!(self, Self::BayerRggb | Self::BayerBggr | Self::BayerGrbg | Self::BayerGbrg)
    }
}

/// BT.601 limited range in 20-bit fixed point (OpenCV, `color_yuv.simd.hpp`).
#[inline(always)]
fn yuv_to_rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 19;
    let y = (i32::from(y) - 16).max(0) * 1_220_542 + HALF;
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let clip = |s: i32| (s >> 20).clamp(0, 255) as u8;
    [clip(y + 1_673_527 * v), clip(y - 852_492 * v - 409_993 * u), clip(y + 2_116_026 * u)]
}

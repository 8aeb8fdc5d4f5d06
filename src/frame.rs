//! [`Frame`]: borrowed pixels as a decoder or a camera hands them over.

mod bayer;
mod convert;

pub(crate) use convert::MAX_SIDE;

use crate::{Error, ErrorKind, Result, Stage};
use alloc::format;

/// How a [`Frame`]'s bytes encode its pixels. All formats have 8 bits a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Interleaved red, green, blue.
    Rgb,
    /// Interleaved blue, green, red (OpenCV's order).
    Bgr,
    /// Interleaved red, green, blue, alpha; alpha is dropped, as Pillow's `convert("RGB")` does.
    Rgba,
    /// One luma sample a pixel.
    Gray,
    /// YUV 4:2:2 packed `Y0 U Y1 V` (BT.601, limited range; OpenCV's `COLOR_YUV2RGB_YUYV`), even width.
    Yuyv,
    /// YUV 4:2:0, a Y plane followed by interleaved `U V` rows (BT.601, limited range; OpenCV's
    /// `COLOR_YUV2RGB_NV12`), even sizes.
    Nv12,
    /// Raw Bayer mosaic, first row `R G R G…`; demosaiced bilinearly as OpenCV's
    /// `COLOR_BayerRGGB2RGB`, at least 3×3.
    BayerRggb,
    /// Raw Bayer mosaic, first row `B G B G…`.
    BayerBggr,
    /// Raw Bayer mosaic, first row `G R G R…`.
    BayerGrbg,
    /// Raw Bayer mosaic, first row `G B G B…`.
    BayerGbrg,
}

/// Borrowed pixels: format, width, height, bytes and the distance between rows.
///
/// ```
/// use fruitcore::{Frame, PixelFormat};
/// let pixels = [255u8; 4 * 2 * 3];
/// let frame = Frame::new(PixelFormat::Rgb, 4, 2, &pixels)?;
/// assert_eq!((frame.width(), frame.height()), (4, 2));
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    format: PixelFormat,
    width: usize,
    height: usize,
    stride: usize,
    data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame whose rows follow one another without gaps.
    ///
    /// # Errors
    /// As [`Frame::with_stride`].
    pub fn new(format: PixelFormat, width: usize, height: usize, data: &'a [u8]) -> Result<Self> {
        Self::with_stride(format, width, height, format.row_bytes(width), data)
    }

    /// A frame whose rows start `stride` bytes apart (camera buffers are often padded). For
    /// [`PixelFormat::Nv12`] the stride holds for both planes.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if a side is zero, an even side is required and missing, the stride is
    /// shorter than a row, or `data` is shorter than the picture.
    pub fn with_stride(
        format: PixelFormat,
        width: usize,
        height: usize,
        stride: usize,
        data: &'a [u8],
    ) -> Result<Self> {
        let bad = |m| Err(Error::new(ErrorKind::Shape, Stage::Preprocess, m));
        if width == 0 || height == 0 {
            return bad(format!("a frame needs at least one pixel, found {width}x{height}"));
        }
        let odd = match format {
            PixelFormat::Yuyv => !width.is_multiple_of(2),
            PixelFormat::Nv12 => !width.is_multiple_of(2) || !height.is_multiple_of(2),
            _ => false,
        };
        if odd {
            return bad(format!("{format:?} subsamples chroma and needs even sides, found {width}x{height}"));
        }
        let row = format.row_bytes(width);
        if stride < row {
            return bad(format!("stride {stride} is shorter than a row of {row} bytes"));
        }
        let rows = if format == PixelFormat::Nv12 { height.saturating_add(height / 2) } else { height };
        let need = (rows - 1).checked_mul(stride).and_then(|n| n.checked_add(row));
        match need {
            Some(need) if data.len() >= need => Ok(Self { format, width, height, stride, data }),
            Some(need) => bad(format!(
                "{width}x{height} {format:?} with stride {stride} needs {need} bytes, found {}",
                data.len()
            )),
            None => {
                bad(format!("{width}x{height} {format:?} with stride {stride} exceeds the address space"))
            }
        }
    }

    /// The pixel format.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes from one row's start to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// All bytes, as given.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }
}

impl PixelFormat {
    /// Bytes of one row without padding; for NV12 a row of either plane.
    pub fn row_bytes(self, width: usize) -> usize {
        let per_pixel = match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Rgba => 4,
            Self::Yuyv => 2,
            Self::Gray
            | Self::Nv12
            | Self::BayerRggb
            | Self::BayerBggr
            | Self::BayerGrbg
            | Self::BayerGbrg => 1,
        };
        width.saturating_mul(per_pixel)
    }
}

//! Encoded bytes to pixels, within limits.
//!
//! One [`Decoder`] per worker turns JPEG, PNG, WebP, BMP, TIFF and GIF bytes into a [`Frame`] of
//! RGB or gray samples and keeps its buffers from picture to picture.
//!
//! What it does with the pictures that are not plain 8-bit RGB follows Pillow's
//! `Image.open(f).convert("RGB")`, which Keras' `load_img` and torchvision's `pil_loader` use:
//!
//! | picture | becomes |
//! |---|---|
//! | gray | [`PixelFormat::Gray`]; the preprocessor repeats it over three channels |
//! | palette, 1, 2 and 4 bits a sample | expanded |
//! | alpha | dropped, not blended: the colours under transparent pixels stay |
//! | 16 bits a sample | the upper 8 bits, as OpenCV does, and Pillow for colour (Pillow clips 16-bit gray to white) |
//! | CMYK and YCCK JPEG | read as inverted, as Adobe writes them, then `(255 − c)·(255 − k) / 255` |
//! | RGB JPEG (component ids `R G B`, or Adobe transform 0) | taken as they are |
//! | animated GIF, WebP, APNG; multi-page TIFF | the first picture |
//! | EXIF orientation | ignored, as those loaders do; [`Orientation::Apply`] for OpenCV's behaviour |
//! | ICC profile | ignored, as those loaders do |
//! | floating point TIFF, 12-bit, lossless or arithmetic JPEG, AVIF, HEIC | [`ErrorKind::Unsupported`] |
//!
//! Lossless formats and WebP give Pillow's bytes. JPEG differs from libjpeg-turbo by rounding: the
//! inverse transform and the colour conversion by at most two levels, and by more only where subsampled
//! chroma meets the right or lower edge, which libjpeg extends and this decoder takes from the padding of
//! the last block.
//!
//! The format is found from the first bytes, never from the name, so a PNG named `.jpg` is read and
//! a text file named `.jpg` is refused. Truncated data is [`ErrorKind::Corrupt`]; no half pictures
//! are handed on.

mod jpeg;
mod orient;
mod raster;

use crate::{Error, ErrorKind, Frame, PixelFormat, Result, Stage};
use alloc::{format, string::String, vec::Vec};
use image::ImageFormat;

/// Buffers above this size are given back when a much smaller picture follows.
const KEEP_BYTES: usize = 64 << 20;

/// Bounds that a picture must keep. They are checked against its header, before any pixel buffer is
/// allocated, so that a small file can't ask for much memory.
///
/// ```
/// use fruitcore::host::decode::{DecodeOptions, Decoder};
/// let mut options = DecodeOptions::default();
/// options.limits.max_pixels = 12_000_000;
/// let decoder = Decoder::new(options);
/// # let _ = decoder;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// Encoded bytes; 64 MiB by default.
    pub max_bytes: usize,
    /// Pixels in a row; 65,535 by default, which is also JPEG's own bound.
    pub max_width: usize,
    /// Rows; 65,535 by default.
    pub max_height: usize,
    /// Width times height; 100 million by default (Pillow warns above 89 million).
    pub max_pixels: usize,
    /// Bytes that one decode may hold, the picture and the decoder's own tables together; 1 GiB by
    /// default.
    pub max_memory: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_width: 65_535,
            max_height: 65_535,
            max_pixels: 100_000_000,
            max_memory: 1 << 30,
        }
    }
}

/// What to do with the EXIF orientation that phones write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// Take the pixels as stored, as Keras, Pillow and torchvision loaders do.
    #[default]
    Ignore,
    /// Turn and mirror the pixels upright, as OpenCV's `imread` does.
    Apply,
}

/// How a [`Decoder`] works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Bounds checked before decoding.
    pub limits: DecodeLimits,
    /// EXIF orientation.
    pub orientation: Orientation,
}

/// Decodes one picture after another into buffers of its own.
///
/// ```
/// use fruitcore::{PixelFormat, host::decode::Decoder};
/// let gif = b"GIF89a\x01\0\x01\0\x80\0\0\xC8\x14\x1E\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// let mut decoder = Decoder::default();
/// let frame = decoder.decode(gif)?;
/// assert_eq!((frame.format(), frame.width(), frame.height()), (PixelFormat::Rgb, 1, 1));
/// assert_eq!(frame.data(), [200, 20, 30]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    options: DecodeOptions,
    /// The picture handed out.
    pixels: Vec<u8>,
    /// Samples that still need a conversion, and the other side of a turn.
    scratch: Vec<u8>,
}

/// Size and sample layout of the picture in [`Decoder::pixels`].
#[derive(Clone, Copy)]
struct Picture {
    format: PixelFormat,
    width: usize,
    height: usize,
    /// EXIF orientation, 1 to 8.
    orientation: u8,
}

impl Decoder {
    /// A decoder with these options and empty buffers.
    pub fn new(options: DecodeOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// The picture in `encoded`, as RGB or gray samples that stay valid until the next call.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for empty, damaged or truncated data and for data that is no picture,
    /// [`ErrorKind::Unsupported`] for kinds listed in the [module's table](self),
    /// [`ErrorKind::Limit`] if [`DecodeLimits`] would be exceeded. The decoder stays usable.
    pub fn decode(&mut self, encoded: &[u8]) -> Result<Frame<'_>> {
        let limits = self.options.limits;
        if encoded.len() > limits.max_bytes {
            return Err(limit(format!(
                "{} encoded bytes exceed the limit of {}; raise max_bytes if the file is genuine",
                encoded.len(),
                limits.max_bytes
            )));
        }
        let format = sniff(encoded)?;
        for buffer in [&mut self.pixels, &mut self.scratch] {
            if buffer.capacity() > KEEP_BYTES {
                *buffer = Vec::new();
            }
        }
        let wants_orientation = self.options.orientation == Orientation::Apply;
        let (pixels, scratch) = (&mut self.pixels, &mut self.scratch);
        // The decoders are third-party code on hostile input: a defect there costs one picture.
        let decoded = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| match format {
            ImageFormat::Jpeg => jpeg::decode(encoded, &limits, wants_orientation, pixels, scratch),
            format => raster::decode(encoded, format, &limits, wants_orientation, pixels, scratch),
        }));
        let mut picture = decoded.unwrap_or_else(|_| {
            Err(corrupt(format!("the {} decoder gave up on damaged data", name(format))))
        })?;
        if wants_orientation && picture.orientation > 1 {
            let channels = picture.format.row_bytes(1);
            let size = (picture.width, picture.height);
            orient::apply(picture.orientation, size, channels, &self.pixels, &mut self.scratch);
            core::mem::swap(&mut self.pixels, &mut self.scratch);
            if picture.orientation > 4 {
                (picture.width, picture.height) = (picture.height, picture.width);
            }
        }
        Frame::new(picture.format, picture.width, picture.height, &self.pixels)
    }
}

impl DecodeLimits {
    /// Checks a size read from a header; `memory` is what decoding it will take.
    fn check(&self, width: usize, height: usize, memory: usize) -> Result<()> {
        if width == 0 || height == 0 {
            return Err(corrupt(format!("the header says {width}x{height} pixels; the file is damaged")));
        }
        if width > self.max_width || height > self.max_height {
            return Err(limit(format!(
                "{width}x{height} pixels exceed the limit of {}x{}; raise max_width or max_height if the file \
                 is genuine",
                self.max_width, self.max_height
            )));
        }
        if width.saturating_mul(height) > self.max_pixels {
            return Err(limit(format!(
                "{width}x{height} is more than the limit of {} pixels; raise max_pixels if the file is genuine",
                self.max_pixels
            )));
        }
        if memory > self.max_memory {
            return Err(limit(format!(
                "decoding {width}x{height} pixels takes {memory} bytes, more than the limit of {}; raise \
                 max_memory if the file is genuine",
                self.max_memory
            )));
        }
        Ok(())
    }
}

/// The format by the first bytes.
fn sniff(encoded: &[u8]) -> Result<ImageFormat> {
    if encoded.is_empty() {
        return Err(corrupt("the file is empty; fetch or copy it again"));
    }
    if encoded.starts_with(&[0xFF, 0xD8]) {
        return Ok(ImageFormat::Jpeg);
    }
    match image::guess_format(encoded) {
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::WebP
            | ImageFormat::Bmp
            | ImageFormat::Tiff
            | ImageFormat::Gif),
        ) => Ok(format),
        Ok(other) => Err(Error::new(
            ErrorKind::Unsupported,
            Stage::Decode,
            format!("{other:?} pictures are not read; convert the file to JPEG, PNG, WebP, BMP, TIFF or GIF"),
        )),
        Err(_) => Err(refuse(encoded)),
    }
}

/// Names what the bytes look like instead of a picture.
fn refuse(encoded: &[u8]) -> Error {
    let head = encoded.get(..encoded.len().min(512)).unwrap_or_default();
    if head.get(4..8) == Some(b"ftyp") {
        let brand = head.get(8..12).unwrap_or_default();
        let what = if brand.starts_with(b"hei") || brand.starts_with(b"mif") || brand.starts_with(b"hev") {
            "HEIC"
        } else {
            "ISO media"
        };
        return Error::new(
            ErrorKind::Unsupported,
            Stage::Decode,
            format!("{what} files are not read; convert the file to JPEG or PNG"),
        );
    }
    let text = core::str::from_utf8(head).or_else(|e| {
        // A multi-byte character may be cut at the end of the excerpt.
        core::str::from_utf8(
            head.get(..e.valid_up_to()).filter(|h| h.len() + 4 > head.len()).unwrap_or(&[0xFF]),
        )
    });
    let looks = match text {
        Ok(text) if text.trim_start().starts_with("<svg") || text.contains("<svg ") => "an SVG drawing",
        Ok(text) if text.trim_start().starts_with('<') => "an HTML or XML page (a failed download?)",
        Ok(text) if text.starts_with("version https://git-lfs") => "a Git LFS pointer (run `git lfs pull`)",
        Ok(text) if !text.contains('\0') => "text",
        _ if head.iter().all(|&b| b == 0) => "zeros only (an interrupted copy?)",
        _ => "no known picture format",
    };
    corrupt(format!("the content is {looks}, not a picture; replace or remove the file"))
}

/// Resizes without keeping, or copying, what was there.
fn size_to(buffer: &mut Vec<u8>, len: usize) -> Result<()> {
    if buffer.len() < len {
        buffer.clear();
        buffer.try_reserve_exact(len).map_err(|_| {
            limit(format!(
                "{len} bytes for the picture could not be allocated; lower max_memory or the workers"
            ))
        })?;
        buffer.resize(len, 0);
    } else {
        buffer.truncate(len);
    }
    Ok(())
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Gif => "GIF",
        _ => "picture",
    }
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, Stage::Decode, message)
}

fn limit(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Limit, Stage::Decode, message)
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, Stage::Decode, message)
}

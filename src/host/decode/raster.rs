//! PNG, WebP, BMP, TIFF and GIF through the `image` crate's decoders.

use super::{DecodeLimits, Picture, corrupt, limit, name, size_to, unsupported};
use crate::{Error, PixelFormat, Result};
use alloc::{format, vec::Vec};
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, error::LimitErrorKind};
use std::io::Cursor;

pub(super) fn decode(
    encoded: &[u8],
    format: ImageFormat,
    limits: &DecodeLimits,
    wants_orientation: bool,
    pixels: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<Picture> {
    let refused = |error: ImageError| refused(error, format, limits);
    let mut reader = ImageReader::with_format(Cursor::new(encoded), format);
    let mut bounds = Limits::default();
    bounds.max_image_width = u32::try_from(limits.max_width).ok();
    bounds.max_image_height = u32::try_from(limits.max_height).ok();
    bounds.max_alloc = Some(limits.max_memory as u64);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let stored = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
    limits.check(width, height, stored.saturating_mul(2))?;
    let orientation =
        if wants_orientation { decoder.orientation().map_or(1, |found| found.to_exif()) } else { 1 };

    let layout = Layout::of(decoder.color_type(), format)?;
    let direct = layout.keep == layout.samples && layout.bytes == 1;
    let raw = if direct { &mut *pixels } else { &mut *scratch };
    size_to(raw, stored)?;
    decoder.read_image(raw).map_err(refused)?;
    if !direct {
        size_to(pixels, width * height * layout.keep)?;
        layout.convert(scratch, pixels);
    }
    let format = if layout.keep == 1 { PixelFormat::Gray } else { PixelFormat::Rgb };
    Ok(Picture { format, width, height, orientation })
}

/// Samples of one stored pixel and how many of them are kept.
struct Layout {
    samples: usize,
    keep: usize,
    bytes: usize,
}

impl Layout {
    fn of(color: ColorType, format: ImageFormat) -> Result<Self> {
        let (samples, keep, bytes) = match color {
            ColorType::L8 => (1, 1, 1),
            ColorType::La8 => (2, 1, 1),
            ColorType::Rgb8 => (3, 3, 1),
            ColorType::Rgba8 => (4, 3, 1),
            ColorType::L16 => (1, 1, 2),
            ColorType::La16 => (2, 1, 2),
            ColorType::Rgb16 => (3, 3, 2),
            ColorType::Rgba16 => (4, 3, 2),
            other => {
                return Err(unsupported(format!(
                    "{} with {other:?} samples is not read; save the file with 8 or 16 bits a sample",
                    name(format)
                )));
            }
        };
        Ok(Self { samples, keep, bytes })
    }

    /// Drops alpha and the lower byte of 16-bit samples (native order).
    fn convert(&self, stored: &[u8], out: &mut [u8]) {
        let upper = if self.bytes == 2 && cfg!(target_endian = "little") { 1 } else { 0 };
        for (from, to) in stored.chunks_exact(self.samples * self.bytes).zip(out.chunks_exact_mut(self.keep))
        {
            for (sample, kept) in from.iter().skip(upper).step_by(self.bytes).zip(to) {
                *kept = *sample;
            }
        }
    }
}

fn refused(error: ImageError, format: ImageFormat, limits: &DecodeLimits) -> Error {
    let name = name(format);
    let mut reason = format!("{error}");
    reason.truncate(reason.char_indices().nth(200).map_or(reason.len(), |(at, _)| at));
    match &error {
        ImageError::Limits(e) if e.kind() == LimitErrorKind::DimensionError => limit(format!(
            "the {name} is wider or higher than the limit of {}x{}; raise max_width or max_height if the file \
             is genuine",
            limits.max_width, limits.max_height
        )),
        ImageError::Limits(_) => limit(format!(
            "decoding this {name} takes more than the limit of {} bytes; raise max_memory if the file is genuine",
            limits.max_memory
        )),
        ImageError::Unsupported(_) => {
            unsupported(format!("this kind of {name} is not read ({reason}); save the file as 8-bit PNG"))
        }
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            corrupt(format!("the {name} data ends too early (truncated); fetch or copy the file again"))
        }
        _ => corrupt(format!("damaged {name} ({reason}); fetch or copy the file again")),
    }
}

//! JPEG, the common case, straight into the caller's buffer.

use super::{DecodeLimits, Picture, corrupt, size_to, unsupported};
use crate::{PixelFormat, Result};
use alloc::{format, vec::Vec};
use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

pub(super) fn decode(
    encoded: &[u8],
    limits: &DecodeLimits,
    wants_orientation: bool,
    pixels: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<Picture> {
    let headers = Headers::read(encoded);
    headers.check(limits, encoded.len())?;
    if !ends(encoded, headers.scan) {
        return Err(corrupt(TRUNCATED));
    }
    // Three components with Adobe's transform 0 are RGB. The decoder takes that mark for CMYK, so it
    // gets a copy that says YCbCr and hands the components back untouched.
    let adobe_rgb =
        headers.adobe_transform.filter(|&at| headers.components == 3 && encoded.get(at) == Some(&0));
    let mut patched = Vec::new();
    let source = match adobe_rgb {
        Some(at) => {
            patched.extend_from_slice(encoded);
            if let Some(transform) = patched.get_mut(at) {
                *transform = 1;
            }
            patched.as_slice()
        }
        None => encoded,
    };

    // Stray bytes between header segments are harmless and common; inside the scan they are damage.
    let lenient =
        DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(source), lenient);
    decoder.decode_headers().map_err(refused)?;
    let (Some((width, height)), Some(stored)) = (decoder.dimensions(), decoder.input_colorspace()) else {
        return Err(corrupt(TRUNCATED));
    };
    // The decoder's own view counts, should the two readings of the header ever differ.
    limits.check(width, height, memory(width, height, stored.num_components(), headers.progressive))?;

    let (output, format) = match stored {
        ColorSpace::Luma => (ColorSpace::Luma, PixelFormat::Gray),
        ColorSpace::YCbCr if adobe_rgb.is_some() => (ColorSpace::YCbCr, PixelFormat::Rgb),
        ColorSpace::YCbCr | ColorSpace::RGB => (ColorSpace::RGB, PixelFormat::Rgb),
        four @ (ColorSpace::CMYK | ColorSpace::YCCK) => (four, PixelFormat::Rgb),
        other => {
            return Err(unsupported(format!("JPEG with {other:?} samples; convert the file to RGB or gray")));
        }
    };
    decoder.set_options(lenient.set_strict_mode(true).jpeg_set_out_colorspace(output));
    let four = output.num_components() == 4;
    let raw = if four { &mut *scratch } else { &mut *pixels };
    size_to(raw, width * height * output.num_components())?;
    decoder.decode_into(raw).map_err(refused)?;
    if four {
        size_to(pixels, width * height * 3)?;
        inks_to_rgb(scratch, output == ColorSpace::YCCK, pixels);
    }
    let orientation = if wants_orientation { exif_orientation(&decoder) } else { 1 };
    Ok(Picture { format, width, height, orientation })
}

const TRUNCATED: &str = "the JPEG data ends too early (truncated); fetch or copy the file again";

/// What the limits and the colour rules need from the segments before the first scan.
#[derive(Default)]
struct Headers {
    width: usize,
    height: usize,
    components: usize,
    progressive: bool,
    /// Where Adobe's colour transform byte stands.
    adobe_transform: Option<usize>,
    /// Where the first scan's segment begins, or 2.
    scan: usize,
}

impl Headers {
    /// Walks the segments; stops quietly at whatever it can't follow, the decoder will say more.
    fn read(encoded: &[u8]) -> Self {
        let mut found = Self { scan: 2, ..Self::default() };
        let mut at = 2;
        while let Some(skip) = encoded.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xFF)) {
            at += skip;
            let Some(&marker) = encoded.get(at + 1) else { break };
            match marker {
                // Fill bytes, stuffing, and markers that stand alone.
                0xFF => {
                    at += 1;
                    continue;
                }
                0x00 | 0x01 | 0xD0..=0xD8 => {
                    at += 2;
                    continue;
                }
                0xD9 => break,
                0xDA => {
                    found.scan = at;
                    break;
                }
                _ => {}
            }
            let Some(&[high, low]) = encoded.get(at + 2..at + 4) else { break };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let body = encoded.get(at + 4..).unwrap_or_default();
            match marker {
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                    if let Some(&[_, h1, h0, w1, w0, n]) = body.get(..6) {
                        found.height = usize::from(u16::from_be_bytes([h1, h0]));
                        found.width = usize::from(u16::from_be_bytes([w1, w0]));
                        found.components = usize::from(n);
                        found.progressive = marker == 0xC2;
                    }
                }
                0xEE if length >= 14 && body.starts_with(b"Adobe") => found.adobe_transform = Some(at + 15),
                _ => {}
            }
            at += 2 + length.max(2);
        }
        found
    }

    fn check(&self, limits: &DecodeLimits, encoded: usize) -> Result<()> {
        if self.width == 0 || self.height == 0 {
            // No frame header yet: the decoder names the reason.
            return Ok(());
        }
        limits.check(
            self.width,
            self.height,
            memory(self.width, self.height, self.components, self.progressive),
        )?;
        // A block of 64 pixels costs a baseline file at least one bit.
        let blocks = self.width.div_ceil(8).saturating_mul(self.height.div_ceil(8));
        if !self.progressive && encoded.saturating_mul(8) < blocks {
            return Err(corrupt(format!(
                "{encoded} bytes can't hold the {}x{} pixels that the header promises; the file is damaged",
                self.width, self.height
            )));
        }
        Ok(())
    }
}

/// Upper estimate: output, and for progressive files the coefficients of every component.
fn memory(width: usize, height: usize, components: usize, progressive: bool) -> usize {
    let per_pixel = if progressive { components.saturating_mul(4) } else { components.saturating_mul(2) };
    width.saturating_mul(height).saturating_mul(per_pixel.max(1))
}

/// Whether an end-of-image marker follows the scan. libjpeg pads a cut file with gray and warns;
/// the loaders built on it refuse, and so does this one.
fn ends(encoded: &[u8], scan: usize) -> bool {
    encoded.get(scan..).is_some_and(|data| data.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]))
}

/// Adobe stores inks inverted (255 = no ink); YCCK is their YCbCr form.
fn inks_to_rgb(inks: &[u8], ycck: bool, rgb: &mut [u8]) {
    for (ink, out) in inks.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        let &[a, b, c, k] = ink else { continue };
        // YCCK codes the complement of the stored inks as YCbCr.
        let cmy = if ycck { ycc_to_rgb(a, b, c).map(|v| 255 - v) } else { [a, b, c] };
        for (stored, channel) in cmy.into_iter().zip(out) {
            let paper = i32::from(k);
            let covered = muldiv255(255 - i32::from(stored), paper);
            *channel = (paper - covered).clamp(0, 255) as u8;
        }
    }
}

/// `a·b / 255`, rounded.
fn muldiv255(a: i32, b: i32) -> i32 {
    let t = a * b + 128;
    (t + (t >> 8)) >> 8
}

/// BT.601 full range in libjpeg's 16-bit fixed point.
fn ycc_to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|v| v.clamp(0, 255) as u8)
}

fn exif_orientation(decoder: &JpegDecoder<ZCursor<&[u8]>>) -> u8 {
    decoder
        .exif()
        .and_then(|chunk| image::metadata::Orientation::from_exif_chunk(chunk))
        .map_or(1, |found| found.to_exif())
}

fn refused(error: DecodeErrors) -> crate::Error {
    match &error {
        DecodeErrors::Unsupported(_) => unsupported(
            "lossless or arithmetic-coded JPEG is not read; save the file as baseline or progressive JPEG",
        ),
        DecodeErrors::SofError(reason) if reason.contains("bits of precision") => {
            unsupported("JPEG with more than 8 bits a sample is not read; save the file with 8 bits")
        }
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => corrupt(TRUNCATED),
        DecodeErrors::FormatStatic("Premature end of buffer") => corrupt(TRUNCATED),
        other => {
            let mut reason = format!("{other}");
            reason.truncate(reason.char_indices().nth(200).map_or(reason.len(), |(at, _)| at));
            corrupt(format!("damaged JPEG ({reason}); fetch or copy the file again"))
        }
    }
}

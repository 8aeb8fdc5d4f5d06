//! Pictures for the page: fetched, shrunk, put onto sheets.

use crate::{
    Error, ErrorKind, Frame, Result, Stage,
    host::{
        decode::{DecodeOptions, Decoder},
        sink::picture::PictureFormat,
        source::{Object, Source},
    },
    preprocess::{Normalization, Recipe, RecipePreprocessor, ResizeFilter, ResizeTo, Step},
};
use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use bytes::Bytes;
use core::time::Duration;
use futures::StreamExt;
use rayon::prelude::*;
use serde::Serialize;

/// Pictures fetched before a batch is decoded.
const BATCH: usize = 64;
/// Pictures fetched at once.
const AT_ONCE: usize = 16;
/// What waiting without end comes to.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Pixels along a side of a sheet, about.
const SHEET: usize = 2016;

/// Tiles of one size on JPEG sheets.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sheets {
    pub(super) size: usize,
    across: usize,
    down: usize,
    sheets: Vec<String>,
}

/// A picture as a square of RGB: the shorter side fits, the rest is cropped evenly. Cropped first, since a picture of a
/// few rows can be longer than any after resizing.
fn square(picture: &Frame<'_>, size: usize) -> Result<Vec<u8>> {
    let (width, height, format) = (picture.width(), picture.height(), picture.format());
    let side = width.min(height);
    let first = (height - side) / 2 * picture.stride() + format.row_bytes((width - side) / 2);
    let middle = picture.data().get(first..).unwrap_or_default();
    let middle = Frame::with_stride(format, side, side, picture.stride(), middle)?;
    let steps = [
        Step::Resize {
            filter: ResizeFilter::PillowBilinear,
            to: ResizeTo::Exact { height: size, width: size },
        },
        Step::Normalize { method: Normalization::KerasTf },
    ];
    let mut resize = RecipePreprocessor::new(Recipe::new("thumbnail", steps)?);
    Ok(resize.picture(&middle)?.data().to_vec())
}

/// Decoded, as a square of RGB.
pub(super) fn thumbnail(bytes: &[u8], size: usize) -> Result<Vec<u8>> {
    square(&Decoder::default().decode(bytes)?, size)
}

/// How fetching went.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// Whether time was up before all pictures were there.
    pub(super) late: bool,
    /// The first thing that went wrong, if anything did.
    pub(super) error: Option<Error>,
}

/// Fetches the pictures `wanted` (path to number), some at once, and hands what `make` makes of each to
/// `take`. Pictures that are gone or damaged are passed over, as are all that `patience` isn't enough
/// for.
pub(super) fn each<T: Send>(
    source: &dyn Source,
    wanted: &BTreeMap<&str, usize>,
    patience: Duration,
    make: &(dyn Fn(usize, &Bytes) -> Result<T> + Sync),
    take: &mut dyn FnMut(usize, T),
) -> Result<Fetched> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, Stage::Source, format!("{e}")).because(e))?;
    let mut fetched = Fetched::default();
    let mut work = |batch: Vec<Result<(usize, Bytes)>>, fetched: &mut Fetched| {
        let (there, failed): (Vec<_>, Vec<_>) = batch.into_iter().partition(Result::is_ok);
        let there: Vec<_> = there.into_iter().flatten().collect();
        let made: Vec<_> = there.par_iter().map(|(i, bytes)| (*i, make(*i, bytes))).collect();
        for (i, made) in made {
            match made {
                Ok(made) => take(i, made),
                Err(e) => fetched.error = fetched.error.take().or(Some(e)),
            }
        }
        fetched.error = fetched.error.take().or_else(|| failed.into_iter().find_map(Result::err));
    };
    runtime.block_on(async {
        let found = source.list().filter_map(|object| async {
            match object {
                Ok(object) => wanted.get(object.path.as_str()).map(|i| Ok((*i, object))),
                Err(e) => Some(Err(e)),
            }
        });
        // Listing ends with the last picture wanted: the rest of a bucket isn't of interest.
        let mut left = wanted.len();
        let found = found.take_while(move |object| {
            let go_on = left > 0;
            left -= usize::from(go_on && object.is_ok());
            core::future::ready(go_on)
        });
        let fetches = found.map(|object| async {
            let (i, object): (usize, Object) = object?;
            Ok((i, source.fetch(&object).await?))
        });
        let mut batches = core::pin::pin!(fetches.buffer_unordered(AT_ONCE).chunks(BATCH));
        let until = tokio::time::Instant::now() + patience.min(LONGEST);
        let mut missing = wanted.len();
        loop {
            // What is ready at once would be taken however late it is.
            if missing > 0 && tokio::time::Instant::now() >= until {
                fetched.late = true;
                break;
            }
            match tokio::time::timeout_at(until, batches.next()).await {
                Ok(Some(batch)) => {
                    missing = missing.saturating_sub(batch.len());
                    work(batch, &mut fetched);
                }
                Ok(None) => break,
                Err(_) => {
                    fetched.late = true;
                    break;
                }
            }
        }
    });
    Ok(fetched)
}

/// Decoded and through `recipe`, as interleaved RGB.
pub(super) fn shown(bytes: &Bytes, recipe: &mut RecipePreprocessor) -> Result<(Vec<u8>, usize, usize)> {
    let mut decoder = Decoder::new(DecodeOptions::default());
    let frame = decoder.decode(bytes)?;
    let picture = recipe.picture(&frame)?;
    Ok((picture.data().to_vec(), picture.width(), picture.height()))
}

/// RGB of any size as a tile.
pub(super) fn tile(rgb: &[u8], width: usize, height: usize, size: usize) -> Result<Vec<u8>> {
    square(&Frame::new(crate::PixelFormat::Rgb, width, height, rgb)?, size)
}

/// Lays square RGB tiles onto sheets, row by row.
pub(super) fn sheets(tiles: &[Vec<u8>], size: usize, quality: u8) -> Result<Sheets> {
    let across = (SHEET / size).min(libm::ceil(libm::sqrt(tiles.len() as f64)) as usize).max(1);
    let down = (SHEET / size).min(tiles.len().div_ceil(across)).max(1);
    let (width, height) = (across * size, down * size);
    let mut sheets = Vec::new();
    for tiles in tiles.chunks(across * down) {
        let mut rgb = vec![127u8; width * height * 3];
        for (i, tile) in tiles.iter().enumerate() {
            let (x, y) = (i % across * size, i / across * size);
            for (row, line) in tile.chunks_exact(size * 3).enumerate() {
                let at = ((y + row) * width + x) * 3;
                rgb[at..at + line.len()].copy_from_slice(line);
            }
        }
        let file = PictureFormat::Jpeg(quality).encode(&rgb, width, height)?;
        sheets.push(super::page::base64_bytes(&file));
    }
    Ok(Sheets { size, across, down, sheets })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PixelFormat;

    #[test]
    fn pictures_of_any_proportions_become_squares_of_their_middle() {
        // Black but for the white middle; in front of it what isn't of the middle.
        for (width, height) in [(999, 1), (1, 999), (65_535, 1), (1, 65_535), (2_999, 3), (5, 5)] {
            for format in [PixelFormat::Rgb, PixelFormat::Gray] {
                let bytes = format.row_bytes(1);
                let side = width.min(height);
                let inside = |at: usize, long: usize| (at >= (long - side) / 2) && at < (long + side) / 2;
                let white = |y: usize| (0..width).map(move |x| inside(x, width) && inside(y, height));
                let data: Vec<u8> =
                    (0..height).flat_map(white).flat_map(|v| vec![255 * u8::from(v); bytes]).collect();
                let frame = Frame::new(format, width, height, &data).unwrap();
                let square = square(&frame, 8).unwrap();
                assert_eq!(square, [255; 8 * 8 * 3], "{format:?} {width}x{height}");
            }
        }
    }

    #[test]
    fn a_long_strip_has_a_thumbnail() {
        let file = PictureFormat::Jpeg(90).encode(&[200; 3 * 3000], 3000, 1).unwrap();
        let thumbnail = thumbnail(&file, 48).unwrap();
        assert_eq!(thumbnail.len(), 48 * 48 * 3);
        assert!(thumbnail.iter().all(|v| v.abs_diff(200) < 4));
    }
}

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
use futures::StreamExt;
use rayon::prelude::*;
use serde::Serialize;

/// Pictures fetched before a batch is decoded.
const BATCH: usize = 128;
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

/// Shrinks a picture to a square: the shorter side fits, the rest is cropped evenly.
pub(super) fn square(size: usize) -> Result<RecipePreprocessor> {
    let steps = [
        Step::Resize { filter: ResizeFilter::PillowBilinear, to: ResizeTo::Shorter(size) },
        Step::CenterCrop { height: size, width: size },
        Step::Normalize { method: Normalization::KerasTf },
    ];
    Ok(RecipePreprocessor::new(Recipe::new("thumbnail", steps)?))
}

/// Fetches the pictures `wanted` (path to number) and hands what `make` makes of each to `take`, in
/// the source's order. Pictures that are gone or damaged are passed over.
pub(super) fn each<T: Send>(
    source: &dyn Source,
    wanted: &BTreeMap<&str, usize>,
    make: &(dyn Fn(usize, &Bytes) -> Result<T> + Sync),
    take: &mut dyn FnMut(usize, T),
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::Io, Stage::Source, format!("{e}")).because(e))?;
    let mut work = |batch: &mut Vec<(usize, Bytes)>| {
        let made: Vec<_> = batch.par_iter().map(|(i, bytes)| (*i, make(*i, bytes))).collect();
        made.into_iter().filter_map(|(i, t)| Some((i, t.ok()?))).for_each(|(i, t)| take(i, t));
        batch.clear();
    };
    runtime.block_on(async {
        let mut list = source.list();
        let (mut batch, mut left) = (Vec::new(), wanted.len());
        while left > 0 {
            let Some(object) = list.next().await else { break };
            let Ok(object) = object else { continue };
            let object: Object = object;
            let Some(&i) = wanted.get(object.path.as_str()) else { continue };
            left -= 1;
            if let Ok(bytes) = source.fetch(&object).await {
                batch.push((i, bytes));
            }
            if batch.len() == BATCH {
                work(&mut batch);
            }
        }
        work(&mut batch);
    });
    Ok(())
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
    let frame = Frame::new(crate::PixelFormat::Rgb, width, height, rgb)?;
    Ok(square(size)?.picture(&frame)?.data().to_vec())
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

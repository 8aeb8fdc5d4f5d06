//! A labelled data set that needs no download: rendered pictures of fruit, the same for the same seed.
//!
//! Twenty kinds, each specimen with its own proportions, colours, spots, pose and light. Every other
//! picture is a 100×100 turntable view on white, as in Fruits-360; the rest are 128×96 and have wood,
//! soil, cloth, leaves, an orchard or a heap of other fruit behind them. They show that a pipeline
//! works and let it be measured; they are no substitute for photographs.

mod backdrop;
mod body;
mod kinds;
mod math;
mod scene;
mod skin;

use crate::{Error, ErrorKind, Frame, PixelFormat, Result, Stage};
use alloc::{format, string::ToString, vec::Vec};
use core::ops::Range;
use kinds::KINDS;
use math::Rng;
use rayon::prelude::*;
use scene::Scene;
use std::{fs, path::Path};

/// A rendered picture: interleaved 8-bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// Its pixels, for a [`Preprocessor`](crate::Preprocessor).
    ///
    /// # Errors
    /// Never for a rendered picture.
    pub fn frame(&self) -> Result<Frame<'_>> {
        Frame::new(PixelFormat::Rgb, self.width, self.height, &self.rgb)
    }
}

/// The rendered data set of a seed.
///
/// ```
/// use fruitcore::host::demo::Fruits;
/// let fruits = Fruits::new(7);
/// let lemon = Fruits::kinds().position(|kind| kind == "Lemon").unwrap_or_default();
/// let picture = fruits.picture(lemon, 0)?;
/// assert_eq!((picture.frame()?.width(), picture.frame()?.height()), (100, 100));
/// assert_eq!(picture, fruits.picture(lemon, 0)?);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fruits {
    seed: u64,
}

impl Fruits {
    /// The data set of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Names of the kinds, sorted; a kind's index is its position here.
    pub fn kinds() -> impl ExactSizeIterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.name)
    }

    /// The `index`-th picture of a kind.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there is no such kind.
    pub fn picture(&self, kind: usize, index: u32) -> Result<Picture> {
        let Some(it) = KINDS.get(kind) else {
            let m = format!("there are {} kinds of fruit, found index {kind}", KINDS.len());
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Source, m));
        };
        let white = index.is_multiple_of(2);
        let (width, height) = if white { (100, 100) } else { (128, 96) };
        let mut rng = Rng::new([self.seed, kind as u64, u64::from(index)]);
        let rgb = Scene::new(it, white, &mut rng).render(width, height);
        Ok(Picture { width, height, rgb })
    }

    /// Writes the pictures `indices` of each kind as `dir/KIND/NNNN.jpg`, every sixth as PNG, and
    /// returns their number. Pictures that are there already are written again.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::PermissionDenied`] naming the file.
    pub fn write(&self, dir: &Path, indices: Range<u32>) -> Result<u64> {
        for kind in Self::kinds() {
            let folder = dir.join(kind);
            fs::create_dir_all(&folder).map_err(|e| unwritable(&folder, e))?;
        }
        (0..KINDS.len()).into_par_iter().try_for_each(|kind| {
            indices.clone().into_par_iter().try_for_each(|index| self.write_one(dir, kind, index))
        })?;
        Ok(KINDS.len() as u64 * indices.len() as u64)
    }

    fn write_one(&self, dir: &Path, kind: usize, index: u32) -> Result<()> {
        let picture = self.picture(kind, index)?;
        let (width, height) = (picture.width as u32, picture.height as u32);
        let mut bytes = Vec::new();
        let (extension, encoded) = if index % 6 == 5 {
            let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            let color = image::ExtendedColorType::Rgb8;
            ("png", image::ImageEncoder::write_image(encoder, &picture.rgb, width, height, color))
        } else {
            let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 92);
            ("jpg", encoder.encode(&picture.rgb, width, height, image::ExtendedColorType::Rgb8))
        };
        let name = KINDS.get(kind).map_or("", |k| k.name);
        let path = dir.join(name).join(format!("{index:04}.{extension}"));
        encoded.map_err(|e| {
            Error::new(ErrorKind::Io, Stage::Sink, "the picture could not be encoded")
                .at(path.display().to_string())
                .because(e)
        })?;
        fs::write(&path, &bytes).map_err(|e| unwritable(&path, e))
    }
}

fn unwritable(path: &Path, e: std::io::Error) -> Error {
    let kind = match e.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, Stage::Sink, "can't be written; choose another folder or free space")
        .at(path.display().to_string())
        .because(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn kinds_are_sorted_and_distinct() {
        let names: Vec<_> = Fruits::kinds().collect();
        let sorted: BTreeSet<_> = names.iter().copied().collect();
        assert_eq!(names, sorted.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn every_picture_shows_a_fruit_on_its_background() {
        let fruits = Fruits::new(1);
        for (kind, name) in Fruits::kinds().enumerate() {
            let picture = fruits.picture(kind, 0).unwrap();
            let pixel = |x: usize, y: usize| {
                let at = (y * picture.width + x) * 3;
                [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]].map(i32::from)
            };
            for corner in [pixel(0, 0), pixel(99, 0), pixel(0, 99), pixel(99, 99)] {
                assert!(corner.iter().all(|c| *c > 240), "{name}: corner {corner:?} is not white");
            }
            let dark = picture.rgb.chunks(3).filter(|p| p.iter().any(|c| *c < 230)).count();
            assert!((700..9000).contains(&dark), "{name}: {dark} pixels of fruit");
        }
    }

    #[test]
    fn seed_kind_and_index_decide_the_picture() {
        let a = Fruits::new(1).picture(3, 1).unwrap();
        assert_eq!((a.width, a.height), (128, 96));
        assert_eq!(a, Fruits::new(1).picture(3, 1).unwrap());
        assert_ne!(a, Fruits::new(2).picture(3, 1).unwrap());
        assert_ne!(a, Fruits::new(1).picture(3, 3).unwrap());
        assert_ne!(a, Fruits::new(1).picture(4, 1).unwrap());
        assert_eq!(Fruits::new(1).picture(99, 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn written_pictures_are_readable_and_labelled_by_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Fruits::new(5).write(dir.path(), 0..6).unwrap(), 20 * 6);
        for (name, file) in [("Lemon", "0000.jpg"), ("Apple Red", "0005.png")] {
            let path = dir.path().join(name).join(file);
            image::load_from_memory(&fs::read(&path).unwrap()).unwrap();
        }
        let blocked = dir.path().join("file");
        fs::write(&blocked, b"x").unwrap();
        let e = Fruits::new(5).write(&blocked, 0..1).unwrap_err();
        assert_eq!(e.stage(), Stage::Sink);
        assert!(e.object().unwrap().contains("Apple Green"), "{e}");
    }
}

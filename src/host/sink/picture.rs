//! Preprocessed pictures as JPEG or PNG files.

use crate::{
    Error, ErrorKind, Result, Stage,
    host::{run::hex, source::EXTENSIONS},
};
use alloc::{format, string::String, vec::Vec};
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};
use sha2::{Digest, Sha256};

/// File format of saved pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureFormat {
    /// JPEG with this quality, 1 to 100.
    Jpeg(u8),
    /// PNG, without loss.
    Png,
}

impl Default for PictureFormat {
    fn default() -> Self {
        Self::Jpeg(95)
    }
}

impl PictureFormat {
    /// The extension of files in this format.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg(_) => "jpg",
            Self::Png => "png",
        }
    }

    /// Encodes interleaved 8-bit RGB, `3 · width · height` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `rgb` has another length or a side is zero or above what the format
    /// can hold.
    pub fn encode(self, rgb: &[u8], width: usize, height: usize) -> Result<Vec<u8>> {
        let bad = |m: String| Error::new(ErrorKind::Shape, Stage::Sink, m);
        let side = |n: usize| u32::try_from(n).ok().filter(|n| *n > 0 && *n <= 65_535);
        let (Some(w), Some(h)) = (side(width), side(height)) else {
            return Err(bad(format!("can't save a picture of {width}x{height}")));
        };
        if rgb.len() != width * height * 3 {
            return Err(bad(format!(
                "{width}x{height} RGB needs {} bytes, found {}",
                width * height * 3,
                rgb.len()
            )));
        }
        let mut file = Vec::new();
        let written = match self {
            Self::Jpeg(q) => JpegEncoder::new_with_quality(&mut file, q.clamp(1, 100)).write_image(
                rgb,
                w,
                h,
                ExtendedColorType::Rgb8,
            ),
            Self::Png => PngEncoder::new(&mut file).write_image(rgb, w, h, ExtendedColorType::Rgb8),
        };
        written.map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("{e}")).because(e))?;
        Ok(file)
    }

    /// Where the picture `path` is saved below the output folder: the same folders and name, with
    /// this format's extension added unless it is there. Steps out of the folder (`..`, drive
    /// letters, a leading `/`) are dropped. Where another picture could get the same name (`a.jpg` and
    /// `a.jpg.png` as PNG), eight digits of the path's SHA-256 tell them apart.
    ///
    /// ```
    /// use fruitcore::host::sink::picture::PictureFormat;
    /// assert_eq!(PictureFormat::Png.file_name("kind/a.jpg"), "kind/a.jpg.png");
    /// assert_eq!(PictureFormat::Png.file_name("kind/a.png"), "kind/a.png");
    /// ```
    pub fn file_name(self, path: &str) -> String {
        let part = |p: &&str| !matches!(*p, "" | "." | "..") && !p.ends_with(':');
        let mut name = path.split(['/', '\\']).filter(part).collect::<Vec<_>>().join("/");
        // In front, `/` and `https://` go without loss.
        let rest = path.split_once("://").map_or(path, |(_, rest)| rest).trim_start_matches('/');
        let whole = name == rest;
        if name.is_empty() {
            name.push_str("picture");
        }
        let (stem, extension) = ending(&name);
        let same = match self {
            Self::Jpeg(_) => matches!(extension, Some("jpg" | "jpeg")),
            Self::Png => extension == Some("png"),
        };
        // What ends as a picture once gets a name by its ending alone; all else might get that name, too.
        let once = extension.is_some() && ending(stem).1.is_none();
        match (same, once && whole) {
            (true, true) => name,
            (false, true) => format!("{name}.{}", self.extension()),
            (_, false) => {
                let digits: String = hex(&Sha256::digest(path)).chars().take(8).collect();
                let kept = if same { stem } else { &name };
                format!("{kept}.{digits}.{}", self.extension())
            }
        }
    }
}

/// A name without its ending, and the ending if it is a picture's.
fn ending(name: &str) -> (&str, Option<&'static str>) {
    let known = |e: &&&str| name.len() > e.len() && name.to_ascii_lowercase().ends_with(&format!(".{e}"));
    match EXTENSIONS.iter().find(known) {
        Some(e) => (name.get(..name.len() - e.len() - 1).unwrap_or_default(), Some(e)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn stays_inside_the_folder() {
        let f = PictureFormat::Png;
        for (path, begins) in
            [("../../etc/a b.jpg", "etc/a b.jpg."), ("/C:/x/./y.PNG", "x/y."), ("..", "picture.")]
        {
            let name = f.file_name(path);
            assert!(name.starts_with(begins) && name.ends_with(".png"), "{name}");
        }
        assert_eq!(f.file_name("/x/a.jpg"), "x/a.jpg.png");
        assert_eq!(f.file_name("https://host/a.jpg"), "host/a.jpg.png");
        assert_eq!(PictureFormat::default().file_name("a/b.jpeg"), "a/b.jpeg");
        assert_eq!(PictureFormat::default().file_name("a/b.JPG"), "a/b.JPG");
    }

    #[test]
    fn no_two_pictures_get_one_name() {
        let paths = [
            "a",
            "a.jpg",
            "a.jpeg",
            "a.png",
            "a.jpg.png",
            "a.jpg.png.png",
            "a.jpg.jpg",
            "a.png.jpg",
            "a.dat",
            "a.dat.png",
            "a.dat.jpg",
            "x/a.jpg",
            "../a.jpg",
            "./a.jpg",
            "x/../a.jpg",
            ".jpg",
            "..",
        ];
        for format in [PictureFormat::Png, PictureFormat::default()] {
            let names: BTreeSet<_> = paths.iter().map(|path| format.file_name(path)).collect();
            assert_eq!(names.len(), paths.len(), "{names:?}");
            assert!(names.iter().all(|name| name.ends_with(format.extension()) || name.ends_with("jpeg")));
            assert!(names.iter().all(|name| !name.contains("..")), "{names:?}");
        }
    }

    #[test]
    fn png_reads_back() {
        let rgb: Vec<u8> = (0..5 * 3 * 3).map(|i| (i * 7) as u8).collect();
        let file = PictureFormat::Png.encode(&rgb, 5, 3).unwrap();
        assert_eq!(image::load_from_memory(&file).unwrap().to_rgb8().into_raw(), rgb);
        let jpeg = PictureFormat::Jpeg(100).encode(&rgb, 5, 3).unwrap();
        assert_eq!(image::load_from_memory(&jpeg).unwrap().to_rgb8().dimensions(), (5, 3));
        assert!(PictureFormat::Png.encode(&rgb, 5, 4).is_err());
        assert!(PictureFormat::Png.encode(&[], 0, 0).is_err());
    }
}

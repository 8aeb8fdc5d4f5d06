//! Preprocessed pictures as JPEG or PNG files.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};

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
    /// letters, a leading `/`) are dropped.
    pub fn file_name(self, path: &str) -> String {
        let mut name = String::with_capacity(path.len() + 4);
        let part = |p: &&str| !matches!(*p, "" | "." | "..") && !p.ends_with(':');
        for segment in path.split(['/', '\\']).filter(part) {
            if !name.is_empty() {
                name.push('/');
            }
            name.push_str(segment);
        }
        if name.is_empty() {
            name.push_str("picture");
        }
        let extension = name.rsplit('.').next().map(str::to_ascii_lowercase).unwrap_or_default();
        let same = match self {
            Self::Jpeg(_) => matches!(extension.as_str(), "jpg" | "jpeg"),
            Self::Png => extension == "png",
        };
        if same { name } else { format!("{name}.{}", self.extension()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_inside_the_folder() {
        let f = PictureFormat::Png;
        assert_eq!(f.file_name("../../etc/a b.jpg"), "etc/a b.jpg.png");
        assert_eq!(f.file_name("/C:/x/./y.PNG"), "x/y.PNG");
        assert_eq!(f.file_name(".."), "picture.png");
        assert_eq!(PictureFormat::default().file_name("a/b.jpeg"), "a/b.jpeg");
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

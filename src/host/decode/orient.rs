//! EXIF orientations 2 to 8 as index maps.

use alloc::vec::Vec;

/// Writes `pixels` (`size` = width, height; `channels` bytes a pixel) upright into `out`.
pub(super) fn apply(
    orientation: u8,
    size: (usize, usize),
    channels: usize,
    pixels: &[u8],
    out: &mut Vec<u8>,
) {
    let (w, h) = size;
    out.clear();
    out.reserve(pixels.len());
    let (out_w, out_h) = if orientation > 4 { (h, w) } else { (w, h) };
    for y in 0..out_h {
        for x in 0..out_w {
            let (sx, sy) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                8 => (w - 1 - y, x),
                _ => (x, y),
            };
            let at = (sy * w + sx) * channels;
            out.extend_from_slice(pixels.get(at..at + channels).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored picture of an upright `[[1, 2, 3], [4, 5, 6]]` for every orientation.
    #[test]
    fn every_orientation_turns_upright() {
        let stored: [(u8, usize, [u8; 6]); 8] = [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [3, 6, 2, 5, 1, 4]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [4, 1, 5, 2, 6, 3]),
        ];
        for (orientation, width, pixels) in stored {
            let mut out = Vec::new();
            apply(orientation, (width, 6 / width), 1, &pixels, &mut out);
            assert_eq!(out, [1, 2, 3, 4, 5, 6], "orientation {orientation}");
        }
    }
}

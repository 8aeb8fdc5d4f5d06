//! A picture's pixels, its outline where it lies on white, and smaller versions of it.

use super::mask;
use alloc::vec::Vec;

/// RGB pixels.
pub(super) struct Image {
    pub(super) width: usize,
    pub(super) height: usize,
    /// `[h, w, 3]`.
    pub(super) pixels: Vec<u8>,
    /// Opacity, where a near-white surround was found.
    pub(super) mask: Option<Vec<u8>>,
}

impl Image {
    pub(super) fn new(width: usize, height: usize, pixels: Vec<u8>) -> Self {
        let mask = mask::find(&pixels, width, height);
        Self { width, height, pixels, mask }
    }

    pub(super) fn bytes(&self) -> usize {
        self.pixels.len() + self.mask.as_ref().map_or(0, Vec::len)
    }

    /// Half, quarter, …: each that is nearer in size to `[height, width]` than the one before.
    pub(super) fn halves(&self, [height, width]: [usize; 2]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        loop {
            let last = all.last().unwrap_or(self);
            // Nearer by ratio: √2 lies between.
            if last.width * last.height <= 2 * width * height || last.width.min(last.height) < 2 {
                return all;
            }
            let half = last.half();
            all.push(half);
        }
    }

    /// Means of 2 × 2 pixels.
    fn half(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let reduce = |from: &[u8], channels: usize| -> Vec<u8> {
            let row = self.width * channels;
            let mut out = Vec::with_capacity(width * height * channels);
            for pair in from.chunks_exact(2 * row).take(height) {
                let (upper, lower) = pair.split_at(row);
                let wide = 2 * channels;
                for (a, b) in upper.chunks_exact(wide).zip(lower.chunks_exact(wide)) {
                    let ((a0, a1), (b0, b1)) = (a.split_at(channels), b.split_at(channels));
                    out.extend(a0.iter().zip(a1).zip(b0.iter().zip(b1)).map(|((&p, &q), (&r, &s))| {
                        ((u16::from(p) + u16::from(q) + u16::from(r) + u16::from(s) + 2) / 4) as u8
                    }));
                }
            }
            out
        };
        let mask = self.mask.as_ref().map(|m| reduce(m, 1));
        Self { width, height, pixels: reduce(&self.pixels, 3), mask }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn halves_are_means_and_end_near_the_size_asked_for() {
        let pixels = (0..9 * 7).flat_map(|i| [(i % 9) as u8 * 10, (i / 9) as u8 * 10, 7]).collect();
        let image = Image { width: 9, height: 7, pixels, mask: Some(vec![255; 63]) };
        let half = image.half();
        assert_eq!((half.width, half.height, half.bytes()), (4, 3, 4 * 3 * 4));
        // Columns 0 and 1, 2 and 3, …: 5, 25, 45, 65; the ninth column and the seventh row are left out.
        assert_eq!(half.pixels[..6], [5, 5, 7, 25, 5, 7]);
        assert_eq!(half.pixels[half.pixels.len() - 3..], [65, 45, 7]);
        assert!(half.mask.is_some_and(|m| m.iter().all(|&v| v == 255)));

        let sizes = |w: usize, h: usize, to: [usize; 2]| -> Vec<usize> {
            let image = Image { width: w, height: h, pixels: vec![0; w * h * 3], mask: None };
            image.halves(to).iter().map(|i| i.width).collect()
        };
        assert!(sizes(100, 100, [96, 96]).is_empty());
        assert_eq!(sizes(256, 256, [96, 96]), [128]);
        assert!(sizes(1, 4000, [1, 1]).is_empty());
        assert_eq!(sizes(256, 192, [32, 32]), [128, 64, 32]);
    }
}

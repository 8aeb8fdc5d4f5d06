//! Centre crop with torchvision's rounding and padding (`functional.center_crop`).

/// The part of a `width`×`height` picture that a centre crop keeps, and where it lands.
///
/// A picture smaller than the crop is padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Size of the result.
    pub(super) out_width: usize,
    pub(super) out_height: usize,
    /// First kept column and row of the picture.
    pub(super) x: usize,
    pub(super) y: usize,
    /// Kept columns and rows.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Zero columns and rows before the kept ones.
    pub(super) pad_x: usize,
    pub(super) pad_y: usize,
}

impl Window {
    /// The whole picture.
    pub(super) fn full(width: usize, height: usize) -> Self {
        Self { out_width: width, out_height: height, x: 0, y: 0, width, height, pad_x: 0, pad_y: 0 }
    }

    /// The centre `crop_width`×`crop_height` of a `width`×`height` picture.
    pub(super) fn center(width: usize, height: usize, crop_width: usize, crop_height: usize) -> Self {
        let (x, pad_x, inner_width) = axis(width, crop_width);
        let (y, pad_y, inner_height) = axis(height, crop_height);
        Self {
            out_width: crop_width,
            out_height: crop_height,
            x,
            y,
            width: inner_width,
            height: inner_height,
            pad_x,
            pad_y,
        }
    }
}

/// Offset, padding before, and kept length along one side.
fn axis(len: usize, crop: usize) -> (usize, usize, usize) {
    if crop > len {
        (0, (crop - len) / 2, len)
    } else {
        // Python's round((len - crop) / 2.0): ties to even.
        let d = len - crop;
        let half = d / 2;
        (half + usize::from(d % 2 == 1 && half % 2 == 1), 0, crop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_to_even_like_python() {
        // round(0.5) = 0, round(1.5) = 2, round(2.5) = 2, round(3.5) = 4
        for (d, want) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (7, 4)] {
            assert_eq!(axis(10 + d, 10), (want, 0, 10));
        }
    }

    #[test]
    fn pads_more_at_the_end() {
        assert_eq!(axis(5, 8), (0, 1, 5));
        assert_eq!(axis(6, 8), (0, 1, 6));
    }
}

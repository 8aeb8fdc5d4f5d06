//! Bilinear demosaicing with OpenCV's rounding and borders (`demosaicing.cpp`).

use super::{Frame, PixelFormat};

/// Calls `put` for each pixel of row `y`. The frame is at least 3×3; the outermost rows and columns
/// repeat their inner neighbours.
#[inline(always)]
pub(super) fn row(frame: &Frame<'_>, y: usize, mut put: impl FnMut(usize, [u8; 3])) {
    let (w, y) = (frame.width, y.clamp(1, frame.height - 2));
    let (up, mid, down) = (frame.row(y - 1), frame.row(y), frame.row(y + 1));
    // Where red lies in the 2×2 pattern.
    let (red_x, red_y) = match frame.format {
        PixelFormat::BayerRggb => (0, 0),
        PixelFormat::BayerGrbg => (1, 0),
        PixelFormat::BayerGbrg => (0, 1),
        _ => (1, 1),
    };
    let red_row = y % 2 == red_y;
    let own_x = if red_row { red_x } else { 1 - red_x };
    let mut first = [0; 3];
    let mut last = [0; 3];
    for x in 1..w - 1 {
        let [ul, u, ur] = [up[x - 1], up[x], up[x + 1]].map(u32::from);
        let [l, m, r] = [mid[x - 1], mid[x], mid[x + 1]].map(u32::from);
        let [dl, d, dr] = [down[x - 1], down[x], down[x + 1]].map(u32::from);
        // `own`: the colour whose samples this row holds beside green; `other`: the third one.
        let (own, green, other) = if x % 2 == own_x {
            (m, (l + r + u + d + 2) >> 2, (ul + ur + dl + dr + 2) >> 2)
        } else {
            ((l + r + 1) >> 1, m, (u + d + 1) >> 1)
        };
        let (red, blue) = if red_row { (own, other) } else { (other, own) };
        let rgb = [red as u8, green as u8, blue as u8];
        if x == 1 {
            first = rgb;
        }
        last = rgb;
        put(x, rgb);
    }
    put(0, first);
    put(w - 1, last);
}

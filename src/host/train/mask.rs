//! Cutting a fruit out of a near-white surround.

use alloc::{vec, vec::Vec};

/// Darkest channel of a surround's pixel.
const WHITE: u8 = 222;
/// Largest difference between its channels.
const CHROMA: u8 = 26;

/// Opacity of each pixel, if most of the border is near white and a plausible object remains: the
/// surround is what a flood fill from the border reaches, and the edge is softened.
pub(super) fn find(pixels: &[u8], width: usize, height: usize) -> Option<Vec<u8>> {
    if width < 8 || height < 8 || pixels.len() < width * height * 3 {
        return None;
    }
    let white: Vec<bool> = pixels
        .chunks_exact(3)
        .map(|p| {
            let (least, most) = (p.iter().min().copied()?, p.iter().max().copied()?);
            Some(least >= WHITE && most - least <= CHROMA)
        })
        .map(|w| w == Some(true))
        .collect();
    let is_white = |i: usize| white.get(i).copied().unwrap_or(false);
    let border = (0..width)
        .flat_map(|x| [x, (height - 1) * width + x])
        .chain((0..height).flat_map(|y| [y * width, y * width + width - 1]));
    let mut stack: Vec<usize> = border.clone().filter(|&i| is_white(i)).collect();
    if stack.len() * 10 < border.count() * 6 {
        return None;
    }
    let mut opacity = vec![255u8; width * height];
    while let Some(i) = stack.pop() {
        match opacity.get_mut(i) {
            Some(o) if *o == 255 => *o = 0,
            _ => continue,
        }
        let (x, y) = (i % width, i / width);
        let around = [
            (x > 0).then(|| i.wrapping_sub(1)),
            (x + 1 < width).then_some(i + 1),
            (y > 0).then(|| i.wrapping_sub(width)),
            (y + 1 < height).then_some(i + width),
        ];
        stack.extend(around.into_iter().flatten().filter(|&n| is_white(n) && opacity.get(n) == Some(&255)));
    }
    let object = opacity.iter().filter(|&&o| o > 0).count();
    let share = object as f64 / opacity.len() as f64;
    (0.02..0.98).contains(&share).then(|| soften(&opacity, width, height))
}

/// 3 × 3 mean.
fn soften(opacity: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut out = vec![0; opacity.len()];
    for y in 0..height {
        for x in 0..width {
            let (mut sum, mut n) = (0u32, 0u32);
            for yy in y.saturating_sub(1)..(y + 2).min(height) {
                for xx in x.saturating_sub(1)..(x + 2).min(width) {
                    sum += u32::from(opacity.get(yy * width + xx).copied().unwrap_or(0));
                    n += 1;
                }
            }
            if let Some(o) = out.get_mut(y * width + x) {
                *o = (sum / n.max(1)) as u8;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dark disc with a white highlight on `background`.
    fn disc(background: [u8; 3]) -> Vec<u8> {
        let mut pixels = Vec::new();
        for y in 0..32i32 {
            for x in 0..32i32 {
                let d = (x - 16).pow(2) + (y - 16).pow(2);
                pixels.extend(if d < 4 {
                    [255; 3]
                } else if d < 100 {
                    [180, 30, 20]
                } else {
                    background
                });
            }
        }
        pixels
    }

    #[test]
    fn the_surround_goes_and_the_highlight_stays() {
        let mask = find(&disc([254, 252, 250]), 32, 32).unwrap();
        assert_eq!([mask[0], mask[16 * 32 + 16], mask[16 * 32 + 8]], [0, 255, 255]);
    }

    #[test]
    fn scenes_have_no_mask() {
        assert!(find(&disc([90, 120, 60]), 32, 32).is_none());
        assert!(find(&[255; 32 * 32 * 3], 32, 32).is_none());
        assert!(find(&[255; 12], 2, 2).is_none());
    }
}

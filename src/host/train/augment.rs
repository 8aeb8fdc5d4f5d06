//! One picture as the network sees it in training: moved, turned, recoloured, set elsewhere.

use super::{Augment, data::Picture, image::Image};
use crate::rng::Rng;
use alloc::{vec, vec::Vec};

/// Changes pictures; keeps its buffers.
pub(super) struct Augmenter<'a> {
    options: &'a Augment,
    /// Height and width of what comes out.
    size: [usize; 2],
    /// Pictures without a white surround, for backgrounds.
    scenes: &'a [&'a Picture],
    rgb: Vec<f32>,
    opacity: Vec<f32>,
}

/// From places in the output, −½ to ½, to pixels of the picture.
struct Placement {
    matrix: [f32; 4],
    centre: [f32; 2],
}

fn between(rng: &mut Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.unit() as f32
}

fn colour(rng: &mut Rng) -> [f32; 3] {
    core::array::from_fn(|_| between(rng, 0.0, 255.0))
}

impl<'a> Augmenter<'a> {
    pub(super) fn new(options: &'a Augment, size: [usize; 2], scenes: &'a [&'a Picture]) -> Self {
        let n = size[0] * size[1];
        Self { options, size, scenes, rgb: vec![0.0; 3 * n], opacity: vec![0.0; n] }
    }

    /// One RGB picture into `out`, `[h, w, 3]`.
    pub(super) fn augment(&mut self, picture: &Picture, rng: &mut Rng, out: &mut [u8]) {
        let masked = picture.image.mask.is_some();
        let placement = match masked {
            true => self.place_object(&picture.image, rng),
            false => self.place_scene(&picture.image, rng, self.options.crop),
        };
        self.sample(picture, &placement);
        if picture.gray {
            tint(&mut self.rgb, rng);
        }
        let gentle = if masked { 0.5 } else { 1.0 };
        recolour(&mut self.rgb, self.options.jitter * gentle, self.options.hue * gentle, rng);
        if masked {
            let replaced = (rng.unit() as f32) < self.options.background;
            let mut behind = vec![0.0; self.rgb.len()];
            if replaced {
                self.background(rng, &mut behind);
            } else {
                let shade = between(rng, 244.0, 255.0);
                behind.fill(shade);
            }
            for ((v, b), i) in self.rgb.iter_mut().zip(behind).zip(0..) {
                let o = self.opacity.get(i / 3).copied().unwrap_or(1.0);
                *v = *v * o + b * (1.0 - o);
            }
        }
        let noise = if rng.unit() < 0.3 { between(rng, 0.0, self.options.noise) } else { 0.0 };
        for (o, &v) in out.iter_mut().zip(&self.rgb) {
            let v = if noise > 0.0 {
                // Four uniform numbers are close to normal; their variance is a third.
                let bits = rng.next_u64();
                let sum: f32 = (0..4).map(|k| ((bits >> (16 * k)) & 0xFFFF) as f32 / 32_768.0 - 1.0).sum();
                v + noise * sum * 0.87
            } else {
                v
            };
            *o = (v + 0.5).clamp(0.0, 255.0) as u8;
        }
    }

    /// A fruit on white: size, shift, turn, mirror.
    fn place_object(&self, picture: &Image, rng: &mut Rng) -> Placement {
        let [low, high] = self.options.scale;
        let scale = between(rng, low, high);
        let shape = between(rng, -0.1, 0.1).exp();
        let size = [picture.width as f32 / scale * shape, picture.height as f32 / scale / shape];
        let shift: [f32; 2] = core::array::from_fn(|_| between(rng, -0.1, 0.1));
        let [w, h] = [picture.width as f32, picture.height as f32];
        self.turned(size, [w * (0.5 + shift[0]), h * (0.5 + shift[1])], rng)
    }

    /// A scene: a crop of random area and shape, turned, mirrored.
    fn place_scene(&self, picture: &Image, rng: &mut Rng, least: f32) -> Placement {
        let [w, h] = [picture.width as f32, picture.height as f32];
        let area = between(rng, least, 1.0).sqrt();
        let shape = between(rng, -0.28, 0.28).exp().sqrt();
        let size = [(w * area * shape).min(w), (h * area / shape).min(h)];
        let centre =
            [between(rng, size[0] / 2.0, w - size[0] / 2.0), between(rng, size[1] / 2.0, h - size[1] / 2.0)];
        self.turned(size, centre, rng)
    }

    fn turned(&self, size: [f32; 2], centre: [f32; 2], rng: &mut Rng) -> Placement {
        let angle = between(rng, -self.options.rotation, self.options.rotation).to_radians();
        let (sin, cos) = angle.sin_cos();
        let mirror = if rng.unit() < 0.5 { -1.0 } else { 1.0 };
        Placement {
            matrix: [size[0] * cos * mirror, -size[0] * sin, size[1] * sin * mirror, size[1] * cos],
            centre,
        }
    }

    /// Bilinear samples; beyond the border the border repeats, and nothing is opaque. Taken from the
    /// size whose pixels lie about as far apart as those of the output, so that a whole picture isn't
    /// undersampled nor a small crop of it blurred.
    fn sample(&mut self, picture: &Picture, placement: &Placement) {
        let [height, width] = self.size;
        let [a, b, c, d] = placement.matrix;
        let step = ((a * d - b * c).abs() / (width * height) as f32).sqrt();
        let level = libm::log2f(step.max(1.0)).round() as usize;
        let whole = &picture.image;
        let source = match level.min(picture.halves.len()).checked_sub(1) {
            Some(i) => picture.halves.get(i).unwrap_or(whole),
            None => whole,
        };
        let (w, h) = (source.width, source.height);
        let (rx, ry) = (w as f32 / whole.width as f32, h as f32 / whole.height as f32);
        let [a, b, c, d] = [a * rx, b * rx, c * ry, d * ry];
        let centre = [placement.centre[0] * rx, placement.centre[1] * ry];
        let pixel =
            |x: usize, y: usize| source.pixels.get((y * w + x) * 3..).and_then(|p| p.first_chunk::<3>());
        for y in 0..height {
            let v = (y as f32 + 0.5) / height as f32 - 0.5;
            for x in 0..width {
                let u = (x as f32 + 0.5) / width as f32 - 0.5;
                let sx = centre[0] + a * u + b * v - 0.5;
                let sy = centre[1] + c * u + d * v - 0.5;
                let inside = sx > -0.5 && sy > -0.5 && sx < w as f32 - 0.5 && sy < h as f32 - 0.5;
                let (cx, cy) = (sx.clamp(0.0, (w - 1) as f32), sy.clamp(0.0, (h - 1) as f32));
                let (x0, y0) = (cx as usize, cy as usize);
                let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
                let (fx, fy) = (cx - x0 as f32, cy - y0 as f32);
                let weights = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
                let places = [(x0, y0), (x1, y0), (x0, y1), (x1, y1)];
                let at = y * width + x;
                if let Some(to) = self.rgb.get_mut(at * 3..at * 3 + 3) {
                    to.fill(0.0);
                    for ((px, py), weight) in places.into_iter().zip(weights) {
                        for (t, &p) in to.iter_mut().zip(pixel(px, py).unwrap_or(&[0; 3])) {
                            *t += weight * f32::from(p);
                        }
                    }
                }
                if let (Some(mask), Some(to)) = (&source.mask, self.opacity.get_mut(at)) {
                    let read = |(x, y): (usize, usize)| f32::from(mask.get(y * w + x).copied().unwrap_or(0));
                    let value: f32 =
                        places.into_iter().zip(weights).map(|(p, weight)| weight * read(p)).sum();
                    *to = if inside { value / 255.0 } else { 0.0 };
                }
            }
        }
    }

    /// A colour, a gradient, a texture or a piece of another picture.
    fn background(&mut self, rng: &mut Rng, out: &mut [f32]) {
        let [height, width] = self.size;
        let kind = rng.below(if self.scenes.is_empty() { 3 } else { 6 });
        match kind {
            0 => {
                let c = colour(rng);
                out.chunks_exact_mut(3).for_each(|p| p.copy_from_slice(&c));
            }
            1 => {
                let (from, to) = (colour(rng), colour(rng));
                let (sin, cos) = between(rng, 0.0, core::f32::consts::TAU).sin_cos();
                for (i, p) in out.chunks_exact_mut(3).enumerate() {
                    let (u, v) = ((i % width) as f32 / width as f32, (i / width) as f32 / height as f32);
                    mix(p, from, to, (0.5 + (u - 0.5) * cos + (v - 0.5) * sin).clamp(0.0, 1.0));
                }
            }
            2 => {
                let (from, to) = (colour(rng), colour(rng));
                let octaves: Vec<(f32, u64)> = (0..3)
                    .map(|o| (between(rng, 2.0, 5.0) * (1 << (2 * o)) as f32, rng.next_u64()))
                    .collect();
                for (i, p) in out.chunks_exact_mut(3).enumerate() {
                    let (u, v) = ((i % width) as f32 / width as f32, (i / width) as f32 / height as f32);
                    let sum: f32 = octaves.iter().map(|&(f, seed)| lattice(u * f, v * f, seed)).sum();
                    mix(p, from, to, sum / 3.0);
                }
            }
            _ => {
                let Some(scene) = self.scenes.get(rng.below(self.scenes.len())) else { return };
                let placement = self.place_scene(&scene.image, rng, 0.1);
                let rgb = core::mem::replace(&mut self.rgb, out.to_vec());
                // A scene has no mask, so the fruit's opacity stays.
                self.sample(scene, &placement);
                out.copy_from_slice(&self.rgb);
                self.rgb = rgb;
                recolour(out, self.options.jitter, self.options.hue, rng);
            }
        }
    }
}

fn mix(out: &mut [f32], from: [f32; 3], to: [f32; 3], t: f32) {
    out.iter_mut().zip(from.into_iter().zip(to)).for_each(|(o, (a, b))| *o = a + (b - a) * t);
}

/// Smooth noise in [0, 1] between random values at whole places.
fn lattice(x: f32, y: f32, seed: u64) -> f32 {
    let value = |x: f32, y: f32| {
        let key = seed ^ (x as u64).wrapping_mul(0x1000_0001) ^ (y as u64).wrapping_mul(0x9_1000_0000_0001);
        Rng::new(key).unit() as f32
    };
    let (x0, y0) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (fx, fy) = (ease(x - x0), ease(y - y0));
    let row = |y: f32| value(x0, y) * (1.0 - fx) + value(x0 + 1.0, y) * fx;
    row(y0) * (1.0 - fy) + row(y0 + 1.0) * fy
}

/// A gray picture in one random colour: black stays black and white white.
fn tint(rgb: &mut [f32], rng: &mut Rng) {
    let gamma: [f32; 3] = core::array::from_fn(|_| between(rng, -1.0, 1.0).exp());
    for p in rgb.chunks_exact_mut(3) {
        p.iter_mut().zip(gamma).for_each(|(v, g)| *v = 255.0 * (*v / 255.0).clamp(0.0, 1.0).powf(g));
    }
}

/// Brightness, contrast, saturation and hue, as one affine map of RGB.
fn recolour(rgb: &mut [f32], jitter: f32, hue: f32, rng: &mut Rng) {
    let mut factor = || between(rng, 1.0 - jitter, 1.0 + jitter);
    let (brightness, contrast, saturation) = (factor(), factor(), factor());
    let (sin, cos) = between(rng, -hue, hue).to_radians().sin_cos();
    // A turn about the gray axis, by Rodrigues' formula, scaled across it.
    let third = 1.0 / 3.0;
    let across = (1.0 - cos) * third;
    let root = sin * third.sqrt();
    let turn = [
        [cos + across, across - root, across + root],
        [across + root, cos + across, across - root],
        [across - root, across + root, cos + across],
    ];
    let gain = brightness * contrast;
    let offset = 128.0 * (1.0 - contrast) * brightness;
    for p in rgb.chunks_exact_mut(3) {
        let Some(&[r, g, b]) = p.first_chunk::<3>() else { continue };
        let gray = (r + g + b) * third;
        for (v, [x, y, z]) in p.iter_mut().zip(turn) {
            let turned = x * r + y * g + z * b;
            *v = ((gray + (turned - gray) * saturation) * gain + offset).clamp(0.0, 255.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(mask: bool, gray: bool) -> Picture {
        let pixels =
            (0..40 * 30 * 3).map(|i| if gray { (i / 3 % 256) as u8 } else { (i * 7 % 256) as u8 }).collect();
        let mask = mask.then(|| (0..40 * 30).map(|i| if i % 40 < 20 { 255 } else { 0 }).collect());
        Picture { class: 0, gray, image: Image { width: 40, height: 30, pixels, mask }, halves: Vec::new() }
    }

    #[test]
    fn the_same_seed_gives_the_same_picture() {
        let options = Augment::default();
        let scene = picture(false, false);
        let scenes = [&scene];
        for (mask, gray) in [(false, false), (true, false), (true, true), (false, true)] {
            let picture = picture(mask, gray);
            let draw = |seed| {
                let mut out = vec![0; 24 * 32 * 3];
                Augmenter::new(&options, [24, 32], &scenes).augment(&picture, &mut Rng::new(seed), &mut out);
                out
            };
            for seed in 0..20 {
                assert_eq!(draw(seed), draw(seed));
                assert_ne!(draw(seed), draw(seed + 1));
            }
        }
    }

    #[test]
    fn without_changes_the_picture_nearly_stays() {
        let options =
            Augment { rotation: 0.0, crop: 1.0, jitter: 0.0, hue: 0.0, noise: 0.0, ..Augment::default() };
        // Smooth, and brighter to the right; a crop of full area may still change its shape a little.
        let smooth = |x: usize, y: usize| [(x * 6) as u8, (y * 6) as u8, (x * 3 + y) as u8];
        let all = (0..30).flat_map(|y| (0..40).flat_map(move |x| smooth(x, y))).collect::<Vec<u8>>();
        let mut picture = picture(false, false);
        picture.image.pixels = all;
        let mirrored: Vec<u8> = picture
            .image
            .pixels
            .chunks_exact(40 * 3)
            .flat_map(|row| row.chunks_exact(3).rev().flatten().copied().collect::<Vec<_>>())
            .collect();
        let mut met = [false; 2];
        for seed in 0..40 {
            let mut out = vec![0; 30 * 40 * 3];
            let mut augmenter = Augmenter::new(&options, [30, 40], &[]);
            augmenter.augment(&picture, &mut Rng::new(seed), &mut out);
            let far = |expected: &[u8]| -> u32 {
                let differences = out.iter().zip(expected).map(|(a, b)| u32::from(a.abs_diff(*b)));
                differences.sum::<u32>() / out.len() as u32
            };
            let [as_is, turned] = [far(&picture.image.pixels), far(&mirrored)];
            assert!(as_is.min(turned) < 15, "{as_is} and {turned}");
            met[usize::from(turned < as_is)] = true;
        }
        assert_eq!(met, [true; 2]);
    }

    #[test]
    fn a_whole_picture_is_not_undersampled_nor_a_crop_blurred() {
        // Stripes of one pixel: gray from afar, stripes from near.
        let pixels = (0..256 * 256 * 3).map(|i| if i / 3 % 2 == 0 { 0 } else { 255 }).collect();
        let image = Image::new(256, 256, pixels);
        let halves = image.halves([32, 32]);
        let picture = Picture { class: 0, gray: false, image, halves };
        let options = Augment::default();
        let spread = |size: f32| {
            let mut augmenter = Augmenter::new(&options, [32, 32], &[]);
            let placement = Placement { matrix: [size, 0.0, 0.0, size], centre: [128.0; 2] };
            augmenter.sample(&picture, &placement);
            let far = augmenter.rgb.iter().map(|v| (v - 127.5).abs()).sum::<f32>();
            far / augmenter.rgb.len() as f32
        };
        assert!(spread(256.0) < 2.0, "{}", spread(256.0));
        assert!(spread(32.0) > 120.0, "{}", spread(32.0));
    }

    #[test]
    fn tints_keep_black_and_white() {
        let mut rgb = vec![0.0, 0.0, 0.0, 128.0, 128.0, 128.0, 255.0, 255.0, 255.0];
        tint(&mut rgb, &mut Rng::new(3));
        assert_eq!((&rgb[..3], &rgb[6..]), (&[0.0; 3][..], &[255.0; 3][..]));
        assert!((rgb[3] - rgb[4]).abs() > 1.0);
    }
}

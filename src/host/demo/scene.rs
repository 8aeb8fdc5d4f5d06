//! One picture: a fruit in its pose, light, camera and film.

use super::backdrop::Backdrop;
use super::body::{Body, Part};
use super::kinds::Kind;
use super::math::{Rng, Turn, V3, fbm, step};
use super::skin::Finish;
use alloc::{vec, vec::Vec};

/// Distance from the eye to the fruit's middle.
const EYE: f32 = 6.0;
/// No fruit reaches further from its middle.
const REACH: f32 = 1.45;

/// Everything chance decides about one picture.
pub(super) struct Scene {
    body: Body,
    finish: Finish,
    turn: Turn,
    /// Position and size in the picture.
    offset: (f32, f32),
    scale: f32,
    key: V3,
    key_colour: V3,
    sky: V3,
    ground: V3,
    backdrop: Backdrop,
    shadow: f32,
    exposure: V3,
    grain: f32,
    grain_seed: V3,
}

/// What one ray saw.
#[derive(Clone, Copy)]
struct Sample {
    colour: V3,
    hit: bool,
}

impl Scene {
    pub(super) fn new(kind: &Kind, white: bool, rng: &mut Rng) -> Self {
        let body = Body::grow(kind.shape, kind.top, rng);
        let finish = Finish::new(kind.skin, rng);
        // Turned like on a turntable, tilted towards and away from the camera, lying askew.
        let turn = Turn::new(
            rng.range(0.0, core::f32::consts::TAU),
            rng.range(-0.5, 1.1),
            if rng.unit() < 0.25 { rng.range(-1.6, 1.6) } else { rng.range(-0.45, 0.45) },
        );
        let key = V3(rng.range(-0.8, 0.8), rng.range(0.3, 1.0), rng.range(0.5, 1.0)).unit();
        let (offset, scale, warm, backdrop) = if white {
            let offset = (rng.range(-0.05, 0.05), rng.range(-0.05, 0.05));
            (offset, rng.range(0.74, 0.84), rng.range(-0.02, 0.04), Backdrop::white())
        } else {
            let offset = (rng.range(-0.35, 0.35), rng.range(-0.22, 0.18));
            (offset, rng.range(0.46, 0.76), rng.range(-0.1, 0.18), Backdrop::natural(rng))
        };
        let power = if white { rng.range(0.75, 0.95) } else { rng.range(0.6, 1.25) };
        let gain = if white { rng.range(0.96, 1.04) } else { rng.range(0.75, 1.15) };
        Self {
            body,
            finish,
            turn,
            offset,
            scale: scale * kind.size,
            key,
            key_colour: V3(1.0 + warm, 1.0, 1.0 - warm) * power,
            sky: V3(0.42, 0.44, 0.46),
            ground: if white {
                V3(0.34, 0.34, 0.34)
            } else {
                backdrop.at(0.0, -0.9) * 0.3 + V3(0.08, 0.08, 0.08)
            },
            shadow: if backdrop.is_ground() { rng.range(0.45, 0.8) } else { 0.0 },
            backdrop,
            exposure: V3(gain * (1.0 + 0.4 * warm), gain, gain * (1.0 - 0.4 * warm)),
            grain: if white { 0.004 } else { rng.range(0.006, 0.025) },
            grain_seed: V3(rng.range(0.0, 900.0), rng.range(0.0, 900.0), 0.5),
        }
    }

    /// The picture as interleaved sRGB bytes.
    pub(super) fn render(&self, width: usize, height: usize) -> Vec<u8> {
        let half = width.min(height) as f32 / 2.0;
        let at = |column: f32, row: f32| {
            ((column - width as f32 / 2.0) / half, (height as f32 / 2.0 - row) / half)
        };
        let mut samples = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let (x, y) = at(column as f32 + 0.5, row as f32 + 0.5);
                samples.push(self.look(x, y));
            }
        }
        let shade = self.cast_shadow(&samples, width, height);
        let mut bytes = Vec::with_capacity(width * height * 3);
        for row in 0..height {
            for column in 0..width {
                let here = row * width + column;
                let sample = samples[here];
                let (x, y) = at(column as f32 + 0.5, row as f32 + 0.5);
                let behind = self.backdrop.at(x, y) * (1.0 - self.shadow * shade[here]);
                let behind = develop(behind, self.exposure);
                let colour = if on_edge(&samples, width, column, row) {
                    // Four rays where the outline passes, one elsewhere.
                    let mut sum = V3(0.0, 0.0, 0.0);
                    for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                        let (x, y) = at(column as f32 + dx, row as f32 + dy);
                        let fine = self.look(x, y);
                        sum = sum + if fine.hit { fine.colour } else { behind };
                    }
                    sum * 0.25
                } else if sample.hit {
                    sample.colour
                } else {
                    behind
                };
                let film = self.grain
                    * 2.0
                    * (fbm(V3(column as f32 * 0.9, row as f32 * 0.9, 0.0) + self.grain_seed, 2) - 0.5);
                for channel in [colour.0, colour.1, colour.2] {
                    bytes.push(encode(channel, film));
                }
            }
        }
        bytes
    }

    /// Follows one ray; the colour is black where it meets no fruit.
    fn look(&self, x: f32, y: f32) -> Sample {
        let miss = Sample { colour: V3(0.0, 0.0, 0.0), hit: false };
        let target = V3((x - self.offset.0) / self.scale, (y - self.offset.1) / self.scale, 0.0);
        let eye = V3(0.0, 0.0, EYE);
        let ray = (target - eye).unit();
        let middle = -eye.dot(ray);
        let nearest = eye + ray * middle;
        let room = REACH * REACH - nearest.dot(nearest);
        if room <= 0.0 {
            return miss;
        }
        let (eye, ray) = (self.turn.undo(eye), self.turn.undo(ray));
        let reach = room.sqrt();
        let mut t = middle - reach;
        for _ in 0..90 {
            let p = eye + ray * t;
            let (d, part) = self.body.distance(p);
            if d < 0.003 {
                let colour = develop(self.shade(p, part, ray), self.exposure);
                return Sample { colour, hit: true };
            }
            t += d;
            if t > middle + reach {
                break;
            }
        }
        miss
    }

    fn shade(&self, p: V3, part: Part, ray: V3) -> V3 {
        let field = |q: V3| self.body.distance(q).0 - self.finish.relief(part, q);
        let e = 0.006;
        let mut normal = V3(0.0, 0.0, 0.0);
        for k in [V3(1.0, -1.0, -1.0), V3(-1.0, -1.0, 1.0), V3(-1.0, 1.0, -1.0), V3(1.0, 1.0, 1.0)] {
            normal = normal + k * field(p + k * e);
        }
        let local = normal.unit();
        let surface = self.finish.at(part, p);
        // How open the surroundings are: little light reaches between berries and around stems.
        let open = (0.35 + 0.65 * self.body.distance(p + local * 0.16).0 / 0.115).clamp(0.25, 1.0);

        let (n, view) = (self.turn.apply(local), -self.turn.apply(ray));
        let facing = n.dot(self.key);
        // Light wraps a little around the edge: skin is not stone.
        let direct = ((facing + 0.12) / 1.12).max(0.0);
        let ambient = self.ground.mix(self.sky, 0.5 + 0.5 * n.1) * open;
        let mut light = surface.colour.tint(self.key_colour * (direct * (0.5 + 0.5 * open)) + ambient);

        let half = (self.key + view).unit();
        let sharp = 8.0 + 90.0 * surface.gloss * surface.gloss;
        let spot = n.dot(half).max(0.0).powf(sharp) * surface.gloss * (0.3 + 0.7 * step(0.0, 0.2, facing));
        light = light + self.key_colour * (0.55 * spot);
        let rim = (1.0 - n.dot(view).max(0.0)).powi(4);
        light = light + self.sky * (rim * 0.25 * surface.gloss * open);
        light.mix(V3(0.75, 0.68, 0.6), surface.fur * 0.55 * (1.0 - n.dot(view).max(0.0)).powi(2))
    }

    /// The fruit's outline, moved away from the light and blurred: 0 lit … 1 dark.
    fn cast_shadow(&self, samples: &[Sample], width: usize, height: usize) -> Vec<f32> {
        let mask: Vec<f32> = samples.iter().map(|s| if s.hit { 1.0 } else { 0.0 }).collect();
        if self.shadow == 0.0 {
            return vec![0.0; mask.len()];
        }
        let radius = (width.min(height) / 14).max(1);
        let mut soft = mask;
        for _ in 0..2 {
            soft = blur(&soft, width, height, radius, true);
            soft = blur(&soft, width, height, radius, false);
        }
        let by = width.min(height) as f32 * 0.11;
        let (dx, dy) = ((self.key.0 * by) as isize, (self.key.1.max(0.3) * by) as isize);
        let mut out = vec![0.0; soft.len()];
        for row in 0..height {
            for column in 0..width {
                let (c, r) = (column as isize + dx, row as isize - dy);
                if (0..width as isize).contains(&c) && (0..height as isize).contains(&r) {
                    out[row * width + column] = soft[r as usize * width + c as usize];
                }
            }
        }
        out
    }
}

/// Whether a pixel and one of its neighbours disagree about fruit or not, or differ much in colour.
fn on_edge(samples: &[Sample], width: usize, column: usize, row: usize) -> bool {
    let here = samples[row * width + column];
    let height = samples.len() / width;
    let neighbours = [
        (column > 0).then(|| row * width + column - 1),
        (column + 1 < width).then(|| row * width + column + 1),
        (row > 0).then(|| (row - 1) * width + column),
        (row + 1 < height).then(|| (row + 1) * width + column),
    ];
    neighbours.into_iter().flatten().any(|i| {
        let there = samples[i];
        let d = here.colour - there.colour;
        here.hit != there.hit || d.dot(d) > 0.05
    })
}

/// Mean over `2·radius + 1` pixels along rows or columns; outside counts as 0.
fn blur(values: &[f32], width: usize, height: usize, radius: usize, along_rows: bool) -> Vec<f32> {
    let (lines, length) = if along_rows { (height, width) } else { (width, height) };
    let at = |line: usize, k: usize| if along_rows { line * width + k } else { k * width + line };
    let mut out = vec![0.0; values.len()];
    for line in 0..lines {
        let mut sum: f32 = (0..radius.min(length)).map(|k| values[at(line, k)]).sum();
        for k in 0..length {
            if k + radius < length {
                sum += values[at(line, k + radius)];
            }
            out[at(line, k)] = sum / (2 * radius + 1) as f32;
            if k >= radius {
                sum -= values[at(line, k - radius)];
            }
        }
    }
    out
}

/// Exposed light as the film keeps it, in [0, 1): a soft shoulder instead of burnt patches.
fn develop(light: V3, exposure: V3) -> V3 {
    let c = |v: f32| if v <= 0.7 { v.max(0.0) } else { 1.0 - 0.3 * (-(v - 0.7) / 0.3).exp() };
    let lit = light.tint(exposure);
    V3(c(lit.0), c(lit.1), c(lit.2))
}

/// Linear light and film grain to an sRGB byte.
fn encode(linear: f32, grain: f32) -> u8 {
    let s = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    ((s + grain) * 255.0 + 0.5).clamp(0.0, 255.0) as u8
}

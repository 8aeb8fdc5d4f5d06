//! Colour, gloss and relief at a point of a fruit.

use super::body::{Part, along_banana};
use super::kinds::{Pattern, Skin};
use super::math::{Rng, V3, cells, fbm, noise, step};
use core::f32::consts::{PI, TAU};

/// One specimen's finish: colours mixed, spots placed.
#[derive(Clone, Debug)]
pub(super) struct Finish {
    skin: Skin,
    base: V3,
    blush: V3,
    sun: V3,
    /// Moves all noise, so that no two specimens are drawn alike.
    seed: V3,
    spots: f32,
}

/// What the light meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surface {
    pub(super) colour: V3,
    pub(super) gloss: f32,
    pub(super) fur: f32,
}

impl Finish {
    pub(super) fn new(skin: Skin, rng: &mut Rng) -> Self {
        let base = V3::srgb(skin.base.0).mix(V3::srgb(skin.base.1), rng.unit()) * rng.range(0.92, 1.08);
        Self {
            skin,
            base,
            blush: V3::srgb(skin.blush.0),
            sun: (rng.direction() + V3(0.0, 0.4, 0.0)).unit(),
            seed: V3(rng.range(0.0, 60.0), rng.range(0.0, 60.0), rng.range(0.0, 60.0)),
            spots: skin.spots.2 * rng.range(0.4, 1.2),
        }
    }

    /// Height of the relief, for the normal.
    pub(super) fn relief(&self, part: Part, p: V3) -> f32 {
        let (height, frequency) = self.skin.bump;
        match (part, self.skin.pattern) {
            (Part::Skin, Pattern::Eyes(_)) => 0.07 * eye(p).0,
            (Part::Skin, Pattern::Seeds(_)) => -0.03 * step(0.55, 0.0, seed_distance(p)),
            (Part::Skin, _) if height > 0.0 => height * noise(p * frequency + self.seed),
            _ => 0.0,
        }
    }

    /// Colour and finish at `p`.
    pub(super) fn at(&self, part: Part, p: V3) -> Surface {
        match part {
            Part::Skin => self.skin_at(p),
            Part::Stem => {
                let grain = fbm(p * 14.0 + self.seed, 2);
                Surface { colour: V3::srgb(0x5d4a26).mix(V3::srgb(0x8a8a45), grain), gloss: 0.1, fur: 0.0 }
            }
            Part::Leaf => {
                let vein = fbm(V3(p.0 * 5.0, p.1 * 5.0, p.2 * 16.0) + self.seed, 3);
                Surface { colour: V3::srgb(0x35601f).mix(V3::srgb(0x6d9a38), vein), gloss: 0.25, fur: 0.0 }
            }
        }
    }

    fn skin_at(&self, p: V3) -> Surface {
        let skin = &self.skin;
        let mut gloss = skin.gloss;
        let cloud = fbm(p * 2.1 + self.seed, 3);
        let mut colour = self.base * (0.88 + 0.24 * cloud);

        let sunny = 0.5 + 0.5 * p.unit().dot(self.sun);
        let amount = step(0.35, 0.95, 0.55 * sunny + 0.6 * cloud) * skin.blush.1;
        colour = colour.mix(self.blush, amount);

        let (spot, frequency, _) = skin.spots;
        if self.spots > 0.0 {
            let (d, chance) = cells(p * frequency + self.seed);
            let r = self.spots * (0.5 + chance) * 2.0;
            colour = colour.mix(V3::srgb(spot), 0.65 * step(r, r * 0.5, d));
        }
        match skin.pattern {
            Pattern::Plain => {}
            Pattern::Streaks(tint) => {
                let phi = p.2.atan2(p.0);
                let line = fbm(V3(phi.cos() * 9.0, p.1 * 0.9, phi.sin() * 9.0) + self.seed, 3);
                colour = colour.mix(V3::srgb(tint), 0.45 * step(0.52, 0.75, line));
            }
            Pattern::Bands(dark) => {
                let phi = p.2.atan2(p.0) + 0.55 * (fbm(p * 4.5 + self.seed, 3) - 0.5);
                let wave = (phi * 9.0).cos() + 0.8 * (fbm(p * 9.0 + self.seed, 2) - 0.5);
                colour = colour.mix(V3::srgb(dark), 0.9 * step(-0.1, 0.35, wave));
            }
            Pattern::Eyes(dark) => {
                let (bulge, seam) = eye(p);
                colour = colour.mix(V3::srgb(dark), 0.8 * seam);
                colour = colour.mix(V3::srgb(0xd8b25a), 0.35 * bulge);
            }
            Pattern::Seeds(seed) => {
                let d = seed_distance(p);
                colour = colour * (0.75 + 0.25 * step(0.2, 0.6, d));
                colour = colour.mix(V3::srgb(seed), step(0.26, 0.14, d));
                let pale = step(0.55, 0.95, p.1);
                colour = colour.mix(V3::srgb(0xeecf9a), 0.5 * pale);
            }
            Pattern::Ends(dark) => {
                let t = along_banana(p);
                let green = V3::srgb(0x9db03a);
                colour = colour.mix(green, 0.5 * step(0.72, 1.0, t.abs()));
                let end = step(-0.9, -0.985, t).max(0.8 * step(1.08, 1.15, t));
                colour = colour.mix(V3::srgb(dark), end);
                gloss *= 1.0 - end;
            }
        }
        Surface { colour, gloss, fur: skin.fur }
    }
}

/// A spiral lattice on a body of revolution: position within a cell, each coordinate in [−½, ½].
fn lattice(p: V3, around: f32, rows: f32) -> (f32, f32) {
    let u = p.2.atan2(p.0) / TAU * around;
    let v = (p.1 / p.length().max(1e-6)).clamp(-1.0, 1.0).acos() / PI * rows;
    let row = v.round();
    let shifted = u + 0.5 * row.rem_euclid(2.0);
    (shifted - shifted.round(), v - row)
}

/// Bulge and dark rim of a pineapple's eye.
fn eye(p: V3) -> (f32, f32) {
    let u = p.2.atan2(p.0) / TAU * 9.0;
    let v = p.1 * 5.6;
    let (a, b) = (u + 0.5 * v, u - 0.5 * v);
    let edge = (0.5 - (a - a.round()).abs()).min(0.5 - (b - b.round()).abs());
    (step(0.0, 0.42, edge), step(0.13, 0.02, edge))
}

/// Distance to the nearest strawberry seed, as a fraction of the lattice.
fn seed_distance(p: V3) -> f32 {
    let (u, v) = lattice(p, 13.0, 11.0);
    (u * u * 1.6 + v * v * 0.7).sqrt() * 1.5
}

//! What lies behind the fruit.

use super::math::{Rng, V3, fbm, noise, step};
use alloc::vec::Vec;

/// A background: a studio's white, or something a camera meets outside it.
#[derive(Clone, Debug)]
pub(super) struct Backdrop {
    scene: Scene,
    seed: V3,
    tint: (V3, V3),
    discs: Vec<Disc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    White,
    Wood,
    Foliage,
    Soil,
    Cloth,
    Orchard,
    Heap,
}

/// A soft spot: light through leaves, or another fruit out of focus.
#[derive(Clone, Copy, Debug)]
struct Disc {
    x: f32,
    y: f32,
    r: f32,
    colour: V3,
}

impl Backdrop {
    pub(super) fn white() -> Self {
        // Overexposed, as in a light tent: the film makes it plain white.
        let glare = V3(6.0, 6.0, 6.0);
        Self { scene: Scene::White, seed: glare, tint: (glare, glare), discs: Vec::new() }
    }

    pub(super) fn natural(rng: &mut Rng) -> Self {
        let scene = [Scene::Wood, Scene::Foliage, Scene::Soil, Scene::Cloth, Scene::Orchard, Scene::Heap]
            [rng.below(6)];
        let pick = |rng: &mut Rng, all: &[(u32, u32)]| {
            let (a, b) = all.get(rng.below(all.len())).copied().unwrap_or((0, 0xffffff));
            (V3::srgb(a), V3::srgb(b))
        };
        let tint = match scene {
            Scene::White => return Self::white(),
            Scene::Wood => pick(rng, &[(0x6b4423, 0xa87848), (0x8a6a48, 0xcbb08a), (0x3d2817, 0x6e4a2c)]),
            Scene::Foliage => pick(rng, &[(0x1d3312, 0x6f9440), (0x2a4020, 0x93a860), (0x182a18, 0x4f7a3c)]),
            Scene::Soil => pick(rng, &[(0x3b2a1c, 0x7d6248), (0x5a4a3a, 0x9b8a72)]),
            Scene::Cloth => pick(
                rng,
                &[(0x8a9bb0, 0xb7c4d2), (0xa34a3c, 0xc8786a), (0xb9b09c, 0xe2dccb), (0x3f5a4a, 0x6d8a76)],
            ),
            Scene::Orchard => pick(rng, &[(0x6d8f3c, 0xa9c7e0), (0x4c6b2c, 0xd8dfe2)]),
            Scene::Heap => pick(rng, &[(0x2a2018, 0x4a3a2a)]),
        };
        let discs = match scene {
            Scene::Foliage | Scene::Orchard => (0..rng.below(14) + 6)
                .map(|_| Disc {
                    x: rng.range(-1.5, 1.5),
                    y: rng.range(-0.4, 1.2),
                    r: rng.range(0.06, 0.28),
                    colour: tint.1 * rng.range(0.7, 1.7),
                })
                .collect(),
            Scene::Heap => {
                let hues = [0xb8322a, 0xd8912c, 0x7d9c34, 0xd6c03c, 0x8c4a2c, 0x5c2c44];
                let main = hues[rng.below(6)];
                (0..26)
                    .map(|_| {
                        let hue = if rng.unit() < 0.7 { main } else { hues[rng.below(6)] };
                        Disc {
                            x: rng.range(-1.6, 1.6),
                            y: rng.range(-1.3, 1.3),
                            r: rng.range(0.3, 0.45),
                            colour: V3::srgb(hue) * rng.range(0.5, 1.0),
                        }
                    })
                    .collect()
            }
            _ => Vec::new(),
        };
        let seed = V3(rng.range(0.0, 90.0), rng.range(0.0, 90.0), rng.range(0.0, 90.0));
        Self { scene, seed, tint, discs }
    }

    /// Whether the fruit rests on something that takes its shadow.
    pub(super) fn is_ground(&self) -> bool {
        !matches!(self.scene, Scene::White | Scene::Foliage | Scene::Orchard)
    }

    /// Linear colour at a point of the picture; the shorter side reaches from −1 to 1, y up.
    pub(super) fn at(&self, x: f32, y: f32) -> V3 {
        let (a, b) = self.tint;
        let p = V3(x, y, 0.0) + self.seed;
        match self.scene {
            Scene::White => a,
            Scene::Wood => {
                let plank = (y * 1.6 + self.seed.0).floor();
                let across = y * 1.6 + self.seed.0 - plank;
                let q = V3(x * 1.2 + plank * 7.3, y * 16.0 + 2.5 * noise(V3(x * 1.5, plank, 0.5)), plank);
                let grain = fbm(q, 4);
                let gap = step(0.03, 0.0, across.min(1.0 - across));
                a.mix(b, grain * 0.8 + 0.4 * noise(V3(plank, 0.3, 0.7)) - 0.1) * (1.0 - 0.75 * gap)
            }
            Scene::Foliage => {
                let leaves = fbm(p * 2.2, 3);
                self.with_discs(a.mix(b, step(0.3, 0.75, leaves)), x, y, 0.35)
            }
            Scene::Soil => a.mix(b, 0.6 * fbm(p * 9.0, 4) + 0.4 * fbm(p * 2.0, 2)),
            Scene::Cloth => {
                let fold = fbm(V3(x * 1.1 + y * 0.6, y * 0.9, 0.0) + self.seed, 2);
                let weave = 0.03 * ((x * 70.0).sin() + (y * 70.0).sin());
                a.mix(b, fold + weave)
            }
            Scene::Orchard => {
                let horizon = step(-0.3, 0.5, y + 0.3 * (fbm(p * 1.3, 2) - 0.5));
                let trees = fbm(p * 1.8, 3);
                let green = a * (0.5 + trees);
                self.with_discs(green.mix(b, horizon * step(0.35, 0.6, trees + 0.3 * y)), x, y, 0.25)
            }
            Scene::Heap => {
                let mut colour = a;
                for d in &self.discs {
                    let r = ((x - d.x).powi(2) + (y - d.y).powi(2)).sqrt() / d.r;
                    let shade = (1.05 - 0.75 * r * r + 0.35 * (y - d.y) / d.r).max(0.1);
                    colour = colour.mix(d.colour * shade, step(1.06, 0.92, r));
                }
                colour
            }
        }
    }

    fn with_discs(&self, mut colour: V3, x: f32, y: f32, opacity: f32) -> V3 {
        for d in &self.discs {
            let r = ((x - d.x).powi(2) + (y - d.y).powi(2)).sqrt() / d.r;
            colour = colour.mix(d.colour, opacity * step(1.1, 0.85, r));
        }
        colour
    }
}

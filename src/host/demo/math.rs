//! Vectors, a seeded generator and smooth noise: all the mathematics the renderer needs.

use crate::rng::Rng as SplitMix;
use core::ops::{Add, Mul, Neg, Sub};

/// A point, direction or linear RGB colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct V3(pub f32, pub f32, pub f32);

impl V3 {
    pub(super) fn dot(self, o: Self) -> f32 {
        self.0 * o.0 + self.1 * o.1 + self.2 * o.2
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }

    /// Component by component.
    pub(super) fn tint(self, o: Self) -> Self {
        Self(self.0 * o.0, self.1 * o.1, self.2 * o.2)
    }

    pub(super) fn mix(self, o: Self, t: f32) -> Self {
        self * (1.0 - t) + o * t
    }

    /// A colour given as sRGB `0xRRGGBB`, in linear light.
    pub(super) fn srgb(hex: u32) -> Self {
        let c = |shift: u32| {
            let v = ((hex >> shift) & 255) as f32 / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        Self(c(16), c(8), c(0))
    }
}

impl Add for V3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}

impl Sub for V3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self(self.0 - o.0, self.1 - o.1, self.2 - o.2)
    }
}

impl Mul<f32> for V3 {
    type Output = Self;
    fn mul(self, k: f32) -> Self {
        Self(self.0 * k, self.1 * k, self.2 * k)
    }
}

impl Neg for V3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

/// A rotation, as the images of the three axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn([V3; 3]);

impl Turn {
    /// First about y by `spin`, then about x by `tilt`, then about z by `roll`, in radians.
    pub(super) fn new(spin: f32, tilt: f32, roll: f32) -> Self {
        let (sy, cy) = spin.sin_cos();
        let (sx, cx) = tilt.sin_cos();
        let (sz, cz) = roll.sin_cos();
        let of = |v: V3| {
            let v = V3(cy * v.0 + sy * v.2, v.1, cy * v.2 - sy * v.0);
            let v = V3(v.0, cx * v.1 - sx * v.2, sx * v.1 + cx * v.2);
            V3(cz * v.0 - sz * v.1, sz * v.0 + cz * v.1, v.2)
        };
        Self([of(V3(1.0, 0.0, 0.0)), of(V3(0.0, 1.0, 0.0)), of(V3(0.0, 0.0, 1.0))])
    }

    pub(super) fn apply(&self, v: V3) -> V3 {
        self.0[0] * v.0 + self.0[1] * v.1 + self.0[2] * v.2
    }

    /// The inverse rotation.
    pub(super) fn undo(&self, v: V3) -> V3 {
        V3(self.0[0].dot(v), self.0[1].dot(v), self.0[2].dot(v))
    }
}

/// Random numbers of a scene.
#[derive(Clone, Debug)]
pub(super) struct Rng(SplitMix);

impl Rng {
    /// A generator for each combination of `keys`.
    pub(super) fn new(keys: [u64; 3]) -> Self {
        let mut state = 0;
        for k in keys {
            state = SplitMix::new(state).next_u64() ^ k.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        Self(SplitMix::new(state))
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform in [a, b).
    pub(super) fn range(&mut self, a: f32, b: f32) -> f32 {
        a + (b - a) * self.unit()
    }

    /// One of `0..n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f32) as usize).min(n.saturating_sub(1))
    }

    /// A random direction.
    pub(super) fn direction(&mut self) -> V3 {
        let y = self.range(-1.0, 1.0);
        let (s, c) = self.range(0.0, core::f32::consts::TAU).sin_cos();
        let r = (1.0 - y * y).max(0.0).sqrt();
        V3(r * c, y, r * s)
    }
}

/// A value in [0, 1) for each point of the integer lattice.
fn lattice(x: i32, y: i32, z: i32) -> f32 {
    let mut h = (x as u32)
        .wrapping_mul(0x8da6_b343)
        .wrapping_add((y as u32).wrapping_mul(0xd816_3841))
        .wrapping_add((z as u32).wrapping_mul(0xcb1a_b31f));
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1 << 24) as f32
}

/// Smooth value noise in [0, 1], features of about one unit.
pub(super) fn noise(p: V3) -> f32 {
    let cell = |v: f32| {
        let f = v.floor();
        let t = v - f;
        (f as i32, t * t * (3.0 - 2.0 * t))
    };
    let ((x, u), (y, v), (z, w)) = (cell(p.0), cell(p.1), cell(p.2));
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let edge = |y, z| mix(lattice(x, y, z), lattice(x.wrapping_add(1), y, z), u);
    let face = |z| mix(edge(y, z), edge(y.wrapping_add(1), z), v);
    mix(face(z), face(z.wrapping_add(1)), w)
}

/// Noise of several octaves in [0, 1].
pub(super) fn fbm(p: V3, octaves: u32) -> f32 {
    let (mut sum, mut total, mut amp, mut p) = (0.0, 0.0, 1.0, p);
    for _ in 0..octaves {
        sum += amp * noise(p);
        total += amp;
        amp *= 0.5;
        p = p * 2.03 + V3(17.1, 3.7, 9.2);
    }
    sum / total
}

/// 0 to 1 as `x` goes from `a` to `b`, smooth at both ends.
pub(super) fn step(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Distance to the nearest of one random point per unit cell, and a number in [0, 1) of that point.
pub(super) fn cells(p: V3) -> (f32, f32) {
    let (cx, cy, cz) = (p.0.floor() as i32, p.1.floor() as i32, p.2.floor() as i32);
    let mut best = (f32::INFINITY, 0.0);
    for dz in -1..=1 {
        for dy in -1..=1 {
            for dx in -1..=1 {
                let (x, y, z) = (cx.wrapping_add(dx), cy.wrapping_add(dy), cz.wrapping_add(dz));
                let r = |k: i32| lattice(x.wrapping_add(k), y.wrapping_sub(k), z ^ k);
                let q = V3(x as f32 + r(101), y as f32 + r(202), z as f32 + r(303));
                let d = (p - q).length();
                if d < best.0 {
                    best = (d, r(404));
                }
            }
        }
    }
    best
}

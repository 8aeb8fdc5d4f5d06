//! Fruit bodies as signed distances, stem axis up (y), about one unit in radius.

use super::math::{Rng, V3, step};
use alloc::{vec, vec::Vec};
use core::f32::consts::TAU;

/// What a point of the surface belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Skin,
    Stem,
    Leaf,
}

/// The fruit itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// One radius for each direction: most fruit.
    Round(Round),
    /// Two balls grown together.
    Pear,
    /// A bent tube with five edges.
    Banana,
    /// Berries on a bunch that narrows downwards.
    Bunch,
    /// Drupelets packed on a small cone.
    Drupelets,
    /// Two balls on long stems.
    Pair,
}

/// A body given by its radius in each direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// Radius at the equator and at the poles.
    pub(super) wide: f32,
    pub(super) tall: f32,
    /// Depth of the hollows around stem and flower end.
    pub(super) top: f32,
    pub(super) bottom: f32,
    /// Height of the tips at both ends (lemon).
    pub(super) tip: f32,
    /// How much narrower the lower half is.
    pub(super) taper: f32,
    /// Number and height of ribs.
    pub(super) ribs: (f32, f32),
    /// Depth of one seam from pole to pole (peach, plum).
    pub(super) seam: f32,
    /// Height of a ring around the flower end (blueberry).
    pub(super) ring: f32,
}

impl Round {
    /// A ball.
    pub(super) const BALL: Self = Self {
        wide: 0.9,
        tall: 0.9,
        top: 0.0,
        bottom: 0.0,
        tip: 0.0,
        taper: 0.0,
        ribs: (0.0, 0.0),
        seam: 0.0,
        ring: 0.0,
    };

    fn distance(&self, p: V3) -> f32 {
        let l = p.length().max(1e-6);
        let c = p.1 / l;
        let s = (1.0 - c * c).max(0.0).sqrt();
        let wide = self.wide * (1.0 + self.taper * c);
        let mut r = 1.0 / ((s / wide).powi(2) + (c / self.tall).powi(2)).sqrt();
        let near_pole = (-(s / 0.36).powi(2)).exp();
        let hollow = if c > 0.0 { self.top } else { self.bottom };
        r -= hollow * near_pole * step(0.0, 0.5, c.abs());
        if self.tip > 0.0 {
            r += self.tip * (-(s / 0.2).powi(2)).exp();
        }
        if self.ring > 0.0 && c > 0.0 {
            r += self.ring * ((-((s - 0.3) / 0.07).powi(2)).exp() - 0.8 * (-(s / 0.22).powi(2)).exp());
        }
        if self.ribs.1 > 0.0 || self.seam > 0.0 {
            let phi = p.2.atan2(p.0);
            r += self.ribs.1 * s * (self.ribs.0 * phi).cos();
            r -= self.seam * s * (-(phi / 0.16).powi(2)).exp();
        }
        (l - r) * 0.72
    }

    /// Height of the surface where the stem leaves it.
    fn stem_foot(&self) -> f32 {
        self.tall + self.tip - self.top
    }
}

/// Green parts on top.
#[derive(Clone, Copy, Debug)]
pub(super) struct Top {
    /// Length and thickness of the stem; none if the length is 0.
    pub(super) stem: (f32, f32),
    /// Number and length of sepals lying on the shoulder.
    pub(super) sepals: (u32, f32),
    /// Rows of leaves standing up (pineapple).
    pub(super) crown: u32,
    /// Whether a leaf may hang on the stem.
    pub(super) leaf: bool,
}

impl Top {
    pub(super) const NONE: Self = Self { stem: (0.0, 0.0), sepals: (0, 0.0), crown: 0, leaf: false };
}

/// One fruit: shape, green parts, and what chance gave it.
#[derive(Clone, Debug)]
pub(super) struct Body {
    shape: Shape,
    top: Top,
    /// Where the stem's foot and end are.
    foot: f32,
    end: V3,
    leaf: bool,
    berries: Vec<(V3, f32)>,
}

impl Body {
    /// A specimen of a kind: proportions vary by some per cent, stems bend, berries lie anyhow.
    pub(super) fn grow(shape: Shape, top: Top, rng: &mut Rng) -> Self {
        let shape = match shape {
            Shape::Round(r) => {
                let vary = |v: f32, rng: &mut Rng| v * rng.range(0.94, 1.06);
                Shape::Round(Round { wide: vary(r.wide, rng), tall: vary(r.tall, rng), ..r })
            }
            other => other,
        };
        let foot = match shape {
            Shape::Round(r) => r.stem_foot(),
            Shape::Pear => 0.74,
            Shape::Bunch => 0.75,
            Shape::Drupelets => 0.62,
            Shape::Banana | Shape::Pair => 0.0,
        };
        let bend = top.stem.0 * 0.45;
        let end = V3(rng.range(-bend, bend), foot + top.stem.0, rng.range(-bend, bend));
        let leaf = top.leaf && rng.unit() < 0.3;
        let berries = match shape {
            Shape::Bunch => bunch(rng),
            Shape::Drupelets => drupelets(rng),
            _ => Vec::new(),
        };
        Self { shape, top, foot, end, leaf, berries }
    }

    /// Distance to the surface (an underestimate) and the part that is nearest.
    pub(super) fn distance(&self, p: V3) -> (f32, Part) {
        let mut best = (self.skin(p), Part::Skin);
        let mut nearer = |d: f32, part: Part| {
            if d < best.0 {
                best = (d, part);
            }
        };
        if let Shape::Pair = self.shape {
            let top = V3(0.0, 1.05, 0.0);
            for x in [-0.45, 0.45] {
                nearer(capsule(p, V3(x, -0.1, 0.0), V3(x * 0.6, 0.6, 0.05), 0.025), Part::Stem);
                nearer(capsule(p, V3(x * 0.6, 0.6, 0.05), top, 0.028), Part::Stem);
            }
        }
        if self.top.stem.0 > 0.0 {
            let foot = V3(0.0, self.foot - 0.06, 0.0);
            nearer(capsule(p, foot, self.end, self.top.stem.1), Part::Stem);
            if self.leaf {
                let q = p - self.end - V3(0.36, 0.05, 0.05);
                let q = V3(0.96 * q.0 + 0.28 * q.1, 0.96 * q.1 - 0.28 * q.0 + 0.3 * q.0 * q.0, q.2);
                nearer(ellipsoid(q, V3(0.4, 0.03, 0.17)) * 0.8, Part::Leaf);
            }
        }
        let (sepals, length) = self.top.sepals;
        if sepals > 0 {
            let q = fold(p, sepals, 0.0) - V3(length * 0.55, self.foot + 0.03, 0.0);
            let q = V3(q.0, q.1 + 0.25 * q.0 + 0.5 * q.0 * q.0, q.2);
            nearer(ellipsoid(q, V3(length * 0.6, 0.035, length * 0.2)) * 0.8, Part::Leaf);
        }
        for row in 0..self.top.crown {
            let lift = row as f32 / self.top.crown as f32;
            let q = fold(p, 7 - row, row as f32 * 0.4) - V3(0.03, self.foot - 0.05, 0.0);
            let (s, c) = (0.5 + 0.85 * lift).sin_cos();
            let q = V3(c * q.0 + s * q.1, c * q.1 - s * q.0, q.2);
            let bent = V3(q.0 - 0.3, q.1 + 0.5 * (q.0 - 0.1).max(0.0).powi(2), q.2);
            nearer(ellipsoid(bent, V3(0.34, 0.03, 0.07)) * 0.75, Part::Leaf);
        }
        best
    }

    fn skin(&self, p: V3) -> f32 {
        match self.shape {
            Shape::Round(r) => r.distance(p),
            Shape::Pear => {
                let low = (p - V3(0.0, -0.3, 0.0)).length() - 0.64;
                let high = (p - V3(0.0, 0.44, 0.0)).length() - 0.31;
                join(low, high, 0.42)
            }
            Shape::Banana => banana(p),
            Shape::Bunch | Shape::Drupelets => {
                let mut d = f32::INFINITY;
                for (centre, r) in &self.berries {
                    d = d.min((p - *centre).length() - r);
                }
                d
            }
            Shape::Pair => {
                let one = |x: f32| {
                    let q = p - V3(x, -0.42, 0.0);
                    let heart = Round { wide: 0.42, tall: 0.41, top: 0.09, ..Round::BALL };
                    heart.distance(q)
                };
                one(-0.45).min(one(0.45))
            }
        }
    }
}

/// How far along the banana a point lies: −1 at the flower end, 1 at the stem.
pub(super) fn along_banana(p: V3) -> f32 {
    (p.0.atan2(1.0 - p.1) / 0.86).clamp(-1.2, 1.2)
}

fn banana(p: V3) -> f32 {
    let t = along_banana(p).clamp(-1.0, 1.16);
    let (s, c) = (t * 0.86).sin_cos();
    let e = V3(p.0 - 1.22 * s, p.1 - 1.0 + 1.22 * c, p.2);
    let out = e.0 * s - e.1 * c;
    let mut r = 0.25 * (1.0 - t.abs().min(1.0).powi(5)).sqrt().max(0.16);
    if t > 0.9 {
        r = r.max(0.065);
    }
    r *= 1.0 + 0.05 * (5.0 * e.2.atan2(out)).cos();
    (e.length() - r) * 0.8
}

fn bunch(rng: &mut Rng) -> Vec<(V3, f32)> {
    let mut all = Vec::new();
    for (row, count) in [(0, 5), (1, 7), (2, 6), (3, 4), (4, 1)] {
        let y = 0.55 - 0.34 * row as f32;
        let around = [0.42, 0.5, 0.42, 0.26, 0.0][row];
        let phase = rng.range(0.0, TAU);
        for k in 0..count {
            let (s, c) = (phase + TAU * k as f32 / count as f32).sin_cos();
            let j = V3(rng.range(-0.06, 0.06), rng.range(-0.06, 0.06), rng.range(-0.06, 0.06));
            all.push((V3(around * c, y, around * s) + j, rng.range(0.24, 0.29)));
        }
    }
    all
}

fn drupelets(rng: &mut Rng) -> Vec<(V3, f32)> {
    let mut all = vec![(V3(0.0, 0.1, 0.0), 0.55)];
    let phase = rng.range(0.0, TAU);
    let n = 46;
    for k in 0..n {
        let y = 1.0 - 2.0 * (k as f32 + 0.5) / n as f32;
        let (s, c) = (phase + 2.399_963 * k as f32).sin_cos();
        let ring = (1.0 - y * y).max(0.0).sqrt() * (0.62 + 0.1 * y);
        all.push((V3(ring * c, 0.75 * y, ring * s), rng.range(0.165, 0.195)));
    }
    all
}

/// Turns `p` about y into the first of `n` equal sectors, centred on +x.
fn fold(p: V3, n: u32, phase: f32) -> V3 {
    let sector = TAU / n.max(1) as f32;
    let a = p.2.atan2(p.0) + phase;
    let a = a - sector * (a / sector).round();
    let r = (p.0 * p.0 + p.2 * p.2).sqrt();
    V3(r * a.cos(), p.1, r * a.sin())
}

fn capsule(p: V3, a: V3, b: V3, r: f32) -> f32 {
    let (pa, ba) = (p - a, b - a);
    let t = (pa.dot(ba) / ba.dot(ba).max(1e-9)).clamp(0.0, 1.0);
    (pa - ba * t).length() - r
}

fn ellipsoid(p: V3, r: V3) -> f32 {
    let k0 = V3(p.0 / r.0, p.1 / r.1, p.2 / r.2).length();
    let k1 = V3(p.0 / (r.0 * r.0), p.1 / (r.1 * r.1), p.2 / (r.2 * r.2)).length();
    k0 * (k0 - 1.0) / k1.max(1e-6)
}

/// Union with a fillet of size `k`.
fn join(a: f32, b: f32, k: f32) -> f32 {
    let h = (0.5 + 0.5 * (b - a) / k).clamp(0.0, 1.0);
    b + (a - b) * h - k * h * (1.0 - h)
}

//! New points on a plane that is already there.

use crate::{
    Error, ErrorKind, Result, Stage,
    host::neighbors::{Neighbors, nearest},
    pca::Rows,
};
use alloc::{format, vec::Vec};
use rayon::prelude::*;

/// How new points are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaceOptions {
    /// Mapped neighbours each new point goes by; 15 unless set.
    pub neighbors: usize,
    /// Steps of gradient descent on t-SNE's cost afterwards, the mapped points held still. 0 unless
    /// set: the weighted mean alone. Each step looks at every mapped point.
    pub steps: usize,
}

impl Default for PlaceOptions {
    fn default() -> Self {
        Self { neighbors: 15, steps: 0 }
    }
}

/// Places each of `new` at the mean of its nearest `rows` on `plane`, `[n, 2]`, weighted as t-SNE
/// weighs neighbours; rows that are already mapped stay where they are.
///
/// ```
/// use fruitcore::{host::map::{PlaceOptions, place}, pca::Rows};
/// let (rows, plane) = ([0.0, 1.0, 9.0], [0.0, 0.0, 2.0, 0.0, 50.0, 50.0]);
/// let mut options = PlaceOptions::default();
/// options.neighbors = 2;
/// let at = place(Rows::new(&rows, 1)?, &plane, Rows::new(&[0.5, 9.0], 1)?, &options)?;
/// assert_eq!(at, [1.0, 0.0, 50.0, 50.0]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Shape`] if columns or points don't fit, [`ErrorKind::Insufficient`] without mapped
/// points, [`ErrorKind::NonFinite`] for NaN or infinity.
pub fn place(rows: Rows<'_>, plane: &[f32], new: Rows<'_>, options: &PlaceOptions) -> Result<Vec<f32>> {
    if plane.len() != 2 * rows.len() {
        let m = format!("{} coordinates for {} rows", plane.len(), rows.len());
        return Err(Error::new(ErrorKind::Shape, Stage::Classify, m));
    }
    let k = options.neighbors.max(1).min(rows.len());
    Ok(between(&nearest(rows, new, k)?, plane, options.steps))
}

/// Points between their neighbours on the plane.
pub(super) fn between(found: &Neighbors, plane: &[f32], steps: usize) -> Vec<f32> {
    let k = found.k();
    let placed: Vec<[f32; 2]> = found
        .indices()
        .par_chunks(k)
        .zip(found.distances().par_chunks(k))
        .map(|(near, distances)| {
            let weights = weights(distances);
            let mut at = [0f32; 2];
            for (j, w) in near.iter().zip(&weights) {
                let p = &plane[2 * *j as usize..2 * *j as usize + 2];
                at[0] += w * p[0];
                at[1] += w * p[1];
            }
            descend(at, near, &weights, plane, steps)
        })
        .collect();
    placed.concat()
}

/// Gaussian weights that sum to 1, their entropy that of a third of the neighbours; all of the weight
/// on rows that are equal.
fn weights(distances: &[f32]) -> Vec<f32> {
    let nearest = distances.first().copied().unwrap_or(0.0);
    // Beyond what can be squared all are as far.
    if nearest == 0.0 || nearest.is_infinite() || distances.len() == 1 {
        let same = distances.iter().filter(|d| **d == nearest).count().max(1) as f32;
        return distances.iter().map(|d| if *d == nearest { 1.0 / same } else { 0.0 }).collect();
    }
    let target = libm::log((distances.len() as f64 / 3.0).max(1.5));
    let gaussian = |beta: f64| -> (Vec<f64>, f64) {
        let square = |d: &f32| f64::from(*d) * f64::from(*d) - f64::from(nearest) * f64::from(nearest);
        let raw: Vec<f64> = distances.iter().map(|d| libm::exp(-beta * square(d))).collect();
        let sum: f64 = raw.iter().sum();
        let p: Vec<f64> = raw.into_iter().map(|w| w / sum).collect();
        let entropy = -p.iter().filter(|p| **p > 0.0).map(|p| p * libm::log(*p)).sum::<f64>();
        (p, entropy)
    };
    // More beta, less entropy: halve the interval in its logarithm.
    let scale = 1.0 / (f64::from(nearest) * f64::from(nearest));
    let (mut low, mut high) = (scale * 1e-9, scale * 1e9);
    for _ in 0..60 {
        let middle = libm::sqrt(low * high);
        if gaussian(middle).1 > target { low = middle } else { high = middle }
    }
    gaussian(libm::sqrt(low * high)).0.into_iter().map(|w| w as f32).collect()
}

/// Gradient descent of one point on Σ p log p/q, with q over all mapped points.
fn descend(mut at: [f32; 2], near: &[u32], weights: &[f32], plane: &[f32], steps: usize) -> [f32; 2] {
    for _ in 0..steps {
        let kernel = |p: &[f32]| {
            let (dx, dy) = (at[0] - p[0], at[1] - p[1]);
            (dx, dy, 1.0 / (1.0 + dx * dx + dy * dy))
        };
        let (mut sum, mut away) = (0f32, [0f32; 2]);
        for p in plane.chunks_exact(2) {
            let (dx, dy, w) = kernel(p);
            sum += w;
            away[0] += w * w * dx;
            away[1] += w * w * dy;
        }
        let mut step = [-away[0] / sum.max(1e-12), -away[1] / sum.max(1e-12)];
        for (j, weight) in near.iter().zip(weights) {
            let (dx, dy, w) = kernel(&plane[2 * *j as usize..2 * *j as usize + 2]);
            step[0] += weight * w * dx;
            step[1] += weight * w * dy;
        }
        at[0] -= step[0];
        at[1] -= step[1];
    }
    at
}

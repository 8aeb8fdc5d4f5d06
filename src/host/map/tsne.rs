//! t-SNE (van der Maaten & Hinton 2008) by `bhtsne`: Barnes-Hut for few rows,
//! FFT-accelerated interpolation for many; from exact neighbours and a PCA start.

use super::plane;
use crate::{
    Error, ErrorKind, Result, Stage,
    host::neighbors::{Neighbors, nearest_others},
    pca::Rows,
    rng::Rng,
};
use alloc::{format, string::String, vec::Vec};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

/// Up to so many rows one thread is quick enough that the result may be the same every time.
const ONE_THREAD: usize = 5000;
/// Up to so many rows a tree sums the repulsion, beyond them a grid.
const TREE: usize = 10_000;
/// Accuracy of the tree: cells seen under a smaller angle are one point.
const THETA: f32 = 0.5;
/// Attraction is so many times stronger in the first phase.
const EXAGGERATION: f32 = 12.0;
const MOMENTUM: f32 = 0.8;
/// Learning rates of the two phases, times n / exaggeration (Belkina et al., Nature Communications 10,
/// 2019). openTSNE takes 1 in both but lets the gain of a steady coordinate grow, which the engine caps
/// at 2: with 1 its maps stay behind, with these the cost ends below openTSNE's. The engine's own rate
/// is 1/4 and then 1/48 of n / exaggeration, which leaves thousands of rows far from done.
const RATES: [f32; 2] = [2.0, 4.0];
/// Up to so many rows a map is done with steps half as bold and better.
const FEW: usize = 2000;
/// Deviation of the first coordinate at the start, as openTSNE has it.
const START: f64 = 1e-4;

/// How t-SNE runs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TsneOptions {
    /// Effective number of neighbours; 30 unless set, at most a third of the rows.
    pub perplexity: f32,
    /// Steps of gradient descent, the first third of them (at most 250) exaggerated. 750 unless set.
    pub steps: usize,
    /// Seed of the small noise that tells equal rows apart.
    pub seed: u64,
    /// One thread, so that another start gives the same to the bit. Sums over threads depend on
    /// how the work happens to be split, and t-SNE amplifies rounding. Always so up to 5,000 rows.
    pub deterministic: bool,
}

impl Default for TsneOptions {
    fn default() -> Self {
        Self { perplexity: 30.0, steps: 750, seed: 0, deterministic: false }
    }
}

/// A fitted plane.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tsne {
    /// `[n, 2]`.
    pub points: Vec<f32>,
    /// The perplexity used.
    pub perplexity: f32,
    /// Whether one thread made it.
    pub deterministic: bool,
}

/// Fits a plane to rows; `progress` hears of each step.
///
/// # Errors
/// [`ErrorKind::Insufficient`] for fewer than 4 rows or rows that are all the same,
/// [`ErrorKind::InvalidArgument`] for a perplexity below 1 or no steps.
pub fn tsne(
    rows: Rows<'_>,
    options: &TsneOptions,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Tsne> {
    let n = rows.len();
    if !(options.perplexity >= 1.0 && options.perplexity.is_finite()) || options.steps == 0 {
        let m = format!("perplexity {} and {} steps make no map", options.perplexity, options.steps);
        return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
    }
    if n < 4 {
        let m = format!("t-SNE needs at least 4 rows, found {n}; use the method `pca`");
        return Err(insufficient(m));
    }
    let perplexity = options.perplexity.min(((n - 1) / 3) as f32);
    let all: Vec<usize> = (0..n).collect();
    let k = (3.0 * perplexity) as usize;
    let found = nearest_others(rows, &all, k)?;
    let neighbours = affinity_distances(&found);
    let start = start(rows, options.seed)?;
    let deterministic = options.deterministic || n <= ONE_THREAD;
    let indices: Vec<u32> = (0..n as u32).collect();
    let steps = options.steps;
    let rates = if n <= FEW { [1.0, 1.0] } else { RATES };
    let fit = || {
        let mut done = 0;
        let mut engine: bhtsne::tSNE<'_, f32, u32, 2> = bhtsne::tSNE::new(&indices);
        let exaggerated = (steps / 3).min(250);
        engine.perplexity(perplexity).momentum(MOMENTUM).final_momentum(MOMENTUM).epoch_callback(|_, _| {
            done += 1;
            progress(done, steps);
        });
        // The grid's size goes by the map's extent, not by its points: it pays for many.
        let tree = n <= TREE;
        // The engine keeps one rate for a fit, so each phase is a fit of its own.
        engine
            .early_exaggeration(EXAGGERATION)
            .stop_lying_epoch(usize::MAX)
            .epochs(exaggerated)
            .learning_rate(rates[0] * n as f32 / EXAGGERATION)
            .initial_embedding(start);
        match tree {
            true => engine.barnes_hut_with_neighbors(THETA, &neighbours),
            false => engine.fit_sne_with_neighbors(&neighbours),
        };
        let so_far = engine.embedding();
        engine
            .early_exaggeration(1.0)
            .stop_lying_epoch(0)
            .epochs(steps - exaggerated)
            .learning_rate(rates[1] * n as f32)
            .initial_embedding(so_far);
        // Affinities are there already: the engine asks for no distance.
        match tree {
            true => engine.barnes_hut(THETA, |_, _| f32::INFINITY),
            false => engine.fit_sne(|_, _| f32::INFINITY),
        };
        engine.embedding()
    };
    // The engine asserts what is checked above; a defect of it is no reason to lose the rest.
    let fitted = catch_unwind(AssertUnwindSafe(|| if deterministic { one_thread(fit) } else { Ok(fit()) }));
    let points = fitted.unwrap_or_else(|_| {
        let m = "t-SNE gave up on these rows; use the method `pca`, or another perplexity";
        Err(Error::new(ErrorKind::Unsupported, Stage::Classify, m))
    })?;
    if points.len() != 2 * n || !points.iter().all(|v| v.is_finite()) {
        let m = "t-SNE found no finite map; use the method `pca`, or another perplexity";
        return Err(Error::new(ErrorKind::NonFinite, Stage::Classify, m));
    }
    Ok(Tsne { points, perplexity, deterministic })
}

/// Neighbours with the distances affinities are made of: squares less the nearest's. That leaves the
/// affinities as they are and keeps exp(−β·d²) from vanishing in f32 where all are far.
fn affinity_distances(found: &Neighbors) -> Vec<Vec<bhtsne::Neighbor<f32>>> {
    let k = found.k();
    let rows = found.indices().chunks_exact(k).zip(found.distances().chunks_exact(k));
    rows.map(|(indices, distances)| {
        let nearest = distances.first().copied().unwrap_or(0.0);
        let beyond = |d: f32| libm::sqrtf(((d - nearest) * (d + nearest)).max(0.0));
        let pairs = indices.iter().zip(distances);
        pairs.map(|(i, d)| bhtsne::Neighbor { index: *i as usize, distance: beyond(*d) }).collect()
    })
    .collect()
}

/// Runs `fit` on one thread of its own.
fn one_thread<T: Send>(fit: impl FnOnce() -> T + Send) -> Result<T> {
    let failed = |e: rayon::ThreadPoolBuildError| {
        Error::new(ErrorKind::Io, Stage::Classify, format!("no thread: {e}")).because(e)
    };
    Ok(rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(failed)?.install(fit))
}

/// The first two principal components, small, with noise that tells equal rows apart.
fn start(rows: Rows<'_>, seed: u64) -> Result<Vec<f32>> {
    let mut points = plane(rows)?;
    let n = rows.len() as f64;
    let sum: f64 = points.iter().step_by(2).map(|x| f64::from(*x) * f64::from(*x)).sum();
    let deviation = libm::sqrt(sum / n);
    if deviation.is_nan() || deviation <= 0.0 {
        return Err(insufficient(String::from(
            "all rows are the same: there is nothing to map; check what they were made of",
        )));
    }
    let mut rng = Rng::new(seed);
    for p in &mut points {
        *p = (f64::from(*p) / deviation * START + (rng.unit() - 0.5) * START * 0.01) as f32;
    }
    Ok(points)
}

fn insufficient(message: String) -> Error {
    Error::new(ErrorKind::Insufficient, Stage::Classify, message)
}

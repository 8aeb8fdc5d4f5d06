//! Nearest neighbours of rows: exact as blocked matrix products, by a graph for many queries among many
//! points, by lists for very many among fewer.

mod graph;
mod inverted;

pub use graph::Graph;
pub use inverted::InvertedFile;

use crate::{
    Error, ErrorKind, Result, Stage,
    classify::distance::{centred, column_means, minus_twice_products, squared, squared_norm},
    pca::Rows,
};
use alloc::{format, vec, vec::Vec};
use pulp::Arch;
use rayon::prelude::*;

/// Queries and points of one product: both and the result stay in L2.
const QUERIES: usize = 64;
const POINTS: usize = 1024;
/// Up to so many queries are answered without products.
const FEW: usize = 16;
/// Points that one task looks at for them.
const SCANNED: usize = 16_384;
/// Squared norms beyond which differences of products overflow.
const LARGE: f32 = f32::MAX / 8.0;
/// Candidates beyond `k` that are ranked again by exact distances.
const SPARE: usize = 8;

/// The `k` nearest points of each query, nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbors {
    k: usize,
    indices: Vec<u32>,
    distances: Vec<f32>,
}

impl Neighbors {
    /// Neighbours of each query.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Point numbers, `[queries, k]`.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Euclidean distances, `[queries, k]`.
    pub fn distances(&self) -> &[f32] {
        &self.distances
    }

    /// The share of the true nearest of `points` that are among those found, looked for exactly for
    /// `sample` of the `queries`, evenly spread: what a graph or lists miss.
    ///
    /// ```
    /// use fruitcore::{host::neighbors::{Graph, nearest}, pca::Rows};
    /// let points: Vec<f32> = (0..400).map(|i| (i * i % 397) as f32).collect();
    /// let (points, queries) = (Rows::new(&points, 2)?, Rows::new(&points[..40], 2)?);
    /// assert_eq!(nearest(points, queries, 5)?.recall(points, queries, 20)?, 1.0);
    /// assert!(Graph::new(points)?.nearest(queries, 5)?.recall(points, queries, 20)? > 0.9);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`nearest`]; [`ErrorKind::Shape`] if these aren't the queries that were answered.
    pub fn recall(&self, points: Rows<'_>, queries: Rows<'_>, sample: usize) -> Result<f64> {
        let (n, d, k) = (queries.len(), queries.columns(), self.k);
        if self.indices.len() != n * k {
            let m = format!("{n} queries, but neighbours of {} were found", self.indices.len() / k.max(1));
            return Err(error(ErrorKind::Shape, m));
        }
        let sample = sample.clamp(1, n.max(1));
        let chosen: Vec<usize> = (0..sample.min(n)).map(|i| i * n / sample).collect();
        let values: Vec<f32> = chosen.iter().flat_map(|i| &queries.data()[i * d..][..d]).copied().collect();
        let exact = nearest(points, Rows::new(&values, d)?, k)?;
        let hits = chosen.iter().zip(exact.distances().chunks(k.max(1))).map(|(i, exact)| {
            // As far as the last of the true ones: equally near points serve as well.
            let most = exact.last().copied().unwrap_or_default() * (1.0 + 1e-6);
            self.distances[i * k..][..k].iter().filter(|distance| **distance <= most).count()
        });
        Ok(hits.sum::<usize>() as f64 / exact.distances().len().max(1) as f64)
    }
}

/// The `k` nearest of `points` for each of `queries`.
///
/// ```
/// use fruitcore::{host::neighbors::nearest, pca::Rows};
/// let points = [0.0, 10.0, 11.0, 30.0];
/// let found = nearest(Rows::new(&points, 1)?, Rows::new(&[12.0], 1)?, 2)?;
/// assert_eq!((found.indices(), found.distances()), (&[2, 1][..], &[1.0, 2.0][..]));
/// # Ok::<(), fruitcore::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Shape`] if the columns differ, [`ErrorKind::Insufficient`] for fewer than `k` points
/// or `k` = 0, [`ErrorKind::NonFinite`] for NaN or infinity.
pub fn nearest(points: Rows<'_>, queries: Rows<'_>, k: usize) -> Result<Neighbors> {
    search(points, queries, k, &|_| None)
}

/// The `k` nearest other points of each of `which` (indices of `points`).
///
/// # Errors
/// As [`nearest`]; `k` must be less than the number of points.
pub fn nearest_others(points: Rows<'_>, which: &[usize], k: usize) -> Result<Neighbors> {
    let d = points.columns();
    let mut queries = Vec::with_capacity(which.len() * d);
    for &i in which {
        if i >= points.len() {
            return Err(error(ErrorKind::Shape, format!("there is no row {i} among {}", points.len())));
        }
        queries.extend_from_slice(&points.data()[i * d..(i + 1) * d]);
    }
    if k >= points.len() {
        let m = format!("{k} neighbours need more than {k} points, found {}", points.len());
        return Err(error(ErrorKind::Insufficient, m));
    }
    search(points, Rows::new(&queries, d)?, k, &|query| which.get(query).copied())
}

fn search(
    points: Rows<'_>,
    queries: Rows<'_>,
    k: usize,
    skip: &(dyn Fn(usize) -> Option<usize> + Sync),
) -> Result<Neighbors> {
    if k == 0 || points.len() < k || u32::try_from(points.len()).is_err() {
        let m = format!("{k} neighbours can't be found among {} points", points.len());
        return Err(error(ErrorKind::Insufficient, m));
    }
    points.expect(queries.columns(), Stage::Classify)?;
    queries.expect(points.columns(), Stage::Classify)?;
    let d = points.columns();
    if queries.len() <= FEW {
        let found = queries.data().chunks_exact(d).enumerate();
        let found = found.flat_map(|(i, query)| scan(points, query, k, skip(i)));
        let (distances, indices) = found.map(|(d, i)| (libm::sqrtf(d), i)).unzip();
        return Ok(Neighbors { k, indices, distances });
    }
    // Distances by expansion lose digits far from the origin.
    let mean = column_means(points);
    let (p, q) = (centred(points, &mean), centred(queries, &mean));
    let norms: Vec<f32> = p.par_chunks(d).map(squared_norm).collect();
    let keep = (k + SPARE).min(points.len());
    // Where squares overflow, products rank nothing.
    let exact = |i: usize| scan(points, &queries.data()[i * d..(i + 1) * d], k, skip(i));
    let blocks: Vec<Vec<(f32, u32)>> = q
        .par_chunks(QUERIES * d)
        .enumerate()
        .map(|(block, rows)| block_nearest(block * QUERIES, rows, &p, &norms, d, k, keep, skip, &exact))
        .collect();
    let found = blocks.into_iter().flatten();
    let (distances, indices) = found.map(|(d, i)| (libm::sqrtf(d), i)).unzip();
    Ok(Neighbors { k, indices, distances })
}

/// The `k` nearest of one query, by differences: for a few, preparing the points for products takes
/// longer than looking at them.
fn scan(points: Rows<'_>, query: &[f32], k: usize, skip: Option<usize>) -> Vec<(f32, u32)> {
    let d = points.columns();
    let block = |(number, block): (usize, &[f32])| {
        let mut best: Vec<(f32, u32)> = Vec::with_capacity(2 * k);
        let mut worst = f32::INFINITY;
        Arch::new().dispatch(|| {
            for (i, point) in block.chunks_exact(d).enumerate() {
                let (index, distance) = (number * SCANNED + i, squared(query, point));
                if distance <= worst && skip != Some(index) {
                    best.push((distance, index as u32));
                    if best.len() == 2 * k {
                        worst = keep_least(&mut best, k);
                    }
                }
            }
        });
        best
    };
    let all = points.data().par_chunks(SCANNED * d).enumerate().map(block);
    let mut all = all.reduce(Vec::new, |mut a, b| {
        a.extend(b);
        if a.len() > 4 * k {
            keep_least(&mut a, k);
        }
        a
    });
    all.sort_unstable_by(order);
    all.truncate(k);
    all
}

/// Keeps the `keep` nearest, in any order; the distance of the farthest of them.
fn keep_least(best: &mut Vec<(f32, u32)>, keep: usize) -> f32 {
    best.select_nth_unstable_by(keep - 1, order);
    best.truncate(keep);
    best.iter().fold(f32::MIN, |worst, b| worst.max(b.0))
}

/// The `k` nearest of each of some queries; by `exact` for one whose distances overflow.
#[allow(clippy::too_many_arguments)]
fn block_nearest(
    first: usize,
    queries: &[f32],
    points: &[f32],
    norms: &[f32],
    d: usize,
    k: usize,
    keep: usize,
    skip: &(dyn Fn(usize) -> Option<usize> + Sync),
    exact: &(dyn Fn(usize) -> Vec<(f32, u32)> + Sync),
) -> Vec<(f32, u32)> {
    let m = queries.len() / d;
    let mut products = vec![0f32; m * POINTS];
    let mut best: Vec<Vec<(f32, u32)>> = vec![Vec::with_capacity(2 * keep); m];
    let mut worst = vec![f32::INFINITY; m];
    for (number, (block, norms)) in points.chunks(POINTS * d).zip(norms.chunks(POINTS)).enumerate() {
        let n = norms.len();
        let products = &mut products[..m * n];
        minus_twice_products(queries, block, d, products);
        for (i, row) in products.chunks_exact(n).enumerate() {
            let skipped = skip(first + i);
            for (j, (product, norm)) in row.iter().zip(norms).enumerate() {
                let distance = product + norm;
                let index = number * POINTS + j;
                if distance < worst[i] && skipped != Some(index) {
                    best[i].push((distance, index as u32));
                    if best[i].len() == 2 * keep {
                        worst[i] = keep_least(&mut best[i], keep);
                    }
                }
            }
        }
    }
    let mut found = Vec::with_capacity(m * k);
    for (i, (query, mut candidates)) in queries.chunks_exact(d).zip(best).enumerate() {
        if candidates.len() < k || squared_norm(query) > LARGE {
            found.extend(exact(first + i));
            continue;
        }
        candidates.sort_unstable_by(order);
        candidates.truncate(keep);
        for (distance, index) in &mut candidates {
            let at = *index as usize * d;
            *distance = squared(query, &points[at..at + d]);
        }
        candidates.sort_unstable_by(order);
        found.extend(candidates.into_iter().take(k));
    }
    found
}

fn order(a: &(f32, u32), b: &(f32, u32)) -> core::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

fn error(kind: ErrorKind, message: alloc::string::String) -> Error {
    Error::new(kind, Stage::Classify, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn equals_sorting_all_distances() {
        let mut rng = Rng::new(3);
        for (n, m, d, k) in
            [(5, 1, 3, 5), (40, 70, 7, 3), (2100, 5, 12, 20), (2100, 33, 12, 20), (20_000, 2, 3, 6)]
        {
            let mut draw = |c: usize| (0..c).map(|_| rng.unit() as f32 * 4.0 + 100.0).collect::<Vec<_>>();
            let (points, queries) = (draw(n * d), draw(m * d));
            let found = nearest(Rows::new(&points, d).unwrap(), Rows::new(&queries, d).unwrap(), k).unwrap();
            for (i, query) in queries.chunks(d).enumerate() {
                let far = |j: usize| -> f64 {
                    let row = &points[j * d..(j + 1) * d];
                    query.iter().zip(row).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
                };
                let mut all: Vec<(f64, usize)> = (0..n).map(|j| (far(j), j)).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0));
                for (j, (expected, _)) in all.iter().enumerate().take(k) {
                    let got = found.indices()[i * k + j] as usize;
                    assert!((far(got) - expected).abs() < 1e-3, "{n} {i} {j}");
                    assert!((f64::from(found.distances()[i * k + j]) - expected.sqrt()).abs() < 1e-3);
                }
            }
        }
    }

    #[test]
    fn values_whose_squares_overflow_have_neighbours_too() {
        // A fill value of climate data in one row, a column, all rows, and far ones of both signs.
        let fill = 9.97e36f32;
        let (n, d, k) = (80, 3, 5);
        type Which = fn(usize, usize) -> bool;
        let large: [(&str, Which); 4] = [
            ("a row", |i, _| i == 17),
            ("a column", |_, j| j == 1),
            ("some", |i, j| i.is_multiple_of(7) && j == 2),
            ("all", |_, _| true),
        ];
        for (what, large) in large {
            for factor in [fill, -fill, f32::MAX, 1e19] {
                let value = |i: usize, j: usize| {
                    let x = (i * 31 % 83 + j) as f32;
                    if large(i, j) { factor * if i.is_multiple_of(2) { 1.0 } else { 0.9 } } else { x }
                };
                let points: Vec<f32> = (0..n * d).map(|at| value(at / d, at % d)).collect();
                let rows = Rows::new(&points, d).unwrap();
                let all: Vec<usize> = (0..n).collect();
                let found = nearest_others(rows, &all, k).unwrap();
                assert_eq!((found.indices().len(), found.distances().len()), (n * k, n * k), "{what}");
                for (i, near) in found.indices().chunks(k).enumerate() {
                    assert!(!near.contains(&(i as u32)), "{what} {factor} {i}");
                    let mut once = near.to_vec();
                    once.sort_unstable();
                    once.dedup();
                    assert_eq!(once.len(), k, "{what} {factor} {i}");
                }
                assert!(found.distances().iter().all(|d| !d.is_nan()), "{what} {factor}");
            }
        }
    }

    #[test]
    fn a_point_is_not_its_own_neighbour() {
        let points = [1.0, 1.0, 1.0, 5.0];
        let rows = Rows::new(&points, 1).unwrap();
        let found = nearest_others(rows, &[1, 3], 2).unwrap();
        assert_eq!(found.indices(), [0, 2, 0, 1]);
        assert!(nearest_others(rows, &[0], 4).is_err());
        assert!(nearest_others(rows, &[9], 1).is_err());
        // Twice as many values are none again.
        let pairs = Rows::new(&points, 2).unwrap();
        let e = nearest_others(pairs, &[1 << (usize::BITS - 1)], 1).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Shape);
        assert!(nearest(rows, Rows::new(&[0.0, 1.0], 2).unwrap(), 1).is_err());
    }
}

//! Approximate nearest neighbours for very many queries.

use super::{Neighbors, QUERIES, error, keep_least, order};
use crate::{
    ErrorKind, Result, Stage,
    classify::{
        distance::{minus_twice_products, squared, squared_norm},
        kmeans::KMeans,
    },
    pca::Rows,
};
use alloc::{format, vec, vec::Vec};
use pulp::Arch;
use rayon::prelude::*;

/// An inverted file (Sivic & Zisserman 2003; Jégou et al. 2011): points in lists by the nearest of about √n
/// centres. A query looks through the lists of the centres nearest to it only, so it may miss neighbours
/// just across a border. Worth its centres for many times more queries than points; else
/// [`nearest`](super::nearest) is exact and as fast.
///
/// ```
/// use fruitcore::{host::neighbors::InvertedFile, pca::Rows};
/// let points: Vec<f32> = (0..1000).map(|i| i as f32).collect();
/// let index = InvertedFile::new(Rows::new(&points, 1)?, 7)?;
/// let found = index.nearest(Rows::new(&[500.2], 1)?, 2, 4)?;
/// assert_eq!(found.indices(), [500, 501]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct InvertedFile {
    columns: usize,
    /// `[lists, columns]` and their squared norms.
    centres: Vec<f32>,
    norms: Vec<f32>,
    /// Where each list begins, and the end of the last.
    starts: Vec<usize>,
    /// Points' numbers, list after list, and their rows.
    members: Vec<u32>,
    rows: Vec<f32>,
}

impl InvertedFile {
    /// Sorts `points` into lists; `seed` decides the centres.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] without points or for more than 2³², [`ErrorKind::NonFinite`] for NaN or
    /// infinity.
    pub fn new(points: Rows<'_>, seed: u64) -> Result<Self> {
        let (n, d) = (points.len(), points.columns());
        if n == 0 || u32::try_from(n).is_err() {
            return Err(error(ErrorKind::Insufficient, format!("{n} points can't be sorted into lists")));
        }
        let lists = (libm::sqrt(n as f64) as usize).max(1);
        // Borders need no care: a few steps from good seeds will do.
        let found = KMeans::new(lists).seed(seed).restarts(1).breathing(0).max_iterations(8).fit(points)?;
        let mut starts = vec![0; lists + 1];
        for label in found.labels() {
            starts[*label as usize + 1] += 1;
        }
        for i in 0..lists {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut members = vec![0; n];
        for (point, label) in (0u32..).zip(found.labels()) {
            let at = &mut next[*label as usize];
            members[*at] = point;
            *at += 1;
        }
        let rows = members.iter().flat_map(|i| &points.data()[*i as usize * d..][..d]).copied().collect();
        let centres = found.centroids().to_vec();
        let norms = centres.chunks_exact(d).map(squared_norm).collect();
        Ok(Self { columns: d, centres, norms, starts, members, rows })
    }

    /// How many lists there are.
    pub fn lists(&self) -> usize {
        self.norms.len()
    }

    /// The `k` nearest points of each of `queries` among those in the `probes` nearest lists, and in as many
    /// more as it takes to find `k`. With as many probes as lists they are exact.
    ///
    /// # Errors
    /// As [`nearest`](super::nearest).
    pub fn nearest(&self, queries: Rows<'_>, k: usize, probes: usize) -> Result<Neighbors> {
        if k == 0 || self.members.len() < k {
            let m = format!("{k} neighbours can't be found among {} points", self.members.len());
            return Err(error(ErrorKind::Insufficient, m));
        }
        queries.expect(self.columns, Stage::Classify)?;
        let blocks: Vec<Vec<(f32, u32)>> = queries
            .data()
            .par_chunks(QUERIES * self.columns)
            .map(|block| self.block(block, k, probes.clamp(1, self.lists())))
            .collect();
        let found = blocks.into_iter().flatten();
        let (distances, indices) = found.map(|(d, i)| (libm::sqrtf(d), i)).unzip();
        Ok(Neighbors { k, indices, distances })
    }

    fn block(&self, queries: &[f32], k: usize, probes: usize) -> Vec<(f32, u32)> {
        let (d, lists) = (self.columns, self.lists());
        let mut products = vec![0.0; queries.len() / d * lists];
        minus_twice_products(queries, &self.centres, d, &mut products);
        let mut found = Vec::with_capacity(queries.len() / d * k);
        let mut near: Vec<(f32, u32)> = Vec::with_capacity(lists);
        let mut best: Vec<(f32, u32)> = Vec::with_capacity(2 * k);
        for (query, products) in queries.chunks_exact(d).zip(products.chunks_exact(lists)) {
            near.clear();
            near.extend(products.iter().zip(&self.norms).zip(0u32..).map(|((p, n), i)| (p + n, i)));
            if probes < lists {
                near.select_nth_unstable_by(probes - 1, order);
            }
            best.clear();
            self.scan(query, near[..probes].iter().map(|n| n.1), k, &mut best);
            if best.len() < k {
                near[probes..].sort_unstable_by(order);
                for list in &near[probes..] {
                    self.scan(query, core::iter::once(list.1), k, &mut best);
                    if best.len() >= k {
                        break;
                    }
                }
            }
            best.sort_unstable_by(order);
            found.extend_from_slice(&best[..k]);
        }
        found
    }

    /// Adds the points of some lists to the `k` to `2·k` best.
    fn scan(&self, query: &[f32], lists: impl Iterator<Item = u32>, k: usize, best: &mut Vec<(f32, u32)>) {
        let d = self.columns;
        let mut worst = f32::INFINITY;
        Arch::new().dispatch(|| {
            for list in lists {
                let [from, to] = [self.starts[list as usize], self.starts[list as usize + 1]];
                for (row, point) in self.rows[from * d..to * d].chunks_exact(d).zip(&self.members[from..to]) {
                    let distance = squared(query, row);
                    if distance <= worst {
                        best.push((distance, *point));
                        if best.len() == 2 * k {
                            worst = keep_least(best, k);
                        }
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{host::neighbors::nearest, rng::Rng};

    #[test]
    fn finds_nearly_all_and_with_every_list_all() {
        let mut rng = Rng::new(5);
        let (n, m, d, k) = (4000, 300, 10, 12);
        let means: Vec<f32> = (0..20 * d).map(|_| rng.unit() as f32 * 6.0).collect();
        let mut draw = |count: usize| -> Vec<f32> {
            let mut rows = Vec::with_capacity(count * d);
            for _ in 0..count {
                let mean = rng.below(20);
                rows.extend(means[mean * d..][..d].iter().map(|c| c + rng.unit() as f32));
            }
            rows
        };
        let (points, queries) = (draw(n), draw(m));
        let (points, queries) = (Rows::new(&points, d).unwrap(), Rows::new(&queries, d).unwrap());
        let exact = nearest(points, queries, k).unwrap();
        let index = InvertedFile::new(points, 1).unwrap();
        assert_eq!(index.lists(), 63);
        assert_eq!(index.nearest(queries, k, 63).unwrap().indices(), exact.indices());
        let some = index.nearest(queries, k, 8).unwrap();
        let both = |a: &[u32], b: &[u32]| a.iter().filter(|i| b.contains(i)).count();
        let right = some.indices().chunks(k).zip(exact.indices().chunks(k)).map(|(a, b)| both(a, b));
        let recall = right.sum::<usize>() as f64 / (m * k) as f64;
        assert!(recall > 0.9 && recall <= 1.0, "{recall}");
        // More than a list holds.
        assert_eq!(index.nearest(queries, 1000, 1).unwrap().indices().len(), m * 1000);
    }

    #[test]
    fn equal_points_and_bad_input() {
        let same = [1.0; 50];
        let index = InvertedFile::new(Rows::new(&same, 1).unwrap(), 0).unwrap();
        let found = index.nearest(Rows::new(&[1.0, 2.0], 1).unwrap(), 3, 1).unwrap();
        assert_eq!(found.distances(), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert!(index.nearest(Rows::new(&[1.0], 1).unwrap(), 51, 1).is_err());
        assert!(index.nearest(Rows::new(&[1.0, 2.0], 2).unwrap(), 1, 1).is_err());
        assert!(index.nearest(Rows::new(&[f32::NAN], 1).unwrap(), 1, 1).is_err());
        assert!(InvertedFile::new(Rows::new(&[], 3).unwrap(), 0).is_err());
    }
}

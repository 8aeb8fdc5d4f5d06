//! Approximate nearest neighbours of many queries among many points, by a graph.

use super::{Neighbors, error, nearest};
use crate::{Error, ErrorKind, Result, Stage, classify::distance::column_means, pca::Rows};
use alloc::{format, vec::Vec};
use diskann::{
    ANNError,
    graph::{
        DiskANNIndex,
        config::{Builder, MaxDegree as Slack},
        search::Knn,
    },
    neighbor::Neighbor,
};
use diskann_inmem::{
    Context, Provider, Strategy,
    num::{Capacity, MaxDegree},
    repr::{Full, full::Config},
};
use diskann_utils::views::rowmajor::Owned;
use diskann_vector::distance::Metric;
use futures::executor::block_on;
use rayon::prelude::*;

/// Edges of a point after pruning, and at most.
const DEGREE: usize = 48;
const MOST: usize = DEGREE * 13 / 10;
/// Candidates kept while a point is linked, and at least while one is looked for.
const LINKED: usize = 128;
const SOUGHT: usize = 64;

/// A graph from each point to some near and some far ones, on which a search walks towards its query:
/// DiskANN's, by the crate of that name (Subramanya et al., "DiskANN: Fast Accurate Billion-point Nearest
/// Neighbor Search on a Single Node", 2019).
///
/// A query takes fractions of a millisecond however many points there are, but may miss neighbours; linking
/// a point takes as long as some queries. So it is worth building for a service that keeps it, or for about
/// as many queries as a tenth of the points; else [`nearest`] is exact and as fast. Threads link points at the same time: which
/// neighbours are missed may differ from one graph of the same points to the next.
///
/// ```
/// use fruitcore::{host::neighbors::Graph, pca::Rows};
/// let points: Vec<f32> = (0..1000).map(|i| (i as f32).sqrt()).collect();
/// let points = Rows::new(&points, 1)?;
/// let graph = Graph::new(points)?;
/// let found = graph.nearest(Rows::new(&[20.01], 1)?, 2)?;
/// assert_eq!(found.indices(), [400, 401]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct Graph<'a> {
    points: Rows<'a>,
    index: DiskANNIndex<Provider<Full<f32>, u32>>,
}

impl<'a> Graph<'a> {
    /// Links the points, on all threads of rayon's pool.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] without points or for 2³² of them, [`ErrorKind::NonFinite`] for NaN or
    /// infinity, [`ErrorKind::Unsupported`] for what the graph refuses.
    pub fn new(points: Rows<'a>) -> Result<Self> {
        let (n, d) = (points.len(), points.columns());
        if n == 0 || u32::try_from(n).is_err() {
            return Err(error(ErrorKind::Insufficient, format!("{n} points can't be linked")));
        }
        points.expect(d, Stage::Classify)?;
        // Every walk begins near the middle.
        let start = Owned::row_vector(column_means(points).iter().map(|m| *m as f32).collect());
        let config = Config::new(Capacity::new(n), MaxDegree::new(MOST), Metric::L2, start);
        let provider = Provider::new(config.map_err(|e| refused(&e))?).map_err(|e| failed(&e))?;
        let config = Builder::new(DEGREE, Slack::new(MOST), LINKED, Metric::L2.into()).build();
        let index = DiskANNIndex::new(config.map_err(|e| refused(&e))?, provider, None);
        let rows: Vec<(u32, &[f32])> = (0u32..).zip(points.data().chunks_exact(d)).collect();
        rows.into_par_iter().try_for_each(|(i, row)| {
            block_on(index.insert(&Strategy, &Context, &i, row)).map_err(|e| failed(&e))
        })?;
        Ok(Self { points, index })
    }

    /// Points in it.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Never: a graph has points.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// `k` near points of each query, nearest first; nearly always the nearest.
    ///
    /// # Errors
    /// As [`nearest`].
    pub fn nearest(&self, queries: Rows<'_>, k: usize) -> Result<Neighbors> {
        if k == 0 || self.points.len() < k {
            let m = format!("{k} neighbours can't be found among {} points", self.points.len());
            return Err(error(ErrorKind::Insufficient, m));
        }
        queries.expect(self.points.columns(), Stage::Classify)?;
        let sought = Knn::new_default(SOUGHT.max(2 * k)).map_err(|e| refused(&e))?;
        let one = |query: &[f32]| -> Result<Vec<(f32, u32)>> {
            let mut found: Vec<Neighbor<u32>> = Vec::with_capacity(SOUGHT.max(2 * k));
            block_on(self.index.search(sought, &Strategy, &Context, query, &mut found))
                .map_err(|e| failed(&e))?;
            if found.len() < k {
                // Walks can end early in small or degenerate graphs.
                let exact = nearest(self.points, Rows::new(query, query.len())?, k)?;
                return Ok(exact.distances.into_iter().zip(exact.indices).collect());
            }
            found.truncate(k);
            Ok(found.iter().map(|n| (libm::sqrtf(n.distance().max(0.0)), *n.id())).collect())
        };
        let rows: Vec<_> = queries.data().par_chunks(queries.columns()).map(one).collect::<Result<_>>()?;
        let (distances, indices) = rows.into_iter().flatten().unzip();
        Ok(Neighbors { k, indices, distances })
    }
}

fn failed(e: &ANNError) -> Error {
    error(ErrorKind::Unsupported, format!("the graph of neighbours failed: {e}; search without it"))
}

fn refused(e: &dyn core::fmt::Display) -> Error {
    error(ErrorKind::Unsupported, format!("no graph of neighbours for these points: {e}; search without it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn cloud(n: usize, d: usize, seed: u64) -> Vec<f32> {
        let mut s = seed | 1;
        (0..n * d)
            .map(|i| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                let x = (s >> 40) as f32 / (1 << 24) as f32;
                // Ten clusters, each column half as wide as the one before.
                (x + 3.0 * (i / d % 10 * (i % d + 1) % 7) as f32) / (1 << (i % d)) as f32
            })
            .collect()
    }

    #[test]
    fn nearly_all_neighbours_are_found() {
        let (n, d, k) = (4000, 8, 10);
        let (points, queries) = (cloud(n, d, 3), cloud(300, d, 9));
        let (points, queries) = (Rows::new(&points, d).unwrap(), Rows::new(&queries, d).unwrap());
        let graph = Graph::new(points).unwrap();
        assert_eq!((graph.len(), graph.is_empty()), (n, false));
        let (found, exact) = (graph.nearest(queries, k).unwrap(), nearest(points, queries, k).unwrap());
        let rows = || found.indices().chunks(k).zip(exact.indices().chunks(k));
        let hits: usize = rows().map(|(f, e)| f.iter().filter(|i| e.contains(i)).count()).sum();
        assert!(hits >= 300 * k * 97 / 100, "{hits} of {}", 300 * k);
        for (f, e) in found.distances().chunks(k).zip(exact.distances().chunks(k)) {
            assert!(f.windows(2).all(|w| w[0] <= w[1]) && f[0] >= e[0] - 1e-4);
        }
    }

    #[test]
    fn few_points_and_equal_ones() {
        for points in [vec![1.0f32; 40], vec![0.0; 2]] {
            let rows = Rows::new(&points, 2).unwrap();
            let graph = Graph::new(rows).unwrap();
            let found = graph.nearest(Rows::new(&[1.0, 1.0], 2).unwrap(), rows.len()).unwrap();
            let mut indices = found.indices().to_vec();
            indices.sort_unstable();
            assert!(indices.iter().copied().eq(0..rows.len() as u32), "{indices:?}");
        }
    }

    #[test]
    fn bad_input() {
        let points = [1.0f32, 2.0, 3.0, 4.0];
        let graph = Graph::new(Rows::new(&points, 2).unwrap()).unwrap();
        let kind = |queries: &[f32], d, k| {
            graph.nearest(Rows::new(queries, d).unwrap(), k).map(|_| ()).unwrap_err().kind()
        };
        assert_eq!(kind(&[1.0, 2.0], 2, 3), ErrorKind::Insufficient);
        assert_eq!(kind(&[1.0, 2.0], 2, 0), ErrorKind::Insufficient);
        assert_eq!(kind(&[1.0], 1, 1), ErrorKind::Shape);
        assert_eq!(kind(&[1.0, f32::NAN], 2, 1), ErrorKind::NonFinite);
        let new = |points: &[f32]| Graph::new(Rows::new(points, 2).unwrap()).map(|_| ()).unwrap_err().kind();
        assert_eq!((new(&[]), new(&[1.0, f32::INFINITY])), (ErrorKind::Insufficient, ErrorKind::NonFinite));
    }
}

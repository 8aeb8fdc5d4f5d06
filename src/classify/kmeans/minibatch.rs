//! Mini-batch k-means (Sculley 2010) for rows that pass by once.

use super::{Clusters, KMeans, check, error, finite};
use crate::{
    ErrorKind, Result,
    classify::distance::{BLOCK, Centres},
    pca::Rows,
};
use alloc::{format, vec::Vec};

/// Rows gathered before the first centres are drawn, a cluster.
const START_ROWS: usize = 16;

/// k-means over a stream: each batch pulls the centres it is nearest to, less and less.
///
/// The first rows (16 a cluster) are gathered and clustered in full, or clusters of a sample are gone
/// on from, which rows sorted by class need; every further row moves its centre by
/// 1 / (rows the centre has seen). Memory is O(k·d), whatever the length of the stream.
///
/// ```
/// use fruitcore::{classify::kmeans::MiniBatchKMeans, pca::Rows};
/// let mut stream = MiniBatchKMeans::new(2, 1, 7)?;
/// for i in 0..100u8 {
///     let x = f32::from(i % 2) * 10.0 + f32::from(i % 5) * 0.01;
///     stream.partial_fit(Rows::new(&[x], 1)?)?;
/// }
/// let mut centres = stream.centroids()?;
/// centres.sort_by(f32::total_cmp);
/// assert!((centres[0] - 0.02).abs() < 0.01 && (centres[1] - 10.02).abs() < 0.01);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MiniBatchKMeans {
    k: usize,
    columns: usize,
    seed: u64,
    start: Vec<f32>,
    centroids: Vec<f32>,
    counts: Vec<u64>,
}

impl MiniBatchKMeans {
    /// `k` clusters of rows with `columns` values.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if either is zero.
    pub fn new(k: usize, columns: usize, seed: u64) -> Result<Self> {
        if k == 0 || columns == 0 || u32::try_from(k).is_err() {
            let m = format!("{k} clusters of {columns} columns are not possible");
            return Err(error(ErrorKind::InvalidArgument, m));
        }
        Ok(Self { k, columns, seed, start: Vec::new(), centroids: Vec::new(), counts: Vec::new() })
    }

    /// Goes on from clusters, as of a sample of the stream.
    pub fn from_clusters(clusters: &Clusters) -> Self {
        let d = clusters.columns;
        Self {
            k: clusters.centroids.len() / d,
            columns: d,
            seed: 0,
            start: Vec::new(),
            centroids: clusters.centroids.clone(),
            counts: clusters.sizes(),
        }
    }

    /// Learns from a batch of any size.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for other columns, [`ErrorKind::NonFinite`] for NaN, infinity or values too large
    /// to square; the state is then unchanged.
    pub fn partial_fit(&mut self, rows: Rows<'_>) -> Result<()> {
        if rows.columns() != self.columns {
            let m = format!("expected rows of {}, found {}", self.columns, rows.columns());
            return Err(error(ErrorKind::Shape, m));
        }
        if !rows.is_empty() {
            check(1, rows)?;
        }
        if !self.centroids.is_empty() {
            self.pull(rows.data());
            return Ok(());
        }
        self.start.extend_from_slice(rows.data());
        if self.start.len() >= self.k.saturating_mul(START_ROWS).saturating_mul(self.columns) {
            (self.centroids, self.counts) = self.begin()?;
            self.start = Vec::new();
        }
        Ok(())
    }

    /// The centres so far, `[k, d]`.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] while fewer rows than clusters were seen.
    pub fn centroids(&self) -> Result<Vec<f32>> {
        if self.centroids.is_empty() { Ok(self.begin()?.0) } else { Ok(self.centroids.clone()) }
    }

    /// The nearest centre of each row, and their squared distances' sum.
    ///
    /// # Errors
    /// As [`Clusters::assign`] and [`MiniBatchKMeans::centroids`].
    pub fn assign(&self, rows: Rows<'_>, labels: &mut [u32]) -> Result<f64> {
        finite(rows)?;
        super::assign(&self.centroids()?, self.columns, rows, labels)
    }

    fn begin(&self) -> Result<(Vec<f32>, Vec<u64>)> {
        let rows = Rows::new(&self.start, self.columns)?;
        let first: Clusters = KMeans::new(self.k).seed(self.seed).restarts(3).fit(rows)?;
        let counts = first.sizes();
        Ok((first.centroids, counts))
    }

    fn pull(&mut self, rows: &[f32]) {
        let d = self.columns;
        let mut centres = Centres::new(&self.centroids, d);
        let mut labels = [0usize; BLOCK];
        for block in rows.chunks(BLOCK * d) {
            centres.nearest(&self.centroids, block, |i, found| labels[i] = found.index);
            for (row, &label) in block.chunks_exact(d).zip(&labels) {
                self.counts[label] += 1;
                let rate = 1.0 / self.counts[label] as f32;
                let centre = &mut self.centroids[label * d..(label + 1) * d];
                centre.iter_mut().zip(row).for_each(|(c, v)| *c += rate * (v - *c));
            }
            centres.refresh(&self.centroids);
        }
    }
}

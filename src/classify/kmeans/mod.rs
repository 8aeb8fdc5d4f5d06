//! k-means: greedy k-means++ seeding, Lloyd's iteration with bounds for groups of centres, restarts;
//! and a mini-batch form for data that doesn't fit in memory.

mod breathe;
mod lanes;
mod lloyd;
mod minibatch;
mod seeding;

pub use minibatch::MiniBatchKMeans;

use super::distance::{BLOCK, Centres, centred, column_means};
use crate::{Error, ErrorKind, Result, Stage, pca::Rows, rng::Rng};
use alloc::{format, string::String, vec, vec::Vec};
use lloyd::Start;

/// Rows that one task assigns.
const TASK: usize = 16 * BLOCK;
/// Starts that are improved by breathing.
const BREATHING: usize = 2;

/// How the first centres are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Seeding {
    /// k-means++ (Arthur & Vassilvitskii 2007): each further centre by its squared distance.
    PlusPlus,
    /// k-means++ that draws 2 + ⌊ln k⌋ candidates for each centre and keeps the one that lowers
    /// the inertia most, as scikit-learn does.
    Greedy,
}

/// Configuration of a k-means fit; deterministic for a seed.
///
/// ```
/// use fruitcore::{classify::kmeans::KMeans, pca::Rows};
/// let points = [0.0, 0.0, 0.1, 0.0, 9.0, 9.0, 9.1, 9.0];
/// let clusters = KMeans::new(2).seed(1).fit(Rows::new(&points, 2)?)?;
/// assert_eq!(clusters.labels()[0], clusters.labels()[1]);
/// assert_ne!(clusters.labels()[0], clusters.labels()[2]);
/// assert!((clusters.inertia() - 0.01).abs() < 1e-4);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KMeans {
    k: usize,
    seed: u64,
    restarts: usize,
    max_iterations: usize,
    tolerance: f64,
    seeding: Seeding,
    breaths: usize,
}

/// Fitted clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    columns: usize,
    centroids: Vec<f32>,
    labels: Vec<u32>,
    inertia: f64,
    iterations: usize,
}

impl KMeans {
    /// `k` clusters; six starts of at most 300 iterations each, greedy seeding, seed 0, breaths of five
    /// centres.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            seed: 0,
            restarts: 6,
            max_iterations: 300,
            tolerance: 1e-4,
            seeding: Seeding::Greedy,
            breaths: 5,
        }
    }

    /// Seed of every random choice.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Independent starts, of which the two with the least inertia are gone on with; at least one.
    #[must_use]
    pub fn restarts(mut self, n: usize) -> Self {
        self.restarts = n.max(1);
        self
    }

    /// Lloyd iterations a start; at least one.
    #[must_use]
    pub fn max_iterations(mut self, n: usize) -> Self {
        self.max_iterations = n.max(1);
        self
    }

    /// Stops once the centres' squared movement falls below this fraction of the data's mean
    /// column variance.
    #[must_use]
    pub fn tolerance(mut self, fraction: f64) -> Self {
        self.tolerance = fraction;
        self
    }

    /// How first centres are drawn.
    #[must_use]
    pub fn seeding(mut self, seeding: Seeding) -> Self {
        self.seeding = seeding;
        self
    }

    /// Breathes (Fritzke, *The breathing k-means algorithm*, arXiv 2006.15666) after the two best starts:
    /// adds so many centres where the error is largest, iterates, takes as many away where they are
    /// missed least, iterates again, and keeps what is better; with ever fewer centres. Finds what
    /// restarts rarely do. 0 leaves Lloyd's result as it is.
    #[must_use]
    pub fn breathing(mut self, centres: usize) -> Self {
        self.breaths = centres;
        self
    }

    /// Clusters `[n, d]` rows. With feature `rayon` the restarts run in parallel; the result is the
    /// same.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for `k` = 0, [`ErrorKind::Insufficient`] for fewer rows than
    /// clusters, [`ErrorKind::NonFinite`] for NaN, infinity or values too large to square.
    pub fn fit(&self, rows: Rows<'_>) -> Result<Clusters> {
        check(self.k, rows)?;
        let (n, d) = (rows.len(), rows.columns());
        // Distances by expansion lose digits far from the origin: cluster centred data.
        let mean = column_means(rows);
        let centred = centred(rows, &mean);
        let variance = centred.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / (n * d) as f64;
        let stop = self.tolerance * variance;
        let start = |i: usize| {
            let mut rng = Rng::new(self.seed ^ (i as u64).wrapping_mul(0xA24B_AED4_963E_E407));
            let first = seeding::draw(self.seeding, &centred, d, self.k, &mut rng);
            lloyd::iterate(&centred, d, &first, self.max_iterations, stop)
        };
        #[cfg(feature = "rayon")]
        let mut starts: Vec<Start> = {
            use rayon::prelude::*;
            (0..self.restarts).into_par_iter().map(start).collect()
        };
        #[cfg(not(feature = "rayon"))]
        let mut starts: Vec<Start> = (0..self.restarts).map(start).collect();
        starts.sort_by(|a, b| a.inertia.total_cmp(&b.inertia));
        let again = |first: &[f32]| lloyd::iterate(&centred, d, first, self.max_iterations, stop);
        let breathe = |(i, start): (u64, Start)| {
            breathe::breathe(&centred, d, start, self.breaths, &mut Rng::new(!self.seed ^ (i << 32)), &again)
        };
        // The second best start may lie in the better valley.
        let best = (0u64..).zip(starts).take(BREATHING).map(breathe);
        let best = best.min_by(|a, b| a.inertia.total_cmp(&b.inertia));
        let none = || error(ErrorKind::InvalidArgument, "no restart was asked".into());
        let best = best.ok_or_else(none)?;
        let Start { mut centroids, iterations, .. } = best;
        // Labels and inertia of the final centres, without bounds.
        let mut labels = vec![0; n];
        let inertia = assign(&centroids, d, Rows::new(&centred, d)?, &mut labels)?;
        for centroid in centroids.chunks_exact_mut(d) {
            centroid.iter_mut().zip(&mean).for_each(|(c, m)| *c = (f64::from(*c) + m) as f32);
        }
        Ok(Clusters { columns: d, centroids, labels, inertia, iterations })
    }
}

impl Clusters {
    /// Centres, `[k, d]` row-major.
    pub fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    /// The cluster of each fitted row.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Fitted rows of each cluster.
    pub fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![0; self.centroids.len() / self.columns];
        for &label in &self.labels {
            if let Some(size) = sizes.get_mut(label as usize) {
                *size += 1;
            }
        }
        sizes
    }

    /// Sum of squared distances of the rows to their centres.
    pub fn inertia(&self) -> f64 {
        self.inertia
    }

    /// Iterations of the start that was kept, and of its breaths.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// The nearest centre of each further row, and their squared distances' sum.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for other columns or another length of `labels`, [`ErrorKind::NonFinite`] as
    /// [`KMeans::fit`].
    pub fn assign(&self, rows: Rows<'_>, labels: &mut [u32]) -> Result<f64> {
        finite(rows)?;
        assign(&self.centroids, self.columns, rows, labels)
    }
}

fn assign(centroids: &[f32], columns: usize, rows: Rows<'_>, labels: &mut [u32]) -> Result<f64> {
    if rows.columns() != columns || labels.len() != rows.len() {
        let found = format!("{}x{} for {} labels", rows.len(), rows.columns(), labels.len());
        return Err(error(ErrorKind::Shape, format!("expected rows of {columns}, found {found}")));
    }
    let task = |(rows, labels): (&[f32], &mut [u32])| {
        let mut centres = Centres::new(centroids, columns);
        let mut inertia = 0.0;
        for (rows, labels) in rows.chunks(BLOCK * columns).zip(labels.chunks_mut(BLOCK)) {
            centres.nearest(centroids, rows, |i, found| {
                labels[i] = found.index as u32;
                inertia += f64::from(found.best);
            });
        }
        inertia
    };
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        let tasks = rows.data().par_chunks(TASK * columns).zip(labels.par_chunks_mut(TASK));
        // Summed in order: the same on any number of threads.
        Ok(tasks.map(task).collect::<Vec<f64>>().into_iter().sum())
    }
    #[cfg(not(feature = "rayon"))]
    Ok(rows.data().chunks(TASK * columns).zip(labels.chunks_mut(TASK)).map(task).sum())
}

fn check(k: usize, rows: Rows<'_>) -> Result<()> {
    if k == 0 || u32::try_from(k).is_err() {
        return Err(error(
            ErrorKind::InvalidArgument,
            format!("{k} clusters are not possible; ask for 1 or more"),
        ));
    }
    if rows.len() < k {
        let m =
            format!("{k} clusters need at least {k} points, found {}; ask for fewer clusters", rows.len());
        return Err(error(ErrorKind::Insufficient, m));
    }
    finite(rows)
}

/// Numbers whose squared distances are numbers.
fn finite(rows: Rows<'_>) -> Result<()> {
    // Centred values are twice as large at most, differences of them again.
    let most = libm::sqrtf(f32::MAX / rows.columns() as f32) / 8.0;
    let fits = |v: &f32| v.abs() <= most;
    // Without an early exit, which vectorises.
    let all = |row: &[f32]| row.iter().fold(true, |all, v| all & fits(v));
    if rows.data().chunks(rows.columns()).all(all) {
        return Ok(());
    }
    let Some(at) = rows.data().iter().position(|v| !fits(v)) else { return Ok(()) };
    let (row, column) = (at / rows.columns(), at % rows.columns());
    let m = match rows.data().get(at) {
        Some(v) if v.is_finite() => format!(
            "row {row}, column {column} is {v:e}, beyond {most:.0e}: squared distances would overflow; leave \
             out rows with fill values"
        ),
        _ => format!("row {row}, column {column} is not finite"),
    };
    Err(error(ErrorKind::NonFinite, m))
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, Stage::Classify, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_square_is_refused() {
        let fine = [0.0, 1.0, 1e18, -1e18, 4.0, 5.0];
        fn rows(values: &[f32]) -> Rows<'_> {
            Rows::new(values, 1).unwrap()
        }
        let clusters = KMeans::new(2).fit(rows(&fine)).unwrap();
        assert!(clusters.inertia().is_finite());
        let mut stream = MiniBatchKMeans::from_clusters(&clusters);
        for (bad, says) in [(f32::NAN, "not finite"), (f32::INFINITY, "not finite"), (9.97e36, "fill values")]
        {
            let mut values = fine;
            values[2] = bad;
            let found = [
                KMeans::new(2).fit(rows(&values)).map(|_| ()),
                clusters.assign(rows(&values), &mut [0; 6]).map(|_| ()),
                stream.assign(rows(&values), &mut [0; 6]).map(|_| ()),
                stream.partial_fit(rows(&values)),
            ];
            for e in found.map(Result::unwrap_err) {
                assert_eq!(e.kind(), ErrorKind::NonFinite);
                assert!(e.message().contains("row 2, column 0") && e.message().contains(says), "{e}");
            }
        }
    }
}

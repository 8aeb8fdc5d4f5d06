//! k nearest neighbours: the classifier that keeps its examples.

mod fit;

pub use fit::NeighborsFit;

use super::distance::squared;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};

/// How far apart two rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Metric {
    /// ‖a − b‖.
    #[default]
    Euclidean,
    /// 1 − cos(a, b), from 0 to 2; 1 if either is zero, as in scikit-learn.
    Cosine,
}

/// What a neighbour's vote counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Weighting {
    /// One.
    #[default]
    Uniform,
    /// The inverse of its distance; where neighbours lie at distance zero, only those count.
    Distance,
}

/// Assigns a row to the class most of its `k` nearest reference rows are of; exact.
///
/// Votes and their shares are those of scikit-learn's `KNeighborsClassifier`. Of references equally
/// far the first counts, of classes with equal votes the first wins.
///
/// ```
/// use fruitcore::{classify::{Metric, Neighbors, NeighborsFit, Weighting}, pca::Rows};
/// let mut fit = NeighborsFit::new(2)?;
/// fit.partial_fit(Rows::new(&[0.0, 0.0, 0.2, 0.0, 5.0, 5.0], 2)?, &["plum", "plum", "pear"])?;
/// let classifier = fit.finish(3, Metric::Euclidean, Weighting::Uniform)?;
/// let mut shares = [0.0; 2];
/// classifier.probabilities(&[4.0, 5.0], &mut shares)?;
/// assert_eq!(classifier.classes(), ["pear", "plum"]);
/// assert!((shares[1] - 2.0 / 3.0).abs() < 1e-6); // two of the three nearest are plums
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbors {
    columns: usize,
    classes: Vec<String>,
    rows: Vec<f32>,
    labels: Vec<u32>,
    /// 1/‖row‖, 0 for a zero row; empty unless the metric needs them.
    inverses: Vec<f32>,
    k: usize,
    metric: Metric,
    weighting: Weighting,
}

impl Neighbors {
    /// From reference rows `[n, columns]`, one label (an index into `classes`) a row.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the lengths don't fit, [`ErrorKind::InvalidArgument`] for a label that
    /// is none of the classes or a `k` of zero, [`ErrorKind::Insufficient`] for fewer than `k` rows,
    /// [`ErrorKind::NonFinite`] for NaN or infinity.
    pub fn from_parts(
        classes: Vec<String>,
        rows: Vec<f32>,
        labels: Vec<u32>,
        k: usize,
        metric: Metric,
        weighting: Weighting,
    ) -> Result<Self> {
        let n = labels.len();
        if k == 0 {
            return Err(error(ErrorKind::InvalidArgument, "ask at least 1 neighbour".into()));
        }
        if n < k {
            let m = format!("{k} neighbours of {n} reference rows; ask fewer, or give more rows");
            return Err(error(ErrorKind::Insufficient, m));
        }
        if classes.is_empty() || rows.is_empty() || !rows.len().is_multiple_of(n) {
            let m = format!("{} values for {n} rows and {} classes", rows.len(), classes.len());
            return Err(error(ErrorKind::Shape, m));
        }
        if let Some(label) = labels.iter().find(|l| **l as usize >= classes.len()) {
            let m = format!("label {label} is none of the {} classes", classes.len());
            return Err(error(ErrorKind::InvalidArgument, m));
        }
        let columns = rows.len() / n;
        finite(&rows, columns)?;
        let inverses = match metric {
            Metric::Euclidean => Vec::new(),
            Metric::Cosine => rows.chunks_exact(columns).map(inverse_norm).collect(),
        };
        Ok(Self { columns, classes, rows, labels, inverses, k, metric, weighting })
    }

    /// Class names; labels and predictions are indices into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Reference rows, `[n, columns]` row-major.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// The class of each reference row, `[n]`.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Neighbours asked.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How votes are weighted.
    pub fn weighting(&self) -> Weighting {
        self.weighting
    }

    /// The `k` nearest reference rows, as index and distance, nearest first.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of columns, [`ErrorKind::NonFinite`] for NaN or infinity.
    pub fn nearest(&self, row: &[f32]) -> Result<Vec<(usize, f32)>> {
        if row.len() != self.columns {
            let m = format!("expected {} values, found {}", self.columns, row.len());
            return Err(error(ErrorKind::Shape, m));
        }
        finite(row, self.columns)?;
        let own = if self.metric == Metric::Cosine { inverse_norm(row) } else { 1.0 };
        // Ascending; a handful of neighbours is searched faster than a heap is kept.
        let mut best: Vec<(usize, f32)> = Vec::with_capacity(self.k + 1);
        for (i, reference) in self.rows.chunks_exact(self.columns).enumerate() {
            let distance = match self.inverses.get(i) {
                None => squared(row, reference),
                Some(other) if own == 0.0 || *other == 0.0 => 1.0,
                Some(other) => squared_between_units(row, own, reference, *other) / 2.0,
            };
            if best.len() < self.k || best.last().is_some_and(|b| distance < b.1) {
                let at = best.partition_point(|b| b.1 <= distance);
                best.insert(at, (i, distance));
                best.truncate(self.k);
            }
        }
        if self.metric == Metric::Euclidean {
            best.iter_mut().for_each(|b| b.1 = libm::sqrtf(b.1));
        }
        Ok(best)
    }

    /// Writes each class's share of the votes into `out`, `[classes]`.
    ///
    /// # Errors
    /// As [`nearest`](Self::nearest), and [`ErrorKind::Shape`] if `out` has another length.
    pub fn probabilities(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        if out.len() != self.classes.len() {
            let m = format!("expected room for {} classes, found {}", self.classes.len(), out.len());
            return Err(error(ErrorKind::Shape, m));
        }
        let nearest = self.nearest(row)?;
        let closest = nearest.first().map_or(0.0, |b| b.1);
        out.fill(0.0);
        let mut all = 0.0;
        for (i, distance) in nearest {
            let vote = match self.weighting {
                Weighting::Uniform => 1.0,
                Weighting::Distance if distance == closest => 1.0,
                // Relative to the closest, so that no inverse overflows.
                Weighting::Distance => closest / distance,
            };
            let label = self.labels.get(i).map_or(0, |l| *l as usize);
            if let Some(share) = out.get_mut(label) {
                *share += vote;
                all += vote;
            }
        }
        out.iter_mut().for_each(|p| *p /= all);
        Ok(())
    }

    /// ln of the shares if one more neighbour's vote were split among all classes: a share of zero
    /// has no logarithm.
    pub(super) fn scores(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        self.probabilities(row, out)?;
        let (k, part) = (self.k as f32, 1.0 / out.len() as f32);
        out.iter_mut().for_each(|p| *p = libm::logf((k * *p + part) / (k + 1.0)));
        Ok(())
    }

    pub(super) fn map_rows(self, change: impl FnMut(f32) -> f32) -> Result<Self> {
        let rows = self.rows.into_iter().map(change).collect();
        Self::from_parts(self.classes, rows, self.labels, self.k, self.metric, self.weighting)
    }
}

/// 1/‖a‖, finite; 0 for a zero row.
fn inverse_norm(a: &[f32]) -> f32 {
    let norm = libm::sqrt(a.iter().map(|x| f64::from(*x) * f64::from(*x)).sum());
    if norm > 0.0 { (1.0 / norm).min(f64::from(f32::MAX)) as f32 } else { 0.0 }
}

/// ‖a/|a| − b/|b|‖² by differences: exactly zero for equal rows.
fn squared_between_units(a: &[f32], of_a: f32, b: &[f32], of_b: f32) -> f32 {
    let mut sums = [0f32; 8];
    let (a8, ra) = a.as_chunks::<8>();
    let (b8, rb) = b.as_chunks::<8>();
    let difference = |x: &f32, y: &f32| {
        let d = x * of_a - y * of_b;
        d * d
    };
    for (x, y) in a8.iter().zip(b8) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += difference(x, y);
        }
    }
    sums.iter().sum::<f32>() + ra.iter().zip(rb).map(|(x, y)| difference(x, y)).sum::<f32>()
}

fn finite(values: &[f32], columns: usize) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => {
            let m = format!("row {}, column {} is not finite", at / columns, at % columns);
            Err(error(ErrorKind::NonFinite, m))
        }
    }
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, Stage::Classify, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pca::Rows;
    use alloc::vec;

    #[test]
    fn extremes_stay_numbers() -> Result<()> {
        let classes = || vec![String::from("a"), String::from("b")];
        for metric in [Metric::Euclidean, Metric::Cosine] {
            let rows = vec![0.0, 0.0, 1e-30, 0.0, 1e30, 0.0];
            let found =
                Neighbors::from_parts(classes(), rows, vec![0, 1, 1], 3, metric, Weighting::Distance)?;
            for row in [[0.0, 0.0], [1e-30, 0.0], [1e30, 0.0], [-1.0, 2.0]] {
                let mut out = [f32::NAN; 2];
                found.probabilities(&row, &mut out)?;
                assert!((out[0] + out[1] - 1.0).abs() < 1e-6, "{metric:?} {row:?} {out:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn refuses_what_does_not_fit() -> Result<()> {
        let with = |rows: Vec<f32>, labels: Vec<u32>, k| {
            let classes = vec![String::from("a"), String::from("b")];
            Neighbors::from_parts(classes, rows, labels, k, Metric::Cosine, Weighting::Uniform)
        };
        let kind = |found: Result<Neighbors>| found.map_err(|e| e.kind()).err();
        assert_eq!(kind(with(vec![1.0; 4], vec![0, 1], 3)), Some(ErrorKind::Insufficient));
        assert_eq!(kind(with(vec![1.0; 4], vec![0, 1], 0)), Some(ErrorKind::InvalidArgument));
        assert_eq!(kind(with(vec![1.0; 4], vec![0, 2], 1)), Some(ErrorKind::InvalidArgument));
        assert_eq!(kind(with(vec![1.0; 3], vec![0, 1], 1)), Some(ErrorKind::Shape));
        assert_eq!(kind(with(vec![f32::NAN; 4], vec![0, 1], 1)), Some(ErrorKind::NonFinite));
        let found = with(vec![1.0; 4], vec![0, 1], 1)?;
        assert!(found.nearest(&[1.0]).is_err() && found.nearest(&[1.0, f32::NAN]).is_err());
        assert!(found.probabilities(&[1.0, 1.0], &mut [0.0; 3]).is_err());
        let mut fit = NeighborsFit::new(2)?;
        assert!(fit.partial_fit(Rows::new(&[1.0, f32::NAN], 2)?, &["a"]).is_err());
        assert!(fit.partial_fit(Rows::new(&[1.0, 2.0], 2)?, &["a", "b"]).is_err());
        assert_eq!(kind(fit.finish(1, Metric::Euclidean, Weighting::Uniform)), Some(ErrorKind::Insufficient));
        Ok(())
    }
}

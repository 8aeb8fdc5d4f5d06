//! The nearest class mean: the simplest classifier that says something about features.

use super::{distance::squared, finite};
use crate::{Error, ErrorKind, Result, Stage, pca::Rows};
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec, vec::Vec};

/// Collects class means over a stream of labelled rows; mergeable like every statistic here.
#[derive(Clone, Debug)]
pub struct CentroidFit {
    columns: usize,
    sums: BTreeMap<String, (u64, Vec<f64>)>,
    /// ‖row‖² of all rows.
    squares: f64,
}

/// Assigns a row to the class with the nearest mean (Euclidean).
///
/// ```
/// use fruitcore::{classify::CentroidFit, pca::Rows};
/// let mut fit = CentroidFit::new(2)?;
/// fit.partial_fit(Rows::new(&[0.0, 0.0, 0.2, 0.0, 5.0, 5.0], 2)?, &["plum", "plum", "pear"])?;
/// let classifier = fit.finish()?;
/// let (class, distance) = classifier.predict(&[4.0, 5.0])?;
/// assert_eq!((classifier.classes()[class].as_str(), distance), ("pear", 1.0));
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NearestCentroid {
    columns: usize,
    classes: Vec<String>,
    centroids: Vec<f32>,
    variance: f32,
}

impl CentroidFit {
    /// For rows of `columns` values.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `columns` is zero.
    pub fn new(columns: usize) -> Result<Self> {
        if columns == 0 {
            return Err(error(ErrorKind::InvalidArgument, "rows need at least one column".into()));
        }
        Ok(Self { columns, sums: BTreeMap::new(), squares: 0.0 })
    }

    /// Adds `[n, columns]` rows with one label each.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if columns or the number of labels don't fit, [`ErrorKind::NonFinite`]
    /// for NaN or infinity; the state is then unchanged.
    pub fn partial_fit(&mut self, rows: Rows<'_>, labels: &[impl AsRef<str>]) -> Result<()> {
        if rows.columns() != self.columns || rows.len() != labels.len() {
            let found = format!("{}x{} with {} labels", rows.len(), rows.columns(), labels.len());
            return Err(error(ErrorKind::Shape, format!("expected rows of {}, found {found}", self.columns)));
        }
        if let Some(at) = rows.data().iter().position(|v| !v.is_finite()) {
            let m = format!("row {}, column {} is not finite", at / self.columns, at % self.columns);
            return Err(error(ErrorKind::NonFinite, m));
        }
        for (row, label) in rows.data().chunks_exact(self.columns).zip(labels) {
            let label = label.as_ref();
            self.squares += row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
            if !self.sums.contains_key(label) {
                self.sums.insert(label.to_owned(), (0, vec![0.0; self.columns]));
            }
            if let Some((count, sum)) = self.sums.get_mut(label) {
                *count += 1;
                sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
            }
        }
        Ok(())
    }

    /// Adds what another collector has seen.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] for another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.columns != self.columns {
            let m = format!("can't merge {} columns into {}", other.columns, self.columns);
            return Err(error(ErrorKind::Mismatch, m));
        }
        for (label, (count, sum)) in &other.sums {
            let mine = self.sums.entry(label.clone()).or_insert_with(|| (0, vec![0.0; sum.len()]));
            mine.0 += count;
            mine.1.iter_mut().zip(sum).for_each(|(s, v)| *s += v);
        }
        self.squares += other.squares;
        Ok(())
    }

    /// The classifier; classes in the order of their names.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] if no row was seen.
    pub fn finish(&self) -> Result<NearestCentroid> {
        if self.sums.is_empty() {
            return Err(error(ErrorKind::Insufficient, "no labelled rows to take class means of".into()));
        }
        let means = self.sums.values().flat_map(|(n, sum)| sum.iter().map(|s| (s / *n as f64) as f32));
        let classes = self.sums.keys().cloned().collect();
        NearestCentroid::from_parts(classes, means.collect(), self.variance() as f32)
    }

    /// Mean squared deviation of a value from its class's mean; from the mean of all rows if no class
    /// has two, 1 if rows don't differ at all.
    fn variance(&self) -> f64 {
        let of = |n: u64, sum: &[f64]| sum.iter().map(|s| s * s).sum::<f64>() / n as f64;
        let rows: u64 = self.sums.values().map(|(n, _)| n).sum();
        let mut whole = vec![0.0; self.columns];
        for (_, sum) in self.sums.values() {
            whole.iter_mut().zip(sum).for_each(|(w, s)| *w += s);
        }
        let within = self.squares - self.sums.values().map(|(n, sum)| of(*n, sum)).sum::<f64>();
        let total = self.squares - of(rows, &whole);
        // What is left of equal rows is rounding.
        let least = self.squares * 1e-12;
        let found = [within, total].into_iter().find(|v| *v > least && v.is_finite());
        found.map_or(1.0, |v| v / (rows as f64 * self.columns as f64))
    }
}

impl NearestCentroid {
    /// From class means `[classes, columns]` row-major and the variance within classes.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the lengths don't fit, [`ErrorKind::NonFinite`] for NaN or infinity or
    /// a variance that is not positive.
    pub fn from_parts(classes: Vec<String>, centroids: Vec<f32>, variance: f32) -> Result<Self> {
        if classes.is_empty() || centroids.is_empty() || !centroids.len().is_multiple_of(classes.len()) {
            let m = format!("{} values for the means of {} classes", centroids.len(), classes.len());
            return Err(error(ErrorKind::Shape, m));
        }
        if centroids.iter().any(|v| !v.is_finite()) {
            return Err(error(ErrorKind::NonFinite, "a class mean is not finite".into()));
        }
        if !(variance > 0.0 && variance.is_finite()) {
            let m = format!("the variance within classes must be positive and finite, found {variance}");
            return Err(error(ErrorKind::NonFinite, m));
        }
        Ok(Self { columns: centroids.len() / classes.len(), classes, centroids, variance })
    }

    /// Class names; predictions are indices into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Class means, `[classes, columns]` row-major.
    pub fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Mean squared deviation of a value from its class's mean, over all rows and columns.
    pub fn variance(&self) -> f32 {
        self.variance
    }

    /// Log-likelihoods up to a constant, `[classes]`, if each class is a Gaussian around its mean
    /// with the same variance in every column.
    pub(super) fn scores(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        if row.len() != self.columns || out.len() != self.classes.len() {
            let (columns, classes) = (self.columns, self.classes.len());
            let m = format!(
                "expected {columns} values and room for {classes} classes, found {} and {}",
                row.len(),
                out.len()
            );
            return Err(error(ErrorKind::Shape, m));
        }
        for (o, centroid) in out.iter_mut().zip(self.centroids.chunks_exact(self.columns)) {
            *o = -squared(row, centroid) / (2.0 * self.variance);
        }
        Ok(())
    }

    /// The nearest class and its squared distance. Allocates nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of columns, [`ErrorKind::NonFinite`] naming the column of the first
    /// NaN or infinity.
    pub fn predict(&self, row: &[f32]) -> Result<(usize, f32)> {
        if row.len() != self.columns {
            let m = format!("expected {} components, found {}", self.columns, row.len());
            return Err(error(ErrorKind::Shape, m));
        }
        finite(row)?;
        let distances = self.centroids.chunks_exact(self.columns).map(|c| squared(row, c)).enumerate();
        Ok(distances.fold((0, f32::INFINITY), |best, (i, d)| if d < best.1 { (i, d) } else { best }))
    }
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, Stage::Classify, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_equals_one_pass() -> Result<()> {
        let rows: Vec<f32> = (0..60).map(|i| ((i * 37) % 11) as f32).collect();
        let labels: Vec<String> = (0..20).map(|i| format!("c{}", i % 3)).collect();
        let mut whole = CentroidFit::new(3)?;
        whole.partial_fit(Rows::new(&rows, 3)?, &labels)?;
        let (mut a, mut b) = (CentroidFit::new(3)?, CentroidFit::new(3)?);
        a.partial_fit(Rows::new(&rows[..21], 3)?, &labels[..7])?;
        b.partial_fit(Rows::new(&rows[21..], 3)?, &labels[7..])?;
        b.merge(&a)?;
        assert_eq!(whole.finish()?, b.finish()?);
        Ok(())
    }

    #[test]
    fn variance_is_the_one_within_classes() -> Result<()> {
        let of = |rows: &[f32], labels: &[&str]| -> Result<f32> {
            let mut fit = CentroidFit::new(2)?;
            fit.partial_fit(Rows::new(rows, 2)?, labels)?;
            Ok(fit.finish()?.variance())
        };
        // Deviations of ±1 in one of two columns around each mean.
        let rows = [9.0, 5.0, 11.0, 5.0, -4.0, 0.0, -6.0, 0.0];
        assert!((of(&rows, &["a", "a", "b", "b"])? - 0.5).abs() < 1e-6);
        // One row a class: around the common mean (10, 5).
        assert!((of(&rows[..4], &["a", "b"])? - 0.5).abs() < 1e-6);
        assert_eq!(of(&[3.0; 6], &["a", "a", "b"])?, 1.0);
        Ok(())
    }

    #[test]
    fn refuses_what_does_not_fit() -> Result<()> {
        let mut fit = CentroidFit::new(2)?;
        assert_eq!(fit.finish().map_err(|e| e.kind()).err(), Some(ErrorKind::Insufficient));
        let nan = fit.partial_fit(Rows::new(&[1.0, f32::NAN], 2)?, &["a"]);
        assert_eq!(nan.map_err(|e| e.kind()).err(), Some(ErrorKind::NonFinite));
        let shape = fit.partial_fit(Rows::new(&[1.0, 2.0], 2)?, &["a", "b"]);
        assert_eq!(shape.map_err(|e| e.kind()).err(), Some(ErrorKind::Shape));
        assert!(fit.merge(&CentroidFit::new(3)?).is_err());
        fit.partial_fit(Rows::new(&[1.0, 2.0], 2)?, &["a"])?;
        let nan = fit.finish()?.predict(&[1.0, f32::NAN]);
        assert_eq!(nan.map_err(|e| e.kind()).err(), Some(ErrorKind::NonFinite));
        Ok(())
    }
}

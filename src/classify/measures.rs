//! How well two labellings agree, and how well separated clusters are.
//!
//! Definitions as in scikit-learn's `sklearn.metrics`: adjusted Rand index (Hubert & Arabie 1985),
//! normalised mutual information with the arithmetic mean, homogeneity, completeness and V-measure
//! (Rosenberg & Hirschberg 2007), silhouette (Rousseeuw 1987).

use super::distance::squared;
use crate::{Error, ErrorKind, Result, Stage, pca::Rows};
use alloc::{collections::BTreeMap, format, vec, vec::Vec};

/// Agreement of a clustering with reference labels. All measures are 1 for a perfect match.
///
/// ```
/// use fruitcore::classify::measures::Agreement;
/// let same = Agreement::of(&[0, 0, 1, 1], &[7, 7, 3, 3])?;
/// assert_eq!(same.adjusted_rand(), 1.0);
/// let coarse = Agreement::of(&[0, 0, 1, 1], &[5, 5, 5, 5])?;
/// assert_eq!((coarse.homogeneity(), coarse.completeness()), (0.0, 1.0));
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Agreement {
    count: f64,
    cells: Vec<f64>,
    labels: Vec<f64>,
    clusters: Vec<f64>,
    mutual: f64,
}

impl Agreement {
    /// Counts how reference `labels` and `clusters` of the same points fall together.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the lengths differ, [`ErrorKind::Insufficient`] without points.
    pub fn of(labels: &[u32], clusters: &[u32]) -> Result<Self> {
        if labels.len() != clusters.len() {
            let m = format!("{} labels for {} clusters", labels.len(), clusters.len());
            return Err(Error::new(ErrorKind::Shape, Stage::Classify, m));
        }
        if labels.is_empty() {
            return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, "no points to compare"));
        }
        let mut table: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        let (mut a, mut b): (BTreeMap<u32, f64>, BTreeMap<u32, f64>) = Default::default();
        for (&l, &c) in labels.iter().zip(clusters) {
            *table.entry((l, c)).or_default() += 1.0;
            *a.entry(l).or_default() += 1.0;
            *b.entry(c).or_default() += 1.0;
        }
        let count = labels.len() as f64;
        let mutual = table
            .iter()
            .map(|((l, c), &n)| n / count * libm::log(n * count / (a[l] * b[c])))
            .sum::<f64>()
            .max(0.0);
        Ok(Self {
            count,
            cells: table.into_values().collect(),
            labels: a.into_values().collect(),
            clusters: b.into_values().collect(),
            mutual,
        })
    }

    /// Adjusted Rand index: 0 on average for random clusters, at least −0.5.
    pub fn adjusted_rand(&self) -> f64 {
        let pairs = |counts: &[f64]| counts.iter().map(|n| n * (n - 1.0) / 2.0).sum::<f64>();
        let (both, a, b) = (pairs(&self.cells), pairs(&self.labels), pairs(&self.clusters));
        let all = pairs(&[self.count]);
        let expected = if all > 0.0 { a * b / all } else { 0.0 };
        let most = (a + b) / 2.0;
        if most == expected { 1.0 } else { (both - expected) / (most - expected) }
    }

    /// Normalised mutual information, 0 to 1.
    pub fn normalized_mutual_information(&self) -> f64 {
        let mean = (self.entropy(&self.labels) + self.entropy(&self.clusters)) / 2.0;
        if mean == 0.0 { 1.0 } else { self.mutual / mean }
    }

    /// Whether each cluster holds one label only, 0 to 1.
    pub fn homogeneity(&self) -> f64 {
        let entropy = self.entropy(&self.labels);
        if entropy == 0.0 { 1.0 } else { self.mutual / entropy }
    }

    /// Whether each label lies in one cluster only, 0 to 1.
    pub fn completeness(&self) -> f64 {
        let entropy = self.entropy(&self.clusters);
        if entropy == 0.0 { 1.0 } else { self.mutual / entropy }
    }

    fn entropy(&self, counts: &[f64]) -> f64 {
        if counts.len() < 2 {
            return 0.0; // exactly: the callers divide by it
        }
        -counts.iter().map(|n| n / self.count * libm::log(n / self.count)).sum::<f64>()
    }
}

/// Mean silhouette, −1 to 1: how much nearer points are to their own cluster than to the next.
/// Points alone in their cluster count 0. Takes n² distances: sample large data first.
///
/// # Errors
/// [`ErrorKind::Shape`] if there is not one cluster a row, [`ErrorKind::Insufficient`] unless there
/// are at least two clusters and fewer clusters than points, [`ErrorKind::NonFinite`] for NaN or infinity.
///
/// ```
/// use fruitcore::{classify::measures::silhouette, pca::Rows};
/// let far_apart = [0.0, 0.1, 10.0, 10.1];
/// assert!(silhouette(Rows::new(&far_apart, 1)?, &[0, 0, 1, 1])? > 0.98);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub fn silhouette(rows: Rows<'_>, clusters: &[u32]) -> Result<f64> {
    let (n, d) = (rows.len(), rows.columns());
    if clusters.len() != n {
        let m = format!("{} clusters for {n} rows", clusters.len());
        return Err(Error::new(ErrorKind::Shape, Stage::Classify, m));
    }
    rows.expect(d, Stage::Classify)?;
    silhouette_by(clusters, |i, out| distances_from(rows.data(), d, i, out))
}

/// Distances of row `i` to all rows.
pub(crate) fn distances_from(values: &[f32], d: usize, i: usize, out: &mut [f32]) {
    let Some(row) = values.get(i * d..(i + 1) * d) else { return };
    let others = out.iter_mut().zip(values.chunks_exact(d));
    pulp::Arch::new().dispatch(|| others.for_each(|(out, other)| *out = libm::sqrtf(squared(row, other))));
}

/// [`silhouette`] of points of which `from(i, out)` writes the distances of point `i` to all.
pub(crate) fn silhouette_by(clusters: &[u32], mut from: impl FnMut(usize, &mut [f32])) -> Result<f64> {
    let n = clusters.len();
    let mut numbers: BTreeMap<u32, usize> = clusters.iter().map(|&c| (c, 0)).collect();
    numbers.values_mut().enumerate().for_each(|(i, v)| *v = i);
    let dense: Vec<usize> = clusters.iter().filter_map(|c| numbers.get(c).copied()).collect();
    let k = numbers.len();
    if k < 2 || k >= n {
        let m = format!("a silhouette needs 2 to n − 1 clusters, found {k} over {n} points");
        return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, m));
    }
    let mut sizes = vec![0usize; k];
    dense.iter().for_each(|&c| sizes[c] += 1);
    let mut total = 0.0;
    let mut sums = vec![0f64; k];
    let mut distances = vec![0f32; n];
    for (i, &own) in dense.iter().enumerate() {
        if sizes[own] < 2 {
            continue;
        }
        sums.fill(0.0);
        from(i, &mut distances);
        for (distance, &c) in distances.iter().zip(&dense) {
            sums[c] += f64::from(*distance);
        }
        let inner = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..k).filter(|&c| c != own).map(|c| sums[c] / sizes[c] as f64);
        let outer = others.fold(f64::INFINITY, f64::min);
        let larger = inner.max(outer);
        total += if larger > 0.0 { (outer - inner) / larger } else { 0.0 };
    }
    Ok(total / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_silhouette_of_what_is_no_number() {
        let e = silhouette(Rows::new(&[0.0, 0.1, f32::NAN, 10.1], 1).unwrap(), &[0, 0, 1, 1]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NonFinite);
    }
}

//! Reference rows gathered from a stream.

use super::{Metric, Neighbors, Weighting, error, finite};
use crate::{ErrorKind, Result, pca::Rows, rng::Rng};
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec::Vec};

/// Collects reference rows over a stream of labelled rows.
#[derive(Clone, Debug)]
pub struct NeighborsFit {
    columns: usize,
    limit: usize,
    seen: u64,
    rng: Rng,
    /// Classes by name, with a number in order of arrival.
    classes: BTreeMap<String, u32>,
    rows: Vec<f32>,
    labels: Vec<u32>,
}

impl NeighborsFit {
    /// For rows of `columns` values.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `columns` is zero.
    pub fn new(columns: usize) -> Result<Self> {
        if columns == 0 {
            return Err(error(ErrorKind::InvalidArgument, "rows need at least one column".into()));
        }
        Ok(Self {
            columns,
            limit: usize::MAX,
            seen: 0,
            rng: Rng::new(0),
            classes: BTreeMap::new(),
            rows: Vec::new(),
            labels: Vec::new(),
        })
    }

    /// Keeps at most `n` rows, a random sample of all (reservoir sampling: Vitter 1985, algorithm R).
    /// To be called before the first row.
    #[must_use]
    pub fn at_most(mut self, n: usize, seed: u64) -> Self {
        self.limit = n.max(1);
        self.rng = Rng::new(seed);
        self
    }

    /// Adds `[n, columns]` rows with one label each.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if columns or the number of labels don't fit, [`ErrorKind::NonFinite`]
    /// for NaN or infinity; nothing is added then.
    pub fn partial_fit(&mut self, rows: Rows<'_>, labels: &[impl AsRef<str>]) -> Result<()> {
        if rows.columns() != self.columns || rows.len() != labels.len() {
            let found = format!("{}x{} with {} labels", rows.len(), rows.columns(), labels.len());
            return Err(error(ErrorKind::Shape, format!("expected rows of {}, found {found}", self.columns)));
        }
        finite(rows.data(), self.columns)?;
        for (row, label) in rows.data().chunks_exact(self.columns).zip(labels) {
            let label = label.as_ref();
            let number = match self.classes.get(label) {
                Some(number) => *number,
                None => {
                    let number = self.classes.len() as u32;
                    self.classes.insert(label.to_owned(), number);
                    number
                }
            };
            self.seen += 1;
            if self.labels.len() < self.limit {
                self.rows.extend_from_slice(row);
                self.labels.push(number);
                continue;
            }
            let at = self.rng.below(usize::try_from(self.seen).unwrap_or(usize::MAX));
            let mut places = self.rows.chunks_exact_mut(self.columns).zip(&mut self.labels);
            if let Some((place, old)) = places.nth(at) {
                place.copy_from_slice(row);
                *old = number;
            }
        }
        Ok(())
    }

    /// Rows seen, kept or not.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The classifier; classes in the order of their names.
    ///
    /// # Errors
    /// As [`Neighbors::from_parts`].
    pub fn finish(self, k: usize, metric: Metric, weighting: Weighting) -> Result<Neighbors> {
        let mut sorted = alloc::vec![0; self.classes.len()];
        for (position, number) in self.classes.values().enumerate() {
            if let Some(place) = sorted.get_mut(*number as usize) {
                *place = position as u32;
            }
        }
        let labels = self.labels.iter().filter_map(|l| sorted.get(*l as usize).copied()).collect();
        let classes = self.classes.into_keys().collect();
        Neighbors::from_parts(classes, self.rows, labels, k, metric, weighting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_all_rows_and_the_same_every_time() -> Result<()> {
        let rows: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let labels: Vec<String> = (0..1000).map(|i| format!("{}", i % 10)).collect();
        let sample = |batch: usize| {
            let mut fit = NeighborsFit::new(1)?.at_most(100, 7);
            for (rows, labels) in rows.chunks(batch).zip(labels.chunks(batch)) {
                fit.partial_fit(Rows::new(rows, 1)?, labels)?;
            }
            assert_eq!(fit.seen(), 1000);
            fit.finish(1, Metric::Euclidean, Weighting::Uniform)
        };
        let found = sample(1000)?;
        assert_eq!(found, sample(7)?);
        assert_eq!((found.labels().len(), found.classes().len()), (100, 10));
        let late = found.rows().iter().filter(|v| **v >= 500.0).count();
        assert!((30..70).contains(&late), "{late} of the later half");
        for (row, label) in found.rows().iter().zip(found.labels()) {
            assert_eq!(*label, *row as u32 % 10);
        }
        Ok(())
    }
}

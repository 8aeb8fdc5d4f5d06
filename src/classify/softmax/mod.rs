//! Softmax (multinomial logistic) regression: the linear head over components.

mod fit;
mod lbfgs;

pub use fit::{SoftmaxFit, SoftmaxReport};

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};

/// A fitted linear classifier: `p = softmax(W·x + b)` with `W` `[classes, columns]`.
///
/// A [`Head`](super::Head) of it has calibrated probabilities and an "unknown" answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    columns: usize,
    classes: Vec<String>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Softmax {
    /// A head from its parts: `weights` `[classes, columns]` row-major, `bias` `[classes]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the lengths don't fit, [`ErrorKind::NonFinite`] for NaN or infinity.
    pub fn from_parts(classes: Vec<String>, weights: Vec<f32>, bias: Vec<f32>) -> Result<Self> {
        let fits = !classes.is_empty()
            && bias.len() == classes.len()
            && !weights.is_empty()
            && weights.len().is_multiple_of(classes.len());
        if !fits {
            let m =
                format!("{} weights and {} biases for {} classes", weights.len(), bias.len(), classes.len());
            return Err(Error::new(ErrorKind::Shape, Stage::Classify, m));
        }
        if weights.iter().chain(&bias).any(|v| !v.is_finite()) {
            return Err(Error::new(ErrorKind::NonFinite, Stage::Classify, "a weight is not finite"));
        }
        let columns = weights.len() / classes.len();
        Ok(Self { columns, classes, weights, bias })
    }

    /// Class names; predictions are indices into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `[classes, columns]` row-major.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// `[classes]`.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Writes the probability of every class into `out`, `[classes]`. Allocates nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if either length doesn't fit, [`ErrorKind::NonFinite`] naming the column of the first
    /// NaN or infinity.
    pub fn probabilities(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        super::finite(row)?;
        self.scores(row, out)?;
        super::head::softmax(out, 1.0);
        Ok(())
    }

    /// The most probable class and its probability. `scratch` is `[classes]` and holds all
    /// probabilities afterwards.
    ///
    /// # Errors
    /// As [`Softmax::probabilities`].
    pub fn predict(&self, row: &[f32], scratch: &mut [f32]) -> Result<(usize, f32)> {
        self.probabilities(row, scratch)?;
        Ok(scratch.iter().copied().enumerate().fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a }))
    }

    /// Logits, `[classes]`.
    pub(super) fn scores(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        if row.len() != self.columns || out.len() != self.classes.len() {
            let (found, room) = (row.len(), out.len());
            let m = format!(
                "expected {} components and room for {} classes, found {found} and {room}",
                self.columns,
                self.classes.len()
            );
            return Err(Error::new(ErrorKind::Shape, Stage::Classify, m));
        }
        for ((o, w), b) in out.iter_mut().zip(self.weights.chunks_exact(self.columns)).zip(&self.bias) {
            *o = b + w.iter().zip(row).map(|(w, x)| w * x).sum::<f32>();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_no_numbers_has_no_class() {
        let classes = alloc::vec!["a".into(), "b".into()];
        let softmax =
            Softmax::from_parts(classes, alloc::vec![1.0, 0.0, -1.0, 0.0], alloc::vec![0.0; 2]).unwrap();
        let mut out = [0.0; 2];
        assert_eq!(softmax.predict(&[3.0, 0.0], &mut out).map(|(class, _)| class).ok(), Some(0));
        for bad in [f32::NAN, f32::INFINITY] {
            let e = softmax.predict(&[1.0, bad], &mut out).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NonFinite);
            assert!(e.message().contains("column 1"), "{e}");
            assert!(softmax.probabilities(&[bad, 1.0], &mut out).is_err());
        }
    }
}

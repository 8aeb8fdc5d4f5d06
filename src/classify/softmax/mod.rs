//! Softmax (multinomial logistic) regression: the linear head over components.

mod calibrate;
mod fit;
mod lbfgs;

pub use fit::{SoftmaxFit, SoftmaxReport};

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};

/// A fitted linear classifier with calibrated probabilities and an "unknown" answer.
///
/// `p = softmax((W·x + b) / T)`: `W` is `[classes, columns]`, `T` the temperature of
/// [`Softmax::calibrate`]. A row whose largest probability is below the threshold is unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    columns: usize,
    classes: Vec<String>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    temperature: f32,
    threshold: f32,
}

impl Softmax {
    /// A head from its parts: `weights` `[classes, columns]` row-major, `bias` `[classes]`; the
    /// temperature is 1, nothing is unknown.
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
        Ok(Self { columns, classes, weights, bias, temperature: 1.0, threshold: 0.0 })
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

    /// Divides the logits; above 1 it softens overconfident probabilities.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// The least probability of an answer.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Answers below this probability become "unknown"; 0 for never.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] outside 0 to 1.
    pub fn with_threshold(mut self, threshold: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&threshold) {
            let m = format!("a threshold is a probability from 0 to 1, found {threshold}");
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Classify, m));
        }
        self.threshold = threshold;
        Ok(self)
    }

    /// Writes the probability of every class into `out`, `[classes]`. Allocates nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if either length doesn't fit.
    pub fn probabilities(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        self.logits(row, out)?;
        let most = out.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for p in out.iter_mut() {
            *p = libm::expf((*p - most) / self.temperature);
            sum += *p;
        }
        out.iter_mut().for_each(|p| *p /= sum);
        Ok(())
    }

    /// The most probable class and its probability; `None` if that is below the threshold.
    /// `scratch` is `[classes]` and holds all probabilities afterwards.
    ///
    /// # Errors
    /// As [`Softmax::probabilities`].
    pub fn predict(&self, row: &[f32], scratch: &mut [f32]) -> Result<Option<(usize, f32)>> {
        self.probabilities(row, scratch)?;
        let best = scratch.iter().copied().enumerate().fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
        Ok((best.1 >= self.threshold).then_some(best))
    }

    fn logits(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
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

//! A classifier with its name, calibration and "unknown" answer: what a pipeline ends in.

mod calibrate;
mod prediction;

#[cfg(feature = "train")]
pub(crate) use calibrate::best_temperature;
pub use prediction::Prediction;

use super::{NearestCentroid, Neighbors, finite, softmax::Softmax};
use crate::{Error, ErrorKind, Result, Stage, pca::Rows};
use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use half::f16;

/// Rows one thread classifies at a time.
#[cfg(feature = "rayon")]
const BAND: usize = 64;

/// What a head reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// The network's features, as they are.
    Features,
    /// The principal components.
    #[default]
    Components,
}

/// The classifier in a [`Head`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Model {
    /// The nearest class mean.
    Centroid(NearestCentroid),
    /// Softmax regression.
    Softmax(Softmax),
    /// k nearest neighbours.
    Neighbors(Neighbors),
}

/// A classifier that says how sure it is, and "unknown" where it is not.
///
/// Probabilities are `softmax(scores / T)`. The scores are a softmax regression's logits; a centroid's
/// log-likelihoods under equal spherical Gaussians; for nearest neighbours the logarithms of the
/// shares of the votes, if one more neighbour's vote were split among all classes. `T` is the
/// temperature, 1 unless [calibrated](Self::calibrate). A row whose largest probability is below the
/// threshold, 0 unless set, is unknown.
///
/// ```
/// use fruitcore::{classify::{CentroidFit, Head, Reads}, pca::Rows};
/// let mut fit = CentroidFit::new(2)?;
/// fit.partial_fit(Rows::new(&[0.0, 0.0, 2.0, 0.0, 5.0, 5.0], 2)?, &["plum", "plum", "pear"])?;
/// let head = Head::new("shop", Reads::Components, fit.finish()?)?.with_threshold(0.9)?;
/// let prediction = head.predict(&[4.5, 5.0], 2)?;
/// assert_eq!(prediction.label(), Some("pear"));
/// assert_eq!(prediction.top().count(), 2);
/// // Half way between the two: neither.
/// assert_eq!(head.predict(&[3.0, 2.5], 1)?.label(), None);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    name: String,
    reads: Reads,
    model: Model,
    temperature: f32,
    threshold: f32,
    half: bool,
    crop_pct: f32,
    notes: BTreeMap<String, String>,
}

impl Head {
    /// A head that is not calibrated and calls nothing unknown.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] unless the name is 1 to 64 characters without control
    /// characters and the classes are named, each once.
    pub fn new(name: impl Into<String>, reads: Reads, model: impl Into<Model>) -> Result<Self> {
        let (name, model) = (name.into(), model.into());
        if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
            let m = format!("{name:?} names no head; use 1 to 64 characters without control characters");
            return Err(error(ErrorKind::InvalidArgument, m));
        }
        let mut sorted: Vec<&str> = model.classes().iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let twice = sorted.windows(2).find(|pair| pair.first() == pair.last());
        if let Some(class) = twice.and_then(<[&str]>::first).or(sorted.first().filter(|c| c.is_empty())) {
            let m = format!("the class {class:?} is there twice or has no name");
            return Err(error(ErrorKind::InvalidArgument, m));
        }
        Ok(Self {
            name,
            reads,
            model,
            temperature: 1.0,
            threshold: 0.0,
            half: false,
            crop_pct: 1.0,
            notes: BTreeMap::new(),
        })
    }

    /// What it is called among the heads of a pipeline.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it reads.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// The classifier.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Class names; predictions are indices into them.
    pub fn classes(&self) -> &[String] {
        self.model.classes()
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.model.columns()
    }

    /// Divides the scores; above 1 it softens overconfident probabilities.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// The least probability of an answer.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// The share of a picture's width and height, about its centre, that it looks at: 1 unless set.
    pub fn crop_pct(&self) -> f32 {
        self.crop_pct
    }

    /// Whether its values are kept in half precision.
    pub fn is_half_precision(&self) -> bool {
        self.half
    }

    /// What was kept with it, for people and programs.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }

    /// Keeps something with it.
    #[must_use]
    pub fn note(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.notes.insert(name.into(), text.into());
        self
    }

    /// Sets the temperature.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] unless it is positive and finite.
    pub fn with_temperature(mut self, temperature: f32) -> Result<Self> {
        if !(temperature > 0.0 && temperature.is_finite()) {
            let m = format!("a temperature is positive and finite, found {temperature}");
            return Err(error(ErrorKind::InvalidArgument, m));
        }
        self.temperature = temperature;
        Ok(self)
    }

    /// Sets the share of pictures that it looks at, as validation found it best. What takes frames or
    /// files sees to it ([`Recipe::with_crop_pct`](crate::preprocess::Recipe::with_crop_pct)).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] unless it is above 0 and at most 1.
    pub fn with_crop_pct(mut self, share: f32) -> Result<Self> {
        if !(share > 0.0 && share <= 1.0) {
            let m = format!("a head looks at a share above 0 and at most 1 of a picture, found {share}");
            return Err(error(ErrorKind::InvalidArgument, m));
        }
        self.crop_pct = share;
        Ok(self)
    }

    /// Answers below this probability become "unknown"; 0 for never.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] outside 0 to 1.
    pub fn with_threshold(mut self, threshold: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&threshold) {
            let m = format!("a threshold is a probability from 0 to 1, found {threshold}");
            return Err(error(ErrorKind::InvalidArgument, m));
        }
        self.threshold = threshold;
        Ok(self)
    }

    /// Rounds class means, weights or reference rows to half precision, in memory as in a file, where
    /// they take half the space then; biases stay `f32`. What it answers changes by about 1e-3
    /// relative, so do this before calibration.
    ///
    /// # Errors
    /// [`ErrorKind::NonFinite`] if a value is beyond half precision's range (65,504).
    pub fn in_half_precision(mut self) -> Result<Self> {
        let beyond = |e: Error| {
            let m = "a value is beyond half precision; keep the head in single precision";
            if e.kind() == ErrorKind::NonFinite { error(ErrorKind::NonFinite, m.into()) } else { e }
        };
        let round = |v: f32| f16::from_f32(v).to_f32();
        let rounded = |values: &[f32]| values.iter().map(|v| round(*v)).collect::<Vec<_>>();
        self.model = match self.model {
            Model::Centroid(m) => {
                let centroids = rounded(m.centroids());
                NearestCentroid::from_parts(m.classes().to_vec(), centroids, m.variance())
                    .map(Model::Centroid)
            }
            Model::Softmax(m) => {
                let weights = rounded(m.weights());
                Softmax::from_parts(m.classes().to_vec(), weights, m.bias().to_vec()).map(Model::Softmax)
            }
            Model::Neighbors(m) => m.map_rows(round).map(Model::Neighbors),
        }
        .map_err(beyond)?;
        self.half = true;
        Ok(self)
    }

    /// Bytes its numbers take in a file.
    pub fn bytes(&self) -> usize {
        let value = if self.half { 2 } else { 4 };
        match &self.model {
            Model::Centroid(m) => value * m.centroids().len(),
            Model::Softmax(m) => value * m.weights().len() + 4 * m.bias().len(),
            Model::Neighbors(m) => value * m.rows().len() + 4 * m.labels().len(),
        }
    }

    /// Writes the probability of every class into `out`, `[classes]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if either length doesn't fit, [`ErrorKind::NonFinite`] naming the column of
    /// the first NaN or infinity.
    pub fn probabilities(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        self.scores(row, out)?;
        softmax(out, self.temperature);
        Ok(())
    }

    /// [`probabilities`](Self::probabilities) of `[n, columns]` rows into `[n, classes]`, on several
    /// threads if the crate has the feature `rayon`.
    ///
    /// # Errors
    /// As [`probabilities`](Self::probabilities).
    pub fn probabilities_of(&self, rows: Rows<'_>, out: &mut [f32]) -> Result<()> {
        let (d, k) = (rows.columns(), self.classes().len());
        if rows.len().checked_mul(k) != Some(out.len()) {
            let m = format!("{} rows of {k} classes don't fit a buffer of {}", rows.len(), out.len());
            return Err(error(ErrorKind::Shape, m));
        }
        let band = |rows: &[f32], out: &mut [f32]| {
            rows.chunks_exact(d)
                .zip(out.chunks_exact_mut(k))
                .try_for_each(|(row, out)| self.probabilities(row, out))
        };
        #[cfg(feature = "rayon")]
        if rows.len() > BAND {
            use rayon::prelude::*;
            let bands = out.par_chunks_mut(BAND * k).zip(rows.data().par_chunks(BAND * d));
            return bands.try_for_each(|(out, rows)| band(rows, out));
        }
        band(rows.data(), out)
    }

    /// The `top` most probable classes of a row (at least one, at most all).
    ///
    /// # Errors
    /// As [`probabilities`](Self::probabilities).
    pub fn predict(&self, row: &[f32], top: usize) -> Result<Prediction<'_>> {
        let mut probabilities = vec![0.0; self.classes().len()];
        self.probabilities(row, &mut probabilities)?;
        Ok(self.prediction(&probabilities, top))
    }

    /// The prediction that all classes' probabilities, `[classes]`, make.
    pub fn prediction(&self, probabilities: &[f32], top: usize) -> Prediction<'_> {
        let top = prediction::largest(probabilities, top);
        Prediction { classes: self.classes(), top, threshold: self.threshold }
    }

    fn scores(&self, row: &[f32], out: &mut [f32]) -> Result<()> {
        finite(row)?;
        match &self.model {
            Model::Centroid(m) => m.scores(row, out),
            Model::Softmax(m) => m.scores(row, out),
            Model::Neighbors(m) => m.scores(row, out),
        }
    }
}

impl Model {
    /// Class names.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Centroid(m) => m.classes(),
            Self::Softmax(m) => m.classes(),
            Self::Neighbors(m) => m.classes(),
        }
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        match self {
            Self::Centroid(m) => m.columns(),
            Self::Softmax(m) => m.columns(),
            Self::Neighbors(m) => m.columns(),
        }
    }

    /// `centroid`, `softmax` or `knn`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Centroid(_) => "centroid",
            Self::Softmax(_) => "softmax",
            Self::Neighbors(_) => "knn",
        }
    }
}

impl From<NearestCentroid> for Model {
    fn from(model: NearestCentroid) -> Self {
        Self::Centroid(model)
    }
}

impl From<Softmax> for Model {
    fn from(model: Softmax) -> Self {
        Self::Softmax(model)
    }
}

impl From<Neighbors> for Model {
    fn from(model: Neighbors) -> Self {
        Self::Neighbors(model)
    }
}

/// Scores to probabilities, in place.
pub(super) fn softmax(scores: &mut [f32], temperature: f32) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for p in scores.iter_mut() {
        // Equal infinities have no difference.
        *p = if *p == most { 1.0 } else { libm::expf((*p - most) / temperature) };
        sum += *p;
    }
    scores.iter_mut().for_each(|p| *p /= sum);
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, Stage::Classify, message)
}

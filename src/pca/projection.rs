//! The fitted affine map from features to components.

use super::Rows;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec, vec::Vec};
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};

/// Rows one thread projects at a time.
#[cfg(feature = "rayon")]
const BAND: usize = 256;

/// Mean, scale, components and variances: the fitted affine map.
///
/// Centring, scaling, projection and whitening are folded into one matrix product in `f32`;
/// the parts in `f64` stay available. A component's entry of largest absolute value is positive,
/// as scikit-learn's `svd_flip` makes it; of entries equal to rounding the first.
///
/// ```
/// use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
/// let rows = [3.0, 4.0, 0.0, 0.0, 6.0, 8.0, -3.0, -4.0];
/// let mut pca = CovariancePca::new(2)?;
/// pca.partial_fit(Rows::new(&rows, 2)?)?;
/// let projection = pca.fit(Keep::Count(1))?;
/// assert!((projection.components()[1] - 0.8).abs() < 1e-12);
///
/// let mut components = [0.0; 4];
/// projection.transform_into(Rows::new(&rows, 2)?, &mut components)?;
/// assert!((components[2] - 7.5).abs() < 1e-5); // along (0.6, 0.8) from the mean (1.5, 2)
/// let mut back = [0.0; 8];
/// projection.inverse_transform_into(Rows::new(&components, 1)?, &mut back)?;
/// assert!((back[5] - 8.0).abs() < 1e-5);
///
/// projection.whitened()?.transform_into(Rows::new(&rows, 2)?, &mut components)?;
/// let squares: f32 = components.iter().map(|c| c * c).sum();
/// assert!((squares / 3.0 - 1.0).abs() < 1e-5); // unit variance
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    parts: Parts,
    /// `[k, d]`: components over scale, over the standard deviation if whitening.
    weights: Vec<f32>,
    /// `[k]`: minus the mean's image under the weights as rounded, so that the mean maps to zero.
    bias: Vec<f32>,
}

/// What a [`Projection`] is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    /// Rows the fit has seen.
    pub(crate) count: u64,
    /// `[d]`.
    pub(crate) mean: Vec<f64>,
    /// `[d]`, if columns are scaled.
    pub(crate) scale: Option<Vec<f64>>,
    /// `[k, d]`.
    pub(crate) components: Vec<f64>,
    /// `[k]`, descending.
    pub(crate) explained_variance: Vec<f64>,
    /// Of all columns.
    pub(crate) total_variance: f64,
    /// Whether components are divided by their standard deviation.
    pub(crate) whiten: bool,
}

impl Projection {
    /// Checks the parts, fixes signs and folds the map.
    pub(crate) fn new(mut parts: Parts) -> Result<Self> {
        let (d, k) = (parts.mean.len(), parts.explained_variance.len());
        let scales = parts.scale.iter().flatten();
        if d == 0
            || k == 0
            || parts.count < 2
            || parts.components.len() != k.saturating_mul(d)
            || parts.scale.as_ref().is_some_and(|s| s.len() != d)
        {
            let m = format!(
                "{k} variances, {} component values and {d} means make no projection",
                parts.components.len()
            );
            return Err(Error::new(ErrorKind::Shape, Stage::Pca, m));
        }
        let mut all = parts.mean.iter().chain(&parts.components).chain(&parts.explained_variance);
        let negative = parts.explained_variance.iter().any(|v| *v < 0.0) || parts.total_variance < 0.0;
        if !all.all(|v| v.is_finite()) || !parts.total_variance.is_finite() || negative {
            let m = "a projection needs finite values and variances of at least zero";
            return Err(Error::new(ErrorKind::NonFinite, Stage::Pca, m));
        }
        if scales.clone().any(|s| !(*s > 0.0 && s.is_finite())) {
            let m = "a projection's scale must be positive and finite";
            return Err(Error::new(ErrorKind::NonFinite, Stage::Pca, m));
        }
        parts.components.chunks_exact_mut(d).for_each(flip);
        Self { parts, weights: Vec::new(), bias: Vec::new() }.fold()
    }

    /// The same projection with components divided by their standard deviation, to unit variance.
    /// Standard deviations below 2⁻⁵² count as 2⁻⁵², as in scikit-learn.
    ///
    /// # Errors
    /// [`ErrorKind::NonFinite`] if the folded map leaves the range of `f32`.
    pub fn whitened(mut self) -> Result<Self> {
        self.parts.whiten = true;
        self.fold()
    }

    /// Length of a feature vector, `d`.
    pub fn columns(&self) -> usize {
        self.parts.mean.len()
    }

    /// Number of components, `k`.
    pub fn kept(&self) -> usize {
        self.parts.explained_variance.len()
    }

    /// Rows the fit has seen.
    pub fn count(&self) -> u64 {
        self.parts.count
    }

    /// Mean of every column, `[d]`.
    pub fn mean(&self) -> &[f64] {
        &self.parts.mean
    }

    /// What every column is divided by, `[d]`, if the fit scaled them.
    pub fn scale(&self) -> Option<&[f64]> {
        self.parts.scale.as_deref()
    }

    /// Unit vectors in the space of the (scaled) columns, `[k, d]`, by descending variance.
    pub fn components(&self) -> &[f64] {
        &self.parts.components
    }

    /// Variance along each component (divided by `count − 1`), `[k]`.
    pub fn explained_variance(&self) -> &[f64] {
        &self.parts.explained_variance
    }

    /// Share of the total variance, `[k]`; zeros if there is none.
    pub fn explained_variance_ratio(&self) -> Vec<f64> {
        let total = self.parts.total_variance;
        let share = |v: &f64| if total > 0.0 { v / total } else { 0.0 };
        self.parts.explained_variance.iter().map(share).collect()
    }

    /// Variance of all (scaled) columns together, kept or not.
    pub fn total_variance(&self) -> f64 {
        self.parts.total_variance
    }

    /// Mean variance of the directions left out (Tipping and Bishop, "Mixtures of probabilistic
    /// principal component analysers", 1999); zero if none is.
    pub fn noise_variance(&self) -> f64 {
        let possible = usize::try_from(self.parts.count).unwrap_or(usize::MAX).min(self.columns());
        let left_out = possible.saturating_sub(self.kept());
        let kept: f64 = self.parts.explained_variance.iter().sum();
        let rest = (self.parts.total_variance - kept).max(0.0);
        if left_out == 0 { 0.0 } else { rest / left_out as f64 }
    }

    /// Singular values of the centred (scaled) rows, `[k]`.
    pub fn singular_values(&self) -> Vec<f64> {
        let n = self.parts.count.saturating_sub(1) as f64;
        self.parts.explained_variance.iter().map(|v| libm::sqrt(v * n)).collect()
    }

    /// Whether components are divided by their standard deviation.
    pub fn is_whitened(&self) -> bool {
        self.parts.whiten
    }

    /// Writes the components of `[n, d]` rows into `out`, `[n, k]`, with many rows on several
    /// threads if the crate has the feature `rayon`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of columns or another length of `out`,
    /// [`ErrorKind::NonFinite`] naming row and column of the first NaN or infinity.
    pub fn transform_into(&self, rows: Rows<'_>, out: &mut [f32]) -> Result<()> {
        let (d, k) = (self.columns(), self.kept());
        rows.expect(d, Stage::Pca)?;
        expect_length(out, rows.len(), k)?;
        let band = |rows: &[f32], out: &mut [f32]| {
            out.chunks_exact_mut(k).for_each(|o| o.copy_from_slice(&self.bias));
            let n = out.len() / k;
            matmul(
                MatMut::from_row_major_slice_mut(out, n, k),
                Accum::Add,
                MatRef::from_row_major_slice(rows, n, d),
                MatRef::from_row_major_slice(&self.weights, k, d).transpose(),
                1.0,
                Par::Seq,
            );
        };
        #[cfg(feature = "rayon")]
        if rows.len() > BAND {
            use rayon::prelude::*;
            let bands = out.par_chunks_mut(BAND * k).zip(rows.data().par_chunks(BAND * d));
            bands.for_each(|(out, rows)| band(rows, out));
            return Ok(());
        }
        band(rows.data(), out);
        Ok(())
    }

    /// Writes the features nearest to `[n, k]` components into `out`, `[n, d]`.
    ///
    /// # Errors
    /// As [`transform_into`](Self::transform_into).
    pub fn inverse_transform_into(&self, components: Rows<'_>, out: &mut [f32]) -> Result<()> {
        let (d, k) = (self.columns(), self.kept());
        components.expect(k, Stage::Pca)?;
        expect_length(out, components.len(), d)?;
        let mut sum = vec![0.0; d];
        for (out, row) in out.chunks_exact_mut(d).zip(components.data().chunks_exact(k)) {
            sum.fill(0.0);
            let directions = self.parts.components.chunks_exact(d).zip(self.deviations());
            for ((direction, deviation), c) in directions.zip(row) {
                let c = f64::from(*c) * deviation;
                sum.iter_mut().zip(direction).for_each(|(s, v)| *s += c * v);
            }
            for (j, ((o, s), mean)) in out.iter_mut().zip(&sum).zip(&self.parts.mean).enumerate() {
                let scale = self.scale().and_then(|s| s.get(j)).copied().unwrap_or(1.0);
                *o = (s * scale + mean) as f32;
            }
        }
        Ok(())
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What each component is divided by.
    fn deviations(&self) -> impl Iterator<Item = f64> {
        let one = |v: &f64| if self.parts.whiten { libm::sqrt(*v).max(f64::EPSILON) } else { 1.0 };
        self.parts.explained_variance.iter().map(one)
    }

    fn fold(mut self) -> Result<Self> {
        let d = self.columns();
        let mut weights = Vec::with_capacity(self.parts.components.len());
        let mut bias = Vec::with_capacity(self.kept());
        for (component, deviation) in self.parts.components.chunks_exact(d).zip(self.deviations()) {
            let mut sum = 0.0;
            for (j, (c, mean)) in component.iter().zip(&self.parts.mean).enumerate() {
                let scale = self.scale().and_then(|s| s.get(j)).copied().unwrap_or(1.0);
                let weight = (c / (scale * deviation)) as f32;
                sum += mean * f64::from(weight);
                weights.push(weight);
            }
            bias.push(-sum as f32);
        }
        if weights.iter().chain(&bias).any(|v| !v.is_finite()) {
            let m = "the folded map leaves the range of f32; a column varies too little to be scaled";
            return Err(Error::new(ErrorKind::NonFinite, Stage::Pca, m));
        }
        self.weights = weights;
        self.bias = bias;
        Ok(self)
    }
}

fn expect_length(out: &[f32], rows: usize, columns: usize) -> Result<()> {
    if rows.checked_mul(columns) == Some(out.len()) {
        return Ok(());
    }
    let m = format!("{rows} rows of {columns} values don't fit a buffer of {}", out.len());
    Err(Error::new(ErrorKind::Shape, Stage::Pca, m))
}

/// Makes the entry of largest absolute value positive. Of those equal to rounding the first counts,
/// so that ties don't depend on the machine.
fn flip(component: &mut [f64]) {
    let largest = component.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let first = component.iter().find(|v| v.abs() >= largest * (1.0 - 1e-9));
    if first.is_some_and(|v| *v < 0.0) {
        component.iter_mut().for_each(|v| *v = -*v);
    }
}

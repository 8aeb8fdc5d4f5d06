//! Temperature scaling (Guo, Pleiss, Sun & Weinberger 2017, arXiv:1706.04599).

use super::Head;
use crate::{Error, ErrorKind, Result, Stage, pca::Rows};
use alloc::{format, vec, vec::Vec};

/// Temperatures looked at, as logarithms. Where every row is right, sharper would always be better:
/// the lower end keeps a small sample from making all answers certain.
const LOWEST: f64 = -2.3; // 0.1
const HIGHEST: f64 = 9.2; // 10,000

impl Head {
    /// Sets the temperature that minimises the negative log-likelihood of labelled rows the head
    /// was *not* fitted on. Never changes which class is most probable.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] or [`ErrorKind::InvalidArgument`] if rows and labels don't fit,
    /// [`ErrorKind::Insufficient`] without rows.
    pub fn calibrate(mut self, rows: Rows<'_>, labels: &[u32]) -> Result<Self> {
        let k = self.classes().len();
        let fail = |kind, m| Err(Error::new(kind, Stage::Classify, m));
        if rows.len() != labels.len() {
            let m = format!("{} labels for {} rows", labels.len(), rows.len());
            return fail(ErrorKind::Shape, m);
        }
        if labels.is_empty() {
            return fail(ErrorKind::Insufficient, "calibration needs labelled rows".into());
        }
        if let Some(label) = labels.iter().find(|l| **l as usize >= k) {
            return fail(ErrorKind::InvalidArgument, format!("label {label} is none of the {k} classes"));
        }
        let mut logits = vec![0f32; labels.len() * k];
        for (row, out) in rows.data().chunks_exact(rows.columns()).zip(logits.chunks_exact_mut(k)) {
            self.scores(row, out)?;
        }
        self.temperature = best_temperature(&logits, k, labels);
        Ok(self)
    }

    /// The threshold under which the answers to this fraction of correctly classified rows would
    /// fall: with 0.05, 95 % of what the head gets right stays known.
    ///
    /// # Errors
    /// As [`Head::calibrate`]; [`ErrorKind::InvalidArgument`] for a fraction outside 0 to 1.
    pub fn threshold_losing(&self, fraction: f64, rows: Rows<'_>, labels: &[u32]) -> Result<f32> {
        if !(0.0..=1.0).contains(&fraction) || rows.len() != labels.len() {
            let m = format!("fraction {fraction}, {} rows, {} labels", rows.len(), labels.len());
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Classify, m));
        }
        let mut scratch = vec![0f32; self.classes().len()];
        let mut right: Vec<f32> = Vec::new();
        for (row, &label) in rows.data().chunks_exact(rows.columns()).zip(labels) {
            self.probabilities(row, &mut scratch)?;
            let best = super::prediction::largest(&scratch, 1);
            right.extend(best.iter().filter(|(class, _)| *class == label as usize).map(|(_, p)| *p));
        }
        right.sort_by(f32::total_cmp);
        let at = ((right.len() as f64 * fraction) as usize).min(right.len().saturating_sub(1));
        Ok(right.get(at).copied().unwrap_or(0.0))
    }
}

/// The temperature with the least negative log-likelihood of labelled logits `[rows, k]`.
pub(crate) fn best_temperature(logits: &[f32], k: usize, labels: &[u32]) -> f32 {
    // The loss is convex in 1/T, so it has one minimum along ln T: golden-section search.
    let ratio = (libm::sqrt(5.0) - 1.0) / 2.0;
    let loss = |ln_t: f64| negative_log_likelihood(logits, k, labels, libm::exp(-ln_t));
    let (mut low, mut high) = (LOWEST, HIGHEST);
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut loss_a, mut loss_b) = (loss(a), loss(b));
    while high - low > 1e-4 {
        if loss_a < loss_b {
            (high, b, loss_b) = (b, a, loss_a);
            a = high - ratio * (high - low);
            loss_a = loss(a);
        } else {
            (low, a, loss_a) = (a, b, loss_b);
            b = low + ratio * (high - low);
            loss_b = loss(b);
        }
    }
    libm::exp((low + high) / 2.0) as f32
}

/// Mean −ln p of the labels for logits multiplied by `inverse` temperature.
fn negative_log_likelihood(logits: &[f32], k: usize, labels: &[u32], inverse: f64) -> f64 {
    let mut total = 0.0;
    for (row, &label) in logits.chunks_exact(k).zip(labels) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|l| libm::exp(f64::from(l - most) * inverse)).sum();
        total += libm::log(sum) - f64::from(row[label as usize] - most) * inverse;
    }
    total / labels.len() as f64
}

//! Fitting: L-BFGS over batches that can be read again.

use super::{Softmax, lbfgs};
use crate::{Error, ErrorKind, Result, Stage, memory::try_zeros, pca::Rows};
use alloc::{format, string::String, vec, vec::Vec};
use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};

/// Rows handled at once.
const BLOCK: usize = 512;

/// Configuration: minimises `mean cross-entropy + l2 / 2 · ‖W‖²` (biases are free).
///
/// With `n` rows, scikit-learn's `LogisticRegression(C=…)` is `l2 = 1 / (C · n)`.
///
/// ```
/// use fruitcore::{classify::softmax::SoftmaxFit, pca::Rows};
/// let points = [0.0, 0.0, 0.3, 0.1, 4.0, 4.0, 4.2, 3.9];
/// let classes = vec!["apple".into(), "kiwi".into()];
/// let (head, report) = SoftmaxFit::new(2, classes)?.fit(|visit| {
///     // From a file: one call for each batch; every pass reads the same batches again.
///     visit(Rows::new(&points, 2)?, &[0, 0, 1, 1])
/// })?;
/// assert!(report.converged);
/// let mut scratch = [0.0; 2];
/// let (class, probability) = head.predict(&[4.0, 4.0], &mut scratch)?;
/// assert!(head.classes()[class] == "kiwi" && probability > 0.9);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SoftmaxFit {
    columns: usize,
    classes: Vec<String>,
    l2: f64,
    max_iterations: usize,
    tolerance: f64,
}

/// How a fit ended.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SoftmaxReport {
    /// Rows in a pass.
    pub rows: u64,
    /// L-BFGS iterations.
    pub iterations: usize,
    /// The objective at the end.
    pub loss: f64,
    /// Whether it stopped because no gradient component was above the tolerance or the loss no
    /// longer fell beyond rounding, rather than at the iteration limit.
    pub converged: bool,
}

type Visit<'v> = dyn FnMut(Rows<'_>, &[u32]) -> Result<()> + 'v;

impl SoftmaxFit {
    /// For rows of `columns` values and labels that index `classes`; `l2` 1e-4, at most 500
    /// iterations, gradient tolerance 1e-5.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no columns, [`ErrorKind::Insufficient`] for fewer than
    /// two classes, [`ErrorKind::Limit`] if so many weights can't be addressed.
    pub fn new(columns: usize, classes: Vec<String>) -> Result<Self> {
        if columns == 0 {
            let m = "rows need at least one column";
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Classify, m));
        }
        if classes.len() < 2 {
            let m = format!("a classifier needs at least two classes, found {}", classes.len());
            return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, m));
        }
        let values = columns.checked_add(1).and_then(|n| n.checked_mul(classes.len().max(BLOCK)));
        if values.is_none_or(|n| n > isize::MAX as usize / size_of::<f64>()) {
            return Err(too_large(columns, classes.len()));
        }
        Ok(Self { columns, classes, l2: 1e-4, max_iterations: 500, tolerance: 1e-5 })
    }

    /// Strength of the penalty on the weights, ≥ 0.
    #[must_use]
    pub fn l2(mut self, l2: f64) -> Self {
        self.l2 = l2.max(0.0);
        self
    }

    /// Stops after this many iterations even if the gradient is larger.
    #[must_use]
    pub fn max_iterations(mut self, n: usize) -> Self {
        self.max_iterations = n;
        self
    }

    /// Stops when no component of the gradient is above this.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Fits over `pass`, which is called once for each evaluation and hands every batch to its
    /// argument; memory doesn't grow with the number of rows.
    ///
    /// # Errors
    /// What `pass` returns; [`ErrorKind::Shape`] for batches that don't fit,
    /// [`ErrorKind::InvalidArgument`] for a label without a class, [`ErrorKind::NonFinite`] for NaN
    /// or infinity, [`ErrorKind::Insufficient`] for no rows, [`ErrorKind::Limit`] if the memory isn't there.
    pub fn fit(
        &self,
        mut pass: impl FnMut(&mut Visit<'_>) -> Result<()>,
    ) -> Result<(Softmax, SoftmaxReport)> {
        let (d, k) = (self.columns, self.classes.len());
        let zeros = try_zeros::<f64>;
        let (Some(mut sums), Some(mut squares), Some(start)) = (zeros(d), zeros(d), zeros(k * d + k)) else {
            return Err(too_large(d, k));
        };
        let mut rows = 0u64;
        pass(&mut |batch, labels| {
            self.check(batch, labels)?;
            rows += batch.len() as u64;
            for row in batch.data().chunks_exact(d) {
                for ((sum, square), v) in sums.iter_mut().zip(&mut squares).zip(row) {
                    *sum += f64::from(*v);
                    *square += f64::from(*v) * f64::from(*v);
                }
            }
            Ok(())
        })?;
        if rows == 0 {
            return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, "no labelled rows to fit on"));
        }
        // The Hessian's diagonal at W = 0: columns of very different scale then need no scaling.
        let spread = (k as f64 - 1.0) / (k * k) as f64;
        let n = rows as f64;
        // Centred columns don't pull at the biases; the free bias takes the shift back at the end.
        let mean: Vec<f64> = sums.iter().map(|s| s / n).collect();
        let variances = squares.iter().zip(&mean).map(|(s, m)| (s / n - m * m).max(0.0));
        // A constant column would have no scale at all.
        let mut scale: Vec<f64> = variances.map(|v| (1.0 / (spread * v + self.l2)).min(1e12)).collect();
        scale = scale.repeat(k);
        scale.resize(k * d + k, 1.0 / spread);
        let mut gemm = Gemm { k, mean, logits: vec![0.0; BLOCK * k], input: vec![0.0; BLOCK * d] };
        let outcome = lbfgs::minimise(start, &scale, self.max_iterations, self.tolerance, |x, g| {
            g.fill(0.0);
            let mut loss = 0.0;
            pass(&mut |batch, labels| {
                self.check(batch, labels)?;
                for (rows, labels) in batch.data().chunks(BLOCK * d).zip(labels.chunks(BLOCK)) {
                    loss += gemm.accumulate(x, rows, labels, g);
                }
                Ok(())
            })?;
            g.iter_mut().for_each(|g| *g /= rows as f64);
            let mut penalty = 0.0;
            for (g, w) in g.iter_mut().zip(&x[..k * d]) {
                *g += self.l2 * w;
                penalty += w * w;
            }
            Ok(loss / rows as f64 + self.l2 / 2.0 * penalty)
        })?;
        let f32s = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let (weights, bias) = outcome.x.split_at(k * d);
        let shift = |w: &[f64]| w.iter().zip(&gemm.mean).map(|(w, m)| w * m).sum::<f64>();
        let bias: Vec<f64> = weights.chunks_exact(d).zip(bias).map(|(w, b)| b - shift(w)).collect();
        let head = Softmax::from_parts(self.classes.clone(), f32s(weights), f32s(&bias))?;
        let lbfgs::Outcome { value, iterations, converged, .. } = outcome;
        Ok((head, SoftmaxReport { rows, iterations, loss: value, converged }))
    }

    fn check(&self, rows: Rows<'_>, labels: &[u32]) -> Result<()> {
        let fail = |kind, m| Err(Error::new(kind, Stage::Classify, m));
        if rows.columns() != self.columns || rows.len() != labels.len() {
            let found = format!("{}x{} with {} labels", rows.len(), rows.columns(), labels.len());
            return fail(ErrorKind::Shape, format!("expected rows of {}, found {found}", self.columns));
        }
        if let Some(label) = labels.iter().find(|l| **l as usize >= self.classes.len()) {
            let m = format!("label {label} is none of the {} classes", self.classes.len());
            return fail(ErrorKind::InvalidArgument, m);
        }
        match rows.data().iter().position(|v| !v.is_finite()) {
            Some(at) => {
                let (row, column) = (at / self.columns, at % self.columns);
                fail(ErrorKind::NonFinite, format!("row {row}, column {column} is not finite"))
            }
            None => Ok(()),
        }
    }
}

fn too_large(columns: usize, classes: usize) -> Error {
    let m = format!(
        "no memory for {classes} classes of {columns} columns; fit on components, or on fewer classes"
    );
    Error::new(ErrorKind::Limit, Stage::Classify, m)
}

/// Loss and gradient of a block by two products.
struct Gemm {
    k: usize,
    mean: Vec<f64>,
    logits: Vec<f64>,
    input: Vec<f64>,
}

impl Gemm {
    fn accumulate(&mut self, x: &[f64], rows: &[f32], labels: &[u32], gradient: &mut [f64]) -> f64 {
        let (d, k, n) = (self.mean.len(), self.k, labels.len());
        let input = &mut self.input[..n * d];
        for (input, row) in input.chunks_exact_mut(d).zip(rows.chunks_exact(d)) {
            input.iter_mut().zip(row).zip(&self.mean).for_each(|((i, v), m)| *i = f64::from(*v) - m);
        }
        let input = MatRef::from_row_major_slice(input, n, d);
        let logits = &mut self.logits[..n * k];
        let (weights, bias) = x.split_at(k * d);
        let weights = MatRef::from_row_major_slice(weights, k, d);
        let out = MatMut::from_row_major_slice_mut(&mut *logits, n, k);
        matmul(out, Accum::Replace, input, weights.transpose(), 1.0, Par::Seq);
        let mut loss = 0.0;
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(k * d);
        for (row, &label) in logits.chunks_exact_mut(k).zip(labels) {
            row.iter_mut().zip(bias).for_each(|(l, b)| *l += b);
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = row[label as usize];
            let mut sum = 0.0;
            row.iter_mut().for_each(|l| {
                *l = libm::exp(*l - most);
                sum += *l;
            });
            loss += libm::log(sum) + most - own;
            row.iter_mut().for_each(|l| *l /= sum);
            row[label as usize] -= 1.0;
            bias_gradient.iter_mut().zip(&*row).for_each(|(g, p)| *g += p);
        }
        let residual = MatRef::from_row_major_slice(&*logits, n, k);
        let out = MatMut::from_row_major_slice_mut(weight_gradient, k, d);
        matmul(out, Accum::Add, residual.transpose(), input, 1.0, Par::Seq);
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_beyond_memory_are_refused() {
        let classes = || vec!["a".into(), "b".into()];
        let kind = |e: Error| e.kind();
        assert_eq!(SoftmaxFit::new(usize::MAX, classes()).map_err(kind).err(), Some(ErrorKind::Limit));
        let fits = usize::MAX / 16 / BLOCK - 1;
        let mut passes = 0;
        let found = SoftmaxFit::new(fits, classes()).unwrap().fit(|_| {
            passes += 1;
            Ok(())
        });
        assert_eq!((found.map(|_| ()).map_err(kind), passes), (Err(ErrorKind::Limit), 0));
    }
}

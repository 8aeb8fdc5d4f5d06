//! Principal components of very wide rows from a sketch of fixed size.

use super::{
    IncrementalPca, Keep, Parts, Projection, Rows,
    centre::{Block, centre},
    eigen::{self, Leading, Wanted, leading},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    memory::try_zeros,
    state::{Reader, Writer},
};
use alloc::{format, vec::Vec};
use faer::{
    Accum, MatMut, MatRef,
    linalg::matmul::{matmul, triangular},
};

const MAGIC: &[u8; 8] = b"fruitSKT";
const VERSION: u64 = 1;

/// Rows centred together.
const BLOCK: usize = if cfg!(miri) { 4 } else { 64 };

/// Approximate PCA in `O(ℓ·d)` memory: Frequent Directions (Liberty, "Simple and deterministic matrix
/// sketching", 2013; Ghashami, Liberty, Phillips and Woodruff, 2016) of the centred rows.
///
/// The sketch `B` of at most `2ℓ` rows stands for the centred rows `A`: `BᵀB ⪯ AᵀA` and
/// `‖AᵀA − BᵀB‖₂ ≤` [`error_bound`](Self::error_bound), a bound this very state has kept account of,
/// never more than `‖A − A_k‖²_F / (ℓ − k)` for any `k < ℓ`. Count, mean and total variance are exact:
/// a shift between the means of two blocks is one more row of `A`. States merge, and so do their
/// bounds; order and split matter within the bound. Explained variances are too small by at most
/// `error_bound / (count − 1)`.
///
/// ```
/// use fruitcore::pca::{IncrementalPca, Keep, Rows, SketchPca};
/// let rows: Vec<f32> = (0..100).flat_map(|i| [i as f32, 2.0 * i as f32, 0.0]).collect();
/// let mut pca = SketchPca::new(3, 2)?;
/// pca.partial_fit(Rows::new(&rows, 3)?)?;
/// let projection = pca.fit(Keep::Count(1))?;
/// assert!((projection.components()[1] - 2.0 / 5f64.sqrt()).abs() < 1e-6);
/// assert!(pca.error_bound() <= 1e-6 * projection.total_variance() * 99.0);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SketchPca {
    size: usize,
    count: u64,
    mean: Vec<f64>,
    /// At most `2·size` rows.
    rows: Vec<f64>,
    /// What shrinking has taken from `AᵀA`, in the spectral norm.
    loss: f64,
    /// `‖A‖²_F`.
    energy: f64,
}

impl SketchPca {
    /// A state that has seen no row, for up to `size` components.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero columns or size zero, [`ErrorKind::Limit`] if the
    /// sketch can't be addressed.
    pub fn new(columns: usize, size: usize) -> Result<Self> {
        if columns == 0 || size == 0 {
            let m = "a sketch needs at least one column and a size of at least one";
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Pca, m));
        }
        if columns.checked_mul(size).and_then(|n| n.checked_mul(32)).is_none() {
            return Err(too_large(columns, size));
        }
        let mean = try_zeros(columns).ok_or_else(|| too_large(columns, size))?;
        Ok(Self { size, count: 0, mean, rows: Vec::new(), loss: 0.0, energy: 0.0 })
    }

    /// Columns of a row.
    pub fn columns(&self) -> usize {
        self.mean.len()
    }

    /// The number of directions it keeps, `ℓ`.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Certified bound of `‖AᵀA − BᵀB‖₂`; divide by `count − 1` for variances.
    pub fn error_bound(&self) -> f64 {
        self.loss
    }

    /// Appends a row of `A`, whatever it takes.
    fn push(&mut self, row: &[f64]) -> Result<()> {
        let squares: f64 = row.iter().map(|x| x * x).sum();
        if squares == 0.0 {
            return Ok(());
        }
        if self.rows.len() >= 2 * self.size * self.columns() {
            self.shrink()?;
        }
        self.energy += squares;
        self.rows.extend_from_slice(row);
        Ok(())
    }

    /// Memory for the whole sketch, before anything is changed.
    fn reserve(&mut self) -> Result<()> {
        let (d, all) = (self.columns(), 2 * self.size * self.columns());
        self.rows.try_reserve_exact(all - self.rows.len()).map_err(|_| too_large(d, self.size))
    }

    /// Halves the sketch: every squared singular value loses the `ℓ+1`-th.
    fn shrink(&mut self) -> Result<()> {
        let d = self.columns();
        let n = self.rows.len() / d;
        let (values, turned) = self.turned(Wanted::Count(n.min(d)))?;
        let least = values.get(self.size).copied().unwrap_or(0.0).max(0.0);
        let largest = values.first().copied().unwrap_or(0.0);
        let kept = values.iter().take(self.size).take_while(|v| **v > least).count();
        let mut rows = Vec::new();
        rows.try_reserve_exact(2 * self.size * d).map_err(|_| too_large(d, self.size))?;
        rows.extend_from_slice(turned.get(..kept * d).unwrap_or_default());
        for (row, value) in rows.chunks_exact_mut(d).zip(&values) {
            let factor = libm::sqrt(1.0 - least / value);
            row.iter_mut().for_each(|x| *x *= factor);
        }
        self.rows = rows;
        // Rounding of the Gram matrix and its eigenvectors counts as loss.
        self.loss += least + 4.0 * f64::EPSILON * n as f64 * largest;
        Ok(())
    }

    /// Squared singular values of `B`, and `[values, d]` orthogonal rows that stand for it: right singular vectors
    /// times singular values. By `B·Bᵀ` or `BᵀB`, whichever is smaller: neither then takes more than `B` itself.
    fn turned(&self, wanted: Wanted) -> Result<(Vec<f64>, Vec<f64>)> {
        let d = self.columns();
        let n = self.rows.len() / d;
        let (wide, side) = (n <= d, n.min(d));
        let none = || too_large(d, self.size);
        let mut gram = try_zeros(side * side).ok_or_else(none)?;
        let b = MatRef::from_row_major_slice(&self.rows, n, d);
        let (left, right) = if wide { (b, b.transpose()) } else { (b.transpose(), b) };
        triangular::matmul(
            MatMut::from_column_major_slice_mut(&mut gram, side, side),
            triangular::BlockStructure::TriangularLower,
            Accum::Replace,
            left,
            triangular::BlockStructure::Rectangular,
            right,
            triangular::BlockStructure::Rectangular,
            1.0,
            eigen::par(),
        );
        let Leading { values, mut vectors } = leading(gram, side, wanted)?;
        if !wide {
            for (row, value) in vectors.chunks_exact_mut(d).zip(&values) {
                let length = libm::sqrt(value.max(0.0));
                row.iter_mut().for_each(|x| *x *= length);
            }
            return Ok((values, vectors));
        }
        let mut rows = try_zeros(values.len() * d).ok_or_else(none)?;
        matmul(
            MatMut::from_row_major_slice_mut(&mut rows, values.len(), d),
            Accum::Replace,
            MatRef::from_row_major_slice(&vectors, values.len(), n),
            b,
            1.0,
            eigen::par(),
        );
        Ok((values, rows))
    }

    /// Adds `count` rows of mean `mean` whose centred rows are pushed separately.
    fn shift(&mut self, count: u64, mean: &[f64]) -> Result<()> {
        let (a, b) = (self.count as f64, count as f64);
        let weight = b / (a + b);
        let root = libm::sqrt(a * weight);
        let row: Vec<f64> = mean.iter().zip(&self.mean).map(|(b, a)| (b - a) * root).collect();
        self.mean.iter_mut().zip(mean).for_each(|(a, b)| *a += (b - *a) * weight);
        self.count = self.count.saturating_add(count);
        self.push(&row)
    }
}

impl IncrementalPca for SketchPca {
    fn partial_fit(&mut self, rows: Rows<'_>) -> Result<()> {
        let d = self.columns();
        rows.expect(d, Stage::Pca)?;
        let mut next = self.clone();
        next.reserve()?;
        let mut block = Block::default();
        for data in rows.data().chunks(BLOCK * d) {
            let rows = Rows::new(data, d)?;
            centre(rows, &mut block);
            for row in block.values.chunks_exact(d).take(rows.len()) {
                next.push(row)?;
            }
            next.shift(rows.len() as u64, &block.mean)?;
        }
        *self = next;
        Ok(())
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if (other.columns(), other.size) != (self.columns(), self.size) {
            let m = format!(
                "sketches of {}×{} and {}×{} don't merge; make both with the same columns and size",
                self.size,
                self.columns(),
                other.size,
                other.columns()
            );
            return Err(Error::new(ErrorKind::Mismatch, Stage::Pca, m));
        }
        if other.count == 0 {
            return Ok(());
        }
        let mut next = self.clone();
        next.reserve()?;
        for row in other.rows.chunks_exact(self.columns()) {
            next.push(row)?;
        }
        next.shift(other.count, &other.mean)?;
        next.loss += other.loss;
        // What the other sketch has lost was part of its rows all the same.
        let held: f64 = other.rows.iter().map(|x| x * x).sum();
        next.energy += (other.energy - held).max(0.0);
        *self = next;
        Ok(())
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn fit(&self, keep: Keep) -> Result<Projection> {
        let (d, n) = (self.columns(), self.count);
        if n < 2 {
            let m = format!("variance needs at least two rows, found {n}; add pictures");
            return Err(Error::new(ErrorKind::Insufficient, Stage::Pca, m));
        }
        let most = usize::try_from(n).unwrap_or(usize::MAX).min(d).min(self.size);
        let wanted = keep.wanted(self.energy, most)?;
        let held = self.rows.len() / d;
        let (values, mut components) = if held == 0 {
            (Vec::new(), Vec::new())
        } else {
            self.turned(match wanted {
                Wanted::Count(k) => Wanted::Count(k.min(held)),
                Wanted::Sum { target, most } => Wanted::Sum { target, most: most.min(held) },
            })?
        };
        let kept = match wanted {
            Wanted::Count(k) => k,
            Wanted::Sum { target, .. } => {
                let sum: f64 = values.iter().sum();
                if sum < target {
                    let m = format!(
                        "{} directions certify {:.1} % of the variance; make the sketch with a larger size",
                        values.len(),
                        100.0 * sum / self.energy
                    );
                    return Err(Error::new(ErrorKind::Insufficient, Stage::Pca, m));
                }
                values.len()
            }
        };
        components.resize(kept * d, 0.0);
        orthonormalise(&mut components, d);
        let variance = |i: usize| values.get(i).map_or(0.0, |v| v.max(0.0) / (n - 1) as f64);
        Projection::new(Parts {
            count: n,
            mean: self.mean.clone(),
            scale: None,
            components,
            explained_variance: (0..kept).map(variance).collect(),
            total_variance: self.energy / (n - 1) as f64,
            whiten: false,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let d = self.columns();
        let mut writer = Writer::new(MAGIC, VERSION, 6 + d + self.rows.len());
        writer.u64(d as u64);
        writer.u64(self.size as u64);
        writer.u64(self.count);
        writer.f64(self.loss);
        writer.f64(self.energy);
        writer.u64((self.rows.len() / d) as u64);
        writer.f64s(&self.mean);
        writer.f64s(&self.rows);
        writer.finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::open(bytes, MAGIC, VERSION, Stage::Pca, "sketch state")?;
        let d = reader.len()?;
        let size = reader.u64()?;
        let count = reader.u64()?;
        let (loss, energy) = (reader.f64()?, reader.f64()?);
        let held = reader.u64()?;
        let addressable = usize::try_from(size).ok().filter(|s| Self::new(d, *s).is_ok());
        let Some(size) = addressable.filter(|s| held <= 2 * *s as u64) else {
            return Err(reader.corrupt("its sizes are impossible"));
        };
        let mean = reader.f64s(d)?;
        let rows = reader.f64s((held as usize).saturating_mul(d))?;
        reader.end()?;
        if loss < 0.0 || energy < 0.0 || (count == 0 && (!rows.is_empty() || mean.iter().any(|m| *m != 0.0)))
        {
            return Err(reader.corrupt("its sums are impossible"));
        }
        Ok(Self { size, count, mean, rows, loss, energy })
    }
}

/// Makes rows of length `d` orthonormal, in order; one that depends on those before becomes some
/// unit vector orthogonal to them. There are at most `d` rows.
fn orthonormalise(rows: &mut [f64], d: usize) {
    let norm = |x: &[f64]| libm::sqrt(x.iter().map(|v| v * v).sum());
    let mut unit = 0..d;
    for i in 0..rows.len() / d {
        let (before, rest) = rows.split_at_mut(i * d);
        let Some(row) = rest.get_mut(..d) else { return };
        loop {
            let start = norm(row);
            for _ in 0..2 {
                for b in before.chunks_exact(d) {
                    let along: f64 = b.iter().zip(row.iter()).map(|(b, x)| b * x).sum();
                    row.iter_mut().zip(b).for_each(|(x, b)| *x -= along * b);
                }
            }
            let left = norm(row);
            if left > 1e-6 * start {
                row.iter_mut().for_each(|x| *x /= left);
                break;
            }
            let Some(j) = unit.next() else { return };
            row.fill(0.0);
            row.iter_mut().skip(j).take(1).for_each(|x| *x = 1.0);
        }
    }
}

fn too_large(columns: usize, size: usize) -> Error {
    let m =
        format!("no memory for a sketch of {size} directions of {columns} columns; choose a smaller size");
    Error::new(ErrorKind::Limit, Stage::Pca, m)
}

#[cfg(test)]
mod tests;

//! Exact principal components from mergeable moments.

use super::{
    IncrementalPca, Keep, Projection, Rows,
    eigen::{Leading, Wanted, leading},
    kernels::{self, Pair},
    low_rank,
    projection::Parts,
};
use crate::{Error, ErrorKind, Result, Stage, featurize::kernels::large_pages, scale::StandardScaler};
use alloc::{format, vec::Vec};

mod state;

const MAGIC: &[u8; 8] = b"fruitCOV";
const VERSION: u64 = 1;

/// Rows collected before they enter the co-moment: enough for the matrix product to run at full
/// speed, few enough to stay in cache.
const BLOCK: usize = if cfg!(miri) { 4 } else { 256 };

/// Scratch memory for one block.
#[derive(Default)]
struct Block {
    /// The centred rows and one for the shift between the means.
    pair: Pair,
    /// The block's mean, then the shift.
    shift: Vec<f64>,
}

/// What is done to the columns before their principal components are sought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scaling {
    /// Centred only.
    #[default]
    None,
    /// Centred and divided by the standard deviation, as [`StandardScaler`] does.
    Standard,
}

/// Exact PCA in one pass: count, mean and co-moment in `f64`, one triangle of it computed.
///
/// Rows are centred by their block's mean and enter the co-moment by a matrix product; blocks and
/// states combine by the update of Chan, Golub and LeVeque (1979). So the order and the split of the
/// rows don't matter beyond rounding (1e-10 relative), and the same state yields components with and
/// without standard scaling. Memory is `8·d²` bytes; fitting takes `4·d²` more and a copy of the
/// moments, unless [`into_fit`](Self::into_fit) uses them up.
///
/// Results are those of scikit-learn's `PCA(svd_solver="full")`, signs included.
///
/// ```
/// use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows, Scaling};
/// let mut pca = CovariancePca::new(2)?;
/// pca.partial_fit(Rows::new(&[0.0, 0.0, 2.0, 1.0], 2)?)?;
/// let mut elsewhere = CovariancePca::new(2)?;
/// elsewhere.partial_fit(Rows::new(&[4.0, 2.0, 6.0, 3.0], 2)?)?;
/// pca.merge(&elsewhere)?;
/// let projection = pca.fit(Keep::Count(1))?;
/// assert!((projection.explained_variance_ratio()[0] - 1.0).abs() < 1e-12);
/// let scaled = pca.fit_scaled(Keep::Variance(0.95), Scaling::Standard)?;
/// assert_eq!(scaled.kept(), 1);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CovariancePca {
    count: u64,
    mean: Vec<f64>,
    /// `d × d`, column after column, lower triangle; empty before the first block.
    moment: Vec<f64>,
    /// Fewer than [`BLOCK`] rows that wait for more.
    pending: Vec<f32>,
}

impl CovariancePca {
    /// A state that has seen no row.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero columns, [`ErrorKind::Limit`] if a `d × d` matrix
    /// can't be addressed.
    pub fn new(columns: usize) -> Result<Self> {
        if columns == 0 {
            let m = "principal components need at least one column";
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Pca, m));
        }
        if columns.checked_mul(columns).and_then(|n| n.checked_mul(8)).is_none() {
            return Err(too_large(columns));
        }
        Ok(Self { count: 0, mean: alloc::vec![0.0; columns], moment: Vec::new(), pending: Vec::new() })
    }

    /// Columns of a row.
    pub fn columns(&self) -> usize {
        self.mean.len()
    }

    /// Mean and variance of every column, from the same moments.
    pub fn scaler(&self) -> Result<StandardScaler> {
        let d = self.columns();
        let mut scaler = StandardScaler::new(d)?;
        if self.count > 0 {
            let squares = self.moment.iter().step_by(d + 1).map(|s| s.max(0.0)).collect();
            scaler = StandardScaler::from_moments(self.count, self.mean.clone(), squares);
        }
        if !self.pending.is_empty() {
            scaler.partial_fit(Rows::new(&self.pending, d)?)?;
        }
        Ok(scaler)
    }

    /// The projection onto the leading components of the columns, scaled first if asked. One state
    /// answers both.
    ///
    /// # Errors
    /// As [`IncrementalPca::fit`]: [`ErrorKind::Insufficient`] for fewer than two rows or, with
    /// [`Keep::Variance`], rows that are all equal; [`ErrorKind::InvalidArgument`] for a count of
    /// zero or beyond `min(rows, columns)` or a fraction outside (0, 1].
    pub fn fit_scaled(&self, keep: Keep, scaling: Scaling) -> Result<Projection> {
        let mut moment = large_pages::with_capacity(self.moment.len());
        moment.extend_from_slice(&self.moment);
        let copy = Self { moment, mean: self.mean.clone(), pending: self.pending.clone(), ..*self };
        copy.into_fit(keep, scaling)
    }

    /// As [`fit_scaled`](Self::fit_scaled) in the state's own memory, `8·d²` bytes less.
    ///
    /// ```
    /// use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows, Scaling};
    /// let mut pca = CovariancePca::new(2)?;
    /// pca.partial_fit(Rows::new(&[0.0, 0.0, 2.0, 1.0, 4.0, 2.5], 2)?)?;
    /// let copied = pca.fit_scaled(Keep::Count(1), Scaling::None)?;
    /// assert_eq!(pca.into_fit(Keep::Count(1), Scaling::None)?, copied);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit_scaled`](Self::fit_scaled).
    pub fn into_fit(mut self, keep: Keep, scaling: Scaling) -> Result<Projection> {
        let d = self.columns();
        let n = self.count();
        if n < 2 {
            let m = format!("variance needs at least two rows, found {n}; add pictures");
            return Err(Error::new(ErrorKind::Insufficient, Stage::Pca, m));
        }
        self.flush()?;
        let Self { mean, mut moment, .. } = self;
        let scale = match scaling {
            Scaling::None => None,
            Scaling::Standard => {
                let squares = moment.iter().step_by(d + 1).map(|s| s.max(0.0)).collect();
                let std = StandardScaler::from_moments(n, mean.clone(), squares).std();
                for (j, column) in moment.chunks_exact_mut(d).enumerate() {
                    let by = std.get(j).copied().unwrap_or(1.0);
                    let below = column.iter_mut().zip(&std).skip(j);
                    below.for_each(|(c, s)| *c /= s * by);
                }
                Some(std)
            }
        };
        let total: f64 = moment.iter().step_by(d + 1).map(|s| s.max(0.0)).sum();
        let most = usize::try_from(n).unwrap_or(usize::MAX).min(d);
        let wanted = keep.wanted(total, most)?;
        // Few rows span few directions: with a quarter, both ways take the same time.
        let few = usize::try_from(n).ok().filter(|n| *n <= d / 4);
        let found = few.and_then(|n| low_rank::leading(&moment, d, n, wanted).transpose());
        let Leading { values, vectors } = found.unwrap_or_else(|| leading(moment, d, wanted))?;
        Projection::new(Parts {
            count: n,
            mean,
            scale,
            components: vectors,
            explained_variance: values.iter().map(|v| v.max(0.0) / (n - 1) as f64).collect(),
            total_variance: total / (n - 1) as f64,
            whiten: false,
        })
    }

    /// Takes a full or final block into the moments.
    fn absorb(&mut self, rows: Rows<'_>, block: &mut Block) -> Result<()> {
        let d = self.columns();
        self.allocate()?;
        let kernels = kernels::best();
        let Block { pair, shift } = block;
        shift.resize(d, 0.0);
        pair.centre(kernels, rows.data(), shift);
        let count = rows.len() as u64;
        let (a, b) = (self.count as f64, count as f64);
        // The shift between the means is one more row of the product.
        let weight = b / (a + b);
        let root = libm::sqrt(a * weight);
        for (s, m) in shift.iter_mut().zip(&mut self.mean) {
            let distance = *s - *m;
            *m += distance * weight;
            *s = distance * root;
        }
        pair.left.set_row(rows.len(), shift);
        pair.right.set_row(rows.len(), shift);
        kernels::add_lower(kernels, &pair.left, &pair.right, &mut self.moment, d);
        self.count = self.count.saturating_add(count);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            let pending = core::mem::take(&mut self.pending);
            self.absorb(Rows::new(&pending, self.columns())?, &mut Block::default())?;
        }
        Ok(())
    }

    /// Makes room for the co-moment, which nothing before the first rows needs.
    fn allocate(&mut self) -> Result<()> {
        if self.moment.is_empty() {
            let d = self.columns();
            self.moment.try_reserve_exact(d * d).map_err(|_| too_large(d))?;
            large_pages::prefer(&mut self.moment);
            self.moment.resize(d * d, 0.0);
        }
        Ok(())
    }

    /// Adds finite rows of the right width.
    fn push(&mut self, rows: Rows<'_>) -> Result<()> {
        let full = BLOCK * self.columns();
        self.allocate()?;
        let mut data = rows.data();
        let mut block = Block::default();
        if !self.pending.is_empty() {
            let (now, later) = data.split_at(data.len().min(full - self.pending.len()));
            self.pending.extend_from_slice(now);
            data = later;
            if self.pending.len() == full {
                let mut pending = core::mem::take(&mut self.pending);
                self.absorb(Rows::new(&pending, self.columns())?, &mut block)?;
                pending.clear();
                self.pending = pending;
            }
        }
        let mut blocks = data.chunks_exact(full);
        for rows in &mut blocks {
            self.absorb(Rows::new(rows, self.columns())?, &mut block)?;
        }
        if !blocks.remainder().is_empty() {
            self.pending.reserve_exact(full - self.pending.len());
            self.pending.extend_from_slice(blocks.remainder());
        }
        Ok(())
    }
}

impl IncrementalPca for CovariancePca {
    fn partial_fit(&mut self, rows: Rows<'_>) -> Result<()> {
        rows.expect(self.columns(), Stage::Pca)?;
        // On a thread of the pool, so that its tasks start without waking another.
        #[cfg(feature = "rayon")]
        return rayon::join(|| self.push(rows), || ()).0;
        #[cfg(not(feature = "rayon"))]
        self.push(rows)
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        let d = self.columns();
        self.same_columns(other.columns())?;
        if other.count > 0 {
            self.allocate()?;
            let (shift, by) = self.shift(other);
            let columns = self.moment.chunks_exact_mut(d).zip(other.moment.chunks_exact(d));
            for (j, ((ours, theirs), by)) in columns.zip(&by).enumerate() {
                for ((c, o), s) in ours.iter_mut().zip(theirs).zip(&shift).skip(j) {
                    *c += o + s * by;
                }
            }
            self.take(&shift, other.count);
        }
        if other.pending.is_empty() { Ok(()) } else { self.push(Rows::new(&other.pending, d)?) }
    }

    fn count(&self) -> u64 {
        self.count.saturating_add((self.pending.len() / self.columns()) as u64)
    }

    fn fit(&self, keep: Keep) -> Result<Projection> {
        self.fit_scaled(keep, Scaling::None)
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.write()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes)
    }
}

impl Keep {
    /// The eigenpairs this asks for, of a spectrum that sums to `total` and has `most` of interest.
    pub(super) fn wanted(self, total: f64, most: usize) -> Result<Wanted> {
        let bad = |m| Err(Error::new(ErrorKind::InvalidArgument, Stage::Pca, m));
        match self {
            Self::Count(k) if k == 0 || k > most => {
                bad(format!("{k} components are not between 1 and {most}, the smaller of rows and columns"))
            }
            Self::Count(k) => Ok(Wanted::Count(k)),
            Self::Variance(f) if !(f > 0.0 && f <= 1.0) => {
                bad(format!("{f} is no fraction of variance; give a number above 0 and at most 1"))
            }
            Self::Variance(_) if total <= 0.0 => {
                let m = "all rows are equal: there is no variance to explain; add different pictures";
                Err(Error::new(ErrorKind::Insufficient, Stage::Pca, m))
            }
            // The slack of rounding: without it, all of the variance would never be reached.
            Self::Variance(f) => Ok(Wanted::Sum { target: total * (f - 1e-12), most }),
        }
    }
}

fn too_large(columns: usize) -> Error {
    let m = format!(
        "no memory for the covariance of {columns} columns; use SketchPca or a network with fewer features"
    );
    Error::new(ErrorKind::Limit, Stage::Pca, m)
}

#[cfg(test)]
mod tests;

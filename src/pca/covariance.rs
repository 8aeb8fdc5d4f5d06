//! Exact principal components from mergeable moments.

use super::{
    IncrementalPca, Keep, Projection, Rows,
    eigen::{Leading, Wanted, leading_of},
    kernels::{self, Kernels, Pair},
    low_rank,
    projection::Parts,
};
use crate::{Error, ErrorKind, Result, Stage, scale::StandardScaler};
use alloc::{boxed::Box, format, vec::Vec};
use core::{fmt, iter};
use moment::Moment;

mod moment;
mod state;

const MAGIC: &[u8; 8] = b"fruitCOV";
const VERSION: u64 = 1;

/// Rows collected before they enter the co-moment: enough for the matrix product to run at full
/// speed, few enough to stay in cache.
const BLOCK: usize = if cfg!(miri) { 4 } else { 256 };

/// Scratch memory for one block, kept for the next: for the system to hand it out takes as long as to centre the rows.
#[derive(Default)]
struct Block {
    /// The centred rows and one for the shift between the means.
    pair: Pair,
    /// The block's mean, then the shift.
    shift: Vec<f64>,
    rows: usize,
}

impl Block {
    /// Takes the rows of one slice, then those of the other.
    fn centre(&mut self, kernels: &Kernels, rows: [&[f32]; 2], d: usize) {
        self.shift.resize(d, 0.0);
        self.pair.centre(kernels, rows, &mut self.shift);
        self.rows = (rows[0].len() + rows[1].len()) / d;
    }

    /// Moves the mean of `count` rows to that with this block's, the number of which it returns. The shift between
    /// the means becomes one more row of the product.
    fn shift(&mut self, count: u64, mean: &mut [f64]) -> u64 {
        let (a, b) = (count as f64, self.rows as f64);
        let weight = b / (a + b);
        let root = libm::sqrt(a * weight);
        for (s, m) in self.shift.iter_mut().zip(mean) {
            let distance = *s - *m;
            *m += distance * weight;
            *s = distance * root;
        }
        self.pair.set_row(self.rows, &self.shift);
        count.saturating_add(self.rows as u64)
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block")
    }
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
/// without standard scaling. Memory is `4·d²` bytes and a few hundred rows in `f64`; fitting takes `8·d²` more, or
/// with [`into_fit`](Self::into_fit), which uses the state up, `8·d²` in all.
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
    /// Empty before the first rows.
    moment: Moment,
    /// Fewer than [`BLOCK`] rows that wait for more.
    pending: Vec<f32>,
    /// The one that is multiplied, and the one after it.
    blocks: [Block; 2],
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
        Ok(Self::empty(0, alloc::vec![0.0; columns], Vec::new()))
    }

    /// A state without its matrix.
    fn empty(count: u64, mean: Vec<f64>, pending: Vec<f32>) -> Self {
        Self { count, mean, moment: Moment::default(), pending, blocks: Default::default() }
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
            let squares = self.moment.diagonal().map(|s| s.max(0.0)).collect();
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
        self.clone().into_fit(keep, scaling)
    }

    /// As [`fit_scaled`](Self::fit_scaled), but without the state's `4·d²` bytes besides.
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
        let squares = |moment: &Moment| moment.diagonal().map(|s| s.max(0.0)).collect::<Vec<_>>();
        let scale = match scaling {
            Scaling::None => None,
            Scaling::Standard => {
                let std = StandardScaler::from_moments(n, mean.clone(), squares(&moment)).std();
                let by = |i: usize| std.get(i).copied().unwrap_or(1.0);
                moment.each(|i, j, c| *c /= by(i) * by(j));
                Some(std)
            }
        };
        let total: f64 = squares(&moment).iter().sum();
        let most = usize::try_from(n).unwrap_or(usize::MAX).min(d);
        let wanted = keep.wanted(total, most)?;
        // Few rows span few directions: with a quarter, both ways take the same time.
        let few = usize::try_from(n).ok().filter(|n| *n <= d / 4);
        let found = few.and_then(|n| low_rank::leading(&moment.full(), d, n, wanted).transpose());
        let columns = Box::new(move |j, to: &mut [f64]| moment.column(j, to));
        let Leading { values, vectors } = found.unwrap_or_else(|| leading_of(columns, d, wanted))?;
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

    /// Takes full blocks, or a final one, into the moments: of each the rows of one slice, then those of the other.
    fn absorb<'a>(&mut self, mut blocks: impl Iterator<Item = [&'a [f32]; 2]>) -> Result<()> {
        self.allocate()?;
        let kernels = kernels::best();
        let (d, [now, next]) = (self.columns(), &mut self.blocks);
        let mut rows = blocks.next();
        if let Some(rows) = rows {
            now.centre(kernels, rows, d);
        }
        while rows.is_some() {
            self.count = now.shift(self.count, &mut self.mean);
            rows = blocks.next();
            // The threads then meet once a block, and whoever is done first has something to do.
            both(
                || self.moment.add(kernels, &now.pair),
                || rows.iter().for_each(|rows| next.centre(kernels, *rows, d)),
            );
            core::mem::swap(now, next);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            let pending = core::mem::take(&mut self.pending);
            self.absorb([[&pending[..], &[]]].into_iter())?;
        }
        Ok(())
    }

    /// Makes room for the co-moment, which nothing before the first rows needs.
    fn allocate(&mut self) -> Result<()> {
        if self.moment.is_empty() {
            let d = self.columns();
            self.moment = Moment::zeros(d).ok_or_else(|| too_large(d))?;
        }
        Ok(())
    }

    /// Adds rows, or none of them.
    fn check_and_push(&mut self, rows: Rows<'_>) -> Result<()> {
        rows.expect(self.columns(), Stage::Pca)?;
        self.push(rows)
    }

    /// Adds finite rows of the right width.
    fn push(&mut self, rows: Rows<'_>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.allocate()?;
        let full = BLOCK * self.columns();
        let mut waiting = rows.data();
        if let Some((first, rest)) = waiting.split_at_checked(full - self.pending.len()) {
            let mut pending = core::mem::take(&mut self.pending);
            let blocks = rest.chunks_exact(full);
            waiting = blocks.remainder();
            self.absorb(iter::once([&pending[..], first]).chain(blocks.map(|rows| [rows, &[]])))?;
            pending.clear();
            self.pending = pending;
        }
        if !waiting.is_empty() {
            self.pending.reserve_exact(full - self.pending.len());
            self.pending.extend_from_slice(waiting);
        }
        Ok(())
    }
}

/// One and the other, at the same time if there are threads.
fn both(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    #[cfg(feature = "rayon")]
    rayon::join(one, other);
    #[cfg(not(feature = "rayon"))]
    {
        one();
        other();
    }
}

impl IncrementalPca for CovariancePca {
    fn partial_fit(&mut self, rows: Rows<'_>) -> Result<()> {
        // On a thread of the pool, so that its tasks start without waking another.
        #[cfg(feature = "rayon")]
        return rayon::join(|| self.check_and_push(rows), || ()).0;
        #[cfg(not(feature = "rayon"))]
        self.check_and_push(rows)
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.same_columns(other.columns())?;
        if other.count > 0 {
            let mut values = other.moment.below().flatten();
            self.combine(other, |_| Ok(values.next().unwrap_or_default()))?;
        }
        self.push(Rows::new(&other.pending, self.columns())?)
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
            Self::Count(k) if k == 0 || k > most => bad(format!(
                "{k} components are not between 1 and {most}, the smaller of rows and columns; ask for at most {most}"
            )),
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

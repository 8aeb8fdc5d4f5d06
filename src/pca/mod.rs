//! Principal components of data that arrives in batches and on many machines.

mod angle;
mod centre;
mod covariance;
mod eigen;
mod kernels;
mod low_rank;
mod projection;
mod reduce;
mod sketch;
mod team;
mod tridiagonal;

pub use covariance::{CovariancePca, Scaling};
pub(crate) use projection::Parts;
pub use projection::Projection;
pub use sketch::SketchPca;

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, string::ToString, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A batch of rows, `[n, d]` row-major `f32`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    data: &'a [f32],
    columns: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `columns` values each.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `columns` is zero or does not divide `data.len()`.
    pub fn new(data: &'a [f32], columns: usize) -> Result<Self> {
        if columns == 0 || !data.len().is_multiple_of(columns) {
            let m = format!("{} values do not make rows of {columns}", data.len());
            return Err(Error::new(ErrorKind::Shape, Stage::Pca, m));
        }
        Ok(Self { data, columns })
    }

    /// All values, row after row.
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.data.len() / self.columns
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Row and column of the first NaN or infinity.
    pub fn first_non_finite(&self) -> Option<(usize, usize)> {
        // Whole rows first: that loop has no early exit and vectorises.
        let bad = |row: &[f32]| row.iter().fold(false, |bad, x| bad | !x.is_finite());
        let row = self.data.chunks_exact(self.columns).position(bad)?;
        let values = self.data.get(row * self.columns..)?;
        Some((row, values.iter().position(|x| !x.is_finite())?))
    }

    /// Whether [`first_non_finite`](Self::first_non_finite) finds nothing, by all threads.
    fn is_finite(&self) -> bool {
        let finite = |values: &[f32]| !values.iter().fold(false, |bad, x| bad | !x.is_finite());
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            // Below it, to share the work takes longer.
            const PART: usize = 1 << 15;
            if self.data.len() > 2 * PART {
                return self.data.par_chunks(PART).all(finite);
            }
        }
        finite(self.data)
    }

    /// `columns` finite values a row, or the error that says what is there instead.
    pub(crate) fn expect(&self, columns: usize, stage: Stage) -> Result<()> {
        if self.columns != columns {
            let m = format!("expected {columns} columns, found {}", self.columns);
            return Err(Error::new(ErrorKind::Shape, stage, m));
        }
        if self.is_finite() {
            return Ok(());
        }
        if let Some((row, column)) = self.first_non_finite() {
            let m = format!(
                "row {row}, column {column} is NaN or infinite; check the picture and the network's weights"
            );
            return Err(Error::new(ErrorKind::NonFinite, stage, m));
        }
        Ok(())
    }
}

/// How many components to keep; as text a number (`50`), or a fraction with a point (`0.95`).
///
/// ```
/// use fruitcore::pca::Keep;
/// assert_eq!("50".parse::<Keep>()?, Keep::Count(50));
/// assert_eq!("1.0".parse::<Keep>()?, Keep::Variance(1.0));
/// assert_eq!(Keep::Variance(0.95).to_string(), "0.95");
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Keep {
    /// This many.
    Count(usize),
    /// As few as explain at least this fraction (0, 1] of the total variance.
    Variance(f64),
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            // With its point: 1.0 is all of the variance, 1 is one component.
            Self::Variance(fraction) => write!(f, "{fraction:?}"),
        }
    }
}

impl core::str::FromStr for Keep {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for anything but a positive number or a fraction in (0, 1].
    fn from_str(s: &str) -> Result<Self> {
        match (s.parse::<usize>(), s.parse::<f64>()) {
            (Ok(n), _) if n > 0 => Ok(Self::Count(n)),
            (Err(_), Ok(fraction)) if fraction > 0.0 && fraction <= 1.0 => Ok(Self::Variance(fraction)),
            _ => {
                let m = format!(
                    "{s:?} keeps no components; write a number (50) or a fraction of the variance in (0, 1] (0.95)"
                );
                Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m))
            }
        }
    }
}

impl TryFrom<String> for Keep {
    type Error = Error;

    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

/// Principal component analysis over a stream of batches.
///
/// # Contract
/// - After any sequence of `partial_fit` and `merge`, the state stands for the multiset of all rows
///   seen; the order and the split don't matter beyond rounding.
/// - A failed call leaves the state as it was.
/// - `fit` doesn't change the state: more rows may follow, and another `keep` may be asked.
pub trait IncrementalPca: Sized {
    /// Adds rows.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of columns, [`ErrorKind::NonFinite`] naming row and
    /// column of the first NaN or infinity.
    fn partial_fit(&mut self, rows: Rows<'_>) -> Result<()>;

    /// Adds all rows another state has seen.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] if the other state has other columns or another configuration.
    fn merge(&mut self, other: &Self) -> Result<()>;

    /// Rows seen.
    fn count(&self) -> u64;

    /// The projection onto the leading components.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] for fewer than two rows, [`ErrorKind::InvalidArgument`] for a
    /// `keep` outside its range.
    fn fit(&self, keep: Keep) -> Result<Projection>;

    /// The state in a versioned format that `from_bytes` of the same type reads.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads what `to_bytes` wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] or [`ErrorKind::Unsupported`] for anything else.
    fn from_bytes(bytes: &[u8]) -> Result<Self>;
}

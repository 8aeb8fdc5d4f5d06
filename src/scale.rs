//! Mergeable mean and variance.

use crate::{
    Error, ErrorKind, Result, Stage,
    memory::try_zeros,
    pca::Rows,
    state::{Reader, Writer},
};
use alloc::{format, vec, vec::Vec};

const MAGIC: &[u8; 8] = b"fruitSCL";
const VERSION: u64 = 1;

/// Count, mean and sum of squared deviations of every column, in `f64`; scales columns to zero
/// mean and unit variance as scikit-learn's `StandardScaler` does.
///
/// States merge: any split of the rows, in any order, gives the moments of one pass to rounding
/// (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm", 1979).
///
/// ```
/// use fruitcore::{pca::Rows, scale::StandardScaler};
/// let mut scaler = StandardScaler::new(2)?;
/// scaler.partial_fit(Rows::new(&[0.0, 5.0, 2.0, 5.0], 2)?)?;
/// let mut other = StandardScaler::new(2)?;
/// other.partial_fit(Rows::new(&[4.0, 5.0], 2)?)?;
/// scaler.merge(&other)?;
/// assert_eq!(scaler.mean(), [2.0, 5.0]);
/// let mut out = [0.0; 2];
/// scaler.transform_into(Rows::new(&[2.0, 7.0], 2)?, &mut out)?;
/// assert_eq!(out, [0.0, 2.0]); // the second column is constant: centred, not scaled
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StandardScaler {
    count: u64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl StandardScaler {
    /// A scaler that has seen no row.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for zero columns, [`ErrorKind::Limit`] if the memory isn't there.
    pub fn new(columns: usize) -> Result<Self> {
        if columns == 0 {
            let m = "a scaler needs at least one column";
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Scale, m));
        }
        let (Some(mean), Some(squares)) = (try_zeros(columns), try_zeros(columns)) else {
            let m =
                format!("no memory for the moments of {columns} columns; use a network with fewer features");
            return Err(Error::new(ErrorKind::Limit, Stage::Scale, m));
        };
        Ok(Self { count: 0, mean, squares })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of columns, [`ErrorKind::NonFinite`] naming row and
    /// column of the first NaN or infinity; the state is then as it was.
    pub fn partial_fit(&mut self, rows: Rows<'_>) -> Result<()> {
        rows.expect(self.columns(), Stage::Scale)?;
        let d = self.columns();
        // Blocks that stay in cache between the pass for the mean and the one for the squares.
        let rows_per_block = (1 << 15) / d + 1;
        for block in rows.data().chunks(rows_per_block * d) {
            let n = (block.len() / d) as f64;
            let mut mean = vec![0.0; d];
            for row in block.chunks_exact(d) {
                mean.iter_mut().zip(row).for_each(|(m, x)| *m += f64::from(*x));
            }
            mean.iter_mut().for_each(|m| *m /= n);
            let mut squares = vec![0.0; d];
            for row in block.chunks_exact(d) {
                for ((s, x), m) in squares.iter_mut().zip(row).zip(&mean) {
                    let c = f64::from(*x) - m;
                    *s += c * c;
                }
            }
            self.add(n as u64, &mean, &squares);
        }
        Ok(())
    }

    /// Adds all rows another scaler has seen.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] if it has another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.columns() != self.columns() {
            let m = format!(
                "scalers of {} and {} columns don't merge; both must come from one network",
                self.columns(),
                other.columns()
            );
            return Err(Error::new(ErrorKind::Mismatch, Stage::Scale, m));
        }
        self.add(other.count, &other.mean, &other.squares);
        Ok(())
    }

    /// Rows seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Columns of a row.
    pub fn columns(&self) -> usize {
        self.mean.len()
    }

    /// Mean of every column; zeros before the first row.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Population variance (divided by the count, as scikit-learn's `var_`) of every column; zeros
    /// before the first row.
    pub fn variance(&self) -> Vec<f64> {
        let n = (self.count as f64).max(1.0);
        self.squares.iter().map(|s| s / n).collect()
    }

    /// Standard deviation of every column, 1 where the column is constant to rounding: what
    /// [`transform_into`](Self::transform_into) divides by (scikit-learn's `scale_`).
    pub fn std(&self) -> Vec<f64> {
        let n = self.count as f64;
        let bound = |mean: f64| n * mean * f64::EPSILON * (n * mean * f64::EPSILON);
        let one = |(var, mean): (f64, &f64)| {
            let constant = var <= n * f64::EPSILON * var + bound(*mean);
            if constant { 1.0 } else { libm::sqrt(var) }
        };
        self.variance().into_iter().zip(&self.mean).map(one).collect()
    }

    /// Writes `(rows − mean) / std` into `out`, `[n, columns]`.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] before the first row, [`ErrorKind::Shape`] for another number of
    /// columns or another length of `out`, [`ErrorKind::NonFinite`] as
    /// [`partial_fit`](Self::partial_fit).
    pub fn transform_into(&self, rows: Rows<'_>, out: &mut [f32]) -> Result<()> {
        if self.count == 0 {
            let m = "this scaler has seen no row; call partial_fit first";
            return Err(Error::new(ErrorKind::Insufficient, Stage::Scale, m));
        }
        rows.expect(self.columns(), Stage::Scale)?;
        if out.len() != rows.data().len() {
            let m = format!("{} values to write into {}", rows.data().len(), out.len());
            return Err(Error::new(ErrorKind::Shape, Stage::Scale, m));
        }
        let std = self.std();
        let d = self.columns();
        for (out, row) in out.chunks_exact_mut(d).zip(rows.data().chunks_exact(d)) {
            for (((o, x), m), s) in out.iter_mut().zip(row).zip(&self.mean).zip(&std) {
                *o = ((f64::from(*x) - m) / s) as f32;
            }
        }
        Ok(())
    }

    /// The state in a versioned, checksummed format.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(MAGIC, VERSION, 2 + 2 * self.columns());
        writer.u64(self.columns() as u64);
        writer.u64(self.count);
        writer.f64s(&self.mean);
        writer.f64s(&self.squares);
        writer.finish()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for another version, [`ErrorKind::Corrupt`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::open(bytes, MAGIC, VERSION, Stage::Scale, "scaler state")?;
        let columns = reader.len()?;
        let count = reader.u64()?;
        let mean = reader.f64s(columns)?;
        let squares = reader.f64s(columns)?;
        reader.end()?;
        if columns == 0 || squares.iter().any(|s| *s < 0.0) {
            return Err(reader.corrupt("its sums of squares are impossible"));
        }
        if count == 0 && mean.iter().chain(&squares).any(|v| *v != 0.0) {
            return Err(reader.corrupt("it has moments but no rows"));
        }
        Ok(Self { count, mean, squares })
    }

    /// From moments another state keeps; the lengths agree.
    pub(crate) fn from_moments(count: u64, mean: Vec<f64>, squares: Vec<f64>) -> Self {
        Self { count, mean, squares }
    }

    fn add(&mut self, count: u64, mean: &[f64], squares: &[f64]) {
        if count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, count as f64);
        let (weight, cross) = (b / (a + b), a * (b / (a + b)));
        for (((m, s), mean), squares) in self.mean.iter_mut().zip(&mut self.squares).zip(mean).zip(squares) {
            let shift = mean - *m;
            *m += shift * weight;
            *s += squares + shift * shift * cross;
        }
        self.count = self.count.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaler(data: &[f32], columns: usize) -> StandardScaler {
        let mut scaler = StandardScaler::new(columns).unwrap();
        scaler.partial_fit(Rows::new(data, columns).unwrap()).unwrap();
        scaler
    }

    #[test]
    fn matches_two_passes_by_hand() {
        let s = scaler(&[1.0, 10.0, 2.0, 10.0, 6.0, 10.0], 2);
        assert_eq!(s.mean(), [3.0, 10.0]);
        assert_eq!(s.variance(), [14.0 / 3.0, 0.0]);
        assert_eq!(s.std()[1], 1.0);
    }

    #[test]
    fn merging_with_nothing_changes_nothing() {
        let s = scaler(&[1.0, 2.0, 4.0], 1);
        let mut t = s.clone();
        t.merge(&StandardScaler::new(1).unwrap()).unwrap();
        assert_eq!(s, t);
        let mut u = StandardScaler::new(1).unwrap();
        u.merge(&s).unwrap();
        assert_eq!(s, u);
    }

    #[test]
    fn a_nearly_constant_column_is_not_scaled() {
        // 0.1 is not representable: its mean over many rows has rounding noise.
        let s = scaler(&vec![0.1f32; 1000], 1);
        assert_eq!(s.std(), [1.0]);
    }

    #[test]
    fn refuses_other_shapes_and_non_finite_values() {
        let mut s = scaler(&[1.0, 2.0, 3.0, 4.0], 2);
        let before = s.clone();
        let e = s.partial_fit(Rows::new(&[1.0, 2.0, 3.0], 3).unwrap()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Shape);
        let e = s.partial_fit(Rows::new(&[1.0, 2.0, 3.0, f32::NAN], 2).unwrap()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NonFinite);
        assert!(e.message().contains("row 1, column 1"), "{e}");
        assert_eq!(s, before);
        assert_eq!(s.merge(&scaler(&[1.0], 1)).unwrap_err().kind(), ErrorKind::Mismatch);
        assert_eq!(StandardScaler::new(0).unwrap_err().kind(), ErrorKind::InvalidArgument);
        for columns in [usize::MAX, usize::MAX / 8] {
            assert_eq!(StandardScaler::new(columns).unwrap_err().kind(), ErrorKind::Limit);
        }
    }

    #[test]
    fn bytes_round_trip_and_damage_is_noticed() {
        let s = scaler(&[1.0, -2.0, 3.5, 4.0], 2);
        let bytes = s.to_bytes();
        assert_eq!(StandardScaler::from_bytes(&bytes).unwrap(), s);
        for i in 0..bytes.len() {
            assert!(StandardScaler::from_bytes(&bytes[..i]).is_err());
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert!(StandardScaler::from_bytes(&bad).is_err(), "byte {i}");
        }
        let mut other = bytes.clone();
        other[8] = 9;
        assert_eq!(StandardScaler::from_bytes(&other).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

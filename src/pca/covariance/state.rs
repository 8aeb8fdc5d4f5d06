//! The state as bytes, and merging it from there.

use super::{BLOCK, CovariancePca, MAGIC, VERSION};
use crate::{
    Error, ErrorKind, Result, Stage,
    pca::Rows,
    state::{Reader, Writer},
};
use alloc::{format, vec::Vec};

impl CovariancePca {
    /// Merges a state as [`to_bytes`](crate::pca::IncrementalPca::to_bytes) wrote it: the same as reading and merging it,
    /// without its matrix in memory a second time. After an error this state may be half merged: drop it.
    ///
    /// ```
    /// use fruitcore::pca::{CovariancePca, IncrementalPca, Rows};
    /// let state = |rows: &[f32]| {
    ///     let mut pca = CovariancePca::new(2)?;
    ///     pca.partial_fit(Rows::new(rows, 2)?)?;
    ///     Ok::<_, fruitcore::Error>(pca)
    /// };
    /// let mut first = state(&[1.0, 2.0, 3.0, 5.0])?;
    /// first.merge_bytes(&state(&[0.0, 1.0])?.to_bytes())?;
    /// assert_eq!(first.count(), 3);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_bytes`](crate::pca::IncrementalPca::from_bytes) and [`merge`](crate::pca::IncrementalPca::merge).
    pub fn merge_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let (other, mut reader) = Self::open(bytes)?;
        self.same_columns(other.columns())?;
        if other.count > 0 {
            self.combine(&other, |on_diagonal| entry(&mut reader, on_diagonal))?;
        }
        reader.end()?;
        self.push(Rows::new(&other.pending, self.columns())?)
    }

    pub(super) fn same_columns(&self, other: usize) -> Result<()> {
        if other == self.columns() {
            return Ok(());
        }
        let d = self.columns();
        let m = format!("moments of {d} and {other} columns don't merge; both must come from one network");
        Err(Error::new(ErrorKind::Mismatch, Stage::Pca, m))
    }

    /// Adds the other's moments but for the rows that wait; `next` gives its matrix's lower triangle, column after
    /// column, and is told where that is on the diagonal.
    pub(super) fn combine(&mut self, other: &Self, mut next: impl FnMut(bool) -> Result<f64>) -> Result<()> {
        self.allocate()?;
        let (a, b) = (self.count as f64, other.count as f64);
        let weight = b / (a + b);
        let shift: Vec<f64> = other.mean.iter().zip(&self.mean).map(|(o, m)| o - m).collect();
        let by: Vec<f64> = shift.iter().map(|by| by * a * weight).collect();
        let between = |i: usize, j: usize| Some(shift.get(i)? * by.get(j)?);
        self.moment.try_each(|i, j, c| {
            *c += next(i == j)? + between(i, j).unwrap_or_default();
            Ok(())
        })?;
        self.mean.iter_mut().zip(&shift).for_each(|(m, s)| *m += s * weight);
        self.count = self.count.saturating_add(other.count);
        Ok(())
    }

    /// A state without its matrix, which is left to read.
    fn open(bytes: &[u8]) -> Result<(Self, Reader<'_>)> {
        let mut reader = Reader::open(bytes, MAGIC, VERSION, Stage::Pca, "covariance state")?;
        let d = reader.len()?;
        let count = reader.u64()?;
        let mean = reader.f64s(d)?;
        if d == 0 || (count == 0 && mean.iter().any(|m| *m != 0.0)) {
            return Err(reader.corrupt("it has no columns, or moments but no rows"));
        }
        let rows = reader.u64()?;
        if rows >= BLOCK as u64 {
            return Err(reader.corrupt("too many rows wait in it"));
        }
        let waiting = rows as usize * d;
        if waiting.div_ceil(2) > reader.left() {
            return Err(reader.corrupt("it ends early"));
        }
        let mut state = Self::empty(count, mean, Vec::with_capacity(waiting));
        while state.pending.len() < waiting {
            let word = reader.u64()?;
            state.pending.push(f32::from_bits(word as u32));
            if state.pending.len() < waiting {
                state.pending.push(f32::from_bits((word >> 32) as u32));
            }
        }
        if state.pending.iter().any(|x| !x.is_finite()) {
            return Err(reader.corrupt("it holds NaN or infinity"));
        }
        let triangle = if count == 0 { 0 } else { d.saturating_mul(d + 1) / 2 };
        if triangle != reader.left() {
            return Err(reader.corrupt("its length does not fit its columns"));
        }
        Ok((state, reader))
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let d = self.columns();
        let triangle = if self.moment.is_empty() { 0 } else { d * (d + 1) / 2 };
        let pending = &self.pending;
        let mut writer = Writer::new(MAGIC, VERSION, 4 + d + triangle + pending.len() / 2);
        writer.u64(d as u64);
        writer.u64(self.count);
        writer.f64s(&self.mean);
        // Rows that wait are written as they are, so that a state read back continues bit for bit.
        writer.u64((pending.len() / d) as u64);
        for pair in pending.chunks(2) {
            let word = |i: usize| u64::from(pair.get(i).map_or(0, |x: &f32| x.to_bits()));
            writer.u64(word(0) | word(1) << 32);
        }
        if self.count > 0 {
            self.moment.below().flatten().for_each(|c| writer.f64(c));
        }
        writer.finish()
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let (mut state, mut reader) = Self::open(bytes)?;
        if state.count > 0 {
            state.allocate()?;
            state.moment.try_each(|i, j, c| {
                *c = entry(&mut reader, i == j)?;
                Ok(())
            })?;
        }
        reader.end()?;
        Ok(state)
    }
}

/// The next value of a matrix.
fn entry(reader: &mut Reader<'_>, on_diagonal: bool) -> Result<f64> {
    let value = reader.f64()?;
    if on_diagonal && value < 0.0 {
        return Err(reader.corrupt("its variances are negative"));
    }
    Ok(value)
}

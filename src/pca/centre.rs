//! Blocks of rows, widened to `f64` and centred.

use super::Rows;
use alloc::vec::Vec;

/// Scratch memory for one block.
#[derive(Default)]
pub(super) struct Block {
    /// `[n + 1, d]`: the centred rows and a row for the caller.
    pub(super) values: Vec<f64>,
    /// The block's mean, `[d]`.
    pub(super) mean: Vec<f64>,
}

/// Columns summed together: their sums stay in registers and the nearest cache.
#[cfg(feature = "rayon")]
const STRIPE: usize = 128;
/// Rows centred together by one thread.
#[cfg(feature = "rayon")]
const BAND: usize = 32;

/// Fills `block` with the rows less their mean; the last row is left to the caller.
pub(super) fn centre(rows: Rows<'_>, block: &mut Block) {
    let (data, d) = (rows.data(), rows.columns());
    block.values.resize(data.len() + d, 0.0);
    block.mean.resize(d, 0.0);
    let Block { values, mean } = block;
    // The same sums in the same order whatever the number of threads.
    let column_means = |first: usize, means: &mut [f64]| {
        means.fill(0.0);
        for row in data.chunks_exact(d) {
            let part = row.get(first..).unwrap_or_default();
            means.iter_mut().zip(part).for_each(|(m, x)| *m += f64::from(*x));
        }
        means.iter_mut().for_each(|m| *m /= rows.len() as f64);
    };
    let subtract = |mean: &[f64], out: &mut [f64], data: &[f32]| {
        for (out, row) in out.chunks_exact_mut(d).zip(data.chunks_exact(d)) {
            out.iter_mut().zip(row).zip(mean).for_each(|((o, x), m)| *o = f64::from(*x) - m);
        }
    };
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        mean.par_chunks_mut(STRIPE).enumerate().for_each(|(i, m)| column_means(i * STRIPE, m));
        let mean = mean.as_slice();
        let bands = values.par_chunks_mut(BAND * d).zip(data.par_chunks(BAND * d));
        bands.for_each(|(out, data)| subtract(mean, out, data));
    }
    #[cfg(not(feature = "rayon"))]
    {
        column_means(0, mean);
        subtract(mean, values, data);
    }
}

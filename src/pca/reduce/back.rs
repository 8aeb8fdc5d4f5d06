//! From the vectors of the tridiagonal matrix to those of the matrix it came from.

use super::{band::Band, chase::Chased};
use crate::pca::kernels::{BLOCK, Kernels, Lines, WIDTH, ZEROS};

/// `vectors` is `[vectors][d]`; each [`WIDTH`] of them are turned by themselves.
pub(super) fn turn(kernels: &Kernels, band: &Band, chased: &Chased, d: usize, vectors: &mut [f64]) {
    let turn = |group: &mut [f64]| {
        let mut rows = Lines::zeros((band.diagonal.len() + 1) * BLOCK);
        for (l, vector) in group.chunks_exact(d).enumerate() {
            rows.iter_mut().skip(l).step_by(WIDTH).zip(vector).for_each(|(to, v)| *to = *v);
        }
        chased.turn_back(kernels, d, &mut rows);
        band.turn_back(kernels, &mut rows);
        for (l, vector) in group.chunks_exact_mut(d).enumerate() {
            vector.iter_mut().zip(rows.iter().skip(l).step_by(WIDTH)).for_each(|(to, v)| *to = *v);
        }
    };
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        vectors.par_chunks_mut(WIDTH * d.max(1)).with_max_len(1).for_each(turn);
    }
    #[cfg(not(feature = "rayon"))]
    vectors.chunks_mut(WIDTH * d.max(1)).for_each(turn);
}

impl Band {
    /// Applies the reflectors, the last panel's first, to `rows`: `[d and more][WIDTH]`.
    fn turn_back(&self, kernels: &Kernels, rows: &mut [f64]) {
        for (p, panel) in self.panels.iter().enumerate().rev() {
            let rows = &mut rows[(p + 1) * BLOCK..];
            let mut along = ZEROS;
            let mut at = 0;
            let parts = || self.v.iter().zip(&panel.v).map(|(all, place)| &all[place.clone()]);
            for v in parts() {
                kernels.add_across(&mut along, v, &rows[at..at + v.len()]);
                at += v.len();
            }
            along.iter_mut().for_each(|v| *v = -*v);
            let mut by = ZEROS;
            kernels.add_tall(&mut by, &[(&panel.t, &along)]);
            let mut at = 0;
            for v in parts() {
                kernels.add_tall(&mut rows[at..at + v.len()], &[(v, &by)]);
                at += v.len();
            }
        }
    }
}

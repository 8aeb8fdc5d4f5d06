//! How far two fits look in different directions.

use super::{
    Projection,
    eigen::{Wanted, leading},
};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec::Vec};
use faer::{Mat, MatRef};

impl Projection {
    /// The largest principal angle between the subspaces that two projections' components span, in rad
    /// from 0 to π/2; of scaled columns if they were scaled. Björck and Golub, "Numerical Methods for
    /// Computing Angles between Linear Subspaces", 1973.
    ///
    /// ```
    /// use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
    /// let fit = |rows: &[f32]| {
    ///     let mut pca = CovariancePca::new(2)?;
    ///     pca.partial_fit(Rows::new(rows, 2)?)?;
    ///     pca.fit(Keep::Count(1))
    /// };
    /// let along = fit(&[0.0, 0.0, 2.0, 0.0])?;
    /// let diagonal = fit(&[0.0, 0.0, -1.0, -1.0])?;
    /// assert!((along.angle(&diagonal)? - core::f64::consts::FRAC_PI_4).abs() < 1e-12);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if they have another number of columns or components.
    pub fn angle(&self, other: &Self) -> Result<f64> {
        let (k, d) = (self.kept(), self.columns());
        if (k, d) != (other.kept(), other.columns()) {
            let m = format!(
                "{k} components of {d} columns beside {} of {}; compare fits of the same shape",
                other.kept(),
                other.columns()
            );
            return Err(Error::new(ErrorKind::Shape, Stage::Pca, m));
        }
        // What of the other's components lies outside: its norm is the angle's sine, which is exact where
        // a cosine would round to 1. Components lie in rows.
        let a = MatRef::from_row_major_slice(self.components(), k, d);
        let b = MatRef::from_row_major_slice(other.components(), k, d);
        let inside: Mat<f64> = b * a.transpose();
        let outside: Mat<f64> = b - &inside * a;
        let squares = &outside * outside.transpose();
        let lower: Vec<f64> =
            (0..k).flat_map(|j| (0..k).map(move |i| (i, j))).map(|at| squares[at]).collect();
        let largest = leading(lower, k, Wanted::Count(1))?.values.first().copied().unwrap_or_default();
        Ok(libm::asin(libm::sqrt(largest.clamp(0.0, 1.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CovariancePca, IncrementalPca, Keep, Rows};
    use super::*;

    fn fit(rows: &[f32], columns: usize, k: usize) -> Projection {
        let mut pca = CovariancePca::new(columns).unwrap();
        pca.partial_fit(Rows::new(rows, columns).unwrap()).unwrap();
        pca.fit(Keep::Count(k)).unwrap()
    }

    #[test]
    fn angles_of_known_planes() {
        // The plane of x and y, and it turned about x by t.
        let plane = |t: f64| {
            let (s, c) = (libm::sin(t) as f32, libm::cos(t) as f32);
            fit(&[5.0, 0.0, 0.0, -5.0, 0.0, 0.0, 0.0, 3.0 * c, 3.0 * s, 0.0, -3.0 * c, -3.0 * s], 3, 2)
        };
        for t in [0.0, 1e-6, 0.3, 1.2, core::f64::consts::FRAC_PI_2] {
            let found = plane(0.0).angle(&plane(t)).unwrap();
            assert!((found - t).abs() < 2e-7, "{found} for {t}");
        }
        let other = fit(&[1.0, 2.0, 0.0, 1.0], 2, 1);
        assert_eq!(plane(0.0).angle(&other).unwrap_err().kind(), ErrorKind::Shape);
    }
}

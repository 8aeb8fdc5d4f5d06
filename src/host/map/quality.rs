//! How faithful a plane is to the rows.

use crate::{
    Error, ErrorKind, Result, Stage,
    host::{
        neighbors::nearest_others,
        sample::{gather, sample},
    },
    pca::Rows,
};
use alloc::{format, vec::Vec};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Points whose neighbourhoods are looked at, in a map of more.
const SAMPLE: usize = 2000;
/// Rows a neighbourhood is looked for in; of more, a sample of so many stands for all.
const COMPARED: usize = 100_000;
/// Neighbours looked at, at most.
const NEIGHBOURS: usize = 12;

/// How far neighbours on the plane are neighbours among the rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quality {
    /// Trustworthiness (Venna & Kaski 2001), 0 to 1: plane neighbours that are no neighbours among
    /// the rows count by how far down they rank there. Equals scikit-learn's `trustworthiness`.
    pub trustworthiness: f64,
    /// Fraction of each row's neighbours that are its neighbours on the plane too.
    pub neighbors_kept: f64,
    /// Neighbours looked at.
    pub neighbors: usize,
    /// Points looked at.
    pub sampled: usize,
    /// Points each is compared with: all, or 100,000 of more.
    #[serde(default)]
    pub compared: usize,
}

/// Measures a plane, `[n, 2]`, over all points or 2,000 of them; 12 neighbours, fewer for few rows. Of
/// more than 100,000 rows a sample of so many is measured as if it were all.
///
/// ```
/// use fruitcore::{host::map::quality, pca::Rows};
/// let line: Vec<f32> = (0..40).map(|i| i as f32).collect();
/// let plane: Vec<f32> = line.iter().flat_map(|x| [*x, 0.0]).collect();
/// let found = quality(Rows::new(&line, 1)?, &plane, 0)?;
/// assert_eq!(found.trustworthiness, 1.0);
/// # Ok::<(), fruitcore::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Insufficient`] for fewer than four rows, [`ErrorKind::Shape`] if there is not one
/// point a row.
pub fn quality(rows: Rows<'_>, plane: &[f32], seed: u64) -> Result<Quality> {
    let n = rows.len();
    if plane.len() != 2 * n {
        let m = format!("{} coordinates for {n} rows", plane.len());
        return Err(Error::new(ErrorKind::Shape, Stage::Classify, m));
    }
    if n < 4 {
        let m = format!("neighbourhoods need at least 4 rows, found {n}");
        return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, m));
    }
    if n > COMPARED {
        let which = sample(n, COMPARED, seed);
        let (some, points) = (gather(rows.data(), rows.columns(), &which), gather(plane, 2, &which));
        return quality(Rows::new(&some, rows.columns())?, &points, seed);
    }
    let k = NEIGHBOURS.min((n - 1) / 2);
    let chosen = sample(n, SAMPLE, seed);
    let near = nearest_others(rows, &chosen, k)?;
    let on_plane = nearest_others(Rows::new(plane, 2)?, &chosen, k)?;
    let d = rows.columns();
    let data = rows.data();
    let found: Vec<(u64, u64)> = chosen
        .par_iter()
        .enumerate()
        .map(|(at, &i)| {
            let (near, plane) =
                (&near.indices()[at * k..(at + 1) * k], &on_plane.indices()[at * k..(at + 1) * k]);
            let kept = plane.iter().filter(|j| near.contains(j)).count() as u64;
            if kept == k as u64 {
                return (0, kept);
            }
            let row = &data[i * d..(i + 1) * d];
            let distance = |j: usize| -> f32 {
                row.iter().zip(&data[j * d..(j + 1) * d]).map(|(a, b)| (a - b) * (a - b)).sum()
            };
            let all: Vec<f32> = (0..n).map(distance).collect();
            let rank = |j: usize| {
                let nearer = |(l, x): (usize, &f32)| l != i && (*x < all[j] || (*x == all[j] && l < j));
                all.iter().enumerate().filter(|(l, x)| nearer((*l, *x))).count() as u64 + 1
            };
            let strangers = plane.iter().filter(|j| !near.contains(j));
            (strangers.map(|&j| rank(j as usize).saturating_sub(k as u64)).sum(), kept)
        })
        .collect();
    let (penalty, kept) = found.iter().fold((0, 0), |(p, q), (a, b)| (p + a, q + b));
    let (m, kf, nf) = (chosen.len() as f64, k as f64, n as f64);
    Ok(Quality {
        trustworthiness: 1.0 - penalty as f64 * 2.0 / (m * kf * (2.0 * nf - 3.0 * kf - 1.0)),
        neighbors_kept: kept as f64 / (m * kf),
        neighbors: k,
        sampled: chosen.len(),
        compared: n,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_values_are_no_end() {
        let mut rows: Vec<f32> = (0..120).map(|i| i as f32).collect();
        rows[40..80].fill(9.97e36);
        let plane: Vec<f32> = (0..120).map(|i| i as f32).collect();
        let found = quality(Rows::new(&rows, 2).unwrap(), &plane, 0).unwrap();
        assert!((0.0..=1.0).contains(&found.trustworthiness), "{found:?}");
    }

    #[test]
    fn of_many_rows_a_sample_stands_for_all() {
        let line: Vec<f32> = (0..120_000u32).map(|i| i as f32).collect();
        let plane: Vec<f32> = line.iter().flat_map(|x| [*x, 0.0]).collect();
        let found = quality(Rows::new(&line, 1).unwrap(), &plane, 0).unwrap();
        assert_eq!((found.sampled, found.compared), (SAMPLE, COMPARED));
        assert!(found.trustworthiness > 0.999_999, "{found:?}");
    }
}

//! Out of local optima by moving several centres at once (Fritzke 2020).

use super::lloyd::Start;
use crate::{
    classify::distance::{BLOCK, Centres, squared},
    rng::Rng,
};
use alloc::{vec, vec::Vec};

/// A breath that gains less than this fraction of the inertia is the last with so many centres.
const GAIN: f64 = 1e-4;
/// Breaths at most; some tens are usual.
const BREATHS: usize = 500;

/// Improves `best` by breaths of `centres` centres, then fewer; `iterate` runs Lloyd's iteration.
pub(super) fn breathe(
    rows: &[f32],
    d: usize,
    mut best: Start,
    centres: usize,
    rng: &mut Rng,
    iterate: &dyn Fn(&[f32]) -> Start,
) -> Start {
    let (n, k) = (rows.len() / d, best.centroids.len() / d);
    // One cluster has one optimum; without further rows there is nothing to put centres on.
    let mut m = if k < 2 { 0 } else { centres.min(k).min(n - k) };
    for _ in 0..BREATHS {
        if m == 0 || best.inertia <= 0.0 {
            break;
        }
        let more = iterate(&inhale(rows, d, &best.centroids, m, rng));
        let again = iterate(&exhale(rows, d, &more.centroids, m));
        let iterations = best.iterations + more.iterations + again.iterations;
        let gained = again.inertia < best.inertia * (1.0 - GAIN);
        if again.inertia < best.inertia {
            best = again;
        }
        best.iterations = iterations;
        m -= usize::from(!gained);
    }
    best
}

/// What a centre stands for.
#[derive(Clone, Copy, Default)]
struct Worth {
    /// Sum of its rows' squared distances.
    error: f64,
    /// What that sum would grow by without the centre.
    utility: f64,
}

/// The worth of each centre, and each row's cluster and squared distance.
fn weigh(rows: &[f32], d: usize, centroids: &[f32]) -> (Vec<Worth>, Vec<(u32, f32)>) {
    let mut worth = vec![Worth::default(); centroids.len() / d];
    let mut all = Vec::with_capacity(rows.len() / d);
    let mut centres = Centres::new(centroids, d);
    for block in rows.chunks(BLOCK * d) {
        centres.nearest(centroids, block, |_, found| {
            let worth = &mut worth[found.index];
            worth.error += f64::from(found.best);
            worth.utility += f64::from(found.second - found.best);
            all.push((found.index as u32, found.best));
        });
    }
    (worth, all)
}

/// Adds a centre to each of the `m` clusters of the largest error: one of their rows, drawn by its
/// squared distance.
fn inhale(rows: &[f32], d: usize, centroids: &[f32], m: usize, rng: &mut Rng) -> Vec<f32> {
    let (worth, all) = weigh(rows, d, centroids);
    let mut order: Vec<usize> = (0..worth.len()).collect();
    order.sort_by(|a, b| worth[*b].error.total_cmp(&worth[*a].error));
    let mut out = centroids.to_vec();
    for &cluster in order.iter().take(m) {
        let mut left = rng.unit() * worth[cluster].error;
        let mut last = None;
        for (i, (_, distance)) in all.iter().enumerate().filter(|(_, (c, _))| *c as usize == cluster) {
            last = Some(i);
            left -= f64::from(*distance);
            if left < 0.0 {
                break;
            }
        }
        // A cluster without rows has no error and comes last; its centre doubled is repaired later.
        match last {
            Some(i) => out.extend_from_slice(&rows[i * d..(i + 1) * d]),
            None => out.extend_from_slice(&centroids[cluster * d..(cluster + 1) * d]),
        }
    }
    out
}

/// Takes the `m` centres away that are missed least; not two that would stand in for each other.
fn exhale(rows: &[f32], d: usize, centroids: &[f32], m: usize) -> Vec<f32> {
    let worth = weigh(rows, d, centroids).0;
    let k = worth.len();
    let centre = |i: usize| &centroids[i * d..(i + 1) * d];
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|a, b| worth[*a].utility.total_cmp(&worth[*b].utility));
    let (mut gone, mut stays) = (vec![false; k], vec![false; k]);
    let mut left = m;
    for &i in &order {
        if left == 0 {
            break;
        }
        if stays[i] {
            continue;
        }
        (gone[i], left) = (true, left - 1);
        let others = (0..k).filter(|&j| j != i && !gone[j]);
        let nearest =
            others.min_by(|a, b| squared(centre(*a), centre(i)).total_cmp(&squared(centre(*b), centre(i))));
        if let Some(j) = nearest {
            stays[j] = true;
        }
    }
    // Where all that is left stands in for something, the least useful go after all.
    for &i in order.iter().filter(|i| stays[**i]).take(left) {
        gone[i] = true;
    }
    (0..k).filter(|&i| !gone[i]).flat_map(centre).copied().collect()
}

//! Lloyd's iteration with Hamerly's bounds (Hamerly 2010): a row whose distance to its own centre
//! is below a lower bound of the distance to every other centre is not looked at again. The rows
//! that remain are gathered into blocks and compared with all centres by one matrix product.

use super::Clusters;
use crate::classify::distance::{BLOCK, Centres, Nearest, squared};
use alloc::{vec, vec::Vec};

/// Bounds are kept in f32; this much slack keeps rounding from skipping a row wrongly.
const SLACK: f32 = 1.0 + 1e-5;

struct State<'a> {
    rows: &'a [f32],
    d: usize,
    centroids: Vec<f32>,
    labels: Vec<u32>,
    /// Upper bound of a row's distance to its centre, lower bound to the second nearest.
    upper: Vec<f32>,
    lower: Vec<f32>,
    centres: Centres,
    gathered: Vec<f32>,
    indices: Vec<usize>,
}

/// Iterates from the centres `first`, `[k, d]`, until they move less than `stop` in all.
pub(super) fn iterate(rows: &[f32], d: usize, first: Vec<f32>, max: usize, stop: f64) -> Clusters {
    let n = rows.len() / d;
    let k = first.len() / d;
    let mut s = State {
        rows,
        d,
        centres: Centres::new(&first, d),
        centroids: first,
        labels: vec![0; n],
        upper: vec![f32::INFINITY; n],
        lower: vec![0.0; n],
        gathered: Vec::with_capacity(BLOCK * d),
        indices: Vec::with_capacity(BLOCK),
    };
    let mut iterations = 0;
    while iterations < max {
        iterations += 1;
        let half_gap = s.half_gaps(k);
        let changed = s.reassign(&half_gap);
        let moved = s.recentre(k);
        s.centres.refresh(&s.centroids);
        let total: f64 = moved.iter().map(|m| f64::from(*m) * f64::from(*m)).sum();
        if (iterations > 1 && !changed) || total <= stop {
            break;
        }
        s.widen(&moved);
    }
    // Labels and inertia of the final centres, without bounds.
    let mut inertia = 0.0;
    for (rows, labels) in s.rows.chunks(BLOCK * d).zip(s.labels.chunks_mut(BLOCK)) {
        s.centres.nearest(&s.centroids, rows, |i, found| {
            labels[i] = found.index as u32;
            inertia += f64::from(found.best);
        });
    }
    Clusters { columns: d, centroids: s.centroids, labels: s.labels, inertia, iterations }
}

impl State<'_> {
    /// Half the distance from each centre to its nearest other centre.
    fn half_gaps(&self, k: usize) -> Vec<f32> {
        let centre = |i: usize| &self.centroids[i * self.d..(i + 1) * self.d];
        let gap = |i: usize| {
            (0..k).filter(|&j| j != i).map(|j| squared(centre(i), centre(j))).fold(f32::INFINITY, f32::min)
        };
        (0..k).map(|i| 0.5 * libm::sqrtf(gap(i))).collect()
    }

    /// Moves rows to their nearest centre; whether any moved.
    fn reassign(&mut self, half_gap: &[f32]) -> bool {
        let d = self.d;
        let mut changed = false;
        for i in 0..self.labels.len() {
            let label = self.labels[i] as usize;
            let safe = half_gap[label].max(self.lower[i]);
            if self.upper[i] * SLACK < safe {
                continue;
            }
            if self.upper[i].is_finite() {
                // The cheap bound failed: the true distance may still do.
                let row = &self.rows[i * d..(i + 1) * d];
                self.upper[i] = libm::sqrtf(squared(row, &self.centroids[label * d..(label + 1) * d]));
                if self.upper[i] * SLACK < safe {
                    continue;
                }
            }
            self.gathered.extend_from_slice(&self.rows[i * d..(i + 1) * d]);
            self.indices.push(i);
            if self.indices.len() == BLOCK {
                changed |= self.flush();
            }
        }
        changed | self.flush()
    }

    fn flush(&mut self) -> bool {
        let mut changed = false;
        let Self { labels, upper, lower, indices, .. } = self;
        self.centres.nearest(&self.centroids, &self.gathered, |j, Nearest { index, best, second }| {
            let i = indices[j];
            changed |= labels[i] != index as u32;
            labels[i] = index as u32;
            upper[i] = libm::sqrtf(best);
            lower[i] = libm::sqrtf(second);
        });
        self.gathered.clear();
        self.indices.clear();
        changed
    }

    /// Moves every centre to the mean of its rows; returns how far each moved. An empty cluster
    /// takes over the row that lies farthest from its centre.
    fn recentre(&mut self, k: usize) -> Vec<f32> {
        let d = self.d;
        let mut sums = vec![0f64; k * d];
        let mut counts = vec![0u64; k];
        for (row, &label) in self.rows.chunks_exact(d).zip(&self.labels) {
            let label = label as usize;
            counts[label] += 1;
            sums[label * d..(label + 1) * d].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        }
        self.repair(&mut sums, &mut counts);
        let mut moved = vec![0f32; k];
        for (j, centroid) in self.centroids.chunks_exact_mut(d).enumerate() {
            if counts[j] == 0 {
                continue; // fewer distinct rows than clusters: nothing to move it to
            }
            let mut distance = 0f64;
            for (c, s) in centroid.iter_mut().zip(&sums[j * d..(j + 1) * d]) {
                let new = (s / counts[j] as f64) as f32;
                let step = f64::from(new) - f64::from(*c);
                distance += step * step;
                *c = new;
            }
            moved[j] = libm::sqrt(distance) as f32;
        }
        moved
    }

    fn repair(&mut self, sums: &mut [f64], counts: &mut [u64]) {
        let d = self.d;
        if !counts.contains(&0) {
            return;
        }
        let distance = |i: usize| {
            let label = self.labels[i] as usize;
            squared(&self.rows[i * d..(i + 1) * d], &self.centroids[label * d..(label + 1) * d])
        };
        let mut far: Vec<(f32, usize)> = (0..self.labels.len()).map(|i| (distance(i), i)).collect();
        far.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut far = far.into_iter().map(|(_, i)| i);
        for empty in 0..counts.len() {
            if counts[empty] > 0 {
                continue;
            }
            // A cluster's only row stays: taking it would empty that one.
            let Some(i) = far.find(|&i| counts[self.labels[i] as usize] > 1) else { return };
            let from = self.labels[i] as usize;
            for (c, v) in self.rows[i * d..(i + 1) * d].iter().enumerate() {
                sums[from * d + c] -= f64::from(*v);
                sums[empty * d + c] = f64::from(*v);
            }
            (counts[from], counts[empty]) = (counts[from] - 1, 1);
            self.labels[i] = empty as u32;
            self.upper[i] = f32::INFINITY;
        }
    }

    /// Bounds after the centres moved: a row's own centre may be farther, every other one nearer.
    fn widen(&mut self, moved: &[f32]) {
        let (mut farthest, mut first, mut second) = (0, 0f32, 0f32);
        for (j, &m) in moved.iter().enumerate() {
            if m > first {
                (farthest, second, first) = (j, first, m);
            } else if m > second {
                second = m;
            }
        }
        for ((label, upper), lower) in self.labels.iter().zip(&mut self.upper).zip(&mut self.lower) {
            let label = *label as usize;
            *upper += moved[label];
            *lower -= if label == farthest { second } else { first };
        }
    }
}

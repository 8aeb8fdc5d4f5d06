//! Lloyd's iteration with bounds for groups of centres (Ding et al., *Yinyang K-means*, ICML 2015):
//! while a row is surely nearer to its own centre than to any of a group, the group isn't looked at.
//! Bounds aren't moved row by row; they are kept relative to how far centres have moved in all.

use super::lanes::{GROUP, Packed};
use crate::classify::distance::squared;
use alloc::{vec, vec::Vec};
use pulp::{Arch, Simd, WithSimd};

/// Bounds are kept in f32; this much slack keeps rounding from skipping a row wrongly.
const SLACK: f32 = 1.0 + 1e-5;
/// A centre must be nearer by so much to take a row over: rounding moves no row to and fro.
const NEARER: f32 = 1.0 - 1e-6;
/// Below this fraction of all squares an inertia is rounding.
const ROUNDING: f64 = 1e-12;
/// Rows that one task looks at.
const TASK: usize = 2048;

/// Where one start ended.
pub(super) struct Start {
    pub(super) centroids: Vec<f32>,
    /// Sum of squared distances to the means of the last assignment.
    pub(super) inertia: f64,
    pub(super) iterations: usize,
}

/// A row that changed its cluster.
struct Change {
    row: usize,
    from: u32,
    to: u32,
}

struct State<'a> {
    rows: &'a [f32],
    d: usize,
    centroids: Vec<f32>,
    packed: Packed,
    labels: Vec<u32>,
    /// Upper bound of a row's distance to its centre, less that centre's `moved`.
    upper: Vec<f32>,
    /// `[n, groups]`: lower bound of the distance to any other centre of the group, plus its `moved`.
    lower: Vec<f32>,
    /// How far each centre, and the fastest of each group, has moved in all iterations.
    moved: Vec<f32>,
    group_moved: Vec<f32>,
    /// Sum and number of the rows of each cluster; kept up, not summed anew.
    sums: Vec<f64>,
    counts: Vec<u64>,
}

/// Iterates over centred rows from the centres `first`, `[k, d]`, until they move less than `stop` in
/// all.
pub(super) fn iterate(rows: &[f32], d: usize, first: &[f32], max: usize, stop: f64) -> Start {
    let (n, k) = (rows.len() / d, first.len() / d);
    let centroids = neighbours_together(first, d);
    let packed = Packed::new(&centroids, d);
    let groups = packed.groups();
    // All rows begin in the first cluster.
    let mut sums = vec![0f64; k * d];
    let mut squares = 0f64;
    for row in rows.chunks_exact(d) {
        for (s, v) in sums.iter_mut().zip(row) {
            *s += f64::from(*v);
            squares += f64::from(*v) * f64::from(*v);
        }
    }
    let mut counts = vec![0; k];
    counts[0] = n as u64;
    let mut s = State {
        rows,
        d,
        centroids,
        packed,
        labels: vec![0; n],
        upper: vec![f32::INFINITY; n],
        lower: vec![0.0; n * groups],
        moved: vec![0.0; k],
        group_moved: vec![0.0; groups],
        sums,
        counts,
    };
    let mut iterations = 0;
    while iterations < max {
        iterations += 1;
        let changed = s.reassign();
        let movement = s.recentre();
        if (iterations > 1 && !changed) || movement <= stop {
            break;
        }
    }
    // Σ‖x − c‖² = Σ‖x‖² − Σ n·‖c‖², with c the means.
    let means = s.sums.chunks_exact(d).zip(&s.counts).filter(|(_, n)| **n > 0);
    let between: f64 = means.map(|(s, n)| s.iter().map(|v| v * v).sum::<f64>() / *n as f64).sum();
    // What is left of rows that lie on their centres is rounding.
    let inertia = if squares - between > ROUNDING * squares { squares - between } else { 0.0 };
    Start { centroids: s.centroids, inertia, iterations }
}

/// The centres in an order that puts near ones into one group: bounds of such groups are tighter.
fn neighbours_together(centres: &[f32], d: usize) -> Vec<f32> {
    let mut left: Vec<&[f32]> = centres.chunks_exact(d).collect();
    let mut out = Vec::with_capacity(centres.len());
    while let Some(&first) = left.first() {
        left.sort_by(|a, b| squared(a, first).total_cmp(&squared(b, first)));
        out.extend(left.drain(..GROUP.min(left.len())).flatten());
    }
    out
}

impl State<'_> {
    /// Moves rows to their nearest centre; whether any moved.
    fn reassign(&mut self) -> bool {
        let (d, groups) = (self.d, self.packed.groups());
        let seen = Seen {
            d,
            centroids: &self.centroids,
            packed: &self.packed,
            moved: &self.moved,
            group_moved: &self.group_moved,
        };
        let task = |(number, (((rows, labels), upper), lower))| {
            let first = number * TASK;
            Arch::new().dispatch(Task { seen: &seen, first, rows, labels, upper, lower })
        };
        #[cfg(feature = "rayon")]
        let changes: Vec<Vec<Change>> = {
            use rayon::prelude::*;
            let rows = self.rows.par_chunks(TASK * d).zip(self.labels.par_chunks_mut(TASK));
            let bounds = rows.zip(self.upper.par_chunks_mut(TASK));
            bounds.zip(self.lower.par_chunks_mut(TASK * groups)).enumerate().map(task).collect()
        };
        #[cfg(not(feature = "rayon"))]
        let changes: Vec<Vec<Change>> = {
            let rows = self.rows.chunks(TASK * d).zip(self.labels.chunks_mut(TASK));
            let bounds = rows.zip(self.upper.chunks_mut(TASK));
            bounds.zip(self.lower.chunks_mut(TASK * groups)).enumerate().map(task).collect()
        };
        let mut changed = false;
        for change in changes.into_iter().flatten() {
            changed = true;
            self.count(&change);
        }
        changed
    }

    fn count(&mut self, &Change { row, from, to }: &Change) {
        let (d, from, to) = (self.d, from as usize, to as usize);
        let row = &self.rows[row * d..(row + 1) * d];
        self.sums[from * d..(from + 1) * d].iter_mut().zip(row).for_each(|(s, v)| *s -= f64::from(*v));
        self.sums[to * d..(to + 1) * d].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        self.counts[from] -= 1;
        self.counts[to] += 1;
    }

    /// Moves every centre to the mean of its rows; returns the sum of their squared movements. An
    /// empty cluster takes over the row that lies farthest from its centre.
    fn recentre(&mut self) -> f64 {
        let d = self.d;
        if self.counts.contains(&0) {
            self.repair();
        }
        let mut total = 0.0;
        let mut fastest = vec![0f32; self.group_moved.len()];
        for (j, centroid) in self.centroids.chunks_exact_mut(d).enumerate() {
            if self.counts[j] == 0 {
                continue; // fewer distinct rows than clusters: nothing to move it to
            }
            let mut distance = 0f64;
            for (c, s) in centroid.iter_mut().zip(&self.sums[j * d..(j + 1) * d]) {
                let new = (s / self.counts[j] as f64) as f32;
                let step = f64::from(new) - f64::from(*c);
                distance += step * step;
                *c = new;
            }
            total += distance;
            let distance = libm::sqrt(distance) as f32;
            self.moved[j] += distance;
            fastest[j / GROUP] = fastest[j / GROUP].max(distance);
        }
        self.group_moved.iter_mut().zip(fastest).for_each(|(m, f)| *m += f);
        self.packed.set(&self.centroids);
        total
    }

    fn repair(&mut self) {
        let (d, groups) = (self.d, self.packed.groups());
        let distance = |i: usize| {
            let label = self.labels[i] as usize;
            squared(&self.rows[i * d..(i + 1) * d], &self.centroids[label * d..(label + 1) * d])
        };
        let mut far: Vec<(f32, usize)> = (0..self.labels.len()).map(|i| (distance(i), i)).collect();
        far.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut far = far.into_iter().map(|(_, i)| i);
        for empty in 0..self.counts.len() {
            if self.counts[empty] > 0 {
                continue;
            }
            // A cluster's only row stays: taking it would empty that one.
            let Some(row) = far.find(|&i| self.counts[self.labels[i] as usize] > 1) else { return };
            self.count(&Change { row, from: self.labels[row], to: empty as u32 });
            self.labels[row] = empty as u32;
            self.upper[row] = f32::INFINITY;
            self.lower[row * groups..(row + 1) * groups].fill(f32::NEG_INFINITY);
        }
    }
}

/// What all tasks of a pass read.
struct Seen<'a> {
    d: usize,
    centroids: &'a [f32],
    packed: &'a Packed,
    moved: &'a [f32],
    group_moved: &'a [f32],
}

/// Rows from `first` on with their labels and bounds.
struct Task<'a> {
    seen: &'a Seen<'a>,
    first: usize,
    rows: &'a [f32],
    labels: &'a mut [u32],
    upper: &'a mut [f32],
    lower: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = Vec<Change>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<Change> {
        let Self { seen, first, rows, labels, upper, lower } = self;
        let mut changes = Vec::new();
        let bounds = upper.iter_mut().zip(lower.chunks_exact_mut(seen.group_moved.len()));
        let rows = rows.chunks_exact(seen.d).zip(labels).zip(bounds).enumerate();
        for (i, ((row, label), (upper, lower))) in rows {
            let own = *label as usize;
            let others = lower.iter().zip(seen.group_moved).map(|(l, m)| l - m);
            let others = others.fold(f32::INFINITY, f32::min);
            if (*upper + seen.moved[own]) * SLACK < others {
                continue;
            }
            // The cheap bound failed: the true distance may still do.
            let mut best = libm::sqrtf(squared(row, &seen.centroids[own * seen.d..(own + 1) * seen.d]));
            if best * SLACK >= others {
                let mut to = own;
                (to, best) = seen.search(simd, row, to, best, lower);
                if to != own {
                    changes.push(Change { row: first + i, from: *label, to: to as u32 });
                    *label = to as u32;
                }
                *upper = best - seen.moved[to];
            } else {
                *upper = best - seen.moved[own];
            }
        }
        changes
    }
}

impl Seen<'_> {
    /// The nearest centre and its distance, where `label` lies `best` away; sets the bounds of the
    /// groups it looks at.
    #[inline(always)]
    fn search<S: Simd>(
        &self,
        simd: S,
        row: &[f32],
        mut label: usize,
        mut best: f32,
        lower: &mut [f32],
    ) -> (usize, f32) {
        let mut out = [f32::INFINITY; GROUP];
        for group in 0..lower.len() {
            if best * SLACK < lower[group] - self.group_moved[group] {
                continue;
            }
            self.packed.squared(simd, row, group, GROUP, &mut out);
            if label / GROUP == group {
                out[label % GROUP] = f32::INFINITY;
            }
            let least = |out: &[f32; GROUP]| out.iter().copied().fold(f32::INFINITY, f32::min);
            let nearest = least(&out);
            lower[group] = libm::sqrtf(nearest) + self.group_moved[group];
            if nearest < best * best * NEARER {
                let at = out.iter().position(|v| *v == nearest).unwrap_or(0);
                out[at] = f32::INFINITY;
                lower[group] = libm::sqrtf(least(&out)) + self.group_moved[group];
                // The centre that is left is one of the others now.
                let left = label / GROUP;
                lower[left] = lower[left].min(best + self.group_moved[left]);
                (label, best) = (group * GROUP + at, libm::sqrtf(nearest));
            }
        }
        (label, best)
    }
}

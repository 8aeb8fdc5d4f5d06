//! Largest eigenpairs of a symmetric tridiagonal matrix: bisection on Sturm counts, then inverse
//! iteration with reorthogonalisation (Golub and Van Loan, "Matrix Computations", 8.4).

use super::{eigen::Wanted, kernels};
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// Eigenvalues bisected side by side.
const LANES: usize = kernels::SHIFTS;

pub(crate) struct Tridiagonal {
    diagonal: Vec<f64>,
    /// One shorter than the diagonal.
    off: Vec<f64>,
    /// Largest row sum of absolute values.
    norm: f64,
}

impl Tridiagonal {
    pub(crate) fn new(diagonal: Vec<f64>, off: Vec<f64>) -> Self {
        let reach = Self::radii(&off).zip(&diagonal).map(|(r, d)| d.abs() + r);
        let norm = reach.fold(0.0, f64::max);
        Self { diagonal, off, norm }
    }

    pub(crate) fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    pub(crate) fn off_diagonal(&self) -> &[f64] {
        &self.off
    }

    /// The largest eigenvalues in descending order; `None` if `wanted` needs more than `limit`.
    pub(crate) fn largest(&self, wanted: Wanted, limit: usize) -> Option<Vec<f64>> {
        let most = match wanted {
            Wanted::Count(k) => k,
            Wanted::Sum { most, .. } => most,
        };
        if matches!(wanted, Wanted::Count(k) if k > limit) {
            return None;
        }
        // Of an unknown number, as many at once as there are threads for.
        #[cfg(feature = "rayon")]
        let threads = rayon::current_num_threads();
        #[cfg(not(feature = "rayon"))]
        let threads = 1;
        let at_once = if matches!(wanted, Wanted::Count(_)) { most } else { LANES * threads };
        let mut found: Vec<f64> = Vec::new();
        let mut sum = 0.0;
        while found.len() < most {
            if found.len() >= limit {
                return None;
            }
            for value in self.bisect_all(found.len()..most.min(found.len() + at_once)) {
                if found.len() == most {
                    break;
                }
                let value = found.last().map_or(value, |last| value.min(*last));
                found.push(value);
                sum += value.max(0.0);
                if matches!(wanted, Wanted::Sum { target, .. } if sum >= target) {
                    return (found.len() <= limit.next_multiple_of(LANES)).then_some(found);
                }
            }
        }
        Some(found)
    }

    /// Orthonormal eigenvectors of the given eigenvalues, one after the other; `None` if one does
    /// not reach a residual at rounding level.
    pub(crate) fn vectors(&self, values: &[f64]) -> Option<Vec<f64>> {
        let d = self.diagonal.len();
        let mut all = vec![0.0; d * values.len()];
        // Each by itself at first: where eigenvalues are apart, that is all there is to do.
        let alone = |factors: &mut Factors, (j, (x, value)): (usize, (&mut [f64], &f64))| {
            random(j, x);
            factors.factor(self, *value);
            (0..2).for_each(|_| factors.iterate(x));
        };
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            let each = all.par_chunks_exact_mut(d).zip(values).enumerate().with_max_len(4);
            each.for_each_init(|| Factors::new(d), alone);
        }
        let mut factors = Factors::new(d);
        #[cfg(not(feature = "rayon"))]
        all.chunks_exact_mut(d).zip(values).enumerate().for_each(|each| alone(&mut factors, each));

        // Rounding level: an unlucky but sound computation stays well below it.
        let tolerance = 64.0 * f64::EPSILON * self.norm;
        for (j, value) in values.iter().enumerate() {
            let (before, rest) = all.split_at_mut(j * d);
            let x = rest.get_mut(..d)?;
            let mut along = vec![0.0; j];
            orthogonalise(before, x, &mut along);
            if self.residual(*value, x) <= tolerance {
                continue;
            }
            // One of several that are close: anew, away from the others in every step.
            random(j, x);
            factors.factor(self, *value);
            let good = (0..6).any(|round| {
                factors.iterate(x);
                orthogonalise(before, x, &mut along);
                round > 0 && self.residual(*value, x) <= tolerance
            });
            if !good {
                return None;
            }
        }
        Some(all)
    }

    /// Absolute row sums without the diagonal.
    fn radii(off: &[f64]) -> impl Iterator<Item = f64> {
        let left = core::iter::once(&0.0).chain(off);
        left.zip(off.iter().chain(core::iter::once(&0.0))).map(|(a, b)| a.abs() + b.abs())
    }

    /// Eigenvalues of these numbers from the top, and a few more.
    fn bisect_all(&self, numbers: Range<usize>) -> Vec<f64> {
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            let groups = numbers.into_par_iter().step_by(LANES).with_max_len(1);
            groups.flat_map_iter(|first| self.bisect(first)).collect()
        }
        #[cfg(not(feature = "rayon"))]
        numbers.step_by(LANES).flat_map(|first| self.bisect(first)).collect()
    }

    /// Eigenvalues number `first`, `first + 1`, … from the top; those past the end repeat the smallest.
    fn bisect(&self, first: usize) -> [f64; LANES] {
        let d = self.diagonal.len();
        let edges = Self::radii(&self.off).zip(&self.diagonal);
        let slack = 4.0 * f64::EPSILON * self.norm;
        let (low, high) = edges.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (r, d)| {
            (f64::min(low, d - r), f64::max(high, d + r))
        });
        let tiny = f64::MIN_POSITIVE * (self.norm * self.norm).max(1.0);
        let squares: Vec<f64> = core::iter::once(0.0).chain(self.off.iter().map(|e| e * e)).collect();
        let kernels = kernels::best();
        let mut low = [low - slack; LANES];
        let mut high = [high + slack; LANES];
        // Eigenvalue `i` from the top has more than `d − 1 − i` eigenvalues at or below it.
        let rank: [usize; LANES] = core::array::from_fn(|l| d.saturating_sub(1 + first + l));
        for _ in 0..80 {
            let middle: [f64; LANES] = core::array::from_fn(|l| 0.5 * (low[l] + high[l]));
            let below = kernels.count_below(&self.diagonal, &squares, tiny, &middle);
            let mut open = false;
            for l in 0..LANES {
                if below[l] > rank[l] {
                    high[l] = middle[l];
                } else {
                    low[l] = middle[l];
                }
                open |= high[l] - low[l] > f64::EPSILON * (self.norm + low[l].abs()) * 0.5;
            }
            if !open {
                break;
            }
        }
        core::array::from_fn(|l| 0.5 * (low[l] + high[l]))
    }

    /// ‖T·x − value·x‖.
    fn residual(&self, value: f64, x: &[f64]) -> f64 {
        let mut sum = 0.0;
        let mut left = 0.0;
        let next = x.iter().skip(1).chain(core::iter::once(&0.0));
        let right = self.off.iter().chain(core::iter::once(&0.0));
        for (((d, x), next), e) in self.diagonal.iter().zip(x).zip(next).zip(right) {
            let r = left + (d - value) * x + e * next;
            sum += r * r;
            left = e * x;
        }
        libm::sqrt(sum)
    }
}

/// `T − shift·I = P·L·U` by Gaussian elimination with partial pivoting.
struct Factors {
    /// Multipliers of L and whether the two rows were swapped.
    steps: Vec<(f64, bool)>,
    /// Rows of U: diagonal and the two entries right of it.
    rows: Vec<[f64; 3]>,
}

impl Factors {
    fn new(d: usize) -> Self {
        Self { steps: Vec::with_capacity(d), rows: Vec::with_capacity(d) }
    }

    fn factor(&mut self, t: &Tridiagonal, shift: f64) {
        // Pivots smaller than rounding are what makes the solution an eigenvector.
        let smallest = f64::EPSILON * t.norm.max(f64::MIN_POSITIVE / f64::EPSILON);
        let safe = |p: f64| if p.abs() < smallest { libm::copysign(smallest, p) } else { p };
        self.steps.clear();
        self.rows.clear();
        let mut diagonal = t.diagonal.iter().map(|d| d - shift);
        let mut current = [diagonal.next().unwrap_or(0.0), t.off.first().copied().unwrap_or(0.0)];
        let right = t.off.iter().skip(1).chain(core::iter::once(&0.0));
        for ((d, e), right) in diagonal.zip(&t.off).zip(right) {
            // Rows [current, 0] and [e, d, right]; the larger first entry goes on top.
            if current[0].abs() >= e.abs() {
                let m = if current[0] == 0.0 { 0.0 } else { e / current[0] };
                self.rows.push([safe(current[0]), current[1], 0.0]);
                self.steps.push((m, false));
                current = [d - m * current[1], *right];
            } else {
                let m = current[0] / e;
                self.rows.push([*e, d, *right]);
                self.steps.push((m, true));
                current = [current[1] - m * d, -m * right];
            }
        }
        self.rows.push([safe(current[0]), 0.0, 0.0]);
    }

    /// One step of inverse iteration; the largest value is 1, so that squares stay in range.
    fn iterate(&self, x: &mut [f64]) {
        self.solve(x);
        scale(x, x.iter().fold(0.0, |m: f64, v| m.max(v.abs())));
    }

    fn solve(&self, x: &mut [f64]) {
        for (i, (m, swap)) in self.steps.iter().enumerate() {
            if let Some([a, b]) = x.get_mut(i..i + 2).and_then(|p| <&mut [f64; 2]>::try_from(p).ok()) {
                if *swap {
                    core::mem::swap(a, b);
                }
                *b -= m * *a;
            }
        }
        let (mut next, mut after) = (0.0, 0.0);
        for (x, [p, u, v]) in x.iter_mut().zip(&self.rows).rev() {
            *x = (*x - u * next - v * after) / p;
            (next, after) = (*x, next);
        }
    }
}

/// Numbers between −1 and 1, others for every `seed`.
fn random(seed: usize, x: &mut [f64]) {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for v in x {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *v = (state >> 33) as f64 / (1u64 << 30) as f64 - 1.0;
    }
}

/// `x` of unit length without what it has along the vectors `before`; twice, for what rounding leaves.
fn orthogonalise(before: &[f64], x: &mut [f64], along: &mut [f64]) {
    let (kernels, d) = (kernels::best(), x.len());
    for _ in 0..2 {
        along.fill(0.0);
        kernels.dots(before, d, x, along);
        along.iter_mut().for_each(|a| *a = -*a);
        kernels.combine(before, d, along, x);
    }
    scale(x, libm::sqrt(dot(x, x)));
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    for (a, b) in a.iter().zip(b) {
        for l in 0..8 {
            lanes[l] += a[l] * b[l];
        }
    }
    lanes.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

fn scale(x: &mut [f64], by: f64) {
    if by > 0.0 {
        let f = 1.0 / by;
        x.iter_mut().for_each(|v| *v *= f);
    }
}

//! L-BFGS (Nocedal 1980; Nocedal & Wright 2006, algorithm 7.5) with a fixed diagonal preconditioner
//! and Armijo backtracking: enough for a smooth convex objective.

use crate::Result;
use alloc::{collections::VecDeque, vec, vec::Vec};

/// Pairs of steps and gradient changes remembered.
const MEMORY: usize = 12;
const ARMIJO: f64 = 1e-4;
const SHORTEST: f64 = 1e-10;
/// A relative gain below this is noise of the sum over rows.
const ROUNDING: f64 = 64.0 * f64::EPSILON;

pub(super) struct Outcome {
    pub(super) x: Vec<f64>,
    pub(super) value: f64,
    pub(super) iterations: usize,
    pub(super) converged: bool,
}

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    rho: f64,
}

/// Minimises `objective`, which writes its gradient and returns its value, from `x`; stops when no
/// component of the gradient is above `tolerance`, when the value no longer falls beyond rounding, or
/// after `max` iterations.
pub(super) fn minimise(
    mut x: Vec<f64>,
    scale: &[f64],
    max: usize,
    tolerance: f64,
    mut objective: impl FnMut(&[f64], &mut [f64]) -> Result<f64>,
) -> Result<Outcome> {
    let n = x.len();
    let mut gradient = vec![0.0; n];
    let mut value = objective(&x, &mut gradient)?;
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    let (mut next, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
    for iterations in 0..max {
        if gradient.iter().all(|g| g.abs() <= tolerance) {
            return Ok(Outcome { x, value, iterations, converged: true });
        }
        let mut direction = descent(&gradient, scale, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding spoiled the curvature pairs: start over from the preconditioner.
            pairs.clear();
            direction = descent(&gradient, scale, &pairs);
            slope = dot(&direction, &gradient);
        }
        let mut length = 1.0;
        let found = loop {
            for i in 0..n {
                next[i] = x[i] + length * direction[i];
            }
            let trial = objective(&next, &mut next_gradient)?;
            if trial <= value + ARMIJO * length * slope {
                break Some(trial);
            }
            length *= 0.5;
            if length < SHORTEST {
                break None;
            }
        };
        // No step lowers the value any more: this is the minimum to rounding.
        let Some(trial) = found else { return Ok(Outcome { x, value, iterations, converged: true }) };
        let step: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-12 * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(Pair { step, change, rho: 1.0 / curvature });
        }
        core::mem::swap(&mut x, &mut next);
        core::mem::swap(&mut gradient, &mut next_gradient);
        let gained = value - trial;
        value = trial;
        if gained <= ROUNDING * value.abs().max(1.0) {
            return Ok(Outcome { x, value, iterations: iterations + 1, converged: true });
        }
    }
    let converged = gradient.iter().all(|g| g.abs() <= tolerance);
    Ok(Outcome { x, value, iterations: max, converged })
}

/// −H·gradient by the two-loop recursion.
fn descent(gradient: &[f64], scale: &[f64], pairs: &VecDeque<Pair>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = vec![0.0; pairs.len()];
    for (pair, alpha) in pairs.iter().zip(&mut alphas).rev() {
        *alpha = pair.rho * dot(&pair.step, &q);
        q.iter_mut().zip(&pair.change).for_each(|(q, y)| *q -= *alpha * y);
    }
    // The latest pair tells how far the preconditioner is off here.
    let fit = pairs.back().map_or(1.0, |p| {
        let weighted: f64 = p.change.iter().zip(scale).map(|(y, s)| y * y * s).sum();
        1.0 / (p.rho * weighted)
    });
    q.iter_mut().zip(scale).for_each(|(q, s)| *q *= fit * s);
    for (pair, alpha) in pairs.iter().zip(&alphas) {
        let beta = pair.rho * dot(&pair.change, &q);
        q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

use super::*;
use crate::{featurize::kernels::Isa, pca::kernels, rng::Rng};
use alloc::vec;

const SIZES: &[usize] =
    if cfg!(miri) { &[2, 26] } else { &[2, 3, 23, 24, 25, 26, 47, 48, 49, 50, 72, 73, 100, 145, 300] };

/// The lower triangle of a random matrix, as columns and whole.
fn symmetric(d: usize, by: f64) -> (Vec<f64>, impl Fn(usize, &mut [f64]) + Clone + Send + Sync) {
    let mut rng = Rng::new(d as u64);
    let mut a = vec![0.0; d * d];
    for j in 0..d {
        for i in j..d {
            let value = (rng.unit() - 0.5) * by;
            (a[i * d + j], a[j * d + i]) = (value, value);
        }
    }
    let of = a.clone();
    (a, move |j: usize, to: &mut [f64]| to.copy_from_slice(&of[j * (d + 1)..(j + 1) * d]))
}

/// `‖Q·T·Qᵀ − A‖` and `‖Qᵀ·Q − I‖`, the largest values, the first relative to the matrix.
fn errors(reduced: &Reduced, kernels: &Kernels, a: &[f64], d: usize) -> (f64, f64) {
    let mut q = vec![0.0; d * d];
    (0..d).for_each(|i| q[i * (d + 1)] = 1.0);
    // A column of Q a row.
    reduced.turn_back(kernels, d, &mut q);
    let column = |i: usize| &q[i * d..(i + 1) * d];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut unit = 0.0f64;
    for i in 0..d {
        for j in 0..d {
            unit = unit.max((dot(column(i), column(j)) - f64::from(u8::from(i == j))).abs());
        }
    }
    let mut found = vec![0.0; d * d];
    for i in 0..d {
        for j in i.saturating_sub(1)..d.min(i + 2) {
            let t = if i == j { reduced.diagonal[i] } else { reduced.off[i.min(j)] };
            for (r, row) in found.chunks_mut(d).enumerate() {
                let x = t * column(i)[r];
                row.iter_mut().zip(column(j)).for_each(|(f, q)| *f += x * q);
            }
        }
    }
    let largest = a.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let worst = a.iter().zip(&found).fold(0.0f64, |m, (a, f)| m.max((a - f).abs()));
    (worst / largest, unit)
}

#[test]
fn similar_to_what_was_given() {
    for &d in SIZES {
        let (a, columns) = symmetric(d, 1.0);
        for isa in Isa::ALL {
            let Some(kernels) = kernels::of(isa) else { continue };
            for members in [1, 2, 3] {
                let reduced = by_team(kernels, Box::new(columns.clone()), d, members).unwrap();
                let (off, unit) = errors(&reduced, kernels, &a, d);
                assert!(off < 1e-13 * (d as f64).sqrt(), "{isa:?} {d} by {members}: {off}");
                assert!(unit < 1e-14 * (d as f64).sqrt(), "{isa:?} {d} by {members}: {unit}");
                let again = by_team(kernels, Box::new(columns.clone()), d, members).unwrap();
                assert!(reduced.diagonal == again.diagonal && reduced.off == again.off);
            }
        }
    }
}

#[test]
fn extreme_values_keep_their_digits() {
    let d = if cfg!(miri) { 26 } else { 60 };
    let plain = kernels::best();
    for by in [1e-300, 1e-160, 1e160, 1e300] {
        let (a, columns) = symmetric(d, by);
        let reduced = by_team(plain, Box::new(columns), d, 2).unwrap();
        let (off, unit) = errors(&reduced, plain, &a, d);
        assert!(off < 1e-12 && unit < 1e-13, "{by}: {off} {unit}");
    }
}

#[test]
fn what_needs_no_reduction() {
    let d = if cfg!(miri) { 30 } else { 80 };
    let zero = by_team(kernels::best(), Box::new(|_, to: &mut [f64]| to.fill(0.0)), d, 2).unwrap();
    assert!(zero.diagonal.iter().chain(&zero.off).all(|v| *v == 0.0));
    let diagonal = |j: usize, to: &mut [f64]| {
        to.fill(0.0);
        to[0] = j as f64;
    };
    let reduced = by_team(kernels::best(), Box::new(diagonal), d, 2).unwrap();
    assert!(reduced.diagonal.iter().enumerate().all(|(j, v)| *v == j as f64));
    let mut vector = vec![0.0; d];
    vector[7] = 1.0;
    let before = vector.clone();
    reduced.turn_back(kernels::best(), d, &mut vector);
    assert_eq!(vector, before);
}

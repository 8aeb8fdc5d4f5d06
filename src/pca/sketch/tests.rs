use super::*;
use crate::pca::CovariancePca;
use alloc::vec;

fn rows(n: usize, d: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    // Decaying columns around a mean that is not zero.
    (0..n).flat_map(|_| (0..d).map(|j| 3.0 + next() / (1 + j) as f32).collect::<Vec<_>>()).collect()
}

fn sketch(data: &[f32], d: usize, size: usize, batch: usize) -> SketchPca {
    let mut pca = SketchPca::new(d, size).unwrap();
    for rows in data.chunks(batch * d) {
        pca.partial_fit(Rows::new(rows, d).unwrap()).unwrap();
    }
    pca
}

/// The largest and the smallest eigenvalue of `AᵀA − BᵀB`, and `‖A‖²_F`.
fn defect(pca: &SketchPca, data: &[f32]) -> (f64, f64, f64) {
    let d = pca.columns();
    let n = (data.len() / d) as f64;
    let mean: Vec<f64> =
        (0..d).map(|j| data.iter().skip(j).step_by(d).map(|x| f64::from(*x)).sum::<f64>() / n).collect();
    let mut a = vec![0.0; d * d];
    for row in data.chunks_exact(d) {
        for j in 0..d {
            for i in j..d {
                a[j * d + i] += (f64::from(row[i]) - mean[i]) * (f64::from(row[j]) - mean[j]);
            }
        }
    }
    let energy = (0..d).map(|j| a[j * d + j]).sum();
    for row in pca.rows.chunks_exact(d) {
        for j in 0..d {
            for i in j..d {
                a[j * d + i] -= row[i] * row[j];
            }
        }
    }
    let values = leading(a, d, Wanted::Count(d)).unwrap().values;
    (values[0], values[d - 1], energy)
}

fn certify(pca: &SketchPca, data: &[f32]) {
    let (largest, smallest, energy) = defect(pca, data);
    let rounding = 1e-12 * energy;
    assert!(largest <= pca.error_bound() + rounding, "{largest} > {}", pca.error_bound());
    assert!(smallest >= -rounding, "the sketch exceeds the rows by {smallest}");
    assert!((pca.energy / energy - 1.0).abs() < 1e-10);
    assert_eq!(pca.count() as usize, data.len() / pca.columns());
}

const N: usize = if cfg!(miri) { 12 } else { 300 };

#[test]
fn the_bound_holds_and_is_no_worse_than_promised() {
    for (d, size) in [(12, 4), (12, 1), (5, 8), (20, 10)] {
        for batch in [1, 7, N] {
            let data = rows(N, d, 3);
            let pca = sketch(&data, d, size, batch);
            certify(&pca, &data);
            let (.., energy) = defect(&pca, &data);
            assert!(pca.error_bound() <= energy / size as f64 * (1.0 + 1e-9));
        }
    }
}

#[test]
fn merged_bounds_hold() {
    let d = 10;
    let data = rows(N, d, 5);
    let cut = N / 3 * d;
    let mut left = sketch(&data[..cut], d, 3, 5);
    let right = sketch(&data[cut..], d, 3, 16);
    left.merge(&right).unwrap();
    certify(&left, &data);
    let mut empty = SketchPca::new(d, 3).unwrap();
    empty.merge(&left).unwrap();
    certify(&empty, &data);
    let before = left.clone();
    left.merge(&SketchPca::new(d, 3).unwrap()).unwrap();
    assert_eq!(left, before);
    assert_eq!(left.merge(&SketchPca::new(d, 4).unwrap()).unwrap_err().kind(), ErrorKind::Mismatch);
}

#[test]
fn what_fits_into_the_sketch_is_exact() {
    let d = 6;
    // Rank two around a mean.
    let data: Vec<f32> = (0..N)
        .flat_map(|i| {
            (0..d).map(move |j| 1.0 + (i % 5) as f32 * j as f32 + (i % 3) as f32).collect::<Vec<_>>()
        })
        .collect();
    let pca = sketch(&data, d, 3, 4);
    let mut exact = CovariancePca::new(d).unwrap();
    exact.partial_fit(Rows::new(&data, d).unwrap()).unwrap();
    let (found, exact) = (pca.fit(Keep::Count(3)).unwrap(), exact.fit(Keep::Count(3)).unwrap());
    for i in 0..2 {
        assert!((found.explained_variance()[i] / exact.explained_variance()[i] - 1.0).abs() < 1e-9);
        for j in 0..d {
            assert!((found.components()[i * d + j] - exact.components()[i * d + j]).abs() < 1e-6);
        }
    }
    assert!((found.total_variance() / exact.total_variance() - 1.0).abs() < 1e-10);
    assert!(found.explained_variance()[2] < 1e-9, "the third has no variance");
    let third: f64 = found.components()[2 * d..].iter().map(|v| v * v).sum();
    assert!((third - 1.0).abs() < 1e-12, "and is a unit vector all the same");
    assert_eq!(pca.fit(Keep::Variance(0.999999)).unwrap().kept(), 2);
}

#[test]
fn limits() {
    let data = rows(N, 8, 1);
    let pca = sketch(&data, 8, 2, N);
    assert_eq!(pca.fit(Keep::Count(3)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(pca.fit(Keep::Variance(1.0)).unwrap_err().kind(), ErrorKind::Insufficient);
    let none = sketch(&[2.0; 24], 8, 2, 3);
    assert_eq!(none.fit(Keep::Count(2)).unwrap().explained_variance(), [0.0, 0.0]);
    assert_eq!(SketchPca::new(0, 1).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(SketchPca::new(1, 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(SketchPca::new(usize::MAX / 8, 8).unwrap_err().kind(), ErrorKind::Limit);
    let mut pca = pca;
    let before = pca.clone();
    let bad = [0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0];
    let e = pca.partial_fit(Rows::new(&bad, 8).unwrap()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NonFinite);
    assert_eq!(pca, before);
}

#[test]
fn bytes_round_trip_and_damage_is_noticed() {
    let data = rows(10, 4, 1);
    let pca = sketch(&data, 4, 2, 3);
    let bytes = pca.to_bytes();
    assert_eq!(SketchPca::from_bytes(&bytes).unwrap(), pca);
    for i in 0..bytes.len() {
        assert!(SketchPca::from_bytes(&bytes[..i]).is_err());
        let mut bad = bytes.clone();
        bad[i] ^= 8;
        assert!(SketchPca::from_bytes(&bad).is_err(), "byte {i}");
    }
}

#[test]
fn more_directions_than_columns_take_no_larger_matrix() {
    // B·Bᵀ would be 40,000 × 40,000.
    let (d, size) = (2, if cfg!(miri) { 4 } else { 20_000 });
    let data = rows(2 * size + 5, d, 7);
    let pca = sketch(&data, d, size, 2 * size + 5);
    certify(&pca, &data);
    let mut exact = CovariancePca::new(d).unwrap();
    exact.partial_fit(Rows::new(&data, d).unwrap()).unwrap();
    let (found, exact) = (pca.fit(Keep::Count(2)).unwrap(), exact.fit(Keep::Count(2)).unwrap());
    for (a, b) in found.explained_variance().iter().zip(exact.explained_variance()) {
        assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
    }
    for (a, b) in found.components().iter().zip(exact.components()) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    assert_eq!(SketchPca::new(usize::MAX / 64, 1).unwrap_err().kind(), ErrorKind::Limit);
}

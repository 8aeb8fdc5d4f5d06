use super::*;
use alloc::vec;

/// Two passes, nothing shared with the code under test. Lower triangle, column after column.
fn naive(data: &[f32], d: usize) -> (Vec<f64>, Vec<f64>) {
    let n = (data.len() / d) as f64;
    let mean: Vec<f64> =
        (0..d).map(|j| data.iter().skip(j).step_by(d).map(|x| f64::from(*x)).sum::<f64>() / n).collect();
    let mut moment = vec![0.0; d * d];
    for row in data.chunks_exact(d) {
        for j in 0..d {
            for i in j..d {
                moment[j * d + i] += (f64::from(row[i]) - mean[i]) * (f64::from(row[j]) - mean[j]);
            }
        }
    }
    (mean, moment)
}

fn state(data: &[f32], d: usize) -> CovariancePca {
    let mut pca = CovariancePca::new(d).unwrap();
    pca.partial_fit(Rows::new(data, d).unwrap()).unwrap();
    pca
}

/// Largest difference of means and moments, relative to the columns' deviations.
fn distance(pca: &CovariancePca, data: &[f32]) -> f64 {
    let d = pca.columns();
    let mut pca = pca.clone();
    pca.flush().unwrap();
    let (mean, moment) = naive(data, d);
    let found = pca.moment.full();
    let n = (data.len() / d) as f64;
    let deviation = |j: usize| moment[j * d + j].sqrt().max(1e-12);
    let mut worst = 0.0f64;
    for j in 0..d {
        let unit = deviation(j) / n.sqrt() + mean[j].abs();
        worst = worst.max((pca.mean[j] - mean[j]).abs() / unit);
        for i in j..d {
            let difference = (found[j * d + i] - moment[j * d + i]).abs();
            worst = worst.max(difference / (deviation(i) * deviation(j)));
        }
    }
    worst
}

#[cfg(not(miri))]
mod properties {
    use super::*;
    use crate::pca::eigen;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = (usize, Vec<f32>)> {
        let column = (-1e4f32..1e4, 0.1f32..100.0);
        (prop::collection::vec(column, 1..6), 2usize..700).prop_flat_map(|(columns, n)| {
            let d = columns.len();
            prop::collection::vec(-1f32..1.0, n * d).prop_map(move |mut data| {
                for row in data.chunks_exact_mut(d) {
                    for (x, (offset, size)) in row.iter_mut().zip(&columns) {
                        *x = *x * size + offset;
                    }
                }
                (d, data)
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn one_pass_equals_two((d, data) in rows(), batch in 1usize..400) {
            let mut pca = CovariancePca::new(d).unwrap();
            for rows in data.chunks(batch * d) {
                pca.partial_fit(Rows::new(rows, d).unwrap()).unwrap();
            }
            prop_assert_eq!(pca.count() as usize, data.len() / d);
            prop_assert!(distance(&pca, &data) < 1e-10, "{}", distance(&pca, &data));
        }

        #[test]
        fn any_split_and_order_equals_one_pass(
            (d, data) in rows(),
            owners in prop::collection::vec((0usize..5, 1usize..200), 1..12),
            order in Just([0usize, 1, 2, 3, 4]).prop_shuffle(),
        ) {
            let mut parts = vec![CovariancePca::new(d).unwrap(); 5];
            let mut rest = data.as_slice();
            for (owner, n) in owners.iter().cycle() {
                let (now, later) = rest.split_at((n * d).min(rest.len()));
                parts[*owner].partial_fit(Rows::new(now, d).unwrap()).unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let mut left = CovariancePca::new(d).unwrap();
            let mut from_bytes = left.clone();
            for i in order {
                left.merge(&parts[i]).unwrap();
                from_bytes.merge_bytes(&parts[i].to_bytes()).unwrap();
            }
            prop_assert_eq!(left.to_bytes(), from_bytes.to_bytes());
            // As a tree, through bytes.
            let mut tree = parts[order[4]].clone();
            let mut pair = CovariancePca::from_bytes(&parts[order[0]].to_bytes()).unwrap();
            pair.merge(&parts[order[3]]).unwrap();
            tree.merge(&pair).unwrap();
            let mut pair = parts[order[1]].clone();
            pair.merge(&parts[order[2]]).unwrap();
            tree.merge(&CovariancePca::from_bytes(&pair.to_bytes()).unwrap()).unwrap();
            for merged in [left, tree] {
                prop_assert_eq!(merged.count() as usize, data.len() / d);
                prop_assert!(distance(&merged, &data) < 1e-10, "{}", distance(&merged, &data));
            }
        }

        #[test]
        fn scaling_first_equals_scaling_from_the_moments((d, data) in rows()) {
            let pca = state(&data, d);
            let fitted = pca.fit_scaled(Keep::Count(1), Scaling::Standard).unwrap();
            let (mean, moment) = naive(&data, d);
            let n = (data.len() / d) as f64;
            let mut scaled = vec![0.0; d * d];
            let std = |j: usize| (moment[j * d + j] / n).sqrt();
            for j in 0..d {
                prop_assert!((fitted.mean()[j] - mean[j]).abs() <= 1e-10 * (std(j) + mean[j].abs()));
                for i in j..d {
                    scaled[j * d + i] = moment[j * d + i] / (std(i) * std(j) * (n - 1.0));
                }
            }
            let expected = eigen::leading(scaled, d, Wanted::Count(1)).unwrap();
            prop_assert!((fitted.explained_variance()[0] / expected.values[0] - 1.0).abs() < 1e-9);
            let total = fitted.total_variance() / (d as f64 * n / (n - 1.0));
            prop_assert!((total - 1.0).abs() < 1e-10);
        }

        #[test]
        fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = CovariancePca::from_bytes(&bytes);
        }
    }
}

#[test]
fn small_batches_and_blocks_by_hand() {
    let data = [1.0, 2.0, 3.0, 1.0, 5.0, 9.0, -1.0, 0.0, 2.5, 2.5];
    let mut pca = CovariancePca::new(2).unwrap();
    for row in data.chunks(2) {
        pca.partial_fit(Rows::new(row, 2).unwrap()).unwrap();
    }
    assert!(distance(&pca, &data) < 1e-13);
    let projection = pca.fit(Keep::Count(2)).unwrap();
    let (_, moment) = naive(&data, 2);
    assert!((projection.total_variance() - (moment[0] + moment[3]) / 4.0).abs() < 1e-12);
    let squares: f64 = projection.singular_values().iter().map(|s| s * s).sum();
    assert!((squares - moment[0] - moment[3]).abs() < 1e-12);
}

#[test]
fn failed_calls_leave_the_state() {
    let mut pca = state(&[1.0, 2.0, 3.0, 5.0], 2);
    let before = pca.to_bytes();
    let e = pca.partial_fit(Rows::new(&[1.0, f32::INFINITY], 2).unwrap()).unwrap_err();
    assert_eq!((e.kind(), e.stage()), (ErrorKind::NonFinite, Stage::Pca));
    assert!(e.message().contains("row 0, column 1"), "{e}");
    assert_eq!(pca.partial_fit(Rows::new(&[1.0], 1).unwrap()).unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(pca.merge(&CovariancePca::new(3).unwrap()).unwrap_err().kind(), ErrorKind::Mismatch);
    assert_eq!(pca.to_bytes(), before);
}

#[test]
fn limits_of_keep() {
    let pca = state(&[1.0, 2.0, 3.0, 4.0, 5.0, 9.0], 3);
    for keep in [
        Keep::Count(0),
        Keep::Count(3),
        Keep::Variance(0.0),
        Keep::Variance(1.1),
        Keep::Variance(-1.0),
        Keep::Variance(f64::NAN),
    ] {
        assert_eq!(pca.fit(keep).unwrap_err().kind(), ErrorKind::InvalidArgument, "{keep:?}");
    }
    assert_eq!(pca.fit(Keep::Variance(1.0)).unwrap().kept(), 1, "two rows span one direction");
    let one = state(&[1.0, 2.0], 2);
    assert_eq!(one.fit(Keep::Count(1)).unwrap_err().kind(), ErrorKind::Insufficient);
    assert_eq!(CovariancePca::new(0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(CovariancePca::new(usize::MAX / 2).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn equal_rows_have_no_variance() {
    let pca = state(&[3.0, 4.0, 3.0, 4.0, 3.0, 4.0], 2);
    let projection = pca.fit(Keep::Count(2)).unwrap();
    assert_eq!(projection.explained_variance(), [0.0, 0.0]);
    assert_eq!(projection.explained_variance_ratio(), [0.0, 0.0]);
    let mut out = [1.0; 2];
    projection.whitened().unwrap().transform_into(Rows::new(&[3.0, 4.0], 2).unwrap(), &mut out).unwrap();
    assert_eq!(out, [0.0, 0.0]);
    assert_eq!(pca.fit(Keep::Variance(0.5)).unwrap_err().kind(), ErrorKind::Insufficient);
}

#[test]
fn bytes_round_trip_and_damage_is_noticed() {
    let d = 3;
    let data: Vec<f32> = (0..d * (BLOCK + 1)).map(|i| (i * i % 17) as f32).collect();
    let pca = state(&data, d);
    let bytes = pca.to_bytes();
    let mut back = CovariancePca::from_bytes(&bytes).unwrap();
    assert_eq!(back.to_bytes(), bytes);
    back.partial_fit(Rows::new(&data, d).unwrap()).unwrap();
    let mut longer = pca.clone();
    longer.partial_fit(Rows::new(&data, d).unwrap()).unwrap();
    assert_eq!(back.to_bytes(), longer.to_bytes(), "a state read back continues bit for bit");
    for i in 0..bytes.len() {
        assert!(CovariancePca::from_bytes(&bytes[..i]).is_err());
        let mut bad = bytes.clone();
        bad[i] ^= 4;
        assert!(CovariancePca::from_bytes(&bad).is_err(), "byte {i}");
        assert!(pca.clone().merge_bytes(&bad).is_err(), "byte {i}");
    }
    let narrow = CovariancePca::new(2).unwrap();
    assert_eq!(narrow.clone().merge_bytes(&bytes).unwrap_err().kind(), ErrorKind::Mismatch);
    let empty = CovariancePca::new(2).unwrap();
    assert_eq!(CovariancePca::from_bytes(&empty.to_bytes()).unwrap().count(), 0);
    let scaler = StandardScaler::new(2).unwrap().to_bytes();
    assert_eq!(CovariancePca::from_bytes(&scaler).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn the_scaler_is_that_of_the_rows() {
    let data: Vec<f32> = (0..2 * (BLOCK + 3)).map(|i| (i * 7 % 23) as f32).collect();
    let mut expected = StandardScaler::new(2).unwrap();
    expected.partial_fit(Rows::new(&data, 2).unwrap()).unwrap();
    let found = state(&data, 2).scaler().unwrap();
    assert_eq!(found.count(), expected.count());
    for (a, b) in found.std().iter().zip(expected.std()) {
        assert!((a / b - 1.0).abs() < 1e-12);
    }
}

#[test]
fn all_views_of_the_matrix_agree() {
    for d in [1, 2, 23, 24, 25, 48, 71] {
        let mut moment = moment::Moment::zeros(d).unwrap();
        let mut seen = vec![];
        moment
            .try_each(|i, j, c| {
                seen.push((i, j));
                *c = (i * d + j) as f64 + 0.5;
                Ok::<_, ()>(())
            })
            .unwrap();
        let below: Vec<_> = (0..d).flat_map(|j| (j..d).map(move |i| (i, j))).collect();
        assert_eq!(seen, below, "{d}");
        let value = |i: usize, j: usize| if i < j { 0.0 } else { (i * d + j) as f64 + 0.5 };
        let found: Vec<f64> = moment.below().flatten().collect();
        assert_eq!(found, below.iter().map(|(i, j)| value(*i, *j)).collect::<Vec<_>>(), "{d}");
        let full: Vec<f64> = (0..d).flat_map(|j| (0..d).map(move |i| value(i, j))).collect();
        assert_eq!(moment.full(), full, "{d}");
        for j in 0..d {
            let mut column = vec![0.0; d - j];
            moment.column(j, &mut column);
            assert_eq!(column, full[j * (d + 1)..(j + 1) * d], "{d}: {j}");
        }
        assert_eq!(moment.diagonal().collect::<Vec<_>>(), (0..d).map(|j| value(j, j)).collect::<Vec<_>>());
    }
}

//! Softmax regression and its calibration against scikit-learn
//! (`tests/golden/classify/make_softmax.py`).

#[path = "support/blobs.rs"]
mod blobs;

use blobs::{Case, numbers};
use fruitcore::classify::softmax::{Softmax, SoftmaxFit};
use fruitcore::classify::{Head, Reads};
use fruitcore::pca::Rows;
use fruitcore::{ErrorKind, Result};

/// Columns of different scale, as principal components have.
fn cases() -> Vec<Case> {
    let mut cases = blobs::cases(include_str!("golden/classify/softmax.json"));
    for case in &mut cases {
        case.rows.chunks_mut(case.columns).for_each(|row| row[0] *= 30.0);
    }
    cases
}

fn fit(case: &Case, batch: usize) -> Result<Softmax> {
    let half = case.labels.len() / 2;
    let (rows, labels) = (&case.rows[..half * case.columns], &case.labels[..half]);
    let c = case.expected["C"].as_f64().expect("number");
    // For two classes scikit-learn penalises one weight vector, w₁ − w₀, instead of both.
    let vectors = if case.classes == 2 { 2.0 } else { 1.0 };
    let names = (0..case.classes).map(|c| format!("class {c}")).collect();
    let config = SoftmaxFit::new(case.columns, names)?.l2(vectors / (c * half as f64)).tolerance(1e-8);
    let (head, report) = config.fit(|visit| {
        for (rows, labels) in rows.chunks(batch * case.columns).zip(labels.chunks(batch)) {
            visit(Rows::new(rows, case.columns)?, labels)?;
        }
        Ok(())
    })?;
    assert!(report.converged && report.rows == half as u64, "{report:?}");
    Ok(head)
}

#[test]
fn probabilities_equal_scikit_learn() -> Result<()> {
    for case in cases() {
        let head = fit(&case, 64)?;
        let half = case.labels.len() / 2;
        let mut scratch = vec![0.0; case.classes];
        let mut right = 0;
        for (i, row) in case.rows[half * case.columns..].chunks(case.columns).enumerate() {
            let (class, p) = head.predict(row, &mut scratch)?;
            assert_eq!(p, scratch[class]);
            right += usize::from(class == case.labels[half + i] as usize);
            let Some(peer) = case.expected["probabilities"].get(i) else { continue };
            for (ours, peer) in scratch.iter().zip(numbers(peer)) {
                assert!((f64::from(*ours) - peer).abs() < 1e-4, "row {i}: {ours}, expected {peer}");
            }
        }
        let accuracy = right as f64 / half as f64;
        let peer = case.expected["accuracy"].as_f64().expect("number");
        assert!((accuracy - peer).abs() < 1e-9, "{accuracy}, expected {peer}");
    }
    Ok(())
}

#[test]
fn the_split_into_batches_does_not_matter() -> Result<()> {
    for case in cases() {
        let (a, b) = (fit(&case, 7)?, fit(&case, 1000)?);
        for (a, b) in a.weights().iter().zip(b.weights()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
    Ok(())
}

#[test]
fn calibration_finds_the_peers_temperature() -> Result<()> {
    for case in cases() {
        let half = case.labels.len() / 2;
        let rows = Rows::new(&case.rows[half * case.columns..], case.columns)?;
        let labels = &case.labels[half..];
        let head = Head::new("test", Reads::Components, fit(&case, 256)?)?.calibrate(rows, labels)?;
        let peer = case.expected["temperature"].as_f64().expect("number");
        let ours = f64::from(head.temperature());
        assert!((ours / peer - 1.0).abs() < 2e-3, "{ours}, expected {peer}");

        let threshold = head.threshold_losing(0.1, rows, labels)?;
        let known = head.clone().with_threshold(threshold)?;
        let (mut right, mut kept) = (0.0, 0.0);
        for (row, &label) in rows.data().chunks(case.columns).zip(labels) {
            let prediction = head.predict(row, 1)?;
            right += f64::from(prediction.class() == Some(label as usize));
            kept += f64::from(known.predict(row, 1)?.class() == Some(label as usize));
            assert_eq!(known.predict(row, 1)?.best(), prediction.best());
        }
        assert!((kept / right - 0.9).abs() < 0.02, "{kept} of {right}");
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let kind = |e: fruitcore::Error| e.kind();
    let names = || vec![String::from("a"), String::from("b")];
    assert_eq!(SoftmaxFit::new(2, vec!["a".into()]).map_err(kind).err(), Some(ErrorKind::Insufficient));
    let config = SoftmaxFit::new(2, names())?;
    let with = |rows: &[f32], labels: &[u32]| {
        config.fit(|visit| visit(Rows::new(rows, 2)?, labels)).map_err(kind).err()
    };
    assert_eq!(with(&[0.0, 1.0], &[2]), Some(ErrorKind::InvalidArgument));
    assert_eq!(with(&[0.0, 1.0], &[0, 1]), Some(ErrorKind::Shape));
    assert_eq!(with(&[0.0, f32::INFINITY], &[0]), Some(ErrorKind::NonFinite));
    assert_eq!(config.fit(|_| Ok(())).map_err(kind).err(), Some(ErrorKind::Insufficient));
    let bad = Softmax::from_parts(names(), vec![0.0; 3], vec![0.0; 2]);
    assert_eq!(bad.map_err(kind).err(), Some(ErrorKind::Shape));
    let head = Softmax::from_parts(names(), vec![0.0; 4], vec![0.0; 2])?;
    assert_eq!(head.predict(&[1.0], &mut [0.0; 2]).map_err(kind).err(), Some(ErrorKind::Shape));
    let head = Head::new("test", Reads::Features, head)?;
    assert!(head.clone().with_threshold(1.5).is_err() && head.clone().with_threshold(f32::NAN).is_err());
    assert!(head.clone().with_temperature(0.0).is_err());
    // Even odds are below 0.6: unknown.
    let unsure = head.with_threshold(0.6)?;
    assert_eq!(unsure.predict(&[1.0, 2.0], 1)?.label(), None);
    assert_eq!(unsure.predict(&[1.0], 1).map_err(kind).err(), Some(ErrorKind::Shape));
    assert_eq!(unsure.predict(&[f32::NAN, 1.0], 1).map_err(kind).err(), Some(ErrorKind::NonFinite));
    Ok(())
}

/// Separable data has no finite optimum without a penalty: the fit must still stop.
#[test]
fn separable_data_without_penalty_stops() -> Result<()> {
    let config = SoftmaxFit::new(1, vec!["low".into(), "high".into()])?.l2(0.0).max_iterations(50);
    let (head, report) = config.fit(|visit| visit(Rows::new(&[-1.0, -2.0, 1.0, 2.0], 1)?, &[0, 0, 1, 1]))?;
    assert!(report.iterations <= 50 && head.weights().iter().all(|w| w.is_finite()));
    assert_eq!(head.predict(&[1.5], &mut [0.0; 2])?.0, 1);
    Ok(())
}

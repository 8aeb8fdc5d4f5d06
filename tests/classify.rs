//! Nearest neighbours and measures of predictions against scikit-learn
//! (`tests/golden/classify/make_neighbors.py`, `make_evaluation.py`).

#[path = "support/blobs.rs"]
mod blobs;

use blobs::numbers;
use fruitcore::Result;
use fruitcore::classify::{Evaluation, Head, Metric, Neighbors, NeighborsFit, Reads, Weighting};
use fruitcore::pca::Rows;
use serde_json::Value;

#[test]
fn neighbours_equal_scikit_learn() -> Result<()> {
    for mut case in blobs::cases(include_str!("golden/classify/neighbors.json")) {
        let (d, half) = (case.columns, case.labels.len() / 2);
        let same: Vec<f32> = case.rows[3 * d..4 * d].to_vec();
        case.rows[half * d..(half + 1) * d].copy_from_slice(&same);
        let names: Vec<String> = (0..case.classes).map(|c| format!("class {c:02}")).collect();
        for fit in case.expected["fits"].as_array().expect("fits") {
            let is = |key: &str, value: &str| fit[key].as_str() == Some(value);
            let metric = if is("metric", "cosine") { Metric::Cosine } else { Metric::Euclidean };
            let weighting = if is("weights", "distance") { Weighting::Distance } else { Weighting::Uniform };
            let k = fit["k"].as_u64().expect("k") as usize;
            let (rows, labels) = (case.rows[..half * d].to_vec(), case.labels[..half].to_vec());
            let found = Neighbors::from_parts(names.clone(), rows, labels, k, metric, weighting)?;
            let farthest = numbers(&fit["farthest"]);
            let mut shares = vec![0.0; case.classes];
            for (i, expected) in fit["probabilities"].as_array().expect("rows").iter().enumerate() {
                let row = &case.rows[(half + i) * d..(half + i + 1) * d];
                let nearest = found.nearest(row)?;
                assert!(nearest.len() == k && nearest.is_sorted_by(|a, b| a.1 <= b.1));
                let last = f64::from(nearest[k - 1].1);
                assert!((last - farthest[i]).abs() < 1e-5 * farthest[i].max(1.0), "{last} {}", farthest[i]);
                found.probabilities(row, &mut shares)?;
                for (ours, peer) in shares.iter().zip(numbers(expected)) {
                    assert!((f64::from(*ours) - peer).abs() < 2e-4, "{fit:?} row {i}: {ours}, not {peer}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_stream_of_named_rows_makes_the_same_classifier() -> Result<()> {
    let case = &blobs::cases(include_str!("golden/classify/neighbors.json"))[1];
    let names: Vec<String> = case.labels.iter().map(|l| format!("class {l:02}")).collect();
    // Not in the order of the names.
    let order: Vec<usize> = (0..case.labels.len()).rev().collect();
    let mut fit = NeighborsFit::new(case.columns)?;
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for i in order {
        let row = &case.rows[i * case.columns..(i + 1) * case.columns];
        fit.partial_fit(Rows::new(row, case.columns)?, &names[i..=i])?;
        rows.extend_from_slice(row);
        labels.push(case.labels[i]);
    }
    let classes = (0..case.classes).map(|c| format!("class {c:02}")).collect();
    let expected = Neighbors::from_parts(classes, rows, labels, 4, Metric::Euclidean, Weighting::Uniform)?;
    let found = fit.finish(4, Metric::Euclidean, Weighting::Uniform)?;
    assert_eq!(found, expected);

    // A head ranks classes as the votes do, and one thread answers as several.
    let head = Head::new("near", Reads::Features, found.clone())?;
    let mut all = vec![0.0; case.labels.len() * case.classes];
    head.probabilities_of(Rows::new(&case.rows, case.columns)?, &mut all)?;
    let mut shares = vec![0.0; case.classes];
    for (row, p) in case.rows.chunks(case.columns).zip(all.chunks(case.classes)) {
        found.probabilities(row, &mut shares)?;
        let mut one = vec![0.0; case.classes];
        head.probabilities(row, &mut one)?;
        assert_eq!(one, p);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5 && p.iter().all(|p| *p > 0.0));
        for (a, b) in shares.iter().zip(p) {
            // One more neighbour, shared by all classes.
            assert!((b - (4.0 * a + 1.0 / case.classes as f32) / 5.0).abs() < 1e-5);
        }
    }
    Ok(())
}

#[test]
fn measures_equal_scikit_learn() -> Result<()> {
    let golden: Value =
        serde_json::from_str(include_str!("golden/classify/evaluation.json")).expect("golden");
    for case in golden["cases"].as_array().expect("cases") {
        let k = case["classes"].as_u64().expect("classes") as usize;
        let mut found = Evaluation::new(k)?;
        let rows = case["probabilities"].as_array().expect("rows");
        for (row, label) in rows.iter().zip(numbers(&case["labels"])) {
            let row: Vec<f32> = numbers(row).iter().map(|v| *v as f32).collect();
            found.add(label as u32, &row, true)?;
        }
        let close = |ours: f64, peer: &Value| {
            let peer = peer.as_f64().expect("number");
            assert!((ours - peer).abs() < 1e-6, "{ours}, expected {peer}");
        };
        close(found.accuracy(), &case["accuracy"]);
        close(found.balanced_accuracy(), &case["balanced_accuracy"]);
        close(found.log_loss(), &case["log_loss"]);
        close(found.calibration_error(), &case["calibration_error"]);
        for (top, peer) in case["top"].as_object().expect("top") {
            close(found.top(top.parse().expect("number")), peer);
        }
        let scores: Vec<_> = found.classes().collect();
        for (i, score) in scores.iter().enumerate() {
            close(score.recall().unwrap_or(-1.0), &case["recall"][i]);
            close(score.precision().unwrap_or(-1.0), &case["precision"][i]);
            for (j, _) in scores.iter().enumerate() {
                let n = found.confusion().get(&(i as u32, Some(j as u32))).copied().unwrap_or(0);
                assert_eq!(Some(n), case["confusion"][i][j].as_u64());
            }
        }
    }
    Ok(())
}

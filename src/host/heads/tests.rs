use super::*;
use crate::{host::sink::Content, rng::Rng};

/// `sizes[c]` rows of class `c` around points on a line, in several tables.
fn tables(sizes: &[usize], spread: f64) -> Vec<Table> {
    let mut rng = Rng::new(5);
    let mut rows = Vec::new();
    for (c, n) in sizes.iter().enumerate() {
        for i in 0..*n {
            let x = 4.0 * c as f64 + spread * (rng.unit() - 0.5);
            rows.push((format!("{c}/{i}.jpg"), format!("kind {c}"), [x as f32, rng.unit() as f32]));
        }
    }
    let of = |rows: &[(String, String, [f32; 2])]| {
        let mut table = Table::new(Content::Components, 2).unwrap();
        rows.iter().for_each(|(path, label, row)| table.push(path, Some(label), row).unwrap());
        table
    };
    rows.chunks(7).map(of).collect()
}

fn fit_on(tables: &[Table], options: &HeadOptions) -> Result<(Head, HeadReport)> {
    fit(&|take| tables.iter().try_for_each(&mut *take), options)
}

#[test]
fn every_kind_learns_and_the_way_rows_are_kept_does_not_matter() {
    let tables = tables(&[40, 40, 40], 5.0);
    for kind in [HeadKind::Centroid, HeadKind::Softmax, HeadKind::Neighbors] {
        let mut options = HeadOptions { kind, ..HeadOptions::default() };
        let (head, report) = fit_on(&tables, &options).unwrap();
        assert_eq!((report.fitted_on, report.held_back, report.classes), (102, 18, 3));
        let figures = report.validation.unwrap();
        assert!(figures.accuracy > 0.75, "{kind:?} {figures:?}");
        assert!(figures.log_loss <= report.uncalibrated.unwrap().log_loss + 1e-6);
        assert_eq!(figures.accuracy, report.uncalibrated.unwrap().accuracy);
        assert_eq!(report.l2.is_some(), kind == HeadKind::Softmax);
        assert!(head.temperature() > 0.0 && head.notes().contains_key("validation"));

        options.memory = 0;
        let (again, from_parts) = fit_on(&tables, &options).unwrap();
        assert!((from_parts.validation.unwrap().log_loss - figures.log_loss).abs() < 1e-3, "{kind:?}");
        assert_eq!(again.classes(), head.classes());

        options.half = true;
        let (half, report) = fit_on(&tables, &options).unwrap();
        assert!(half.is_half_precision() && report.bytes < head.bytes());
    }
}

#[test]
fn the_penalty_is_the_one_that_serves_the_rows_held_back() {
    let tables = tables(&[60, 60], 9.0);
    let loss = |l2: Option<f64>| {
        let (_, report) = fit_on(&tables, &HeadOptions { l2, ..HeadOptions::default() }).unwrap();
        (report.validation.unwrap().log_loss, report.l2.unwrap())
    };
    let (least, chosen) = loss(None);
    assert!(least <= loss(Some(100.0)).0);
    assert_eq!(loss(Some(chosen)), (least, chosen));
}

#[test]
fn an_automatic_threshold_keeps_most_right_answers_and_knows_strangers() {
    let tables = tables(&[80, 80], 3.0);
    let options = HeadOptions { kind: HeadKind::Centroid, threshold: Threshold::Auto, ..Default::default() };
    let (head, report) = fit_on(&tables, &options).unwrap();
    assert!(head.threshold() > 0.5 && report.threshold == head.threshold());
    assert!(report.validation.unwrap().unknown < 0.15, "{report:?}");
    assert_eq!(head.predict(&[2.0, 0.5], 1).unwrap().label(), None);
}

#[test]
fn small_and_missing_classes_are_told() {
    let options = HeadOptions::default();
    let (head, report) = fit_on(&tables(&[20, 1, 3], 1.0), &options).unwrap();
    assert_eq!(report.single, ["kind 1"]);
    assert_eq!(report.not_validated, ["kind 1", "kind 2"]);
    assert_eq!((report.held_back, head.classes().len()), (3, 3));

    // Nothing to calibrate on.
    let few = tables(&[1, 2], 1.0);
    let (head, report) = fit_on(&few, &options).unwrap();
    assert_eq!((report.validation, report.held_back, head.temperature()), (None, 0, 1.0));
    let auto = HeadOptions { threshold: Threshold::Auto, ..options.clone() };
    assert_eq!(fit_on(&few, &auto).unwrap_err().kind(), ErrorKind::Insufficient);

    let e = fit_on(&tables(&[9], 1.0), &options).unwrap_err();
    assert!(e.kind() == ErrorKind::Insufficient && e.message().contains("`kind 0`"), "{e}");
    let e = fit_on(&[], &options).unwrap_err();
    assert!(e.message().contains("no pictures"), "{e}");
    let mut unlabelled = Table::new(Content::Components, 2).unwrap();
    unlabelled.push("a.jpg", None::<&str>, &[1.0, 2.0]).unwrap();
    let e = fit_on(&[unlabelled.clone()], &options).unwrap_err();
    assert!(e.message().contains("--label"), "{e}");
    let mut mixed = tables(&[5, 5], 1.0);
    mixed.push(unlabelled);
    assert_eq!(fit_on(&mixed, &options).unwrap().1.unlabelled, 1);

    let all = HeadOptions { validation: 1.0, ..options.clone() };
    assert_eq!(fit_on(&few, &all).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let many = HeadOptions { kind: HeadKind::Neighbors, neighbors: Some(99), ..options };
    assert_eq!(fit_on(&few, &many).unwrap_err().kind(), ErrorKind::Insufficient);
}

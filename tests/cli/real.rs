//! Photographs of 131 kinds of fruit, if they are there.

use super::support::fruitcore;
use std::path::Path;

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/fruits360-131x9");

#[test]
fn every_network_ends_with_a_correct_summary() {
    if !Path::new(PICTURES).is_dir() {
        println!("{PICTURES} is absent: only rendered pictures were tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (network, tap, length, size) in [
        ("mobilenet-v2", "pooled", 1280, "96"),
        ("resnet50", "pooled", 2048, "64"),
        ("vgg16", "pooled", 512, "32"),
    ] {
        let out = dir.path().join(network).display().to_string();
        // Two of each class, so that the slow networks stay quick.
        let args = [
            "run",
            PICTURES,
            "--output",
            &out,
            "--network",
            network,
            "--tap",
            tap,
            "--input-size",
            size,
            "--weights",
            "random",
            "--include",
            "*_[0-4]*.jpg",
            "--limit",
            "200",
            "--json",
            "--quiet",
        ];
        let summary = fruitcore(&args).code(0).json();
        assert_eq!((&summary["images"], &summary["rows"]), (&200.into(), &200.into()), "{network}");
        assert_eq!(
            (&summary["rejected"], &summary["feature_length"]),
            (&0.into(), &length.into()),
            "{network}"
        );
        assert_eq!(summary["components"], 50);
        let total = summary["explained_variance_ratio_total"].as_f64().unwrap();
        assert!(total > 0.5 && total <= 1.0, "{network}: {total}");
    }
}

//! Photographs, if they are there: 131 kinds of fruit in colour, 60 in gray.

use super::support::fruitcore;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/fruits360-131x9");
const GRAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/fruits360-60-training.tar.gz");

fn is_there(data: &str) -> bool {
    let there = Path::new(data).exists();
    if !there {
        println!("{data} is absent: not tested with photographs");
    }
    there
}

/// Runs a network with random weights; the summary and the output folder.
fn run(input: &str, more: &[&str]) -> (Value, tempfile::TempDir) {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().display().to_string();
    let args = ["run", input, "-o", &folder, "--weights", "random", "--json", "--quiet", "--no-report"];
    let summary = fruitcore(&[&args[..], more].concat()).code(0).json();
    (summary, out)
}

/// Everything a summary of so many whole pictures must say.
#[track_caller]
fn check(summary: &Value, images: u64, length: u64, components: u64) {
    for (key, expected) in [
        ("images", images),
        ("rows", images),
        ("images_this_start", images),
        ("rejected", 0),
        ("skipped", 0),
        ("feature_length", length),
        ("components", components),
        ("parts", 1),
    ] {
        assert_eq!(summary[key], expected, "{key}: {summary}");
    }
    let classes = summary["classes"].as_object().unwrap();
    assert_eq!(classes.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), images);
    let ratio = summary["explained_variance_ratio"].as_array().unwrap();
    let ratio: Vec<_> = ratio.iter().map(|r| r.as_f64().unwrap()).collect();
    assert!(ratio.len() as u64 == components && ratio.windows(2).all(|w| w[0] >= w[1]), "{ratio:?}");
    let total = summary["explained_variance_ratio_total"].as_f64().unwrap();
    assert!(
        (ratio.iter().sum::<f64>() - total).abs() < 1e-9 && total > 0.5 && total <= 1.0 + 1e-9,
        "{total}"
    );
    for stage in ["decode", "preprocess", "featurize"] {
        assert!(summary["seconds"][stage].as_f64().is_some_and(|s| s > 0.0), "{stage}: {summary}");
    }
    assert!(summary["images_per_second"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        // A process of any use takes some megabytes; none of these may take the machine.
        let peak = summary["peak_memory"].as_u64().unwrap();
        assert!((20 << 20..6 << 30).contains(&peak), "{peak}");
    }
}

#[test]
fn every_network_ends_with_a_correct_summary() {
    if !is_there(PICTURES) {
        return;
    }
    let kinds: BTreeSet<_> =
        fs::read_dir(PICTURES).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    for (network, tap, length, size) in [
        ("mobilenet-v2", "pooled", 1280, "96"),
        ("resnet50", "pooled", 2048, "64"),
        ("vgg16", "pooled", 512, "32"),
    ] {
        // Some of each class, so that the slow networks stay quick.
        let options = ["--network", network, "--tap", tap, "--input-size", size];
        let few = ["--include", "*_[0-4]*.jpg", "--limit", "200"];
        let (summary, _out) = run(PICTURES, &[&options[..], &few].concat());
        check(&summary, 200, length, 50);
        let classes = summary["classes"].as_object().unwrap();
        assert!(classes.len() > 20 && classes.keys().all(|name| kinds.contains(name)), "{classes:?}");
    }
}

/// As people run them: 224 pixels, the features their papers use.
#[test]
fn large_networks_at_their_own_size() {
    if !is_there(PICTURES) {
        return;
    }
    for (network, length, tap) in [("resnet50", 2048, "pooled"), ("vgg16", 4096, "fc2")] {
        let (summary, out) = run(PICTURES, &["--network", network, "--limit", "12", "--components", "5"]);
        check(&summary, 12, length, 5);
        assert_eq!(summary["options"]["network input"], "3x224x224");
        let inspected = fruitcore(&["inspect", &out.path().display().to_string(), "--json"]).code(0).json();
        let said = inspected.to_string();
        assert!(said.contains(tap), "{said}");
    }
}

#[test]
fn gray_pictures_out_of_an_archive() {
    if !is_there(GRAY) {
        return;
    }
    // Some views of each class; the archive is read to its end.
    let options = ["--width", "0.35", "--input-size", "32", "--include", "Training/*/?0_100.jpg"];
    let (summary, out) = run(GRAY, &options);
    assert_eq!(summary["classes"].as_object().unwrap().len(), 60);
    for (key, expected) in [("images", 314), ("rows", 314), ("skipped", 28_736 - 314), ("components", 50)] {
        assert_eq!(summary[key], expected, "{key}");
    }

    // The first ones only: the rest of the archive isn't waited for.
    let (summary, _out) = run(GRAY, &["--width", "0.35", "--input-size", "32", "--limit", "60"]);
    check(&summary, 60, 1280, 50);
    assert!(out.path().join("pipeline.safetensors").is_file());
}

//! Help, version, usage errors, completions.

use super::support::fruitcore;

const COMMANDS: [&str; 17] = [
    "demo",
    "run",
    "merge",
    "transform",
    "train",
    "fit-classifier",
    "predict",
    "evaluate",
    "precision",
    "profile",
    "inspect",
    "cluster",
    "map",
    "neighbors",
    "report",
    "weights",
    "completions",
];

#[test]
fn help_names_every_command_and_exit_status() {
    let done = fruitcore(&["--help"]).code(0);
    for word in COMMANDS {
        assert!(done.out.contains(&format!("  {word}")), "{word} is not in:\n{}", done.out);
    }
    for status in ["0 ", "1 ", "2 ", "3 ", "130 "] {
        assert!(done.out.contains(&format!("\n  {status}")), "{status} is not in:\n{}", done.out);
    }
}

#[test]
fn every_command_has_help() {
    for command in COMMANDS {
        let done = fruitcore(&[command, "--help"]).code(0);
        assert!(done.out.contains("Usage: fruitcore"), "{}", done.out);
    }
}

#[test]
fn run_help_lists_what_can_be_chosen() {
    let done = fruitcore(&["run", "--help"]).code(0);
    for option in [
        "--network",
        "--variant",
        "--width",
        "--input-size",
        "--weights",
        "--tap",
        "--recipe",
        "--components",
        "--no-scale",
        "--device",
        "--format",
        "--csv-separator",
        "--no-csv-header",
        "--label",
        "--include",
        "--exclude",
        "--save-preprocessed",
        "--save-as",
        "--batch",
        "--workers",
        "--limit",
        "--part-size",
        "--shard",
        "--overwrite",
        "--strict",
        "--quiet",
        "--json",
        "mobilenet-v2",
        "resnet50",
        "vgg16",
        "torchvision",
        "keras",
        "parquet",
    ] {
        assert!(done.out.contains(option), "{option} is not in:\n{}", done.out);
    }
}

#[test]
fn version_is_the_crate_s() {
    let done = fruitcore(&["--version"]).code(0);
    assert_eq!(done.out.trim(), concat!("fruitcore ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn usage_errors_exit_with_2() {
    fruitcore::<&str>(&[]).code(2).says(&["Usage"]);
    fruitcore(&["run"]).code(2).says(&["INPUT"]);
    fruitcore(&["rum"]).code(2).says(&["rum"]);
    for (option, value, says) in [
        ("--components", "0", "write a number (50)"),
        ("--components", "1.5", "(0, 1]"),
        ("--network", "alexnet", "mobilenet-v2"),
        ("--variant", "caffe", "torchvision"),
        ("--tap", "conv1", "pooled"),
        ("--shard", "3/2", "I/N"),
        ("--csv-separator", "ab", "one character"),
        ("--csv-separator", "\"", "CSV"),
        ("--label", "segment:x", "segment"),
        ("--label", "regex:(", "regular expression"),
        ("--input-size", "big", "HEIGHTxWIDTH"),
        ("--weights", "random:x", "seed"),
        ("--batch", "0", "1..=4096"),
        ("--workers", "0", "1..=1024"),
        ("--part-size", "0", "1.."),
        ("--limit", "0", "1.."),
    ] {
        let done = fruitcore(&["run", "in", "--output", "out", option, value]).code(2);
        assert!(done.err.contains(option) && done.err.contains(says), "{option} {value}:\n{}", done.err);
    }
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = fruitcore(&["completions", shell]).code(0);
        assert!(done.out.contains("save-preprocessed"), "{shell}");
    }
}

//! `demo`: the first thing a newcomer sees.

use super::support::{files, fruitcore};

#[test]
fn demo_runs_the_whole_pipeline() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("demo").display().to_string();
    let args = ["demo", "--output", &out, "--per-kind", "6", "--json"];
    let done = fruitcore(&args).code(0).says(&["held-out", "pipeline.safetensors", "Next"]);
    let json = done.json();
    assert_eq!((&json["summary"]["images"], &json["summary"]["rejected"]), (&100.into(), &0.into()));
    assert_eq!(json["held_out"]["pictures"], 20);
    let [right, accuracy] = ["right", "accuracy"].map(|key| json["held_out"][key].as_f64().unwrap());
    // By chance 1 of 20 would be right.
    assert!((6.0..=20.0).contains(&right) && (accuracy - right / 20.0).abs() < 1e-12, "{json}");
    for name in ["pictures/Lemon", "held-out/Lemon", "out/features", "out/components"] {
        assert!(!files(&dir.path().join("demo").join(name)).is_empty(), "{name}");
    }
    let again = fruitcore(&args).code(0).json();
    assert_eq!(again["held_out"], json["held_out"]);
}

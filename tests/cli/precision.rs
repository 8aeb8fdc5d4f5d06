//! `precision`, and `--precision` where it is taken.

use super::support::{Work, assert_close, fruitcore};
use fruitcore::host::sink::Content;

#[test]
fn what_a_precision_costs_is_told() {
    let work = Work::new(3, 4);
    let pictures = work.arg("pictures");
    let done = fruitcore(&["precision", &pictures]).code(0);
    for word in
        ["12 pictures", "f32", "bf16 on", "int8 on", "feature error", "fruit: same class", "angle of 11"]
    {
        assert!(done.out.contains(word), "{word:?} is not in:\n{}", done.out);
    }
    let found = fruitcore(&["precision", &pictures, "--json", "--precisions", "int8"]).code(0).json();
    let effects = found["effects"].as_array().unwrap();
    assert_eq!((&effects[0]["precision"], &effects[1]["precision"]), (&"f32".into(), &"int8".into()));
    assert_eq!((effects.len(), &effects[0]["error"]), (2, &0.0.into()));
    let error = effects[1]["error"].as_f64().unwrap();
    assert!((1e-4..0.05).contains(&error), "{error}");
    assert!(effects[1]["agreement"]["fruit"].as_f64().unwrap() > 0.7, "{effects:?}");

    let small = ["--weights", "random", "--width", "0.35", "--input-size", "32", "--json"];
    let found = fruitcore(&[&["precision", &pictures][..], &small].concat()).code(0).json();
    assert_eq!((&found["pictures"], found["effects"].as_array().unwrap().len()), (&12.into(), 3));
    assert!(found["effects"][1]["agreement"].as_object().unwrap().is_empty());
    fruitcore(&["precision", &pictures, "--network", "vgg16"]).code(2).says(&["--weights"]);
    fruitcore(&["precision", &work.arg("nothing")]).code(1).says(&["nothing"]);
    fruitcore(&["precision", &pictures, "--precisions", "fp4"]).code(2).says(&["bf16"]);
}

#[test]
fn a_run_keeps_to_its_precision() {
    let work = Work::new(3, 6);
    let int8 = ["--components", "4", "--precision", "int8"];
    work.run("out", &int8).code(0);
    work.run("full", &["--components", "4"]).code(0);
    let (out, full) = (work.rows("out", Content::Features), work.rows("full", Content::Features));
    assert!(out.iter().zip(&full).any(|(a, b)| a.2 != b.2), "the same in 8 bits");
    assert_close(&full, &out, 0.5);

    // Started again it is a mixture unless the precision is the same.
    work.run("out", &["--components", "4"]).code(1).says(&["network"]);
    work.run("out", &int8).code(0);
    let (input, model, again) = (work.arg("pictures"), work.arg("out"), work.arg("again"));
    let shown = fruitcore(&["inspect", &work.arg("out/pipeline.safetensors")]).code(0);
    assert!(shown.out.contains("int8"), "{}", shown.out);
    // The artifact says what to compute in.
    fruitcore(&["transform", &input, "--model", &model, "--output", &again]).code(0);
    assert_close(&work.rows("out", Content::Components), &work.rows("again", Content::Components), 1e-5);
    let other = work.arg("other");
    fruitcore(&["transform", &input, "--model", &model, "--precision", "f32", "--output", &other]).code(0);
    let (a, b) = (work.rows("again", Content::Components), work.rows("other", Content::Components));
    assert!(a.iter().zip(&b).any(|(a, b)| a.2 != b.2), "the same in f32");
    fruitcore(&["predict", &input, "--precision", "int8", "--quiet"]).code(0);
    work.run("bad", &["--precision", "fp64"]).code(2).says(&["int8"]);
    let profile =
        ["profile", "--width", "0.35", "--input-size", "48", "--repeats", "2", "--precision", "int8"];
    let shown = fruitcore(&profile).code(0);
    assert!(shown.out.contains("int8 on") && shown.out.contains("gemm-int8"), "{}", shown.out);
}

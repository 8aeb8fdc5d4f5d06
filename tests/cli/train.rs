//! `train`, and what it makes in `run`.

use super::support::{Work, fruitcore};

const QUICK: [&str; 8] = ["--width", "0.35", "--input", "32", "--epochs", "1", "--batch", "8"];

#[test]
fn a_trained_model_goes_into_run() {
    let work = Work::new(2, 8);
    let (pictures, out, model) = (work.arg("pictures"), work.arg("out"), work.arg("model"));
    let set = format!("kinds={pictures}");
    let mut args = vec!["train", &set, "--output", &model, "--json"];
    args.extend(QUICK);
    let report = fruitcore(&args).code(0).says(&["epoch 1/1", "kinds", "model.safetensors"]).json();
    assert_eq!(report["heads"][0]["pictures"], 2);
    for file in ["model.safetensors", "model-int8.safetensors"] {
        let weights = format!("{model}/{file}");
        let args =
            ["run", &pictures, "--output", &out, "--weights", &weights, "--components", "2", "--overwrite"];
        // Network, width, size and preprocessing are the model's own.
        fruitcore(&args).code(0);
        let found = fruitcore(&["inspect", &out]).code(0);
        assert!(found.out.contains(r#""width":0.35,"input":[32,32]"#), "{}", found.out);
    }
    // The same again has nothing left to do; with other options it is another training.
    fruitcore(&args).code(0);
    args.extend(["--seed", "9"]);
    fruitcore(&args).code(1).says(&["--overwrite"]);
    args.push("--overwrite");
    fruitcore(&args).code(0);
}

#[test]
fn options_that_name_no_set_are_refused() {
    let work = Work::new(2, 4);
    let (pictures, model) = (work.arg("pictures"), work.arg("model"));
    let with = |more: &[&str]| {
        let mut args = vec!["train", &pictures, "--output", &model];
        args.extend(more);
        fruitcore(&args)
    };
    with(&["--repeat", "shop=2"]).code(2).says(&["shop"]);
    with(&["--repeat", "pictures"]).code(2).says(&["NAME=FACTOR"]);
    with(&["--crop-pct", "shop=0.9"]).code(2).says(&["shop"]);
    with(&["--crop-pct", "most"]).code(2).says(&["NAME=SHARE"]);
    with(&["--auxiliary", "pictures"]).code(2).says(&["auxiliary"]);
    with(&["--input", "33x40"]).code(2).says(&["square"]);
    with(&["--from", "nowhere.safetensors"]).code(1).says(&["nowhere.safetensors"]);
    assert!(!work.path("model").exists());
}

#[test]
fn run_has_a_model_of_its_own() {
    let work = Work::new(2, 4);
    let args = ["run", &work.arg("pictures"), "--output", &work.arg("out"), "--components", "2"];
    fruitcore(&args).code(0);
    let found = fruitcore(&["inspect", &work.arg("out")]).code(0);
    assert!(found.out.contains(r#""width":0.35,"input":[160,160]"#), "{}", found.out);
}

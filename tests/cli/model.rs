//! Models that training wrote, the one in the box first, in `predict`, `evaluate`, `transform` and `train`.

use super::support::{Work, files, fruitcore};
use burn::tensor::Device;
use fruitcore::host::{decode::Decoder, demo::Fruits, setup::Fitted};
use fruitcore::pipeline::Pipeline;
use std::{fs, path::Path};

/// Rendered kinds in folders called as classes of the bundled model's head.
fn named_as(head: &str, work: &Work) -> Vec<String> {
    let classes = Fitted::open("bundled").unwrap().head(Some(head)).unwrap().classes()[..3].to_vec();
    for (kind, class) in Fruits::kinds().zip(&classes) {
        fs::rename(work.path("pictures").join(kind), work.path("pictures").join(class)).unwrap();
    }
    classes
}

/// What the library makes of every picture, in the order of the listing: label, best, probability.
fn by_the_library(head: &str, folder: &Path) -> Vec<(String, String, f32)> {
    let mut pipeline = Pipeline::bundled(&Device::flex()).unwrap();
    pipeline.select_head(head).unwrap();
    let mut all = Vec::new();
    for class in files(folder) {
        for file in files(&class) {
            let (mut decoder, bytes) = (Decoder::default(), fs::read(file).unwrap());
            let answer = pipeline.classify(&decoder.decode(&bytes).unwrap()).unwrap();
            let label = class.file_name().unwrap().to_str().unwrap().to_owned();
            all.push((label, answer.best().to_owned(), answer.probability()));
        }
    }
    all
}

#[test]
fn the_bundled_model_predicts_and_is_evaluated() {
    let work = Work::new(3, 5);
    named_as("shop", &work);
    let (pictures, matrix) = (work.arg("pictures"), work.arg("confusion.csv"));
    let expected = by_the_library("shop", &work.path("pictures"));
    let done = fruitcore(&["predict", &pictures, "--head", "shop", "--json"]).code(0).says(&["15 pictures"]);
    assert_eq!(done.out.lines().count(), 15);
    for (line, (_, best, probability)) in done.out.lines().zip(&expected) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["prediction"], best.as_str());
        let found = line["top"][0]["probability"].as_f64().unwrap();
        assert!((found - f64::from(*probability)).abs() < 1e-3, "{found} {probability}");
    }
    // Without --head it is the fruit; without --model the model in the box.
    let fruit = fruitcore(&["predict", &pictures, "--quiet"]).code(0).out;
    assert_eq!(fruitcore(&["predict", &pictures, "--model", "bundled", "--quiet"]).code(0).out, fruit);
    assert_eq!(fruitcore(&["predict", &pictures, "--head", "fruit", "--quiet"]).code(0).out, fruit);

    let inspected = fruitcore(&["inspect", "bundled", "--json"]).code(0).json();
    assert_eq!((&inspected["heads"][0]["name"], &inspected["features"]), (&"fruit".into(), &1280.into()));

    let evaluate = ["evaluate", &pictures, "--model", "bundled", "--head", "shop"];
    let done = fruitcore(&[&evaluate[..], &["--confusion", &matrix]].concat()).code(0);
    for word in ["15 pictures of 3 classes (the head knows 81)", "accuracy", "top 5", "mean recall"] {
        assert!(done.out.contains(word), "{word} is not in:\n{}", done.out);
    }
    assert_eq!(fs::read_to_string(&matrix).unwrap().lines().count(), 82);
    let figures = fruitcore(&[&evaluate[..], &["--json"]].concat()).code(0).json();
    let right = expected.iter().filter(|(label, best, _)| label == best).count();
    assert_eq!(figures["accuracy"].as_f64().unwrap(), right as f64 / 15.0);

    // Components by the PCA of the pictures it was trained on.
    let placed = fruitcore(&["transform", &pictures, "--model", "bundled"]).code(0).out;
    assert_eq!(placed.lines().map(|line| line.split(',').count()).max(), Some(52));
    assert_eq!(placed.lines().count(), 16);

    // A run's features serve as well as the pictures, if they are of what the head looks at.
    let [out, middle] = ["out", "middle"].map(|name| work.arg(name));
    fruitcore(&["run", &pictures, "--output", &out, "--components", "2", "--no-report"]).code(0);
    let evaluate = ["--model", "bundled", "--head", "shop", "--json"];
    fruitcore(&[&["evaluate", &out][..], &evaluate].concat())
        .code(1)
        .says(&["recipe", "the pictures instead"]);
    let seen = Fitted::open("bundled").unwrap().seen_by(Some("shop")).unwrap();
    fs::write(work.path("middle.json"), seen.recipe().to_json()).unwrap();
    let recipe = ["--recipe", &work.arg("middle.json"), "--components", "2", "--no-report"];
    fruitcore(&[&["run", &pictures, "--output", &middle][..], &recipe].concat()).code(0);
    let found = fruitcore(&[&["evaluate", &middle][..], &evaluate].concat()).code(0).json();
    assert_eq!(found["classes"], figures["classes"]);
    // And a run's output is evaluated by its own classifier, unless another is named.
    fruitcore(&["evaluate", &out]).code(1).says(&["no classifier"]);
    fruitcore(&["fit-classifier", &out, "--quiet"]).code(0);
    assert_eq!(fruitcore(&["evaluate", &out, "--json"]).code(0).json()["head"], "default");
}

#[test]
fn what_a_model_cannot_do_is_said() {
    let work = Work::new(3, 4);
    named_as("shop", &work);
    let pictures = work.arg("pictures");
    fruitcore(&["evaluate", &pictures]).code(1).says(&[
        "`fruit`",
        "12 of other classes",
        "others are `shop`",
    ]);
    fruitcore(&["predict", &pictures, "--head", "stall"]).code(1).says(&["`stall`", "`fruit`, `shop`"]);
    let (set, model) = (format!("kinds={pictures}"), work.arg("model"));
    let small = ["train", &set, "--output", &model, "--width", "0.35", "--input-size", "32"];
    fruitcore(&[&small[..], &["--epochs", "1", "--batch", "8", "--components", "0", "-q"]].concat()).code(0);
    let model = format!("{model}/model.safetensors");
    fruitcore(&["transform", &pictures, "--model", &model]).code(1).says(&["without components", "run"]);
    fruitcore(&["predict", &pictures, "--weights", "random"]).code(1).says(&["fitted with weights sha256:"]);
    fruitcore(&["predict", &pictures, "--model", "nowhere"]).code(1).says(&["nowhere", "no such file"]);
}

#[test]
fn a_model_that_train_wrote_predicts_and_is_trained_further() {
    let work = Work::new(2, 8);
    let (set, model) = (format!("kinds={}", work.arg("pictures")), work.arg("model"));
    let quick = ["--epochs", "1", "--batch", "8", "--quiet"];
    let small = ["train", &set, "--output", &model, "--width", "0.35", "--input-size", "32"];
    fruitcore(&[&small[..], &quick].concat()).code(0);
    for file in ["model.safetensors", "model-int8.safetensors"] {
        let file = format!("{model}/{file}");
        let done = fruitcore(&["evaluate", &work.arg("pictures"), "--model", &file, "--json"]).code(0).json();
        assert_eq!((&done["head"], &done["pictures"]), (&"kinds".into(), &16.into()));
        let found = fruitcore(&["inspect", &file]).code(0).out;
        assert!(found.starts_with("a trained model") && found.contains("kinds: softmax"), "{found}");
    }
    // What it was validated on can be evaluated again, to the same figure.
    let (list, trained) = (format!("{model}/held-out-kinds.txt"), format!("{model}/model.safetensors"));
    let again = fruitcore(&["evaluate", &list, "--model", &trained, "--json"]).code(0).json();
    let report = fs::read(work.path("model/report.json")).unwrap();
    let report = serde_json::from_slice::<serde_json::Value>(&report).unwrap()["heads"][0].clone();
    assert_eq!((&again["pictures"], &again["accuracy"]), (&report["pictures"], &report["accuracy"]));

    let whole = fs::read(work.path("model/model.safetensors")).unwrap();
    fs::write(work.path("cut.safetensors"), &whole[..whole.len() - 9]).unwrap();
    let cut = work.arg("cut.safetensors");
    fruitcore(&["predict", &work.arg("pictures"), "--model", &cut]).code(1).says(&["cut.safetensors"]);

    // Network, width, input and preprocessing come with what training starts from.
    for (from, side) in [(format!("{model}/model.safetensors"), 32), ("bundled".to_owned(), 160)] {
        let further = work.arg(&format!("further-{side}"));
        let args = ["train", &set, "--output", &further, "--from", &from];
        fruitcore(&[&args[..], &quick].concat()).code(0);
        let found = fruitcore(&["inspect", &format!("{further}/model.safetensors"), "--json"]).code(0).json();
        assert_eq!((&found["network"]["width"], &found["what"]), (&0.35.into(), &"model".into()));
        assert_eq!(found["network"]["input"], serde_json::json!([side, side]));
    }
    let wrong = ["train", &set, "--output", &work.arg("wrong"), "--from", "bundled", "--width", "1"];
    fruitcore(&wrong).code(1).says(&["bundled", "features."]);
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn a_device_that_was_not_built_in_names_the_feature() {
    let work = Work::new(1, 2);
    let (pictures, out) = (work.arg("pictures"), work.arg("out"));
    for args in [
        &["run", &pictures, "--output", &out][..],
        &["predict", &pictures],
        &["train", &pictures, "--output", &out],
    ] {
        fruitcore(&[args, &["--device", "wgpu"]].concat())
            .code(2)
            .says(&["--features cli,wgpu", "--device flex"]);
    }
    assert!(!work.path("out").exists());
}

//! `fit-classifier`, `predict`, `evaluate`.

use super::support::{Done, Work, files, fruitcore};
use burn::tensor::Device;
use fruitcore::{
    classify::{Head, Reads},
    featurize::weights::RandomWeights,
    host::{demo::Fruits, sink::Content},
    pipeline::PipelineFile,
};
use std::fs;

/// Eight kinds to learn, and other pictures of them.
fn work() -> Work {
    let work = Work::new(8, 24);
    for (i, kind) in Fruits::kinds().take(8).enumerate() {
        let from = work.path("pictures").join(kind);
        let to = work.path("held").join(kind);
        fs::create_dir_all(&to).unwrap();
        assert!(i < 8 && files(&from).len() == 24);
        for file in files(&from).into_iter().skip(20) {
            fs::rename(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    work.run("out", &["--components", "24", "--part-size", "48"]).code(0);
    work
}

fn call(args: &[&str]) -> Done {
    fruitcore(args)
}

fn artifact(work: &Work, name: &str) -> Vec<u8> {
    fs::read(work.path(name)).unwrap()
}

#[test]
fn a_head_is_fitted_predicts_and_is_the_library_s_own() {
    let work = work();
    let (out, held) = (work.arg("out"), work.arg("held"));
    let before = artifact(&work, "out/pipeline.safetensors");
    call(&["predict", &held, "--model", &out]).code(1).says(&["no classifier", "fit-classifier"]);

    let done =
        call(&["fit-classifier", &out, "--json"]).code(0).says(&["accuracy", "temperature", "predict"]);
    let report = done.json();
    assert_eq!((&report["kind"], &report["classes"]), (&"softmax".into(), &8.into()));
    assert_eq!((&report["fitted_on"], &report["held_back"]), (&136.into(), &24.into()));
    for (name, args) in [
        ("means", &["--head", "centroid", "--threshold", "0.3"][..]),
        ("near", &["--head", "knn", "--half", "--by-distance", "--metric", "cosine"]),
        ("raw", &["--on", "features", "--threshold", "auto"]),
    ] {
        call(&[&["fit-classifier", &out, "--name", name, "--quiet"], args].concat()).code(0);
    }

    // Everything else in the artifact is as it was, and no other file appeared beside it.
    let after = artifact(&work, "out/pipeline.safetensors");
    let (old, new) = (PipelineFile::from_bytes(&before).unwrap(), PipelineFile::from_bytes(&after).unwrap());
    assert_eq!(old.projection(), new.projection());
    assert_eq!((old.recipe(), old.weights_id()), (new.recipe(), new.weights_id()));
    let names: Vec<&str> = new.heads().iter().map(Head::name).collect();
    assert_eq!(names, ["default", "means", "near", "raw"]);

    // The program's predictions are what the library makes of the same pictures.
    let graph = new.network().graph().unwrap();
    let pipeline = new.load_with(&RandomWeights::new(&graph, 0), &Device::flex()).unwrap();
    work.run_on("held", "again", &["--components", "4"]).code(0);
    let features = work.rows("again", Content::Features);
    for head in new.heads() {
        let args =
            ["predict", &held, "--model", &out, "--head", head.name(), "--json", "--top", "8", "--quiet"];
        let done = call(&args).code(0);
        assert_eq!((done.out.lines().count(), done.err.as_str()), (32, ""));
        let mut right = 0;
        for (line, (path, label, row)) in done.out.lines().zip(&features) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["path"], path.as_str());
            let mut components = vec![0.0; 24];
            let rows = fruitcore::pca::Rows::new(row, row.len()).unwrap();
            pipeline.projection().unwrap().transform_into(rows, &mut components).unwrap();
            let input = if head.reads() == Reads::Features { row } else { &components };
            let expected = head.predict(input, 8).unwrap();
            assert_eq!(line["prediction"].as_str(), expected.label());
            for (found, (class, p)) in line["top"].as_array().unwrap().iter().zip(expected.top()) {
                assert!((found["probability"].as_f64().unwrap() - f64::from(p)).abs() < 1e-4);
                assert!(found["class"] == class || p < 1e-4, "{found} {class} {p}");
            }
            right += usize::from(Some(expected.best()) == label.as_deref());
        }
        // By chance 4 of 32; the network is random and its pictures small.
        assert!(right >= 10, "{}: {right} of 32", head.name());

        let evaluated = call(&["evaluate", &held, "--model", &out, "--head", head.name(), "--json"]).code(0);
        let accuracy = evaluated.json()["accuracy"].as_f64().unwrap();
        assert!((accuracy - right as f64 / 32.0).abs() < 1e-9, "{accuracy}, {right} of 32");
        // The same figures from features that a run wrote.
        let again = work.arg("again");
        let from_run = call(&["evaluate", &again, "--model", &out, "--head", head.name(), "--json"]).code(0);
        assert_eq!(from_run.json()["classes"], evaluated.json()["classes"]);
    }

    // The same start of the run again keeps the heads; other components drop those that read components.
    let names = |out: &str| -> Vec<String> {
        let bytes = artifact(&work, &format!("{out}/pipeline.safetensors"));
        PipelineFile::from_bytes(&bytes).unwrap().heads().iter().map(|h| h.name().to_owned()).collect()
    };
    work.run("out", &["--components", "24", "--part-size", "48"]).code(0);
    assert_eq!(names("out").len(), 4);
    work.run("out", &["--components", "10", "--part-size", "48"]).code(0);
    assert_eq!(names("out"), ["raw"]);
}

#[test]
fn forms_of_predictions_and_what_goes_wrong() {
    let work = work();
    let (out, held, file) = (work.arg("out"), work.arg("held"), work.arg("model.safetensors"));
    let before = artifact(&work, "out/pipeline.safetensors");
    let fit = ["fit-classifier", &out, "--threshold", "1", "--output", &file, "--val", "0.2"];
    call(&fit).code(0).says(&["model.safetensors", "unknown"]);
    assert_eq!(artifact(&work, "out/pipeline.safetensors"), before);
    assert_eq!(files(&work.path("")).iter().filter(|f| f.to_string_lossy().contains(".part")).count(), 0);

    let done = call(&["predict", &held, "--model", &file, "--csv", "--top", "2"]).code(0).says(&["unknown"]);
    let mut lines = done.out.lines();
    assert_eq!(lines.next(), Some("path,prediction,class_1,probability_1,class_2,probability_2"));
    let cells: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert!(cells.len() == 6 && cells[1].is_empty() && cells[3].parse::<f32>().unwrap() < 1.0, "{cells:?}");
    let done = call(&["predict", &held, "--model", &file, "--top", "1", "--limit", "3"]).code(0);
    assert_eq!(done.out.matches("unknown; ").count(), 3);
    let matrix = work.arg("confusion.csv");
    let done = call(&["evaluate", &held, "--model", &file, "--confusion", &matrix]).code(0);
    assert!(done.out.contains("accuracy") && done.out.contains("hardest"), "{}", done.out);
    let text = fs::read_to_string(&matrix).unwrap();
    assert_eq!(text.lines().count(), 9);
    assert!(text.lines().skip(1).all(|line| line.split(',').count() == 10 && line.ends_with(",4")), "{text}");

    fs::write(work.path("held/Banana/broken.jpg"), b"no picture").unwrap();
    let done = call(&["predict", &held, "--model", &file]).code(0).says(&["Banana/broken.jpg", "1 rejected"]);
    assert_eq!(done.out.lines().count(), 32);
    call(&["predict", &held, "--model", &file, "--strict"]).code(3).says(&["Banana/broken.jpg"]);
    call(&["predict", &held, "--model", &file, "--head", "shop"]).code(1).says(&["`shop`", "`default`"]);
    call(&["predict", &held, "--model", &file, "--json", "--csv"]).code(2);
    call(&["predict", &work.arg("nothing"), "--model", &file]).code(1).says(&["nothing"]);
    fs::create_dir(work.path("broken")).unwrap();
    fs::rename(work.path("held/Banana/broken.jpg"), work.path("broken/broken.jpg")).unwrap();
    call(&["predict", &work.arg("broken"), "--model", &file]).code(1).says(&["none of 1 picture"]);
    let unlabelled = ["evaluate", &held, "--model", &file, "--label", "none"];
    call(&unlabelled).code(1).says(&["32 without a label", "--label"]);
    let half = fs::read(&file).unwrap();
    fs::write(work.path("cut.safetensors"), &half[..half.len() - 9]).unwrap();
    call(&["predict", &held, "--model", &work.arg("cut.safetensors")]).code(1).says(&["cut.safetensors"]);

    call(&["fit-classifier", &held]).code(1).says(&["holds no run"]);
    call(&["fit-classifier", &out, "--val", "1"]).code(2).says(&["0.9"]);
    call(&["fit-classifier", &out, "--threshold", "often"]).code(2).says(&["auto"]);
    call(&["fit-classifier", &out, "--head", "knn", "--neighbors", "1000"])
        .code(1)
        .says(&["1000 neighbours"]);
    work.run("other", &["--tap", "pooled", "--recipe", "simple", "--limit", "8", "--components", "3"])
        .code(0);
    call(&["evaluate", &work.arg("other"), "--model", &file]).code(1).says(&["made with recipe"]);
    call(&["fit-classifier", &work.arg("other")]).code(1).says(&["one class"]);
    let inspected = call(&["inspect", &file, "--json"]).code(0).json();
    assert_eq!(inspected["heads"][0]["threshold"], 1.0);
    assert!(call(&["inspect", &file]).code(0).out.contains("softmax over components, 8 classes"));
}

#[test]
fn small_classes_and_other_formats() {
    let work = Work::new(4, 8);
    for (kind, keep) in Fruits::kinds().zip([8, 1, 3, 8]) {
        for file in files(&work.path("pictures").join(kind)).into_iter().skip(keep) {
            fs::remove_file(file).unwrap();
        }
    }
    fs::copy(files(&work.path("pictures/Banana"))[0].clone(), work.path("pictures/loose.jpg")).unwrap();
    work.run("out", &["--components", "3", "--format", "csv", "--csv-separator", ";"]).code(0);
    let done = call(&["fit-classifier", &work.arg("out"), "--json"]).code(0);
    let done = done.says(&["1 without a label", "1 class has one picture only", "too few pictures"]);
    let report = done.json();
    assert_eq!((&report["unlabelled"], &report["held_back"]), (&1.into(), &2.into()));
    assert_eq!((report["single"].as_array().unwrap().len(), report["fitted_on"].as_u64()), (1, Some(18)));
    let done = call(&["predict", &work.arg("pictures/loose.jpg"), "--model", &work.arg("out")]).code(0);
    assert!(done.out.starts_with("loose.jpg: ") && done.out.lines().count() == 1, "{}", done.out);
}

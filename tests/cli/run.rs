//! `run`: outputs, resume, formats, labels, rejects.

use super::support::{Work, assert_close, files, fruitcore};
use fruitcore::host::sink::Content;
use std::fs;

#[test]
fn outputs_exist_and_agree() {
    let work = Work::new(4, 6);
    let done = work.run("out", &["--components", "5", "--json"]).code(0);
    let summary = done.json();
    assert_eq!(
        (&summary["images"], &summary["rows"], &summary["rejected"]),
        (&24.into(), &24.into(), &0.into())
    );
    assert_eq!((&summary["feature_length"], &summary["components"]), (&1280.into(), &5.into()));
    assert_eq!(summary["classes"].as_object().unwrap().len(), 4);
    assert_eq!(summary["classes"]["Banana"], 6);
    let ratio: Vec<f64> =
        summary["explained_variance_ratio"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!(ratio.windows(2).all(|w| w[0] >= w[1]) && ratio.len() == 5);
    let total = summary["explained_variance_ratio_total"].as_f64().unwrap();
    assert!((ratio.iter().sum::<f64>() - total).abs() < 1e-12 && total > 0.3 && total <= 1.0);
    for key in ["seconds", "images_per_second", "elapsed", "parts", "versions", "options", "device"] {
        assert!(!summary[key].is_null(), "{key} is not in {summary}");
    }
    let file: serde_json::Value =
        serde_json::from_slice(&fs::read(work.path("out/summary.json")).unwrap()).unwrap();
    assert_eq!(file, summary);

    let features = work.rows("out", Content::Features);
    let components = work.rows("out", Content::Components);
    assert_eq!((features.len(), components.len()), (24, 24));
    assert!(features.iter().all(|r| r.2.len() == 1280) && components.iter().all(|r| r.2.len() == 5));
    assert_eq!(features[0].0, "Apple Green/0000.jpg");
    assert_eq!(features[0].1.as_deref(), Some("Apple Green"));
    let names =
        |rows: &[(String, Option<String>, Vec<f32>)]| rows.iter().map(|r| r.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&features), names(&components));
    // Centred, and the first component varies most.
    let variance = |k: usize| {
        let mean = components.iter().map(|r| f64::from(r.2[k])).sum::<f64>() / 24.0;
        assert!(mean.abs() < 1e-3, "component {k} has mean {mean}");
        components.iter().map(|r| (f64::from(r.2[k]) - mean).powi(2)).sum::<f64>()
    };
    assert!(variance(0) > variance(1) && variance(1) > variance(4));
    for name in ["manifest.json", "rejects.csv", "pipeline.safetensors"] {
        assert!(work.path("out").join(name).is_file(), "{name}");
    }
    assert!(
        done.err.contains("random weights") && done.err.contains("24 · 0 rejected · 4 classes"),
        "{}",
        done.err
    );
}

#[test]
fn a_second_start_does_only_what_is_missing() {
    let work = Work::new(3, 6);
    let options = ["--part-size", "5", "--components", "3", "--json", "--quiet"];
    let first = work.run("out", &options).code(0);
    assert_eq!(first.err, "");
    assert_eq!(first.json()["parts"], 4);
    let before = work.rows("out", Content::Components);
    let again = work.run("out", &options).code(0).json();
    assert_eq!((&again["images"], &again["images_this_start"]), (&18.into(), &0.into()));
    fs::remove_file(work.path("out/features/part-00002.parquet")).unwrap();
    let again = work.run("out", &options).code(0).json();
    assert_eq!((&again["images"], &again["images_this_start"]), (&18.into(), &5.into()));
    assert_close(&before, &work.rows("out", Content::Components), 1e-6);
}

#[test]
fn another_run_in_the_output_is_refused() {
    let work = Work::new(2, 6);
    work.run("out", &["--components", "2"]).code(0);
    let other = ["--components", "2", "--recipe", "keras-tf"];
    work.run("out", &other).code(1).says(&["another run", "recipe", "--overwrite"]);
    // Deep in a long value: the message shows where the two differ.
    let (input, out) = (work.arg("pictures"), work.arg("out"));
    let wider = ["run", &input, "-o", &out, "--weights", "random", "--width", "0.5", "--input-size", "32"];
    fruitcore(&wider).code(1).says(&["\"width\":0.35", "\"width\":0.5"]);
    let mut overwrite = other.to_vec();
    overwrite.push("--overwrite");
    work.run("out", &overwrite).code(0);
    // Another number of components needs no new features.
    let more = work.run("out", &["--components", "3", "--recipe", "keras-tf", "--json"]).code(0).json();
    assert_eq!((&more["components"], &more["images_this_start"]), (&3.into(), &0.into()));
    assert_eq!(work.rows("out", Content::Components)[0].2.len(), 3);
}

#[test]
fn results_do_not_depend_on_batch_workers_or_parts() {
    let work = Work::new(3, 6);
    work.run("a", &["--components", "4", "--batch", "1", "--workers", "1"]).code(0);
    work.run("b", &["--components", "4", "--batch", "7", "--workers", "3", "--part-size", "4"]).code(0);
    assert_close(&work.rows("a", Content::Features), &work.rows("b", Content::Features), 1e-5);
    assert_close(&work.rows("a", Content::Components), &work.rows("b", Content::Components), 1e-4);
}

#[test]
fn csv_as_asked() {
    let work = Work::new(2, 6);
    work.run("out", &["--components", "2", "--format", "csv", "--csv-separator", ";"]).code(0);
    let text = fs::read_to_string(work.path("out/components/part-00000.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("label;path;pc_0;pc_1"));
    let first: Vec<_> = lines.next().unwrap().split(';').collect();
    assert_eq!(first[..2], ["Apple Green", "Apple Green/0000.jpg"]);
    assert_eq!(first.len(), 4);
    first[2].parse::<f32>().unwrap();
    assert_eq!(lines.count(), 11);
    work.run("bare", &["--components", "2", "--format", "csv", "--no-csv-header", "--csv-separator", "tab"])
        .code(0);
    let bare = fs::read_to_string(work.path("bare/components/part-00000.csv")).unwrap();
    assert_eq!(bare.lines().count(), 12);
    assert!(bare.starts_with("Apple Green\tApple Green/0000.jpg\t"));
}

#[test]
fn arrow_ipc_has_the_same_rows() {
    let work = Work::new(2, 6);
    work.run("a", &["--components", "2"]).code(0);
    work.run("b", &["--components", "2", "--format", "ipc"]).code(0);
    let inspect = |out: &str, file: &str| {
        fruitcore(&["inspect".into(), work.arg(&format!("{out}/components/{file}")), "--json".into()])
            .code(0)
            .json()
    };
    let (a, b) = (inspect("a", "part-00000.parquet"), inspect("b", "part-00000.arrow"));
    assert_eq!((&a["rows"], &a["columns"], &a["labels"]), (&b["rows"], &b["columns"], &b["labels"]));
    assert_eq!((&a["what"], &a["rows"]), (&"components".into(), &12.into()));
}

#[test]
fn labels_filters_and_limit() {
    let work = Work::new(4, 6);
    let classes = |more: &[&str]| {
        let mut options = vec!["--components", "1", "--json", "--overwrite"];
        options.extend(more);
        let summary = work.run("out", &options).code(0).json();
        let names: Vec<String> = summary["classes"].as_object().unwrap().keys().cloned().collect();
        (summary["images"].as_u64().unwrap(), names)
    };
    assert_eq!(classes(&["--limit", "7"]), (7, vec!["Apple Green".into(), "Apple Red".into()]));
    assert_eq!(classes(&["--include", "*.png"]).0, 4);
    assert_eq!(classes(&["--exclude", "Apple*/**"]), (12, vec!["Banana".into(), "Blueberry".into()]));
    assert_eq!(classes(&["--label", "none"]), (24, vec![]));
    let (_, first_words) = classes(&["--label", r"regex:^(?<label>\w+)"]);
    assert_eq!(first_words, ["Apple", "Banana", "Blueberry"]);
    fs::write(work.path("labels.csv"), "path,label\nBanana/0000.jpg,yellow\n").unwrap();
    assert_eq!(
        classes(&["--label", &format!("csv:{}", work.arg("labels.csv"))]),
        (24, vec!["yellow".into()])
    );
}

#[test]
fn preprocessed_pictures_are_saved() {
    let work = Work::new(2, 6);
    let saved = work.arg("saved");
    work.run("out", &["--components", "2", "--save-preprocessed", &saved]).code(0);
    let picture = image::open(work.path("saved/Apple Green/0001.jpg")).unwrap();
    assert_eq!((picture.width(), picture.height()), (32, 32));
    assert_eq!(files(&work.path("saved/Apple Red")).len(), 6);
    // PNG keeps each level, JPEG nearly.
    let exact = work.arg("exact");
    work.run("exact-out", &["--components", "2", "--save-preprocessed", &exact, "--save-as", "png"]).code(0);
    let exact = image::open(work.path("exact/Apple Green/0001.jpg.png")).unwrap().to_rgb8();
    let lossy = picture.to_rgb8();
    let far = exact.iter().zip(lossy.iter()).map(|(a, b)| a.abs_diff(*b));
    assert!(far.clone().any(|d| d > 0) && far.map(f64::from).sum::<f64>() / (exact.len() as f64) < 4.0);
    let inside = work.arg("pictures/saved");
    work.run("out2", &["--save-preprocessed", &inside]).code(2).says(&["inside the input"]);
    assert!(!work.path("out2").exists());
}

#[test]
fn saved_pictures_do_not_replace_each_other() {
    let work = Work::new(1, 6);
    let folder = work.path("pictures/Apple Green");
    for (from, to) in [("0000.jpg", "0001.jpg.png"), ("0002.jpg", "0001.jpg.png.jpg")] {
        fs::copy(folder.join(from), folder.join(to)).unwrap();
    }
    for (format, saved) in [("png", "as-png"), ("jpeg", "as-jpeg")] {
        let folder = work.arg(saved);
        let options = ["--components", "2", "--save-preprocessed", &folder, "--save-as", format];
        let more = [&options[..], &["--overwrite", "--no-report"]].concat();
        work.run("out", &more).code(0);
        assert_eq!(files(&work.path(saved).join("Apple Green")).len(), 8, "{format}");
    }
    let picture = |path: &str| image::open(work.path(path)).unwrap().to_rgb8();
    assert_ne!(picture("as-png/Apple Green/0000.jpg.png"), picture("as-png/Apple Green/0001.jpg.png"));
}

#[test]
fn devices_agree() {
    let work = Work::new(2, 6);
    let options = ["--components", "3"];
    work.run("flex", &options).code(0);
    let ndarray = work.run("ndarray", &[&options[..], &["--device", "ndarray"]].concat());
    if cfg!(feature = "ndarray") {
        ndarray.code(0);
        assert_close(&work.rows("flex", Content::Features), &work.rows("ndarray", Content::Features), 1e-5);
    } else {
        ndarray.code(2).says(&["ndarray", "--features cli,ndarray"]);
    }
}

#[test]
fn a_recipe_file_decides_the_input_size() {
    let work = Work::new(2, 6);
    let recipe = work.path("recipe.json");
    fs::write(
        &recipe,
        r#"{"version": 1, "name": "wide", "steps": [
            {"step": "resize", "filter": "pillow-bilinear", "to": {"exact": {"height": 32, "width": 48}}},
            {"step": "normalize", "method": "keras-tf"}]}"#,
    )
    .unwrap();
    let (input, out, recipe) = (work.arg("pictures"), work.arg("out"), recipe.display().to_string());
    let base = ["run", &input, "-o", &out, "--weights", "random", "--width", "0.35", "--components", "2"];
    let mut args = base.to_vec();
    args.extend(["--recipe", &recipe]);
    fruitcore(&args).code(0).says(&["32x48", "wide"]);
    args.extend(["--input-size", "64"]);
    fruitcore(&args).code(2).says(&["64x64", "32x48"]);
}

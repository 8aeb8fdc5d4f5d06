//! `transform` and `inspect` of an artifact.

use super::support::{Work, assert_close, fruitcore};
use fruitcore::host::sink::Content;
use std::fs;

#[test]
fn transform_gives_the_run_s_components() {
    let work = Work::new(3, 6);
    work.run("out", &["--components", "4"]).code(0);
    let (input, model, out) = (work.arg("pictures"), work.arg("out"), work.arg("again"));
    let done = fruitcore(&["transform", &input, "--model", &model, "--output", &out, "--json"]).code(0);
    assert_eq!((&done.json()["rows"], &done.json()["components"]), (&18.into(), &4.into()));
    let expected = work.rows("out", Content::Components);
    assert_close(&expected, &work.rows("again", Content::Components), 1e-5);

    // The same as CSV on standard output, from the artifact alone.
    let file = work.arg("out/pipeline.safetensors");
    let done = fruitcore(&["transform", &input, "--model", &file, "--quiet"]).code(0);
    assert_eq!(done.err, "");
    let mut lines = done.out.lines();
    assert_eq!(lines.next(), Some("label,path,pc_0,pc_1,pc_2,pc_3"));
    let rows: Vec<_> = lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let values = cells[2..].iter().map(|v| v.parse().unwrap()).collect();
            (cells[1].to_owned(), Some(cells[0].to_owned()), values)
        })
        .collect();
    assert_close(&expected, &rows, 1e-5);

    fruitcore(&["transform", &input, "--model", &model, "--output", &out]).code(1).says(&["earlier"]);
    fruitcore(&["transform", &input, "--model", &model, "--json"]).code(2).says(&["--output"]);
    fruitcore(&["transform", &input, "--model", &model, "--weights", "random:9"]).code(1).says(&["random:0"]);
    fs::write(work.path("pictures/Banana/broken.jpg"), b"no picture").unwrap();
    let done = fruitcore(&["transform", &input, "--model", &model])
        .code(0)
        .says(&["Banana/broken.jpg", "1 rejected"]);
    assert_eq!(done.out.lines().count(), 1 + 18);
    fruitcore(&["transform", &input, "--model", &model, "--strict"]).code(3).says(&["Banana/broken.jpg"]);
}

/// A picture alone is computed by all workers together.
#[test]
fn a_picture_alone_has_the_row_it_has_among_others() {
    let work = Work::new(2, 6);
    work.run("out", &["--components", "3"]).code(0);
    let all = work.rows("out", Content::Components);
    let (file, model) = (work.arg("pictures/Apple Red/0003.jpg"), work.arg("out"));
    let alone = ["1", "2", "5"].map(|workers| {
        fruitcore(&["transform", &file, "--model", &model, "--quiet", "--workers", workers]).code(0).out
    });
    assert_eq!(alone, core::array::from_fn(|_| alone[0].clone()), "the same digits by any number of threads");
    let (path, label, row) = all.iter().find(|r| r.0 == "Apple Red/0003.jpg").unwrap();
    let found = alone[0].trim_end().rsplit(',').take(3).map(|v| v.parse().unwrap()).collect::<Vec<f32>>();
    let found = found.into_iter().rev().collect();
    let [one, other] = [row.clone(), found].map(|row| [(path.clone(), label.clone(), row)]);
    assert_close(&one, &other, 1e-5);
}

#[test]
fn inspect_tells_what_each_output_is() {
    let work = Work::new(2, 6);
    work.run("out", &["--components", "3"]).code(0);
    let inspect = |name: &str| {
        let path = work.arg(name);
        let people = fruitcore(&["inspect", &path]).code(0);
        assert!(!people.out.is_empty());
        (fruitcore(&["inspect", &path, "--json"]).code(0).json(), people.out)
    };
    let (run, text) = inspect("out");
    assert_eq!((&run["what"], &run["summary"]["images"]), (&"run".into(), &12.into()));
    assert!(text.contains("12 rows") && text.contains("Apple Green"), "{text}");
    let (pipeline, text) = inspect("out/pipeline.safetensors");
    assert_eq!((&pipeline["what"], &pipeline["components"]), (&"pipeline".into(), &3.into()));
    assert_eq!(pipeline["weights"], "random:0");
    assert!(text.contains("mobilenet-v2 0.35"), "{text}");
    assert_eq!(inspect("out/features/part-00000.parquet").0["columns"], 1280);
    assert_eq!(inspect("out/components/part-00000.parquet").0["what"], "components");
    assert_eq!(inspect("out/moments/part-00000.bin").0["rows"], 12);
    assert_eq!(inspect("out/summary.json").0["images"], 12);
    for (name, content) in [("text", "hello"), ("empty", "")] {
        fs::write(work.path(name), content).unwrap();
        fruitcore(&["inspect", &work.arg(name)]).code(1).says(&[name]);
    }
    fruitcore(&["inspect", &work.arg("nothing")]).code(1).says(&["no such file"]);
    fruitcore(&["inspect", &work.arg("pictures")]).code(1).says(&["holds no run"]);
    let whole = fs::read(work.path("out/pipeline.safetensors")).unwrap();
    fs::write(work.path("cut"), &whole[..whole.len() / 2]).unwrap();
    fruitcore(&["inspect", &work.arg("cut")]).code(1).says(&["cut"]);
    fruitcore(&["transform", &work.arg("pictures"), "--model", &work.arg("cut")]).code(1).says(&["cut"]);
}

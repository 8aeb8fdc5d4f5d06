//! Clusters, maps and neighbours of the built program: data of other programs and of every awkward shape.

use super::support::{Work, fruitcore};
use std::{fs, path::Path};

/// A file as pandas writes a data frame of components: a column of row numbers, 50 numbered columns,
/// `;` between them. `row` gives the values.
fn notebook(at: &Path, rows: usize, row: impl Fn(usize, usize) -> f32) -> String {
    let mut text = String::new();
    (0..50).for_each(|j| text += &format!(";{j}"));
    for i in 0..rows {
        text += &format!("\n{i}");
        (0..50).for_each(|j| text += &format!(";{}", row(i, j)));
    }
    let file = at.join("components.csv");
    fs::write(&file, text + "\n").unwrap();
    file.display().to_string()
}

/// Four far groups with some spread.
fn groups(i: usize, j: usize) -> f32 {
    let centre = if j == i % 4 { 30.0 } else { 0.0 };
    centre + ((i * 7919 + j * 104_729) % 9973) as f32 / 9973.0
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs a command on a CSV of that text.
fn on(text: &str, args: &[&str]) -> super::support::Done {
    let folder = folder();
    let file = folder.path().join("rows.csv");
    fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    fruitcore(&[&args[..1], &[file.as_str()], &args[1..]].concat())
}

fn rows(n: usize, row: impl Fn(usize) -> String) -> String {
    (0..n).fold(String::from("path,label,pc_0,pc_1\n"), |text, i| text + &row(i) + "\n")
}

#[test]
fn the_notebooks_fifty_columns_between_semicolons() {
    let folder = folder();
    let file = notebook(folder.path(), 400, groups);
    let found = fruitcore(&["cluster", &file, "-k", "auto", "--most", "9", "--json"]).code(0).json();
    assert_eq!((&found["k"], &found["columns"], &found["rows"]), (&4.into(), &50.into(), &400.into()));
    assert_eq!(found["sizes"], serde_json::json!([100, 100, 100, 100]));
    let done = fruitcore(&["map", &file, "--steps", "300", "--format", "csv", "--json"]).code(0);
    assert!(done.json()["quality"]["trustworthiness"].as_f64().unwrap() > 0.85, "{}", done.out);
    let out = folder.path().join("components-out");
    let map = fs::read_to_string(out.join("map.csv")).unwrap();
    assert_eq!(map.lines().count(), 401);
    assert!(map.starts_with("path,label,x,y\nrow-0,,"), "{map}");
    let plane = fruitcore(&["map", &file, "--method", "pca", "--json"]).code(0).json();
    assert_eq!((&plane["method"], &plane["fitted"]), (&"pca".into(), &400.into()));
    // A decimal comma, as a spreadsheet writes it.
    let text = fs::read_to_string(&file).unwrap().replace('.', ",");
    fs::write(&file, text).unwrap();
    let again = fruitcore(&["cluster", &file, "-k", "4", "--json"]).code(0).json();
    assert_eq!((&again["sizes"], &again["values"]), (&found["sizes"], &found["values"]));
}

#[test]
fn more_clusters_than_points() {
    let five = rows(5, |i| format!("{i}.jpg,x,{i},{}", i * i));
    on(&five, &["cluster", "-k", "6"]).code(1).says(&["6 clusters", "found 5", "fewer clusters"]);
    on(&five, &["cluster", "-k", "6", "--mini-batch"]).code(1).says(&["6 clusters", "found 5"]);
    on(&five, &["cluster", "-k", "0"]).code(2).says(&["number of clusters"]);
    let found = on(&five, &["cluster", "-k", "5", "--json"]).code(0);
    assert_eq!(found.json()["sizes"], serde_json::json!([1, 1, 1, 1, 1]));
    found.says(&["no silhouette"]);
}

#[test]
fn five_points() {
    let five = rows(5, |i| format!("{i}.jpg,{},{i},{}", i % 2, i * i));
    let found = on(&five, &["cluster", "--json"]).code(0).json();
    assert!((2..=4).contains(&found["k"].as_u64().unwrap()), "{found}");
    let map = on(&five, &["map", "--json"]).code(0).says(&["perplexity 1 instead of 30", "5 rows"]);
    assert_eq!(map.json()["fitted"], 5);
    let one = rows(1, |_| String::from("a.jpg,x,1,2"));
    assert_eq!(on(&one, &["cluster", "--json"]).code(0).json()["k"], 1);
    on(&one, &["map"]).code(1).says(&["at least 4 rows", "pca"]);
}

#[test]
fn constant_components() {
    let same = rows(9, |i| format!("{i}.jpg,{},1,1", i % 3));
    let found = on(&same, &["cluster", "--json"]).code(0);
    assert_eq!((&found.json()["k"], &found.json()["inertia"]), (&1.into(), &0.0.into()));
    found.says(&["one cluster", "all the same"]);
    assert_eq!(on(&same, &["cluster", "-k", "3", "--json"]).code(0).json()["inertia"], 0.0);
    on(&same, &["map"]).code(1).says(&["rows are the same", "nothing to map"]);
    // One column that says nothing beside one that does.
    let half = rows(40, |i| format!("{i}.jpg,{},1,{}", i % 2, 10 * (i % 2) + i / 10));
    let found = on(&half, &["cluster", "-k", "2", "--json"]).code(0).json();
    assert_eq!(found["adjusted_rand"], 1.0);
}

#[test]
fn one_class_and_no_labels() {
    let one = rows(30, |i| format!("{i}.jpg,pear,{},{}", i % 2 * 9, i));
    let found = on(&one, &["cluster", "-k", "2", "--json"]).code(0).json();
    assert_eq!((&found["labelled"], &found["homogeneity"]), (&30.into(), &1.0.into()));
    let none = rows(30, |i| format!("{i}.jpg,,{},{}", i % 2 * 9, i));
    let found = on(&none, &["cluster", "-k", "2", "--json"]).code(0);
    assert_eq!(found.json()["adjusted_rand"], serde_json::Value::Null);
    found.says(&["no labels"]);
    let some = rows(30, |i| format!("{i}.jpg,{},{},{i}", if i < 10 { "fig" } else { "" }, i % 2 * 9));
    assert_eq!(on(&some, &["cluster", "-k", "2", "--json"]).code(0).json()["labelled"], 10);
}

#[test]
fn numbers_that_are_none() {
    for command in ["cluster", "map"] {
        for bad in ["NaN", "inf"] {
            let text = rows(9, |i| format!("{i}.jpg,x,{i},{}", if i == 7 { bad } else { "1" }));
            on(&text, &[command]).code(1).says(&["7.jpg", "NaN or infinite", "leave such rows out"]);
        }
        let text = rows(9, |i| format!("{i}.jpg,x,{i},{}", if i == 7 { "ripe" } else { "1" }));
        on(&text, &[command]).code(1).says(&["line 9", "ripe"]);
        on("", &[command]).code(1).says(&["no rows"]);
        fruitcore(&[command, "nowhere.csv"]).code(1).says(&["nowhere.csv"]);
    }
}

#[test]
fn many_rows_are_sampled_and_it_is_said() {
    let folder = folder();
    let file = notebook(folder.path(), 4000, groups);
    let whole = fruitcore(&["cluster", &file, "-k", "4", "--json"]).code(0);
    let whole = whole.says(&["silhouettes are measured on 3000 of 4000 rows"]);
    let batches = fruitcore(&["cluster", &file, "-k", "4", "--mini-batch", "--json"]).code(0).json();
    assert_eq!((&batches["mini_batch"], &batches["sizes"]), (&true.into(), &whole.json()["sizes"]));
    let ratio = batches["inertia"].as_f64().unwrap() / whole.json()["inertia"].as_f64().unwrap();
    assert!((0.999..1.01).contains(&ratio), "{ratio}");
    let map = fruitcore(&["map", &file, "--most", "300", "--steps", "100", "--json"]).code(0);
    let map = map.says(&["fitted on 300 of 4000 rows", "placed beside their nearest"]);
    assert_eq!((&map.json()["rows"], &map.json()["fitted"]), (&4000.into(), &300.into()));
}

#[test]
fn a_picture_s_neighbours_and_their_file() {
    let work = Work::new(2, 6);
    work.run("out", &["--components", "2"]).code(0);
    let (out, kind) = (work.arg("out"), super::support::files(&work.path("pictures")).remove(0));
    let picture = kind.join("0003.jpg").display().to_string();
    let found = fruitcore(&["neighbors", &picture, "--in", &out, "-n", "5", "--json"]).code(0).json();
    let list = found["neighbors"].as_array().unwrap();
    assert_eq!(list.len(), 5);
    assert!(list[0]["path"].as_str().unwrap().ends_with("0003.jpg"), "{found}");
    assert!(list[0]["distance"].as_f64().unwrap() < 1e-3 * list[4]["distance"].as_f64().unwrap());
    let file = fs::read(work.path("out").join("neighbors.parquet")).unwrap();
    assert!(file.starts_with(b"PAR1"));
    // More than there are: all of them.
    let all = fruitcore(&["neighbors", &picture, "--in", &out, "-n", "500", "--json"]).code(0).json();
    assert_eq!(all["neighbors"].as_array().unwrap().len(), 12);
    let graph = ["neighbors", &picture, "--in", &out, "-n", "5", "--json", "--search", "graph"];
    let by_graph = fruitcore(&graph).code(0).says(&["by a graph over 12 rows", "100.0 %"]).json();
    let paths = |found: &serde_json::Value| {
        let list = found["neighbors"].as_array().unwrap().iter();
        list.map(|n| n["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&by_graph), paths(&found));
    fruitcore(&["neighbors", "nowhere.jpg", "--in", &out]).code(1).says(&["nowhere.jpg"]);
    fruitcore(&["neighbors", &picture, "--in", "nowhere"]).code(1).says(&["nowhere"]);
}

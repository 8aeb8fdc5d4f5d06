//! `report`: the page after a demo, with predictions, from archives, and with what goes wrong.

use super::support::{Done, SMALL, Work, fruitcore};
use std::{fs, path::Path};

/// The page's data.
fn page(out: &Path) -> serde_json::Value {
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    let start = html.find("id=\"data\">").unwrap() + "id=\"data\">".len();
    let end = start + html[start..].find("</script>").unwrap();
    serde_json::from_str(&html[start..end]).unwrap()
}

/// All counts of a confusion matrix, and those on its diagonal.
fn totals(confusion: &serde_json::Value) -> (u64, u64) {
    let cells = confusion["matrix"]["cells"].as_array().unwrap();
    let sum = |all: bool| cells.iter().filter(|c| all || c[0] == c[1]).map(|c| c[2].as_u64().unwrap()).sum();
    (sum(true), sum(false))
}

fn report(args: &[&str]) -> Done {
    fruitcore(&[&["report"], args].concat())
}

#[test]
fn the_demo_s_page_has_predictions_saliency_and_figures() {
    let dir = tempfile::tempdir().unwrap();
    let demo = dir.path().join("demo");
    let done = fruitcore(&["demo", "--output", &demo.display().to_string(), "--per-kind", "12", "--json"]);
    let json = done.code(0).says(&["report:", "saliency maps"]).json();
    let (rows, held) =
        (json["summary"]["rows"].as_u64().unwrap(), json["classifier"]["held_back"].as_u64().unwrap());
    let out = demo.join("out");
    let data = page(&out);

    // The head fitted on the run classifies the run's rows, and says which of them it never saw.
    let confusions = data["classifier"]["confusions"].as_array().unwrap();
    assert_eq!(confusions.len(), 2, "{confusions:?}");
    assert_eq!((&confusions[0]["name"], totals(&confusions[0]).0), (&"Held back".into(), held));
    let (all, right) = totals(&confusions[1]);
    assert_eq!((&confusions[1]["name"], all), (&"All pictures".into(), rows));
    assert!(right > rows / 2 && right <= rows);
    let accuracy = json["classifier"]["validation"]["accuracy"].as_f64().unwrap();
    let (n, hits) = totals(&confusions[0]);
    assert!((hits as f64 / n as f64 - accuracy).abs() < 1e-9, "{hits} of {n}, the fit says {accuracy}");
    let colours: Vec<_> = data["colours"].as_array().unwrap().iter().map(|c| &c["id"]).collect();
    assert_eq!(colours, ["class", "cluster", "prediction", "part"]);

    // Saliency is a matter of speed: what there is no time for is said.
    let gazes = data["gazes"]["items"].as_array().map_or(0, Vec::len);
    let notes = data["notes"].to_string();
    assert!(gazes == 8 || notes.contains("where the network looks"), "{gazes} {notes}");
    for name in ["map-pca", "map-tsne", "scree", "classes", "clusters", "confusion"] {
        let png = fs::read(out.join(format!("figures/{name}.png"))).unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_rgb8();
        let ink = picture.pixels().filter(|p| p.0 != [255; 3]).count();
        assert!(ink > 500, "{name}: {ink}");
        assert!(fs::read_to_string(out.join(format!("figures/{name}.svg"))).unwrap().ends_with("</svg>"));
    }

    // The same head over the same pictures through the network, read from a file.
    let (pictures, out) = (demo.join("pictures").display().to_string(), out.display().to_string());
    let csv = fruitcore(&["predict", &pictures, "--model", &out, "--csv", "--quiet"]).code(0).out;
    let file = dir.path().join("predictions.csv");
    fs::write(&file, &csv).unwrap();
    let file = file.display().to_string();
    let lean = ["--no-map", "--thumbnails", "20", "--gazes", "0", "--quiet"];
    report(&[&[out.as_str(), "--predictions", &file], &lean[..]].concat()).code(0);
    let data = page(Path::new(&out));
    assert_eq!(totals(&data["classifier"]["confusions"][0]), (rows, right));
    assert_eq!(data["gazes"], serde_json::Value::Null);

    // Half of the pictures, one named for its saliency.
    let half: String = csv.lines().take(1 + rows as usize / 2).map(|l| format!("{l}\n")).collect();
    fs::write(&file, half).unwrap();
    let one = csv.lines().nth(3).unwrap().split(',').next().unwrap();
    let args = [out.as_str(), "--predictions", &file, "--gaze", one, "--no-map", "--thumbnails", "20"];
    report(&args).code(0).says(&["predictions for 100 of 200 rows", "1 saliency map)"]);

    // What makes no sense.
    fs::write(&file, "path,prediction\nelsewhere.jpg,Lemon\n").unwrap();
    report(&[&out, "--predictions", &file]).code(1).says(&[
        "predictions.csv",
        "elsewhere.jpg",
        "input of the run",
    ]);
    fs::write(&file, "name,guess\na,b\n").unwrap();
    report(&[&out, "--predictions", &file]).code(1).says(&["no column `path`", "predict --csv"]);
    report(&[&out, "--predictions", "nowhere.csv"]).code(1).says(&["nowhere.csv"]);
    report(&[&out, "--head", "nobody"]).code(1).says(&["nobody", "default"]);
    report(&[&out, "--gaze-seconds", "soon"]).code(2).says(&["seconds"]);
}

#[test]
fn without_a_head_nothing_is_predicted_and_without_time_nothing_is_waited_for() {
    let work = Work::new(2, 6);
    work.run("out", &["--components", "3"]).code(0);
    let out = work.arg("out");
    let data = page(&work.path("out"));
    assert_eq!(data["classifier"], serde_json::Value::Null);
    assert!(!work.path("out/figures/confusion.svg").exists());
    let done =
        report(&[&out, "--no-map", "--patience", "0", "--gaze-seconds", "0", "--gaze", "no.jpg"]).code(0);
    done.says(&["took too long", "no row is of the picture \"no.jpg\""]);
    report(&[&out, "--no-map", "--gaze-seconds", "0"])
        .code(0)
        .says(&["for 0 of", "--gaze-seconds gives more"]);
    fs::remove_dir_all(work.path("pictures")).unwrap();
    report(&[&out, "--no-map"]).code(0).says(&["no pictures", "--pictures names another place"]);
}

#[test]
fn pictures_come_out_of_archives() {
    let work = Work::new(3, 6);
    for (name, packed) in [("fruit.tar", false), ("fruit.tar.gz", true)] {
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_dir_all("set", work.path("pictures")).unwrap();
        let mut bytes = archive.into_inner().unwrap();
        if packed {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gzip, &bytes).unwrap();
            bytes = gzip.finish().unwrap();
        }
        fs::write(work.path(name), bytes).unwrap();
        let (input, out) = (work.arg(name), work.arg(&format!("{name}-out")));
        let mut args = vec!["run", &input, "--output", &out, "--components", "3"];
        args.extend(SMALL);
        fruitcore(&args).code(0).says(&["18 thumbnails", "saliency maps"]);
        assert_eq!(page(Path::new(&out))["gallery"]["items"].as_array().unwrap().len(), 9);
    }
}

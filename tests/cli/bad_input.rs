//! What users get wrong: each a defined behaviour and a message that tells what to do next.

use super::support::{Done, SMALL, Work, files, fruitcore};
use fruitcore::host::sink::Content;
use std::{fs, process::Command};

#[test]
fn another_network_without_weights_names_the_choices() {
    let work = Work::new(1, 6);
    let done =
        fruitcore(&["run", &work.arg("pictures"), "--output", &work.arg("out"), "--network", "resnet50"])
            .code(2);
    done.says(&["--weights", "imagenet", "FILE", "random", "weights list"]);
    assert!(!work.path("out").exists());
}

#[test]
fn an_input_that_is_not_there_or_empty() {
    let work = Work::new(1, 6);
    work.run_on("nowhere", "out", &[]).code(1).says(&["nowhere"]);
    fs::create_dir(work.path("empty")).unwrap();
    work.run_on("empty", "out", &[]).code(1).says(&["empty", "no pictures"]);
    work.run("out", &["--include", "*.gif"]).code(1).says(&["no pictures"]);
}

#[test]
fn a_url_of_an_unknown_kind() {
    let work = Work::new(1, 6);
    let out = work.arg("out");
    let mut args = vec!["run", "ftp://host/pictures", "--output", &out];
    args.extend(SMALL);
    let done = fruitcore(&args);
    assert!(done.code == 1 || done.code == 2, "{}", done.err);
    done.says(&["ftp://host/pictures"]);
}

#[cfg(unix)]
#[test]
fn names_with_anything_in_them() {
    use std::os::unix::ffi::OsStrExt;
    let work = Work::new(1, 6);
    let folder = work.path("pictures/Apple Green");
    let picture = fs::read(folder.join("0000.jpg")).unwrap();
    for name in
        [&b"a \"quoted\", name.jpg"[..], b"line\nbreak.jpg", b"not utf-8 \xe4.jpg", b"caf\xc3\xa9.jpg"]
    {
        fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), &picture).unwrap();
    }
    let summary = work.run("out", &["--components", "2", "--json"]).code(0).json();
    assert_eq!((&summary["images"], &summary["rejected"]), (&10.into(), &0.into()));
    let paths: Vec<_> = work.rows("out", Content::Features).into_iter().map(|r| r.0).collect();
    for path in ["a \"quoted\", name.jpg", "line\nbreak.jpg", "not utf-8 \\xe4.jpg", "café.jpg"] {
        assert!(paths.contains(&format!("Apple Green/{path}")), "{path:?} is not in {paths:?}");
    }
    work.run("csv", &["--components", "2", "--format", "csv"]).code(0);
    let file = fs::read(work.path("csv/features/part-00000.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(&file[..]);
    let from_csv: Vec<_> = reader.records().map(|r| r.unwrap()[1].to_owned()).collect();
    assert_eq!(from_csv, paths);
}

#[test]
fn pictures_that_cannot_be_used_are_counted_named_and_explained() {
    let work = Work::new(2, 6);
    let at = |name: &str| work.path("pictures/Apple Red").join(name);
    let whole = fs::read(at("0000.jpg")).unwrap();
    fs::write(at("empty.jpg"), b"").unwrap();
    fs::write(at("cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("text.jpg"), b"this is no picture").unwrap();
    // The header of a PNG of 60,000 x 60,000 pixels.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend(60_000u32.to_be_bytes());
    bomb.extend(60_000u32.to_be_bytes());
    bomb.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
    fs::write(at("bomb.png"), bomb).unwrap();
    let done = work.run("out", &["--components", "2", "--json"]).code(0);
    let summary = done.json();
    assert_eq!(
        (&summary["images"], &summary["rows"], &summary["rejected"]),
        (&16.into(), &12.into(), &4.into())
    );
    assert_eq!(summary["rejected_by_stage"]["decode"], 4);
    let rejects = fs::read(work.path("out/rejects.csv")).unwrap();
    let rejects: Vec<_> = csv::Reader::from_reader(&rejects[..]).into_records().map(Result::unwrap).collect();
    let names: Vec<_> = rejects.iter().map(|r| r[0].rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["bomb.png", "cut.jpg", "empty.jpg", "text.jpg"]);
    assert!(rejects.iter().all(|r| &r[1] == "decode" && !r[2].is_empty()));
    done.says(&["4 rejected", "cut.jpg", "rejected: 4 in decode"]);
    work.run("strict", &["--strict"]).code(3).says(&["error: decode: Apple Red/", "--strict"]);
}

#[test]
fn nothing_usable_is_a_failure() {
    let work = Work::new(1, 6);
    fs::create_dir(work.path("bad")).unwrap();
    fs::write(work.path("bad/a.jpg"), b"x").unwrap();
    work.run_on("bad", "out", &[]).code(1).says(&["none of 1 pictures", "rejects.csv"]);
    assert!(work.path("out/rejects.csv").is_file());
}

#[test]
fn one_picture_is_too_few_for_components() {
    let work = Work::new(1, 6);
    work.run("out", &["--limit", "1"]).code(1).says(&["error: pca:"]);
    assert!(work.path("out/features/part-00000.parquet").is_file());
}

#[test]
fn more_components_than_pictures_are_refused_and_nothing_is_lost() {
    let work = Work::new(1, 6);
    // As scikit-learn: at most min(pictures, features).
    work.run("out", &["--components", "50"]).code(1).says(&["error: pca:", "50 components", "6"]);
    let again = work.run("out", &["--components", "6", "--json"]).code(0).json();
    assert_eq!((&again["components"], &again["images_this_start"]), (&6.into(), &0.into()));
}

#[test]
fn an_output_that_is_a_file() {
    let work = Work::new(1, 6);
    fs::write(work.path("file"), b"x").unwrap();
    work.run("file", &["--components", "2"]).code(1).says(&["file"]);
}

#[test]
fn an_output_inside_the_input_is_none_of_its_pictures() {
    let work = Work::new(2, 6);
    let run = |out: &str| work.run_on("pictures", out, &["--components", "2", "--json"]);
    assert_eq!(run("pictures/out").code(0).json()["images"], 12);
    assert!(work.path("pictures/out/figures/scree.png").is_file(), "a picture that a listing could find");
    let again = run("pictures/out").code(0).json();
    assert_eq!((&again["images"], &again["images_this_start"]), (&12.into(), &0.into()));
    assert_eq!(run("pictures/deep/er").code(0).json()["images"], 12, "nor are those of an earlier run");
    for same in ["pictures", "pictures/../pictures/"] {
        run(same).code(2).says(&["the output is the input", "choose a folder in it, or another"]);
    }
    assert!(!work.path("pictures/manifest.json").exists());
}

#[test]
fn a_list_with_a_line_twice() {
    let work = Work::new(1, 6);
    let line = |n: u32| format!("Apple Green/000{n}.jpg\n");
    let text = [line(0), line(1), line(2), line(1)].concat();
    fs::write(work.path("pictures/list.txt"), text).unwrap();
    let done = work.run_on("pictures/list.txt", "out", &["--components", "2", "--json"]).code(0);
    assert_eq!((&done.json()["rows"], &done.json()["rejected"]), (&3.into(), &1.into()));
    done.says(&["Apple Green/0001.jpg", "appears twice in the list"]);
}

#[test]
fn a_class_with_one_picture_is_one_of_the_others() {
    let work = Work::new(2, 6);
    for file in &files(&work.path("pictures/Apple Red"))[1..] {
        fs::remove_file(file).unwrap();
    }
    let summary = work.run("out", &["--components", "2", "--json"]).code(0).json();
    assert_eq!((&summary["rows"], &summary["classes"]["Apple Red"]), (&7.into(), &1.into()));
}

#[test]
fn files_that_are_no_pictures_are_counted() {
    let work = Work::new(2, 6);
    fs::create_dir(work.path("others")).unwrap();
    for name in ["x.heic", "no ending", "notes.txt"] {
        fs::write(work.path("pictures/Apple Red").join(name), "x").unwrap();
        fs::write(work.path("others").join(name), "x").unwrap();
    }
    let done = work.run("out", &["--components", "2", "--json"]).code(0);
    let summary = done.json();
    assert_eq!(
        (&summary["images"], &summary["skipped"], &summary["rejected"]),
        (&12.into(), &3.into(), &0.into())
    );
    let file = fs::read(work.path("out/summary.json")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&file).unwrap()["skipped"], 3);
    done.says(&["skipped", "3 files that are no pictures by name"]);
    // A second start and one without a bar, which lists once, count the same.
    assert_eq!(work.run("out", &["--components", "2", "--json", "--quiet"]).code(0).json()["skipped"], 3);
    work.run_on("others", "none", &[]).code(1).says(&["others", "no pictures", "3 other files"]);
}

#[cfg(unix)]
fn permit(path: impl AsRef<std::path::Path>, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// `run` as somebody who owns none of the files and may not override that.
#[cfg(unix)]
fn run_as_a_stranger(work: &Work, input: &str, output: &str) -> Done {
    use std::os::unix::process::CommandExt;
    let (input, output) = (work.arg(input), work.arg(output));
    let mut args = vec!["run", &*input, "--output", &*output, "--components", "2", "--json"];
    args.extend(SMALL);
    let closed = work.path("closed");
    if !closed.exists() {
        fs::create_dir(&closed).unwrap();
        permit(&closed, 0o000);
    }
    if fs::read_dir(&closed).is_err() {
        // Who is refused is stranger enough.
        return fruitcore(&args);
    }
    // Where the program lies others may not look.
    let program = work.path("program");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_fruitcore"), &program).unwrap();
        permit(&program, 0o755);
        permit(work.path("."), 0o755);
    }
    let mut command = std::process::Command::new(program);
    Done::of(command.args(args).uid(65534).gid(65534).env_remove("RUST_BACKTRACE").output().unwrap())
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_named() {
    let work = Work::new(2, 6);
    permit(work.path("pictures/Apple Green"), 0o000);
    permit(work.path("pictures/Apple Red/0003.jpg"), 0o000);
    for out in ["out", "out2"] {
        fs::create_dir(work.path(out)).unwrap();
        permit(work.path(out), 0o777);
    }
    let done = run_as_a_stranger(&work, "pictures", "out").code(0);
    let summary = done.json();
    assert_eq!(
        (&summary["images"], &summary["rows"], &summary["rejected_by_stage"]["source"]),
        (&6.into(), &5.into(), &2.into())
    );
    let rejects = fs::read_to_string(work.path("out/rejects.csv")).unwrap();
    for path in ["Apple Green,source,", "Apple Red/0003.jpg,source,"] {
        let line = rejects.lines().find(|line| line.starts_with(path)).unwrap_or_else(|| panic!("{rejects}"));
        assert!(line.contains("may not be read by this user; change its permissions"), "{line}");
    }
    done.says(&["2 rejected", "Apple Green", "0003.jpg"]);
    let closed = run_as_a_stranger(&work, "pictures/Apple Green", "out2").code(1);
    closed.says(&["error: source:", "Apple Green", "may not be read by this user"]);
    permit(work.path("pictures/Apple Green"), 0o700);
}

#[cfg(unix)]
#[test]
fn an_output_that_may_not_be_written() {
    let work = Work::new(1, 6);
    fs::create_dir(work.path("out")).unwrap();
    permit(work.path("out"), 0o555);
    for output in ["out", "out/deeper"] {
        let done = run_as_a_stranger(&work, "pictures", output).code(1);
        done.says(&["error: sink:", &work.arg(output), "choose a folder you can write"]);
    }
    assert_eq!(fs::read_dir(work.path("out")).unwrap().count(), 0);
}

#[test]
fn networks_that_do_not_exist() {
    let work = Work::new(1, 6);
    let (input, out) = (work.arg("pictures"), work.arg("out"));
    let base = ["run", &input, "-o", &out, "--weights", "random"];
    let with = |more: &[&str]| fruitcore(&[&base[..], more].concat());
    with(&["--tap", "fc1"]).code(2).says(&["fc1", "pooled"]);
    with(&["--network", "resnet50", "--width", "0.5"]).code(2).says(&["width"]);
    with(&["--width", "9"]).code(2).says(&["0.35"]);
    with(&["--input-size", "16"]).code(2).says(&["32"]);
    with(&["--input-size", "64x96"]).code(2).says(&["square"]);
    with(&["--recipe", "sepia"]).code(2).says(&["sepia", "torchvision-v1", "nor a file"]);
    fs::write(work.path("r.json"), "{}").unwrap();
    let recipe = work.arg("r.json");
    let done = with(&["--recipe", &recipe]);
    assert!(done.code == 1 || done.code == 2);
    done.says(&["r.json", "recipe"]);
    if !cfg!(feature = "wgpu") {
        with(&["--device", "wgpu"]).code(2).says(&["--features cli,wgpu", "flex"]);
    }
}

#[test]
fn checkpoints_that_are_none() {
    let work = Work::new(1, 6);
    let (input, out) = (work.arg("pictures"), work.arg("out"));
    let with = |weights: &str| fruitcore(&["run", &input, "-o", &out, "--weights", weights]);
    with("nowhere.pth").code(1).says(&["nowhere.pth", "no such file"]);
    fs::write(work.path("text.pth"), "hello").unwrap();
    with(&work.arg("text.pth")).code(1).says(&["text.pth", "not a checkpoint"]);
    with("resnet51").code(1).says(&["resnet51", "resnet50"]);
    assert!(!work.path("out").exists());
}

#[test]
fn sizes_that_are_odd() {
    let work = Work::new(0, 1);
    for (width, height) in [(1, 1), (1, 500), (999, 1), (3, 7), (101, 333), (2000, 3)] {
        let pixel = |x: u32, y: u32| image::Rgb([x as u8, y as u8, (x * y) as u8]);
        let picture = image::RgbImage::from_fn(width, height, pixel);
        picture.save(work.path(&format!("pictures/{width}x{height}.png"))).unwrap();
    }
    let (input, out) = (work.arg("pictures"), work.arg("out"));
    let run = |size| {
        let network = ["--weights", "random", "--width", "0.35", "--input-size", size];
        let rest = ["--components", "2", "--overwrite", "--no-report", "--json"];
        fruitcore(&[&["run", &input, "--output", &out][..], &network, &rest].concat())
    };
    for size in ["32", "33", "47"] {
        let summary = run(size).code(0).json();
        assert_eq!((&summary["images"], &summary["rejected"]), (&6.into(), &0.into()), "{size}");
        assert!(work.rows("out", Content::Features).iter().flat_map(|row| &row.2).all(|x| x.is_finite()));
    }
    run("31").code(2).says(&["31x31", "32 to 4096"]);
    run("4097").code(2).says(&["4097x4097", "32 to 4096"]);
    run("33x47").code(2).says(&["33x47", "write a recipe"]);
}

/// Pictures that together are 1.2 GB of floats, in an address space of less.
#[cfg(target_os = "linux")]
#[test]
fn a_batch_larger_than_memory() {
    let work = Work::new(1, 6);
    let size = ["--weights", "random", "--width", "0.35", "--input-size", "448"];
    let (input, out) = (work.arg("pictures"), work.arg("out"));
    let run = ["run", &input, "--output", &out, "--components", "2", "--no-report", "--quiet"];
    fruitcore(&[&run[..], &size].concat()).code(0);
    let folder = work.path("pictures/Apple Green");
    for i in 6..500 {
        fs::copy(folder.join("0000.jpg"), folder.join(format!("{i:04}.jpg"))).unwrap();
    }
    // Half of it is address space that the product with the components reserves for each of rayon's threads.
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"ulimit -v 1100000; exec "$0" "$@""#, env!("CARGO_BIN_EXE_fruitcore")]);
    limited.args(["transform", &input, "--model", &out, "--batch", "4096", "--workers", "1", "--quiet"]);
    let done =
        Done::of(limited.envs([("MALLOC_ARENA_MAX", "1"), ("RAYON_NUM_THREADS", "1")]).output().unwrap());
    assert_eq!(done.code(0).out.lines().count(), 1 + 500);
}

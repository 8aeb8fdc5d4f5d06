//! Failures, changed inputs and configurations, shards: what a second start does.
#![cfg(feature = "host")]

mod run_support;

use fruitcore::{
    ErrorKind,
    host::{
        driver::Control,
        run::{LocalStore, Manifest, MergeOptions, Run, Shard, merge},
        sink::{Content, Format},
    },
    pca::{CovariancePca, IncrementalPca, Keep},
};
use run_support::*;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

fn whole(source: &Made) -> (tempfile::TempDir, BTreeMap<String, Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), source, options()).unwrap();
    let files = snapshot(folder.path());
    (folder, files)
}

fn temporaries(folder: &Path) -> usize {
    let tmp = folder.join(".fruitcore/tmp");
    let owners = std::fs::read_dir(tmp).into_iter().flatten();
    owners.map(|o| std::fs::read_dir(o.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn a_failed_write_anywhere_then_resume_is_one_run() {
    let mut source = Made::new(230);
    source.damaged = 31;
    let (_folder, expected) = whole(&source);
    let mut points = 0;
    for after in [false, true] {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(Failing::new(folder.path(), at, after));
            let first = run_store(store.clone(), &source, options());
            if store.left.load(std::sync::atomic::Ordering::SeqCst) >= 0 {
                first.unwrap();
                break;
            }
            points += 1;
            let error = first.expect_err("the failure is reported");
            assert!(error.to_string().contains("made up"), "{error}");
            assert_eq!(temporaries(folder.path()), 0);
            let finished = Manifest::read(&LocalStore::new(folder.path()), "manifest.json").unwrap();
            let finished: u64 = finished.iter().flat_map(|m| &m.parts).map(|p| p.objects).sum();
            let summary = run_in(folder.path(), &source, options()).unwrap();
            assert_eq!(snapshot(folder.path()), expected, "write {at}, after {after}");
            assert_eq!(summary.images_this_start, 230 - finished, "only what was missing");
            assert_eq!((summary.images, summary.rejected), (230, 7));
        }
    }
    // Manifest, 5 × (features, moments, manifest), rejects, 5 × (components, manifest), …
    assert!(points > 50, "{points} write points");
}

#[test]
fn a_finished_run_started_again_does_nothing_and_says_the_same() {
    let source = Made::new(120);
    let folder = tempfile::tempdir().unwrap();
    let first = run_in(folder.path(), &source, options()).unwrap();
    let files = snapshot(folder.path());
    let second = run_in(folder.path(), &source, options()).unwrap();
    assert_eq!(second.images_this_start, 0);
    assert_eq!((&first.classes, first.rows), (&second.classes, second.rows));
    assert_eq!(first.explained_variance_ratio, second.explained_variance_ratio);
    assert_eq!(files, snapshot(folder.path()));
    // Other components of the same features: no picture is computed again.
    let mut more = options();
    more.keep = Some(Keep::Count(9));
    more.scale = false;
    let third = run_in(folder.path(), &source, more).unwrap();
    assert_eq!((third.images_this_start, third.components), (0, 9));
    assert_eq!(read(folder.path(), Content::Components, &Format::Parquet).columns(), 9);
}

#[test]
fn a_lost_or_damaged_file() {
    let source = Made::new(120);
    let (folder, expected) = whole(&source);
    std::fs::remove_file(folder.path().join("features/part-00001.parquet")).unwrap();
    std::fs::write(folder.path().join("components/part-00000.parquet"), b"short").unwrap();
    let again = run_in(folder.path(), &source, options()).unwrap();
    assert_eq!(again.images_this_start, 50);
    assert_eq!(snapshot(folder.path()), expected);
    // Same size, other content: found when it is read.
    let path = folder.path().join("moments/part-00000.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = run_in(folder.path(), &source, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Checksum);
    assert!(error.object().unwrap().ends_with("moments/part-00000.bin"), "{error}");
}

#[test]
fn another_run_in_the_output_is_refused_with_the_difference() {
    let source = Made::new(120);
    let (folder, expected) = whole(&source);
    let mut other = options();
    other.config.insert("network".into(), "resnet50".into());
    let mut smaller = options();
    smaller.part_size = Some(40);
    for (options, words) in [
        (other, "network is nothing there and resnet50 here"),
        (smaller, "part size is 50 there and 40 here"),
    ] {
        let error = run_in(folder.path(), &source, options.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(error.to_string().contains(words) && error.to_string().contains("--overwrite"), "{error}");
        assert_eq!(snapshot(folder.path()), expected, "nothing was touched");
        let mut overwrite = options;
        overwrite.overwrite = true;
        let folder = tempfile::tempdir().unwrap();
        run_in(folder.path(), &source, run_support::options()).unwrap();
        std::fs::write(folder.path().join("features/mine.txt"), b"mine").unwrap();
        run_in(folder.path(), &source, overwrite).unwrap();
        assert!(folder.path().join("features/mine.txt").exists(), "other files stay");
    }
}

#[test]
fn changed_input_is_refused() {
    let source = Made::new(120);
    let (folder, _) = whole(&source);
    let mut newer = source.clone();
    newer.version = "2";
    let (longer, shorter) = (Made::new(130), Made::new(100));
    for (changed, words) in
        [(newer, "other sizes or times"), (longer, "now 30 from"), (shorter, "shrunk to 100")]
    {
        let error = run_in(folder.path(), &changed, options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn foreign_output_is_refused_and_unrelated_files_are_left_alone() {
    let source = Made::new(60);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"mine").unwrap();
    run_in(folder.path(), &source, options()).unwrap();
    let foreign = tempfile::tempdir().unwrap();
    std::fs::create_dir(foreign.path().join("features")).unwrap();
    let error = run_in(foreign.path(), &source, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let broken = tempfile::tempdir().unwrap();
    std::fs::write(broken.path().join("manifest.json"), b"{\"format\": 1}").unwrap();
    assert_eq!(run_in(broken.path(), &source, options()).unwrap_err().kind(), ErrorKind::Corrupt);
    std::fs::write(broken.path().join("manifest.json"), b"{\"format\": 99}").unwrap();
    assert_eq!(run_in(broken.path(), &source, options()).unwrap_err().kind(), ErrorKind::Unsupported);
    let file = broken.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(run_in(&file.join("out"), &source, options()).is_err(), "a file in the way");
}

#[test]
fn two_writers_are_refused() {
    let mut source = Made::new(60);
    source.delay = Duration::from_millis(20);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_path_buf();
    let slow = source.clone();
    let first = std::thread::spawn(move || run_in(&path, &slow, options()));
    while !folder.path().join("manifest.json").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let error = run_in(folder.path(), &source, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    first.join().unwrap().unwrap();
}

#[test]
fn cancelled_runs_finish_open_parts_and_go_on() {
    let mut source = Made::new(400);
    source.delay = Duration::from_millis(2);
    let (_whole, expected) = whole(&source);
    let folder = tempfile::tempdir().unwrap();
    let control = Control::default();
    let handle = control.clone();
    let watcher = std::thread::spawn(move || {
        while handle.progress().parts == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        handle.cancel();
    });
    let store = Arc::new(LocalStore::new(folder.path()));
    let run = Run::new(Arc::new(source.clone()), stages(&source), store);
    let error = run.options(options()).start(&control).unwrap_err();
    watcher.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(error.to_string().contains("start the same command again"), "{error}");
    let manifest = Manifest::read(&LocalStore::new(folder.path()), "manifest.json").unwrap().unwrap();
    assert!(!manifest.parts.is_empty() && manifest.parts.len() < 8);
    run_in(folder.path(), &source, options()).unwrap();
    assert_eq!(snapshot(folder.path()), expected);
}

#[test]
fn shards_merged_are_one_run() {
    let mut source = Made::new(430);
    source.damaged = 37;
    let (one, expected) = whole(&source);
    let shard = |i, n| {
        let mut options = options();
        options.shard = Shard { index: i, count: n };
        options
    };
    // One output each, and one for all.
    for shared in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let place =
            |i: u32| if shared { folder.path().join("all") } else { folder.path().join(i.to_string()) };
        let name = |p: &Path| p.to_str().unwrap().to_string();
        let inputs: Vec<_> =
            if shared { vec![name(&place(0))] } else { (0..3).map(|i| name(&place(i))).collect() };
        let output = if shared { place(0) } else { folder.path().join("merged") };
        for i in [2, 0] {
            run_in(&place(i), &source, shard(i, 3)).unwrap();
        }
        let merge = || merge(&inputs, &name(&output), &MergeOptions::default(), &Control::default());
        let error = merge().unwrap_err();
        let missing = if shared { ErrorKind::Insufficient } else { ErrorKind::NotFound };
        assert_eq!(error.kind(), missing, "{error}");
        assert!(!shared || error.to_string().contains("2/3"), "{error}");
        let summary = run_in(&place(1), &source, shard(1, 3)).unwrap();
        assert_eq!((summary.parts, summary.images, summary.components), (3, 150, 0));
        let error = run_in(&place(1), &source, shard(1, 2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");

        for _ in 0..2 {
            let summary = merge().unwrap();
            assert_eq!((summary.images, summary.rejected, summary.parts), (430, 11, 9));
            let [a, b] = [one.path(), &output].map(|p| read(p, Content::Components, &Format::Parquet));
            assert_eq!(a.paths(), b.paths());
            let worst = a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-6, "{worst}");
            assert_eq!(snapshot(&output)["rejects.csv"], expected["rejects.csv"]);
        }
        // The shards can still be told apart from the merge, and go on.
        assert_eq!(run_in(&place(1), &source, shard(1, 3)).unwrap().images_this_start, 0);
    }
}

#[test]
fn merge_refuses_what_does_not_fit() {
    let source = Made::new(200);
    let folder = tempfile::tempdir().unwrap();
    let name = |n: &str| folder.path().join(n).to_str().unwrap().to_string();
    let run = |n: &str, i, source: &Made, scale: &str| {
        let mut options = options();
        options.shard = Shard { index: i, count: 2 };
        options.config.insert("network".into(), scale.into());
        run_in(&folder.path().join(n), source, options).unwrap();
    };
    run("a", 0, &source, "x");
    run("b", 1, &source, "y");
    run("c", 1, &Made::new(260), "x");
    let try_merge = |inputs: &[String]| {
        merge(inputs, &name("out"), &MergeOptions::default(), &Control::default()).unwrap_err()
    };
    let error = try_merge(&[name("a"), name("b")]);
    assert!(error.kind() == ErrorKind::Mismatch && error.to_string().contains("network is y in"), "{error}");
    let error = try_merge(&[name("a"), name("c")]);
    assert!(error.kind() == ErrorKind::Mismatch && error.to_string().contains("input changed"), "{error}");
    let error = try_merge(&[name("a"), name("a")]);
    assert!(error.kind() == ErrorKind::Mismatch && error.to_string().contains("twice"), "{error}");
    assert_eq!(try_merge(&[]).kind(), ErrorKind::InvalidArgument);
    assert_eq!(try_merge(&[name("nowhere")]).kind(), ErrorKind::NotFound);
}

#[test]
fn a_merge_fits_what_the_shards_were_asked_for() {
    let source = Made::new(200);
    let folder = tempfile::tempdir().unwrap();
    let name = |n: &str| folder.path().join(n).to_str().unwrap().to_string();
    let run = |n: &str, i, keep, scale| {
        let mut options = options();
        options.shard = Shard { index: i, count: 2 };
        (options.keep, options.scale) = (keep, scale);
        run_in(&folder.path().join(n), &source, options).unwrap();
    };
    let merge = |inputs: &[&str], out: &str, options: &MergeOptions| {
        let inputs: Vec<_> = inputs.iter().map(|n| name(n)).collect();
        merge(&inputs, &name(out), options, &Control::default())
    };
    run("a", 0, Some(Keep::Count(2)), false);
    run("b", 1, Some(Keep::Count(2)), false);
    let summary = merge(&["a", "b"], "ab", &MergeOptions::default()).unwrap();
    assert_eq!((summary.components, summary.options["scale"].as_str()), (2, "false"));

    run("c", 1, Some(Keep::Count(3)), false);
    let error = merge(&["a", "c"], "ac", &MergeOptions::default()).unwrap_err();
    assert!(error.kind() == ErrorKind::Mismatch && error.to_string().contains("components 3"), "{error}");
    let mut asked = MergeOptions::default();
    (asked.keep, asked.scale) = (Some(Keep::Variance(1.0)), Some(true));
    let summary = merge(&["a", "c"], "ac", &asked).unwrap();
    assert_eq!((summary.options["components"].as_str(), summary.options["scale"].as_str()), ("1.0", "true"));

    run("d", 0, None, true);
    run("e", 1, None, true);
    let summary = merge(&["d", "e"], "de", &MergeOptions::default()).unwrap();
    assert_eq!((summary.components, summary.images), (0, 200));
}

#[test]
fn moments_of_parts_are_those_of_all_rows() {
    let source = Made::new(430);
    let (folder, files) = whole(&source);
    let (table, _) = reference(&source);
    let mut all = CovariancePca::new(FEATURES).unwrap();
    all.partial_fit(fruitcore::pca::Rows::new(table.values(), FEATURES).unwrap()).unwrap();
    let mut merged = CovariancePca::new(FEATURES).unwrap();
    for (_, bytes) in files.iter().filter(|(n, _)| n.starts_with("moments/")) {
        merged.merge(&CovariancePca::from_bytes(bytes).unwrap()).unwrap();
    }
    let [a, b] = [&all, &merged].map(|p| p.fit(Keep::Count(FEATURES)).unwrap());
    assert_eq!(a.count(), b.count());
    for (a, b) in a.explained_variance().iter().zip(b.explained_variance()) {
        assert!((a - b).abs() <= 1e-12 * a, "{a} {b}");
    }
    drop(folder);
}

/// An output in an object store.
#[test]
fn object_store_output() {
    let source = Made::new(120);
    let (_local, expected) = whole(&source);
    let memory: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let store = || {
        let prefix = object_store::path::Path::from("runs/first");
        Arc::new(
            fruitcore::host::run::RemoteStore::new(Arc::clone(&memory), prefix, "memory:///runs/first")
                .unwrap(),
        )
    };
    let summary = run_store(store(), &source, options()).unwrap();
    assert_eq!(summary.images_this_start, 120);
    assert_eq!(run_store(store(), &source, options()).unwrap().images_this_start, 0);
    use fruitcore::host::run::OutputStore;
    for (name, content) in expected {
        assert_eq!(store().get(&name).unwrap().as_deref(), Some(&content[..]), "{name}");
    }
    assert_eq!(store().get("nothing").unwrap(), None);
    let mut other = options();
    other.part_size = Some(60);
    other.overwrite = true;
    assert_eq!(run_store(store(), &source, other).unwrap().parts, 2);
    assert_eq!(store().entries("features").unwrap().len(), 2);
}

//! A run against a plain loop over the pictures.
#![cfg(feature = "host")]

mod run_support;

use burn::tensor::Tensor;
use fruitcore::{
    ErrorKind, Featurizer, Result,
    featurize::SliceFeaturizer,
    host::{
        driver::Control,
        run::{LocalStore, Run},
        sink::{Content, CsvOptions, Format},
    },
    pca::{CovariancePca, IncrementalPca, Keep, Rows, Scaling},
};
use run_support::*;
use std::{
    sync::atomic::Ordering::SeqCst,
    sync::{Arc, Mutex},
    time::Duration,
};

fn formats() -> [Format; 4] {
    let mut semicolon = CsvOptions::default();
    semicolon.separator = b';';
    semicolon.header = false;
    [Format::Parquet, Format::Ipc, Format::Csv(CsvOptions::default()), Format::Csv(semicolon)]
}

#[test]
fn rows_rejects_and_components() {
    let mut source = Made::new(333);
    (source.damaged, source.poisoned) = (29, 41);
    let (features, rejected) = reference(&source);
    assert!(rejected.len() > 15);
    let mut pca = CovariancePca::new(FEATURES).unwrap();
    pca.partial_fit(Rows::new(features.values(), FEATURES).unwrap()).unwrap();
    let projection = pca.fit_scaled(Keep::Count(5), Scaling::Standard).unwrap();
    let mut components = vec![0.0; features.len() * 5];
    projection.transform_into(Rows::new(features.values(), FEATURES).unwrap(), &mut components).unwrap();
    for format in formats() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options();
        options.format = format.clone();
        let summary = run_in(folder.path(), &source, options).unwrap();
        assert_eq!(read(folder.path(), Content::Features, &format), features, "{format:?}");
        let found = read(folder.path(), Content::Components, &format);
        assert_eq!(found.paths(), features.paths());
        assert_eq!(found.labels(), features.labels());
        for (a, b) in found.values().iter().zip(&components) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
        let mut reader = csv::Reader::from_path(folder.path().join("rejects.csv")).unwrap();
        let found: Vec<_> = reader.records().map(|r| r.unwrap()[0].to_string()).collect();
        // Within a micro-batch the ones found in the features come last.
        let sorted = |mut v: Vec<String>| {
            v.sort();
            v
        };
        assert_eq!(sorted(found), sorted(rejected.clone()));
        assert_eq!((summary.images, summary.rejected), (333, rejected.len() as u64));
        assert_eq!(summary.rows, features.len() as u64);
        assert_eq!(summary.parts, 7);
        assert_eq!(summary.rejected_by_stage["decode"], 11);
        assert_eq!(summary.classes.values().sum::<u64>(), features.labels().iter().flatten().count() as u64);
        assert_eq!(summary.components, 5);
        for (a, b) in summary.explained_variance_ratio.iter().zip(projection.explained_variance_ratio()) {
            assert!((a - b).abs() < 1e-9);
        }
        let written = std::fs::read(folder.path().join("summary.json")).unwrap();
        assert_eq!(written, serde_json::to_vec_pretty(&summary).unwrap());
        let read: fruitcore::host::summary::Summary = serde_json::from_slice(&written).unwrap();
        assert_eq!((read.rows, read.classes), (summary.rows, summary.classes));
    }
}

#[test]
fn workers_and_batches_change_nothing() {
    let mut source = Made::new(211);
    source.damaged = 17;
    let mut first = None;
    for (workers, batch, requests, bytes) in
        [(1, 1, 1, 1), (1, 16, 64, 1 << 20), (4, 3, 5, 4096), (3, 500, 2, 1)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options();
        options.limits.workers = workers;
        options.limits.batch = batch;
        options.limits.requests = requests;
        options.limits.in_flight_bytes = bytes;
        run_in(folder.path(), &source, options).unwrap();
        let files = snapshot(folder.path());
        assert_eq!(first.get_or_insert_with(|| files.clone()), &files);
    }
}

#[test]
fn limit_takes_the_first() {
    let source = Made::new(200);
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.limit = Some(60);
    assert_eq!(run_in(folder.path(), &source, options).unwrap().images, 60);
    let (all, _) = reference(&source);
    let found = read(folder.path(), Content::Features, &Format::Parquet);
    assert_eq!(found.paths(), &all.paths()[..60]);
    assert!(source.listed.load(SeqCst) <= 61, "the listing stops at the limit");
}

#[test]
fn strict_names_a_picture_and_keeps_parts() {
    let mut source = Made::new(300);
    source.damaged = 120;
    let folder = tempfile::tempdir().unwrap();
    let mut strict = options();
    strict.strict = true;
    strict.limits.workers = 1;
    strict.limits.open_parts = 1;
    let error = run_in(folder.path(), &source, strict).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::Corrupt, Some(Made::path(119).as_str())));
    assert_eq!(read(folder.path(), Content::Features, &Format::Parquet).len(), 100, "two parts were done");
    // Without --strict the same output goes on.
    let summary = run_in(folder.path(), &source, options()).unwrap();
    assert_eq!((summary.images, summary.images_this_start, summary.rejected), (300, 200, 2));
}

#[test]
fn nothing_usable_is_an_error_with_reasons() {
    let mut source = Made::new(120);
    source.damaged = 1;
    let folder = tempfile::tempdir().unwrap();
    let error = run_in(folder.path(), &source, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insufficient);
    assert!(error.to_string().contains("120 × decode: ends early"), "{error}");
    let rejects = std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap();
    assert!(rejects.matches("ends early").count() == 120);
}

#[test]
fn no_picture_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = run_in(folder.path(), &Made::new(0), options()).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::NotFound, Some("made up")));
    // What the listing says about it comes first.
    let mut source = Made::new(0);
    source.listing_error = Some((0, ErrorKind::PermissionDenied));
    let folder = tempfile::tempdir().unwrap();
    let error = run_in(folder.path(), &source, options()).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::PermissionDenied, Some("folder before 0")));
}

#[test]
fn one_picture_has_features_but_no_components() {
    let folder = tempfile::tempdir().unwrap();
    let error = run_in(folder.path(), &Made::new(1), options()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Insufficient | ErrorKind::InvalidArgument), "{error}");
    let mut features_only = options();
    features_only.keep = None;
    let summary = run_in(folder.path(), &Made::new(1), features_only).unwrap();
    assert_eq!((summary.rows, summary.components, summary.images_this_start), (1, 0, 0));
}

#[test]
fn what_cannot_be_listed_is_a_reject_unless_the_network_fails() {
    let mut source = Made::new(120);
    source.listing_error = Some((70, ErrorKind::PermissionDenied));
    let folder = tempfile::tempdir().unwrap();
    let summary = run_in(folder.path(), &source, options()).unwrap();
    assert_eq!((summary.images, summary.rows, summary.rejected), (120, 120, 1));
    let rejects = std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap();
    assert!(rejects.contains("folder before 70,source,made to fail"), "{rejects}");

    source.listing_error = Some((70, ErrorKind::Network));
    let folder = tempfile::tempdir().unwrap();
    let error = run_in(folder.path(), &source, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    source.listing_error = None;
    assert_eq!(run_in(folder.path(), &source, options()).unwrap().rows, 120);
}

/// A store that answers slowly, pictures of 40 kB, a budget of 400 kB: never more is held, and the
/// listing waits.
#[test]
fn slow_store_holds_back_the_listing() {
    let mut source = Made::new(300);
    source.weight = 40_000;
    source.delay = Duration::from_millis(3);
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.limits.in_flight_bytes = 400_000;
    let control = fruitcore::host::driver::Control::default();
    let mut network = Linear::new();
    network.pause = Duration::from_millis(1);
    let run = fruitcore::host::run::Run::new(
        Arc::new(source.clone()),
        stages_with(&source, network),
        Arc::new(LocalStore::new(folder.path())),
    )
    .options(options);
    let (watched, listed) = (control.clone(), Arc::clone(&source.listed));
    let watcher = std::thread::spawn(move || {
        let mut ahead = 0;
        while watched.progress().total.is_none() {
            let done = watched.progress().images;
            ahead = ahead.max(listed.load(SeqCst).saturating_sub(done));
            std::thread::sleep(Duration::from_micros(200));
        }
        ahead
    });
    run.start(&control).unwrap();
    let ahead = watcher.join().unwrap();
    let most = source.most_held.load(SeqCst);
    assert!(most <= 400_000 + 4096, "{most} bytes held");
    assert!(most >= 40_000);
    // 10 pictures in the budget, up to 3 batches of 2 in work, 2 pictures being listed.
    assert!(ahead <= 60, "the listing ran {ahead} pictures ahead");
    assert_eq!(control.progress().in_flight_bytes, 0);
}

/// The linear map without tensors; remembers how many pictures and threads each call had.
struct Sliced(Linear, Mutex<Vec<(usize, usize)>>);

impl Featurizer for Sliced {
    fn input_shape(&self) -> [usize; 3] {
        self.0.input_shape()
    }
    fn feature_len(&self) -> usize {
        self.0.feature_len()
    }
    fn featurize(&self, _: Tensor<4>) -> Result<Tensor<2>> {
        panic!("the driver has no need of tensors");
    }
    fn slices(&self) -> Option<&dyn SliceFeaturizer> {
        Some(self)
    }
}

impl SliceFeaturizer for Sliced {
    fn micro_batch(&self) -> usize {
        4
    }
    fn featurize_into(&self, pictures: &[f32], features: &mut [f32], threads: usize) -> Result<()> {
        let rows = pictures.chunks_exact(3 * SIDE * SIDE).zip(features.chunks_exact_mut(FEATURES));
        rows.for_each(|(picture, row)| row.copy_from_slice(&self.0.row(picture)));
        self.1.lock().unwrap().push((pictures.len() / (3 * SIDE * SIDE), threads));
        Ok(())
    }
}

/// Runs with a network without tensors; the calls it had, sorted.
fn calls(source: &Made, workers: usize, batch: usize) -> Vec<(usize, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let network = Arc::new(Sliced(Linear::new(), Mutex::default()));
    let mut stages = stages(source);
    stages.featurizer = Arc::<Sliced>::clone(&network);
    let mut options = options();
    (options.keep, options.limits.workers, options.limits.batch) = (None, workers, batch);
    let store = Arc::new(LocalStore::new(folder.path()));
    Run::new(Arc::new(source.clone()), stages, store).options(options).start(&Control::default()).unwrap();
    assert_eq!(read(folder.path(), Content::Features, &Format::Parquet), reference(source).0);
    let mut calls = network.1.lock().unwrap().clone();
    calls.sort_unstable();
    calls
}

#[test]
fn a_single_picture_has_all_threads() {
    for workers in [1, 2, 6] {
        assert_eq!(calls(&Made::new(1), workers, 16), [(1, workers)]);
    }
}

#[test]
fn few_pictures_are_shared_among_the_workers() {
    let sizes = |calls: Vec<(usize, usize)>| calls.into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(sizes(calls(&Made::new(5), 6, 16)), [1; 5]);
    // One each, two each, then as many as the network has a use for: 2 + 4 + 44, and 50 in the second part.
    let found = sizes(calls(&Made::new(100), 2, 4096));
    let count = |n| found.iter().filter(|&&m| m == n).count();
    assert_eq!([1, 2, 3, 4].map(count), [2, 3, 0, 23]);
    // A single worker has nobody to share with.
    assert_eq!(sizes(calls(&Made::new(9), 1, 3)), [3; 3]);
}

#[test]
fn a_network_s_step_bounds_memory_whatever_the_batch() {
    let mut source = Made::new(150);
    (source.damaged, source.poisoned) = (7, 11);
    for batch in [1, 3, 4096] {
        let found = calls(&source, 3, batch);
        assert!(found.iter().all(|&(n, threads)| n <= batch.min(4) && threads <= 3), "{found:?}");
    }
}

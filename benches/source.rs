//! Listing and fetching 4,000 small files: a folder, a tar archive, a compressed one.
//!
//! `cargo bench --features host --bench source`
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compression, write::GzEncoder};
use fruitcore::host::source::{self, Source, SourceOptions};
use futures::StreamExt;
use std::{fs, path::Path};
use tokio::runtime::{Builder, Runtime};

const FOLDERS: usize = 80;
const FILES: usize = 50;
const BYTES: usize = 4096;

/// No pictures: sources don't look inside.
fn content(index: usize) -> Vec<u8> {
    (0..BYTES).map(|i| ((i * i + index) % 251) as u8).collect()
}

fn files() -> impl Iterator<Item = (String, Vec<u8>)> {
    (0..FOLDERS * FILES).map(|i| (format!("class {:02}/{i:05}.jpg", i / FILES), content(i)))
}

fn folder(root: &Path) {
    for (path, bytes) in files() {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
}

fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files() {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, bytes.as_slice()).expect("an entry");
    }
    builder.into_inner().expect("an archive")
}

/// Bytes of all that is listed; read only if asked.
fn walk(runtime: &Runtime, source: &dyn Source, fetch: bool) -> u64 {
    let mut sum = 0;
    let mut count = 0;
    runtime.block_on(async {
        let mut objects = source.list();
        while let Some(object) = objects.next().await {
            let object = object.expect("an object");
            count += 1;
            sum += if fetch {
                source.fetch(&object).await.expect("its bytes").len() as u64
            } else {
                object.size
            };
        }
    });
    assert_eq!(count, FOLDERS * FILES);
    sum
}

fn sources(c: &mut Criterion) {
    let place = tempfile::tempdir().expect("a folder");
    folder(&place.path().join("folder"));
    let tar = archive();
    fs::write(place.path().join("files.tar"), &tar).expect("a file");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar).expect("compressed");
    fs::write(place.path().join("files.tar.gz"), gzip.finish().expect("compressed")).expect("a file");

    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("source");
    group.sample_size(10).throughput(Throughput::Elements((FOLDERS * FILES) as u64));
    for name in ["folder", "files.tar", "files.tar.gz"] {
        let input = place.path().join(name);
        let input = input.to_str().expect("a name");
        let source = source::open(input, &SourceOptions::default()).expect("a source");
        group.bench_function(BenchmarkId::new("list", name), |b| b.iter(|| walk(&runtime, &*source, false)));
        group.bench_function(BenchmarkId::new("list and fetch", name), |b| {
            b.iter(|| walk(&runtime, &*source, true))
        });
    }
    group.finish();
}

criterion_group!(benches, sources);
criterion_main!(benches);

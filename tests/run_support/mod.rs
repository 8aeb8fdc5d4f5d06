//! A source, a decoder, a recipe and a network small enough to be checked by hand.
#![allow(dead_code)]

use burn::tensor::{Device, Tensor, TensorData};
use bytes::Bytes;
use fruitcore::{
    Error, ErrorKind, Featurizer, Frame, PixelFormat, Preprocessor, Result, Stage,
    host::{
        driver::{Control, Decode, Stages},
        run::{LocalStore, OutputStore, Run, RunOptions},
        sink::{Content, Format, Table},
        source::{Body, Object, Source},
        summary::Summary,
    },
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use std::{
    any::Any,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

/// Side of the pictures; features in a row.
pub const SIDE: usize = 4;
pub const FEATURES: usize = 24;

/// SplitMix64: the same numbers everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// Pictures made up from their number.
#[derive(Clone)]
pub struct Made {
    pub count: usize,
    /// Every so many-th picture is damaged; 0 for none.
    pub damaged: usize,
    /// Every so many-th picture's features are NaN; 0 for none.
    pub poisoned: usize,
    /// Wait before a fetch.
    pub delay: Duration,
    /// Padding, so that pictures weigh something.
    pub weight: usize,
    pub version: &'static str,
    /// Listing fails with this at that position.
    pub listing_error: Option<(usize, ErrorKind)>,
    pub listed: Arc<AtomicU64>,
    pub held: Arc<AtomicI64>,
    pub most_held: Arc<AtomicI64>,
}

impl Made {
    pub fn new(count: usize) -> Self {
        Self {
            count,
            damaged: 0,
            poisoned: 0,
            delay: Duration::ZERO,
            weight: 0,
            version: "1",
            listing_error: None,
            listed: Arc::default(),
            held: Arc::default(),
            most_held: Arc::default(),
        }
    }

    pub fn path(i: usize) -> String {
        // Names that formats must quote, folders that repeat file names.
        match i % 10 {
            3 => format!("class {:02}/it's \"{i}\", really.jpg", i % 7),
            7 => format!("class {:02}/line\nbreak é {i}.jpg", i % 7),
            _ => format!("class {:02}/{:06}.jpg", i % 7, i / 7),
        }
    }

    fn is(every: usize, i: usize) -> bool {
        every > 0 && i % every == every - 1
    }

    pub fn object(&self, i: usize) -> Object {
        Object {
            path: Self::path(i),
            label: (i % 11 != 10).then(|| format!("class {:02}", i % 7)),
            size: (SIDE * SIDE * 3 + self.weight) as u64,
            version: Some(self.version.into()),
            body: Body::Stored(object_store::path::Path::from(i.to_string())),
        }
    }

    pub fn bytes(&self, i: usize) -> Vec<u8> {
        let mut rng = Rng(i as u64);
        let mut bytes: Vec<u8> = (0..SIDE * SIDE * 3).map(|_| rng.next() as u8).collect();
        if Self::is(self.damaged, i) {
            bytes.truncate(5);
        } else if Self::is(self.poisoned, i) {
            bytes.fill(255);
        }
        bytes.resize(bytes.len() + self.weight, 0);
        bytes
    }
}

impl Source for Made {
    fn list(&self) -> BoxStream<'_, Result<Object>> {
        let pictures = (0..=self.count).flat_map(|i| {
            let error = self.listing_error.filter(|(at, _)| *at == i).map(|(_, kind)| {
                Err(Error::new(kind, Stage::Source, "made to fail").at(format!("folder before {i}")))
            });
            let picture = (i < self.count).then(|| Ok(self.object(i)));
            self.listed.fetch_add(u64::from(picture.is_some()), SeqCst);
            error.into_iter().chain(picture)
        });
        futures::stream::iter(pictures).boxed()
    }

    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>> {
        async move {
            let held = self.held.fetch_add(object.size as i64, SeqCst) + object.size as i64;
            self.most_held.fetch_max(held, SeqCst);
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            let Body::Stored(path) = &object.body else { unreachable!() };
            let i: usize = path.as_ref().parse().unwrap();
            Ok(Bytes::from(self.bytes(i)))
        }
        .boxed()
    }

    fn describe(&self) -> String {
        "made up".into()
    }
}

/// The first bytes are the pixels.
pub struct Raw {
    pixels: Vec<u8>,
    held: Arc<AtomicI64>,
}

impl Decode for Raw {
    fn decode(&mut self, encoded: &[u8]) -> Result<Frame<'_>> {
        self.held.fetch_sub(encoded.len() as i64, SeqCst);
        let Some(pixels) = encoded.get(..SIDE * SIDE * 3) else {
            return Err(Error::new(ErrorKind::Corrupt, Stage::Decode, "ends early"));
        };
        self.pixels = pixels.to_vec();
        Frame::new(PixelFormat::Rgb, SIDE, SIDE, &self.pixels)
    }
}

/// Planar, divided by 255.
pub struct Plain;

impl Preprocessor for Plain {
    fn output_shape(&self) -> [usize; 3] {
        [3, SIDE, SIDE]
    }
    fn preprocess_into(&mut self, frame: &Frame<'_>, out: &mut [f32]) -> Result<()> {
        for (i, v) in frame.data().iter().enumerate() {
            out[i % 3 * SIDE * SIDE + i / 3] = f32::from(*v) / 255.0;
        }
        Ok(())
    }
}

/// A fixed random linear map, and NaN for an all-white picture.
pub struct Linear {
    weights: Vec<f32>,
    /// Extra work per picture, for tests about time.
    pub pause: Duration,
}

impl Linear {
    pub fn new() -> Self {
        let mut rng = Rng(7);
        let weights = (0..FEATURES * SIDE * SIDE * 3).map(|_| rng.unit() - 0.5).collect();
        Self { weights, pause: Duration::ZERO }
    }

    pub fn row(&self, picture: &[f32]) -> Vec<f32> {
        if picture.iter().all(|v| *v == 1.0) {
            return vec![f32::NAN; FEATURES];
        }
        let dot = |w: &[f32]| w.iter().zip(picture).map(|(w, p)| w * p).sum();
        self.weights.chunks_exact(picture.len()).map(dot).collect()
    }
}

impl Featurizer for Linear {
    fn input_shape(&self) -> [usize; 3] {
        [3, SIDE, SIDE]
    }
    fn feature_len(&self) -> usize {
        FEATURES
    }
    fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
        let (device, n) = (batch.device(), batch.dims()[0]);
        let values = batch.into_data().try_into_vec::<f32>().unwrap();
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause * n as u32);
        }
        let rows: Vec<f32> = values.chunks_exact(3 * SIDE * SIDE).flat_map(|p| self.row(p)).collect();
        Ok(Tensor::from_data(TensorData::new(rows, [n, FEATURES]), &device))
    }
}

pub fn stages(source: &Made) -> Stages {
    stages_with(source, Linear::new())
}

pub fn stages_with(source: &Made, network: Linear) -> Stages {
    let held = Arc::clone(&source.held);
    Stages::new(
        Arc::new(move || Ok(Box::new(Raw { pixels: Vec::new(), held: Arc::clone(&held) }))),
        Arc::new(|| Ok(Box::new(Plain))),
        Arc::new(network),
        Device::default(),
    )
}

/// Small parts and batches, so that every boundary is met.
pub fn options() -> RunOptions {
    let mut options = RunOptions::default();
    options.part_size = Some(50);
    options.limits.batch = 7;
    options.limits.workers = 3;
    options.keep = Some(fruitcore::pca::Keep::Count(5));
    options
}

pub fn run_in(output: &Path, source: &Made, options: RunOptions) -> Result<Summary> {
    run_store(Arc::new(LocalStore::new(output)), source, options)
}

pub fn run_store(store: Arc<dyn OutputStore>, source: &Made, options: RunOptions) -> Result<Summary> {
    Run::new(Arc::new(source.clone()), stages(source), store).options(options).start(&Control::default())
}

/// What a plain loop makes of the source: rows and rejected paths.
pub fn reference(source: &Made) -> (Table, Vec<String>) {
    let mut table = Table::new(Content::Features, FEATURES).unwrap();
    let mut rejects = Vec::new();
    let network = Linear::new();
    for i in 0..source.count {
        let (object, bytes) = (source.object(i), source.bytes(i));
        let mut picture = vec![0.0; 3 * SIDE * SIDE];
        let done = (bytes.len() >= SIDE * SIDE * 3).then(|| {
            let frame = Frame::new(PixelFormat::Rgb, SIDE, SIDE, &bytes[..SIDE * SIDE * 3]).unwrap();
            Plain.preprocess_into(&frame, &mut picture).unwrap();
            network.row(&picture)
        });
        match done.filter(|row| row.iter().all(|v| v.is_finite())) {
            Some(row) => table.push(object.path, object.label, &row).unwrap(),
            None => rejects.push(object.path),
        }
    }
    (table, rejects)
}

/// All parts of a folder, joined in order.
pub fn read(output: &Path, content: Content, format: &Format) -> Table {
    let mut files: Vec<_> = std::fs::read_dir(output.join(content.name()))
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == format.extension()))
        .collect();
    files.sort();
    let mut all: Option<Table> = None;
    for file in files {
        let table = format.decode(content, std::fs::read(file).unwrap().into()).unwrap();
        let all = all.get_or_insert_with(|| Table::new(content, table.columns()).unwrap());
        for (i, row) in table.values().chunks_exact(table.columns()).enumerate() {
            all.push(table.paths()[i].clone(), table.labels()[i].clone(), row).unwrap();
        }
    }
    all.unwrap()
}

/// Every file below a folder but the ones that tell times, with its content.
pub fn snapshot(output: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    for folder in ["features", "components", "moments", "rejects"] {
        let Ok(entries) = std::fs::read_dir(output.join(folder)) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    files.insert("rejects.csv".into(), std::fs::read(output.join("rejects.csv")).unwrap_or_default());
    files
}

/// A local folder whose `put` fails, once, at the `n`-th call: before anything is written, or after.
pub struct Failing {
    pub inner: LocalStore,
    pub left: AtomicI64,
    pub after: bool,
}

impl Failing {
    pub fn new(root: &Path, at: i64, after: bool) -> Self {
        Self { inner: LocalStore::new(root), left: AtomicI64::new(at), after }
    }
}

impl OutputStore for Failing {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let fails = self.left.fetch_sub(1, SeqCst) == 0;
        if fails && !self.after {
            return Err(Error::new(ErrorKind::Io, Stage::Sink, "no space left (made up)").at(name));
        }
        self.inner.put(name, bytes)?;
        match fails {
            true => Err(Error::new(ErrorKind::Network, Stage::Sink, "answer lost (made up)").at(name)),
            false => Ok(()),
        }
    }
    fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.inner.get(name)
    }
    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.inner.size(name)
    }
    fn entries(&self, folder: &str) -> Result<Vec<String>> {
        self.inner.entries(folder)
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.inner.remove(name)
    }
    fn lock(&self, owner: &str) -> Result<Box<dyn Any + Send>> {
        self.inner.lock(owner)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

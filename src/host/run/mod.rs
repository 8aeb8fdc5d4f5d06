//! Whole runs: parts, manifest, resume, shards, merge.
//!
//! Under the output a run writes
//!
//! | name | content |
//! |---|---|
//! | `manifest.json` | what was asked, and each finished part with sizes and digests |
//! | `features/part-NNNNN.parquet` | one row for each usable picture, in listing order |
//! | `moments/part-NNNNN.bin` | state of the scaler and the principal component analysis |
//! | `rejects/part-NNNNN.csv` | unusable pictures of a part, if any |
//! | `components/part-NNNNN.parquet` | the features projected onto the principal components |
//! | `rejects.csv` | `path,stage,reason` of all unusable pictures |
//! | `pipeline.safetensors` | the fitted pipeline |
//! | `summary.json` | counts, classes, explained variance, times, memory |
//!
//! A part is finished when the manifest names it, and its files are there before that. A second
//! start computes what the manifest lacks. Shard `I/N` takes the parts with `index % N == I − 1` and
//! writes `manifest-I-of-N.json`; shards may share an output or have one each.

mod apart;
mod finish;
mod manifest;
mod merge;
mod output;
mod prepare;
mod read;
mod store;

pub use finish::{Artifact, ArtifactFn};
pub use manifest::{ComponentsEntry, FileEntry, Fit, Manifest, PartEntry, Shard};
pub use merge::{MergeOptions, merge};
pub use output::RunOutput;
pub use read::{is_remote, read_file};
pub use store::{LocalStore, OutputStore, RemoteStore, open_output};

pub(crate) use manifest::hex;
pub(crate) use store::{SCRATCH, local_error};

use super::{
    driver::{Control, Driver, Limits, Part, Phase, Stages, Wanted},
    sink::Format,
    source::Source,
    summary::Summary,
};
use crate::{
    Error, ErrorKind, Result, Stage,
    pca::{CovariancePca, IncrementalPca, Keep, Rows},
};
use alloc::{collections::BTreeMap, format, string::String, string::ToString, sync::Arc, vec::Vec};
use std::{sync::Mutex, time::Instant};

/// Name of the artifact in an output folder.
pub const ARTIFACT: &str = "pipeline.safetensors";

/// How a run is done.
#[derive(Clone)]
#[non_exhaustive]
pub struct RunOptions {
    /// Pictures in a part. Unset: the larger of 1,024 and the feature length, so that moments are
    /// not larger than features.
    pub part_size: Option<usize>,
    /// Bounds on memory and concurrency.
    pub limits: Limits,
    /// Take only so many pictures of the listing.
    pub limit: Option<u64>,
    /// The parts this machine takes.
    pub shard: Shard,
    /// The first unusable picture is an error.
    pub strict: bool,
    /// List a second time, beside the work, so that [`Progress::total`](super::driver::Progress) is
    /// known early.
    pub count_ahead: bool,
    /// Remove what an earlier run left in the output.
    pub overwrite: bool,
    /// Components to keep; `None` for features alone. 50 unless set.
    pub keep: Option<Keep>,
    /// Whether features are scaled to unit variance before the analysis. True unless set.
    pub scale: bool,
    /// Format of features and components.
    pub format: Format,
    /// What else determines the features (network, weights' digest, recipe): compared when a run
    /// is resumed or merged, and shown in messages.
    pub config: BTreeMap<String, String>,
    /// Makes the pipeline artifact of the fitted run.
    pub artifact: Option<Arc<ArtifactFn>>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            part_size: None,
            limits: Limits::default(),
            limit: None,
            shard: Shard::WHOLE,
            strict: false,
            count_ahead: false,
            overwrite: false,
            keep: Some(Keep::Count(50)),
            scale: true,
            format: Format::default(),
            config: BTreeMap::new(),
            artifact: None,
        }
    }
}

/// A run: pictures of a source to features and components in an output.
#[derive(Clone)]
pub struct Run {
    source: Arc<dyn Source>,
    stages: Stages,
    output: Arc<dyn OutputStore>,
    options: RunOptions,
}

impl Run {
    /// A run with default options.
    pub fn new(source: Arc<dyn Source>, stages: Stages, output: Arc<dyn OutputStore>) -> Self {
        Self { source, stages, output, options: RunOptions::default() }
    }

    /// Sets the options.
    #[must_use]
    pub fn options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// Does what is missing in the output, and says what the whole run gave.
    ///
    /// A shard of several stops after the features; [`merge`] does the rest.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] if the output holds another run or the input changed, saying what
    /// differs; [`ErrorKind::Insufficient`] if there is no usable picture, saying why;
    /// [`ErrorKind::Interrupted`] after [`Control::cancel`]; and what source, sink and, in a strict
    /// run, the first unusable picture report. Whatever the error, finished parts are kept, and the
    /// same run started again goes on from them.
    pub fn start(&self, control: &Control) -> Result<Summary> {
        let begun = Instant::now();
        control.enter(Phase::Start);
        let options = &self.options;
        if let Format::Csv(csv) = &options.format {
            csv.check()?;
        }
        if options.shard.index >= options.shard.count {
            let m = format!("there is no shard {} of {}", options.shard.index + 1, options.shard.count);
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
        }
        let columns = self.stages.featurizer.feature_len();
        let part_size = options.part_size.unwrap_or(columns.max(1024));
        let driver = Driver {
            stages: self.stages.clone(),
            limits: options.limits.clone(),
            part_size,
            limit: options.limit,
            strict: options.strict,
            count_ahead: options.count_ahead,
        };
        let store = &*self.output;
        let source = apart::apart(&self.source, store)?;
        let config = self.config(part_size);
        let _lock = store.lock(&options.shard.owner())?;
        let manifest = prepare::prepare(store, config, &options.format, options.shard, options.overwrite)?;

        control.enter(Phase::Features);
        let manifest = Mutex::new(manifest);
        let done: Vec<u32> = lock(&manifest).parts.iter().map(|p| p.index).collect();
        let wanted = |index| match done.binary_search(&index) {
            Ok(_) => Wanted::Check,
            Err(_) if options.shard.takes(index) => Wanted::Compute,
            Err(_) => Wanted::Ignore,
        };
        let commit = Commit { store, columns, format: &options.format, manifest: &manifest };
        let listing = driver.run(Arc::clone(&source), control, &wanted, &mut |part| commit.part(part));
        self.stages.featurizer.release();
        let mut manifest = manifest.into_inner().unwrap_or_else(|e| e.into_inner());
        let listing =
            listing.map_err(|e| if e.stage() == Stage::Run { e.at(store.describe()) } else { e })?;
        if listing.objects == 0 {
            let others = match source.skipped() {
                0 => String::new(),
                1 => String::from(" beside 1 other file"),
                n => format!(" beside {n} other files"),
            };
            let m = format!("no pictures found{others}; check the path and the filter");
            return Err(Error::new(ErrorKind::NotFound, Stage::Source, m).at(self.source.describe()));
        }
        if manifest.parts.iter().any(|p| p.index >= listing.parts && p.objects > 0) {
            let m = format!(
                "the input has shrunk to {} pictures since the run was begun; choose another --output, or --overwrite",
                listing.objects
            );
            return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(self.source.describe()));
        }
        manifest.fit = Some(Fit { keep: options.keep, scale: options.scale });
        manifest.parts_total = Some(listing.parts);
        manifest.objects_total = Some(listing.objects);
        manifest.skipped = source.skipped();
        manifest.write(store)?;

        let finish = finish::Finish {
            store,
            store_of: &|_| Ok(Arc::clone(&self.output)),
            options,
            columns,
            device: device_name(&self.stages.device),
            control,
            begun,
        };
        if options.shard.count > 1 { finish.shard(&manifest) } else { finish.run(manifest) }
    }

    /// Everything that determines the features.
    fn config(&self, part_size: usize) -> BTreeMap<String, String> {
        let mut config = self.options.config.clone();
        let format = match &self.options.format {
            Format::Csv(csv) => format!(
                "csv, separated by {:?}, {} header",
                char::from(csv.separator),
                if csv.header { "with" } else { "without" }
            ),
            other => other.extension().to_string(),
        };
        let [c, h, w] = self.stages.featurizer.input_shape();
        for (key, value) in [
            ("input", self.source.describe()),
            ("limit", self.options.limit.map_or_else(|| String::from("none"), |n| n.to_string())),
            ("part size", part_size.to_string()),
            ("feature length", self.stages.featurizer.feature_len().to_string()),
            ("network input", format!("{c}x{h}x{w}")),
            ("format", format),
        ] {
            config.insert(key.to_string(), value);
        }
        config
    }
}

/// Writes parts, one after the other.
struct Commit<'a> {
    store: &'a dyn OutputStore,
    columns: usize,
    format: &'a Format,
    manifest: &'a Mutex<Manifest>,
}

impl Commit<'_> {
    fn part(&self, part: Part) -> Result<()> {
        let Part { input, output } = part;
        let Some(output) = output else { return self.check(&input) };
        let begun = Instant::now();
        let n = format!("part-{:05}", input.index);
        let name = |folder: &str, extension: &str| format!("{folder}/{n}.{extension}");
        // One after the other, while the workers are busy with the next part: then the second takes the
        // first one's memory.
        let file = self.format.encode(&output.table)?;
        let features = FileEntry::put(self.store, name("features", self.format.extension()), &file)?;
        drop(file);
        let (moments, statistics) = timed(|| moments(self.columns, output.table.values()));
        let moments = FileEntry::put(self.store, name("moments", "bin"), &moments?)?;
        let rejected = match output.rejects.as_slice() {
            [] => None,
            rejects => {
                let file = finish::rejects_csv(rejects)?;
                Some(FileEntry::put(self.store, name("rejects", "csv"), &file)?)
            }
        };
        let mut seconds: BTreeMap<_, _> =
            output.seconds.iter().map(|(name, s)| (name.to_string(), *s)).collect();
        let write = (begun.elapsed().as_secs_f64() - statistics).max(0.0);
        seconds.insert(String::from("moments"), statistics);
        seconds.insert(String::from("write"), write);
        let entry = PartEntry {
            index: input.index,
            input: input.digest,
            objects: input.objects,
            first: input.first,
            last: input.last,
            rows: output.table.len() as u64,
            rejects: output.rejects.len() as u64,
            rejects_by_stage: count(output.rejects.iter().map(|r| r.stage.name())),
            classes: count(output.table.labels().iter().flatten().map(String::as_str)),
            features,
            moments,
            rejected,
            seconds,
            origin: None,
        };
        let mut manifest = lock(self.manifest);
        manifest.insert(entry);
        manifest.write(self.store)
    }

    /// Makes sure that a finished part was made of the pictures that are listed now.
    fn check(&self, input: &super::driver::PartInput) -> Result<()> {
        let manifest = lock(self.manifest);
        match manifest.part(input.index) {
            Some(entry) if entry.input != input.digest => {
                let m = format!(
                    "the input changed since part {} was made: then {} pictures from {:?} to {:?}, now {} from {:?} to {:?}{}; choose another --output, or --overwrite",
                    input.index,
                    entry.objects,
                    entry.first,
                    entry.last,
                    input.objects,
                    input.first,
                    input.last,
                    if (entry.objects, &entry.first, &entry.last)
                        == (input.objects, &input.first, &input.last)
                    {
                        ", with other sizes or times"
                    } else {
                        ""
                    },
                );
                Err(Error::new(ErrorKind::Mismatch, Stage::Run, m))
            }
            _ => Ok(()),
        }
    }
}

/// State of the analysis over the rows of one part.
fn moments(columns: usize, values: &[f32]) -> Result<Vec<u8>> {
    let mut state = CovariancePca::new(columns)?;
    if !values.is_empty() {
        state.partial_fit(Rows::new(values, columns)?)?;
    }
    Ok(state.to_bytes())
}

fn count<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        match counts.get_mut(name) {
            Some(n) => *n += 1,
            None => {
                counts.insert(String::from(name), 1);
            }
        }
    }
    counts
}

/// `Flex(Cpu)` of Burn's `Device<Flex(Cpu)>`.
fn device_name(device: &burn::tensor::Device) -> String {
    let name = format!("{device:?}");
    name.strip_prefix("Device<").and_then(|n| n.strip_suffix('>')).map_or(name.clone(), String::from)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed().as_secs_f64())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

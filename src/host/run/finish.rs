//! After the features: fit, artifact, components, rejects, summary.

use super::{ARTIFACT, ComponentsEntry, FileEntry, Manifest, OutputStore, PartEntry, RunOptions, hex, lock};
use crate::{
    Error, ErrorKind, Result, Stage,
    classify::{Head, Reads},
    host::{
        driver::{Control, Phase, Reject},
        sink::Content,
        summary::{self, Summary},
    },
    pca::{CovariancePca, IncrementalPca, Keep, Projection, Rows, Scaling},
    pipeline::{PipelineBuilder, PipelineFile},
};
use alloc::{
    collections::BTreeMap, collections::BTreeSet, format, string::String, string::ToString, sync::Arc, vec,
    vec::Vec,
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{sync::Mutex, time::Instant};

/// What a pipeline artifact is made of.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Artifact<'a> {
    /// The fitted projection; it holds the scaler's mean and scale.
    pub projection: &'a Projection,
    /// The labels met, sorted.
    pub classes: &'a [String],
    /// What determined the features.
    pub config: &'a BTreeMap<String, String>,
}

/// Makes the bytes of `pipeline.safetensors`.
pub type ArtifactFn = dyn Fn(&Artifact<'_>) -> Result<Vec<u8>> + Send + Sync;

/// The store that holds a part's files.
pub(super) type StoreOf<'a> = dyn Fn(&PartEntry) -> Result<Arc<dyn OutputStore>> + Sync + 'a;

pub(super) struct Finish<'a> {
    pub store: &'a dyn OutputStore,
    pub store_of: &'a StoreOf<'a>,
    pub options: &'a RunOptions,
    pub columns: usize,
    pub device: String,
    pub control: &'a Control,
    pub begun: Instant,
}

impl Finish<'_> {
    /// One shard of several: counts only.
    pub(super) fn shard(&self, manifest: &Manifest) -> Result<Summary> {
        let summary = self.summary(manifest)?;
        self.control.enter(Phase::Done);
        Ok(summary)
    }

    /// The whole run.
    pub(super) fn run(&self, mut manifest: Manifest) -> Result<Summary> {
        let (rejects, reasons) = self.rejects(&manifest)?;
        self.store.put("rejects.csv", &rejects)?;
        let mut summary = self.summary(&manifest)?;
        if summary.rows == 0 {
            let mut reasons: Vec<_> = reasons.into_iter().collect();
            reasons.sort_by_key(|(_, n)| core::cmp::Reverse(*n));
            let reasons: Vec<_> = reasons.iter().take(5).map(|(r, n)| format!("{n} × {r}")).collect();
            let m = format!(
                "none of {} pictures could be used ({}); rejects.csv names them all",
                summary.images,
                reasons.join("; ")
            );
            return Err(Error::new(ErrorKind::Insufficient, Stage::Run, m).at(self.store.describe()));
        }
        if let Some(keep) = self.options.keep {
            self.control.enter(Phase::Fit);
            let start = Instant::now();
            let digest = self.fit_digest(&manifest);
            let projection = self.fit(&manifest, keep)?;
            summary.seconds.insert(String::from("fit"), start.elapsed().as_secs_f64());
            summary.components = projection.kept();
            summary.explained_variance_ratio = projection.explained_variance_ratio();
            summary.explained_variance_ratio_total = summary.explained_variance_ratio.iter().sum();
            if let Some(make) = &self.options.artifact {
                let classes: Vec<_> = summary.classes.keys().cloned().collect();
                let artifact =
                    Artifact { projection: &projection, classes: &classes, config: &manifest.config };
                let made = make(&artifact)?;
                let made = match self.store.get(ARTIFACT)? {
                    Some(earlier) => with_heads(&earlier, made)?,
                    None => made,
                };
                self.store.put(ARTIFACT, &made)?;
            }
            self.control.enter(Phase::Components);
            let start = Instant::now();
            manifest = self.components(manifest, &projection, &digest)?;
            summary.seconds.insert(String::from("project"), start.elapsed().as_secs_f64());
        }
        self.clear_stale(&manifest)?;
        summary.elapsed = self.begun.elapsed().as_secs_f64();
        summary.images_per_second = summary.images_this_start as f64 / summary.elapsed.max(1e-9);
        summary.peak_memory = summary::peak_memory();
        let content = serde_json::to_vec_pretty(&summary)
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Run, format!("summary: {e}")).because(e))?;
        self.store.put("summary.json", &content)?;
        self.control.enter(Phase::Done);
        Ok(summary)
    }

    /// All parts' moments as one, then the projection.
    fn fit(&self, manifest: &Manifest, keep: Keep) -> Result<Projection> {
        let mut merged: Option<CovariancePca> = None;
        for part in &manifest.parts {
            let store = (self.store_of)(part)?;
            let bytes = part.moments.get(&*store)?;
            let place = |e: Error| e.at(part.moments.name.clone());
            match &mut merged {
                Some(merged) => merged.merge_bytes(&bytes).map_err(place)?,
                none => *none = Some(CovariancePca::from_bytes(&bytes).map_err(place)?),
            }
            self.control.part_done();
        }
        let scaling = if self.options.scale { Scaling::Standard } else { Scaling::None };
        let merged = merged.map_or_else(|| CovariancePca::new(self.columns), Ok)?;
        merged.into_fit(keep, scaling)
    }

    /// Tells whether components were made of these features with this fit.
    fn fit_digest(&self, manifest: &Manifest) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("{:?} {} {:?}", self.options.keep, self.options.scale, self.options.format));
        for part in &manifest.parts {
            digest.update(&part.moments.sha256);
        }
        hex(&digest.finalize())
    }

    /// Projects every part that isn't there yet.
    fn components(&self, mut manifest: Manifest, projection: &Projection, digest: &str) -> Result<Manifest> {
        let mut there = Vec::new();
        for entry in core::mem::take(&mut manifest.components) {
            if entry.fit == digest && entry.file.is_there(self.store)? {
                self.control.part_done();
                there.push(entry);
            }
        }
        manifest.components = there;
        let missing: Vec<_> = manifest
            .parts
            .iter()
            .filter(|p| manifest.components.binary_search_by_key(&p.index, |c| c.index).is_err())
            .cloned()
            .collect();
        let manifest = Mutex::new(manifest);
        // Each thread holds one part: a few threads keep the disk busy and the memory small. A part takes
        // some hundredths of a second, which few parts don't repay.
        let threads = self.options.limits.workers.clamp(1, 4).min(missing.len().div_ceil(8).max(1));
        let project = |part: &PartEntry| {
            if self.control.is_cancelled() {
                let m = "stopped as asked; start the same command again to go on";
                return Err(Error::new(ErrorKind::Interrupted, Stage::Run, m).at(self.store.describe()));
            }
            let entry = self.project(part, projection, digest)?;
            let mut manifest = lock(&manifest);
            manifest.insert_components(entry);
            manifest.write(self.store)?;
            self.control.part_done();
            Ok(())
        };
        if threads == 1 {
            // On this thread, in the memory that the fit has left.
            missing.iter().try_for_each(project)?;
        } else {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_err(|e| Error::new(ErrorKind::Io, Stage::Run, format!("no thread: {e}")).because(e))?;
            pool.install(|| missing.par_iter().try_for_each(project))?;
        }
        Ok(manifest.into_inner().unwrap_or_else(|e| e.into_inner()))
    }

    fn project(&self, part: &PartEntry, projection: &Projection, digest: &str) -> Result<ComponentsEntry> {
        let store = (self.store_of)(part)?;
        let format = &self.options.format;
        let place = |e: Error| e.at(format!("{}/{}", store.describe(), part.features.name));
        // A CSV of no rows doesn't tell its columns without a header.
        let table = match part.rows {
            0 => crate::host::sink::Table::new(Content::Features, self.columns)?,
            _ => format.decode(Content::Features, part.features.get(&*store)?).map_err(place)?,
        };
        let mut values = vec![0.0; table.len() * projection.kept()];
        if !table.is_empty() {
            projection
                .transform_into(Rows::new(table.values(), self.columns)?, &mut values)
                .map_err(place)?;
        }
        let table = table.with_values(Content::Components, projection.kept(), values)?;
        let name = format!("components/part-{:05}.{}", part.index, format.extension());
        let file = FileEntry::put(self.store, name, &format.encode(&table)?)?;
        Ok(ComponentsEntry { index: part.index, fit: String::from(digest), file })
    }

    /// Removes part files that the finished manifest doesn't name: what a killed start left, or
    /// components of an earlier fit.
    fn clear_stale(&self, manifest: &Manifest) -> Result<()> {
        let here = |p: &&PartEntry| p.origin.is_none();
        let mut known: BTreeSet<&str> = manifest.components.iter().map(|c| c.file.name.as_str()).collect();
        for part in manifest.parts.iter().filter(here) {
            known.extend([part.features.name.as_str(), part.moments.name.as_str()]);
            known.extend(part.rejected.iter().map(|f| f.name.as_str()));
        }
        let folders: &[&str] = if manifest.merged {
            &["components/"]
        } else {
            &["features/", "moments/", "rejects/", "components/"]
        };
        for folder in folders {
            for file in self.store.entries(folder)? {
                let name = format!("{folder}{file}");
                if file.starts_with("part-") && !file.ends_with('/') && !known.contains(name.as_str()) {
                    self.store.remove(&name)?;
                }
            }
        }
        Ok(())
    }

    /// `rejects.csv`, and how often each reason occurs.
    fn rejects(&self, manifest: &Manifest) -> Result<(Vec<u8>, BTreeMap<String, u64>)> {
        let mut all = rejects_csv(&[])?;
        let mut reasons = BTreeMap::new();
        for part in &manifest.parts {
            let Some(file) = &part.rejected else { continue };
            let content = file.get(&*(self.store_of)(part)?)?;
            let mut reader = csv::Reader::from_reader(&content[..]);
            for record in reader.records().flatten() {
                let key = format!("{}: {}", record.get(1).unwrap_or(""), record.get(2).unwrap_or(""));
                // Reasons with numbers in them may all differ.
                if reasons.len() < 1000 || reasons.contains_key(&key) {
                    *reasons.entry(key).or_default() += 1;
                }
            }
            let header = content.iter().position(|b| *b == b'\n').map_or(0, |i| i + 1);
            all.extend_from_slice(content.get(header..).unwrap_or_default());
        }
        Ok((all, reasons))
    }

    fn summary(&self, manifest: &Manifest) -> Result<Summary> {
        let progress = self.control.progress();
        let mut summary = Summary {
            feature_length: self.columns,
            parts: manifest.parts.len() as u32,
            images_this_start: progress.images,
            skipped: manifest.skipped,
            device: self.device.clone(),
            versions: summary::versions(),
            options: manifest.config.clone(),
            peak_memory: summary::peak_memory(),
            ..Summary::default()
        };
        summary.options.insert(String::from("scale"), self.options.scale.to_string());
        let keep = self.options.keep.map_or_else(|| String::from("none"), |k| k.to_string());
        summary.options.insert(String::from("components"), keep);
        for part in &manifest.parts {
            summary.images += part.objects;
            summary.rows += part.rows;
            summary.rejected += part.rejects;
            for (class, n) in &part.classes {
                *summary.classes.entry(class.clone()).or_default() += n;
            }
            for (stage, s) in &part.seconds {
                *summary.seconds.entry(stage.clone()).or_default() += s;
            }
            for (stage, n) in &part.rejects_by_stage {
                *summary.rejected_by_stage.entry(stage.clone()).or_default() += n;
            }
        }
        summary.elapsed = self.begun.elapsed().as_secs_f64();
        summary.images_per_second = summary.images_this_start as f64 / summary.elapsed.max(1e-9);
        Ok(summary)
    }
}

/// A new artifact with the heads that were fitted to an earlier one, as far as what they read is still
/// the same.
fn with_heads(earlier: &[u8], made: Vec<u8>) -> Result<Vec<u8>> {
    // What is damaged or of another version is replaced.
    let (Ok(old), Ok(new)) = (PipelineFile::from_bytes(earlier), PipelineFile::from_bytes(&made)) else {
        return Ok(made);
    };
    let features =
        (old.network(), old.recipe(), old.weights_id()) == (new.network(), new.recipe(), new.weights_id());
    let components = features && old.projection() == new.projection();
    let same = |head: &&Head| if head.reads() == Reads::Features { features } else { components };
    let kept: Vec<&Head> = old.heads().iter().filter(same).collect();
    if kept.is_empty() {
        return Ok(made);
    }
    kept.into_iter().fold(new.to_builder(), PipelineBuilder::head).to_bytes()
}

/// `path,stage,reason` of the rejects of a part.
pub(super) fn rejects_csv(rejects: &[Reject]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rows = rejects.iter().map(|r| [r.path.as_str(), r.stage.name(), r.reason.as_str()]);
    for row in core::iter::once(["path", "stage", "reason"]).chain(rows) {
        writer
            .write_record(row)
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("rejects: {e}")).because(e))?;
    }
    writer.into_inner().map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("rejects: {e}")))
}

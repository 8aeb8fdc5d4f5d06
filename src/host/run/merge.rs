//! Many machines' shards → one fit, components and summary.

use super::{
    ArtifactFn, Fit, Manifest, OutputStore, RunOptions, Shard, finish::Finish, open_output, prepare,
};
use crate::{
    Error, ErrorKind, Result, Stage,
    host::{driver::Control, driver::Phase, summary::Summary},
    pca::Keep,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};
use std::time::Instant;

/// How shards are merged.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct MergeOptions {
    /// Components to keep; unless set, what the shards were asked for.
    pub keep: Option<Keep>,
    /// Whether features are scaled to unit variance; unless set, what the shards were asked for.
    pub scale: Option<bool>,
    /// Threads that project parts; unless set, one a core.
    pub workers: Option<usize>,
    /// Remove what an earlier merge left in the output.
    pub overwrite: bool,
    /// Makes the pipeline artifact of the fitted run.
    pub artifact: Option<Arc<ArtifactFn>>,
}

/// Merges the shards found in `inputs` (outputs of runs with a [`Shard`]; one output may hold
/// several) and writes components, artifact, `rejects.csv`, summary and a manifest that names where
/// every part is. Features stay where they are. `output` may be one of the inputs.
///
/// # Errors
/// [`ErrorKind::Insufficient`] naming the shards that are missing or unfinished;
/// [`ErrorKind::Mismatch`] if the shards are of different runs, saying what differs, or one is
/// given twice; [`ErrorKind::Interrupted`] after [`Control::cancel`]; and what the stores report.
pub fn merge(inputs: &[String], output: &str, options: &MergeOptions, control: &Control) -> Result<Summary> {
    let begun = Instant::now();
    control.enter(Phase::Start);
    let mut stores = BTreeMap::new();
    let mut shards = Vec::new();
    for input in inputs {
        let store = open_output(input)?;
        let before = shards.len();
        for name in store.entries("")?.iter().filter(|e| prepare::is_manifest(e)) {
            match Manifest::read(&*store, name)? {
                Some(manifest) if !manifest.merged => shards.push((input.clone(), manifest)),
                _ => {}
            }
        }
        if shards.len() == before {
            let m = "no manifest of a run here; name the output folders of the shards";
            return Err(Error::new(ErrorKind::NotFound, Stage::Run, m).at(input.clone()));
        }
        stores.insert(input.clone(), store);
    }
    let asked = fit(&shards, options)?;
    let mut merged = join(shards, inputs, output)?;
    merged.fit = Some(asked);
    let store = match stores.get(output) {
        Some(store) => Arc::clone(store),
        None => open_output(output)?,
    };
    let mut run = RunOptions {
        keep: asked.keep,
        scale: asked.scale,
        format: merged.table_format.clone(),
        artifact: options.artifact.clone(),
        ..RunOptions::default()
    };
    if let Some(workers) = options.workers {
        run.limits.workers = workers;
    }
    let columns = merged.config.get("feature length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let _lock = store.lock("merge")?;
    let merged = continue_from(&*store, merged, options.overwrite)?;
    merged.write(&*store)?;
    let here = Arc::clone(&store);
    let finish = Finish {
        store: &*store,
        store_of: &|part| match &part.origin {
            None => Ok(Arc::clone(&here)),
            Some(origin) => match stores.get(origin) {
                Some(store) => Ok(Arc::clone(store)),
                None => open_output(origin),
            },
        },
        options: &run,
        columns,
        device: String::from("none (merge)"),
        control,
        begun,
    };
    finish.run(merged)
}

/// What to fit: as asked here, else as the shards were asked, if they agree.
fn fit(shards: &[(String, Manifest)], options: &MergeOptions) -> Result<Fit> {
    let default = RunOptions::default();
    let mut all = shards.iter().map(|(place, shard)| {
        let theirs = shard.fit.unwrap_or(Fit { keep: default.keep, scale: default.scale });
        let keep = options.keep.map_or(theirs.keep, Some);
        (place, Fit { keep, scale: options.scale.unwrap_or(theirs.scale) })
    });
    let Some((place, first)) = all.next() else {
        return Ok(Fit {
            keep: options.keep.or(default.keep),
            scale: options.scale.unwrap_or(default.scale),
        });
    };
    match all.find(|(_, other)| *other != first) {
        None => Ok(first),
        Some((other, fit)) => {
            let m = format!(
                "the shards were asked for different fits: {} in {place}, {} in {other}; say what to fit with --components and --no-scale",
                show(first),
                show(fit)
            );
            Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(place.clone()))
        }
    }
}

fn show(fit: Fit) -> String {
    let keep = fit.keep.map_or_else(|| String::from("features alone"), |k| format!("components {k}"));
    format!("{keep}, {}", if fit.scale { "scaled" } else { "not scaled" })
}

/// One manifest of all shards, after making sure that they are all of one run and complete.
fn join(shards: Vec<(String, Manifest)>, inputs: &[String], output: &str) -> Result<Manifest> {
    let bad = |kind, m: String| Err(Error::new(kind, Stage::Run, m).at(inputs.join(", ")));
    let Some((place, first)) = shards.first() else {
        return bad(ErrorKind::InvalidArgument, String::from("nothing to merge; name the shards' outputs"));
    };
    let (place, count) = (place.clone(), first.shard.count);
    let mut merged = Manifest::new(first.config.clone(), first.table_format.clone(), Shard::WHOLE);
    merged.merged = true;
    (merged.parts_total, merged.objects_total) = (first.parts_total, first.objects_total);
    merged.skipped = first.skipped;
    let mut seen = BTreeSet::new();
    for (input, shard) in shards {
        let names = [format!("in {input}"), format!("in {place}")];
        if let Some(differences) = shard.differences(&merged.config, [&names[0], &names[1]]) {
            let m = format!("not shards of one run: {differences}; name the outputs of one run");
            return bad(ErrorKind::Mismatch, m);
        }
        if shard.shard.count != count {
            return bad(
                ErrorKind::Mismatch,
                format!(
                    "{input} is of {} shards, {place} of {count}; merge shards of one run",
                    shard.shard.count
                ),
            );
        }
        if !seen.insert(shard.shard.index) {
            return bad(
                ErrorKind::Mismatch,
                format!("shard {} of {count} is there twice; name each output once", shard.shard.index + 1),
            );
        }
        if shard.parts_total.is_none() {
            let m = format!(
                "shard {} of {count} in {input} is unfinished; start it again, then merge",
                shard.shard.index + 1
            );
            return bad(ErrorKind::Insufficient, m);
        }
        if (shard.parts_total, shard.objects_total) != (merged.parts_total, merged.objects_total) {
            let m = format!(
                "{input} saw {:?} pictures, {place} {:?}: the input changed between the shards; run them again",
                shard.objects_total.unwrap_or(0),
                merged.objects_total.unwrap_or(0)
            );
            return bad(ErrorKind::Mismatch, m);
        }
        let origin = (input != output).then_some(input);
        for mut part in shard.parts {
            part.origin.clone_from(&origin);
            merged.insert(part);
        }
    }
    // Some of them: a damaged manifest can ask for billions.
    let missing: Vec<_> =
        (0..count).filter(|i| !seen.contains(i)).map(|i| format!("{}/{count}", i + 1)).take(100).collect();
    if !missing.is_empty() {
        let m = format!("shards {} are missing; run them, or name their outputs too", missing.join(", "));
        return bad(ErrorKind::Insufficient, m);
    }
    let total = merged.parts_total.unwrap_or(0);
    if let Some(gap) = (0..total).find(|i| merged.part(*i).is_none()) {
        let m =
            format!("part {gap} of {total} is in none of the shards; start shard {} again", gap % count + 1);
        return bad(ErrorKind::Insufficient, m);
    }
    Ok(merged)
}

/// Keeps the components an earlier merge into the same output has made.
fn continue_from(store: &dyn OutputStore, mut merged: Manifest, overwrite: bool) -> Result<Manifest> {
    let name = merged.shard.manifest_name();
    let Some(earlier) = (if overwrite { None } else { Manifest::read(store, &name)? }) else {
        return Ok(merged);
    };
    if !earlier.merged && merged.parts.iter().any(|p| p.origin.is_some()) {
        let m = "the output holds a run of its own; choose another --output, or --overwrite";
        return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(store.describe()));
    }
    earlier.check_config(&merged.config, &store.describe())?;
    merged.components = earlier.components;
    Ok(merged)
}

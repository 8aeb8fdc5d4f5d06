//! `fruitcore weights`: published checkpoints.

use crate::{
    args::WeightsCommand,
    failure::Failure,
    inspect,
    text::{self, bytes, print, print_json},
};
use core::ops::ControlFlow;
use fruitcore::{
    Error, ErrorKind, Stage,
    featurize::weights::registry::{self, Entry},
    host::weights::{self, Cache, Progress},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::path::PathBuf;

pub(crate) fn weights(command: &WeightsCommand) -> Result<(), Failure> {
    match command {
        WeightsCommand::List { json } => list(*json),
        WeightsCommand::Fetch { names, quiet } => fetch(names, *quiet),
        WeightsCommand::Verify { names } => verify(names),
        WeightsCommand::Inspect { target, json } => {
            let file = match registry::find(target) {
                Ok(entry) if !PathBuf::from(target).exists() => obtain(entry, *json)?,
                _ => PathBuf::from(target),
            };
            inspect::checkpoint(&weights::inspect(file)?, *json)
        }
    }
}

/// A published checkpoint's verified file; fetched if it isn't in the cache yet.
pub(crate) fn obtain(entry: &'static Entry, quiet: bool) -> Result<PathBuf, Failure> {
    let cache = Cache::user()?;
    if quiet || cache.path(entry).exists() {
        return Ok(cache.fetch(entry, &mut |_| ControlFlow::Continue(()))?);
    }
    eprintln!("fetching {} from {}\n  {}", entry.name, cache.url(entry), entry.licence);
    // Ctrl-C ends the program here; what has arrived stays, and the next fetch goes on from it.
    let mut bar: Option<ProgressBar> = None;
    let done = cache.fetch(entry, &mut |p: Progress| {
        bar.get_or_insert_with(|| download_bar(p.total)).set_position(p.received);
        ControlFlow::Continue(())
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(done?)
}

pub(crate) fn download_bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{wide_bar} {bytes}/{total_bytes} · {bytes_per_sec} · {eta} left")
        }
        None => (ProgressBar::no_length(), "{spinner} {bytes} · {bytes_per_sec}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn list(as_json: bool) -> Result<(), Failure> {
    let cache = Cache::user()?;
    if as_json {
        let all: Vec<Value> = registry::list()
            .iter()
            .map(|e| {
                json!({
                    "name": e.name,
                    "network": e.network.name(),
                    "variant": e.variant.name(),
                    "width": e.width,
                    "head": e.head,
                    "preset": e.preset,
                    "top1": e.top1,
                    "url": cache.url(e),
                    "digest": e.digest.to_string(),
                    "licence": e.licence,
                    "path": cache.path(e),
                    "cached": cache.path(e).exists(),
                })
            })
            .collect();
        return print_json(&all);
    }
    let mut rows = vec![
        ["name", "network", "variant", "top-1", "preprocessing", "cached", "digest"]
            .map(String::from)
            .to_vec(),
    ];
    for e in registry::list() {
        let size = std::fs::metadata(cache.path(e)).map(|m| bytes(m.len()));
        rows.push(vec![
            e.name.to_owned(),
            e.network.to_string(),
            e.variant.to_string(),
            e.top1.map_or_else(|| "–".to_owned(), |t| format!("{t:.2}")),
            e.preset.to_owned(),
            size.unwrap_or_else(|_| "no".to_owned()),
            e.digest.to_string(),
        ]);
    }
    let folder = cache.path(registry::list().first().ok_or_else(none_known)?);
    let folder = folder.parent().map(|p| p.display().to_string()).unwrap_or_default();
    print(&format!("{}\ncache: {folder}\nlicences: fruitcore weights list --json\n", text::table(&rows)))
}

fn none_known() -> Error {
    Error::new(ErrorKind::NotFound, Stage::Weights, "this build knows no published checkpoints")
}

fn fetch(names: &[String], quiet: bool) -> Result<(), Failure> {
    // All names first: a typing error should not show after a long download.
    let entries = names.iter().map(|name| registry::find(name)).collect::<Result<Vec<_>, _>>()?;
    for entry in entries {
        let path = obtain(entry, quiet)?;
        print(&format!("{}: {}\n", entry.name, path.display()))?;
    }
    Ok(())
}

fn verify(names: &[String]) -> Result<(), Failure> {
    let cache = Cache::user()?;
    let entries = match names {
        [] => registry::list().iter().filter(|e| cache.path(e).exists()).collect(),
        _ => names.iter().map(|name| registry::find(name)).collect::<Result<Vec<_>, _>>()?,
    };
    if entries.is_empty() {
        return print("no checkpoint is in the cache; fruitcore weights fetch NAME\n");
    }
    let mut first = None;
    for entry in entries {
        match cache.verify(entry) {
            Ok(verified) => print(&format!("{verified}\n"))?,
            Err(e) => {
                eprintln!("{e}");
                first.get_or_insert(e);
            }
        }
    }
    first.map_or(Ok(()), |e| Err(e.into()))
}

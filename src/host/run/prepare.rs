//! What an output may hold when a run starts.

use super::{ARTIFACT, Manifest, OutputStore, Shard};
use crate::{Error, ErrorKind, Result, Stage, host::sink::Format};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

/// Folders and files of a run; nothing else in the output is ever touched.
const FOLDERS: [&str; 4] = ["features/", "moments/", "rejects/", "components/"];
const FILES: [&str; 3] = ["rejects.csv", "summary.json", ARTIFACT];

/// The manifest to go on from; written, so that even a run killed at once is recognised.
pub(super) fn prepare(
    store: &dyn OutputStore,
    config: BTreeMap<String, String>,
    format: &Format,
    shard: Shard,
    overwrite: bool,
) -> Result<Manifest> {
    let name = shard.manifest_name();
    if overwrite {
        clear(store, shard)?;
    }
    let entries = store.entries("")?;
    for other in entries.iter().filter(|e| is_manifest(e) && **e != name) {
        let Some(theirs) = Manifest::read(store, other)? else { continue };
        if theirs.merged {
            continue;
        }
        if theirs.shard.count != shard.count {
            let m = format!(
                "the output holds a run over {} machines, this one is over {}; choose another --output, or --overwrite",
                theirs.shard.count, shard.count
            );
            return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(store.describe()));
        }
        theirs.check_config(&config, &store.describe())?;
    }
    // Where nothing was finished (an input without pictures, say) nothing stands in the way.
    let mine = Manifest::read(store, &name)?.filter(|m| m.merged || !m.parts.is_empty());
    if let Some(mut manifest) = mine {
        if manifest.merged {
            let m = "the output holds the merge of several shards; choose another --output, or --overwrite";
            return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(store.describe()));
        }
        manifest.check_config(&config, &store.describe())?;
        let mut kept = Vec::with_capacity(manifest.parts.len());
        for part in core::mem::take(&mut manifest.parts) {
            let rejected = part.rejected.as_ref().map_or(Ok(true), |f| f.is_there(store))?;
            if rejected && part.features.is_there(store)? && part.moments.is_there(store)? {
                kept.push(part);
            }
        }
        manifest.parts = kept;
        return Ok(manifest);
    }
    // After clearing, only files are left that aren't a run's.
    if !overwrite && !entries.iter().any(|e| is_manifest(e)) {
        let known = |e: &&String| FOLDERS.contains(&e.as_str()) || FILES.contains(&e.as_str());
        if let Some(found) = entries.iter().find(known) {
            let m = format!(
                "the output holds {found:?} but no manifest of a run; choose another --output, or --overwrite"
            );
            return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(store.describe()));
        }
    }
    let manifest = Manifest::new(config, format.clone(), shard);
    manifest.write(store)?;
    Ok(manifest)
}

/// Removes a run's files: the whole output's, or for one of several shards only what its own
/// manifest names. The manifest goes first: a clearing that is cut short leaves files, not a run
/// with holes.
fn clear(store: &dyn OutputStore, shard: Shard) -> Result<()> {
    if shard.count > 1 {
        let name = shard.manifest_name();
        // A damaged manifest names nothing; its files are replaced part by part.
        let manifest = Manifest::read(store, &name).ok().flatten();
        store.remove(&name)?;
        for part in manifest.iter().flat_map(|m| &m.parts) {
            for file in
                [Some(&part.features), Some(&part.moments), part.rejected.as_ref()].into_iter().flatten()
            {
                store.remove(&file.name)?;
            }
        }
        return Ok(());
    }
    for entry in store.entries("")?.iter().filter(|e| is_manifest(e)) {
        store.remove(entry)?;
    }
    for folder in FOLDERS {
        for file in store.entries(folder)?.iter().filter(|f| f.starts_with("part-") && !f.ends_with('/')) {
            store.remove(&format!("{folder}{file}"))?;
        }
    }
    FILES.iter().try_for_each(|file| store.remove(file))
}

/// `manifest.json` or `manifest-I-of-N.json`.
pub(super) fn is_manifest(name: &str) -> bool {
    let middle = name.strip_prefix("manifest").and_then(|rest| rest.strip_suffix(".json"));
    middle.is_some_and(|m| {
        m.is_empty()
            || m.strip_prefix('-').and_then(|m| m.split_once("-of-")).is_some_and(|(i, n)| {
                [i, n].iter().all(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()))
            })
    })
}

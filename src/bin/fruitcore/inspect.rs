//! `fruitcore inspect`: what a file or an output folder holds.

use crate::{
    args::InspectArgs,
    failure::Failure,
    summary,
    text::{self, count, counted, print, print_json},
};
use fruitcore::{
    Error, ErrorKind, Stage,
    classify::{Head, Reads},
    featurize::weights::{Checkpoint, Inspection},
    host::{
        run::{LocalStore, Manifest, OutputStore, is_remote, open_output, read_file},
        setup::Fitted,
        sink::{Content, Format, Table},
        summary::Summary,
    },
    pca::{CovariancePca, IncrementalPca},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

pub(crate) fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    match &args.target {
        target if target.as_os_str() == "bundled" => artifact(&Fitted::open(target)?, args.json),
        target if target.is_dir() => folder(&LocalStore::new(target), args.json),
        // A URL doesn't tell a folder from a file; the name does.
        target if target.to_str().is_some_and(is_remote) && target.extension().is_none() => {
            folder(&*open_output(&target.display().to_string())?, args.json)
        }
        target => file(target, args.json),
    }
}

/// The tensors of a checkpoint, and what they are of.
pub(crate) fn checkpoint(found: &Inspection, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let tensors: Vec<Value> = found
            .tensors
            .iter()
            .map(|t| json!({ "name": t.name, "network_name": t.network_name, "dtype": t.dtype.to_string(), "shape": t.shape }))
            .collect();
        return print_json(&json!({
            "what": "checkpoint",
            "format": found.format.to_string(),
            "network": found.network.map(|n| n.name()),
            "variant": found.variant.map(|v| v.name()),
            "width": found.width,
            "head": found.head,
            "values": found.values,
            "tensors": tensors,
        }));
    }
    let mut rows = vec![["tensor", "type", "shape", "in the network"].map(String::from).to_vec()];
    for t in &found.tensors {
        let shape = t.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
        let name = match &t.network_name {
            Some(name) if *name == t.name => "the same".to_owned(),
            Some(name) => name.clone(),
            None => "not used".to_owned(),
        };
        rows.push(vec![t.name.clone(), t.dtype.to_string(), shape, name]);
    }
    print(&format!("{found}\n\n{}", text::table(&rows)))
}

fn folder(store: &dyn OutputStore, as_json: bool) -> Result<(), Failure> {
    let mut manifests = Vec::new();
    for name in store.entries("")? {
        if name.starts_with("manifest") && name.ends_with(".json") {
            manifests.extend(Manifest::read(store, &name)?);
        }
    }
    if manifests.is_empty() {
        let m = "holds no run: there is no manifest; name the --output of a run, or a file";
        return Err(Error::new(ErrorKind::NotFound, Stage::Run, m).at(store.describe()).into());
    }
    let summary = match store.get("summary.json")? {
        Some(bytes) => Some(parse::<Summary>(&bytes, "summary.json")?),
        None => None,
    };
    if as_json {
        return print_json(&json!({ "what": "run", "manifests": manifests, "summary": summary }));
    }
    let mut out = String::new();
    for manifest in &manifests {
        out.push_str(&state(manifest));
    }
    let config = manifests.first().map(|m| m.config.clone()).unwrap_or_default();
    let rows: Vec<_> = config.iter().map(|(k, v)| vec![format!("  {k}"), v.clone()]).collect();
    out.push_str(&format!("\nasked for\n{}", text::table(&rows)));
    if let Some(summary) = &summary {
        out.push_str(&format!("\nresult\n{}{}", summary::human(summary, store), classes(&summary.classes)));
    }
    print(&out)
}

/// How far a run has come.
fn state(manifest: &Manifest) -> String {
    let name = match (manifest.merged, manifest.shard.count) {
        (true, _) => "merged run".to_owned(),
        (false, 1) => "run".to_owned(),
        (false, n) => format!("shard {} of {n}", manifest.shard.index + 1),
    };
    let there = manifest.parts.len() as u64;
    let rows: u64 = manifest.parts.iter().map(|p| p.rows).sum();
    let rejects: u64 = manifest.parts.iter().map(|p| p.rejects).sum();
    let progress = match manifest.parts_total {
        Some(total) => format!("features done ({} of {total})", counted(there, "part", "parts")),
        None => format!("unfinished: {} so far; the same command goes on", counted(there, "part", "parts")),
    };
    format!(
        "{name} by fruitcore {}: {progress}, {} with components, {}, {} rejected\n",
        manifest.fruitcore,
        manifest.components.len(),
        counted(rows, "row", "rows"),
        count(rejects)
    )
}

/// The first classes by name.
fn classes(all: &BTreeMap<String, u64>) -> String {
    const SHOWN: usize = 20;
    if all.is_empty() {
        return String::new();
    }
    let rows: Vec<_> =
        all.iter().take(SHOWN).map(|(c, n)| vec![format!("  {}", c.escape_debug()), count(*n)]).collect();
    let more = all.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!("  … and {more} more in summary.json\n") } else { String::new() };
    format!("\nclasses\n{}{tail}", text::table(&rows))
}

fn file(path: &Path, as_json: bool) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let bytes = read_file(path, Stage::Config)?;
    if bytes.starts_with(b"PAR1") {
        return table(Format::Parquet, bytes, &shown, as_json);
    }
    if bytes.starts_with(b"ARROW1") {
        return table(Format::Ipc, bytes, &shown, as_json);
    }
    if bytes.starts_with(b"label,path,") {
        return table(Format::Csv(Default::default()), bytes, &shown, as_json);
    }
    if bytes.starts_with(b"fruitCOV") {
        return moments(&CovariancePca::from_bytes(&bytes).map_err(|e| e.at(&*shown))?, as_json);
    }
    if bytes.starts_with(b"{") && shown.ends_with(".json") {
        return json_file(&bytes, &shown, as_json);
    }
    if Fitted::is_fitted(&bytes) {
        return artifact(&Fitted::from_bytes(bytes).map_err(|e| e.at(&*shown))?, as_json);
    }
    match Checkpoint::from_bytes(bytes) {
        Ok(found) => checkpoint(&found.inspect(), as_json),
        Err(e) if e.kind() == ErrorKind::Unsupported => {
            let m = format!(
                "no output folder, artifact, features, components, PCA state or checkpoint: {}",
                e.message()
            );
            Err(Error::new(ErrorKind::Unsupported, Stage::Config, m).at(shown).into())
        }
        Err(e) => Err(e.at(shown).into()),
    }
}

fn table(format: Format, bytes: Vec<u8>, shown: &str, as_json: bool) -> Result<(), Failure> {
    let bytes = bytes::Bytes::from(bytes);
    // The content is told by the columns' names.
    let features = format.decode(Content::Features, bytes.clone());
    let (content, table) = match features {
        Ok(table) => ("features", table),
        Err(first) => match format.decode(Content::Components, bytes) {
            Ok(table) => ("components", table),
            Err(_) => return Err(first.at(shown).into()),
        },
    };
    let table: Table = table;
    let mut labels = BTreeMap::<String, u64>::new();
    for label in table.labels().iter().flatten() {
        *labels.entry(label.clone()).or_default() += 1;
    }
    if as_json {
        return print_json(&json!({
            "what": content, "format": format.extension(), "rows": table.len(), "columns": table.columns(), "labels": labels,
        }));
    }
    let mut out = format!(
        "{content}, {}: {} of {}\n",
        format.extension(),
        counted(table.len() as u64, "row", "rows"),
        counted(table.columns() as u64, "number", "numbers")
    );
    for (path, row) in table.paths().iter().zip(table.values().chunks(table.columns().max(1))).take(5) {
        let head: Vec<String> = row.iter().take(6).map(|v| format!("{v:.4}")).collect();
        let more = if row.len() > 6 { " …" } else { "" };
        out.push_str(&format!("  {}: {}{more}\n", path.escape_debug(), head.join(" ")));
    }
    out.push_str(&classes(&labels).replace("summary.json", "the file"));
    print(&out)
}

fn moments(state: &CovariancePca, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json(
            &json!({ "what": "pca state", "rows": state.count(), "columns": state.columns() }),
        );
    }
    print(&format!(
        "state of a scaler and a principal component analysis: {} of {}\n",
        counted(state.count(), "row", "rows"),
        counted(state.columns() as u64, "column", "columns")
    ))
}

fn artifact(fitted: &Fitted, as_json: bool) -> Result<(), Failure> {
    let projection = fitted.projection().ok();
    let features = fitted.network().feature_len()?;
    if as_json {
        let mut all = json!({
            "what": if fitted.is_model() { "model" } else { "pipeline" },
            "network": fitted.network(),
            "recipe": fitted.recipe(),
            "weights": weights(fitted),
            "features": features,
            "heads": fitted.heads().iter().map(|h| json!({
                "name": h.name(),
                "kind": h.model().kind(),
                "reads": h.reads(),
                "classes": h.classes(),
                "temperature": h.temperature(),
                "threshold": h.threshold(),
                "crop_pct": h.crop_pct(),
                "half_precision": h.is_half_precision(),
                "bytes": h.bytes(),
                "notes": h.notes(),
            })).collect::<Vec<_>>(),
        });
        if let (Some(p), Some(all)) = (projection, all.as_object_mut()) {
            all.insert("components".to_owned(), json!(p.kept()));
            all.insert("scaled".to_owned(), json!(p.scale().is_some()));
            all.insert("rows".to_owned(), json!(p.count()));
            all.insert("explained_variance_ratio".to_owned(), json!(p.explained_variance_ratio()));
            all.insert("classes".to_owned(), json!(fitted.classes()));
        }
        return print_json(&all);
    }
    let recipe = fitted.recipe();
    let mut rows = vec![
        ("network", fitted.network().to_string()),
        ("weights", weights(fitted)),
        ("recipe", format!("{} ({} steps)", recipe.name(), recipe.steps().len())),
    ];
    match projection {
        Some(p) => {
            let total: f64 = p.explained_variance_ratio().iter().sum();
            let scaled = if p.scale().is_some() { ", scaled to unit variance" } else { "" };
            rows.extend([
                ("fitted on", counted(p.count(), "picture", "pictures")),
                ("features", format!("{features}{scaled}")),
                ("components", format!("{}, explaining {:.2} % of the variance", p.kept(), 100.0 * total)),
            ]);
            if !fitted.is_model() {
                rows.push(("classes", count(fitted.classes().len() as u64)));
            }
        }
        None => rows.push(("features", count(features as u64))),
    }
    rows.extend(fitted.heads().iter().map(|h| ("head", head(h))));
    let rows: Vec<_> = rows.into_iter().map(|(k, v)| vec![format!("  {k}"), v]).collect();
    let what = if fitted.is_model() { "a trained model" } else { "a fitted pipeline" };
    print(&format!("{what}\n{}", text::table(&rows)))
}

/// Which weights, and whether they are inside.
fn weights(fitted: &Fitted) -> String {
    let id = fitted.weights_id();
    match (fitted.has_weights(), id.starts_with("random:")) {
        (true, _) => format!("{id} (inside)"),
        (false, true) => id.to_owned(),
        (false, false) => format!("{id} (not inside)"),
    }
}

/// A head in one line.
fn head(head: &Head) -> String {
    let reads = if head.reads() == Reads::Features { "features" } else { "components" };
    let unknown = match head.threshold() {
        0.0 => String::new(),
        p => format!(", unknown below {:.1} %", 100.0 * p),
    };
    let view = match head.crop_pct() {
        1.0 => String::new(),
        share => format!(", looks at {:.0} % of pictures' sides", 100.0 * share),
    };
    let notes: Vec<String> = head.notes().iter().map(|(k, v)| format!("{k}: {v}")).collect();
    let notes = if notes.is_empty() { String::new() } else { format!("; {}", notes.join("; ")) };
    format!(
        "{}: {} over {reads}, {}, {}{unknown}{view}{notes}",
        head.name(),
        head.model().kind(),
        counted(head.classes().len() as u64, "class", "classes"),
        text::bytes(head.bytes() as u64)
    )
}

fn json_file(bytes: &[u8], shown: &str, as_json: bool) -> Result<(), Failure> {
    let value: Value = parse(bytes, shown)?;
    if as_json {
        return print_json(&value);
    }
    if let Ok(summary) = serde_json::from_value::<Summary>(value) {
        let folder = Path::new(shown).parent().unwrap_or(Path::new("."));
        return print(&format!(
            "{}{}",
            summary::human(&summary, &*open_output(&folder.display().to_string())?),
            classes(&summary.classes)
        ));
    }
    let m = "is JSON but no summary; for a manifest, name its folder";
    Err(Error::new(ErrorKind::Unsupported, Stage::Config, m).at(shown).into())
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], shown: &str) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|e| {
        let m = format!("is damaged: {e}; start the run again to make it anew");
        Error::new(ErrorKind::Corrupt, Stage::Run, m).at(shown).because(e).into()
    })
}

//! One HTML page about an output, and its figures as SVG files.
//!
//! [`write()`] reads components, summary, rejects, clusters, map and predictions; makes what is
//! missing of clusters and map; and writes `report.html` and `figures/*.svg` beside them. The page
//! loads nothing: style, script, numbers and thumbnails are inside, and its content security policy
//! allows no more than that.

mod data;
mod occlusion;
mod page;
mod pictures;
mod svg;

pub use data::{GazeFn, Gazed};
pub use occlusion::occlusion;

use super::{
    cluster::{ClusterOptions, ClusterSummary, Clustering, Count},
    map::{Map, MapOptions, Method, plane},
    rows::{RowFiles, named},
    sample::{ValuesDigest, number},
    sink::{Format, Table},
    source::{self, Source, SourceOptions},
    summary::Summary,
};
use crate::{ErrorKind, Result};
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, string::ToString, vec::Vec};

/// What a report holds and how much of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct ReportOptions {
    /// Pictures: a folder, archive or URL. Unset: the run's input.
    pub pictures: Option<String>,
    /// Name of the page in the output. `report.html` unless set.
    pub file: String,
    /// Points drawn at most; more are sampled. 100,000 unless set.
    pub points: usize,
    /// Thumbnails at most; more are sampled. 4,000 unless set.
    pub thumbnails: usize,
    /// How the map is made if there is none; `None` for the principal components alone.
    pub map: Option<MapOptions>,
    /// Clusters if there are none yet; unset: as many as classes, or found by silhouette.
    pub clusters: Option<usize>,
    /// Where the network looks in a picture.
    pub gaze: Option<alloc::sync::Arc<GazeFn>>,
    /// Pictures whose gaze is shown; it costs a hundred forward passes each. 8 unless set.
    pub gazes: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            pictures: None,
            file: String::from("report.html"),
            points: 100_000,
            thumbnails: 4000,
            map: Some(MapOptions::default()),
            clusters: None,
            gaze: None,
            gazes: 8,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct ReportInfo {
    /// Name of the page below the output.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// Rows of the output, and how many are drawn.
    pub rows: usize,
    /// Points drawn.
    pub points: usize,
    /// Thumbnails in the page.
    pub thumbnails: usize,
    /// Names of the figures below the output.
    pub figures: Vec<String>,
    /// What is sampled, missing or left out.
    pub notes: Vec<String>,
}

/// What the report is being made of right now, for a progress line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Clusters.
    Clusters,
    /// The map: finished steps and steps in all.
    Map(usize, usize),
    /// Pictures.
    Pictures,
    /// The page itself.
    Page,
}

/// Everything known about the rows of an output.
struct Known {
    table: Table,
    summary: Option<Summary>,
    clustering: Clustering,
    map: Option<Map>,
    /// A prediction a row, where there is one.
    predictions: Option<Vec<Option<String>>>,
    rejects: Option<(usize, Vec<[String; 3]>)>,
    notes: Vec<String>,
}

/// Writes the page and the figures.
///
/// # Errors
/// What reading the rows and writing to the output report. Missing pictures, predictions or labels
/// are no errors: the page says what it lacks.
pub fn write(
    files: &RowFiles,
    options: &ReportOptions,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<ReportInfo> {
    let known = gather_known(files, options, progress)?;
    progress(Step::Pictures);
    data::write(files, options, known, progress)
}

fn gather_known(
    files: &RowFiles,
    options: &ReportOptions,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Known> {
    let store = &**files.store();
    let table = files.table()?;
    let mut notes = Vec::new();
    let summary: Option<Summary> = match store.get("summary.json")? {
        Some(bytes) if files.is_run() => serde_json::from_slice(&bytes).ok(),
        _ => None,
    };
    progress(Step::Clusters);
    // What an earlier run left here is of other rows.
    let digest = ValuesDigest::of(table.values());
    let clustering = clustering(files, &table, &digest, options)?;
    let mut map = Map::read(files)?.filter(|m| m.paths == table.paths() && m.summary.values == digest);
    if let (None, Some(asked)) = (&map, &options.map) {
        match Map::of(&table, asked, &mut |done, all| progress(Step::Map(done, all))) {
            Ok(made) => {
                made.write(files, &Format::Parquet)?;
                map = Some(made);
            }
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::Insufficient | ErrorKind::Unsupported | ErrorKind::NonFinite
                ) =>
            {
                notes.push(format!("no t-SNE map: {}", e.message()));
            }
            Err(e) => return Err(e),
        }
    }
    let map = map.filter(|m| m.summary.method == Method::Tsne);
    let wanted: [&[&str]; 2] = [&["path"], &["predicted", "prediction"]];
    let mut predictions = None;
    for stem in ["predictions", "evaluation"] {
        if let Ok(Some(columns)) = named(store, stem, &wanted)
            && let [paths, predicted] = &columns[..]
        {
            let by: BTreeMap<&str, &str> =
                paths.iter().map(String::as_str).zip(predicted.iter().map(String::as_str)).collect();
            let of = |p: &String| by.get(p.as_str()).filter(|l| !l.is_empty()).map(|l| (*l).to_string());
            let found: Vec<_> = table.paths().iter().map(of).collect();
            if found.iter().any(Option::is_some) {
                predictions = Some(found);
                break;
            }
        }
    }
    let rejects = match store.get("rejects.csv")? {
        Some(bytes) if files.is_run() => {
            let mut reader = csv::Reader::from_reader(&bytes[..]);
            let cell = |r: &csv::StringRecord, i: usize| r.get(i).unwrap_or_default().to_string();
            let all = reader.records().flatten().map(|r| [cell(&r, 0), cell(&r, 1), cell(&r, 2)]);
            let all: Vec<_> = all.collect();
            Some((all.len(), all.into_iter().take(500).collect()))
        }
        _ => None,
    };
    Ok(Known { table, summary, clustering, map, predictions, rejects, notes })
}

/// The clusters beside the rows, or new ones.
fn clustering(files: &RowFiles, table: &Table, digest: &str, options: &ReportOptions) -> Result<Clustering> {
    let store = &**files.store();
    let wanted: [&[&str]; 2] = [&["path"], &["cluster"]];
    if let (Some(columns), Some(json), None) =
        (named(store, "clusters", &wanted)?, store.get("clusters.json")?, options.clusters)
        && let Ok(summary) = serde_json::from_slice::<ClusterSummary>(&json)
        && summary.values == digest
        && columns.first().is_some_and(|p| p == table.paths())
    {
        let clusters = columns.get(1).into_iter().flatten().map(|c| c.parse().unwrap_or(-1)).collect();
        return Ok(Clustering {
            paths: table.paths().to_vec(),
            labels: table.labels().to_vec(),
            clusters,
            distances: Vec::new(),
            centroids: Vec::new(),
            summary,
        });
    }
    let (classes, _) = number(table.labels().iter().map(Option::as_deref));
    let count = match options.clusters {
        Some(k) => Count::Fixed(k),
        None if (2..table.len()).contains(&classes.len()) => Count::Fixed(classes.len()),
        None => Count::Auto { most: 30 },
    };
    let made = Clustering::of(files, &ClusterOptions::new(count))?;
    made.write(files, &Format::Parquet)?;
    Ok(made)
}

/// Opens the pictures, if any are named.
fn open_pictures(options: &ReportOptions, summary: Option<&Summary>) -> Option<Result<Box<dyn Source>>> {
    let input = options.pictures.clone().or_else(|| summary?.options.get("input").cloned())?;
    Some(source::open(&input, &SourceOptions::default()))
}

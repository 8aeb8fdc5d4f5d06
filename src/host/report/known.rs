//! What an output holds, and what the report makes because it is missing.

use super::{ReportOptions, Step};
use crate::{
    ErrorKind, Result,
    host::{
        cluster::{ClusterOptions, ClusterSummary, Clustering, Count},
        map::{Map, Method},
        rows::{RowFiles, named},
        sample::{ValuesDigest, number},
        sink::{Format, Table},
        summary::Summary,
    },
};
use alloc::{format, string::String, string::ToString, vec::Vec};

/// Rejects the page lists.
const REJECTS: usize = 500;

/// Everything known about the rows of an output.
pub(super) struct Known {
    pub(super) table: Table,
    pub(super) summary: Option<Summary>,
    pub(super) clustering: Clustering,
    pub(super) map: Option<Map>,
    /// How many there are, and the first of them.
    pub(super) rejects: Option<(usize, Vec<[String; 3]>)>,
    pub(super) notes: Vec<String>,
}

pub(super) fn gather(
    files: &RowFiles,
    table: Table,
    options: &ReportOptions,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Known> {
    let store = &**files.store();
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
    let rejects = match store.get("rejects.csv")? {
        Some(bytes) if files.is_run() => Some(rejects(&bytes)),
        _ => None,
    };
    Ok(Known { table, summary, clustering, map, rejects, notes })
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

fn rejects(csv: &[u8]) -> (usize, Vec<[String; 3]>) {
    let mut reader = csv::Reader::from_reader(csv);
    let cell = |r: &csv::StringRecord, i: usize| r.get(i).unwrap_or_default().to_string();
    let (mut all, mut first) = (0, Vec::new());
    for record in reader.records().flatten() {
        all += 1;
        if first.len() < REJECTS {
            first.push([0, 1, 2].map(|i| cell(&record, i)));
        }
    }
    (all, first)
}

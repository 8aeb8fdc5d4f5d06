//! Rows as points of a plane: principal components or t-SNE, how faithful the plane is, and new
//! points on a plane that is already there.

mod place;
mod quality;
mod tsne;

pub use place::{PlaceOptions, place};
pub use quality::{Quality, quality};
pub use tsne::{Tsne, TsneOptions, tsne};

use super::{
    neighbors::InvertedFile,
    rows::{Column, RowFiles, encode_columns, named, put_json},
    sample::{ValuesDigest, gather, sample},
    sink::{Format, Table},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    pca::{CovariancePca, IncrementalPca, Keep, Rows},
};
use alloc::{format, string::String, vec, vec::Vec};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Rows placed at once.
const PLACED: usize = 1 << 16;
/// Rows beyond which their nearest are looked for in lists, and in how many.
const MANY: usize = 200_000;
const PROBES: usize = 12;

/// How rows become points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Method {
    /// t-SNE on a grid (Linderman et al. 2019).
    #[default]
    Tsne,
    /// The plane of the first two principal components.
    Pca,
}

/// How a map is made.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MapOptions {
    /// How rows become points.
    pub method: Method,
    /// For t-SNE.
    pub tsne: TsneOptions,
    /// t-SNE is fitted on at most so many rows; the others are placed beside their nearest. 50,000
    /// unless set.
    pub most: usize,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self { method: Method::Tsne, tsne: TsneOptions::default(), most: 50_000 }
    }
}

/// What a map was made with and how faithful it is, as `map.json` holds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MapSummary {
    /// How rows became points.
    pub method: Method,
    /// Rows.
    pub rows: usize,
    /// Rows the map was fitted on; the others were placed.
    pub fitted: usize,
    /// Perplexity used, for t-SNE: less than asked if there are few rows.
    pub perplexity: Option<f32>,
    /// Seed.
    pub seed: u64,
    /// Whether another start gives the same map to the bit.
    pub deterministic: bool,
    /// How faithful; none for fewer than four rows.
    pub quality: Option<Quality>,
    /// Seconds taken.
    pub seconds: f64,
    /// SHA-256 of the rows mapped, as f32.
    pub values: String,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// Points of a plane with path and label.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// One path a row.
    pub paths: Vec<String>,
    /// One label a row, where there is one.
    pub labels: Vec<Option<String>>,
    /// `[rows, 2]`.
    pub points: Vec<f32>,
    /// How it was made.
    pub summary: MapSummary,
}

impl Map {
    /// The map of a table's rows. `progress` hears of finished steps and steps in all.
    ///
    /// # Errors
    /// [`ErrorKind::Insufficient`] for rows that are too few or all the same,
    /// [`ErrorKind::InvalidArgument`] for a perplexity that makes no sense.
    pub fn of(
        table: &Table,
        options: &MapOptions,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Self> {
        let begun = Instant::now();
        let rows = Rows::new(table.values(), table.columns())?;
        rows.expect(rows.columns(), Stage::Classify)?;
        let mut summary = MapSummary {
            method: options.method,
            rows: rows.len(),
            fitted: rows.len(),
            seed: options.tsne.seed,
            deterministic: true,
            values: ValuesDigest::of(table.values()),
            ..MapSummary::default()
        };
        let points = match options.method {
            Method::Pca => plane(rows)?,
            Method::Tsne => {
                let chosen = sample(rows.len(), options.most.max(4), options.tsne.seed);
                let d = rows.columns();
                let fitted_on = gather(rows.data(), d, &chosen);
                let made = tsne(Rows::new(&fitted_on, d)?, &options.tsne, progress)?;
                (summary.perplexity, summary.deterministic) = (Some(made.perplexity), made.deterministic);
                summary.fitted = chosen.len();
                if made.perplexity < options.tsne.perplexity {
                    summary.notes.push(format!(
                        "perplexity {} instead of {}: there are {} rows",
                        made.perplexity, options.tsne.perplexity, summary.fitted
                    ));
                }
                spread(rows, &chosen, &fitted_on, made.points, &mut summary)?
            }
        };
        summary.quality = quality(rows, &points, options.tsne.seed).ok();
        if let Some(compared) = summary.quality.map(|q| q.compared).filter(|c| *c < rows.len()) {
            let m = format!("quality is measured within {compared} of {} rows", rows.len());
            summary.notes.push(m);
        }
        summary.seconds = begun.elapsed().as_secs_f64();
        Ok(Self { paths: table.paths().to_vec(), labels: table.labels().to_vec(), points, summary })
    }

    /// Writes `map.parquet` (or `.csv`, `.arrow`: path, label, x, y) and `map.json`.
    ///
    /// # Errors
    /// What the output reports.
    pub fn write(&self, files: &RowFiles, format: &Format) -> Result<()> {
        write_points(files, "map", &self.paths, &self.labels, &self.points, format)?;
        put_json(&**files.store(), "map.json", &self.summary)
    }

    /// The map beside the rows, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the file is no map.
    pub fn read(files: &RowFiles) -> Result<Option<Self>> {
        let store = &**files.store();
        let wanted: [&[&str]; 4] = [&["path"], &["label"], &["x"], &["y"]];
        let Some(columns) = named(store, "map", &wanted)? else { return Ok(None) };
        let summary = match store.get("map.json")? {
            Some(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            None => MapSummary::default(),
        };
        let [paths, labels, x, y] = <[Vec<String>; 4]>::try_from(columns).unwrap_or_default();
        let mut points = Vec::with_capacity(2 * x.len());
        for text in x.iter().zip(&y).flat_map(|(x, y)| [x, y]) {
            points.push(text.parse().map_err(|_| {
                let m = format!("{text:?} is no coordinate; delete the map to have it made anew");
                Error::new(ErrorKind::Corrupt, Stage::Source, m).at("map")
            })?);
        }
        let labels = labels.into_iter().map(|l| (!l.is_empty()).then_some(l)).collect();
        Ok(Some(Self { paths, labels, points, summary }))
    }
}

/// Files of points: path, label, x, y.
///
/// # Errors
/// What the output reports.
pub fn write_points(
    files: &RowFiles,
    stem: &str,
    paths: &[String],
    labels: &[Option<String>],
    points: &[f32],
    format: &Format,
) -> Result<()> {
    let of = |axis: usize| points.iter().skip(axis).step_by(2).copied().collect::<Vec<f32>>();
    let (x, y) = (of(0), of(1));
    let columns = [
        ("path", Column::Text(paths)),
        ("label", Column::OptionalText(labels)),
        ("x", Column::Reals(&x)),
        ("y", Column::Reals(&y)),
    ];
    let name = format!("{stem}.{}", format.extension());
    files.store().put(&name, &encode_columns(&columns, format)?)
}

/// Rows on their first two principal components, `[n, 2]`; the second is 0 where there is one column.
///
/// # Errors
/// [`ErrorKind::Insufficient`] for fewer than two rows.
pub fn plane(rows: Rows<'_>) -> Result<Vec<f32>> {
    let mut pca = CovariancePca::new(rows.columns())?;
    pca.partial_fit(rows)?;
    let projection = pca.fit(Keep::Count(2.min(rows.columns())))?;
    let kept = projection.kept();
    let mut out = vec![0.0; rows.len() * kept];
    projection.transform_into(rows, &mut out)?;
    if kept == 2 {
        return Ok(out);
    }
    Ok(out.chunks_exact(kept.max(1)).flat_map(|r| [r.first().copied().unwrap_or(0.0), 0.0]).collect())
}

/// Puts the rows a map was not fitted on beside their nearest.
fn spread(
    rows: Rows<'_>,
    chosen: &[usize],
    fitted_on: &[f32],
    points: Vec<f32>,
    summary: &mut MapSummary,
) -> Result<Vec<f32>> {
    if chosen.len() == rows.len() {
        return Ok(points);
    }
    let d = rows.columns();
    let mapped = Rows::new(fitted_on, d)?;
    let index = match rows.len() - chosen.len() > MANY {
        true => Some(InvertedFile::new(mapped, summary.seed)?),
        false => None,
    };
    let found = match &index {
        Some(index) => format!("nearest, looked for in {PROBES} of {} lists", index.lists()),
        None => String::from("nearest"),
    };
    summary.notes.push(format!(
        "fitted on {} of {} rows; the others are placed beside their {found}",
        chosen.len(),
        rows.len()
    ));
    let mut all = vec![0.0; rows.len() * 2];
    let mut rest = Vec::with_capacity(rows.len() - chosen.len());
    let mut next = 0;
    for i in 0..rows.len() {
        if chosen.get(next) == Some(&i) {
            all[2 * i..2 * i + 2].copy_from_slice(&points[2 * next..2 * next + 2]);
            next += 1;
        } else {
            rest.push(i);
        }
    }
    // Some at a time: of millions of rows a copy would be large.
    for rest in rest.chunks(PLACED) {
        let others = gather(rows.data(), d, rest);
        let others = Rows::new(&others, d)?;
        let options = PlaceOptions::default();
        let placed = match &index {
            Some(index) => {
                place::between(&index.nearest(others, options.neighbors, PROBES)?, &points, options.steps)
            }
            None => place(mapped, &points, others, &options)?,
        };
        for (i, p) in rest.iter().zip(placed.chunks_exact(2)) {
            all[2 * i..2 * i + 2].copy_from_slice(p);
        }
    }
    Ok(all)
}

//! One HTML page about an output, and its figures as SVG and PNG files.
//!
//! [`write()`] reads components, summary, rejects, clusters and map; makes what is missing of clusters
//! and map; has the artifact's head classify the rows; and writes `report.html`, `figures/*.svg` and
//! `figures/*.png` beside them. The page loads nothing: style, script, numbers and thumbnails are
//! inside, and its content security policy allows no more than that.

mod classes;
mod compose;
mod draw;
mod facts;
mod figures;
mod gallery;
mod gaze;
mod json;
mod known;
mod occlusion;
mod page;
mod pictures;
mod points;
mod predictions;

pub use gaze::{GazeFn, Gazed};
pub use occlusion::{occlusion, occlusion_passes};

use super::{map::MapOptions, rows::RowFiles, source::SourceOptions};
use crate::Result;
use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;
use std::path::PathBuf;

/// What a report holds and how much of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct ReportOptions {
    /// Pictures: a folder, archive or URL. Unset: the run's input.
    pub pictures: Option<String>,
    /// How they are listed and fetched. Files that end as the rows' paths do are taken in any case.
    pub source: SourceOptions,
    /// How long to wait for pictures; the page goes without those that aren't there by then. Two minutes
    /// unless set.
    pub patience: Duration,
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
    /// Answers for the pictures: CSV, JSON lines, Parquet or Arrow with columns `path` and `prediction`,
    /// as `fruitcore predict` writes them, or the confusion matrix of `fruitcore evaluate`. Unset: what
    /// the artifact's head says of the run's own rows, if it has one.
    pub predictions: Option<PathBuf>,
    /// Which of the artifact's heads; unset: the first.
    pub head: Option<String>,
    /// Where the network looks in a picture.
    pub gaze: Option<Arc<GazeFn>>,
    /// Why there is no `gaze`, for the page to say.
    pub no_gaze: Option<String>,
    /// Pictures whose gaze is shown; it costs a hundred forward passes each. 8 unless set.
    pub gazes: usize,
    /// Which pictures, by path or file name. Unset: some that were confused, and one of each class.
    pub gaze_pictures: Vec<String>,
    /// How long it may take; the page says if that isn't enough. 3 seconds unless set.
    pub gaze_time: Option<Duration>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            pictures: None,
            source: SourceOptions::default(),
            patience: Duration::from_secs(120),
            file: String::from("report.html"),
            points: 100_000,
            thumbnails: 4000,
            map: Some(MapOptions::default()),
            clusters: None,
            predictions: None,
            head: None,
            gaze: None,
            no_gaze: None,
            gazes: 8,
            gaze_pictures: Vec::new(),
            gaze_time: Some(Duration::from_secs(3)),
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
    /// Pictures for which the page shows where the network looks.
    pub gazes: usize,
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
    /// Pictures, and where the network looks in them.
    Pictures,
    /// The page itself.
    Page,
}

/// Writes the page and the figures.
///
/// # Errors
/// What reading the rows and writing to the output report; [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch)
/// or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for a file of predictions that doesn't belong to
/// the rows, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a head that isn't there. Missing
/// pictures or labels are no errors: the page says what it lacks.
pub fn write(
    files: &RowFiles,
    options: &ReportOptions,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<ReportInfo> {
    let table = files.table()?;
    // First, since it is what can be wrong: clusters and map take their time.
    let found = predictions::find(files, &table, &classes::Classes::of(&table), options)?;
    let known = known::gather(files, table, options, progress)?;
    compose::write(files, options, known, found, progress)
}

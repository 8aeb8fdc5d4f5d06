//! Fitting a [`Head`] over the rows of a run, without holding them in memory.
//!
//! A share of each class is held back: the head is fitted on the others, its temperature (and
//! threshold, if asked) is set on those held back, and the figures of the report are measured there.

mod data;
mod split;

use crate::{
    Error, ErrorKind, Result, Stage,
    classify::{Evaluation, Head, Metric, Reads, Weighting},
    host::sink::Table,
    pca::Rows,
};
use alloc::{format, string::String, vec, vec::Vec};
use data::Data;
use serde::Serialize;
use split::{Division, Split};
use std::time::Instant;

/// What an automatic threshold may lose of the right answers.
const LOST: f64 = 0.05;
/// A head's note on how the rows were divided that it was fitted over.
const DIVISION: &str = "held back";

/// Which classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadKind {
    /// The nearest class mean.
    Centroid,
    /// Softmax regression by L-BFGS, until no component of the gradient is above 10⁻⁵ or the loss no
    /// longer falls.
    #[default]
    Softmax,
    /// k nearest neighbours.
    Neighbors,
}

/// Below which probability a picture is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Threshold {
    /// Never.
    #[default]
    Never,
    /// Below this.
    At(f32),
    /// Where 5 % of the right answers on the rows held back would be lost.
    Auto,
}

/// How a head is fitted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeadOptions {
    /// Its name in the artifact. `default` unless set.
    pub name: String,
    /// Which classifier.
    pub kind: HeadKind,
    /// What the rows are, and what the head will read.
    pub reads: Reads,
    /// Share of each class to hold back, from 0 to 0.9. 0.15 unless set.
    pub validation: f64,
    /// Below which probability a picture is unknown.
    pub threshold: Threshold,
    /// Softmax: strength of the penalty on the weights. Unset: of 100, 10, … 10⁻⁴, strongest first and
    /// until it gets worse, the one of least log-loss on the rows held back; 10⁻³ if there are none.
    pub l2: Option<f64>,
    /// Nearest neighbours: how many. Unset: 5, or as many rows as there are.
    pub neighbors: Option<usize>,
    /// Nearest neighbours: how distances are measured.
    pub metric: Metric,
    /// Nearest neighbours: how votes are weighted.
    pub weighting: Weighting,
    /// Nearest neighbours: reference rows to keep at most, a random sample. 20,000 unless set.
    pub references: usize,
    /// Keep the head's numbers in half precision.
    pub half: bool,
    /// Rows are kept in memory up to so many bytes, else read again for each pass. 512 MiB unless set.
    pub memory: usize,
    /// Which rows are held back or sampled.
    pub seed: u64,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            name: String::from("default"),
            kind: HeadKind::default(),
            reads: Reads::default(),
            validation: 0.15,
            threshold: Threshold::default(),
            l2: None,
            neighbors: None,
            metric: Metric::default(),
            weighting: Weighting::default(),
            references: 20_000,
            half: false,
            memory: 512 << 20,
            seed: 0,
        }
    }
}

/// What a fit gave. The figures are measured on the rows held back; `None` if there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeadReport {
    /// The head's name.
    pub name: String,
    /// `centroid`, `softmax` or `knn`.
    pub kind: String,
    /// What it reads.
    pub reads: Reads,
    /// Number of classes.
    pub classes: usize,
    /// Rows it was fitted on.
    pub fitted_on: u64,
    /// Rows held back.
    pub held_back: u64,
    /// Rows without a label, left out.
    pub unlabelled: u64,
    /// Classes with one picture only.
    pub single: Vec<String>,
    /// Classes none of whose pictures were held back.
    pub not_validated: Vec<String>,
    /// Softmax: strength of the penalty.
    pub l2: Option<f64>,
    /// Softmax: L-BFGS iterations.
    pub iterations: Option<usize>,
    /// Softmax: whether the stop rule was met before the limit of iterations.
    pub converged: Option<bool>,
    /// Nearest neighbours: reference rows kept.
    pub references: Option<usize>,
    /// Divides the scores.
    pub temperature: f32,
    /// Below it a picture is unknown.
    pub threshold: f32,
    /// The figures with that temperature.
    pub validation: Option<Figures>,
    /// The figures before calibration.
    pub uncalibrated: Option<Figures>,
    /// Size of the head's numbers in the artifact, in bytes.
    pub bytes: usize,
    /// How long it took.
    pub seconds: f64,
}

/// Measures of an [`Evaluation`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Figures {
    /// Share of rows whose most probable class is right.
    pub accuracy: f64,
    /// Share of rows whose class is among the five most probable.
    pub top5: f64,
    /// Mean recall of the classes that occur.
    pub balanced_accuracy: f64,
    /// Mean −ln of the right class's probability.
    pub log_loss: f64,
    /// Expected calibration error over 15 bins.
    pub calibration_error: f64,
    /// Share of rows below the threshold.
    pub unknown: f64,
}

impl From<&Evaluation> for Figures {
    fn from(found: &Evaluation) -> Self {
        Self {
            accuracy: found.accuracy(),
            top5: found.top(5),
            balanced_accuracy: found.balanced_accuracy(),
            log_loss: found.log_loss(),
            calibration_error: found.calibration_error(),
            unknown: found.unknown() as f64 / found.rows().max(1) as f64,
        }
    }
}

/// Hands all tables to its argument, the same ones in the same order each time.
pub type ReadTables<'a> = dyn Fn(&mut dyn FnMut(&Table) -> Result<()>) -> Result<()> + 'a;

/// Fits, calibrates and measures a head over the labelled rows that `read` hands out. It is called
/// two or three times, and once for each pass of the fit if the rows exceed `options.memory`; beside
/// those, eight bytes a row are held.
///
/// ```
/// use fruitcore::host::{heads::{HeadOptions, fit}, sink::{Content, Table}};
/// let mut table = Table::new(Content::Components, 2)?;
/// for i in 0..40u8 {
///     let (label, at) = if i % 2 == 0 { ("apple", 0.0) } else { ("kiwi", 3.0) };
///     table.push(format!("{i}.jpg"), Some(label), &[at, f32::from(i % 5)])?;
/// }
/// let (head, report) = fit(&|take| take(&table), &HeadOptions::default())?;
/// assert_eq!((report.fitted_on, report.held_back), (34, 6));
/// assert_eq!(report.validation.map(|v| v.accuracy), Some(1.0));
/// assert_eq!(head.predict(&[2.9, 1.0], 1)?.label(), Some("kiwi"));
/// # Ok::<(), fruitcore::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Insufficient`] for fewer than two classes, or for an automatic threshold without rows
/// held back; [`ErrorKind::InvalidArgument`] for options outside their range; [`ErrorKind::Shape`] and
/// [`ErrorKind::NonFinite`] for rows that don't fit; and what `read` returns.
pub fn fit(read: &ReadTables<'_>, options: &HeadOptions) -> Result<(Head, HeadReport)> {
    let begun = Instant::now();
    if !(0.0..=0.9).contains(&options.validation) {
        let m = format!("a share from 0 to 0.9 can be held back, not {}", options.validation);
        return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
    }
    let data = Data::new(read, options)?;
    let mut report = HeadReport {
        name: options.name.clone(),
        reads: options.reads,
        classes: data.classes.len(),
        fitted_on: data.fitted_on,
        held_back: data.held_labels.len() as u64,
        unlabelled: data.unlabelled,
        single: data.single.clone(),
        not_validated: data.not_validated(),
        ..HeadReport::default()
    };
    let model = data.model(options, &mut report)?;
    let mut head = Head::new(options.name.clone(), options.reads, model)?;
    if options.half {
        head = head.in_half_precision()?;
    }
    let held = Rows::new(&data.held, data.columns)?;
    if !data.held_labels.is_empty() {
        report.uncalibrated = Some(Figures::from(&evaluate(&head, held, &data.held_labels)?));
        head = head.calibrate(held, &data.held_labels)?;
    }
    head = match options.threshold {
        Threshold::Never => head,
        Threshold::At(p) => head.with_threshold(p)?,
        Threshold::Auto if data.held_labels.is_empty() => {
            let m = "an automatic threshold needs rows held back, but no class has enough pictures; set one, or give more pictures";
            return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, m));
        }
        Threshold::Auto => {
            let p = head.threshold_losing(LOST, held, &data.held_labels)?;
            head.with_threshold(p)?
        }
    };
    if !data.held_labels.is_empty() {
        report.validation = Some(Figures::from(&evaluate(&head, held, &data.held_labels)?));
    }
    head = head.note("fitted on", format!("{} pictures", data.fitted_on));
    if let Some(v) = &report.validation {
        let m = format!("accuracy {:.4} on {} pictures held back", v.accuracy, report.held_back);
        head = head.note("validation", m);
    }
    if let Ok(division) = serde_json::to_string(&data.division) {
        head = head.note(DIVISION, division);
    }
    report.kind = String::from(head.model().kind());
    (report.temperature, report.threshold) = (head.temperature(), head.threshold());
    report.bytes = head.bytes();
    report.seconds = begun.elapsed().as_secs_f64();
    Ok((head, report))
}

/// Which of the rows, given as path and label, were held back when `head` was fitted over them: on those
/// its answers are as good as on new ones. `None` if it was fitted over other rows, or doesn't say.
///
/// ```
/// use fruitcore::host::{heads::{HeadOptions, fit, held_back}, sink::{Content, Table}};
/// let mut table = Table::new(Content::Components, 1)?;
/// for i in 0..40u8 {
///     table.push(format!("{i}.jpg"), Some(if i % 2 == 0 { "apple" } else { "kiwi" }), &[f32::from(i % 2)])?;
/// }
/// let (head, report) = fit(&|take| take(&table), &HeadOptions::default())?;
/// let back = held_back(&head, table.paths(), table.labels()).expect("fitted over these rows");
/// assert_eq!(back.iter().filter(|b| **b).count() as u64, report.held_back);
/// assert_eq!(held_back(&head, &table.paths()[1..], &table.labels()[1..]), None);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub fn held_back(head: &Head, paths: &[String], labels: &[Option<String>]) -> Option<Vec<bool>> {
    let division: Division = serde_json::from_str(head.notes().get(DIVISION)?).ok()?;
    let rows = || paths.iter().map(String::as_str).zip(labels.iter().map(Option::as_deref));
    let split = Split::again(&division, rows().filter_map(|(path, label)| Some((path, label?))))?;
    let back = |(path, label): (&str, Option<&str>)| label.and_then(|l| split.holds_back(path, l));
    Some(rows().map(|row| back(row) == Some(true)).collect())
}

/// How a head does on labelled rows.
///
/// # Errors
/// [`ErrorKind::Shape`], [`ErrorKind::NonFinite`] or [`ErrorKind::InvalidArgument`] for rows or labels
/// that don't fit the head.
pub fn evaluate(head: &Head, rows: Rows<'_>, labels: &[u32]) -> Result<Evaluation> {
    let k = head.classes().len();
    let mut found = Evaluation::new(k)?;
    let mut probabilities = vec![0.0; labels.len() * k];
    head.probabilities_of(rows, &mut probabilities)?;
    for (p, label) in probabilities.chunks_exact(k).zip(labels) {
        found.add(*label, p, head.prediction(p, 1).class().is_some())?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;

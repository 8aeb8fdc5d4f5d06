//! Fitting a [`Head`] over the rows of a run, without holding them in memory.
//!
//! A share of each class is held back: the head is fitted on the others, its temperature (and
//! threshold, if asked) is set on those held back, and the figures of the report are measured there.

mod split;

use crate::{
    Error, ErrorKind, Result, Stage,
    classify::{
        CentroidFit, Evaluation, Head, Metric, Model, NeighborsFit, Reads, Weighting,
        softmax::{Softmax, SoftmaxFit, SoftmaxReport},
    },
    host::sink::Table,
    pca::Rows,
};
use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use serde::Serialize;
use split::Split;
use std::time::Instant;

/// Rows held back at most: more don't make the figures or the temperature better.
const HELD_BACK: usize = 20_000;
/// The same where every row is compared with all reference rows.
const HELD_BACK_NEIGHBORS: usize = 4_000;
/// Strengths tried for a softmax regression.
const PENALTIES: [f64; 7] = [100.0, 10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4];
/// What an automatic threshold may lose of the right answers.
const LOST: f64 = 0.05;

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
    report.kind = String::from(head.model().kind());
    (report.temperature, report.threshold) = (head.temperature(), head.threshold());
    report.bytes = head.bytes();
    report.seconds = begun.elapsed().as_secs_f64();
    Ok((head, report))
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

/// Labelled rows, some of them held back.
struct Data<'r> {
    read: &'r ReadTables<'r>,
    split: Split,
    classes: Vec<String>,
    columns: usize,
    unlabelled: u64,
    single: Vec<String>,
    fitted_on: u64,
    /// Rows to fit on, if they are kept in memory.
    kept: Option<(Vec<f32>, Vec<u32>)>,
    held: Vec<f32>,
    held_labels: Vec<u32>,
}

impl<'r> Data<'r> {
    fn new(read: &'r ReadTables<'r>, options: &HeadOptions) -> Result<Self> {
        let mut split = Split::new(options.seed);
        let (mut unlabelled, mut rows, mut columns) = (0, 0u64, 0);
        read(&mut |table| {
            columns = table.columns();
            for (path, label) in table.paths().iter().zip(table.labels()) {
                match label {
                    Some(label) => split.see(path, label),
                    None => unlabelled += 1,
                }
                rows += u64::from(label.is_some());
            }
            Ok(())
        })?;
        let most = if options.kind == HeadKind::Neighbors { HELD_BACK_NEIGHBORS } else { HELD_BACK };
        split.finish(options.validation, most);
        let classes: Vec<String> = split.classes().map(|(label, _)| String::from(label)).collect();
        let single = split.classes().filter(|(_, n)| *n == 1).map(|(label, _)| String::from(label)).collect();
        if let [] | [_] = classes.as_slice() {
            let m = match classes.first() {
                None if unlabelled > 0 => {
                    format!("none of {unlabelled} pictures has a label; run again with another --label rule")
                }
                None => String::from("there are no pictures to fit on"),
                Some(one) => format!(
                    "all pictures are of one class, `{one}`; a head tells at least two apart, so check the --label rule of the run"
                ),
            };
            return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, m));
        }
        let bytes = rows.saturating_mul(4 * columns as u64);
        let kept = (bytes <= options.memory as u64).then(|| (Vec::new(), Vec::new()));
        let (held, held_labels) = (Vec::new(), Vec::new());
        let mut data =
            Self { read, split, classes, columns, unlabelled, single, fitted_on: 0, kept, held, held_labels };
        data.load()?;
        Ok(data)
    }

    /// Takes what is held back, and all else if it fits in memory.
    fn load(&mut self) -> Result<()> {
        let mut kept = self.kept.take();
        let (mut held, mut held_labels, mut fitted_on) = (Vec::new(), Vec::new(), 0);
        self.rows(&mut |row, label, back| {
            if back {
                held.extend_from_slice(row);
                held_labels.push(label);
                return Ok(());
            }
            fitted_on += 1;
            if let Some((values, labels)) = &mut kept {
                values.extend_from_slice(row);
                labels.push(label);
            }
            Ok(())
        })?;
        (self.kept, self.held, self.held_labels, self.fitted_on) = (kept, held, held_labels, fitted_on);
        Ok(())
    }

    /// All labelled rows, with class and whether they are held back.
    fn rows(&self, take: &mut dyn FnMut(&[f32], u32, bool) -> Result<()>) -> Result<()> {
        let numbers: BTreeMap<&str, u32> = self.classes.iter().map(String::as_str).zip(0..).collect();
        (self.read)(&mut |table| {
            if table.columns() != self.columns {
                let m = format!("rows of {} numbers after rows of {}", table.columns(), self.columns);
                return Err(Error::new(ErrorKind::Shape, Stage::Classify, m));
            }
            let rows = table.values().chunks_exact(self.columns.max(1));
            for ((path, label), row) in table.paths().iter().zip(table.labels()).zip(rows) {
                let Some(label) = label else { continue };
                let (Some(number), Some(back)) =
                    (numbers.get(label.as_str()), self.split.holds_back(path, label))
                else {
                    let m = "the rows changed while they were read; fit again when the run is finished";
                    return Err(Error::new(ErrorKind::Mismatch, Stage::Classify, m).at(path.clone()));
                };
                take(row, *number, back)?;
            }
            Ok(())
        })
    }

    /// The rows to fit on, batch by batch.
    fn batches(&self, take: &mut dyn FnMut(Rows<'_>, &[u32]) -> Result<()>) -> Result<()> {
        if let Some((values, labels)) = &self.kept {
            return take(Rows::new(values, self.columns)?, labels);
        }
        const BATCH: usize = 4096;
        let (mut values, mut labels) = (Vec::with_capacity(BATCH * self.columns), Vec::with_capacity(BATCH));
        self.rows(&mut |row, label, back| {
            if back {
                return Ok(());
            }
            values.extend_from_slice(row);
            labels.push(label);
            if labels.len() == BATCH {
                take(Rows::new(&values, self.columns)?, &labels)?;
                values.clear();
                labels.clear();
            }
            Ok(())
        })?;
        if labels.is_empty() { Ok(()) } else { take(Rows::new(&values, self.columns)?, &labels) }
    }

    fn model(&self, options: &HeadOptions, report: &mut HeadReport) -> Result<Model> {
        let names = |labels: &[u32]| -> Vec<&str> {
            labels.iter().filter_map(|l| self.classes.get(*l as usize)).map(String::as_str).collect()
        };
        match options.kind {
            HeadKind::Centroid => {
                let mut fit = CentroidFit::new(self.columns)?;
                self.batches(&mut |rows, labels| fit.partial_fit(rows, &names(labels)))?;
                fit.finish().map(Model::from)
            }
            HeadKind::Softmax => {
                let (model, how, l2) = match options.l2 {
                    Some(l2) => self.softmax(l2)?,
                    None if self.held_labels.is_empty() => self.softmax(1e-3)?,
                    None => self.best_softmax()?,
                };
                report.l2 = Some(l2);
                report.iterations = Some(how.iterations);
                report.converged = Some(how.converged);
                Ok(model.into())
            }
            HeadKind::Neighbors => {
                let fit = NeighborsFit::new(self.columns)?;
                let mut fit = fit.at_most(options.references, options.seed);
                self.batches(&mut |rows, labels| fit.partial_fit(rows, &names(labels)))?;
                let there = usize::try_from(fit.seen()).unwrap_or(usize::MAX).min(options.references);
                let k = options.neighbors.unwrap_or_else(|| there.clamp(1, 5));
                let model = fit.finish(k, options.metric, options.weighting)?;
                report.references = Some(model.labels().len());
                Ok(model.into())
            }
        }
    }

    fn softmax(&self, l2: f64) -> Result<(Softmax, SoftmaxReport, f64)> {
        let fit = SoftmaxFit::new(self.columns, self.classes.clone())?.l2(l2);
        let (model, how) = fit.fit(|visit| self.batches(visit))?;
        Ok((model, how, l2))
    }

    /// The penalty that serves the rows held back best. Strong penalties converge in a few passes, so
    /// the search begins there.
    fn best_softmax(&self) -> Result<(Softmax, SoftmaxReport, f64)> {
        let held = Rows::new(&self.held, self.columns)?;
        let loss = |model: &Softmax| -> Result<f64> {
            let head = Head::new("candidate", Reads::default(), model.clone())?;
            let head = head.calibrate(held, &self.held_labels)?;
            Ok(evaluate(&head, held, &self.held_labels)?.log_loss())
        };
        let [strongest, weaker @ ..] = PENALTIES;
        let mut best = self.softmax(strongest)?;
        let mut least = loss(&best.0)?;
        for l2 in weaker {
            let next = self.softmax(l2)?;
            let found = loss(&next.0)?;
            if found >= least {
                break;
            }
            (best, least) = (next, found);
        }
        Ok(best)
    }

    fn not_validated(&self) -> Vec<String> {
        let mut there = vec![false; self.classes.len()];
        for label in &self.held_labels {
            if let Some(place) = there.get_mut(*label as usize) {
                *place = true;
            }
        }
        self.classes.iter().zip(there).filter(|(_, there)| !there).map(|(class, _)| class.clone()).collect()
    }
}

#[cfg(test)]
mod tests;

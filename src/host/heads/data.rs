//! The labelled rows of a run, and the models fitted on them.

use super::{
    HeadKind, HeadOptions, HeadReport, ReadTables, evaluate,
    split::{Division, Split},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    classify::{
        CentroidFit, Head, Model, NeighborsFit, Reads,
        softmax::{Softmax, SoftmaxFit, SoftmaxReport},
    },
    pca::Rows,
};
use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};

/// Takes a row, its class and whether it is held back.
type Take<'t> = dyn FnMut(&[f32], u32, bool) -> Result<()> + 't;

/// Rows held back at most: more don't make the figures or the temperature better.
const HELD_BACK: usize = 20_000;
/// The same where every row is compared with all reference rows.
const HELD_BACK_NEIGHBORS: usize = 4_000;
/// Strengths tried for a softmax regression.
const PENALTIES: [f64; 7] = [100.0, 10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4];

/// Labelled rows, some of them held back.
pub(super) struct Data<'r> {
    read: &'r ReadTables<'r>,
    split: Split,
    pub(super) division: Division,
    pub(super) classes: Vec<String>,
    pub(super) columns: usize,
    pub(super) unlabelled: u64,
    pub(super) single: Vec<String>,
    pub(super) fitted_on: u64,
    /// Rows to fit on, if they are kept in memory.
    kept: Option<(Vec<f32>, Vec<u32>)>,
    pub(super) held: Vec<f32>,
    pub(super) held_labels: Vec<u32>,
}

impl<'r> Data<'r> {
    pub(super) fn new(read: &'r ReadTables<'r>, options: &HeadOptions) -> Result<Self> {
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
        let division = split.finish(options.validation, most);
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
        let mut data = Self {
            read,
            split,
            division,
            classes,
            columns,
            unlabelled,
            single,
            fitted_on: 0,
            kept,
            held,
            held_labels,
        };
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
    fn rows(&self, take: &mut Take<'_>) -> Result<()> {
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

    pub(super) fn model(&self, options: &HeadOptions, report: &mut HeadReport) -> Result<Model> {
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

    pub(super) fn not_validated(&self) -> Vec<String> {
        let mut there = vec![false; self.classes.len()];
        for label in &self.held_labels {
            if let Some(place) = there.get_mut(*label as usize) {
                *place = true;
            }
        }
        self.classes.iter().zip(there).filter(|(_, there)| !there).map(|(class, _)| class.clone()).collect()
    }
}

//! A fitted pipeline's or a model's network over pictures: what `transform`, `predict` and `evaluate` share.

use crate::{
    args::{ClassifyArgs, ModelArgs, SourceArgs, WorkArgs},
    failure::Failure,
    network, progress, stages,
    text::{self, count},
};
use core::time::Duration;
use fruitcore::{
    Error, ErrorKind, Result, Stage,
    host::{
        driver::{Control, Driver, Limits, Reject, Wanted},
        setup::Fitted,
        sink::Table,
        source::{self, Source},
    },
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

/// Takes a part's number, rows and rejects.
pub(crate) type Take<'t> = dyn FnMut(u32, &Table, Vec<Reject>) -> Result<()> + Send + 't;

/// Pictures, and the pipeline they go through.
pub(crate) struct Job {
    pub(crate) fitted: Fitted,
    source: Arc<dyn Source>,
    driver: Driver,
    input: String,
    quiet: bool,
}

impl Job {
    pub(crate) fn new(
        from: &SourceArgs,
        fitted: Fitted,
        model: &ModelArgs,
        work: &WorkArgs,
        quiet: bool,
    ) -> core::result::Result<Self, Failure> {
        let source: Arc<dyn Source> = Arc::from(source::open(&from.input, &from.options())?);
        let fitted = match model.precision {
            Some(precision) => fitted.precision(precision),
            None => fitted,
        };
        let device = network::device(model.device)?;
        let limits = stages::limits(work, Limits::for_device(&device));
        let setup = fitted.setup(model.weights.as_ref(), device)?;
        let driver = Driver {
            stages: setup.stages(),
            limits,
            part_size: 1,
            limit: from.limit,
            strict: work.strict,
            count_ahead: progress::count_ahead(&from.input, quiet),
        };
        Ok(Self { fitted, source, driver, input: from.input.clone(), quiet })
    }

    /// What `predict` and `evaluate` are asked for; the model in the box, unless another is named.
    pub(crate) fn classifier(args: &ClassifyArgs, quiet: bool) -> core::result::Result<Self, Failure> {
        let fitted = Fitted::open(args.model.as_deref().unwrap_or(Path::new("bundled")))?;
        let fitted = fitted.seen_by(args.head.as_deref())?;
        Self::new(&args.source, fitted, &args.on, &args.work, quiet)
    }

    /// Hands the features of all pictures to `take`, `part` pictures at a time, in order. Rejects are
    /// told on standard error.
    pub(crate) fn run(&self, part: usize, take: &mut Take<'_>) -> core::result::Result<Counts, Failure> {
        let begun = Instant::now();
        let mut counts = Counts::default();
        let control = Control::default();
        let driver = Driver { part_size: part, ..self.driver.clone() };
        let done = progress::watch(&control, self.quiet, || {
            driver.run(Arc::clone(&self.source), &control, &|_| Wanted::Compute, &mut |part| {
                let Some(output) = part.output else { return Ok(()) };
                counts.add(&output.table, &output.rejects);
                for reject in output.rejects.iter().filter(|_| !self.quiet) {
                    eprintln!("rejected: {}", reject.to_error());
                }
                take(part.input.index, &output.table, output.rejects)
            })
        });
        done.map_err(|e| progress::explain(e, &control, self.driver.strict))?;
        if counts.images == 0 {
            let m = "no pictures found; check the path and the filter";
            return Err(Error::new(ErrorKind::NotFound, Stage::Source, m).at(&self.input).into());
        }
        counts.elapsed = begun.elapsed().as_secs_f64();
        Ok(counts)
    }

    /// An error if there were pictures, but none could be used.
    pub(crate) fn any_usable(&self, counts: &Counts) -> Result<()> {
        if counts.rows > 0 {
            return Ok(());
        }
        let m = format!("none of {} could be used", text::counted(counts.images, "picture", "pictures"));
        Err(Error::new(ErrorKind::Insufficient, Stage::Run, m).at(&self.input))
    }
}

/// What went through; printed by `--json`.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Counts {
    pub(crate) images: u64,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) rejected_by_stage: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) components: Option<usize>,
    pub(crate) elapsed: f64,
}

impl Counts {
    fn add(&mut self, table: &Table, rejects: &[Reject]) {
        self.rows += table.len() as u64;
        self.rejected += rejects.len() as u64;
        self.images = self.rows + self.rejected;
        for reject in rejects {
            *self.rejected_by_stage.entry(reject.stage.name().to_owned()).or_default() += 1;
        }
    }
}

/// For people.
impl core::fmt::Display for Counts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let pictures = text::counted(self.images, "picture", "pictures");
        write!(f, "{pictures} · {} rejected", count(self.rejected))?;
        if let Some(k) = self.components {
            write!(f, " · {k} components")?;
        }
        write!(f, " · {}", text::duration(Duration::from_secs_f64(self.elapsed.max(0.0))))
    }
}

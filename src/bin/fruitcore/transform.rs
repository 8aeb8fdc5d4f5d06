//! `fruitcore transform`: a fitted pipeline on other pictures.

use crate::{args::TransformArgs, artifact::Fitted, failure::Failure, progress, stages, text};
use core::time::Duration;
use fruitcore::{
    Error, ErrorKind, Result, Stage,
    host::{
        driver::{Control, Driver, Listing, Reject, Wanted},
        run::{OutputStore, open_output},
        sink::{Content, CsvOptions, Format, Table},
        source::{self, Source},
    },
    pca::{Projection, Rows},
};
use std::{collections::BTreeMap, io::Write, sync::Arc, time::Instant};

/// Pictures in a part.
const PART: usize = 1024;

pub(crate) fn transform(args: &TransformArgs) -> core::result::Result<(), Failure> {
    let begun = Instant::now();
    if args.output.is_none() && args.report.json {
        return Err(Failure::usage(
            "without --output the components are on standard output; --json needs --output",
        ));
    }
    let options = args.source.options();
    let source: Arc<dyn Source> = Arc::from(source::open(&args.source.input, &options)?);
    let fitted = Fitted::open(&args.model)?;
    let setup = fitted.setup(args.weights.as_ref(), args.device)?;
    let driver = Driver {
        stages: stages::stages(&setup),
        limits: stages::limits(&args.work),
        part_size: PART,
        limit: args.source.limit,
        strict: args.work.strict,
        count_ahead: progress::count_ahead(&args.source.input, args.report.quiet),
    };
    let mut sink = match &args.output {
        Some(out) => Sink::Store(Files::new(open_output(out)?, args.format.format())?),
        None => Sink::Stdout(Csv { options: args.format.csv() }),
    };
    let mut counts = Counts::default();
    let control = Control::default();
    let done = progress::watch(&control, args.report.quiet, || {
        apply(&driver, source, &control, fitted.projection(), &mut |index, table, rejects| {
            counts.add(&table, &rejects);
            for reject in rejects.iter().filter(|_| !args.report.quiet) {
                eprintln!("rejected: {}", reject.to_error());
            }
            sink.take(index, &table, rejects)
        })
    });
    done.map_err(|e| progress::explain(e, &control, args.work.strict))?;
    if counts.images == 0 {
        let m = "no pictures found; check the path and the filter";
        return Err(Error::new(ErrorKind::NotFound, Stage::Source, m).at(&args.source.input).into());
    }
    sink.finish()?;
    if counts.rows == 0 {
        let m = format!("none of {} could be used", text::counted(counts.images, "picture", "pictures"));
        return Err(Error::new(ErrorKind::Insufficient, Stage::Run, m).at(&args.source.input).into());
    }
    if args.report.json {
        counts.elapsed = begun.elapsed().as_secs_f64();
        text::print_json(&counts)?;
    }
    if !args.report.quiet {
        eprintln!(
            "{} · {} rejected · {} components · {}",
            text::counted(counts.images, "picture", "pictures"),
            text::count(counts.rejected),
            fitted.projection().kept(),
            text::duration(Duration::from_secs_f64(begun.elapsed().as_secs_f64()))
        );
    }
    Ok(())
}

/// Runs pictures through stages and projection; `sink` gets the parts in order.
pub(crate) fn apply(
    driver: &Driver,
    source: Arc<dyn Source>,
    control: &Control,
    projection: &Projection,
    sink: &mut (dyn FnMut(u32, Table, Vec<Reject>) -> Result<()> + Send),
) -> Result<Listing> {
    let found = driver.stages.featurizer.feature_len();
    if found != projection.columns() {
        let m = format!(
            "the pipeline was fitted on {} features, the network gives {found}",
            projection.columns()
        );
        return Err(Error::new(ErrorKind::Mismatch, Stage::Artifact, m));
    }
    driver.run(source, control, &|_| Wanted::Compute, &mut |part| {
        let Some(output) = part.output else { return Ok(()) };
        let features = &output.table;
        let mut values = vec![0.0; features.len() * projection.kept()];
        if !features.is_empty() {
            projection.transform_into(Rows::new(features.values(), features.columns())?, &mut values)?;
        }
        let components = features.with_values(Content::Components, projection.kept(), values)?;
        sink(part.input.index, components, output.rejects)
    })
}

/// What a transformation gave; printed by `--json`.
#[derive(Debug, Default, serde::Serialize)]
struct Counts {
    images: u64,
    rows: u64,
    rejected: u64,
    rejected_by_stage: BTreeMap<String, u64>,
    components: usize,
    elapsed: f64,
}

impl Counts {
    fn add(&mut self, table: &Table, rejects: &[Reject]) {
        self.rows += table.len() as u64;
        self.rejected += rejects.len() as u64;
        self.images = self.rows + self.rejected;
        self.components = table.columns();
        for reject in rejects {
            *self.rejected_by_stage.entry(reject.stage.name().to_owned()).or_default() += 1;
        }
    }
}

/// Where components go.
enum Sink {
    Stdout(Csv),
    Store(Files),
}

impl Sink {
    fn take(&mut self, index: u32, table: &Table, rejects: Vec<Reject>) -> Result<()> {
        match self {
            Self::Stdout(csv) => csv.print(table),
            Self::Store(files) => files.write(index, table, rejects),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::Store(files) => files.finish(),
        }
    }
}

/// One CSV on standard output.
struct Csv {
    options: CsvOptions,
}

impl Csv {
    fn print(&mut self, table: &Table) -> Result<()> {
        let bytes = Format::Csv(self.options.clone()).encode(table)?;
        // Later parts go on in the same table.
        self.options.header = false;
        std::io::stdout().lock().write_all(&bytes).map_err(|e| {
            let kind = if e.kind() == std::io::ErrorKind::BrokenPipe {
                ErrorKind::Interrupted
            } else {
                ErrorKind::Io
            };
            Error::new(kind, Stage::Sink, format!("standard output: {e}")).because(e)
        })
    }
}

/// `components/part-NNNNN` and `rejects.csv`.
struct Files {
    store: Arc<dyn OutputStore>,
    format: Format,
    rejects: Vec<Reject>,
}

impl Files {
    fn new(store: Arc<dyn OutputStore>, format: Format) -> Result<Self> {
        if let Some(found) =
            store.entries("")?.into_iter().find(|name| name.starts_with("manifest") || name == "components/")
        {
            let m = format!(
                "the output holds {found} of an earlier run or transformation; choose another --output"
            );
            return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(store.describe()));
        }
        Ok(Self { store, format, rejects: Vec::new() })
    }

    fn write(&mut self, index: u32, table: &Table, rejects: Vec<Reject>) -> Result<()> {
        self.rejects.extend(rejects);
        let name = format!("components/part-{index:05}.{}", self.format.extension());
        self.store.put(&name, &self.format.encode(table)?)
    }

    fn finish(self) -> Result<()> {
        let failed = |e: csv::Error| Error::new(ErrorKind::Io, Stage::Sink, format!("rejects: {e}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["path", "stage", "reason"]).map_err(failed)?;
        for r in &self.rejects {
            writer.write_record([r.path.as_str(), r.stage.name(), r.reason.as_str()]).map_err(failed)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("rejects: {e}")))?;
        self.store.put("rejects.csv", &bytes)
    }
}

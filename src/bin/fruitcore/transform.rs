//! `fruitcore transform`: a fitted pipeline on other pictures.

use crate::{apply::Job, args::TransformArgs, failure::Failure, text};
use fruitcore::{
    Error, ErrorKind, Result, Stage,
    host::{
        driver::Reject,
        run::{OutputStore, open_output},
        setup::Fitted,
        sink::{CsvOptions, Format, Table},
    },
};
use std::{sync::Arc, time::Instant};

/// Pictures in a part.
const PART: usize = 1024;

pub(crate) fn transform(args: &TransformArgs) -> core::result::Result<(), Failure> {
    let begun = Instant::now();
    if args.output.is_none() && args.report.json {
        return Err(Failure::usage(
            "without --output the components are on standard output; --json needs --output",
        ));
    }
    let job = Job::new(&args.source, Fitted::open(&args.model)?, &args.on, &args.work, args.report.quiet)?;
    let mut sink = match &args.output {
        Some(out) => Sink::Store(Files::new(open_output(out)?, args.format.format())?),
        None => Sink::Stdout(Csv { options: args.format.csv() }),
    };
    let kept = job.fitted.projection()?.kept();
    let mut counts = job.run(PART, &mut |index, features, rejects| {
        sink.take(index, &job.fitted.components(features)?, rejects)
    })?;
    sink.finish()?;
    job.any_usable(&counts)?;
    counts.components = Some(kept);
    counts.elapsed = begun.elapsed().as_secs_f64();
    if args.report.json {
        text::print_json(&counts)?;
    }
    if !args.report.quiet {
        eprintln!("{counts}");
    }
    Ok(())
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
        text::stream(&bytes)
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

//! `fruitcore predict`: what is on pictures.

use crate::{apply::Job, args::PredictArgs, failure::Failure, text};
use fruitcore::{Error, ErrorKind, Result, Stage, classify::Prediction, host::sink::Table};

/// Pictures whose predictions are printed at once.
const PART: usize = 128;

pub(crate) fn predict(args: &PredictArgs) -> core::result::Result<(), Failure> {
    let job = Job::classifier(&args.by, args.quiet)?;
    let head = job.fitted.head(args.by.head.as_deref())?;
    let top = usize::from(args.top).min(head.classes().len());
    let (mut out, mut unknown) = (Printer::new(args, top)?, 0);
    let counts = job.run(PART, &mut |_, features: &Table, _| {
        let all = job.fitted.probabilities(head, features)?;
        for (path, p) in features.paths().iter().zip(all.chunks_exact(head.classes().len())) {
            let prediction = head.prediction(p, top);
            unknown += u64::from(prediction.label().is_none());
            out.push(path, &prediction)?;
        }
        out.print()
    })?;
    job.any_usable(&counts)?;
    if !args.quiet {
        let unknown = if head.threshold() > 0.0 { format!(" · {unknown} unknown") } else { String::new() };
        eprintln!("{counts}{unknown} · head {}", head.name());
    }
    Ok(())
}

/// Lines of one form.
struct Printer {
    form: Form,
    lines: Vec<u8>,
}

enum Form {
    Text,
    Csv(usize),
    Json,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    path: &'a str,
    prediction: Option<&'a str>,
    top: Vec<Choice<'a>>,
}

#[derive(serde::Serialize)]
struct Choice<'a> {
    class: &'a str,
    probability: f32,
}

impl Printer {
    fn new(args: &PredictArgs, top: usize) -> Result<Self> {
        let form = match (args.json, args.csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv(top),
            _ => Form::Text,
        };
        let mut printer = Self { form, lines: Vec::new() };
        if let Form::Csv(top) = printer.form {
            let mut header = vec!["path".to_owned(), "prediction".to_owned()];
            (1..=top).for_each(|i| header.extend([format!("class_{i}"), format!("probability_{i}")]));
            printer.record(&header)?;
        }
        Ok(printer)
    }

    fn push(&mut self, path: &str, prediction: &Prediction<'_>) -> Result<()> {
        match self.form {
            Form::Text => {
                let choices: Vec<String> =
                    prediction.top().map(|(class, p)| format!("{class} {:.1} %", 100.0 * p)).collect();
                let unknown = if prediction.label().is_none() { "unknown; " } else { "" };
                let line = format!("{}: {unknown}{}", path.escape_debug(), choices.join(" · "));
                self.lines.extend_from_slice(line.as_bytes());
                self.lines.push(b'\n');
                Ok(())
            }
            Form::Json => {
                let top =
                    prediction.top().map(|(class, probability)| Choice { class, probability }).collect();
                let line = Line { path, prediction: prediction.label(), top };
                let line = serde_json::to_vec(&line).map_err(|e| failed(&e))?;
                self.lines.extend_from_slice(&line);
                self.lines.push(b'\n');
                Ok(())
            }
            Form::Csv(_) => {
                let mut record = vec![path.to_owned(), prediction.label().unwrap_or_default().to_owned()];
                prediction.top().for_each(|(class, p)| record.extend([class.to_owned(), p.to_string()]));
                self.record(&record)
            }
        }
    }

    fn record(&mut self, fields: &[String]) -> Result<()> {
        csv::Writer::from_writer(&mut self.lines).write_record(fields).map_err(|e| failed(&e))
    }

    fn print(&mut self) -> Result<()> {
        text::stream(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}

fn failed(e: &dyn core::error::Error) -> Error {
    Error::new(ErrorKind::Io, Stage::Sink, format!("a prediction can't be written: {e}"))
}

//! `fruitcore fit-classifier`: a head over a run's output, into its artifact.

use crate::{
    args::FitArgs,
    failure::Failure,
    text::{self, counted},
};
use core::time::Duration;
use fruitcore::{
    Error, ErrorKind, Stage,
    classify::{Head, Reads},
    host::{
        heads::{self, Figures, HeadOptions, HeadReport, Threshold},
        run::RunOutput,
        setup::{ARTIFACT, Fitted},
        sink::Content,
    },
};

pub(crate) fn fit_classifier(args: &FitArgs) -> Result<(), Failure> {
    let mut options = HeadOptions::default();
    options.name = args.name.clone();
    options.kind = args.head.into();
    options.reads = args.on.into();
    options.validation = args.val;
    options.threshold = args.threshold.unwrap_or(Threshold::Never);
    options.l2 = args.l2;
    options.neighbors = args.neighbors.map(|k| k as usize);
    options.metric = args.metric.into();
    options.weighting = args.weighting();
    options.references = args.references as usize;
    options.half = args.half;
    options.seed = args.seed;
    let output = RunOutput::open(&args.target)?;
    let (fitted, head, report) = fit(&output, &options)?;
    let place = match &args.output {
        Some(file) => {
            text::write_file(file, &fitted.with_head(&head)?)?;
            file.display().to_string()
        }
        None => {
            output.store().put(ARTIFACT, &fitted.with_head(&head)?)?;
            format!("{}/{}", output.store().describe(), ARTIFACT)
        }
    };
    if args.report.json {
        text::print_json(&report)?;
    }
    if !args.report.quiet {
        eprint!("{}", human(&report));
        eprintln!("\nin {place}; next: fruitcore predict PICTURES --model {place}");
    }
    Ok(())
}

/// Fits a head over an output, for the artifact that lies there.
pub(crate) fn fit(output: &RunOutput, options: &HeadOptions) -> Result<(Fitted, Head, HeadReport), Failure> {
    let Some(bytes) = output.store().get(ARTIFACT)? else {
        let m = "there is no pipeline.safetensors to put a head into; start the run again";
        return Err(Error::new(ErrorKind::NotFound, Stage::Artifact, m).at(output.store().describe()).into());
    };
    let place = || format!("{}/{}", output.store().describe(), ARTIFACT);
    let fitted = Fitted::from_bytes(bytes.to_vec()).map_err(|e| e.at(place()))?;
    let content = match options.reads {
        Reads::Features => Content::Features,
        Reads::Components => Content::Components,
    };
    let found = heads::fit(&|take| output.tables(content, take), options);
    let (head, report) = found.map_err(|e| e.at(output.store().describe()))?;
    Ok((fitted, head, report))
}

/// Some aligned lines.
pub(crate) fn human(report: &HeadReport) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| rows.push(vec![format!("  {name}"), text]);
    let reads = if report.reads == Reads::Features { "features" } else { "components" };
    let how = match (report.iterations, report.references) {
        (Some(n), _) => {
            let l2 = report.l2.unwrap_or_default();
            let n = counted(n as u64, "iteration", "iterations");
            let end = if report.converged == Some(true) { "" } else { ", not converged" };
            format!(", penalty {l2}, {n}{end}")
        }
        (_, Some(n)) => format!(", {}", counted(n as u64, "reference picture", "reference pictures")),
        _ => String::new(),
    };
    row("head", format!("{}: {} over {reads}{how}", report.name, report.kind));
    let classes = counted(report.classes as u64, "class", "classes");
    let mut from = format!("{} of {classes}", counted(report.fitted_on, "picture", "pictures"));
    if report.unlabelled > 0 {
        from.push_str(&format!("; {} without a label left out", text::count(report.unlabelled)));
    }
    row("fitted on", from);
    match (&report.validation, &report.uncalibrated) {
        (Some(v), Some(u)) => {
            row("held back", counted(report.held_back, "picture", "pictures"));
            row(
                "accuracy",
                format!("{:.1} % · among the first five {:.1} %", 100.0 * v.accuracy, 100.0 * v.top5),
            );
            row("log-loss", change(u, v, |f| f.log_loss));
            row("calibration error", change(u, v, |f| f.calibration_error));
            row("temperature", format!("{:.3}", report.temperature));
            if report.threshold > 0.0 {
                let p = 100.0 * report.threshold;
                row(
                    "unknown",
                    format!("below {p:.1} %: {:.1} % of the pictures held back", 100.0 * v.unknown),
                );
            }
        }
        _ => row("held back", "none: not calibrated, no figures".to_owned()),
    }
    row("size", text::bytes(report.bytes as u64));
    row("time", text::duration(Duration::from_secs_f64(report.seconds)));
    let mut text = text::table(&rows);
    text.push_str(&names("one picture only, so none was held back", &report.single));
    let others: Vec<_> =
        report.not_validated.iter().filter(|c| !report.single.contains(c)).cloned().collect();
    text.push_str(&names("too few pictures to hold one back", &others));
    text
}

fn change(before: &Figures, after: &Figures, of: impl Fn(&Figures) -> f64) -> String {
    format!("{:.4} (before calibration {:.4})", of(after), of(before))
}

/// Classes something is to be said about.
fn names(what: &str, classes: &[String]) -> String {
    const SHOWN: usize = 8;
    if classes.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = classes.iter().take(SHOWN).map(|c| c.escape_debug().to_string()).collect();
    let more = classes.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let classes = counted(classes.len() as u64, "class has", "classes have");
    format!("  {classes} {what}: {}{more}\n", shown.join(", "))
}

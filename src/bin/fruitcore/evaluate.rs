//! `fruitcore evaluate`: how good a head is.

use crate::{
    apply::{self, Job},
    args::EvaluateArgs,
    failure::Failure,
    text::{self, count, counted},
};
use fruitcore::{
    Error, ErrorKind, Result, Stage,
    classify::{Evaluation, Head},
    host::{
        run::{RunOutput, is_remote, open_output},
        setup::{Fitted, key},
        sink::{Content, Table},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// Pictures evaluated at once.
const PART: usize = 512;

/// Whether a run wrote this, rather than somebody pictures.
fn is_output(input: &str) -> bool {
    if !is_remote(input) {
        return Path::new(input).join("manifest.json").is_file();
    }
    // Pictures may lie where nothing can be written; what else is wrong is told when they are read.
    let manifest = open_output(input).and_then(|store| store.size("manifest.json"));
    manifest.is_ok_and(|size| size.is_some())
}

pub(crate) fn evaluate(args: &EvaluateArgs) -> core::result::Result<(), Failure> {
    let (input, name) = (&args.by.source.input, args.by.head.as_deref());
    let (fitted, head, tally);
    let mut rejected = 0;
    if is_output(input) {
        // A run's output brings its own classifier.
        fitted = Fitted::open(args.by.model.as_deref().unwrap_or(Path::new(input)))?.seen_by(name)?;
        head = fitted.head(name)?.clone();
        tally = over_output(input, &fitted, &head)?;
    } else {
        let job = Job::classifier(&args.by, args.report.quiet)?;
        head = job.fitted.head(name)?.clone();
        let (found, counts) = over_pictures(&job, &head)?;
        rejected = counts.rejected;
        tally = found;
        fitted = job.fitted;
    }
    if tally.evaluation.rows() == 0 {
        let others: Vec<&str> = fitted.heads().iter().map(Head::name).filter(|n| *n != head.name()).collect();
        let others = match others.as_slice() {
            [] => "--head".to_owned(),
            others => format!("--head (others are `{}`)", others.join("`, `")),
        };
        let m = format!(
            "no picture has a label the head `{}` knows ({} without a label, {} of other classes); check --label and {others}",
            head.name(),
            count(tally.unlabelled),
            count(tally.strangers)
        );
        return Err(Error::new(ErrorKind::Insufficient, Stage::Classify, m).at(input).into());
    }
    if let Some(file) = &args.confusion {
        text::write_file(file, &matrix(&head, &tally.evaluation)?)?;
    }
    if args.report.json {
        return text::print_json(&as_json(&head, &tally, usize::from(args.top), rejected));
    }
    if !args.report.quiet {
        text::print(&human(&head, &tally, usize::from(args.top), rejected))?;
    }
    Ok(())
}

/// Predictions of pictures, beside those that say nothing about the head.
pub(crate) struct Tally {
    pub(crate) evaluation: Evaluation,
    /// Pictures without a label.
    pub(crate) unlabelled: u64,
    /// Pictures of classes the head was not fitted on.
    pub(crate) strangers: u64,
    /// Of them, those called unknown.
    pub(crate) strangers_unknown: u64,
}

impl Tally {
    fn new(head: &Head) -> Result<Self> {
        let evaluation = Evaluation::new(head.classes().len())?;
        Ok(Self { evaluation, unlabelled: 0, strangers: 0, strangers_unknown: 0 })
    }

    /// Adds rows of features.
    fn add(&mut self, fitted: &Fitted, head: &Head, features: &Table) -> Result<()> {
        let numbers: BTreeMap<&str, u32> = head.classes().iter().map(String::as_str).zip(0..).collect();
        let all = fitted.probabilities(head, features)?;
        for (label, p) in features.labels().iter().zip(all.chunks_exact(head.classes().len())) {
            let known = head.prediction(p, 1).label().is_some();
            match label.as_deref().map(|label| numbers.get(label)) {
                Some(Some(number)) => self.evaluation.add(*number, p, known)?,
                Some(None) => {
                    self.strangers += 1;
                    self.strangers_unknown += u64::from(!known);
                }
                None => self.unlabelled += 1,
            }
        }
        Ok(())
    }
}

/// Evaluates a head on the pictures of a job.
pub(crate) fn over_pictures(job: &Job, head: &Head) -> core::result::Result<(Tally, apply::Counts), Failure> {
    let mut tally = Tally::new(head)?;
    let counts = job.run(PART, &mut |_, features, _| tally.add(&job.fitted, head, features))?;
    job.any_usable(&counts)?;
    Ok((tally, counts))
}

/// Evaluates a head on the features a run wrote, if they were made as the artifact would make them.
fn over_output(target: &str, fitted: &Fitted, head: &Head) -> core::result::Result<Tally, Failure> {
    let output = RunOutput::open(target)?;
    let text = |value: &serde_json::Result<String>| value.as_deref().unwrap_or_default().to_owned();
    let ours = [
        (key::NETWORK, text(&serde_json::to_string(fitted.network()))),
        (key::RECIPE, text(&serde_json::to_string(fitted.recipe()))),
        (key::WEIGHTS, fitted.weights_id().to_owned()),
    ];
    for (name, value) in ours {
        let theirs = output.manifest().config.get(name).map_or("", String::as_str);
        if theirs != value {
            let m = format!(
                "the run's features were made with {name} {theirs}, the artifact's with {value}; evaluate on the pictures instead"
            );
            return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(target).into());
        }
    }
    let mut tally = Tally::new(head)?;
    output.tables(Content::Features, &mut |features| tally.add(fitted, head, features))?;
    Ok(tally)
}

fn human(head: &Head, tally: &Tally, top: usize, rejected: u64) -> String {
    let found = &tally.evaluation;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| rows.push(vec![format!("  {name}"), text]);
    let occurring = found.classes().filter(|c| c.rows > 0).count() as u64;
    let mut pictures = format!(
        "{} of {} (the head knows {})",
        counted(found.rows(), "picture", "pictures"),
        counted(occurring, "class", "classes"),
        head.classes().len()
    );
    for (n, what) in [(rejected, "rejected"), (tally.unlabelled, "without a label")] {
        if n > 0 {
            pictures.push_str(&format!(", {} {what}", count(n)));
        }
    }
    row("evaluated", pictures);
    row("accuracy", percent(found.accuracy()));
    row(&format!("top {top}"), percent(found.top(top)));
    row("mean recall", percent(found.balanced_accuracy()));
    if head.threshold() > 0.0 {
        row(
            "unknown",
            format!(
                "{}; accuracy of the answers {}",
                count(found.unknown()),
                percent(found.accuracy_of_known())
            ),
        );
    }
    if tally.strangers > 0 {
        row(
            "other classes",
            format!("{}, of them {} called unknown", count(tally.strangers), count(tally.strangers_unknown)),
        );
    }
    row("log-loss", format!("{:.4}", found.log_loss()));
    row("calibration error", format!("{:.4}", found.calibration_error()));
    let mut text = text::table(&rows);
    let worst = worst(head, found);
    if !worst.is_empty() {
        text.push_str(&format!("\nhardest classes\n{}", text::table(&worst)));
    }
    text
}

/// Classes that are missed most, with what they are taken for.
fn worst(head: &Head, found: &Evaluation) -> Vec<Vec<String>> {
    const SHOWN: usize = 10;
    let mut classes: Vec<_> = found
        .classes()
        .zip(head.classes())
        .zip(0u32..)
        .filter_map(|((score, name), i)| {
            score.recall().filter(|r| *r < 1.0).map(|r| (r, score.rows, name, i))
        })
        .collect();
    classes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let row = |(recall, rows, name, i): &(f64, u64, &String, u32)| {
        let wrong = found.confusion().range((*i, None)..=(*i, Some(u32::MAX)));
        let most = wrong.filter(|((_, to), _)| *to != Some(*i)).max_by_key(|(_, n)| **n);
        let taken = most.map_or_else(String::new, |((_, to), n)| {
            let name = to.and_then(|to| head.classes().get(to as usize)).map_or("unknown", String::as_str);
            format!("taken for {} ({})", name.escape_debug(), count(*n))
        });
        vec![
            format!("  {}", name.escape_debug()),
            format!("{:.1} % of {}", 100.0 * recall, count(*rows)),
            taken,
        ]
    };
    classes.iter().take(SHOWN).map(row).collect()
}

fn as_json(head: &Head, tally: &Tally, top: usize, rejected: u64) -> Value {
    let found = &tally.evaluation;
    let classes: BTreeMap<&String, Value> = head
        .classes()
        .iter()
        .zip(found.classes())
        .map(|(name, c)| {
            let value = json!({
                "pictures": c.rows, "right": c.right, "answers": c.answers,
                "recall": c.recall(), "precision": c.precision(),
            });
            (name, value)
        })
        .collect();
    json!({
        "head": head.name(),
        "pictures": found.rows(),
        "rejected": rejected,
        "unlabelled": tally.unlabelled,
        "other_classes": tally.strangers,
        "other_classes_unknown": tally.strangers_unknown,
        "accuracy": found.accuracy(),
        "top": top,
        "top_accuracy": found.top(top),
        "balanced_accuracy": found.balanced_accuracy(),
        "unknown": found.unknown(),
        "accuracy_of_known": found.accuracy_of_known(),
        "log_loss": found.log_loss(),
        "calibration_error": found.calibration_error(),
        "classes": classes,
    })
}

/// `label` and the answers: every class, and `unknown`.
fn matrix(head: &Head, found: &Evaluation) -> Result<Vec<u8>> {
    let failed = |e: csv::Error| Error::new(ErrorKind::Io, Stage::Sink, format!("confusion matrix: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = head.classes().iter().map(String::as_str);
    writer.write_record(core::iter::once("label").chain(names).chain(["unknown"])).map_err(failed)?;
    let answers: Vec<Option<u32>> = (0..head.classes().len() as u32).map(Some).chain([None]).collect();
    for (name, i) in head.classes().iter().zip(0u32..) {
        writer.write_field(name).map_err(failed)?;
        for answer in &answers {
            let n = found.confusion().get(&(i, *answer)).copied().unwrap_or(0);
            writer.write_field(n.to_string()).map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    let failed =
        |e: &dyn core::error::Error| Error::new(ErrorKind::Io, Stage::Sink, format!("confusion: {e}"));
    writer.into_inner().map_err(|e| failed(e.error()))
}

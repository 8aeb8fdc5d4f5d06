//! What a classifier says of the rows: a head of the output's artifact, or a file of answers.

use super::{
    ReportOptions,
    classes::Classes,
    facts::cross,
    json::{Classifier, Confusion, Matrix},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    classify::{Head, Reads},
    host::{
        heads::held_back,
        rows::{RowFiles, named_in},
        run::read_file,
        setup::ARTIFACT,
        sink::{Content, Table},
        summary::count,
    },
    pca::Rows,
    pipeline::PipelineFile,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use bytes::Bytes;
use std::path::Path;

/// The colouring that tells rows held back from those a head was fitted on.
pub(super) const PARTS: [&str; 2] = ["fitted on", "held back"];
const HELD: u32 = 1;

/// Answers for rows, and what figures they give.
pub(super) struct Predictions {
    /// Who gave them.
    by: String,
    /// The rows' classes in their order, so that a class has one number in both; others follow.
    pub(super) names: Vec<String>,
    /// The answer for each row, where there is one.
    pub(super) of: Vec<Option<u32>>,
    /// Its probability; NaN where it isn't known.
    pub(super) sure: Vec<f32>,
    /// Whether each row was held back when the head was fitted, if it was fitted on these rows.
    pub(super) held: Option<Vec<bool>>,
    from: From,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Head,
    File,
}

/// What was found of predictions.
#[derive(Default)]
pub(super) struct Found {
    pub(super) predictions: Option<Predictions>,
    pub(super) classifier: Option<Classifier>,
    pub(super) note: Option<String>,
}

pub(super) fn find(
    files: &RowFiles,
    table: &Table,
    classes: &Classes<'_>,
    options: &ReportOptions,
) -> Result<Found> {
    let found = match &options.predictions {
        Some(file) => from_file(file, table, classes).map_err(|e| e.at(file.display().to_string()))?,
        None if files.is_run() => match files.store().get(ARTIFACT)? {
            Some(bytes) => from_artifact(&bytes, files, table, classes, options.head.as_deref())?,
            None => Found::default(),
        },
        None => Found::default(),
    };
    let Some(predictions) = &found.predictions else { return Ok(found) };
    let confusions = predictions.confusions(classes);
    let classifier = Some(Classifier { by: predictions.by.clone(), confusions });
    Ok(Found { classifier, ..found })
}

fn from_artifact(
    bytes: &[u8],
    files: &RowFiles,
    table: &Table,
    classes: &Classes<'_>,
    name: Option<&str>,
) -> Result<Found> {
    let none =
        |e: &Error| Found { note: Some(format!("no predictions: {}", e.message())), ..Found::default() };
    let file = match PipelineFile::from_bytes(bytes) {
        Ok(file) if file.heads().is_empty() && name.is_none() => return Ok(Found::default()),
        Ok(file) => file,
        Err(e) => return Ok(none(&e)),
    };
    let head = file.head(name).map_err(|e| e.at(ARTIFACT))?;
    // The report is about the rows: a head that doesn't fit them is no reason to have none.
    match of_head(head, files, table, classes) {
        Ok(predictions) => Ok(Found { predictions: Some(predictions), ..Found::default() }),
        Err(e) => Ok(none(&e)),
    }
}

fn of_head(head: &Head, files: &RowFiles, table: &Table, classes: &Classes<'_>) -> Result<Predictions> {
    let mut answers = Answers::default();
    let mut add = |rows: &Table| -> Result<()> {
        let k = head.classes().len();
        let mut all = vec![0.0; rows.len() * k];
        head.probabilities_of(Rows::new(rows.values(), rows.columns())?, &mut all)?;
        for (path, p) in rows.paths().iter().zip(all.chunks_exact(k.max(1))) {
            if table.paths().get(answers.of.len()) != Some(path) {
                let m = "features and components are of different rows; start the run again";
                return Err(Error::new(ErrorKind::Mismatch, Stage::Classify, m).at(path.clone()));
            }
            let prediction = head.prediction(p, 1);
            answers.push(Some(prediction.label().map(ToString::to_string)), prediction.probability());
        }
        Ok(())
    };
    match head.reads() {
        Reads::Components => add(table)?,
        Reads::Features => {
            RowFiles::open(files.target(), Content::Features)?.read(&mut |rows| add(&rows))?;
        }
    }
    let by = format!("head {}, {}", head.name(), head.model().kind());
    let held = held_back(head, table.paths(), table.labels());
    Ok(answers.of_rows(by, From::Head, classes, held))
}

/// Answers in a file that `predict` wrote, by path; or the confusion matrix that `evaluate` wrote.
fn from_file(file: &Path, table: &Table, classes: &Classes<'_>) -> Result<Found> {
    let bytes = Bytes::from(read_file(file, Stage::Source)?);
    let by = file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    if let Some(matrix) = matrix(&bytes) {
        let confusions = vec![Confusion {
            name: "Evaluation",
            note: format!("From {by}: the pictures it counts are not on the map."),
            facts: figures(&matrix),
            matrix,
            linked: false,
            part: None,
        }];
        return Ok(Found { classifier: Some(Classifier { by, confusions }), ..Found::default() });
    }
    let path: &[&str] = &["path", "image", "file"];
    let answer: &[&str] = &["prediction", "predicted"];
    let columns = named_in(bytes.clone(), &[path, answer]).map_err(|e| {
        let m = format!("{}; write it with `fruitcore predict --csv` or `--json`", e.message());
        Error::new(e.kind(), Stage::Source, m)
    })?;
    let sure = named_in(bytes, &[&["probability_1", "probability"]]).unwrap_or_default();
    let [paths, predicted] = <[Vec<String>; 2]>::try_from(columns).unwrap_or_default();
    let sure = sure.into_iter().next().unwrap_or_default();
    let by_path: BTreeMap<&str, usize> = paths.iter().map(String::as_str).zip(0..).collect();
    let mut answers = Answers::default();
    let mut matched = 0u64;
    for path in table.paths() {
        let at = by_path.get(path.as_str()).copied();
        matched += u64::from(at.is_some());
        let answer = at.and_then(|i| predicted.get(i)).map(|p| (!p.is_empty()).then(|| p.clone()));
        let p = at.and_then(|i| sure.get(i)).and_then(|p| p.parse().ok()).unwrap_or(f32::NAN);
        answers.push(answer, p);
    }
    if matched == 0 {
        let example = |paths: &[String]| paths.first().map_or_else(String::new, |p| format!("{p:?}"));
        let m = format!(
            "none of its {} paths is one of the output's: it has {}, the output has {}; predict over the input of the run",
            count(paths.len() as u64),
            example(&paths),
            example(table.paths())
        );
        return Err(Error::new(ErrorKind::Mismatch, Stage::Source, m));
    }
    let note = (matched < table.len() as u64).then(|| {
        format!("{by} has predictions for {} of {} rows", count(matched), count(table.len() as u64))
    });
    let predictions = Some(answers.of_rows(by, From::File, classes, None));
    Ok(Found { predictions, classifier: None, note })
}

/// A confusion matrix as `evaluate --confusion` writes it: `label`, every answer, `unknown`.
fn matrix(bytes: &[u8]) -> Option<Matrix> {
    let mut reader = csv::Reader::from_reader(bytes);
    let columns: Vec<String> = match reader.headers().ok()?.iter().collect::<Vec<_>>().as_slice() {
        ["label", answers @ .., "unknown"] => {
            answers.iter().chain(&["unknown"]).map(ToString::to_string).collect()
        }
        _ => return None,
    };
    let (mut rows, mut cells) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = record.ok()?;
        let row = u32::try_from(rows.len()).ok()?;
        rows.push(record.get(0)?.to_string());
        for (column, n) in (0u32..).zip(record.iter().skip(1)) {
            match n.parse().ok()? {
                0 => {}
                n => cells.push((row, column, n)),
            }
        }
    }
    (!rows.is_empty()).then_some(Matrix { rows, columns, cells })
}

/// Answers as they come: `None` for a row without one, `Some(None)` for "unknown".
#[derive(Default)]
struct Answers {
    of: Vec<Option<Option<String>>>,
    sure: Vec<f32>,
}

impl Answers {
    fn push(&mut self, answer: Option<Option<String>>, probability: f32) {
        self.of.push(answer);
        self.sure.push(probability);
    }

    fn of_rows(self, by: String, from: From, classes: &Classes<'_>, held: Option<Vec<bool>>) -> Predictions {
        let known: BTreeMap<&str, u32> = classes.names.iter().copied().zip(0..).collect();
        let answers = || self.of.iter().flatten().flatten().map(String::as_str);
        let others: BTreeSet<&str> = answers().filter(|a| !known.contains_key(a)).collect();
        let mut numbers = known;
        for name in &others {
            let next = numbers.len() as u32;
            numbers.insert(name, next);
        }
        let mut names = classes.owned();
        names.extend(others.iter().map(ToString::to_string));
        let unknown = names.len() as u32;
        if self.of.iter().any(|a| matches!(a, Some(None))) {
            let free = !numbers.contains_key("unknown");
            names.push(String::from(if free { "unknown" } else { "(unknown)" }));
        }
        let of = self.of.iter().map(|answer| match answer.as_ref()? {
            Some(name) => numbers.get(name.as_str()).copied(),
            None => Some(unknown),
        });
        Predictions { by, of: of.collect(), names, sure: self.sure, held, from }
    }
}

impl Predictions {
    /// Rows with a label that were taken for something else, those held back first.
    pub(super) fn confused(&self, classes: &Classes<'_>) -> Vec<usize> {
        let wrong = |i: &usize| match (classes.of.get(*i), self.of.get(*i)) {
            (Some(Some(class)), Some(Some(answer))) => class != answer,
            _ => false,
        };
        let mut rows: Vec<usize> = (0..self.of.len()).filter(wrong).collect();
        let seen = |i: &usize| self.held.as_ref().and_then(|h| h.get(*i)) != Some(&true);
        rows.sort_by_key(seen);
        rows
    }

    /// The name of a row's answer.
    pub(super) fn name(&self, row: usize) -> Option<&str> {
        self.names.get(self.of.get(row).copied().flatten()? as usize).map(String::as_str)
    }

    fn confusions(&self, classes: &Classes<'_>) -> Vec<Confusion> {
        let held = self.held.as_deref().filter(|h| h.contains(&true));
        let mut all = Vec::new();
        if let Some(held) = held {
            let n = held.iter().filter(|h| **h).count() as u64;
            let note = format!(
                "{} pictures that were held back when the head was fitted: its weights never saw them, its calibration did. Whether the network itself was trained on them is not known here.",
                count(n)
            );
            all.push(self.confusion("Held back", note, Some(HELD), classes, &|i| held.get(i) == Some(&true)));
        }
        let note = match (self.from, held, &self.held) {
            (From::File, ..) => format!("Answers read from {}.", self.by),
            (From::Head, Some(held), _) => format!(
                "All labelled pictures. The head was fitted on {} of them, so expect worse on new pictures.",
                count(held.iter().filter(|h| !**h).count() as u64)
            ),
            (From::Head, None, Some(_)) => String::from(
                "The head was fitted on these very pictures: expect worse on new ones. `fruitcore evaluate` tells how much.",
            ),
            (From::Head, None, None) => String::from(
                "The head doesn't say which pictures it was fitted on. If these are among them, expect worse on new ones.",
            ),
        };
        all.push(self.confusion("All pictures", note, None, classes, &|_| true));
        all.retain(|c| !c.matrix.cells.is_empty());
        all
    }

    fn confusion(
        &self,
        name: &'static str,
        note: String,
        part: Option<u32>,
        classes: &Classes<'_>,
        counts: &dyn Fn(usize) -> bool,
    ) -> Confusion {
        let pairs = classes.of.iter().copied().zip(self.of.iter().copied());
        let pairs = pairs.enumerate().filter(|(i, _)| counts(*i)).map(|(_, pair)| pair);
        let matrix = Matrix { rows: classes.owned(), columns: self.names.clone(), cells: cross(pairs) };
        Confusion { name, note, facts: figures(&matrix), matrix, linked: true, part }
    }
}

/// Counts and shares that a matrix gives.
fn figures(m: &Matrix) -> Vec<(&'static str, String)> {
    let mut recall: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let (mut all, mut right, mut unknown) = (0, 0, 0);
    for &(r, c, n) in &m.cells {
        let answer = m.columns.get(c as usize);
        let hit = m.rows.get(r as usize) == answer;
        all += n;
        right += if hit { n } else { 0 };
        let last = c as usize + 1 == m.columns.len();
        unknown += if last && answer.is_some_and(|a| a.contains("unknown")) && !hit { n } else { 0 };
        let (rows, hits) = recall.entry(r).or_default();
        *rows += n;
        *hits += if hit { n } else { 0 };
    }
    let share = |part: f64, of: f64| format!("{:.2} %", 100.0 * part / of.max(1.0));
    let mean: f64 = recall.values().map(|(rows, hits)| *hits as f64 / (*rows).max(1) as f64).sum();
    let mut facts = vec![
        ("Pictures", count(all)),
        ("right", count(right)),
        ("accuracy", share(right as f64, all as f64)),
        ("mean recall", share(mean, recall.len() as f64)),
    ];
    if unknown > 0 {
        facts.push(("unknown", count(unknown)));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(labels: &[Option<&str>]) -> Table {
        let mut table = Table::new(Content::Components, 1).unwrap();
        for (i, label) in labels.iter().enumerate() {
            table.push(format!("{i}.jpg"), *label, &[i as f32]).unwrap();
        }
        table
    }

    fn found(text: &str, labels: &[Option<&str>]) -> Result<Found> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.csv");
        std::fs::write(&file, text).unwrap();
        let table = table(labels);
        from_file(&file, &table, &Classes::of(&table))
    }

    #[test]
    fn answers_are_joined_by_path() {
        let labels = [Some("a"), Some("b"), None, Some("b")];
        for text in [
            "path,prediction,class_1,probability_1\n1.jpg,b,b,0.75\n0.jpg,,a,0.2\n3.jpg,z,z,0.5\n",
            "{\"path\":\"1.jpg\",\"prediction\":\"b\"}\n{\"path\":\"0.jpg\",\"prediction\":null}\n\n{\"path\":\"3.jpg\",\"prediction\":\"z\"}",
        ] {
            let found = found(text, &labels).unwrap();
            assert!(found.note.unwrap().contains("3 of 4"));
            let p = found.predictions.unwrap();
            assert_eq!(p.names, ["a", "b", "z", "unknown"]);
            assert_eq!(p.of, [Some(3), Some(1), None, Some(2)]);
            let table = table(&labels);
            let classes = Classes::of(&table);
            assert_eq!(p.confused(&classes), [0, 3]);
            let confusions = p.confusions(&classes);
            assert_eq!(confusions.len(), 1);
            assert_eq!(confusions[0].matrix.cells, [(0, 3, 1), (1, 1, 1), (1, 2, 1)]);
            let fact = |name| confusions[0].facts.iter().find(|f| f.0 == name).map(|f| f.1.as_str());
            assert_eq!((fact("right"), fact("accuracy")), (Some("1"), Some("33.33 %")));
            assert_eq!((fact("mean recall"), fact("unknown")), (Some("25.00 %"), Some("1")));
        }
    }

    #[test]
    fn files_that_do_not_fit_are_errors_that_say_why() {
        let labels = [Some("a"), Some("b")];
        let fails = |text: &str| found(text, &labels).err().unwrap();
        let e = fails("path,prediction\nelsewhere/1.jpg,a\n");
        assert_eq!(e.kind(), ErrorKind::Mismatch);
        assert!(e.message().contains("elsewhere/1.jpg") && e.message().contains("0.jpg"), "{e}");
        for text in ["", "path,answer\n0.jpg,a\n", "{\"path\":\"0.jpg\"}", "{\"path\":", "PAR1 no"] {
            assert_eq!(fails(text).kind(), ErrorKind::Corrupt, "{text}");
        }
    }

    #[test]
    fn a_confusion_matrix_is_told_from_answers() {
        let found = found("label,a,b,unknown\na,3,0,1\nb,2,4,0\n", &[None]).unwrap();
        assert!(found.predictions.is_none());
        let confusion = &found.classifier.unwrap().confusions[0];
        assert_eq!(confusion.matrix.cells, [(0, 0, 3), (0, 2, 1), (1, 0, 2), (1, 1, 4)]);
        assert!(!confusion.linked);
    }
}

//! [`LabelRule`]: from a picture's path to its label.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, sync::Arc};
use core::{fmt, str::FromStr};
use std::path::Path;

/// How a picture's path gives its label.
///
/// Written and parsed as `parent`, `segment:N`, `regex:PATTERN`, `csv:FILE` or `none`.
///
/// ```
/// use fruitcore::host::source::LabelRule;
/// let path = "train/Apple Braeburn/r_12.jpg";
/// assert_eq!(LabelRule::Parent.label(path).as_deref(), Some("Apple Braeburn"));
/// assert_eq!("segment:0".parse::<LabelRule>()?.label(path).as_deref(), Some("train"));
/// let first_word: LabelRule = r"regex:^train/(?<label>\w+)".parse()?;
/// assert_eq!(first_word.label(path).as_deref(), Some("Apple"));
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum LabelRule {
    /// The name of the folder the picture lies in; none for pictures directly under the input.
    #[default]
    Parent,
    /// The folder at this place of the path: 0 is the first, −1 the last (the parent).
    Segment(isize),
    /// What the group named `label` (or else the first group) of a regular expression captures.
    Regex(regex::Regex),
    /// A table from path to label; pictures that aren't in it have none.
    Table(LabelTable),
    /// No labels.
    None,
}

/// Labels by path, read from a CSV file with [`LabelRule::csv`].
#[derive(Clone, Debug)]
pub struct LabelTable {
    file: String,
    labels: Arc<BTreeMap<String, String>>,
}

impl LabelRule {
    /// A rule from a regular expression with at least one group.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the pattern doesn't parse or has no group.
    pub fn regex(pattern: &str) -> Result<Self> {
        let regex = regex::Regex::new(pattern)
            .map_err(|e| config(format!("the label pattern is no regular expression: {e}")).because(e))?;
        if regex.captures_len() < 2 {
            return Err(config(format!(
                "the label pattern `{pattern}` has no group; mark the label as `(?<label>…)`"
            )));
        }
        Ok(Self::Regex(regex))
    }

    /// A rule from a CSV file of paths (relative to the input, with `/`) and labels. With a header
    /// row that names `path` and `label`, those columns count; otherwise the first two. An empty
    /// label means none.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`] or [`ErrorKind::Io`] for a file that
    /// can't be read; [`ErrorKind::InvalidArgument`] for a row without two columns and for a path
    /// with two different labels.
    pub fn csv(file: impl AsRef<Path>) -> Result<Self> {
        let file = file.as_ref();
        let shown = file.to_string_lossy().into_owned();
        let opened = std::fs::File::open(file).map_err(|e| super::errors::local(e, &shown))?;
        Ok(Self::Table(LabelTable { labels: Arc::new(read_table(opened, &shown)?), file: shown }))
    }

    /// The label of the picture at `path`.
    pub fn label(&self, path: &str) -> Option<String> {
        match self {
            Self::Parent => folder(path, -1),
            Self::Segment(at) => folder(path, *at),
            Self::Regex(regex) => {
                let found = regex.captures(path)?;
                let label = found.name("label").or_else(|| found.get(1))?.as_str();
                (!label.is_empty()).then(|| label.to_owned())
            }
            Self::Table(table) => table.labels.get(path).cloned(),
            Self::None => None,
        }
    }
}

/// The folder at place `at` of `path`, whose last part is the file.
fn folder(path: &str, at: isize) -> Option<String> {
    let folders = path.rsplit_once('/')?.0;
    let back = at.unsigned_abs();
    let found = if at < 0 { folders.rsplit('/').nth(back - 1) } else { folders.split('/').nth(back) };
    found.filter(|label| !label.is_empty()).map(ToOwned::to_owned)
}

fn read_table(input: impl std::io::Read, shown: &str) -> Result<BTreeMap<String, String>> {
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let mut labels = BTreeMap::new();
    let (mut path_at, mut label_at) = (0, 1);
    let mut row = csv::StringRecord::new();
    let mut number = 0u64;
    loop {
        number += 1;
        match rows.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(labels),
            Err(e) => {
                return Err(config(format!("the label table can't be read as UTF-8 CSV: {e}"))
                    .at(shown)
                    .because(e));
            }
        }
        if number == 1 {
            let column = |name: &str| {
                row.iter().position(|c| c.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name))
            };
            if let (Some(path), Some(label)) = (column("path"), column("label")) {
                (path_at, label_at) = (path, label);
                continue;
            }
        }
        let (Some(path), Some(label)) = (row.get(path_at), row.get(label_at)) else {
            return Err(config(format!(
                "row {number} has {} columns, a path and a label are needed",
                row.len()
            ))
            .at(shown));
        };
        if label.is_empty() {
            continue;
        }
        if let Some(before) = labels.insert(path.to_owned(), label.to_owned())
            && before != label
        {
            return Err(config(format!(
                "row {number} labels `{path}` as `{label}`, an earlier row as `{before}`; keep one"
            ))
            .at(shown));
        }
    }
}

impl FromStr for LabelRule {
    type Err = Error;

    fn from_str(rule: &str) -> Result<Self> {
        match rule.split_once(':') {
            None if rule == "parent" => Ok(Self::Parent),
            None if rule == "none" => Ok(Self::None),
            Some(("segment", at)) => at.parse().map(Self::Segment).map_err(|e| {
                config(format!("`{at}` is no segment number; 0 is the first folder, -1 the last")).because(e)
            }),
            Some(("regex", pattern)) => Self::regex(pattern),
            Some(("csv", file)) => Self::csv(file),
            _ => Err(config(format!(
                "`{rule}` is no label rule; use parent, segment:N, regex:PATTERN, csv:FILE or none"
            ))),
        }
    }
}

impl fmt::Display for LabelRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent => f.write_str("parent"),
            Self::Segment(at) => write!(f, "segment:{at}"),
            Self::Regex(regex) => write!(f, "regex:{regex}"),
            Self::Table(table) => write!(f, "csv:{}", table.file),
            Self::None => f.write_str("none"),
        }
    }
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, Stage::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_count_from_both_ends() {
        let path = "a/b/c/file.jpg";
        let label = |at| LabelRule::Segment(at).label(path);
        assert_eq!(
            [label(0), label(1), label(2), label(3)].map(|l| l.unwrap_or_default()),
            ["a", "b", "c", ""]
        );
        assert_eq!([label(-1), label(-3), label(-4)].map(|l| l.unwrap_or_default()), ["c", "a", ""]);
        assert_eq!(LabelRule::Parent.label("file.jpg"), None);
        assert_eq!(LabelRule::Segment(isize::MIN).label(path), None);
        assert_eq!(LabelRule::None.label(path), None);
    }

    #[test]
    fn tables_have_headers_or_not() {
        for text in ["a/1.jpg,Apple\nb.jpg,\n", "\u{feff}id,Label,PATH\n7,Apple,a/1.jpg\n8,,b.jpg\n"] {
            let labels = read_table(text.as_bytes(), "t.csv").unwrap();
            assert_eq!(labels.get("a/1.jpg").map(String::as_str), Some("Apple"));
            assert_eq!(labels.get("b.jpg"), None);
        }
        let twice = read_table("a,X\na,X\n".as_bytes(), "t.csv").unwrap();
        assert_eq!(twice.len(), 1);
        for bad in ["a,X\na,Y\n", "only-one\n", "a,\u{0}\n\"x"] {
            let result = read_table(bad.as_bytes(), "t.csv");
            assert!(result.is_err() || bad.starts_with("a,\u{0}"), "{bad:?}");
        }
        let not_utf8 = read_table(&b"a,\xff\n"[..], "t.csv").unwrap_err();
        assert_eq!((not_utf8.kind(), not_utf8.object()), (ErrorKind::InvalidArgument, Some("t.csv")));
    }

    #[test]
    fn rules_parse_and_print() {
        for rule in ["parent", "none", "segment:-2", "regex:(?<label>a+)"] {
            assert_eq!(format!("{}", rule.parse::<LabelRule>().unwrap()), rule);
        }
        for bad in ["", "Parent", "segment:x", "regex:(", "regex:abc", "csv:/no/such/file"] {
            assert!(bad.parse::<LabelRule>().is_err(), "{bad}");
        }
    }
}

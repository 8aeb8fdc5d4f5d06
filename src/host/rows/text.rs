//! Rows of CSV files, whoever wrote them.

use super::{
    CHUNK, Checked, corrupt,
    layout::{Kind, Layout, Values, choose},
};
use crate::{
    Error, Result,
    host::sink::{Content, Table},
};
use alloc::{format, string::String, vec::Vec};
use csv::{ReaderBuilder, StringRecord};
use std::io::{BufRead, Read};

/// Bytes from which the dialect is told.
const HEAD: u64 = 64 << 10;

/// How a file is written, told by its first lines.
struct Dialect {
    separator: u8,
    header: bool,
    layout: Layout,
}

pub(super) fn csv(content: Content, mut file: impl BufRead, sink: &mut Checked<'_>) -> Result<()> {
    let unreadable = |e: std::io::Error| corrupt(format!("can't be read: {e}"));
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    let body = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&head);
    let text = String::from_utf8_lossy(body);
    let Some(first) = text.lines().find(|l| !l.trim().is_empty()) else { return Ok(()) };
    let Some(dialect) = dialect(first, &text, content)? else { return Ok(()) };
    let whole = body.chain(file);
    let mut reader = ReaderBuilder::new()
        .delimiter(dialect.separator)
        .has_headers(dialect.header)
        .trim(csv::Trim::All)
        .from_reader(whole);
    let mut rows = Rows { content, dialect, table: None, vector: Vec::new() };
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| corrupt(format!("CSV: {e}")))? {
        rows.add(&record, sink)?;
    }
    rows.flush(sink)
}

fn dialect(first: &str, head: &str, content: Content) -> Result<Option<Dialect>> {
    let separator = *[b';', b'\t', b'|', b','].iter().find(|s| outside_quotes(first, **s)).unwrap_or(&b',');
    let mut builder = ReaderBuilder::new();
    builder.delimiter(separator).has_headers(false).trim(csv::Trim::All).flexible(true);
    let mut records = builder.from_reader(head.as_bytes()).into_records();
    let mut next = || records.next().and_then(core::result::Result::ok).unwrap_or_default();
    let (top, second) = (next(), next());
    let comma = separator != b',';
    let header = is_header(&top, comma);
    if header && second.is_empty() {
        return Ok(None);
    }
    let sample = if header { &second } else { &top };
    let columns: Vec<(String, Kind)> = sample
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let name = if header { top.get(i).unwrap_or_default() } else { guess(field, comma) };
            (String::from(name), kind(field, comma))
        })
        .collect();
    let abridged = sample.iter().zip(&columns).find(|(field, _)| is_abridged(field));
    let mut layout = choose(&columns, content.name()).map_err(|e| match abridged {
        Some((_, (name, _))) => corrupt(format!(
            "column {name:?} was printed with \"...\" in place of most numbers, as NumPy does; save all of them, \
             best a column each"
        )),
        None => e,
    })?;
    // Text under an unusual name is the path if it looks like one, else the label.
    for (i, (_, kind)) in columns.iter().enumerate() {
        if *kind != Kind::Text {
            continue;
        }
        let field = sample.get(i).unwrap_or_default();
        let taken = [layout.path, layout.label].contains(&Some(i));
        match (taken, looks_like_path(field)) {
            (true, _) => {}
            (false, true) if layout.path.is_none() => layout.path = Some(i),
            (false, false) if layout.label.is_none() => layout.label = Some(i),
            _ => {}
        }
    }
    Ok(Some(Dialect { separator, header, layout }))
}

/// The name a field of a file without header goes by.
fn guess(field: &str, comma: bool) -> &'static str {
    match kind(field, comma) {
        Kind::Number => "v0",
        Kind::Text if looks_like_path(field) => "path",
        Kind::Text => "label",
        _ => "vector",
    }
}

fn outside_quotes(line: &str, separator: u8) -> bool {
    let mut quoted = false;
    line.bytes().any(|b| {
        quoted ^= b == b'"';
        !quoted && b == separator
    })
}

/// A first line is a header unless most of it are numbers that aren't just counted up.
fn is_header(top: &StringRecord, comma: bool) -> bool {
    let numbers: Vec<f32> = top.iter().filter_map(|f| number(f, comma)).collect();
    let vectors = top.iter().filter(|f| f.starts_with('[')).count();
    let counted = numbers.len() > 1 && numbers.windows(2).all(|w| w[1] - w[0] == 1.0);
    vectors == 0 && (counted || numbers.len() * 2 < top.len() || numbers.is_empty())
}

fn kind(field: &str, comma: bool) -> Kind {
    if number(field, comma).is_some() {
        Kind::Number
    } else if is_abridged(field) {
        Kind::Other
    } else if inner(field).is_some_and(|v| items(v).next().is_some_and(|f| number(f, false).is_some())) {
        Kind::Vector
    } else {
        Kind::Text
    }
}

fn looks_like_path(field: &str) -> bool {
    let ends =
        |e: &str| field.get(field.len().saturating_sub(e.len())..).is_some_and(|t| t.eq_ignore_ascii_case(e));
    field.contains(['/', '\\'])
        || [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"].into_iter().any(ends)
}

/// `[…]`, also within `DenseVector([…])`.
fn inner(field: &str) -> Option<&str> {
    let from = field.find('[')?;
    let to = field.rfind(']')?;
    (from == 0 || field.starts_with("DenseVector")).then(|| field.get(from + 1..to)).flatten()
}

/// Whether numbers are missing, as in `[0.1 0.2 ... 0.9]`.
fn is_abridged(field: &str) -> bool {
    inner(field).is_some_and(|v| items(v).any(|item| item == "..."))
}

fn items(vector: &str) -> impl Iterator<Item = &str> {
    vector.split([',', ' ', '\n', '\t']).filter(|s| !s.is_empty())
}

fn number(field: &str, comma: bool) -> Option<f32> {
    match field.parse() {
        Ok(x) => Some(x),
        Err(_) if comma && field.contains(',') => field.replace(',', ".").parse().ok(),
        Err(_) => None,
    }
}

struct Rows {
    content: Content,
    dialect: Dialect,
    table: Option<Table>,
    vector: Vec<f32>,
}

impl Rows {
    fn add(&mut self, record: &StringRecord, sink: &mut Checked<'_>) -> Result<()> {
        let line = record.position().map_or(0, csv::Position::line);
        let comma = self.dialect.separator != b',';
        let bad = |field: &str| -> Error {
            let shown: String = field.chars().take(40).collect();
            corrupt(format!("line {line}: {shown:?} is no number"))
        };
        self.vector.clear();
        match &self.dialect.layout.values {
            Values::Vector(i) => {
                let field = record.get(*i).unwrap_or_default();
                for item in items(inner(field).ok_or_else(|| bad(field))?) {
                    self.vector.push(number(item, false).ok_or_else(|| bad(item))?);
                }
            }
            Values::Separate(columns) => {
                for &i in columns {
                    let field = record.get(i).unwrap_or_default();
                    self.vector.push(number(field, comma).ok_or_else(|| bad(field))?);
                }
            }
        }
        if self.table.as_ref().is_some_and(|t| t.len() >= CHUNK) {
            self.flush(sink)?;
        }
        let layout = &self.dialect.layout;
        let text = |i: Option<usize>| i.and_then(|i| record.get(i)).filter(|t| !t.is_empty());
        let table = match &mut self.table {
            Some(table) => table,
            None => self.table.insert(Table::new(self.content, self.vector.len())?),
        };
        let path = text(layout.path).map_or_else(|| sink.name(table.len()), String::from);
        table
            .push(path, text(layout.label), &self.vector)
            .map_err(|e| corrupt(format!("line {line}: {}", e.message())))
    }

    fn flush(&mut self, sink: &mut Checked<'_>) -> Result<()> {
        self.table.take().map_or(Ok(()), |table| sink.push(table))
    }
}

//! Rows of CSV files, whoever wrote them.

use super::{
    CHUNK, Checked, corrupt,
    layout::{Kind, Layout, Values, choose},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    host::sink::{Content, Table},
};
use alloc::{format, string::String, vec::Vec};
use csv::{ReaderBuilder, StringRecord};
use std::io::{BufRead, Read};

/// Bytes that the dialect is told from at first, and at most: it takes two whole records.
const HEAD: u64 = 64 << 10;
const MOST: u64 = 64 << 20;

/// How a file is written, told by its first lines.
struct Dialect {
    separator: u8,
    header: bool,
    layout: Layout,
}

pub(super) fn csv(content: Content, mut file: impl BufRead, sink: &mut Checked<'_>) -> Result<()> {
    let Some(start) = start(&mut file, MOST)? else { return Ok(()) };
    let Some(dialect) = dialect(&start, content)? else { return Ok(()) };
    let whole = without_mark(&start.bytes).chain(file);
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

/// What was read of a file to tell its dialect.
struct Start {
    bytes: Vec<u8>,
    separator: u8,
    /// The first two records; empty where there are fewer.
    records: [StringRecord; 2],
}

/// Reads until two records are whole: of one that is cut, columns would be missing.
fn start(file: &mut impl Read, most: u64) -> Result<Option<Start>> {
    let unreadable = |e: std::io::Error| corrupt(format!("can't be read: {e}"));
    let (mut bytes, mut wanted) = (Vec::new(), HEAD.min(most));
    loop {
        let missing = wanted - bytes.len() as u64;
        let read = Read::by_ref(file).take(missing).read_to_end(&mut bytes).map_err(unreadable)?;
        let ended = (read as u64) < missing;
        let text = String::from_utf8_lossy(without_mark(&bytes));
        match text.lines().find(|l| !l.trim().is_empty()) {
            None if ended => return Ok(None),
            None => {}
            Some(first) => {
                let separator =
                    *[b';', b'\t', b'|', b','].iter().find(|s| outside_quotes(first, **s)).unwrap_or(&b',');
                let mut builder = ReaderBuilder::new();
                builder.delimiter(separator).has_headers(false).trim(csv::Trim::All).flexible(true);
                let mut reader = builder.from_reader(text.as_bytes());
                let mut records = [StringRecord::new(), StringRecord::new()];
                for record in &mut records {
                    reader.read_record(record).map_err(|e| corrupt(format!("CSV: {e}")))?;
                }
                // What ends with the bytes may go on.
                if ended || reader.position().byte() < text.len() as u64 {
                    return Ok(Some(Start { bytes, separator, records }));
                }
            }
        }
        if wanted >= most {
            let m = format!(
                "CSV: the first two rows are longer than {} MiB; look for a quotation mark that isn't closed, \
                 or save such rows as Parquet",
                most >> 20
            );
            return Err(Error::new(ErrorKind::Limit, Stage::Source, m));
        }
        wanted = (2 * wanted).min(most);
    }
}

/// Without a byte order mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

fn dialect(start: &Start, content: Content) -> Result<Option<Dialect>> {
    let (separator, [top, second]) = (start.separator, &start.records);
    let comma = separator != b',';
    let header = is_header(top, comma);
    if header && second.is_empty() {
        return Ok(None);
    }
    if header && second.len() != top.len() {
        let m = format!(
            "CSV: the first row has {} fields, the header {}; name every column",
            second.len(),
            top.len()
        );
        return Err(corrupt(m));
    }
    let sample = if header { second } else { top };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_end_are_refused() {
        let mut endless = std::io::Cursor::new([&b"path,v0\n\"a"[..], &[b'x'; 5000]].concat());
        let e = start(&mut endless, 1000).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::Limit);
        assert!(e.message().contains("quotation mark"), "{e}");
        // The same, closed by the end of the file.
        endless.set_position(0);
        let found = start(&mut endless, 8000).unwrap().unwrap();
        assert_eq!(found.records[1].get(0).map(str::len), Some(5001));
    }

    #[test]
    fn two_records_are_whole_wherever_the_bytes_end() {
        let text = b"\xEF\xBB\xBFpath;v0\r\n\"a;\nb\";1,25\r\nc;2,5\r\n";
        for length in 0..=text.len() {
            let found = start(&mut &text[..length], MOST).unwrap();
            let Some(found) = found else {
                assert!(length <= 3);
                continue;
            };
            assert_eq!(found.bytes, text[..length]);
            let whole = length > 26;
            assert!(!whole || found.records[1] == ["a;\nb", "1,25"][..], "{length}: {:?}", found.records);
        }
    }
}

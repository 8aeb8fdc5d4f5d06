//! Text files: `label,path,feat_0,feat_1,…`.

use super::{Content, Table};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};
use core::str;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// How CSV files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CsvOptions {
    /// Between fields; one ASCII byte that isn't a quote, a digit or part of a number. `,` unless set.
    pub separator: u8,
    /// Whether the first line names the columns. True unless set.
    pub header: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { separator: b',', header: true }
    }
}

impl CsvOptions {
    /// Refuses separators that would make a file ambiguous.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`].
    pub fn check(&self) -> Result<()> {
        let s = self.separator;
        if !s.is_ascii()
            || s.is_ascii_alphanumeric()
            || matches!(s, b'"' | b'.' | b'-' | b'+' | b'\r' | b'\n')
        {
            let m = format!(
                "{:?} can't separate CSV fields; use ',', ';', '|' or a tab",
                char::from(self.separator)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
        }
        Ok(())
    }
}

pub(super) fn encode(table: &Table, options: &CsvOptions) -> Result<Vec<u8>> {
    options.check()?;
    let size = table.values().len() * 12 + table.len() * 64;
    let mut writer =
        ::csv::WriterBuilder::new().delimiter(options.separator).from_writer(Vec::with_capacity(size));
    let failed = |e: ::csv::Error| Error::new(ErrorKind::Io, Stage::Sink, format!("CSV: {e}")).because(e);
    let mut field = Vec::with_capacity(32);
    if options.header {
        writer.write_field("label").map_err(failed)?;
        writer.write_field("path").map_err(failed)?;
        for i in 0..table.columns() {
            field.clear();
            let _ = write!(field, "{}{i}", table.content().prefix());
            writer.write_field(&field).map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    let rows = table.values().chunks_exact(table.columns());
    for ((path, label), row) in table.paths().iter().zip(table.labels()).zip(rows) {
        writer.write_field(label.as_deref().unwrap_or("")).map_err(failed)?;
        writer.write_field(path).map_err(failed)?;
        for value in row {
            field.clear();
            // Debug, not Display: the shortest digits that read back the same, with an exponent
            // where Display would write dozens of zeros.
            let _ = write!(field, "{value:?}");
            writer.write_field(&field).map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    writer.into_inner().map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("CSV: {e}")))
}

pub(super) fn decode(content: Content, file: &[u8], options: &CsvOptions) -> Result<Table> {
    options.check()?;
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(options.separator)
        .has_headers(options.header)
        .from_reader(file);
    let corrupt = |m: String| Error::new(ErrorKind::Corrupt, Stage::Sink, format!("CSV: {m}"));
    let mut columns = 0;
    if options.header {
        let names = reader.byte_headers().map_err(|e| corrupt(format!("{e}")))?;
        if !names.iter().take(2).eq([&b"label"[..], b"path"]) {
            return Err(corrupt(String::from("the header doesn't begin with label and path")));
        }
        columns = names.len() - 2;
    }
    let (mut paths, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut record = ::csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|e| corrupt(format!("{e}")))? {
        let line = record.position().map_or(0, ::csv::Position::line);
        if columns == 0 {
            columns = record.len().saturating_sub(2);
        }
        let text = |bytes: Option<&[u8]>| match bytes.map(str::from_utf8) {
            Some(Ok(s)) => Ok(String::from(s)),
            _ => Err(corrupt(format!("line {line}: label or path missing or not UTF-8"))),
        };
        let label = text(record.get(0))?;
        labels.push((!label.is_empty()).then_some(label));
        paths.push(text(record.get(1))?);
        for field in record.iter().skip(2) {
            let number = str::from_utf8(field).ok().and_then(|s| s.parse::<f32>().ok());
            values.push(number.ok_or_else(|| {
                corrupt(format!("line {line}: {:?} is no number", String::from_utf8_lossy(field)))
            })?);
        }
    }
    if columns == 0 {
        return Err(corrupt(String::from("no columns of numbers")));
    }
    Table::from_parts(content, columns, paths, labels, values)
}

//! Named columns of a result read back as text.

use super::corrupt;
use crate::{Result, host::run::OutputStore};
use alloc::{format, string::String, vec, vec::Vec};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
    error::ArrowError,
    ipc::reader::FileReader,
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::io::Cursor;

/// The columns `wanted` of the result `stem.parquet`, `stem.arrow` or `stem.csv`, each by the first
/// of its names that is there; empty cells are empty text. `None` without such a file.
pub(crate) fn named(
    store: &dyn OutputStore,
    stem: &str,
    wanted: &[&[&str]],
) -> Result<Option<Vec<Vec<String>>>> {
    for extension in ["parquet", "arrow", "csv"] {
        let name = format!("{stem}.{extension}");
        let Some(bytes) = store.get(&name)? else { continue };
        let found = named_in(bytes, wanted);
        let ours = |e: crate::Error| {
            let m = format!("{}; delete the file to have it made anew", e.message());
            corrupt(m).because(e).at(format!("{}/{name}", store.describe()))
        };
        return found.map(Some).map_err(ours);
    }
    Ok(None)
}

/// The columns `wanted` of a Parquet, Arrow or CSV file, or of one JSON object a line, told by content.
pub(crate) fn named_in(bytes: Bytes, wanted: &[&[&str]]) -> Result<Vec<Vec<String>>> {
    if bytes.starts_with(b"PAR1") {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|e| corrupt(format!("{e}")))?;
        return batches(reader, wanted);
    }
    if bytes.starts_with(b"ARROW1") {
        let reader = FileReader::try_new(Cursor::new(bytes), None).map_err(|e| corrupt(format!("{e}")))?;
        return batches(reader, wanted);
    }
    match bytes.first() {
        Some(b'{') => json_lines(&bytes, wanted),
        _ => csv(&bytes, wanted),
    }
}

fn json_lines(bytes: &[u8], wanted: &[&[&str]]) -> Result<Vec<Vec<String>>> {
    let mut all = vec![Vec::new(); wanted.len()];
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty());
    for (number, line) in lines.enumerate() {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(line).map_err(|e| corrupt(format!("line {}: {e}", number + 1)))?;
        for (names, into) in wanted.iter().zip(&mut all) {
            let value = names.iter().find_map(|n| object.get(*n)).ok_or_else(|| missing(names))?;
            into.push(match value {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.clone(),
                other => format!("{other}"),
            });
        }
    }
    Ok(all)
}

fn batches(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    wanted: &[&[&str]],
) -> Result<Vec<Vec<String>>> {
    let mut all = vec![Vec::new(); wanted.len()];
    for batch in batches {
        let batch = batch.map_err(|e| corrupt(format!("{e}")))?;
        for (names, into) in wanted.iter().zip(&mut all) {
            let column = names.iter().find_map(|n| batch.column_by_name(n)).ok_or_else(|| missing(names))?;
            let text = cast(column, &DataType::Utf8).map_err(|e| corrupt(format!("{e}")))?;
            let text = text.as_string_opt::<i32>().ok_or_else(|| missing(names))?;
            into.extend((0..text.len()).map(|i| match text.is_null(i) {
                true => String::new(),
                false => String::from(text.value(i)),
            }));
        }
    }
    Ok(all)
}

fn csv(bytes: &Bytes, wanted: &[&[&str]]) -> Result<Vec<Vec<String>>> {
    let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let separator = *[b';', b'\t', b'|', b','].iter().find(|s| first.contains(s)).unwrap_or(&b',');
    let mut reader = ::csv::ReaderBuilder::new().delimiter(separator).from_reader(&bytes[..]);
    let header = reader.headers().map_err(|e| corrupt(format!("{e}")))?.clone();
    let place = |names: &&[&str]| {
        names.iter().find_map(|n| header.iter().position(|h| h == *n)).ok_or_else(|| missing(names))
    };
    let places = wanted.iter().map(place).collect::<Result<Vec<_>>>()?;
    let mut all = vec![Vec::new(); wanted.len()];
    for record in reader.records() {
        let record = record.map_err(|e| corrupt(format!("{e}")))?;
        for (place, into) in places.iter().zip(&mut all) {
            into.push(String::from(record.get(*place).unwrap_or_default()));
        }
    }
    Ok(all)
}

fn missing(names: &[&str]) -> crate::Error {
    corrupt(format!("there is no column `{}`", names.join("` or `")))
}

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
        let found = match extension {
            "parquet" => {
                let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
                    .and_then(ParquetRecordBatchReaderBuilder::build)
                    .map_err(|e| corrupt(format!("{e}")).at(&*name))?;
                batches(reader, wanted)
            }
            "arrow" => match FileReader::try_new(Cursor::new(bytes), None) {
                Ok(reader) => batches(reader, wanted),
                Err(e) => Err(corrupt(format!("{e}"))),
            },
            _ => csv(&bytes, wanted),
        };
        return found.map(Some).map_err(|e| e.at(format!("{}/{name}", store.describe())));
    }
    Ok(None)
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
    corrupt(format!("no column `{}`; delete the file to have it made anew", names.join("` or `")))
}

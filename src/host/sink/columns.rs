//! Tables as Arrow record batches.

use super::{Content, Table};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use arrow::{
    array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Float32Type, Schema, SchemaRef},
    error::ArrowError,
};

/// The columns `path` (string), `label` (string, nullable) and `features` or `components`
/// (fixed-size list of `columns` non-null `f32`).
pub fn schema(content: Content, columns: usize) -> SchemaRef {
    Arc::new(Schema::new(alloc::vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("label", DataType::Utf8, true),
        Field::new(
            content.name(),
            DataType::FixedSizeList(item(), i32::try_from(columns).unwrap_or(i32::MAX)),
            false,
        ),
    ]))
}

/// A table as one record batch of [`schema`].
///
/// # Errors
/// [`ErrorKind::Limit`] if the strings exceed 2 GiB.
pub fn to_record_batch(table: &Table) -> Result<RecordBatch> {
    let strings = |total: usize| match i32::try_from(total) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(
            ErrorKind::Limit,
            Stage::Sink,
            "paths or labels of one part exceed 2 GiB; make the parts smaller",
        )),
    };
    strings(table.paths().iter().map(String::len).sum())?;
    strings(table.labels().iter().flatten().map(String::len).sum())?;
    let schema = schema(table.content(), table.columns());
    let size = i32::try_from(table.columns()).unwrap_or(i32::MAX);
    let values: ArrayRef = Arc::new(Float32Array::from(table.values().to_vec()));
    let list = FixedSizeListArray::try_new_with_length(item(), size, values, None, table.len());
    let columns: Vec<ArrayRef> = alloc::vec![
        Arc::new(StringArray::from_iter_values(table.paths())),
        Arc::new(table.labels().iter().map(Option::as_deref).collect::<StringArray>()),
        Arc::new(list.map_err(corrupt)?),
    ];
    RecordBatch::try_new(schema, columns).map_err(corrupt)
}

/// A record batch of [`schema`] as a table.
///
/// # Errors
/// [`ErrorKind::Corrupt`] naming the column that is missing or has another type.
pub fn from_record_batch(content: Content, batch: &RecordBatch) -> Result<Table> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| {
            let found: Vec<_> = batch.schema_ref().fields().iter().map(|f| f.name().clone()).collect();
            wrong(format!("no column `{name}`; found {found:?}"))
        })
    };
    let typed = |name: &str, array: &ArrayRef| {
        wrong(format!("column `{name}` has the unexpected type {}", array.data_type()))
    };
    let (paths, labels, list) = (column("path")?, column("label")?, column(content.name())?);
    let paths = paths.as_string_opt::<i32>().ok_or_else(|| typed("path", paths))?;
    let labels = labels.as_string_opt::<i32>().ok_or_else(|| typed("label", labels))?;
    let values = list.as_fixed_size_list_opt().ok_or_else(|| typed(content.name(), list))?;
    let numbers =
        values.values().as_primitive_opt::<Float32Type>().ok_or_else(|| typed(content.name(), list))?;
    if paths.null_count() + values.null_count() + numbers.null_count() > 0 {
        return Err(wrong(format!("null in column `path` or `{}`", content.name())));
    }
    let columns = usize::try_from(values.value_length()).unwrap_or(0);
    Table::from_parts(
        content,
        columns,
        paths.iter().flatten().map(String::from).collect(),
        labels.iter().map(|l| l.map(String::from)).collect(),
        numbers.values().to_vec(),
    )
}

/// Joins the batches of one file.
pub(super) fn join(
    content: Content,
    columns: usize,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<Table> {
    let (mut paths, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches {
        let table = from_record_batch(content, &batch.map_err(corrupt)?)?;
        if table.columns() != columns {
            return Err(wrong(format!("expected {columns} numbers a row, found {}", table.columns())));
        }
        paths.extend_from_slice(table.paths());
        labels.extend_from_slice(table.labels());
        values.extend_from_slice(table.values());
    }
    Table::from_parts(content, columns, paths, labels, values)
}

/// Numbers a row of a file with this schema.
pub(super) fn list_size(content: Content, schema: &Schema) -> Result<usize> {
    match schema.field_with_name(content.name()).map(Field::data_type) {
        Ok(DataType::FixedSizeList(_, n)) => Ok(usize::try_from(*n).unwrap_or(0)),
        Ok(other) => Err(wrong(format!("column `{}` has the type {other}", content.name()))),
        Err(_) => Err(wrong(format!("no column `{}`", content.name()))),
    }
}

pub(super) fn corrupt(e: ArrowError) -> Error {
    wrong(format!("{e}")).because(e)
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, Stage::Sink, message)
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

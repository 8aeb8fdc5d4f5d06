//! Record batches for programs that are still on the `arrow2` crate.
//!
//! `arrow2` is unmaintained and carries RUSTSEC-2025-0038 (an out-of-bounds read through its row
//! format) without a fix. Nothing of it runs here but the two sides of the [C Data
//! Interface](https://arrow.apache.org/docs/format/CDataInterface.html), by which columns change
//! hands without a copy.
#![allow(unsafe_code)]

use crate::{Error, ErrorKind, Result, Stage};
use ::arrow2::{array::Array as Array2, chunk::Chunk, datatypes::Schema as Schema2, ffi as ffi2};
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use arrow::{
    array::{Array, RecordBatch, RecordBatchOptions, make_array},
    datatypes::{Field, Schema},
    ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi},
};
use core::fmt::Display;

/// A record batch as `arrow2` has it: a schema and a chunk of columns.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a column type that `arrow2` doesn't know.
pub fn to_arrow2(batch: &RecordBatch) -> Result<(Schema2, Chunk<Box<dyn Array2>>)> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let refused = |e: &dyn Display| unsupported(field.name(), e);
        let (array, _) = to_ffi(&column.to_data()).map_err(|e| refused(&e))?;
        let schema = FFI_ArrowSchema::try_from(field.as_ref()).map_err(|e| refused(&e))?;
        let (mut array2, mut schema2) = (ffi2::ArrowArray::empty(), ffi2::ArrowSchema::empty());
        // SAFETY: both crates declare the structs of the C Data Interface, `repr(C)` with the
        // layout the specification fixes. What is overwritten is released (empty) and needs no
        // drop; `array` and `schema` are moved, so that each is released once, by its new owner.
        let (field2, column2) = unsafe {
            (&raw mut array2).cast::<FFI_ArrowArray>().write(array);
            (&raw mut schema2).cast::<FFI_ArrowSchema>().write(schema);
            let field2 = ffi2::import_field_from_c(&schema2).map_err(|e| refused(&e))?;
            let data_type = field2.data_type.clone();
            (field2, ffi2::import_array_from_c(array2, data_type).map_err(|e| refused(&e))?)
        };
        fields.push(field2);
        columns.push(column2);
    }
    let chunk = Chunk::try_new(columns).map_err(|e| unsupported("batch", &e))?;
    Ok((Schema2::from(fields), chunk))
}

/// A schema and a chunk of `arrow2` as a record batch.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a column type that arrow doesn't know, [`ErrorKind::Shape`] if
/// schema and chunk don't fit together.
pub fn from_arrow2(schema: &Schema2, chunk: &Chunk<Box<dyn Array2>>) -> Result<RecordBatch> {
    if schema.fields.len() != chunk.arrays().len() {
        let m = format!("{} fields for {} columns", schema.fields.len(), chunk.arrays().len());
        return Err(Error::new(ErrorKind::Shape, Stage::Sink, m));
    }
    let mut fields = Vec::with_capacity(schema.fields.len());
    let mut columns = Vec::with_capacity(schema.fields.len());
    for (field, column) in schema.fields.iter().zip(chunk.arrays()) {
        let refused = |e: &dyn Display| unsupported(&field.name, e);
        let mut array2 = ffi2::export_array_to_c(column.clone());
        let mut schema2 = ffi2::export_field_to_c(field);
        // SAFETY: the same structs in both crates, as above. `from_raw` moves the content out and
        // leaves an empty struct behind, so that each is released once, by its new owner. The array
        // was exported with the data type of `field`, which is what the schema describes.
        let (data, schema) = unsafe {
            let array = FFI_ArrowArray::from_raw((&raw mut array2).cast());
            let schema = FFI_ArrowSchema::from_raw((&raw mut schema2).cast());
            (from_ffi(array, &schema).map_err(|e| refused(&e))?, schema)
        };
        fields.push(Field::try_from(&schema).map_err(|e| refused(&e))?);
        columns.push(make_array(data));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|e| Error::new(ErrorKind::Shape, Stage::Sink, format!("{e}")).because(e))
}

fn unsupported(column: &str, e: &dyn Display) -> Error {
    Error::new(ErrorKind::Unsupported, Stage::Sink, format!("{e}")).at(column)
}

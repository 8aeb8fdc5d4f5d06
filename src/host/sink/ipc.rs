//! Arrow IPC files.

use super::{Content, Table, columns};
use crate::Result;
use alloc::vec::Vec;
use arrow::{
    array::RecordBatch,
    ipc::{reader::FileReader, writer::FileWriter},
};
use std::io::Cursor;

pub(super) fn encode(table: &Table) -> Result<Vec<u8>> {
    encode_batch(&columns::to_record_batch(table)?)
}

pub(super) fn encode_batch(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = FileWriter::try_new(Vec::new(), batch.schema_ref()).map_err(columns::corrupt)?;
    writer.write(batch).map_err(columns::corrupt)?;
    writer.into_inner().map_err(columns::corrupt)
}

pub(super) fn decode(content: Content, file: &[u8]) -> Result<Table> {
    let reader = FileReader::try_new(Cursor::new(file), None).map_err(columns::corrupt)?;
    let size = columns::list_size(content, &reader.schema())?;
    columns::join(content, size, reader)
}

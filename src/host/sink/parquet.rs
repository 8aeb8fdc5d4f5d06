//! Parquet files.

use super::{Content, Table, columns};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};
use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::Compression,
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
    schema::types::ColumnPath,
};

pub(super) fn encode(table: &Table) -> Result<Vec<u8>> {
    let batch = columns::to_record_batch(table)?;
    // Numbers hardly ever repeat: a dictionary of them costs time and is thrown away in the end.
    let path = [table.content().name(), "list", "element"].map(String::from);
    let numbers = ColumnPath::new(Vec::from(path));
    let properties = properties()
        .set_column_dictionary_enabled(numbers.clone(), false)
        .set_column_statistics_enabled(numbers, EnabledStatistics::None)
        .build();
    write(&batch, properties)
}

pub(super) fn encode_batch(batch: &RecordBatch) -> Result<Vec<u8>> {
    write(batch, properties().build())
}

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by(format!("fruitcore {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(None)
}

fn write(batch: &RecordBatch, properties: WriterProperties) -> Result<Vec<u8>> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(failed)?;
    writer.write(batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

pub(super) fn decode(content: Content, file: Bytes) -> Result<Table> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    let size = columns::list_size(content, builder.schema())?;
    let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(1);
    let reader = builder.with_batch_size(rows.clamp(1, 256)).build().map_err(failed)?;
    columns::join(content, size, reader)
}

fn failed(e: ParquetError) -> Error {
    Error::new(ErrorKind::Corrupt, Stage::Sink, format!("Parquet: {e}")).because(e)
}

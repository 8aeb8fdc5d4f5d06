//! Rows of numbers with path and label as files: Parquet, CSV, Arrow IPC.
//!
//! Every format holds the same [`Table`] and reads back what it wrote, bit for bit.

#[cfg(feature = "arrow2")]
pub mod arrow2;
mod columns;
mod csv;
mod ipc;
mod parquet;
pub mod picture;
mod table;

pub use self::csv::CsvOptions;
pub use columns::{from_record_batch, schema, to_record_batch};
pub use table::{Content, Table};

use crate::Result;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// File format of features and components.
///
/// ```
/// use fruitcore::host::sink::{Content, Format, Table};
/// let mut table = Table::new(Content::Features, 2)?;
/// table.push("apple/1.jpg", Some("apple"), &[0.5, -1.0])?;
/// for format in [Format::Parquet, Format::Csv(Default::default()), Format::Ipc] {
///     let file = format.encode(&table)?;
///     assert_eq!(format.decode(Content::Features, file.into())?, table);
/// }
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Apache Parquet: `path` and `label` as strings, the values as a fixed-size list of `f32`;
    /// one row group, snappy. Read by pandas, pyarrow, Spark, DuckDB, Polars.
    #[default]
    Parquet,
    /// Text: `label,path,feat_0,feat_1,…`, numbers in the shortest form that reads back as the same
    /// `f32`.
    Csv(CsvOptions),
    /// Arrow IPC file, with the columns of the Parquet file.
    Ipc,
}

impl Format {
    /// The extension of files in this format.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv(_) => "csv",
            Self::Ipc => "arrow",
        }
    }

    /// The bytes of a whole file.
    ///
    /// # Errors
    /// [`Limit`](crate::ErrorKind::Limit) if the table exceeds what the format can hold.
    pub fn encode(&self, table: &Table) -> Result<Vec<u8>> {
        match self {
            Self::Parquet => parquet::encode(table),
            Self::Csv(options) => csv::encode(table, options),
            Self::Ipc => ipc::encode(table),
        }
    }

    /// Reads what [`Format::encode`] wrote. A CSV can't tell an empty label from none; it reads as
    /// none.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for anything else.
    pub fn decode(&self, content: Content, file: Bytes) -> Result<Table> {
        match self {
            Self::Parquet => parquet::decode(content, file),
            Self::Csv(options) => csv::decode(content, &file, options),
            Self::Ipc => ipc::decode(content, &file),
        }
    }
}

/// One record batch as the bytes of a Parquet or Arrow file; a CSV is the caller's.
pub(crate) fn encode_batch(batch: &arrow::array::RecordBatch, format: &Format) -> Result<Vec<u8>> {
    match format {
        Format::Ipc => ipc::encode_batch(batch),
        _ => parquet::encode_batch(batch),
    }
}

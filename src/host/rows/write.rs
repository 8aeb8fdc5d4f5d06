//! Results of other shapes than features and components: named columns as Parquet, CSV or Arrow.

use crate::{
    Error, ErrorKind, Result, Stage,
    host::{
        run::OutputStore,
        sink::{Format, encode_batch},
    },
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use arrow::{
    array::{ArrayRef, Float32Array, Int32Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use std::io::Write;

/// One column of a result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Column<'a> {
    /// Strings.
    Text(&'a [String]),
    /// Strings, where there are any.
    OptionalText(&'a [Option<String>]),
    /// Whole numbers.
    Integers(&'a [i32]),
    /// Numbers.
    Reals(&'a [f32]),
}

impl Column<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::OptionalText(v) => v.len(),
            Self::Integers(v) => v.len(),
            Self::Reals(v) => v.len(),
        }
    }

    fn array(&self) -> (ArrayRef, bool) {
        match self {
            Self::Text(v) => (Arc::new(StringArray::from_iter_values(*v)), false),
            Self::OptionalText(v) => {
                (Arc::new(v.iter().map(Option::as_deref).collect::<StringArray>()), true)
            }
            Self::Integers(v) => (Arc::new(Int32Array::from(v.to_vec())), false),
            Self::Reals(v) => (Arc::new(Float32Array::from(v.to_vec())), false),
        }
    }

    /// Bytes of its strings.
    fn text(&self) -> usize {
        match self {
            Self::Text(v) => v.iter().map(String::len).sum(),
            Self::OptionalText(v) => v.iter().flatten().map(String::len).sum(),
            Self::Integers(_) | Self::Reals(_) => 0,
        }
    }

    fn field(&self, row: usize, out: &mut Vec<u8>) {
        let _ = match self {
            Self::Text(v) => write!(out, "{}", v[row]),
            Self::OptionalText(v) => write!(out, "{}", v[row].as_deref().unwrap_or_default()),
            Self::Integers(v) => write!(out, "{}", v[row]),
            Self::Reals(v) => write!(out, "{:?}", v[row]),
        };
    }
}

/// A table of named columns as the bytes of one file, readable by pandas, DuckDB and Spark.
///
/// # Errors
/// [`ErrorKind::Shape`] if the columns differ in length, [`ErrorKind::Limit`] if the format can't hold them.
///
/// ```
/// use fruitcore::host::{rows::{Column, encode_columns}, sink::Format};
/// let names = [String::from("a.jpg"), String::from("b.jpg")];
/// let columns = [("path", Column::Text(&names)), ("cluster", Column::Integers(&[3, 1]))];
/// let csv = encode_columns(&columns, &Format::Csv(Default::default()))?;
/// assert_eq!(csv, b"path,cluster\na.jpg,3\nb.jpg,1\n");
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub fn encode_columns(columns: &[(&str, Column<'_>)], format: &Format) -> Result<Vec<u8>> {
    let rows = columns.first().map_or(0, |c| c.1.len());
    if let Some((name, column)) = columns.iter().find(|c| c.1.len() != rows) {
        let m = format!("column `{name}` has {} rows, the first has {rows}", column.len());
        return Err(Error::new(ErrorKind::Shape, Stage::Sink, m));
    }
    if let Format::Csv(options) = format {
        options.check()?;
        let failed = |e: ::csv::Error| Error::new(ErrorKind::Io, Stage::Sink, format!("CSV: {e}")).because(e);
        let mut writer = ::csv::WriterBuilder::new().delimiter(options.separator).from_writer(Vec::new());
        if options.header {
            writer.write_record(columns.iter().map(|c| c.0)).map_err(failed)?;
        }
        let mut field = Vec::new();
        for row in 0..rows {
            for (_, column) in columns {
                field.clear();
                column.field(row, &mut field);
                writer.write_field(&field).map_err(failed)?;
            }
            writer.write_record(None::<&[u8]>).map_err(failed)?;
        }
        return writer.into_inner().map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("CSV: {e}")));
    }
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (name, column) in columns {
        check_text(name, column.text())?;
        let (array, nullable) = column.array();
        let kind: DataType = array.data_type().clone();
        fields.push(Field::new(*name, kind, nullable));
        arrays.push(array);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|e| Error::new(ErrorKind::Limit, Stage::Sink, format!("{e}")).because(e))?;
    encode_batch(&batch, format)
}

/// Arrow's strings are counted in 31 bits.
fn check_text(name: &str, bytes: usize) -> Result<()> {
    if i32::try_from(bytes).is_ok() {
        return Ok(());
    }
    let m = format!("the text of column `{name}` exceeds 2 GiB; write CSV, or fewer rows");
    Err(Error::new(ErrorKind::Limit, Stage::Sink, m))
}

/// A value as indented JSON in a file of the output.
pub(crate) fn put_json(store: &dyn OutputStore, name: &str, value: &impl serde::Serialize) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("{name}: {e}")).because(e))?;
    store.put(name, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_beyond_arrows_offsets_is_refused() {
        let texts = [String::from("ab"), String::from("c")];
        assert_eq!(Column::Text(&texts).text(), 3);
        assert_eq!(Column::OptionalText(&[None, Some(String::from("ab"))]).text(), 2);
        assert!(check_text("path", i32::MAX as usize).is_ok());
        let e = check_text("path", i32::MAX as usize + 1).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Limit);
        assert!(e.message().contains("`path`"), "{e}");
    }
}

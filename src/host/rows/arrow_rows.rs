//! Rows of Parquet and Arrow files, whoever wrote them.

use super::{
    CHUNK, Checked, corrupt,
    layout::{Kind, Layout, Values, choose},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    host::sink::{Content, Table},
};
use alloc::{format, string::String, vec::Vec};
use arrow::{
    array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, StructArray},
    compute::cast,
    datatypes::{DataType, Float32Type, Int32Type, Schema},
    error::ArrowError,
    ipc::reader::FileReader,
};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, file::reader::ChunkReader};
use std::io::{Read, Seek};

/// Numbers of sparse vectors that are spread out at once, at most.
const MOST: usize = 1 << 30;

pub(super) fn parquet(
    content: Content,
    file: impl ChunkReader + 'static,
    sink: &mut Checked<'_>,
) -> Result<()> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed("Parquet", e))?;
    let reader = builder.with_batch_size(CHUNK).build().map_err(|e| failed("Parquet", e))?;
    batches(content, reader, sink)
}

pub(super) fn ipc(content: Content, file: impl Read + Seek, sink: &mut Checked<'_>) -> Result<()> {
    let reader = FileReader::try_new(file, None).map_err(|e| failed("Arrow", e))?;
    batches(content, reader, sink)
}

fn batches(
    content: Content,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    sink: &mut Checked<'_>,
) -> Result<()> {
    let mut layout = None;
    for batch in batches {
        let batch = batch.map_err(|e| failed("Arrow", e))?;
        let layout = match &layout {
            Some(layout) => layout,
            None => layout.insert(choose(&kinds(batch.schema_ref()), content.name())?),
        };
        let table = table(content, &batch, layout, sink)?;
        sink.push(table)?;
    }
    Ok(())
}

fn kinds(schema: &Schema) -> Vec<(String, Kind)> {
    schema.fields().iter().map(|f| (f.name().clone(), kind(f.data_type()))).collect()
}

fn kind(of: &DataType) -> Kind {
    match of {
        t if t.is_numeric() => Kind::Number,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Dictionary(_, value) => kind(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if item.data_type().is_numeric() =>
        {
            Kind::Vector
        }
        DataType::Struct(fields)
            if ["type", "size", "indices", "values"].iter().all(|n| fields.find(n).is_some()) =>
        {
            Kind::Vector
        }
        _ => Kind::Other,
    }
}

fn table(content: Content, batch: &RecordBatch, layout: &Layout, sink: &Checked<'_>) -> Result<Table> {
    let n = batch.num_rows();
    let strings = |index: Option<usize>| -> Result<Option<ArrayRef>> {
        index
            .map(|i| cast(batch.column(i), &DataType::Utf8).map_err(|e| failed("text column", e)))
            .transpose()
    };
    let paths = match strings(layout.path)? {
        Some(array) => {
            let named = array.as_string::<i32>().iter().enumerate();
            named.map(|(i, p)| p.map_or_else(|| sink.name(i), String::from)).collect()
        }
        None => (0..n).map(|i| sink.name(i)).collect(),
    };
    let labels = match strings(layout.label)? {
        Some(array) => {
            array.as_string::<i32>().iter().map(|l| l.filter(|l| !l.is_empty()).map(String::from)).collect()
        }
        None => alloc::vec![None; n],
    };
    let (columns, values) = match &layout.values {
        Values::Vector(i) => vectors(batch.column(*i), batch.schema_ref().field(*i).name())?,
        Values::Separate(all) => separate(batch, all)?,
    };
    Table::from_parts(content, columns.max(1), paths, labels, values)
}

fn separate(batch: &RecordBatch, columns: &[usize]) -> Result<(usize, Vec<f32>)> {
    let mut values = alloc::vec![0.0; batch.num_rows() * columns.len()];
    for (j, &i) in columns.iter().enumerate() {
        let column = floats(batch.column(i), batch.schema_ref().field(i).name())?;
        let at = values.iter_mut().skip(j).step_by(columns.len());
        at.zip(column.values()).for_each(|(v, x)| *v = *x);
    }
    Ok((columns.len(), values))
}

/// Numbers of any type as `f32` without gaps.
fn floats(array: &ArrayRef, name: &str) -> Result<Float32Array> {
    let array = cast(array, &DataType::Float32).map_err(|e| failed(name, e))?;
    if array.null_count() > 0 {
        return Err(corrupt(format!("column `{name}` has empty numbers; fill or drop those rows first")));
    }
    Ok(array.as_primitive::<Float32Type>().clone())
}

fn vectors(array: &ArrayRef, name: &str) -> Result<(usize, Vec<f32>)> {
    if array.null_count() > 0 {
        return Err(corrupt(format!("column `{name}` has empty rows; drop them first")));
    }
    if let Some(vectors) = array.as_struct_opt() {
        return spark(vectors, name);
    }
    if let Some(list) = array.as_fixed_size_list_opt() {
        let size = usize::try_from(list.value_length()).unwrap_or(0);
        let values = list.values().slice(list.value_offset_at(0), list.len() * size);
        return Ok((size, floats(&values, name)?.values().to_vec()));
    }
    let (lengths, inner): (Vec<usize>, ArrayRef) = if let Some(list) = array.as_list_opt::<i32>() {
        (
            (0..list.len()).map(|i| list.value_length(i) as usize).collect(),
            sliced(list.values(), list.value_offsets()),
        )
    } else if let Some(list) = array.as_list_opt::<i64>() {
        let offsets = list.value_offsets();
        ((0..list.len()).map(|i| list.value_length(i) as usize).collect(), sliced(list.values(), offsets))
    } else {
        return Err(corrupt(format!("column `{name}` has the unexpected type {}", array.data_type())));
    };
    Ok((same(&lengths, name)?, floats(&inner, name)?.values().to_vec()))
}

fn sliced<O: Copy + TryInto<usize>>(values: &ArrayRef, offsets: &[O]) -> ArrayRef {
    let at = |o: Option<&O>| o.and_then(|o| (*o).try_into().ok()).unwrap_or(0);
    let (from, to) = (at(offsets.first()), at(offsets.last()));
    values.slice(from, to.saturating_sub(from))
}

fn same(lengths: &[usize], name: &str) -> Result<usize> {
    let first = lengths.first().copied().unwrap_or(0);
    match lengths.iter().position(|l| *l != first) {
        Some(i) => {
            let m = format!("vectors of column `{name}` differ in length: {first} and {}", lengths[i]);
            Err(corrupt(m))
        }
        None => Ok(first),
    }
}

/// Spark ML's vector type: dense (`type` 1) or sparse (`type` 0, with `size` and `indices`).
fn spark(array: &StructArray, name: &str) -> Result<(usize, Vec<f32>)> {
    let wrong = || corrupt(format!("column `{name}` is a struct, but not as Spark writes vectors"));
    let field = |f: &str| array.column_by_name(f).ok_or_else(wrong);
    let as_i32 = |f: &str| cast(field(f)?, &DataType::Int32).map_err(|e| failed(name, e));
    let (kinds, sizes) = (as_i32("type")?, as_i32("size")?);
    let (kinds, sizes) = (kinds.as_primitive::<Int32Type>(), sizes.as_primitive::<Int32Type>());
    let values = field("values")?.as_list_opt::<i32>().ok_or_else(wrong)?;
    let indices = field("indices")?.as_list_opt::<i32>().ok_or_else(wrong)?;
    let dense = |i: usize| kinds.value(i) == 1;
    let length = |i: usize| match dense(i) {
        true => values.value_length(i) as usize,
        false => usize::try_from(sizes.value(i)).unwrap_or(0),
    };
    let lengths: Vec<usize> = (0..array.len()).map(length).collect();
    let columns = same(&lengths, name)?;
    // A file's word alone: a sparse vector of any length takes no bytes in it.
    let numbers = columns.saturating_mul(array.len());
    let mut all: Vec<f32> = Vec::new();
    if numbers > MOST || all.try_reserve_exact(numbers).is_err() {
        let m = format!(
            "column `{name}` has vectors of {columns} numbers: too many to spread out {} of them; reduce them \
             first, or save them in smaller row groups",
            array.len()
        );
        return Err(Error::new(ErrorKind::Limit, Stage::Source, m));
    }
    all.resize(numbers, 0.0);
    for (i, row) in all.chunks_exact_mut(columns.max(1)).enumerate() {
        let numbers = floats(&values.value(i), name)?;
        if dense(i) {
            row.copy_from_slice(numbers.values());
            continue;
        }
        let at = cast(&indices.value(i), &DataType::Int32).map_err(|e| failed(name, e))?;
        for (index, x) in at.as_primitive::<Int32Type>().values().iter().zip(numbers.values()) {
            let cell = usize::try_from(*index).ok().and_then(|i| row.get_mut(i)).ok_or_else(wrong)?;
            *cell = *x;
        }
    }
    Ok((columns, all))
}

fn failed(what: &str, e: impl core::error::Error + Send + Sync + 'static) -> Error {
    corrupt(format!("{what}: {e}")).because(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use arrow::{
        array::{Float64Array, Int8Array, Int32Array, ListArray},
        buffer::OffsetBuffer,
        datatypes::Field,
    };

    /// One sparse vector: 1.5 at index 2.
    fn sparse(size: i32) -> StructArray {
        let list = |values: ArrayRef| -> ArrayRef {
            let item = Arc::new(Field::new("element", values.data_type().clone(), false));
            Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1]), values, None))
        };
        let columns: [(&str, ArrayRef); 4] = [
            ("type", Arc::new(Int8Array::from(alloc::vec![0]))),
            ("size", Arc::new(Int32Array::from(alloc::vec![size]))),
            ("indices", list(Arc::new(Int32Array::from(alloc::vec![2])))),
            ("values", list(Arc::new(Float64Array::from(alloc::vec![1.5])))),
        ];
        let field =
            |(name, a): (&str, ArrayRef)| (Arc::new(Field::new(name, a.data_type().clone(), true)), a);
        StructArray::from(columns.map(field).to_vec())
    }

    #[test]
    fn a_sparse_vector_takes_no_more_than_is_allowed() {
        assert_eq!(spark(&sparse(4), "features").unwrap(), (4, alloc::vec![0.0, 0.0, 1.5, 0.0]));
        let e = spark(&sparse(i32::MAX), "features").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Limit);
        assert!(e.message().contains("`features`"), "{e}");
        assert_eq!(spark(&sparse(2), "features").unwrap_err().kind(), crate::ErrorKind::Corrupt);
    }
}

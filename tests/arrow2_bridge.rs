//! Batches to `arrow2` and back.
#![cfg(feature = "arrow2")]

use fruitcore::host::sink::{
    Content, Table, arrow2::from_arrow2, arrow2::to_arrow2, from_record_batch, to_record_batch,
};

#[test]
fn there_and_back() {
    let mut table = Table::new(Content::Features, 3).unwrap();
    for i in 0..100u8 {
        let label = (i % 3 > 0).then(|| format!("class {}", i % 3));
        table.push(format!("é/{i}.jpg"), label, &[f32::from(i), -0.0, f32::MIN_POSITIVE]).unwrap();
    }
    for rows in [0, 1, 100] {
        let batch = to_record_batch(&table).unwrap().slice(0, rows);
        let (schema, chunk) = to_arrow2(&batch).unwrap();
        assert_eq!(chunk.len(), rows);
        let names: Vec<_> = schema.fields.iter().map(|f| (f.name.as_str(), f.is_nullable)).collect();
        assert_eq!(names, [("path", false), ("label", true), ("features", false)]);
        let paths = chunk.arrays()[0].as_any().downcast_ref::<arrow2::array::Utf8Array<i32>>().unwrap();
        assert!(paths.values_iter().eq(table.paths().iter().take(rows).map(String::as_str)));
        drop(batch);
        let back = from_arrow2(&schema, &chunk).unwrap();
        drop((schema, chunk));
        let back = from_record_batch(Content::Features, &back).unwrap();
        assert_eq!(back.paths(), &table.paths()[..rows]);
        assert_eq!(back.labels(), &table.labels()[..rows]);
        assert_eq!(back.values(), &table.values()[..rows * 3]);
    }
}

#[test]
fn schema_and_chunk_must_fit() {
    let table = Table::new(Content::Features, 3).unwrap();
    let (mut schema, chunk) = to_arrow2(&to_record_batch(&table).unwrap()).unwrap();
    schema.fields.pop();
    assert!(from_arrow2(&schema, &chunk).is_err());
}

//! The shared generator gives in Rust what it gives in Python.
mod support;

use serde_json::Value;
use support::generator::{Generated, crc32};

#[test]
fn same_values_as_python() {
    let golden: Value = serde_json::from_str(include_str!("golden/networks/generator.json")).unwrap();
    let generated = Generated::new();
    let sizes = |row: &Value| -> Vec<usize> {
        row["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
    };
    let tensors = golden["tensors"].as_array().unwrap();
    assert!(tensors.len() > 10);
    for row in tensors {
        let name = row["name"].as_str().unwrap();
        let crc = crc32(&generated.values(name, &sizes(row)));
        assert_eq!(u64::from(crc), row["crc32"], "{name}");
    }
    for row in golden["pictures"].as_array().unwrap() {
        let [h, w] = sizes(row)[..] else { panic!("a picture has two sides") };
        let crc = crc32(&generated.picture(row["index"].as_u64().unwrap() as usize, h, w));
        assert_eq!(u64::from(crc), row["crc32"], "{row}");
    }
}

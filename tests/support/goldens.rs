//! Reads `tests/golden/networks/{torchvision,keras,timm}.bin`.

use fruitcore::featurize::network::{NetworkSpec, Tap, Variant};
use serde_json::Value;

/// Features a peer computed.
pub(crate) struct Golden {
    pub(crate) spec: NetworkSpec,
    /// Pictures in the batch.
    pub(crate) count: usize,
    pub(crate) feature_len: usize,
    /// `[count, feature_len]`.
    pub(crate) features: Vec<f32>,
}

/// Every case of one variant.
pub(crate) fn goldens(variant: Variant) -> Vec<Golden> {
    match variant {
        Variant::Torchvision => read(variant, include_bytes!("../golden/networks/torchvision.bin")),
        _ => read(variant, include_bytes!("../golden/networks/keras.bin")),
    }
}

/// Those of timm, whose networks are torchvision's.
pub(crate) fn timm() -> Vec<Golden> {
    read(Variant::Torchvision, include_bytes!("../golden/networks/timm.bin"))
}

fn read(variant: Variant, file: &[u8]) -> Vec<Golden> {
    let end = file.iter().position(|&b| b == b'\n').expect("a header line");
    let header: Value = serde_json::from_slice(&file[..end]).expect("a JSON header");
    let mut values =
        file[end + 1..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
    let size = |v: &Value| v.as_u64().expect("a size") as usize;
    let cases = header["cases"].as_array().expect("a list of cases");
    let read = cases
        .iter()
        .map(|case| {
            let text = |key: &str| case[key].as_str().expect("a text").to_owned();
            let kind = text("network").parse().expect("a network");
            let spec = NetworkSpec::new(kind)
                .variant(variant)
                .tap(text("tap").parse::<Tap>().expect("a tap"))
                .width(case["width"].as_f64().expect("a width"))
                .input(size(&case["input"][0]), size(&case["input"][1]));
            let (count, feature_len) = (size(&case["features"][0]), size(&case["features"][1]));
            let features = values.by_ref().take(count * feature_len).collect();
            Golden { spec, count, feature_len, features }
        })
        .collect();
    assert_eq!(values.next(), None, "more than the header says");
    read
}

/// ‖a − b‖ / ‖b‖.
pub(crate) fn relative_error(found: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(found.len(), reference.len());
    let norm = |it: &mut dyn Iterator<Item = f64>| it.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(reference).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    difference / norm(&mut reference.iter().map(|&b| f64::from(b)))
}

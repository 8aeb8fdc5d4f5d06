//! Files that torchvision, timm and Keras wrote: every tensor equals the generator's at the
//! network's name.
#![cfg(feature = "checkpoints")]

mod support;

use fruitcore::ErrorKind;
use fruitcore::featurize::network::{NetworkKind, NetworkSpec, Tap, Variant};
use fruitcore::featurize::weights::{Checkpoint, Format, WeightSource};
use support::{bundle, generator::Generated};

struct Expected {
    format: Format,
    spec: NetworkSpec,
    head: bool,
    /// Values that are rounded when stored: by name, to the given precision.
    rounded: &'static [(&'static str, f32)],
}

fn expect(format: Format, spec: NetworkSpec, head: bool) -> Expected {
    Expected { format, spec, head, rounded: &[] }
}

/// Compares every tensor the network needs, and the classifier where the file has it.
fn compare(name: &str, bytes: Vec<u8>, expected: &Expected) {
    let checkpoint = Checkpoint::from_bytes(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    let found = checkpoint.inspect();
    let spec = expected.spec;
    assert_eq!(found.format, expected.format, "{name}");
    assert_eq!((found.network, found.variant), (Some(spec.kind), Some(spec.variant)), "{name}: {found}");
    assert_eq!(found.width, Some(spec.width), "{name}: {found}");
    assert_eq!(found.head, expected.head, "{name}: {found}");
    checkpoint.check(&spec).unwrap_or_else(|e| panic!("{name}: {e}"));

    let mut wanted = spec.graph().unwrap().parameters();
    if expected.head {
        let (layer, inputs) = match spec.kind {
            NetworkKind::Vgg16 => ("classifier.6", 4096),
            NetworkKind::Resnet50 => ("fc", 2048),
            _ => ("classifier.1", 1280),
        };
        wanted.push((format!("{layer}.weight"), vec![1000, inputs]));
        wanted.push((format!("{layer}.bias"), vec![1000]));
    }
    let names = checkpoint.names();
    let generated = Generated::new();
    for (tensor, shape) in wanted {
        assert!(names.contains(&tensor), "{name}: {tensor}");
        let values = checkpoint.tensor(&tensor, &shape).unwrap_or_else(|e| panic!("{name}: {e}"));
        let same = generated.values(&tensor, &shape);
        let tolerance = expected
            .rounded
            .iter()
            .find(|(end, _)| tensor.ends_with(end))
            .map_or(0.0, |(_, tolerance)| *tolerance);
        let differs = values.iter().zip(&same).position(|(a, b)| (a - b).abs() > tolerance * b.abs());
        assert_eq!(differs, None, "{name}: {tensor} {shape:?}");
        assert_eq!(values.len(), same.len(), "{name}: {tensor}");
    }
    // The other variant and another network are refused, whatever the names.
    let other = if spec.variant == Variant::Keras { Variant::Torchvision } else { Variant::Keras };
    assert_eq!(checkpoint.check(&spec.variant(other)).unwrap_err().kind(), ErrorKind::Mismatch, "{name}");
}

fn compare_bundle(bundle: &str, expected: &[(&str, Expected)]) {
    let files = bundle::read(bundle);
    assert_eq!(files.len(), expected.len(), "{bundle}");
    for ((name, bytes), (expected_name, expected)) in files.into_iter().zip(expected) {
        assert_eq!(name, *expected_name);
        compare(&format!("{bundle}/{name}"), bytes, expected);
    }
}

fn spec(kind: NetworkKind, variant: Variant) -> NetworkSpec {
    NetworkSpec::new(kind).variant(variant)
}

#[test]
fn torch_mobilenet_v2() {
    let full = spec(NetworkKind::MobileNetV2, Variant::Torchvision);
    let narrow = full.width(0.35);
    let f16 = Expected { rounded: &[("", 1e-3)], ..expect(Format::Safetensors, narrow, true) };
    let training =
        Expected { rounded: &[("features.0.1.running_var", 4e-3)], ..expect(Format::TorchZip, narrow, true) };
    compare_bundle(
        "torch-mobilenet_v2",
        &[
            ("torchvision.pth", expect(Format::TorchZip, full, true)),
            ("torchvision-legacy.pth", expect(Format::TorchLegacy, full, true)),
            ("torchvision.safetensors", expect(Format::Safetensors, full, true)),
            ("timm-100.safetensors", expect(Format::Safetensors, full, true)),
            ("0.35-f16.safetensors", f16),
            ("0.35-training.pth", training),
        ],
    );
}

#[test]
fn torch_resnet50() {
    let spec = spec(NetworkKind::Resnet50, Variant::Torchvision);
    compare_bundle(
        "torch-resnet50",
        &[
            ("torchvision.pth", expect(Format::TorchZip, spec, true)),
            ("timm.safetensors", expect(Format::Safetensors, spec, true)),
        ],
    );
}

#[test]
fn vgg16_of_all_families() {
    // One after another: each is half a gigabyte.
    let torch = spec(NetworkKind::Vgg16, Variant::Torchvision);
    let keras = spec(NetworkKind::Vgg16, Variant::Keras);
    compare_bundle("torch-vgg16", &[("torchvision.pth", expect(Format::TorchZip, torch, true))]);
    compare_bundle("timm-vgg16", &[("timm.safetensors", expect(Format::Safetensors, torch, true))]);
    compare_bundle("keras-vgg16", &[("top.h5", expect(Format::KerasModel, keras, true))]);
    let pooled = keras.tap(Tap::Pooled);
    compare_bundle(
        "keras-vgg16-notop",
        &[
            ("notop.h5", expect(Format::KerasWeights, pooled, false)),
            ("notop.weights.h5", expect(Format::KerasV3, pooled, false)),
        ],
    );
}

#[test]
fn keras_mobilenet_v2() {
    let full = spec(NetworkKind::MobileNetV2, Variant::Keras);
    let narrow = full.width(0.35);
    compare_bundle(
        "keras-mobilenet_v2",
        &[
            ("0.35.h5", expect(Format::KerasModel, narrow, true)),
            ("0.35.weights.h5", expect(Format::KerasV3, narrow, true)),
            ("0.35-counted.weights.h5", expect(Format::KerasV3, narrow, true)),
            ("0.35.keras", expect(Format::KerasArchive, narrow, true)),
            ("transfer-0.35.h5", expect(Format::KerasModel, narrow, false)),
            ("transfer-0.35.weights.h5", expect(Format::KerasV3, narrow, false)),
            ("notop.h5", expect(Format::KerasWeights, full, false)),
        ],
    );
}

#[test]
fn keras_resnet50() {
    let spec = spec(NetworkKind::Resnet50, Variant::Keras);
    compare_bundle(
        "keras-resnet50",
        &[
            ("top.weights.h5", expect(Format::KerasV3, spec, true)),
            ("notop.h5", expect(Format::KerasWeights, spec, false)),
            ("notop-counted.weights.h5", expect(Format::KerasV3, spec, false)),
        ],
    );
    let notop = Checkpoint::from_bytes(bundle::file("keras-resnet50", "notop.h5")).unwrap();
    assert_eq!(
        notop.inspect().to_string(),
        "a Keras .h5 weights file of resnet50 (notop), 106 layers, 23587712 values"
    );
    // A tensor that is missing, and one of another shape: which, what was expected, what the file is.
    let missing = notop.tensor("fc.weight", &[1000, 2048]).unwrap_err();
    assert_eq!((missing.kind(), missing.object()), (ErrorKind::NotFound, Some("fc.weight")));
    assert!(
        missing.message().contains("[1000, 2048]") && missing.message().contains("resnet50 (notop)"),
        "{missing}"
    );
    let shape = notop.tensor("conv1.weight", &[64, 3, 3, 3]).unwrap_err();
    assert_eq!((shape.kind(), shape.object()), (ErrorKind::Shape, Some("conv1.weight")));
    for part in ["expected [64, 3, 3, 3]", "found [64, 3, 7, 7]", "conv1_conv", "[7, 7, 3, 64]"] {
        assert!(shape.message().contains(part), "{shape}");
    }
}

//! Features through files that the peers wrote equal the features the peers computed.
#![cfg(feature = "checkpoints")]

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use fruitcore::Featurizer;
use fruitcore::featurize::NetworkFeaturizer;
use fruitcore::featurize::network::{NetworkKind, Variant};
use fruitcore::featurize::weights::Checkpoint;
use support::{bundle, generator::Generated, goldens};

fn compare(bundle: &str, file: &str, variant: Variant, kind: NetworkKind, width: f64, input: [usize; 2]) {
    let checkpoint = Checkpoint::from_bytes(bundle::file(bundle, file)).unwrap();
    let golden = goldens::goldens(variant)
        .into_iter()
        .find(|g| g.spec.kind == kind && g.spec.width == width && g.spec.input == input)
        .unwrap_or_else(|| panic!("no golden of {kind} {width} {input:?}"));
    checkpoint.check(&golden.spec).unwrap();
    let device = Device::default();
    let network = NetworkFeaturizer::new(&golden.spec.graph().unwrap(), &checkpoint, &device).unwrap();
    let generated = Generated::new();
    let [h, w] = input;
    let pixels: Vec<f32> = (0..golden.count).flat_map(|i| generated.picture(i, h, w)).collect();
    let batch = Tensor::from_data(TensorData::new(pixels, [golden.count, 3, h, w]), &device);
    let features: Vec<f32> = network.featurize(batch).unwrap().into_data().try_to_vec().unwrap();
    let error = goldens::relative_error(&features, &golden.features);
    assert!(error <= 1e-5, "{bundle}/{file}: {error}");
}

#[test]
fn mobilenet_v2_of_torchvision() {
    for file in ["torchvision.pth", "torchvision-legacy.pth", "timm-100.safetensors"] {
        compare("torch-mobilenet_v2", file, Variant::Torchvision, NetworkKind::MobileNetV2, 1.0, [32, 32]);
    }
}

#[test]
fn mobilenet_v2_of_keras() {
    for file in ["0.35.h5", "0.35.weights.h5", "0.35-counted.weights.h5"] {
        compare("keras-mobilenet_v2", file, Variant::Keras, NetworkKind::MobileNetV2, 0.35, [96, 96]);
    }
}

#[test]
fn resnet50_of_torchvision() {
    compare("torch-resnet50", "torchvision.pth", Variant::Torchvision, NetworkKind::Resnet50, 1.0, [97, 160]);
}

#[test]
fn resnet50_of_keras() {
    compare("keras-resnet50", "notop.h5", Variant::Keras, NetworkKind::Resnet50, 1.0, [97, 160]);
}

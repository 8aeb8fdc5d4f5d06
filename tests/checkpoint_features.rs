//! Features through files that the peers wrote equal the features the peers computed.
#![cfg(feature = "checkpoints")]

mod support;

use burn::tensor::{Device, Tensor, TensorData};
use fruitcore::Featurizer;
use fruitcore::featurize::NetworkFeaturizer;
use fruitcore::featurize::network::{NetworkKind, Tap, Variant};
use fruitcore::featurize::weights::Checkpoint;
use support::{
    bundle,
    generator::Generated,
    goldens::{self, Golden},
};

/// The network, its width, tap and input.
type Case = (NetworkKind, f64, Tap, [usize; 2]);

const VGG: Case = (NetworkKind::Vgg16, 1.0, Tap::Fc2, [224, 224]);
const RESNET: Case = (NetworkKind::Resnet50, 1.0, Tap::Pooled, [97, 160]);
const MOBILENET: Case = (NetworkKind::MobileNetV2, 1.0, Tap::Pooled, [32, 32]);

fn compare(bundle: &str, file: &str, of: Vec<Golden>, (kind, width, tap, input): Case) {
    let checkpoint = Checkpoint::from_bytes(bundle::file(bundle, file)).unwrap();
    let is = |g: &Golden| {
        let spec = g.spec;
        spec.kind == kind && spec.width == width && spec.tap == tap && spec.input == input
    };
    let golden = of.into_iter().find(is).unwrap_or_else(|| panic!("no golden of {kind} {width} {input:?}"));
    checkpoint.check(&golden.spec).unwrap();
    let device = Device::default();
    let network = NetworkFeaturizer::new(&golden.spec.graph().unwrap(), &checkpoint, &device).unwrap();
    drop(checkpoint);
    let generated = Generated::new();
    let [h, w] = input;
    let pixels: Vec<f32> = (0..golden.count).flat_map(|i| generated.picture(i, h, w)).collect();
    let batch = Tensor::from_data(TensorData::new(pixels, [golden.count, 3, h, w]), &device);
    let features: Vec<f32> = network.featurize(batch).unwrap().into_data().try_to_vec().unwrap();
    let error = goldens::relative_error(&features, &golden.features);
    println!("{bundle}/{file}: {error:.1e}");
    assert!(error <= 1e-5, "{bundle}/{file}: {error}");
}

fn torchvision() -> Vec<Golden> {
    goldens::goldens(Variant::Torchvision)
}

fn keras() -> Vec<Golden> {
    goldens::goldens(Variant::Keras)
}

#[test]
fn mobilenet_v2_of_torchvision_and_timm() {
    for file in ["torchvision.pth", "torchvision-legacy.pth"] {
        compare("torch-mobilenet_v2", file, torchvision(), MOBILENET);
    }
    compare("torch-mobilenet_v2", "timm-100.safetensors", goldens::timm(), MOBILENET);
}

#[test]
fn mobilenet_v2_of_keras() {
    for file in ["0.35.h5", "0.35.weights.h5", "0.35-counted.weights.h5"] {
        let case = (NetworkKind::MobileNetV2, 0.35, Tap::Pooled, [96, 96]);
        compare("keras-mobilenet_v2", file, keras(), case);
    }
}

#[test]
fn resnet50_of_torchvision_and_timm() {
    compare("torch-resnet50", "torchvision.pth", torchvision(), RESNET);
    compare("torch-resnet50", "timm.safetensors", goldens::timm(), RESNET);
}

#[test]
fn resnet50_of_keras() {
    compare("keras-resnet50", "notop.h5", keras(), RESNET);
}

#[test]
fn vgg16_of_all_families() {
    // One after another: each is half a gigabyte.
    compare("torch-vgg16", "torchvision.pth", torchvision(), VGG);
    compare("timm-vgg16", "timm.safetensors", goldens::timm(), VGG);
    compare("keras-vgg16", "top.h5", keras(), VGG);
    let pooled = (NetworkKind::Vgg16, 1.0, Tap::Pooled, [33, 47]);
    for file in ["notop.h5", "notop.weights.h5"] {
        compare("keras-vgg16-notop", file, keras(), pooled);
    }
}

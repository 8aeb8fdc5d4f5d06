//! Opening, inspecting and verifying files by path, and resolving what a user names.
#![cfg(feature = "host")]

mod support;

use core::ops::ControlFlow;
use fruitcore::ErrorKind;
use fruitcore::featurize::network::{NetworkKind, NetworkSpec, Variant};
use fruitcore::featurize::weights::Format;
use fruitcore::host::weights::{Progress, inspect, open, resolve};
use std::fs;
use support::{bundle, generator::Generated};

fn unused(_: Progress) -> ControlFlow<()> {
    panic!("nothing is fetched here")
}

#[test]
fn files_are_opened_by_content_whatever_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    fs::write(&path, bundle::file("keras-mobilenet_v2", "0.35.h5")).unwrap();
    let found = inspect(&path).unwrap();
    assert_eq!(
        (found.format, found.network, found.width),
        (Format::KerasModel, Some(NetworkKind::MobileNetV2), Some(0.35))
    );
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).variant(Variant::Keras).width(0.35).input(96, 96);
    let shape = [16, 3, 3, 3];
    let expected = Generated::new().values("features.0.0.weight", &shape);
    let weights = resolve(path.to_str().unwrap(), &spec, &mut unused).unwrap();
    assert_eq!(*weights.tensor("features.0.0.weight", &shape).unwrap(), expected);
    // The same names and shapes, but another graph: refused, with the file's name.
    let error =
        resolve(path.to_str().unwrap(), &spec.variant(Variant::Torchvision), &mut unused).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.message().contains("weights.pth") && error.message().contains("keras"), "{error}");

    fs::write(&path, bundle::file("torch-mobilenet_v2", "0.35-training.pth")).unwrap();
    assert_eq!(open(&path).unwrap().inspect().format, Format::TorchZip);
}

#[test]
fn random_weights_need_no_file() {
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32);
    let shape = [16, 3, 3, 3];
    let one = |text| {
        resolve(text, &spec, &mut unused).unwrap().tensor("features.0.0.weight", &shape).unwrap().to_vec()
    };
    assert_eq!(one("random"), one("random:0"));
    assert_ne!(one("random:1"), one("random:2"));
}

#[test]
fn what_can_t_be_opened_says_what_to_give() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let error = open(path("absent.pth")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("absent.pth"), "{error}");
    assert_eq!(open(folder.path()).err().unwrap().kind(), ErrorKind::InvalidArgument);
    fs::write(path("empty.h5"), b"").unwrap();
    assert!(open(path("empty.h5")).err().unwrap().to_string().contains("an empty file"));
    let whole = bundle::file("keras-mobilenet_v2", "transfer-0.35.weights.h5");
    fs::write(path("cut.h5"), &whole[..whole.len() / 2]).unwrap();
    let error = open(path("cut.h5")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(&format!("{} bytes expected", whole.len())), "{error}");
    let error = resolve("random:x", &NetworkSpec::new(NetworkKind::Vgg16), &mut unused).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

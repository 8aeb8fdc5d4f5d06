//! Features equal torchvision's and Keras' on generated weights and pictures: relative error at most
//! 1e-5 on the CPU devices. `tests/golden/networks/make_*.py` computed the references in float64.
#![cfg(any(feature = "flex", feature = "ndarray", feature = "wgpu"))]
mod support;

use burn::tensor::{Device, Tensor, TensorData};
use fruitcore::Featurizer;
use fruitcore::featurize::NetworkFeaturizer;
use fruitcore::featurize::network::{NetworkKind, NetworkSpec, Tap, Variant};
use support::generator::Generated;
use support::goldens::{Golden, goldens, relative_error};

fn features(net: &NetworkFeaturizer, golden: &Golden, generated: &Generated, device: &Device) -> Vec<f32> {
    let [h, w] = golden.spec.input;
    assert_eq!(net.feature_len(), golden.feature_len);
    let pictures: Vec<f32> = (0..golden.count).flat_map(|i| generated.picture(i, h, w)).collect();
    let batch = Tensor::from_data(TensorData::new(pictures, [golden.count, 3, h, w]), device);
    let out = net.featurize(batch).unwrap();
    assert_eq!(out.dims(), [golden.count, golden.feature_len]);
    out.into_data().try_to_vec().unwrap()
}

/// Compares every case that `pick`s; a device's name is for the message. Where a device runs a plan,
/// Burn's operations on it are compared, too.
fn compare(device: &Device, name: &str, bound: f64, pick: impl Fn(&NetworkSpec) -> bool) {
    let generated = Generated::new();
    let mut compared = 0;
    for &variant in Variant::ALL {
        for golden in goldens(variant).iter().filter(|g| pick(&g.spec)) {
            let graph = golden.spec.graph().unwrap();
            let check = |net: &NetworkFeaturizer, by: &str| {
                let error = relative_error(&features(net, golden, &generated, device), &golden.features);
                println!("{name} {by} {}: {error:.1e}", golden.spec);
                assert!(error <= bound, "{name} {by} {}: relative error {error:.2e}", golden.spec);
            };
            let net = NetworkFeaturizer::new(&graph, &generated, device).unwrap();
            check(&net, "as built");
            if net.plan().is_some() && !is_wide(&golden.spec) {
                drop(net);
                check(
                    &NetworkFeaturizer::with_burn_operations(&graph, &generated, device).unwrap(),
                    "operations",
                );
            }
            compared += 1;
        }
    }
    assert!(compared > 0, "no case was compared");
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
fn is(kind: NetworkKind) -> impl Fn(&NetworkSpec) -> bool {
    move |spec| spec.kind == kind
}

/// VGG16's fully connected layers: half a gigabyte of weights, one picture each.
fn is_wide(spec: &NetworkSpec) -> bool {
    spec.kind == NetworkKind::Vgg16 && spec.tap != Tap::Pooled
}

#[cfg(feature = "flex")]
mod flex {
    use super::*;

    #[test]
    fn mobilenet_v2() {
        compare(&Device::flex(), "flex", 1e-5, is(NetworkKind::MobileNetV2));
    }

    #[test]
    fn resnet50() {
        compare(&Device::flex(), "flex", 1e-5, is(NetworkKind::Resnet50));
    }

    #[test]
    fn vgg16() {
        compare(&Device::flex(), "flex", 1e-5, |s| s.kind == NetworkKind::Vgg16 && !is_wide(s));
        compare(&Device::flex(), "flex", 1e-5, is_wide);
    }
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "kept working for those who already use it")]
mod ndarray {
    use super::*;

    #[test]
    fn mobilenet_v2() {
        compare(&Device::ndarray(), "ndarray", 1e-5, is(NetworkKind::MobileNetV2));
    }

    #[test]
    fn resnet50() {
        compare(&Device::ndarray(), "ndarray", 1e-5, is(NetworkKind::Resnet50));
    }

    #[test]
    fn vgg16() {
        compare(&Device::ndarray(), "ndarray", 1e-5, is(NetworkKind::Vgg16));
    }
}

/// The adapter: the default one, or with `FRUITCORE_WGPU=cpu` a software one (Mesa's lavapipe). Without
/// any, wgpu itself says so. Small pictures, because a software adapter is slow.
#[cfg(feature = "wgpu")]
mod wgpu {
    use super::*;
    use burn::tensor::{DType, DeviceKind};
    use fruitcore::{ErrorKind, featurize::Precision};

    fn device() -> Device {
        let software = std::env::var("FRUITCORE_WGPU").is_ok_and(|v| v == "cpu");
        Device::wgpu(if software { DeviceKind::Cpu } else { DeviceKind::DefaultDevice })
    }

    fn is_small(spec: &NetworkSpec) -> bool {
        spec.input[0] * spec.input[1] <= 48 * 48
    }

    #[test]
    fn mobilenet_v2() {
        compare(&device(), "wgpu", 1e-4, |s| s.kind == NetworkKind::MobileNetV2 && is_small(s));
    }

    #[test]
    fn resnet50() {
        compare(&device(), "wgpu", 1e-4, |s| s.kind == NetworkKind::Resnet50 && is_small(s));
    }

    #[test]
    fn vgg16() {
        compare(&device(), "wgpu", 1e-4, |s| s.kind == NetworkKind::Vgg16 && is_small(s));
    }

    /// As far as half precision carries, where the adapter has it; else the error that says so.
    #[test]
    fn half_precision() {
        let (device, generated) = (device(), Generated::new());
        let small = |g: &Golden| is_small(&g.spec) && !is_wide(&g.spec);
        let cases: Vec<Golden> = Variant::ALL.iter().flat_map(|v| goldens(*v)).filter(small).collect();
        assert!(!cases.is_empty());
        for golden in &cases {
            let graph = golden.spec.graph().unwrap();
            let net = NetworkFeaturizer::with_precision(&graph, &generated, &device, Precision::F16);
            if !device.supports_dtype(DType::F16) {
                let e = net.err().unwrap();
                assert_eq!(e.kind(), ErrorKind::Unsupported);
                assert!(e.message().contains("f16"), "{e}");
                continue;
            }
            let net = net.unwrap();
            assert_eq!(net.precision(), Precision::F16);
            let error = relative_error(&features(&net, golden, &generated, &device), &golden.features);
            println!("wgpu f16 {}: {error:.1e}", golden.spec);
            assert!((1e-6..3e-2).contains(&error), "{}: relative error {error:.2e}", golden.spec);
        }
        // What only the CPU has is refused here.
        let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph().unwrap();
        let net = NetworkFeaturizer::with_precision(&graph, &generated, &device, Precision::Int8);
        assert!(net.err().unwrap().message().contains("CPU"));
    }
}

//! Whole networks, both variants, odd sizes and batches, against f64.

use super::super::super::network::{NetworkKind, NetworkSpec, Tap, Variant};
use super::{PlanOptions, Seeded, worst_error};

fn check(spec: NetworkSpec, n: usize, micro_batch: usize) {
    for variant in [Variant::Torchvision, Variant::Keras] {
        let graph = spec.variant(variant).graph().unwrap();
        let options = PlanOptions { micro_batch, ..Default::default() };
        let (error, isa) = worst_error(&graph, &Seeded(5), n, options);
        assert!(error <= 1e-5, "{variant:?} {isa:?}: {error:e}");
    }
}

#[test]
fn mobilenet_v2() {
    check(NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(67, 45), 3, 2);
    check(NetworkSpec::new(NetworkKind::MobileNetV2).input(64, 64), 1, 4);
}

#[test]
fn resnet50() {
    check(NetworkSpec::new(NetworkKind::Resnet50).input(33, 47), 2, 4);
}

#[test]
fn vgg16() {
    check(NetworkSpec::new(NetworkKind::Vgg16).tap(Tap::Pooled).input(37, 32), 3, 2);
}

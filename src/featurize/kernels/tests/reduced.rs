//! Every way to compute a reduced precision against rounded operands in f64, and its effect on networks.

use super::super::super::network::{Activation, Conv, FlattenOrder, Graph, Linear, Op, Padding, Pool, Value};
use super::super::super::network::{NetworkKind, NetworkSpec, Tap, Variant};
use super::super::super::weights::WeightSource;
use super::super::layer::Kind;
use super::{Isa, Plan, PlanOptions, Precision, Seeded, plans, reference, uniform, worst_error_on};
use crate::Result;
use alloc::{borrow::Cow, string::String, vec, vec::Vec};
use proptest::prelude::*;

/// Sums in f32 (bfloat16) or one rounding (8 bits) against f64, relative to the norm.
const TOLERANCE: f64 = 4e-6;

/// Weights on a grid so coarse that the first layer is exact: then every instruction set rounds the same
/// activations.
pub(super) struct Grid(pub(super) u64);

impl WeightSource for Grid {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let fine = if name.starts_with("lift") { 8.0 } else { 4096.0 };
        let seeded = Seeded(self.0);
        let values = seeded.tensor(name, shape)?;
        Ok(Cow::Owned(values.iter().map(|w| libm::rintf(w * fine) / fine).collect()))
    }
}

fn conv(name: &str, channels_in: usize, channels_out: usize, kernel: [usize; 2]) -> Conv {
    Conv {
        name: String::from(name),
        channels_in,
        channels_out,
        kernel,
        stride: [1, 1],
        padding: Padding::default(),
        groups: 1,
        bias: true,
        norm: None,
        residual: None,
        activation: Activation::None,
    }
}

/// `n` pictures on a grid as coarse as the weights'.
pub(super) fn input(graph: &Graph, seed: u64, n: usize) -> Vec<f32> {
    let picture: usize = graph.input_shape().iter().product();
    let mut input = uniform(seed ^ 77, n * picture, -2.0, 2.0);
    input.iter_mut().for_each(|x| *x = libm::rintf(*x * 16.0) / 16.0);
    input
}

fn check(graph: &Graph, seed: u64, n: usize, micro_batch: usize) -> core::result::Result<(), TestCaseError> {
    let input = input(graph, seed, n);
    for precision in [Precision::Bf16, Precision::Int8] {
        let options = PlanOptions { micro_batch, precision, ..Default::default() };
        let (error, arithmetic) = worst_error_on(graph, &Grid(seed), &input, options);
        prop_assert!(error <= TOLERANCE, "{arithmetic}: {error:e}");
    }
    Ok(())
}

/// Strips of several pictures one after the other, of which the last are fewer than there is room for; rows so short
/// that a tile takes several.
#[test]
fn pictures_that_share_a_panel() {
    for stride in [[1, 1], [2, 2], [1, 2], [2, 1]] {
        let mut graph = Graph::new([3, 7, 6]);
        let x = graph.push(Value::Input, Op::Conv(conv("lift", 3, 64, [1, 1]))).unwrap();
        let c = Conv { padding: Padding::all(1), stride, ..conv("c", 64, 48, [3, 3]) };
        graph.push(x, Op::Conv(c)).unwrap();
        check(&graph, 5, 7, 4).unwrap();
        let options = PlanOptions { micro_batch: 4, precision: Precision::Int8, ..Default::default() };
        let plan = Plan::new(&graph, &Grid(5), &options).unwrap();
        let shared = plan.layers.iter().any(|layer| matches!(&layer.kind, Kind::Conv(c) if c.together == 4));
        assert!(shared, "one picture after the other: this tests nothing");
    }
}

/// Values that lie in bfloat16 between layers: sums, pooled, flattened, strided, with odd numbers of blocks. All weights
/// are coarse, so that sums are exact and everything rounds alike.
#[test]
fn end_to_end() {
    for (at, channels) in [7, 40, 70].into_iter().enumerate() {
        for (stride, kernel) in [([1, 1], 3), ([2, 1], 3), ([2, 2], 1), ([1, 2], 2)] {
            let mut graph = Graph::new([3, 11, 9 + at]);
            let first = Conv { stride, padding: Padding::all(1), ..conv("lift", 3, channels, [5, 4]) };
            let first = Conv { activation: Activation::Relu, ..first };
            let x = graph.push(Value::Input, Op::Conv(first)).unwrap();
            let sum = Conv {
                padding: Padding::all(1),
                residual: Some(x),
                ..conv("lift.a", channels, channels, [3, 3])
            };
            let y = graph.push(x, Op::Conv(sum)).unwrap();
            let y = graph
                .push(y, Op::Conv(Conv { residual: Some(x), ..conv("lift.b", channels, channels, [1, 1]) }))
                .unwrap();
            let pool = Pool { kernel: [3, 2], stride: [2, 1], padding: Padding::all(1) };
            let y = graph.push(y, Op::MaxPool(pool)).unwrap();
            let c = Conv { padding: Padding::all(1), stride, ..conv("lift.c", channels, 35, [kernel; 2]) };
            let y = graph.push(y, Op::Conv(c)).unwrap();
            let pooled = if at == 1 { Op::AdaptiveAvgPool([2, 2]) } else { Op::Flatten(FlattenOrder::Hwc) };
            graph.push(y, pooled).unwrap();
            check(&graph, 23, 3, 2).unwrap();
        }
    }
}

/// First convolutions of all kinds, and what follows them.
#[test]
fn first_convolutions() {
    let padding = |top, left, bottom, right| Padding { top, left, bottom, right };
    let firsts = [
        // A row of the kernel in two steps; rows of a tile's own pixels, which are joined; too wide for a tile.
        (3, Conv { padding: Padding::all(6), ..conv("lift", 3, 20, [2, 13]) }),
        (8, Conv { stride: [1, 4], ..conv("lift", 8, 20, [2, 3]) }),
        (17, Conv { stride: [1, 2], ..conv("lift", 17, 20, [2, 3]) }),
        // Columns and rows that nothing reads, others that are nothing but padding.
        (3, Conv { stride: [4, 5], ..conv("lift", 3, 35, [2, 3]) }),
        (3, Conv { padding: padding(9, 12, 7, 11), ..conv("lift", 3, 20, [3, 3]) }),
        (1, conv("lift", 1, 20, [9, 7])),
    ];
    for (channels, first) in firsts {
        let mut graph = Graph::new([channels, 9, 7]);
        let x = graph.push(Value::Input, Op::Conv(first)).unwrap();
        let c = graph.shape(x).unwrap()[0];
        let x = graph.push(x, Op::Conv(conv("lift.a", c, 40, [1, 1]))).unwrap();
        graph.push(x, Op::GlobalAvgPool).unwrap();
        check(&graph, 31, 2, 2).unwrap();
    }
}

/// The input as a residual, values that several read, pooling before a depthwise convolution, operations that change
/// nothing, linear layers one after the other.
#[test]
fn values_of_both_forms() {
    let mut graph = Graph::new([3, 6, 5]);
    let residual = Some(Value::Input);
    let x = graph.push(Value::Input, Op::Conv(Conv { residual, ..conv("lift", 3, 3, [1, 1]) })).unwrap();
    let y = graph.push(x, Op::Conv(Conv { residual, ..conv("lift.a", 3, 3, [1, 1]) })).unwrap();
    let y = graph.push(y, Op::Conv(conv("lift.b", 3, 50, [1, 1]))).unwrap();
    let pool = Op::MaxPool(Pool { kernel: [2, 2], stride: [1, 1], padding: Padding::all(1) });
    let z = graph.push(y, pool).unwrap();
    let depthwise = Conv { groups: 50, padding: Padding::all(1), ..conv("lift.c", 50, 50, [3, 3]) };
    graph.push(z, Op::Conv(depthwise)).unwrap();
    let z = graph.push(y, Op::Conv(conv("lift.d", 50, 33, [6, 5]))).unwrap();
    let z = graph.push(z, Op::GlobalAvgPool).unwrap();
    let z = graph.push(z, Op::Flatten(FlattenOrder::Chw)).unwrap();
    let linear = |name: &str, features_in, features_out| Linear {
        name: String::from(name),
        features_in,
        features_out,
        activation: Activation::None,
    };
    let z = graph.push(z, Op::Linear(linear("lift.e", 33, 20))).unwrap();
    graph.push(z, Op::Linear(linear("lift.f", 20, 5))).unwrap();
    check(&graph, 37, 5, 3).unwrap();
}

/// A stride beyond counting is no reason to end the program.
#[test]
fn absurd_strides() {
    for stride in [usize::MAX, 1 << 62] {
        let mut graph = Graph::new([4, 8, 8]);
        let first = Conv { stride: [1, stride], ..conv("lift", 4, 8, [3, 3]) };
        if graph.push(Value::Input, Op::Conv(first)).is_ok() {
            check(&graph, 3, 1, 1).unwrap();
        }
    }
}

/// Few and small, for where the properties below would take too long: a processor that is emulated.
#[test]
fn one_of_each() {
    let layer = |channels, out, kernel: usize, stride| {
        let mut graph = Graph::new([3, 5, 9]);
        let x = graph.push(Value::Input, Op::Conv(conv("lift", 3, channels, [1, 1]))).unwrap();
        let c = Conv {
            padding: Padding::all(kernel / 2),
            stride: [stride; 2],
            ..conv("c", channels, out, [kernel; 2])
        };
        graph.push(x, Op::Conv(c)).unwrap();
        graph
    };
    for graph in [layer(70, 40, 1, 1), layer(35, 17, 3, 1), layer(130, 33, 3, 2), layer(3, 20, 1, 2)] {
        check(&graph, 11, 1, 1).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]

    #[test]
    fn convolutions(
        seed: u64,
        (n, micro_batch) in (1usize..5, 1usize..4),
        [h, w] in [1usize..20, 1usize..40],
        [channels, out] in [1usize..140, 1usize..70],
        kernel in prop_oneof![Just([1, 1]), Just([1, 1]), Just([3, 3]), Just([3, 3]), Just([2, 5])],
        stride in [1usize..3, 1usize..3],
        padding in (0usize..3, 0usize..3, 0usize..3, 0usize..3),
        rectified: bool,
        add: bool,
    ) {
        let mut graph = Graph::new([3, h, w]);
        let activation = if rectified { Activation::Relu } else { Activation::None };
        let lift = Conv { activation, ..conv("lift", 3, channels, [1, 1]) };
        let x = graph.push(Value::Input, Op::Conv(lift)).unwrap();
        let (top, left, bottom, right) = padding;
        let padding = Padding { top, left, bottom, right };
        let (out, stride, padding) =
            if add { (channels, [1, 1], Padding::all(kernel[0] / 2)) } else { (out, stride, padding) };
        prop_assume!(!add || kernel[0] == kernel[1]);
        let residual = add.then_some(x);
        let c = Conv { stride, padding, residual, activation: Activation::Relu6, ..conv("c", channels, out, kernel) };
        prop_assume!(graph.push(x, Op::Conv(c)).is_ok());
        check(&graph, seed, n, micro_batch)?;
    }

    #[test]
    fn linear_layers(seed: u64, n in 1usize..6, channels in 1usize..40, out in 1usize..80) {
        let mut graph = Graph::new([3, 3, 2]);
        let x = graph.push(Value::Input, Op::Conv(conv("lift", 3, channels, [1, 1]))).unwrap();
        let x = graph.push(x, Op::Flatten(super::super::super::network::FlattenOrder::Chw)).unwrap();
        let linear = Linear {
            name: String::from("fc"),
            features_in: channels * 6,
            features_out: out,
            activation: Activation::Relu,
        };
        graph.push(x, Op::Linear(linear)).unwrap();
        check(&graph, seed, n, 3)?;
    }
}

/// `‖a − b‖ / ‖b‖`
fn distance(a: &[f32], b: &[f64]) -> f64 {
    let square = |x: f64| x * x;
    let error: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - b)).sum();
    libm::sqrt(error / b.iter().map(|b| square(*b)).sum::<f64>())
}

/// Inverted residuals, bottlenecks, plain convolutions: as near to full precision as the format allows.
/// Random filters make more of a rounding than trained ones, those of MobileNetV2 most.
#[test]
fn networks() {
    let specs = [
        (NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(67, 45), [0.12, 0.2]),
        (NetworkSpec::new(NetworkKind::Resnet50).input(33, 47), [0.01, 0.025]),
        (NetworkSpec::new(NetworkKind::Vgg16).tap(Tap::Pooled).input(37, 32), [0.01, 0.025]),
    ];
    for (spec, limits) in specs {
        let graph = spec.variant(Variant::Keras).graph().unwrap();
        let input = uniform(5, 2 * graph.input_shape().iter().product::<usize>(), -2.0, 2.0);
        let expected = reference::run(&graph, &Seeded(5), &input, Precision::F32);
        for (precision, limit) in [Precision::Bf16, Precision::Int8].into_iter().zip(limits) {
            for (isa, amx) in Isa::ALL.into_iter().flat_map(|isa| [(isa, true), (isa, false)]) {
                // Without AMX it is the same unless there is AMX.
                if !isa.is_supported() || !amx && isa != Isa::Avx512 {
                    continue;
                }
                let options = PlanOptions { isa, amx, precision, micro_batch: 2, ..Default::default() };
                for plan in plans(&graph, &Seeded(5), options) {
                    assert_eq!(plan.precision(), precision);
                    let mut features = vec![0.0; expected.len()];
                    plan.run(&mut plan.workspace().unwrap(), &input, &mut features).unwrap();
                    let error = distance(&features, &expected);
                    assert!((1e-5..limit).contains(&error), "{spec} {}: {error:e}", plan.arithmetic());
                }
            }
        }
    }
}

/// What was infinite or NaN in between doesn't pass for a number.
#[test]
fn overflow_shows() {
    let mut graph = Graph::new([3, 4, 4]);
    let x = graph.push(Value::Input, Op::Conv(conv("lift", 3, 20, [1, 1]))).unwrap();
    let x = graph.push(x, Op::Conv(conv("a", 20, 24, [1, 1]))).unwrap();
    graph.push(x, Op::Conv(Conv { padding: Padding::all(1), ..conv("b", 24, 4, [3, 3]) })).unwrap();
    for &precision in Precision::CPU {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
            for value in [f32::MAX, f32::NAN, f32::INFINITY] {
                let options = PlanOptions { isa, precision, ..Default::default() };
                let plan = Plan::new(&graph, &Seeded(3), &options).unwrap();
                let (mut input, mut features) = ([1.0; 48], [0.0; 64]);
                input[5] = value;
                plan.run(&mut plan.workspace().unwrap(), &input, &mut features).unwrap();
                let told = features.iter().any(|x| !x.is_finite() || x.abs() > 1e30);
                assert!(told, "{value} {}: {features:?}", plan.arithmetic());
            }
        }
    }
}

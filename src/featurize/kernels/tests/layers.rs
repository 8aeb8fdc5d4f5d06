//! Property suite over single layers.

use super::super::super::network::{
    Activation, Conv, FlattenOrder, Graph, Linear, Norm, Op, Padding, Pool, Value,
};
use super::{PlanOptions, Seeded, worst_error};
use alloc::string::String;
use proptest::prelude::*;

/// f32 against f64 over one or two layers, relative to the norm.
const TOLERANCE: f64 = 4e-6;

pub(super) fn conv(channels_in: usize, channels_out: usize, kernel: [usize; 2]) -> Conv {
    Conv {
        name: String::from("conv"),
        channels_in,
        channels_out,
        kernel,
        stride: [1, 1],
        padding: Padding::default(),
        groups: 1,
        bias: false,
        norm: Some(Norm { name: String::from("bn"), epsilon: 1e-3 }),
        residual: None,
        activation: Activation::None,
    }
}

/// 1 × 1 from the picture's three channels to `channels`: makes blocked activations.
fn lift(graph: &mut Graph, channels: usize) -> Value {
    let c = Conv { name: String::from("lift"), ..conv(3, channels, [1, 1]) };
    graph.push(Value::Input, Op::Conv(c)).unwrap()
}

pub(super) fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6)]
}

pub(super) fn padding(max: usize) -> impl Strategy<Value = Padding> {
    (0..=max, 0..=max, 0..=max, 0..=max).prop_map(|(top, left, bottom, right)| Padding {
        top,
        left,
        bottom,
        right,
    })
}

fn check(graph: &Graph, seed: u64, n: usize, micro_batch: usize) -> Result<(), TestCaseError> {
    for winograd in [false, true] {
        let options = PlanOptions { micro_batch, winograd, ..Default::default() };
        let (error, isa) = worst_error(graph, &Seeded(seed), n, options);
        prop_assert!(error <= TOLERANCE, "{isa:?}, winograd {winograd}: {error:e}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    #[test]
    fn convolutions(
        seed: u64,
        (n, micro_batch) in (1usize..6, 1usize..5),
        [h, w] in [1usize..24, 1usize..40],
        [channels, out] in [1usize..50, 1usize..70],
        kernel in prop_oneof![Just([1, 1]), Just([3, 3]), Just([3, 3]), Just([7, 7]), Just([2, 5]), Just([1, 3])],
        stride in [1usize..4, 1usize..4],
        padding in padding(3),
        activation in activation(),
        (planar, bias) in any::<(bool, bool)>(),
    ) {
        let mut graph = Graph::new([3, h, w]);
        let x = if planar { Value::Input } else { lift(&mut graph, channels) };
        let channels = if planar { 3 } else { channels };
        let c = Conv { stride, padding, activation, bias, ..conv(channels, out, kernel) };
        prop_assume!(graph.push(x, Op::Conv(c)).is_ok());
        check(&graph, seed, n, micro_batch)?;
    }

    #[test]
    fn residual_blocks(
        seed: u64,
        n in 1usize..5,
        [h, w] in [1usize..20, 1usize..20],
        channels in 1usize..70,
        kernel in prop_oneof![Just(1usize), Just(3)],
        activation in activation(),
        (keep, bias) in any::<(bool, bool)>(),
    ) {
        let mut graph = Graph::new([3, h, w]);
        let x = lift(&mut graph, channels);
        let padding = Padding::all(kernel / 2);
        let inner = Conv { padding, activation, ..conv(channels, channels, [kernel, kernel]) };
        let y = graph.push(x, Op::Conv(inner.clone())).unwrap();
        let sum = Conv { name: String::from("sum"), residual: Some(x), bias, ..inner.clone() };
        let z = graph.push(y, Op::Conv(sum)).unwrap();
        if keep {
            // The residual is read again later, so the sum may not replace it.
            let again = Conv { name: String::from("again"), residual: Some(x), ..inner };
            graph.push(z, Op::Conv(again)).unwrap();
        }
        check(&graph, seed, n, 3)?;
    }

    #[test]
    fn depthwise(
        seed: u64,
        n in 1usize..4,
        [h, w] in [1usize..24, 1usize..24],
        channels in 1usize..50,
        kernel in prop_oneof![Just([3, 3]), Just([3, 3]), Just([5, 5]), Just([2, 4])],
        stride in 1usize..4,
        padding in padding(3),
        activation in activation(),
    ) {
        let mut graph = Graph::new([3, h, w]);
        let x = lift(&mut graph, channels);
        let c = Conv { stride: [stride; 2], padding, activation, groups: channels, ..conv(channels, channels, kernel) };
        prop_assume!(graph.push(x, Op::Conv(c)).is_ok());
        check(&graph, seed, n, 2)?;
    }

    #[test]
    fn pooling_flattening_and_linear(
        seed: u64,
        n in 1usize..5,
        [h, w] in [3usize..20, 3usize..20],
        channels in 1usize..40,
        stride in [1usize..4, 1usize..4],
        padding in padding(1),
        size in [1usize..8, 1usize..8],
        order in prop_oneof![Just(FlattenOrder::Chw), Just(FlattenOrder::Hwc)],
        out in 1usize..80,
        activation in activation(),
    ) {
        let mut graph = Graph::new([3, h, w]);
        let x = lift(&mut graph, channels);
        let x = graph.push(x, Op::MaxPool(Pool { kernel: [3, 3], stride, padding })).unwrap();
        let x = graph.push(x, Op::AdaptiveAvgPool(size)).unwrap();
        let x = graph.push(x, Op::Flatten(order)).unwrap();
        let linear = Linear {
            name: String::from("fc"),
            features_in: channels * size[0] * size[1],
            features_out: out,
            activation,
        };
        graph.push(x, Op::Linear(linear)).unwrap();
        // Of one or two outputs all may be near zero, or be clipped but for one that is.
        check(&graph, seed, n.max(32usize.div_ceil(out)), 3)?;
    }

    #[test]
    fn layers_on_the_input_itself(seed: u64, n in 1usize..4, [h, w] in [3usize..12, 3usize..12], which in 0usize..4) {
        let mut graph = Graph::new([3, h, w]);
        let same = Conv { padding: Padding::all(1), ..conv(3, 3, [3, 3]) };
        let op = match which {
            0 => Op::GlobalAvgPool,
            1 => Op::MaxPool(Pool { kernel: [2, 2], stride: [2, 2], padding: Padding::default() }),
            2 => Op::Conv(Conv { groups: 3, ..same }),
            _ => Op::Conv(Conv { residual: Some(Value::Input), ..same }),
        };
        graph.push(Value::Input, op).unwrap();
        check(&graph, seed, n, 2)?;
    }
}

#[test]
fn what_it_cannot_run_is_an_error() {
    use super::{Isa, Plan};
    use crate::ErrorKind;
    let mut graph = Graph::new([3, 8, 8]);
    let x = lift(&mut graph, 8);
    let grouped = Conv { groups: 2, ..conv(8, 8, [3, 3]) };
    graph.push(x, Op::Conv(grouped)).unwrap();
    let error =
        |graph: &Graph, options: PlanOptions| Plan::new(graph, &Seeded(1), &options).err().map(|e| e.kind());
    assert_eq!(error(&graph, PlanOptions::default()), Some(ErrorKind::Unsupported));
    let mut graph = Graph::new([3, 8, 8]);
    lift(&mut graph, 8);
    for micro_batch in [0, 65] {
        let options = PlanOptions { micro_batch, ..Default::default() };
        assert_eq!(error(&graph, options), Some(ErrorKind::InvalidArgument));
    }
    for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_supported()) {
        let options = PlanOptions { isa, ..Default::default() };
        assert_eq!(error(&graph, options), Some(ErrorKind::Unsupported));
    }
    let plan = Plan::new(&graph, &Seeded(1), &PlanOptions::default()).unwrap();
    let mut workspace = plan.workspace().unwrap();
    let mut out = [0.0; 8 * 64];
    assert_eq!(plan.run(&mut workspace, &[0.0; 191], &mut out).unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(plan.run(&mut workspace, &[0.0; 192], &mut out[1..]).unwrap_err().kind(), ErrorKind::Shape);
    plan.run(&mut workspace, &[0.0; 192], &mut out).unwrap();
    let other = Plan::new(&graph, &Seeded(1), &PlanOptions { micro_batch: 9, ..Default::default() }).unwrap();
    assert_eq!(other.run(&mut workspace, &[0.0; 192], &mut out).unwrap_err().kind(), ErrorKind::Mismatch);
}

/// Winograd's tiles in two chunks, of which the threads of a large team each transform a part for all; those of a small
/// one have tiles of their own.
#[test]
fn tiles_that_a_team_has_in_common() {
    use super::super::layer::Kind;
    use super::Plan;
    let mut graph = Graph::new([3, 37, 40]);
    let x = lift(&mut graph, 64);
    let padding = Padding { top: 1, left: 1, bottom: 1, right: 1 };
    graph.push(x, Op::Conv(Conv { padding, ..conv(64, 144, [3, 3]) })).unwrap();
    let plan = Plan::new(&graph, &Seeded(3), &PlanOptions::default()).unwrap();
    let in_common = plan.layers.iter().any(|layer| match &layer.kind {
        Kind::Winograd(w) => {
            let share = |threads: usize| w.all_tiles().div_ceil(threads);
            w.common() > 0 && w.common_chunk() < w.all_tiles() && (share(5)..=share(2)).contains(&w.chunk)
        }
        _ => false,
    });
    assert!(in_common, "another algorithm or fewer chunks: this tests nothing");
    check(&graph, 3, 1, 1).unwrap();
}

/// Smaller tiles in the last row, the last column and where they meet.
#[test]
fn tiles_of_what_is_left() {
    use super::super::layer::Kind;
    use super::super::winograd::Size;
    use super::Plan;
    for [h, w] in [[8, 9], [9, 10], [10, 11], [11, 8], [11, 11], [14, 13], [13, 15], [7, 7]] {
        let mut graph = Graph::new([3, h, w]);
        let x = lift(&mut graph, 48);
        let padding = Padding::all(1);
        let inner = Conv { padding, activation: Activation::Relu, ..conv(48, 48, [3, 3]) };
        graph.push(x, Op::Conv(Conv { residual: Some(x), ..inner })).unwrap();
        let options = PlanOptions { micro_batch: 4, ..Default::default() };
        let plan = Plan::new(&graph, &Seeded(3), &options).unwrap();
        let four = |kind: &Kind| matches!(kind, Kind::Winograd(w) if w.size == Size::Four);
        assert!(plan.layers.iter().any(|layer| four(&layer.kind)), "{h} x {w}: another algorithm");
        check(&graph, 3, 5, 4).unwrap();
    }
}

/// Of one to four tiles, weights are transformed as they are read where there are registers for it.
#[test]
fn few_tiles() {
    use super::super::layer::Kind;
    use super::{Isa, Plan};
    for ([h, w], micro_batch) in [
        ([7, 7], 1),
        ([8, 8], 1),
        ([4, 16], 1),
        ([11, 4], 1),
        ([6, 7], 1),
        ([3, 8], 1),
        ([7, 4], 2),
        ([4, 4], 3),
    ] {
        let mut graph = Graph::new([3, h, w]);
        let x = lift(&mut graph, 72);
        let padding = Padding::all(1);
        let inner = Conv { padding, activation: Activation::Relu, ..conv(72, 72, [3, 3]) };
        graph.push(x, Op::Conv(Conv { residual: Some(x), ..inner })).unwrap();
        let options = PlanOptions { micro_batch, ..Default::default() };
        let plan = Plan::new(&graph, &Seeded(3), &options).unwrap();
        let few = plan.layers.iter().any(|layer| matches!(&layer.kind, Kind::Winograd(w) if w.few.is_some()));
        assert_eq!(few, plan.isa() == Isa::Avx512, "{h} x {w}: another algorithm");
        check(&graph, 3, 5, micro_batch).unwrap();
    }
}

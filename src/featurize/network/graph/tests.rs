use super::*;
use crate::featurize::{
    kernels::{Plan, PlanOptions},
    weights::RandomWeights,
};

fn conv(channels: [usize; 2], kernel: usize, padding: usize) -> Op {
    Op::Conv(Conv {
        name: "c".into(),
        channels_in: channels[0],
        channels_out: channels[1],
        kernel: [kernel, kernel],
        stride: [1, 1],
        padding: Padding::all(padding),
        groups: 1,
        bias: false,
        norm: None,
        residual: None,
        activation: Activation::None,
    })
}

/// A side whose square, with some channels, is beyond the address space, but not its halves.
const SIDE: usize = 1 << (usize::BITS / 2 - 2);

#[test]
fn sizes_that_would_wrap_are_refused() {
    let refused = |input, op: Op| {
        let e = Graph::new(input).push(Value::Input, op.clone()).expect_err(&format!("{op:?}"));
        assert_eq!(e.kind(), ErrorKind::Shape, "{e}");
    };
    refused([1, 1, 1], Op::AdaptiveAvgPool([SIDE, SIDE]));
    refused([1, SIDE, SIDE], Op::GlobalAvgPool);
    refused([1, 4, 4], conv([1, SIDE * SIDE], 1, 0));
    refused([1, 1, 1], conv([1, 1], SIDE, SIDE / 2));
    refused([1, 1, 1], conv([1, 1], 1, usize::MAX / 2));
    let huge = Linear {
        name: "l".into(),
        features_in: 1,
        features_out: usize::MAX / 8,
        activation: Activation::None,
    };
    refused([1, 1, 1], Op::Linear(huge));
    // Together.
    let mut graph = Graph::new([1, 1, 1]);
    let pool = || Op::AdaptiveAvgPool([MOST / 40, 1]);
    let mut value = graph.push(Value::Input, pool()).unwrap();
    value = graph.push(value, pool()).unwrap();
    let e = graph.push(value, pool()).unwrap_err();
    assert!(e.message().contains("node 2 makes the network larger"), "{e}");
}

#[test]
fn no_plan_is_made_for_pictures_that_are_none() {
    let plan = |graph: &Graph, options: &PlanOptions| {
        Plan::new(graph, &RandomWeights::new(graph, 1), options).map(|_| ()).map_err(|e| e.kind())
    };
    let options = PlanOptions::default();
    for input in [[0, 1, 1], [3, 8, 0], [usize::MAX, 2, 1], [1, SIDE, SIDE]] {
        assert_eq!(plan(&Graph::new(input), &options), Err(ErrorKind::Shape), "{input:?}");
    }
    assert_eq!(plan(&Graph::new([3, 2, 2]), &options), Ok(()));
    assert_eq!(Graph::new([usize::MAX, 2, 2]).feature_len(), usize::MAX);
}

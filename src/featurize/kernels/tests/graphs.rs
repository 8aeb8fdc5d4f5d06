//! Networks drawn at random: which layers run together, where values lie and how long, which form they have. The arithmetic
//! is other suites' matter, so bounds are wide; a value in the wrong place is far outside.

use super::super::super::network::{
    Activation, Conv, FlattenOrder, Graph, Linear, Norm, Op, Padding, Pool, Value,
};
use super::{PlanOptions, Precision, Seeded, uniform, worst_error_on};
use alloc::{format, string::String, vec, vec::Vec};
use proptest::prelude::*;

const CHANNELS: [usize; 5] = [3, 16, 20, 35, 50];

/// An operation, which value it reads, what it adds, and what else it needs to know.
type Step = (u8, u8, u8, u8);

fn conv(name: String, channels_in: usize, channels_out: usize, side: usize) -> Conv {
    Conv {
        channels_in,
        channels_out,
        kernel: [side; 2],
        stride: [1, 1],
        padding: Padding::all(side / 2),
        groups: 1,
        bias: true,
        norm: Some(Norm { name: format!("{name}.norm"), epsilon: 1e-3 }),
        residual: None,
        activation: Activation::None,
        name,
    }
}

/// Values may have several readers or none; operations that don't fit their input are left out.
fn graph(size: [usize; 2], steps: &[Step]) -> Graph {
    let mut graph = Graph::new([3, size[0], size[1]]);
    let mut values = vec![Value::Input];
    for (i, &(op, reads, adds, more)) in steps.iter().enumerate() {
        // Mostly the last one.
        let back = if reads < 160 { 0 } else { usize::from(reads) % values.len() };
        let input = values[values.len() - 1 - back];
        let [c, h, w] = graph.shape(input).unwrap();
        let (name, out) = (format!("layer{i}"), CHANNELS[usize::from(more) % CHANNELS.len()]);
        let depthwise = Conv { groups: c, ..conv(name.clone(), c, c, 3) };
        let activation = if more < 128 { Activation::None } else { Activation::Relu6 };
        let op = match op % 10 {
            0 | 1 => Op::Conv(Conv { activation, ..conv(name, c, out, 1) }),
            2 => Op::Conv(Conv { activation, ..conv(name, c, out, 3) }),
            3 => Op::Conv(Conv { stride: [2, 1], ..conv(name, c, out, 3) }),
            4 => Op::Conv(depthwise),
            5 => Op::Conv(Conv { stride: [1, 2], ..depthwise }),
            6 => Op::MaxPool(Pool { kernel: [3, 2], stride: [2, 1], padding: Padding::all(1) }),
            7 if h * w > 1 && more < 100 => Op::GlobalAvgPool,
            7 | 8 => Op::Flatten(if more < 128 { FlattenOrder::Chw } else { FlattenOrder::Hwc }),
            _ if h * w == 1 => Op::Linear(Linear { name, features_in: c, features_out: out, activation }),
            _ => Op::AdaptiveAvgPool([h, w.min(2)]),
        };
        let op = match op {
            // What it adds has the shape of what it writes.
            Op::Conv(c) if c.stride == [1, 1] && adds < 128 => {
                let fits = |v: &&Value| graph.shape(**v) == Some([c.channels_out, h, w]);
                let fitting: Vec<_> = values.iter().filter(fits).collect();
                let residual = (!fitting.is_empty()).then(|| *fitting[usize::from(adds) % fitting.len()]);
                Op::Conv(Conv { residual, ..c })
            }
            op => op,
        };
        values.extend(graph.push(input, op));
    }
    graph
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else { 64 }, ..Default::default() })]

    #[test]
    fn values_are_where_they_are_read(
        seed: u64,
        size in [1usize..9, 1usize..9],
        (n, micro_batch) in (1usize..6, 1usize..5),
        steps in proptest::collection::vec(any::<Step>(), 1..10),
    ) {
        let graph = graph(size, &steps);
        let input = uniform(seed ^ 77, n * 3 * size[0] * size[1], -2.0, 2.0);
        for &precision in Precision::CPU {
            let options = PlanOptions { micro_batch, precision, ..Default::default() };
            let (error, arithmetic) = worst_error_on(&graph, &Seeded(seed), &input, options);
            let bound = if precision.is_full() { 1e-3 } else { 0.1 };
            prop_assert!(error <= bound, "{arithmetic}: {error:e}");
        }
    }
}

/// The layer before those that take several pictures together writes something that none of them reads.
#[test]
fn a_value_that_nobody_reads() {
    // To 50 channels, pooled; a depthwise convolution that leads nowhere; on from the 50 channels.
    let steps = [(0, 0, 255, 4), (6, 0, 255, 0), (4, 0, 255, 0), (0, 162, 255, 4), (7, 0, 255, 0)];
    let graph = graph([3, 3], &steps);
    assert_eq!(graph.nodes()[3].input, Value::Node(0));
    let input = uniform(3, 5 * 27, -2.0, 2.0);
    let options = PlanOptions { micro_batch: 3, ..Default::default() };
    let (error, arithmetic) = worst_error_on(&graph, &Seeded(7), &input, options);
    assert!(error <= 1e-5, "{arithmetic}: {error:e}");
}

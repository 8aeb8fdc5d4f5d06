//! Inverted residuals: expansion, depthwise convolution and projection as one step.

use super::super::super::network::{Activation, Conv, Graph, Op, Padding, Value};
use super::super::inverted::InvertedLayer;
use super::super::layer::Kind;
use super::layers::{activation, conv, padding};
use super::reduced::{self, Grid};
use super::{Plan, PlanOptions, Precision, Seeded, worst_error, worst_error_on};
use alloc::string::String;
use proptest::prelude::*;

/// f32 against f64 over four layers, relative to the norm; a single value that is rounded the other way.
const TOLERANCE: f64 = 1e-5;

/// 8 bits after 8 bits: values that lie between two levels may go to either. A row or channel in the wrong place is
/// some hundred times as much.
const UNDECIDED: f64 = 1e-3;

/// What is added to the projection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Residual {
    None,
    /// What the block reads.
    Input,
    /// What nothing else reads any more, so that the sum takes its place.
    Before,
}

#[derive(Clone, Debug)]
struct Block {
    size: [usize; 2],
    channels: usize,
    /// No expansion if there are none.
    expanded: Option<usize>,
    out: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    activations: [Activation; 3],
    residual: Residual,
}

impl Block {
    /// Where something is added, the sizes are those of what it is added to.
    fn made_to_fit(mut self) -> Self {
        if self.residual == Residual::None {
            return self;
        }
        (self.stride, self.out) = ([1, 1], self.channels);
        let ([kh, kw], Padding { top, left, .. }) = (self.kernel, self.padding);
        let (top, left) = (top.min(kh - 1), left.min(kw - 1));
        self.padding = Padding { top, left, bottom: kh - 1 - top, right: kw - 1 - left };
        self
    }

    /// With a BatchNorm after each convolution, or a bias in each; `None` if the kernel is larger than the picture.
    fn graph(&self, norm: bool) -> Option<Graph> {
        let mut graph = Graph::new([3, self.size[0], self.size[1]]);
        // Names that begin with "lift" have coarse weights in the properties of reduced precision.
        let named = |name: &str, conv: Conv| Conv {
            name: String::from(name),
            bias: !norm,
            norm: conv.norm.filter(|_| norm),
            ..conv
        };
        let point = |name: &str, from, to| named(name, conv(from, to, [1, 1]));
        let before = graph.push(Value::Input, Op::Conv(point("lift", 3, self.channels))).ok()?;
        let mut push = |x, c| graph.push(x, Op::Conv(c)).ok();
        let input = match self.residual {
            Residual::Before => push(before, point("lift.input", self.channels, self.channels))?,
            _ => before,
        };
        let [expansion, middle, last] = self.activations;
        let wide = self.expanded.unwrap_or(self.channels);
        let mut x = input;
        if self.expanded.is_some() {
            let expand = point("lift.expand", self.channels, wide);
            x = push(x, Conv { activation: expansion, ..expand })?;
        }
        let depthwise = Conv {
            stride: self.stride,
            padding: self.padding,
            groups: wide,
            activation: middle,
            ..named("lift.depthwise", conv(wide, wide, self.kernel))
        };
        x = push(x, depthwise)?;
        let residual = match self.residual {
            Residual::None => None,
            Residual::Input => Some(input),
            Residual::Before => Some(before),
        };
        push(x, Conv { residual, activation: last, ..point("project", wide, self.out) })?;
        Some(graph)
    }

    /// A filter for one channel is a convolution like any other.
    fn is_fused(&self) -> bool {
        self.expanded.unwrap_or(self.channels) > 1
    }
}

fn layer(plan: &Plan) -> Option<&InvertedLayer> {
    plan.layers.iter().find_map(|layer| match &layer.kind {
        Kind::Inverted(v) => Some(v),
        _ => None,
    })
}

fn block() -> impl Strategy<Value = Block> {
    // The larger ones go through in several strips if there are channels enough.
    let sizes = prop_oneof![2 => [1usize..24, 1usize..24], 1 => [20usize..40, 50usize..90]];
    let kernels = prop_oneof![Just([3, 3]), Just([3, 3]), Just([5, 5]), Just([2, 4])];
    let residual = prop_oneof![Just(Residual::None), Just(Residual::Input), Just(Residual::Before)];
    let channels = (1usize..40, proptest::option::weighted(0.75, 1usize..=100), 1usize..=100);
    let activations = [activation(), activation(), activation()];
    (sizes, channels, kernels, [1usize..4, 1usize..4], padding(3), activations, residual).prop_map(
        |(size, (channels, expanded, out), kernel, stride, padding, activations, residual)| {
            Block { size, channels, expanded, out, kernel, stride, padding, activations, residual }
                .made_to_fit()
        },
    )
}

fn check(block: &Block, seed: u64, n: usize, micro_batch: usize) -> Result<(), TestCaseError> {
    let Some(graph) = block.graph(true) else { return Err(TestCaseError::reject("larger than the picture")) };
    let options = PlanOptions { micro_batch, ..Default::default() };
    let plan = Plan::new(&graph, &Seeded(seed), &options).unwrap();
    prop_assert_eq!(layer(&plan).is_some(), block.is_fused());
    let (error, isa) = worst_error(&graph, &Seeded(seed), n, options);
    prop_assert!(error <= TOLERANCE, "{isa}: {error:e}");
    Ok(())
}

/// With pictures and weights on a grid all is exact up to the projection's sums, but for products in 8 bits before it.
fn check_reduced(block: &Block, seed: u64, n: usize, micro_batch: usize) -> Result<(), TestCaseError> {
    let Some(graph) = block.graph(false) else {
        return Err(TestCaseError::reject("larger than the picture"));
    };
    for precision in [Precision::Bf16, Precision::Int8] {
        let options = PlanOptions { micro_batch, precision, ..Default::default() };
        let plan = Plan::new(&graph, &Grid(seed), &options).unwrap();
        prop_assert_eq!(layer(&plan).is_some(), block.is_fused());
        let (error, arithmetic) =
            worst_error_on(&graph, &Grid(seed), &reduced::input(&graph, seed, n), options);
        let products =
            usize::from(block.expanded.is_some()) + usize::from(block.residual == Residual::Before);
        let undecided = precision == Precision::Int8 && products > 0;
        prop_assert!(error <= if undecided { UNDECIDED } else { TOLERANCE }, "{arithmetic}: {error:e}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..Default::default() })]

    #[test]
    fn inverted_residuals(seed: u64, block in block(), n in 1usize..4, micro_batch in 1usize..4) {
        check(&block, seed, n, micro_batch)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..Default::default() })]

    #[test]
    fn inverted_residuals_in_reduced_precision(
        seed: u64,
        block in block(),
        n in 1usize..3,
        micro_batch in 1usize..3,
    ) {
        check_reduced(&block, seed, n, micro_batch)?;
    }
}

/// Strips of which the last is lower, with rows that two of them read, and the channels' own way for a team.
#[test]
fn strips_and_channels() {
    let wide = Block {
        size: [47, 61],
        channels: 13,
        expanded: Some(99),
        out: 21,
        kernel: [5, 5],
        stride: [1, 1],
        padding: Padding { top: 3, left: 0, bottom: 2, right: 1 },
        activations: [Activation::Relu6, Activation::None, Activation::None],
        residual: Residual::None,
    };
    let strided = Block { kernel: [3, 3], stride: [2, 3], ..wide.clone() };
    let apart = Block { size: [90, 61], kernel: [2, 4], stride: [3, 1], ..wide.clone() };
    let added = Block { residual: Residual::Before, ..wide.clone() }.made_to_fit();
    let narrow = Block { size: [120, 120], channels: 35, expanded: None, ..wide.clone() };
    for block in [wide.clone(), strided, apart, added, narrow] {
        let graph = block.graph(true).unwrap();
        let plan = Plan::new(&graph, &Seeded(3), &PlanOptions::default()).unwrap();
        let strips = layer(&plan).unwrap().strips();
        assert!(strips > 1, "{strips} strips: this tests nothing");
        check(&block, 3, 2, 2).unwrap();
        check_reduced(&block, 3, 1, 1).unwrap();
    }
    for residual in [Residual::None, Residual::Input, Residual::Before] {
        let block = Block { size: [9, 7], channels: 37, residual, ..wide.clone() }.made_to_fit();
        let graph = block.graph(true).unwrap();
        let plan = Plan::new(&graph, &Seeded(3), &PlanOptions::default()).unwrap();
        assert!(layer(&plan).unwrap().by_channels(), "by rows: this tests nothing");
        check(&block, 3, 2, 2).unwrap();
        check_reduced(&block, 3, 1, 1).unwrap();
    }
}

//! Every instruction set against a naive f64 executor: single layers of all shapes, whole networks.

mod graphs;
mod inverted;
mod layers;
mod networks;
mod reduced;
mod reference;
mod round;

use super::super::network::Graph;
use super::super::weights::WeightSource;
#[cfg(feature = "std")]
use super::Team;
use super::{Isa, Plan, PlanOptions, Precision};
use super::{group::groups, halves::Halves};
use crate::Result;
use alloc::{borrow::Cow, string::String, vec, vec::Vec};

/// Seeded weights for any name and shape, scaled so that activations neither vanish nor grow.
pub(super) struct Seeded(pub(super) u64);

impl WeightSource for Seeded {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let seed = name
            .bytes()
            .fold(self.0 ^ 0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let [low, high] = if name.ends_with("running_var") || shape.len() == 1 && name.ends_with("weight") {
            [0.5, 1.5]
        } else if shape.len() == 1 {
            [-0.2, 0.2]
        } else {
            let limit = libm::sqrtf(6.0 / shape[1..].iter().product::<usize>() as f32);
            [-limit, limit]
        };
        Ok(Cow::Owned(uniform(seed, shape.iter().product(), low, high)))
    }
}

/// Xorshift numbers in `low..high`.
pub(super) fn uniform(seed: u64, len: usize, low: f32, high: f32) -> Vec<f32> {
    let mut s = seed | 1;
    (0..len)
        .map(|_| {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            low + (high - low) * ((s >> 40) as f32 / (1u64 << 24) as f32)
        })
        .collect()
}

/// Largest error of any instruction set over `n` pictures, relative to the norm of the reference.
fn worst_error(graph: &Graph, weights: &Seeded, n: usize, options: PlanOptions) -> (f64, &'static str) {
    let picture: usize = graph.input_shape().iter().product();
    worst_error_on(graph, weights, &uniform(weights.0 ^ 77, n * picture, -2.0, 2.0), options)
}

/// Every way an instruction set has to compute with these options; in reduced precision also modelled ones.
fn plans(graph: &Graph, weights: &dyn WeightSource, options: PlanOptions) -> Vec<Plan> {
    let mut all = vec![Plan::new(graph, weights, &options).unwrap()];
    if !options.precision.is_full() {
        all.push(Plan::new(graph, weights, &PlanOptions { amx: false, ..options }).unwrap());
    }
    if !options.precision.is_full() {
        let kernels = super::isa::kernels(options.isa).unwrap();
        let engines = super::reduced::all(options.isa, options.precision).into_iter();
        all.extend(engines.map(|engine| {
            let (plan, packing) = super::build::build(graph, &options, kernels, Some(engine)).unwrap();
            plan.packed(&packing, weights).unwrap()
        }));
    }
    all
}

/// The same on given pictures.
fn worst_error_on(
    graph: &Graph,
    weights: &dyn WeightSource,
    input: &[f32],
    options: PlanOptions,
) -> (f64, &'static str) {
    let expected = reference::run(graph, weights, input, options.precision);
    let norm = libm::sqrt(expected.iter().map(|x| x * x).sum::<f64>()).max(1e-30);
    let end_to_end = |engine| {
        let halves = Halves::new(graph, &groups(graph), engine);
        reference::run_with(graph, weights, input, options.precision, Some(&halves))
    };
    Isa::ALL
        .into_iter()
        .filter(|isa| isa.is_supported())
        .flat_map(|isa| plans(graph, weights, PlanOptions { isa, ..options }))
        .map(|plan| {
            let mut features = vec![f32::NAN; expected.len()];
            // Twice in one workspace: what a run leaves behind must not show in the next.
            let mut workspace = plan.workspace().unwrap();
            plan.run(&mut workspace, &vec![1e3; input.len()], &mut features).unwrap();
            plan.run(&mut workspace, input, &mut features).unwrap();
            #[cfg(feature = "std")]
            for threads in [2, 3, 5] {
                let (mut team, mut together) = (Team::new(threads).unwrap(), vec![f32::NAN; expected.len()]);
                team.run(&plan, &vec![1e3; input.len()], &mut together).unwrap();
                team.run(&plan, input, &mut together).unwrap();
                assert_eq!(together, features, "{}, {threads} threads", plan.arithmetic());
            }
            let engine = plan.engine.filter(|engine| engine.end_to_end.is_some());
            let expected = engine.map_or_else(|| expected.clone(), end_to_end);
            let error: f64 =
                features.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b) * (f64::from(*a) - b)).sum();
            (libm::sqrt(error) / norm, plan.arithmetic())
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap()
}

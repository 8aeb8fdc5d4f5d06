//! Where a network's time goes on one core of this machine, beside what the core can do.
//!
//! ```
//! use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
//! use fruitcore::featurize::weights::RandomWeights;
//! use fruitcore::host::profile::{ProfileOptions, profile};
//!
//! let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph()?;
//! let mut options = ProfileOptions::default();
//! options.repeats = 3;
//! let found = profile(&graph, &RandomWeights::new(&graph, 0), &options)?;
//! let slowest = found.layers.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)).expect("layers");
//! println!("{}: {:.0} % of the peak", slowest.name, 100.0 * slowest.of_peak);
//! # Ok::<(), fruitcore::Error>(())
//! ```

use crate::{
    Error, ErrorKind, Result, Stage,
    featurize::{
        Precision,
        kernels::{Isa, LayerProfile, Plan, PlanOptions},
        network::Graph,
        weights::WeightSource,
    },
};
use alloc::{format, string::String, string::ToString, vec, vec::Vec};
use core::hint::black_box;
use std::time::Instant;

/// How a network is profiled.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProfileOptions {
    /// Instruction set; the best one unless set.
    pub isa: Isa,
    /// Pictures in a run, 1 to 64; 1 unless set.
    pub batch: usize,
    /// Runs, of which each layer's median counts, at least 1; 20 unless set.
    pub repeats: usize,
    /// What products are computed in; `f32` unless set.
    pub precision: Precision,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        Self { isa: Isa::best(), batch: 1, repeats: 20, precision: Precision::F32 }
    }
}

/// A network's layers with their times, and the machine's ceilings, on one thread.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// Instruction set.
    pub isa: String,
    /// What products are computed in.
    pub precision: Precision,
    /// What computes them.
    pub arithmetic: String,
    /// Pictures in a run.
    pub batch: usize,
    /// Pictures that go through a layer together.
    pub micro_batch: usize,
    /// Runs measured.
    pub repeats: usize,
    /// Multiply-adds of `f32` on registers, in operations a second.
    pub peak: f64,
    /// Reading from memory, in bytes a second.
    pub bandwidth: f64,
    /// In the order they run.
    pub layers: Vec<Layer>,
    /// All of them together; its time is the sum of theirs, so that a run that was interrupted counts
    /// for little.
    pub total: Layer,
}

/// A layer of a [`Profile`], all pictures of a run.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Layer {
    /// The convolution's or linear layer's name, or the operation and its index.
    pub name: String,
    /// How it is computed.
    pub algorithm: String,
    /// `[c, h, w]` read.
    pub from: [usize; 3],
    /// `[c, h, w]` written.
    pub to: [usize; 3],
    /// Median of the runs.
    pub seconds: f64,
    /// Floating-point operations of the direct algorithm; Winograd's needs fewer.
    pub operations: u64,
    /// Bytes of its weights, its input and its output.
    pub bytes: u64,
    /// Operations a second.
    pub rate: f64,
    /// `rate` as a share of the peak; above 1 where an algorithm needs fewer operations, or a reduced
    /// precision does more at once.
    pub of_peak: f64,
    /// Seconds the operations would take at the peak.
    pub floor_operations: f64,
    /// Seconds the bytes would take from memory; what is in cache takes less.
    pub floor_bytes: f64,
}

/// Runs a network's plan on pictures of one value and measures its layers and the machine.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] for no picture, too many, or no run; as [`Plan::new`];
/// [`ErrorKind::Limit`] if the memory isn't there.
pub fn profile(graph: &Graph, weights: &dyn WeightSource, options: &ProfileOptions) -> Result<Profile> {
    if options.repeats == 0 || !(1..=64).contains(&options.batch) {
        let m = format!(
            "{} pictures in {} runs can't be profiled; use 1 to 64 in at least one",
            options.batch, options.repeats
        );
        return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
    }
    let mut plan_options = PlanOptions::default();
    plan_options.isa = options.isa;
    plan_options.precision = options.precision;
    plan_options.micro_batch = plan_options.micro_batch.min(options.batch);
    let plan = Plan::new(graph, weights, &plan_options)?;
    let mut workspace = plan.workspace()?;
    let input = vec![0.5; options.batch * plan.input_shape().iter().product::<usize>()];
    let mut features = vec![0.0; options.batch * plan.feature_len()];

    let begun = Instant::now();
    let mut runs: Vec<Vec<LayerProfile>> = Vec::with_capacity(options.repeats);
    // The first run warms caches and clock.
    for run in 0..=options.repeats {
        let layers = plan.profile(&mut workspace, &input, &mut features, || begun.elapsed().as_secs_f64())?;
        if run > 0 {
            runs.push(layers);
        }
    }
    let ceilings = Ceilings { peak: peak(options.isa)?, bandwidth: bandwidth()? };
    let first = runs.first().map(Vec::as_slice).unwrap_or_default();
    let of_layer = |i: usize| runs.iter().filter_map(|run| run.get(i)).map(|l| l.time).collect();
    let layers: Vec<Layer> =
        first.iter().enumerate().map(|(i, layer)| ceilings.layer(layer, median(of_layer(i)))).collect();
    let all = LayerProfile {
        name: "network".into(),
        algorithm: "",
        from: graph.input_shape(),
        to: [graph.feature_len(), 1, 1],
        operations: first.iter().map(|l| l.operations).sum(),
        bytes: first.iter().map(|l| l.bytes).sum(),
        time: 0.0,
    };
    let total = ceilings.layer(&all, layers.iter().map(|l| l.seconds).sum());
    Ok(Profile {
        isa: plan.isa().name().to_string(),
        precision: plan.precision(),
        arithmetic: plan.arithmetic().to_string(),
        batch: options.batch,
        micro_batch: plan.micro_batch(),
        repeats: options.repeats,
        peak: ceilings.peak,
        bandwidth: ceilings.bandwidth,
        layers,
        total,
    })
}

struct Ceilings {
    peak: f64,
    bandwidth: f64,
}

impl Ceilings {
    fn layer(&self, layer: &LayerProfile, seconds: f64) -> Layer {
        let rate = layer.operations as f64 / seconds.max(1e-12);
        Layer {
            name: layer.name.clone(),
            algorithm: layer.algorithm.to_string(),
            from: layer.from,
            to: layer.to,
            seconds,
            operations: layer.operations,
            bytes: layer.bytes,
            rate,
            of_peak: rate / self.peak,
            floor_operations: layer.operations as f64 / self.peak,
            floor_bytes: layer.bytes as f64 / self.bandwidth,
        }
    }
}

/// Operations a second of multiply-adds on registers: the fastest of some short runs, for a moment in
/// which the core does nothing else.
fn peak(isa: Isa) -> Result<f64> {
    let mut best = 0f64;
    for _ in 0..20 {
        let start = Instant::now();
        let operations = isa.multiply_add(400_000)?;
        best = best.max(operations as f64 / start.elapsed().as_secs_f64().max(1e-9));
    }
    Ok(best)
}

/// Bytes a second that one thread reads from more memory than caches hold.
fn bandwidth() -> Result<f64> {
    const WORDS: usize = 32 << 20;
    let mut words: Vec<u64> = Vec::new();
    words.try_reserve_exact(WORDS).map_err(|_| {
        Error::new(ErrorKind::Limit, Stage::Featurize, "no memory to measure its speed with: 256 MiB")
    })?;
    // Pages that were never written are all one page of zeros.
    words.extend((0..WORDS).map(|i| i as u64));
    let mut best = 0f64;
    for _ in 0..4 {
        let start = Instant::now();
        let mut sums = [0u64; 16];
        for chunk in words.as_chunks::<16>().0 {
            sums.iter_mut().zip(chunk).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
        }
        black_box(sums);
        best = best.max(size_of_val(words.as_slice()) as f64 / start.elapsed().as_secs_f64().max(1e-9));
    }
    Ok(best)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let middle = values.get(values.len().saturating_sub(1) / 2..=half).unwrap_or_default();
    middle.iter().sum::<f64>() / middle.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::{
        network::{NetworkKind, NetworkSpec},
        weights::RandomWeights,
    };

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn layers_add_up_to_the_network() {
        let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(64, 48).graph().unwrap();
        let weights = RandomWeights::new(&graph, 0);
        let parameters: usize = graph.parameters().iter().map(|(_, s)| s.iter().product::<usize>()).sum();
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
            let of = |batch| {
                profile(&graph, &weights, &ProfileOptions { isa, batch, repeats: 3, ..Default::default() })
                    .unwrap()
            };
            let (one, twelve) = (of(1), of(12));
            assert_eq!((one.isa.as_str(), one.micro_batch, twelve.micro_batch), (isa.name(), 1, 8));
            assert_eq!(twelve.total.operations, 12 * one.total.operations);
            // Twelve pictures go through in two steps, each of which reads the weights.
            assert!(
                one.total.bytes > 4 * parameters as u64 * 9 / 10 && twelve.total.bytes > 2 * one.total.bytes
            );
            assert_eq!(one.layers.iter().map(|l| l.bytes).sum::<u64>(), one.total.bytes);
            for p in [&one, &twelve] {
                assert!(p.peak > 1e8 && p.bandwidth > 1e8, "{} {}", p.peak, p.bandwidth);
                let sum: f64 = p.layers.iter().map(|l| l.seconds).sum();
                assert!(sum > 0.0 && (p.total.seconds - sum).abs() < 1e-9);
                for l in &p.layers {
                    assert!((l.rate / p.peak - l.of_peak).abs() < 1e-9 && l.bytes > 0);
                }
            }
        }
        let none = ProfileOptions { repeats: 0, ..ProfileOptions::default() };
        assert_eq!(profile(&graph, &weights, &none).unwrap_err().kind(), ErrorKind::InvalidArgument);
        let many = ProfileOptions { batch: 65, ..ProfileOptions::default() };
        assert_eq!(profile(&graph, &weights, &many).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

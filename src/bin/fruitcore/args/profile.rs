//! Profiling a network.

use super::network::{ShapeArgs, WeightsArg, named};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use fruitcore::featurize::{Precision, kernels::Isa, network::Tap};

#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Weights as `run --weights` takes them; the time doesn't depend on them [default: random]
    #[arg(long, value_name = "FILE|NAME|imagenet|bundled|random", value_parser = super::parse::<WeightsArg>, help_heading = "Network")]
    pub(crate) weights: Option<WeightsArg>,
    /// The layer features are taken from [default: fc2 for vgg16, else pooled]
    #[arg(long, value_parser = named(Tap::ALL, Tap::name), help_heading = "Network")]
    pub(crate) tap: Option<Tap>,
    /// Pictures in a run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) batch: u16,
    /// Runs, of which each layer's median counts
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) repeats: u16,
    /// Kernels of this instruction set [default: the fastest this processor has]
    #[arg(long, value_parser = isa())]
    pub(crate) isa: Option<Isa>,
    /// What products are computed in
    #[arg(long, default_value_t, value_parser = named(Precision::CPU, Precision::name))]
    pub(crate) precision: Precision,
    /// As JSON on standard output: seconds, bytes, operations a second
    #[arg(long)]
    pub(crate) json: bool,
}

fn isa() -> impl TypedValueParser<Value = Isa> {
    PossibleValuesParser::new(Isa::ALL.map(Isa::name))
        .map(|name| Isa::ALL.into_iter().find(|isa| isa.name() == name).unwrap_or(Isa::Plain))
}

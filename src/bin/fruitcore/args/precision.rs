//! Comparing precisions.

use super::network::{ShapeArgs, WeightsArg, named};
use super::{SourceArgs, WorkArgs};
use clap::Args;
use fruitcore::featurize::{Precision, network::Tap};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct PrecisionArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Precisions to compare with f32 [default: bf16,int8]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = named(Precision::CPU, Precision::name))]
    pub(crate) precisions: Vec<Precision>,
    /// An artifact or a model, whose classifiers are compared too: a run's output folder or its
    /// pipeline.safetensors, a model that `train` wrote, or `bundled` [default: bundled, unless a network
    /// or weights are given]
    #[arg(short, long, value_name = "FILE|OUT|bundled", conflicts_with_all = ["weights", "network", "variant", "width", "input_size", "tap"])]
    pub(crate) model: Option<PathBuf>,
    /// Instead of a model, weights as `run --weights` takes them
    #[arg(long, value_name = "FILE|NAME|imagenet|random", value_parser = super::parse::<WeightsArg>, help_heading = "Network")]
    pub(crate) weights: Option<WeightsArg>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// The layer features are taken from [default: fc2 for vgg16, else pooled]
    #[arg(long, value_parser = named(Tap::ALL, Tap::name), help_heading = "Network")]
    pub(crate) tap: Option<Tap>,
    /// Components of the PCA whose subspaces are compared
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) components: u16,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// As JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress line
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

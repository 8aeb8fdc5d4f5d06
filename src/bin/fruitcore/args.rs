//! What can be typed: subcommands, options and their help.

mod classify;
mod explore;
mod network;
mod output;
mod precision;
mod profile;
mod source;
mod train;

pub(crate) use classify::{ClassifyArgs, EvaluateArgs, FitArgs, ModelArgs, PredictArgs};
pub(crate) use explore::{ClusterArgs, Clusters, MapArgs, MethodName, NeighborsArgs, PageArgs, SearchName};
pub(crate) use network::{DeviceArg, InputSize, NetworkArgs, PlaceArgs, ShapeArgs, WeightsArg};
pub(crate) use output::{FormatArgs, ReportArgs};
pub(crate) use precision::PrecisionArgs;
pub(crate) use profile::ProfileArgs;
pub(crate) use source::SourceArgs;
pub(crate) use train::TrainArgs;

use clap::{Args, Parser, Subcommand};
use fruitcore::{host::run::Shard, pca::Keep};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit status:
  0    done
  1    failed: the message names the stage, the object and what to do
  2    usage: an option or a combination of options makes no sense; nothing was done
  3    --strict met a picture that could not be used
  130  interrupted: finished parts are kept; the same command goes on

Messages and progress go to standard error, results to standard output.";

/// Labelled pictures in, compact features out: preprocessing, CNN features, scaling, PCA
#[derive(Debug, Parser)]
#[command(name = "fruitcore", version, after_help = EXIT_CODES, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Render a data set of fruit and run the whole pipeline on it; needs no download
    Demo(DemoArgs),
    /// Pictures to features, components, a pipeline artifact and a summary
    Run(Box<RunArgs>),
    /// Put the outputs of several shards together and fit over all of them
    Merge(MergeArgs),
    /// Apply a fitted pipeline artifact to other pictures
    Transform(TransformArgs),
    /// Train or fine-tune a network on labelled pictures
    Train(Box<TrainArgs>),
    /// Fit a classifier on a run's output and put it into its artifact
    FitClassifier(FitArgs),
    /// Say what is on pictures, by the model in the box, one of your own or an artifact's classifier
    Predict(PredictArgs),
    /// Measure a classifier on labelled pictures, or on the output folder of a run
    Evaluate(EvaluateArgs),
    /// Say what a file or an output folder holds
    Inspect(InspectArgs),
    /// Time each layer of a network on one core, beside what the core can do
    Profile(ProfileArgs),
    /// What bf16 and int8 give and cost on pictures, beside f32
    Precision(Box<PrecisionArgs>),
    /// Group components by k-means, with measures against labels
    Cluster(ClusterArgs),
    /// Lay components out on a plane by t-SNE, with how faithful it is
    Map(MapArgs),
    /// The pictures of a run that look most like a picture
    Neighbors(NeighborsArgs),
    /// One HTML page about an output: maps, clusters, pictures, figures
    Report(PageArgs),
    /// Pretrained checkpoints: list, fetch, verify, inspect
    #[command(subcommand)]
    Weights(WeightsCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for pictures and results
    #[arg(short, long, value_name = "DIR", default_value = "fruitcore-demo")]
    pub(crate) output: PathBuf,
    /// Another seed renders other pictures
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Pictures of each of the 20 kinds; the last sixth is held out
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(6..=100_000))]
    pub(crate) per_kind: u32,
    /// Checkpoint for MobileNetV2 at width 1 (see `run --weights`) instead of the bundled model
    #[arg(long, value_name = "WEIGHTS", value_parser = parse::<WeightsArg>)]
    pub(crate) weights: Option<WeightsArg>,
    /// Write no report.html at the end
    #[arg(long, help_heading = "Report")]
    pub(crate) no_report: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Folder, or s3://, gs://, az:// URL, for all results
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: String,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Components to keep: a number (50), or a fraction of the variance to explain (0.95)
    #[arg(long, value_name = "N|FRACTION", default_value = "50", value_parser = parse::<Keep>, help_heading = "Components")]
    pub(crate) components: Keep,
    /// Don't divide each feature by its standard deviation before the PCA
    #[arg(long, help_heading = "Components")]
    pub(crate) no_scale: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// Also write what preprocessing made of each picture
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) save_preprocessed: Option<PathBuf>,
    /// File format of --save-preprocessed: JPEG of quality 95, or PNG, which loses nothing
    #[arg(long, value_name = "FORMAT", default_value = "jpeg", value_parser = ["jpeg", "png"], help_heading = "Output")]
    pub(crate) save_as: String,
    /// Leave the network's weights out of pipeline.safetensors; `transform` then needs the checkpoint
    #[arg(long, help_heading = "Output")]
    pub(crate) no_weights: bool,
    /// Pictures in a part, the unit of commit, resume and sharding
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Work")]
    pub(crate) part_size: Option<u32>,
    /// Do this machine's share, counted from 1 (2/4: the second of four); `merge` joins them
    #[arg(long, value_name = "I/N", value_parser = parse::<Shard>, help_heading = "Work")]
    pub(crate) shard: Option<Shard>,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Remove what another run left in OUT and begin anew
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// Write no report.html at the end
    #[arg(long, help_heading = "Report")]
    pub(crate) no_report: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Work")]
pub(crate) struct WorkArgs {
    /// Pictures in one forward pass [default: 16; 64 on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) batch: Option<u16>,
    /// Threads that decode and compute [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// Stop at the first picture that can't be used, with exit status 3
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Output folders or URLs of the shards
    #[arg(required = true, num_args = 1.., value_name = "SHARD")]
    pub(crate) shards: Vec<String>,
    /// Folder or URL for the merged result; may be the shards' own if they share one
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: String,
    /// Components to keep: a number (50), or a fraction of the variance to explain (0.95)
    /// [default: what the shards were asked for]
    #[arg(long, value_name = "N|FRACTION", value_parser = parse::<Keep>)]
    pub(crate) components: Option<Keep>,
    /// Divide each feature by its standard deviation before the PCA, though the shards were told not to
    #[arg(long, conflicts_with = "no_scale")]
    pub(crate) scale: bool,
    /// Don't divide each feature by its standard deviation before the PCA
    #[arg(long)]
    pub(crate) no_scale: bool,
    /// The shards' checkpoint (see `run --weights`), to put its weights into pipeline.safetensors
    #[arg(long, value_name = "WEIGHTS", value_parser = parse::<WeightsArg>)]
    pub(crate) weights: Option<WeightsArg>,
    /// Remove what another run left in OUT and begin anew
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TransformArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// The artifact: `pipeline.safetensors` of a run, or the run's output folder
    #[arg(short, long, value_name = "FILE|OUT")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) on: ModelArgs,
    /// Folder or URL for component files; without it, CSV on standard output
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<String>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// An output folder, an artifact, a model, a checkpoint, a features or components file, or a PCA
    /// state; `bundled` for the model in the box
    #[arg(value_name = "FILE|OUT|bundled")]
    pub(crate) target: PathBuf,
    /// As JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsCommand {
    /// The checkpoints fruitcore knows: name, network, variant, digest, licence note, where it lies
    List {
        /// As JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Download checkpoints into the cache and verify them; a broken download is continued
    Fetch {
        /// Names from `weights list`
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// No progress bar
        #[arg(short, long)]
        quiet: bool,
    },
    /// Compare checkpoints in the cache with their known digests
    Verify {
        /// Names from `weights list` [default: all that are in the cache]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the tensors of a checkpoint file, and which network they fit
    Inspect {
        /// A .safetensors, .pth, .h5 or .weights.h5 file, or a name from `weights list`
        #[arg(value_name = "FILE|NAME")]
        target: String,
        /// As JSON on standard output
        #[arg(long)]
        json: bool,
    },
}

/// A library type from its text; clap adds which option it was.
pub(crate) fn parse<T: core::str::FromStr<Err = fruitcore::Error>>(s: &str) -> Result<T, String> {
    s.parse().map_err(|e: fruitcore::Error| e.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }
}

//! Looking at what a run gave: clusters, maps, neighbours, the report page.

use super::{DeviceArg, FormatArgs, ReportArgs, WeightsArg};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// An output folder or URL, or a Parquet, Arrow or CSV file of components
    #[arg(value_name = "OUT|FILE")]
    pub(crate) target: String,
    /// Clusters: a number, or `auto` for the best silhouette on a sample
    #[arg(short, long, value_name = "N|auto", default_value = "auto", value_parser = parse_k)]
    pub(crate) k: Clusters,
    /// The largest number `auto` tries
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub(crate) most: u16,
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Independent starts, of which the best two are improved and one kept
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) restarts: u16,
    /// One pass of mini-batches: rows need not fit in memory
    #[arg(long)]
    pub(crate) mini_batch: bool,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodName {
    /// t-SNE
    #[default]
    Tsne,
    /// The first two principal components
    Pca,
}

#[derive(Debug, Args)]
pub(crate) struct MapArgs {
    /// An output folder or URL, or a Parquet, Arrow or CSV file of components
    #[arg(value_name = "OUT|FILE")]
    pub(crate) target: String,
    /// How rows become points
    #[arg(long, value_enum, default_value_t)]
    pub(crate) method: MethodName,
    /// Effective number of neighbours of t-SNE
    #[arg(long, value_name = "X", default_value_t = 30.0)]
    pub(crate) perplexity: f32,
    /// Steps of t-SNE
    #[arg(long, value_name = "N", default_value_t = 750, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) steps: u32,
    /// Seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The same map to the bit on every start: one thread (always so up to 5,000 rows)
    #[arg(long)]
    pub(crate) deterministic: bool,
    /// Fit on at most so many rows, and place the others beside their nearest
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) most: usize,
    /// Put these rows (an output or a file) on the map that is there, as placed.parquet
    #[arg(long, value_name = "OUT|FILE")]
    pub(crate) place: Option<String>,
    /// With --place: steps of gradient descent from the neighbours' mean
    #[arg(long, value_name = "N", default_value_t = 0, requires = "place")]
    pub(crate) descend: usize,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How neighbours are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchName {
    /// By a graph from a million rows and a hundred thousand pictures on, else exactly
    #[default]
    Auto,
    /// Every picture beside every row
    Exact,
    /// By a graph over the rows, which misses few
    Graph,
}

#[derive(Debug, Args)]
pub(crate) struct NeighborsArgs {
    /// A picture, or a folder, list or archive of pictures
    #[arg(value_name = "PICTURE")]
    pub(crate) picture: String,
    /// The output folder of the run to look in
    #[arg(long = "in", value_name = "OUT")]
    pub(crate) target: PathBuf,
    /// How many of each
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) top: u32,
    /// How they are looked for
    #[arg(long, value_enum, default_value_t)]
    pub(crate) search: SearchName,
    /// The checkpoint the artifact was fitted with, if the artifact says to pass it
    #[arg(long, value_name = "WEIGHTS")]
    pub(crate) weights: Option<WeightsArg>,
    /// Where the network computes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceArg,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// As JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// An output folder or URL, or a Parquet, Arrow or CSV file of components
    #[arg(value_name = "OUT|FILE")]
    pub(crate) target: String,
    /// Where the pictures are [default: the run's input]
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) pictures: Option<String>,
    /// Name of the page in OUT
    #[arg(short, long, value_name = "NAME", default_value = "report.html")]
    pub(crate) output: String,
    /// Points drawn at most
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) points: usize,
    /// Thumbnails at most; 0 for none
    #[arg(long, value_name = "N", default_value_t = 4000)]
    pub(crate) thumbnails: usize,
    /// Clusters, if not those of `cluster`
    #[arg(short, long, value_name = "N")]
    pub(crate) k: Option<usize>,
    /// Make no t-SNE map; one that is there is shown
    #[arg(long)]
    pub(crate) no_map: bool,
    /// Seconds to wait for the pictures
    #[arg(long, value_name = "S", default_value_t = 120.0, value_parser = parse_seconds)]
    pub(crate) patience: f64,
    /// What was predicted for the pictures: the output of `predict --csv` or `--json`, or a confusion
    /// matrix of `evaluate` [default: what the artifact's head says of the run's own rows]
    #[arg(long, value_name = "FILE")]
    pub(crate) predictions: Option<PathBuf>,
    /// Which of the artifact's heads [default: the first]
    #[arg(long, value_name = "NAME", conflicts_with = "predictions")]
    pub(crate) head: Option<String>,
    /// Pictures for which the page shows where the network looks, about a hundred forward passes each;
    /// 0 for none
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) gazes: usize,
    /// Show where the network looks in this picture, named by path or file name (may be repeated)
    /// [default: some confused ones, and one of each class]
    #[arg(long, value_name = "PICTURE")]
    pub(crate) gaze: Vec<String>,
    /// Seconds it may take to find out where the network looks [default: 3, or no limit with --gaze]
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) gaze_seconds: Option<f64>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How many clusters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clusters {
    Auto,
    Fixed(usize),
}

fn parse_seconds(s: &str) -> Result<f64, String> {
    match s.parse::<f64>() {
        Ok(t) if (0.0..=1e9).contains(&t) => Ok(t),
        _ => Err("write a number of seconds, at least 0".to_owned()),
    }
}

fn parse_k(s: &str) -> Result<Clusters, String> {
    match s.parse::<usize>() {
        Ok(k) if k > 0 => Ok(Clusters::Fixed(k)),
        _ if s == "auto" => Ok(Clusters::Auto),
        _ => Err("write a number of clusters (20) or `auto`".to_owned()),
    }
}

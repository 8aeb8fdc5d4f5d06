//! Fitting classifiers and using them.

use super::{DeviceArg, ReportArgs, SourceArgs, WeightsArg, WorkArgs};
use clap::{Args, ValueEnum};
use fruitcore::{
    classify::{Metric, Reads, Weighting},
    featurize::Precision,
    host::heads::{HeadKind, Threshold},
};
use std::path::PathBuf;

/// Where a fitted pipeline or a model computes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct ModelArgs {
    /// The checkpoint the artifact was fitted with, if the artifact says to pass it
    #[arg(long, value_name = "WEIGHTS", value_parser = super::parse::<WeightsArg>)]
    pub(crate) weights: Option<WeightsArg>,
    /// Where the network computes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceArg,
    /// What products are computed in [default: what it was fitted with]
    #[arg(long, value_parser = super::network::named(Precision::ALL, Precision::name))]
    pub(crate) precision: Option<Precision>,
}

/// Pictures and who is to classify them.
#[derive(Debug, Args)]
pub(crate) struct ClassifyArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// What classifies: a run's output folder or its pipeline.safetensors, a model that `train` wrote,
    /// or `bundled` for the fruit model in the box [default: bundled; for the output of a run its own]
    #[arg(short, long, value_name = "FILE|OUT|bundled", help_heading = None)]
    pub(crate) model: Option<PathBuf>,
    /// Which of its heads [default: the first; of the bundled model `fruit`, the other is `shop`]
    #[arg(long, value_name = "NAME", help_heading = None)]
    pub(crate) head: Option<String>,
    #[command(flatten)]
    pub(crate) on: ModelArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FitArgs {
    /// Output folder or URL of a run or merge
    #[arg(value_name = "OUT")]
    pub(crate) target: String,
    /// Which classifier
    #[arg(long, value_enum, default_value_t)]
    pub(crate) head: KindArg,
    /// What it reads
    #[arg(long, value_enum, default_value_t)]
    pub(crate) on: ReadsArg,
    /// Share of each class to hold back for calibration and for the figures, 0 to 0.9
    #[arg(long, value_name = "SHARE", default_value_t = 0.15)]
    pub(crate) val: f64,
    /// Probability below which a picture is unknown; `auto` loses 5 % of the right answers
    /// [default: never unknown]
    #[arg(long, value_name = "P|auto", value_parser = parse_threshold)]
    pub(crate) threshold: Option<Threshold>,
    /// What the head is called in the artifact; one of the same name is replaced
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) name: String,
    /// softmax: strength of the penalty on the weights [default: what serves the pictures held back]
    #[arg(long, value_name = "X", value_parser = parse_penalty)]
    pub(crate) l2: Option<f64>,
    /// knn: how many neighbours vote [default: 5, or fewer if there are fewer pictures]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) neighbors: Option<u32>,
    /// knn: how distances are measured
    #[arg(long, value_enum, default_value_t)]
    pub(crate) metric: MetricArg,
    /// knn: votes count by the inverse of their distance
    #[arg(long)]
    pub(crate) by_distance: bool,
    /// knn: pictures to keep at most, a random sample
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) references: u32,
    /// Keep the head's numbers in half precision: half the size
    #[arg(long)]
    pub(crate) half: bool,
    /// Another seed holds other pictures back
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write the artifact with the head to this file and leave OUT as it is
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Classes to list for each picture
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) top: u16,
    /// One JSON object a line on standard output; `prediction` is null for unknown
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// CSV on standard output; `prediction` is empty for unknown
    #[arg(long)]
    pub(crate) csv: bool,
    /// No progress line, no summary, no names of rejected pictures
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) by: ClassifyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Also tell how often the right class is among so many
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) top: u16,
    /// Write the confusion matrix to this CSV file: a row for each class, a column for each answer
    #[arg(long, value_name = "FILE")]
    pub(crate) confusion: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) by: ClassifyArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// The nearest class mean
    Centroid,
    /// Softmax regression
    #[default]
    Softmax,
    /// k nearest neighbours
    Knn,
}

impl From<KindArg> for HeadKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Centroid => Self::Centroid,
            KindArg::Softmax => Self::Softmax,
            KindArg::Knn => Self::Neighbors,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadsArg {
    /// The principal components
    #[default]
    Components,
    /// The network's features
    Features,
}

impl From<ReadsArg> for Reads {
    fn from(reads: ReadsArg) -> Self {
        match reads {
            ReadsArg::Components => Self::Components,
            ReadsArg::Features => Self::Features,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricArg {
    /// The length of the difference
    #[default]
    Euclidean,
    /// One minus the cosine of the angle
    Cosine,
}

impl From<MetricArg> for Metric {
    fn from(metric: MetricArg) -> Self {
        match metric {
            MetricArg::Euclidean => Self::Euclidean,
            MetricArg::Cosine => Self::Cosine,
        }
    }
}

impl FitArgs {
    pub(crate) fn weighting(&self) -> Weighting {
        if self.by_distance { Weighting::Distance } else { Weighting::Uniform }
    }
}

fn parse_penalty(s: &str) -> Result<f64, String> {
    match s.parse::<f64>() {
        Ok(l2) if l2 >= 0.0 && l2.is_finite() => Ok(l2),
        _ => Err("write a number of at least 0".to_owned()),
    }
}

fn parse_threshold(s: &str) -> Result<Threshold, String> {
    match (s, s.parse::<f32>()) {
        ("auto", _) => Ok(Threshold::Auto),
        (_, Ok(p)) if (0.0..=1.0).contains(&p) => Ok(Threshold::At(p)),
        _ => Err("write a probability from 0 to 1, or `auto`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties() {
        assert_eq!(parse_penalty("1e-3"), Ok(1e-3));
        assert!(["-1", "inf", "NaN", ""].iter().all(|bad| parse_penalty(bad).is_err()));
    }

    #[test]
    fn thresholds() {
        assert_eq!(parse_threshold("auto"), Ok(Threshold::Auto));
        assert_eq!(parse_threshold("0.5"), Ok(Threshold::At(0.5)));
        for bad in ["", "1.5", "-0.1", "NaN", "often"] {
            assert!(parse_threshold(bad).is_err(), "{bad}");
        }
    }
}

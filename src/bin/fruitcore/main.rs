//! The command line tool: arguments to library calls, results to people and programs.

// The program has std; the lints are for the core.
mod apply;
mod args;
mod cluster;
mod completions;
mod demo;
mod evaluate;
mod failure;
mod fit_classifier;
mod gaze;
mod inspect;
mod map;
mod merge;
mod neighbors;
mod network;
mod page;
mod precision;
mod predict;
mod profile;
mod progress;
mod run;
mod stages;
mod summary;
mod text;
mod train;
mod transform;
mod weights;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::demo(&args),
        Command::Run(args) => run::run(&args),
        Command::Merge(args) => merge::merge(&args),
        Command::Transform(args) => transform::transform(&args),
        Command::Train(args) => train::train(&args),
        Command::FitClassifier(args) => fit_classifier::fit_classifier(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Evaluate(args) => evaluate::evaluate(&args),
        Command::Precision(args) => precision::precision(&args),
        Command::Profile(args) => profile::profile(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Cluster(args) => cluster::cluster(&args),
        Command::Map(args) => map::map(&args),
        Command::Neighbors(args) => neighbors::neighbors(&args),
        Command::Report(args) => page::report(&args),
        Command::Weights(command) => weights::weights(&command),
        Command::Completions { shell } => completions::completions(shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

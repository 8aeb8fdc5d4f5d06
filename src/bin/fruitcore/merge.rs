//! `fruitcore merge`.

use crate::{args::MergeArgs, failure::Failure, progress, summary, text};
use fruitcore::host::{
    driver::Control,
    run::{MergeOptions, merge as merge_shards, open_output},
    setup::artifact,
};

pub(crate) fn merge(args: &MergeArgs) -> Result<(), Failure> {
    let mut options = MergeOptions::default();
    options.keep = args.components;
    options.scale = match (args.scale, args.no_scale) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    options.overwrite = args.overwrite;
    options.artifact = Some(artifact(args.weights.clone()));
    let control = Control::default();
    let done = progress::watch(&control, args.report.quiet, || {
        merge_shards(&args.shards, &args.output, &options, &control)
    });
    let merged = done.map_err(|e| progress::explain(e, &control, false))?;
    if args.report.json {
        text::print_json(&merged)?;
    }
    if !args.report.quiet {
        eprint!("\n{}", summary::human(&merged, &*open_output(&args.output)?));
    }
    Ok(())
}

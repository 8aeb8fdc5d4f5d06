//! `fruitcore merge`.

use crate::{args::MergeArgs, artifact, failure::Failure, progress, summary, text};
use fruitcore::host::{
    driver::Control,
    run::{RunOptions, merge as merge_shards, open_output},
};

pub(crate) fn merge(args: &MergeArgs) -> Result<(), Failure> {
    let mut options = RunOptions::default();
    options.keep = Some(args.components);
    options.scale = !args.no_scale;
    options.overwrite = args.overwrite;
    options.artifact = Some(artifact::maker(args.weights.clone()));
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

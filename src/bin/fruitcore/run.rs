//! `fruitcore run`.

use crate::{args::RunArgs, failure::Failure, network, page, progress, stages, summary, text};
use fruitcore::host::{
    driver::Control,
    run::{Run, Shard, open_output},
    setup::WeightsId,
    sink::picture::PictureFormat,
    source::{self, Source},
};
use std::sync::Arc;

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let quiet = args.report.quiet;
    let source_options = args.source.options();
    let source: Arc<dyn Source> = Arc::from(source::open(&args.source.input, &source_options)?);
    let setup = network::setup(&args.network, quiet)?;
    let output = open_output(&args.output)?;

    let mut options = setup.options()?;
    options.part_size = args.part_size.map(|n| n as usize);
    options.limits = stages::limits(&args.work, options.limits);
    options.limit = args.source.limit;
    options.shard = args.shard.unwrap_or(Shard::WHOLE);
    options.count_ahead = progress::count_ahead(&args.source.input, quiet);
    options.strict = args.work.strict;
    options.overwrite = args.overwrite;
    options.keep = Some(args.components);
    options.scale = !args.no_scale;
    options.format = args.format.format();
    options.config.insert("label".to_owned(), args.source.label.to_string());
    options.artifact = Some(setup.artifact(!args.no_weights));

    let mut stages = setup.stages();
    if let Some(folder) = &args.save_preprocessed {
        let format = if args.save_as == "png" { PictureFormat::Png } else { PictureFormat::default() };
        stages.watcher = Some(stages::saver(setup.recipe(), folder, format, &args.source.input)?);
    }
    if !quiet {
        let [_, h, w] = setup.recipe().output_shape();
        let weights = match setup.weights() {
            WeightsId::Random(_) => "; random weights: a baseline, not a trained network",
            _ => "",
        };
        eprintln!("{} on pictures of {h}x{w}, recipe {}{weights}", setup.network(), setup.recipe().name());
    }
    let shard = options.shard;
    let run = Run::new(source, stages, Arc::clone(&output)).options(options);
    let control = Control::default();
    let done = progress::watch(&control, quiet, || run.start(&control));
    let summary = done.map_err(|e| progress::explain(e, &control, args.work.strict))?;

    if args.report.json {
        text::print_json(&summary)?;
    }
    if !quiet {
        eprint!("\n{}", summary::human(&summary, &*output));
        if shard.count > 1 {
            eprintln!(
                "\nshard {} of {} is done; when all are: fruitcore merge OUT… --output MERGED",
                shard.index + 1,
                shard.count
            );
        } else {
            let out = &args.output;
            eprintln!("\nnext: fruitcore inspect {out}   ·   fruitcore transform MORE --model {out}");
        }
    }
    if shard.count == 1 && !args.no_report {
        page::after(&args.output, quiet);
    }
    Ok(())
}

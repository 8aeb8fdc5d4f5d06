//! `fruitcore report`: the page about an output.

use crate::{args::PageArgs, failure::Failure, map::bar, text};
use core::time::Duration;
use fruitcore::host::{
    map::MapOptions,
    report::{self, ReportInfo, ReportOptions, Step},
    rows::RowFiles,
    sink::Content,
};

/// Rows that t-SNE is fitted on at the end of a run; the others are placed beside their nearest.
const QUICK_MAP: usize = 2_000;
/// How long the end of a run waits for pictures.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn report(args: &PageArgs) -> Result<(), Failure> {
    let mut options = ReportOptions::default();
    options.pictures = args.pictures.clone();
    options.file = args.output.clone();
    options.points = args.points.max(1);
    options.thumbnails = args.thumbnails;
    options.clusters = args.k;
    options.map = (!args.no_map).then(MapOptions::default);
    options.patience = Duration::from_secs_f64(args.patience);
    options.predictions = args.predictions.clone();
    options.head = args.head.clone();
    options.gazes = args.gazes;
    options.gaze_pictures = args.gaze.clone();
    options.gaze_time = match args.gaze_seconds {
        Some(seconds) => Some(Duration::from_secs_f64(seconds)),
        None => options.gaze_time.filter(|_| args.gaze.is_empty()),
    };
    let info = write(&args.target, options, args.report.quiet)?;
    if args.report.json {
        text::print_json(&info)?;
    }
    Ok(())
}

/// Writes the page about `target` and says where it is.
pub(crate) fn write(target: &str, mut options: ReportOptions, quiet: bool) -> Result<ReportInfo, Failure> {
    let files = RowFiles::open(target, Content::Components)?;
    if (options.gazes > 0 || !options.gaze_pictures.is_empty()) && files.is_run() {
        match crate::gaze::of(&files) {
            Ok(gaze) => options.gaze = Some(gaze),
            Err(failure) => options.no_gaze = Some(failure.message()),
        }
    }
    let bar = bar(quiet);
    let info = report::write(&files, &options, &mut |step| match step {
        Step::Map(done, all) => {
            bar.set_message("t-SNE");
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
        Step::Clusters => bar.set_message("clusters"),
        Step::Pictures => bar.set_message("pictures"),
        _ => bar.set_message("page"),
    });
    bar.finish_and_clear();
    let info = info?;
    if !quiet {
        for note in &info.notes {
            eprintln!("note: {note}");
        }
        eprintln!(
            "report: {}/{} ({}, {} drawn, {}, {}), {} beside it",
            files.store().describe(),
            info.file,
            text::bytes(info.bytes as u64),
            text::counted(info.points as u64, "point", "points"),
            text::counted(info.thumbnails as u64, "thumbnail", "thumbnails"),
            text::counted(info.gazes as u64, "saliency map", "saliency maps"),
            text::counted(info.figures.len() as u64, "figure", "figures")
        );
    }
    Ok(info)
}

/// The page at the end of a run: a failure is told, and the run has succeeded all the same.
pub(crate) fn after(target: &str, quiet: bool) {
    let mut options = ReportOptions::default();
    options.patience = PATIENCE;
    // A run should end when its work is done; `fruitcore map` takes the time for a larger map.
    let mut map = MapOptions::default();
    map.most = QUICK_MAP;
    options.map = Some(map);
    if let Err(failure) = write(target, options, quiet) {
        let _ = failure.report();
        eprintln!("the run is done; only its report is missing: fruitcore report {target}");
    }
}

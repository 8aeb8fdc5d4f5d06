//! `fruitcore map`.

use crate::{
    args::{MapArgs, MethodName},
    failure::Failure,
    text,
};
use core::time::Duration;
use fruitcore::{
    Error, ErrorKind, Stage,
    host::{
        map::{Map, MapOptions, Method, PlaceOptions, place, write_points},
        rows::RowFiles,
        sink::Content,
    },
    pca::Rows,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on a terminal; nothing elsewhere.
pub(crate) fn bar(quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} · {eta} left") {
        bar.set_style(style);
    }
    bar
}

pub(crate) fn map(args: &MapArgs) -> Result<(), Failure> {
    let files = RowFiles::open(&args.target, Content::Components)?;
    if let Some(new) = &args.place {
        return placed(args, &files, new);
    }
    let table = files.table()?;
    let mut options = MapOptions::default();
    options.method = match args.method {
        MethodName::Tsne => Method::Tsne,
        MethodName::Pca => Method::Pca,
    };
    options.tsne.perplexity = args.perplexity;
    options.tsne.steps = args.steps as usize;
    options.tsne.seed = args.seed;
    options.tsne.deterministic = args.deterministic;
    options.most = args.most;
    let bar = bar(args.report.quiet);
    bar.set_message("t-SNE");
    let made = Map::of(&table, &options, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let made = made?;
    let format = args.format.format();
    made.write(&files, &format)?;
    let s = &made.summary;
    if args.report.json {
        text::print_json(s)?;
    }
    if !args.report.quiet {
        eprintln!(
            "{} in {}",
            text::counted(s.rows as u64, "point", "points"),
            text::duration(Duration::from_secs_f64(s.seconds))
        );
        if let Some(q) = s.quality {
            eprintln!(
                "trustworthiness {:.4}, {:.1} % of {} neighbours kept{}",
                q.trustworthiness,
                100.0 * q.neighbors_kept,
                q.neighbors,
                if q.sampled < s.rows { format!(" (over {} of them)", q.sampled) } else { String::new() }
            );
        }
        if !s.deterministic {
            eprintln!("note: another start gives another map of the same quality; --deterministic fixes it");
        }
        for note in &s.notes {
            eprintln!("note: {note}");
        }
        eprintln!("written: {}/map.{}, map.json", files.store().describe(), format.extension());
    }
    Ok(())
}

/// Other rows on the map that is there.
fn placed(args: &MapArgs, files: &RowFiles, new: &str) -> Result<(), Failure> {
    let Some(map) = Map::read(files)? else {
        let m = "there is no map yet; make it first: fruitcore map";
        return Err(Error::new(ErrorKind::NotFound, Stage::Source, m).at(&args.target).into());
    };
    let (table, new) = (files.table()?, RowFiles::open(new, Content::Components)?.table()?);
    if table.paths() != map.paths {
        let m = "the map is of other rows; make it anew: fruitcore map";
        return Err(Error::new(ErrorKind::Mismatch, Stage::Source, m).at(&args.target).into());
    }
    let mut options = PlaceOptions::default();
    options.steps = args.descend;
    let rows = Rows::new(table.values(), table.columns())?;
    let points = place(rows, &map.points, Rows::new(new.values(), new.columns())?, &options)?;
    let format = args.format.format();
    write_points(files, "placed", new.paths(), new.labels(), &points, &format)?;
    if args.report.json {
        text::print_json(&serde_json::json!({ "placed": new.len(), "on": map.paths.len() }))?;
    }
    if !args.report.quiet {
        let name = format!("{}/placed.{}", files.store().describe(), format.extension());
        eprintln!("{} placed, written: {name}", text::counted(new.len() as u64, "point", "points"));
    }
    Ok(())
}

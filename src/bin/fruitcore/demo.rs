//! `fruitcore demo`: the whole pipeline on rendered pictures.

use crate::{
    apply::Job,
    args::{DemoArgs, DeviceArg, ModelArgs, SourceArgs, WeightsArg, WorkArgs},
    evaluate,
    failure::Failure,
    fit_classifier, network, page, progress, summary, text,
};
use core::time::Duration;
use fruitcore::{
    Error, ErrorKind, Stage,
    host::{
        demo::Fruits,
        driver::Control,
        heads::HeadOptions,
        run::{Run, RunOutput, open_output},
        setup::{ARTIFACT, Fitted, Setup, WeightsId},
        source::{self, Source, SourceOptions},
    },
    pca::Keep,
    preprocess::Preset,
};
use std::{path::Path, sync::Arc, time::Instant};

/// Input size for weights that aren't the bundled model's.
const SIDE: usize = 96;
/// One picture of so many is held out.
const HELD_OUT: u32 = 6;

pub(crate) fn demo(args: &DemoArgs) -> core::result::Result<(), Failure> {
    let begun = Instant::now();
    let quiet = args.report.quiet;
    let say = |line: String| {
        if !quiet {
            eprintln!("{line}");
        }
    };
    let [pictures, held_out, out] = ["pictures", "held-out", "out"].map(|name| args.output.join(name));
    let kinds = Fruits::kinds().len() as u64;
    let fit_on = args.per_kind - (args.per_kind / HELD_OUT).max(1);
    say(format!(
        "rendering {} of {kinds} kinds of fruit, seed {}",
        text::counted(kinds * u64::from(args.per_kind), "picture", "pictures"),
        args.seed
    ));
    let fruits = Fruits::new(args.seed);
    for (folder, indices) in [(&pictures, 0..fit_on), (&held_out, fit_on..args.per_kind)] {
        clear(folder)?;
        fruits.write(folder, indices)?;
    }

    let setup = setup(args)?;
    say(format!("{}, recipe {}", setup.network(), setup.recipe().name()));
    if let WeightsId::Random(_) = setup.weights() {
        say("random weights: a baseline, not a trained network".to_owned());
    }
    let input = pictures.display().to_string();
    let source: Arc<dyn Source> = Arc::from(source::open(&input, &SourceOptions::default())?);
    let store = open_output(&out.display().to_string())?;
    let mut options = setup.options()?;
    options.keep = Some(Keep::Count(50));
    options.part_size = Some(256);
    options.count_ahead = !quiet;
    options.overwrite = true;
    let run = Run::new(source, setup.stages(), Arc::clone(&store)).options(options);
    let control = Control::default();
    let done = progress::watch(&control, quiet, || run.start(&control));
    let summary = done.map_err(|e| progress::explain(e, &control, false))?;

    // A classifier over the components, into the artifact; then pictures neither has seen.
    let output = RunOutput::open(&out.display().to_string())?;
    let (fitted, head, fit) = fit_classifier::fit(&output, &HeadOptions::default())?;
    store.put(ARTIFACT, &fitted.with_head(&head)?)?;
    let check = hold_out(&out, &held_out)?;
    if args.report.json {
        text::print_json(
            &serde_json::json!({ "summary": &summary, "classifier": &fit, "held_out": &check }),
        )?;
    }
    if !args.no_report {
        page::after(&out.display().to_string(), quiet);
    }
    if !quiet {
        eprint!("\n{}", summary::human(&summary, &*store));
        eprint!("\n{}", fit_classifier::human(&fit));
        eprintln!(
            "\n{} of {} held-out pictures ({:.1} %) are classified right; by chance {:.1} %.",
            check.right,
            check.pictures,
            100.0 * check.accuracy,
            100.0 / kinds as f64
        );
        let d = args.output.display();
        let rows = [
            ("pictures/", "rendered pictures, one folder a kind"),
            ("held-out/", "pictures the fit never saw"),
            ("out/features/", "1,280 numbers a picture, Parquet"),
            ("out/components/", "the same pictures as 50 components"),
            ("out/pipeline.safetensors", "the fitted pipeline and classifier: runs on new pictures"),
            ("out/report.html", "maps, clusters, pictures: open it in a browser"),
            ("out/summary.json", "all the figures"),
        ];
        let rows: Vec<_> =
            rows.iter().map(|(name, what)| vec![format!("  {d}/{name}"), (*what).to_owned()]).collect();
        eprint!("\n{}", text::table(&rows));
        eprintln!(
            "\n{} in all. Next, with your own pictures:",
            text::duration(Duration::from_secs_f64(begun.elapsed().as_secs_f64()))
        );
        eprintln!("  fruitcore run PICTURES --output OUT");
        eprintln!("  fruitcore predict {d}/held-out --model {d}/out");
    }
    Ok(())
}

fn setup(args: &DemoArgs) -> core::result::Result<Setup, Failure> {
    let builder = network::begin(false).device(network::device(DeviceArg::Flex)?);
    let builder = match args.weights.clone() {
        // The bundled model knows its own.
        None | Some(WeightsArg::Bundled) => builder,
        Some(WeightsArg::Random(seed)) => {
            builder.weights(WeightsArg::Random(seed)).width(0.35).recipe(Preset::Simple).input(SIDE, SIDE)
        }
        Some(weights) => builder.weights(weights).input(SIDE, SIDE),
    };
    Ok(builder.build()?)
}

/// How the held-out pictures fared.
#[derive(Debug, serde::Serialize)]
struct Check {
    pictures: u64,
    right: u64,
    accuracy: f64,
    top5: f64,
}

/// The artifact as anyone would use it: from its file, on a folder of pictures.
fn hold_out(out: &Path, held_out: &Path) -> core::result::Result<Check, Failure> {
    let source = SourceArgs::folder(held_out);
    let model = ModelArgs { weights: None, device: DeviceArg::Flex, precision: None };
    let work = WorkArgs { batch: None, workers: None, strict: true };
    let job = Job::new(&source, Fitted::open(out)?, &model, &work, true)?;
    let (tally, _) = evaluate::over_pictures(&job, job.fitted.head(None)?)?;
    let found = tally.evaluation;
    let (pictures, right) = (found.rows(), found.right());
    Ok(Check { pictures, right, accuracy: found.accuracy(), top5: found.top(5) })
}

/// Removes what an earlier demo left of rendered pictures, and nothing else: only the kinds' own
/// folders and only files as the renderer names them.
fn clear(folder: &Path) -> core::result::Result<(), Failure> {
    for kind in Fruits::kinds() {
        let Ok(files) = std::fs::read_dir(folder.join(kind)) else { continue };
        for file in files.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            let rendered = name.split_once('.').is_some_and(|(stem, ending)| {
                matches!(ending, "jpg" | "png") && stem.len() >= 4 && stem.bytes().all(|b| b.is_ascii_digit())
            });
            if rendered {
                std::fs::remove_file(file.path()).map_err(|e| {
                    let m = "an earlier demo's picture can't be removed; choose another --output";
                    Error::new(ErrorKind::Io, Stage::Sink, m).at(file.path().display().to_string()).because(e)
                })?;
            }
        }
    }
    Ok(())
}

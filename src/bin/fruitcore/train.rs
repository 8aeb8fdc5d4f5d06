//! `fruitcore train`.

use crate::{
    args::{TrainArgs, WeightsArg},
    failure::Failure,
    network, progress, text,
};
use fruitcore::{
    featurize::weights::WeightSource,
    host::{
        driver::Control,
        run::open_output,
        setup::{Fitted, Resolved},
        train::{self, Blend, DataSpec, HeadReport, Teachers, TrainOptions},
    },
    preprocess::Preset,
};

/// Side of the input unless the weights or an option say otherwise, in pixels.
const SIDE: usize = 96;

pub(crate) fn train(args: &TrainArgs) -> core::result::Result<(), Failure> {
    let data = data(args)?;
    let start = start(args)?;
    let options = options(args, &start)?;
    let weights = start.weights()?;
    let from = args.from.as_ref().map(|_| &*weights as &dyn WeightSource);
    let store = open_output(&args.output)?;
    if args.overwrite {
        store.remove("state.safetensors")?;
    }
    let control = Control::default();
    progress::stop_on_ctrl_c(&control);
    let quiet = args.report.quiet;
    let report = train::train(&data, &options, from, &*store, &control, &mut |e| {
        if !quiet {
            let heads: Vec<String> = e.heads.iter().map(figures).collect();
            eprintln!(
                "epoch {}/{}: loss {:.4}; {}; {:.1} + {:.1} s",
                e.epoch,
                e.epochs,
                e.loss,
                heads.join("; "),
                e.seconds[0],
                e.seconds[1]
            );
        }
    })?;
    if args.report.json {
        text::print_json(&report)?;
    }
    if !quiet {
        for head in &report.heads {
            eprintln!("{}", figures(head));
        }
        for note in report.notes.iter().chain(report.rejected.iter().take(10)) {
            eprintln!("note: {note}");
        }
        eprintln!(
            "{}/model.safetensors: evaluate and predict with it by --model, run with it by --weights; report.json has all figures",
            args.output
        );
    }
    Ok(())
}

/// `shop 54.1 %, top-5 80.2 %`.
fn figures(h: &HeadReport) -> String {
    let percent = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{:.1} %", 100.0 * v));
    let pasted = h.pasted.map(|p| format!(", pasted on scenes {:.1} %", 100.0 * p)).unwrap_or_default();
    format!("{} {}, top-5 {}{pasted}", h.name, percent(h.accuracy), percent(h.top5))
}

/// The network that is trained, with the weights it starts from.
fn start(args: &TrainArgs) -> Result<Resolved, Failure> {
    let weights = args.from.clone().unwrap_or(WeightsArg::Random(args.seed));
    let builder = network::shape(network::begin(args.report.quiet), &args.shape).weights(weights);
    let builder = network::place(builder, &args.place)?;
    // Pictures are cropped and turned here; the croppings that publishers used would come on top.
    let builder = match args.shape.input_size {
        Some(_) => builder.fallback_recipe(Preset::Simple),
        None => builder.fallback_recipe(Preset::Simple.recipe(SIDE)?),
    };
    Ok(builder.resolve()?)
}

fn options(args: &TrainArgs, start: &Resolved) -> Result<TrainOptions, Failure> {
    let device = network::device(args.place.device)?;
    let mut o = TrainOptions::new(*start.network(), start.recipe().clone(), device);
    o.epochs = args.epochs;
    o.batch = usize::from(args.batch);
    o.seed = args.seed;
    o.learning_rate = args.learning_rate;
    o.warm_up = args.warm_up;
    o.weight_decay = args.weight_decay;
    o.smoothing = args.smoothing;
    o.average = args.average;
    o.balance = args.balance;
    o.mixup = args.mixup;
    o.cutmix = args.cutmix;
    o.dropout = args.dropout;
    o.freeze = args.freeze;
    o.stop_after = args.stop_after;
    o.components = args.components;
    o.augment.rotation = args.rotation;
    o.augment.crop = args.crop;
    o.augment.jitter = args.jitter;
    o.augment.background = args.background;
    o.cache_bytes = args.cache << 20;
    o.temperatures = match &args.temperatures {
        Some(model) => {
            let fitted = Fitted::open(model)?;
            fitted.heads().iter().map(|h| (h.name().to_owned(), h.temperature())).collect()
        }
        None => start.temperatures(),
    };
    o.blend = args.blend.as_deref().map(blend).transpose()?;
    if !args.teacher.is_empty() {
        let models = args.teacher.iter().map(Fitted::open).collect::<Result<Vec<_>, _>>()?;
        o.teachers = Some(Teachers::new(models.iter().map(Fitted::bytes), args.teach)?);
    }
    if let Some(side) = args.cache_side {
        o.cache_side = side;
    }
    for val in &args.val {
        if let Ok(share) = val.parse() {
            o.validation = share;
        }
    }
    Ok(o)
}

/// `MODEL` or `MODEL=SHARE`.
fn blend(text: &str) -> Result<Blend, Failure> {
    let shared = text.rsplit_once('=').and_then(|(model, share)| Some((model, share.parse().ok()?)));
    let (model, share) = shared.unwrap_or((text, 0.5));
    let fitted = Fitted::open(model)?;
    Ok(Blend::new(fitted.bytes(), share).map_err(|e| e.at(model))?)
}

/// The sets with what options say of them by name.
fn data(args: &TrainArgs) -> Result<Vec<DataSpec>, Failure> {
    let mut all = args.data.clone();
    let named = |all: &mut [DataSpec], name: &str, set: &dyn Fn(&mut DataSpec)| match all
        .iter_mut()
        .find(|d| d.name == name)
    {
        Some(d) => {
            set(d);
            Ok(())
        }
        None => Err(Failure::usage(format!("no data set is named `{name}`; name it as {name}=DATA"))),
    };
    for repeat in &args.repeat {
        let parsed = repeat.split_once('=').and_then(|(name, f)| Some((name, f.parse::<f64>().ok()?)));
        let Some((name, factor)) = parsed else {
            return Err(Failure::usage(format!("--repeat {repeat}: write NAME=FACTOR")));
        };
        named(&mut all, name, &|d| d.repeat = factor)?;
    }
    for crop in &args.crop_pct {
        let (name, share) = crop.split_once('=').map_or((None, &**crop), |(name, share)| (Some(name), share));
        let Ok(share) = share.parse::<f32>() else {
            return Err(Failure::usage(format!("--crop-pct {crop}: write SHARE or NAME=SHARE")));
        };
        match name {
            Some(name) => named(&mut all, name, &|d| d.crop_pct = share)?,
            None => all.iter_mut().for_each(|d| d.crop_pct = share),
        }
    }
    for name in &args.auxiliary {
        named(&mut all, name, &|d| d.auxiliary = true)?;
    }
    for val in args.val.iter().filter(|v| v.parse::<f64>().is_err()) {
        match val.split_once('=') {
            Some((name, input)) => named(&mut all, name, &|d| d.validation = Some(input.to_owned()))?,
            None if all.len() == 1 => all.iter_mut().for_each(|d| d.validation = Some(val.clone())),
            None => {
                return Err(Failure::usage(format!(
                    "--val {val}: several sets are trained; write NAME={val}"
                )));
            }
        }
    }
    Ok(all)
}

//! Training and fine-tuning with Burn's autodiff: labelled folders in, a checkpoint out.
//!
//! One trunk, built from the same [`Graph`](crate::featurize::network::Graph) that featurizers run,
//! and a linear head for each data set. Pictures are decoded once, kept small, and changed anew each
//! time they are drawn. The weights' moving average is what is validated and saved, under the
//! network's own tensor names: `--weights model.safetensors` takes it wherever a checkpoint goes.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
//! use fruitcore::host::driver::Control;
//! use fruitcore::host::{run::open_output, train};
//! use fruitcore::preprocess::Preset;
//!
//! let network = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(96, 96);
//! let mut options = train::TrainOptions::new(network, Preset::Simple.recipe(96)?, Device::flex());
//! options.epochs = 30;
//! let data = ["pictures".parse()?];
//! let store = open_output("model")?;
//! let report = train::train(&data, &options, None, &*store, &Control::default(), &mut |epoch| {
//!     println!("epoch {}: loss {:.3}", epoch.epoch, epoch.loss);
//! })?;
//! println!("{:?} of validation pictures right", report.heads[0].accuracy);
//! # Ok::<(), fruitcore::Error>(())
//! ```
//!
//! The same seed, data and options give the same model on the same device and processor. Each epoch
//! ends with a checkpoint from which a killed training goes on.

mod augment;
mod batches;
mod blend;
mod data;
mod image;
mod lesson;
mod mask;
mod network;
mod options;
mod parameters;
mod project;
mod report;
mod round;
mod store;
mod teach;

pub use blend::Blend;
pub use options::{Augment, DataSpec, TrainOptions};
pub use report::HeadReport;
pub use teach::Teachers;

use crate::featurize::weights::WeightSource;
use crate::host::{driver::Control, run::OutputStore};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use batches::Batch;
use core::fmt::Write as _;
use data::DataSet;
use lesson::Lesson;
use parameters::Parameters;
use serde::Serialize;
use serde_json::json;
use std::time::Instant;
use store::Extras;

/// What one epoch gave.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: u32,
    /// Of how many.
    pub epochs: u32,
    /// Mean training loss.
    pub loss: f64,
    /// Learning rate of the last step.
    pub rate: f64,
    /// Steps done in all.
    pub steps: u64,
    /// Seconds of learning and of validating.
    pub seconds: [f64; 2],
    /// Validation by head.
    pub heads: Vec<HeadReport>,
}

/// What training gave.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TrainReport {
    /// Epochs done.
    pub epochs: u32,
    /// Validation of the saved model.
    pub heads: Vec<HeadReport>,
    /// Data sets: name, SHA-256 over paths and contents in listing order.
    pub data: Vec<(String, String)>,
    /// Pictures that could not be used, and why.
    pub rejected: Vec<String>,
    /// Classes with too few pictures to validate, and other things worth knowing.
    pub notes: Vec<String>,
}

/// Trains and writes `model.safetensors`, `model-int8.safetensors` (weights in 8 bits),
/// `state.safetensors`, `metrics.csv`, `report.json`, and for each set `confusion-NAME.csv` and
/// `held-out-NAME.txt`, a list of the pictures validated on, for `evaluate`. A state of the same configuration in `store` is continued.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] for options that make no sense; [`ErrorKind::Insufficient`] for
/// fewer than two classes; [`ErrorKind::Mismatch`] if `store` holds another training;
/// [`ErrorKind::NonFinite`] if the loss or a gradient isn't finite: the last epoch's checkpoint stays;
/// [`ErrorKind::Interrupted`] after [`Control::cancel`]; what sources, weights and `store` answer.
pub fn train(
    data: &[DataSpec],
    options: &TrainOptions,
    from: Option<&dyn WeightSource>,
    store: &dyn OutputStore,
    control: &Control,
    on_epoch: &mut dyn FnMut(&EpochReport),
) -> Result<TrainReport> {
    options.check(data)?;
    let graph = options.network.graph()?;
    let _alone = store.lock("train")?;
    let mut budget = options.cache_bytes;
    let sets = data.iter().map(|d| data::load(d, options, &mut budget)).collect::<Result<Vec<_>>>()?;
    if let Some(blend) = &options.blend {
        blend.check(&sets, &options.network)?;
    }
    let heads: Vec<(&str, usize)> = sets.iter().map(|s| (s.name.as_str(), s.classes.len())).collect();
    let mut parameters = Parameters::new(&graph, &heads, from, options.freeze, options.seed)?;
    let config = config(&sets, options, from, &parameters);
    let done = store::resume(store, &mut parameters, &config)?;
    let mut metrics = match done {
        0 => header(&sets),
        _ => kept(store, done)?.unwrap_or_else(|| header(&sets)),
    };
    let school = options.teachers.as_ref().map(|t| t.load(&sets, options)).transpose()?;
    let lesson =
        Lesson { sets: &sets, graph: &graph, options, device: options.device.clone().autodiff(), school };
    let last = options.stop_after.unwrap_or(u32::MAX).min(options.epochs);
    for epoch in done + 1..=last {
        let begun = Instant::now();
        let (loss, rate) = lesson.learn(&mut parameters, epoch, control)?;
        let learned = begun.elapsed().as_secs_f64();
        let reports = report::validate(&sets, &parameters, &graph, options, false)?;
        let seconds = [learned, begun.elapsed().as_secs_f64() - learned];
        let report = EpochReport {
            epoch,
            epochs: options.epochs,
            loss,
            rate,
            steps: parameters.step,
            seconds,
            heads: reports,
        };
        row(&mut metrics, &report);
        let extras = Extras { temperatures: options.temperatures.clone(), projection: None };
        store::save_model(store, &parameters, &sets, options, &extras, epoch)?;
        store.put("metrics.csv", metrics.as_bytes())?;
        store::save_state(store, &parameters, &config, epoch)?;
        on_epoch(&report);
    }
    if let Some(blend) = &options.blend {
        blend.apply(&mut parameters, &sets)?;
    }
    finish(sets, &parameters, &graph, options, store, done.max(last))
}

/// The final validation and everything that tells of it.
fn finish(
    sets: Vec<DataSet>,
    parameters: &Parameters,
    graph: &crate::featurize::network::Graph,
    options: &TrainOptions,
    store: &dyn OutputStore,
    epochs: u32,
) -> Result<TrainReport> {
    let mut heads = report::validate(&sets, parameters, graph, options, true)?;
    let temperatures = heads.iter().filter_map(|h| Some((h.name.clone(), h.temperature?))).collect();
    let projection = project::fit(&sets, parameters, graph, options)?;
    store::save_model(store, parameters, &sets, options, &Extras { temperatures, projection }, epochs)?;
    let mut small = parameters.clone();
    round::apply(&mut small);
    let temperatures = heads.iter().filter_map(|h| Some((h.name.clone(), h.temperature?))).collect();
    let projection = project::fit(&sets, &small, graph, options)?;
    store::save_small(store, parameters, &sets, options, &Extras { temperatures, projection }, epochs)?;
    for (head, small) in heads.iter_mut().zip(report::validate(&sets, &small, graph, options, false)?) {
        head.rounded = small.accuracy;
    }
    let mut notes = Vec::new();
    for (set, head) in sets.iter().zip(&heads) {
        let missing = head.recall.iter().filter(|r| r.1.is_none()).count();
        if missing > 0 {
            notes.push(format!(
                "{}: {missing} of {} classes have no validation picture",
                set.name,
                head.recall.len()
            ));
        }
        let mut csv = String::from("class");
        for name in &set.classes {
            let _ = write!(csv, ",{}", quoted(name));
        }
        csv.push('\n');
        for (name, row) in set.classes.iter().zip(&head.confusion) {
            csv.push_str(&quoted(name));
            row.iter().for_each(|n| {
                let _ = write!(csv, ",{n}");
            });
            csv.push('\n');
        }
        store.put(&format!("confusion-{}.csv", set.name), csv.as_bytes())?;
        let held: String = set.held_paths.iter().flat_map(|path| [path, "\n"]).collect();
        store.put(&format!("held-out-{}.txt", set.name), held.as_bytes())?;
    }
    let report = TrainReport {
        epochs,
        heads,
        data: sets.iter().map(|s| (s.name.clone(), s.digest.clone())).collect(),
        rejected: sets.into_iter().flat_map(|s| s.rejected).collect(),
        notes,
    };
    let text = serde_json::to_vec_pretty(&report).map_err(|e| fail(ErrorKind::Io, format!("{e}")))?;
    store.put("report.json", &text)?;
    Ok(report)
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.into() }
}

/// What a training must have in common with the one it continues.
fn config(
    sets: &[DataSet],
    o: &TrainOptions,
    from: Option<&dyn WeightSource>,
    parameters: &Parameters,
) -> String {
    let sets: Vec<_> = sets
        .iter()
        .map(|s| json!([s.name, s.digest, s.classes, s.repeat, s.auxiliary, s.train.len(), s.held.len()]))
        .collect();
    // What a checkpoint gave is told apart by its sum.
    let start: Option<f64> =
        from.map(|_| parameters.all.iter().flat_map(|p| &p.values).map(|&v| f64::from(v)).sum());
    json!({
        "data": sets, "network": o.network, "recipe": o.recipe.to_json(), "epochs": o.epochs, "batch": o.batch,
        "seed": o.seed, "learning_rate": o.learning_rate, "warm_up": o.warm_up, "weight_decay": o.weight_decay,
        "smoothing": o.smoothing, "average": o.average, "balance": o.balance, "mixup": o.mixup, "cutmix": o.cutmix,
        "dropout": o.dropout, "freeze": o.freeze, "augment": o.augment, "from": start,
        "teachers": o.teachers.as_ref().map(Teachers::id),
    })
    .to_string()
}

fn header(sets: &[DataSet]) -> String {
    let mut text = String::from("epoch,steps,rate,loss,train_seconds,validation_seconds");
    for s in sets {
        let n = &s.name;
        let _ = write!(text, ",{n}_accuracy,{n}_top5,{n}_mean_recall,{n}_loss");
    }
    text.push('\n');
    text
}

fn row(text: &mut String, r: &EpochReport) {
    let [train, validation] = r.seconds;
    let _ = write!(text, "{},{},{:.3e},{:.5},{train:.1},{validation:.1}", r.epoch, r.steps, r.rate, r.loss);
    for h in &r.heads {
        for value in [h.accuracy, h.top5, h.mean_recall, h.loss] {
            text.push(',');
            if let Some(v) = value {
                let _ = write!(text, "{v:.5}");
            }
        }
    }
    text.push('\n');
}

/// The metrics of the epochs that the state has done.
fn kept(store: &dyn OutputStore, done: u32) -> Result<Option<String>> {
    let Some(bytes) = store.get("metrics.csv")? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.lines().take(done as usize + 1).fold(String::new(), |all, line| all + line + "\n")))
}

fn fail(kind: ErrorKind, message: impl Into<String>) -> Error {
    let stage = if kind == ErrorKind::InvalidArgument { Stage::Config } else { Stage::Train };
    Error::new(kind, stage, message)
}

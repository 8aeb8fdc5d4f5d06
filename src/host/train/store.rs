//! What training writes: the model, and the state it goes on from.

use super::{
    DataSet, TrainOptions, fail,
    parameters::{Parameter, Parameters, head},
    project, round,
};
use crate::host::run::OutputStore;
use crate::pca::Projection;
use crate::{ErrorKind, Result};
use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::json;
use std::collections::HashMap;

pub(super) const MODEL: &str = "model.safetensors";
pub(super) const SMALL: &str = "model-int8.safetensors";
const STATE: &str = "state.safetensors";
const FORMAT: &str = "fruitcore-train-state-1";

fn encode(tensors: &[(String, Vec<usize>, &[f32])], metadata: HashMap<String, String>) -> Result<Vec<u8>> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, shape, values) in tensors {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
            .map_err(|e| fail(ErrorKind::Shape, format!("{name}: {e}")))?;
        views.push((name.clone(), view));
    }
    sorted(safetensors::serialize(views, Some(metadata)).map_err(|e| fail(ErrorKind::Io, format!("{e}")))?)
}

/// The same file with its header's entries sorted: a map's order must not show in a model's bytes.
fn sorted(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let unlike =
        || fail(ErrorKind::Io, "the header that was written can't be read back; please report this as a bug");
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(unlike)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| unlike())?;
    let (header, values) = rest.split_at_checked(length).ok_or_else(unlike)?;
    let header: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_slice(header).map_err(|_| unlike())?;
    let mut text = serde_json::to_string(&header).map_err(|_| unlike())?;
    // Values begin at a multiple of 8, as safetensors has it.
    let padded = text.len().next_multiple_of(8);
    text.extend(core::iter::repeat_n(' ', padded - text.len()));
    let mut out = Vec::with_capacity(8 + padded + values.len());
    out.extend((padded as u64).to_le_bytes());
    out.extend(text.as_bytes());
    out.extend(values);
    Ok(out)
}

/// What is saved beside weights and heads.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) temperatures: BTreeMap<String, f32>,
    pub(super) projection: Option<Projection>,
}

impl Extras {
    fn tensors(&self) -> Vec<(&'static str, Vec<usize>, Vec<f32>)> {
        self.projection.as_ref().map(project::tensors).unwrap_or_default()
    }
}

/// The averaged weights under the network's own names, and the heads that are kept.
pub(super) fn save_model(
    store: &dyn OutputStore,
    parameters: &Parameters,
    sets: &[DataSet],
    options: &TrainOptions,
    extras: &Extras,
    epoch: u32,
) -> Result<()> {
    let more = extras.tensors();
    let more = more.iter().map(|(name, shape, values)| (name.to_string(), shape.clone(), values.as_slice()));
    let tensors: Vec<_> = kept(parameters, sets)
        .map(|p| (p.name.clone(), p.shape.clone(), p.average.as_slice()))
        .chain(more)
        .collect();
    store.put(MODEL, &encode(&tensors, describe(sets, options, extras, epoch))?)
}

/// The same with every filter and matrix in 8 bits, beside a scale for each of its rows.
pub(super) fn save_small(
    store: &dyn OutputStore,
    parameters: &Parameters,
    sets: &[DataSet],
    options: &TrainOptions,
    extras: &Extras,
    epochs: u32,
) -> Result<()> {
    let mut small: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let floats = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut add = |name: &str, shape: &[usize], values: &[f32]| {
        if shape.len() > 1 {
            let (whole, scales) = round::rounded(values, shape.first().copied().unwrap_or(1));
            let bytes = whole.iter().map(|&v| v as u8).collect();
            small.push((name.to_string(), Dtype::I8, shape.to_vec(), bytes));
            small.push((format!("{name}.scale"), Dtype::F32, Vec::from([scales.len()]), floats(&scales)));
        } else {
            small.push((name.to_string(), Dtype::F32, shape.to_vec(), floats(values)));
        }
    };
    kept(parameters, sets).for_each(|p| add(&p.name, &p.shape, &p.average));
    extras.tensors().iter().for_each(|(name, shape, values)| add(name, shape, values));
    let mut views = Vec::with_capacity(small.len());
    for (name, dtype, shape, bytes) in &small {
        let view = TensorView::new(*dtype, shape.clone(), bytes)
            .map_err(|e| fail(ErrorKind::Shape, format!("{name}: {e}")))?;
        views.push((name.as_str(), view));
    }
    let metadata = describe(sets, options, extras, epochs);
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|e| fail(ErrorKind::Io, format!("{e}")))?;
    store.put(SMALL, &sorted(bytes)?)
}

/// What a model's metadata says.
fn describe(
    sets: &[DataSet],
    options: &TrainOptions,
    extras: &Extras,
    epoch: u32,
) -> HashMap<String, String> {
    let classes: BTreeMap<&str, &[String]> =
        sets.iter().filter(|s| !s.auxiliary).map(|s| (s.name.as_str(), s.classes.as_slice())).collect();
    let temperatures: BTreeMap<&str, f32> =
        classes.keys().filter_map(|&name| Some((name, *extras.temperatures.get(name)?))).collect();
    let kept = sets.iter().filter(|s| !s.auxiliary && s.crop_pct != 1.0);
    let crop_pct: BTreeMap<&str, f32> = kept.map(|s| (s.name.as_str(), s.crop_pct)).collect();
    let projection = extras.projection.as_ref().map(project::note);
    let text = |v: serde_json::Value| v.to_string();
    HashMap::from([
        ("format".to_string(), "fruitcore-model".to_string()),
        ("fruitcore_version".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("network".to_string(), text(json!(options.network))),
        ("recipe".to_string(), options.recipe.to_json()),
        ("heads".to_string(), text(json!(classes))),
        ("temperatures".to_string(), text(json!(temperatures))),
        ("crop_pct".to_string(), text(json!(crop_pct))),
        ("projection".to_string(), projection.map_or_else(String::new, |note| text(json!(note)))),
        ("epochs".to_string(), epoch.to_string()),
        ("seed".to_string(), options.seed.to_string()),
    ])
}

/// Parameters but for auxiliary heads.
fn kept<'a>(parameters: &'a Parameters, sets: &'a [DataSet]) -> impl Iterator<Item = &'a Parameter> {
    let dropped: Vec<String> = sets.iter().filter(|s| s.auxiliary).flat_map(|s| head(&s.name)).collect();
    parameters.all.iter().filter(move |p| !dropped.contains(&p.name))
}

/// Everything the next epoch needs, and what it must not differ in.
pub(super) fn save_state(
    store: &dyn OutputStore,
    parameters: &Parameters,
    config: &str,
    epoch: u32,
) -> Result<()> {
    let mut all: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
    for p in &parameters.all {
        let [first, second] = &p.moments;
        for (part, values) in
            [("value", &p.values), ("average", &p.average), ("first", first), ("second", second)]
        {
            if !values.is_empty() {
                all.push((format!("{part}.{}", p.name), Vec::from([values.len()]), values.as_slice()));
            }
        }
    }
    let metadata = HashMap::from([
        ("format".to_string(), FORMAT.to_string()),
        ("config".to_string(), config.to_string()),
        ("epoch".to_string(), epoch.to_string()),
        ("step".to_string(), parameters.step.to_string()),
    ]);
    store.put(STATE, &encode(&all, metadata)?)
}

/// Takes up a state of the same configuration; the epochs it has done, 0 if there is none.
pub(super) fn resume(store: &dyn OutputStore, parameters: &mut Parameters, config: &str) -> Result<u32> {
    let Some(bytes) = store.get(STATE)? else { return Ok(0) };
    let damaged = |m: String| {
        fail(ErrorKind::Corrupt, format!("{m}; remove it, or begin anew with --overwrite")).at(STATE)
    };
    let (_, header) =
        SafeTensors::read_metadata(&bytes).map_err(|e| damaged(format!("not a training state: {e}")))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let field = |name: &str| metadata.get(name).cloned().unwrap_or_default();
    if field("format") != FORMAT {
        return Err(damaged("not a training state of this version".into()));
    }
    if field("config") != config {
        let m = "the output holds a training with other options, data or network; choose another folder, or begin \
                 anew with --overwrite";
        return Err(fail(ErrorKind::Mismatch, m).at(STATE));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(format!("{e}")))?;
    for p in &mut parameters.all {
        let [first, second] = &mut p.moments;
        for (part, values) in
            [("value", &mut p.values), ("average", &mut p.average), ("first", first), ("second", second)]
        {
            if values.is_empty() {
                continue;
            }
            let name = format!("{part}.{}", p.name);
            let view = tensors.tensor(&name).map_err(|e| damaged(format!("{name}: {e}")))?;
            if view.dtype() != Dtype::F32 || view.data().len() != values.len() * 4 {
                return Err(damaged(format!("{name} has another shape")));
            }
            for (v, b) in values.iter_mut().zip(view.data().as_chunks::<4>().0) {
                *v = f32::from_le_bytes(*b);
            }
        }
    }
    parameters.step = field("step").parse().map_err(|_| damaged("it has no step".into()))?;
    field("epoch").parse().map_err(|_| damaged("it has no epoch".into()))
}

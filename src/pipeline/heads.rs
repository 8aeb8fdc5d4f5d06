//! Heads in an artifact: what they are as JSON, their numbers as tensors.

use super::{
    fail,
    write::{Entry, Storage, Values},
};
use crate::{
    Error, ErrorKind, Result,
    classify::{Head, Metric, Model, NearestCentroid, Neighbors, Reads, Weighting, softmax::Softmax},
};
use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use safetensors::tensor::Dtype;

/// Type and bytes of the tensor of a name, a shape and one of some types.
type Find<'f, 'b> = dyn Fn(&str, &[usize], &[Dtype]) -> Result<(Dtype, &'b [u8])> + 'f;

/// No network's tensors begin like this.
pub(super) const PREFIX: &str = "heads.";

/// What JSON says of a head.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct HeadNote {
    name: String,
    kind: String,
    reads: Reads,
    classes: Vec<String>,
    columns: usize,
    temperature: f32,
    threshold: f32,
    half: bool,
    /// Left out where it is 1, as before there was any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop_pct: Option<f32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    notes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variance: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    neighbors: Option<NeighborsNote>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct NeighborsNote {
    rows: usize,
    k: usize,
    metric: Metric,
    weighting: Weighting,
}

impl HeadNote {
    pub(super) fn of(head: &Head) -> Self {
        let (mut variance, mut neighbors) = (None, None);
        match head.model() {
            Model::Centroid(m) => variance = Some(m.variance()),
            Model::Softmax(_) => {}
            Model::Neighbors(m) => {
                let (rows, k) = (m.labels().len(), m.k());
                neighbors = Some(NeighborsNote { rows, k, metric: m.metric(), weighting: m.weighting() });
            }
        }
        Self {
            name: head.name().to_string(),
            kind: head.model().kind().to_string(),
            reads: head.reads(),
            classes: head.classes().to_vec(),
            columns: head.columns(),
            temperature: head.temperature(),
            threshold: head.threshold(),
            half: head.is_half_precision(),
            crop_pct: Some(head.crop_pct()).filter(|share| *share != 1.0),
            notes: head.notes().clone(),
            variance,
            neighbors,
        }
    }

    /// The head number `i`; `find` gives the type and bytes of a tensor of this name and shape.
    pub(super) fn read<'b>(self, i: usize, find: &Find<'_, 'b>) -> Result<Head> {
        let (k, d) = (self.classes.len(), self.columns);
        let name = |part: &str| format!("{PREFIX}{i}.{part}");
        let values = |part: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let dtype = if self.half { Dtype::F16 } else { Dtype::F32 };
            let (_, bytes) = find(&name(part), shape, &[dtype])?;
            Ok(floats(dtype, bytes))
        };
        let lacks = |what: &str| {
            let m = format!("the head `{}` lacks its {what}; fit it again", self.name);
            fail(ErrorKind::Corrupt, m)
        };
        let classes = self.classes.clone();
        let model: Result<Model> = match self.kind.as_str() {
            "centroid" => {
                let variance = self.variance.ok_or_else(|| lacks("variance"))?;
                NearestCentroid::from_parts(classes, values("centroids", &[k, d])?, variance).map(Model::from)
            }
            "softmax" => {
                let (_, bias) = find(&name("bias"), &[k], &[Dtype::F32])?;
                let weights = values("weights", &[k, d])?;
                Softmax::from_parts(classes, weights, floats(Dtype::F32, bias)).map(Model::from)
            }
            "knn" => {
                let note = self.neighbors.as_ref().ok_or_else(|| lacks("number of neighbours"))?;
                let (_, labels) = find(&name("labels"), &[note.rows], &[Dtype::U32])?;
                let labels = labels.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
                let rows = values("rows", &[note.rows, d])?;
                Neighbors::from_parts(classes, rows, labels, note.k, note.metric, note.weighting)
                    .map(Model::from)
            }
            other => {
                let m = format!(
                    "the head `{}` is of the kind `{other}`, which this build does not know; use the fruitcore that wrote it",
                    self.name
                );
                return Err(fail(ErrorKind::Unsupported, m));
            }
        };
        let damaged = |e: Error| {
            let m = format!("the head `{}` is damaged: {}; fit it again", self.name, e.message());
            fail(ErrorKind::Corrupt, m).because(e)
        };
        let mut head = Head::new(self.name.clone(), self.reads, model.map_err(damaged)?)
            .and_then(|head| head.with_temperature(self.temperature))
            .and_then(|head| head.with_threshold(self.threshold))
            .and_then(|head| head.with_crop_pct(self.crop_pct.unwrap_or(1.0)))
            .map_err(damaged)?;
        if self.half {
            // Its values are rounded already.
            head = head.in_half_precision().map_err(damaged)?;
        }
        Ok(self.notes.into_iter().fold(head, |head, (name, text)| head.note(name, text)))
    }
}

/// The tensors of head number `i`.
pub(super) fn entries<'a>(i: usize, head: &'a Head) -> Vec<Entry<'a>> {
    let storage = if head.is_half_precision() { Storage::F16 } else { Storage::F32 };
    let (k, d) = (head.classes().len(), head.columns());
    let entry = |part: &str, shape: &[usize], values| Entry {
        name: Cow::Owned(format!("{PREFIX}{i}.{part}")),
        shape: shape.to_vec(),
        values,
    };
    match head.model() {
        Model::Centroid(m) => {
            Vec::from([entry("centroids", &[k, d], Values::Floats(m.centroids(), storage))])
        }
        Model::Softmax(m) => Vec::from([
            entry("weights", &[k, d], Values::Floats(m.weights(), storage)),
            entry("bias", &[k], Values::Floats(m.bias(), Storage::F32)),
        ]),
        Model::Neighbors(m) => {
            let n = m.labels().len();
            Vec::from([
                entry("rows", &[n, d], Values::Floats(m.rows(), storage)),
                entry("labels", &[n], Values::U32(m.labels())),
            ])
        }
    }
}

/// Whether a head reads what this pipeline gives, and its name is its own.
pub(super) fn fits(head: &Head, features: usize, components: usize) -> Result<()> {
    let (what, given) = match head.reads() {
        Reads::Features => ("features", features),
        Reads::Components => ("components", components),
    };
    if head.columns() == given {
        return Ok(());
    }
    let m = format!(
        "the head `{}` was fitted on {} {what}, the pipeline gives {given}; fit it on this pipeline's",
        head.name(),
        head.columns()
    );
    Err(fail(ErrorKind::Mismatch, m))
}

/// The head called `name`; the first one for `None`.
pub(crate) fn named<'a>(heads: &'a [Head], name: Option<&str>) -> Result<&'a Head> {
    let at = name.map_or(Ok(0), |name| position(heads, name))?;
    heads.get(at).ok_or_else(|| fail(ErrorKind::NotFound, NONE))
}

/// The position of the head called `name`.
pub(super) fn position(heads: &[Head], name: &str) -> Result<usize> {
    heads.iter().position(|head| head.name() == name).ok_or_else(|| {
        let names: Vec<&str> = heads.iter().map(Head::name).collect();
        let m = match names.as_slice() {
            [] => String::from(NONE),
            names => format!("the pipeline has no head `{name}`; it has `{}`", names.join("`, `")),
        };
        fail(ErrorKind::NotFound, m)
    })
}

/// What to say where a head is needed and none is there.
const NONE: &str =
    "the pipeline has no classifier; fit one (`fruitcore fit-classifier OUT`, `PipelineBuilder::head`)";

fn floats(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        Dtype::F16 => {
            bytes.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
        }
        _ => bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    }
}

//! What training writes: a network with the heads it was trained with, as one checkpoint.
//!
//! The file is a `.safetensors` under torchvision's tensor names, so every reader of checkpoints takes
//! it. Its heads are the tensors `heads.NAME.weight` and `heads.NAME.bias`; `projection.…` are scaler and
//! PCA of the features; its metadata holds the network, the preprocessing and the heads' class names. Filters and matrices may be stored as
//! integers of 8 bits with a scale for each row (`NAME.scale`).

use crate::classify::{Head, Reads, softmax::Softmax};
use crate::featurize::kernels::PlanOptions;
use crate::featurize::network::NetworkSpec;
use crate::featurize::weights::{Checkpoint, WeightSource};
use crate::pca::{Parts, Projection};
use crate::pipeline::Pipeline;
use crate::preprocess::Recipe;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use burn::tensor::Device;
use safetensors::SafeTensors;

const FORMAT: &str = "fruitcore-model";

/// The fruit model in the box, at most a megabyte: `models/fruit/README.md` says what it was trained
/// on, how well it does, and what it is not for. [`Pipeline::bundled`] loads it.
#[cfg(feature = "bundled")]
pub static BUNDLED: &[u8] = include_bytes!("../models/fruit/fruit.safetensors");

/// A model over the bytes it was read from; [`Pipeline::from_bytes`] reads and loads one in a step.
pub struct ModelFile<'a> {
    checkpoint: Checkpoint<'a>,
    network: NetworkSpec,
    recipe: Recipe,
    classes: BTreeMap<String, Vec<String>>,
    /// Of the heads that were calibrated.
    temperatures: BTreeMap<String, f32>,
    /// Of the heads that look at a part of pictures.
    crop_pct: BTreeMap<String, f32>,
    projection: Option<Projection>,
}

/// What JSON says of the projection; the values are tensors.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct ProjectionNote {
    pub(crate) rows: u64,
    pub(crate) components: usize,
}

/// Tensor names of the projection.
pub(crate) mod tensor {
    pub(crate) const MEAN: &str = "projection.mean";
    pub(crate) const SCALE: &str = "projection.deviation";
    pub(crate) const COMPONENTS: &str = "projection.components";
    pub(crate) const VARIANCE: &str = "projection.explained_variance";
    pub(crate) const TOTAL: &str = "projection.total_variance";
}

impl<'a> ModelFile<'a> {
    /// Whether a file says of itself that training wrote it; reads its header only.
    pub fn is_model(bytes: &[u8]) -> bool {
        let header = SafeTensors::read_metadata(bytes).ok();
        let format = header.and_then(|(_, header)| header.metadata().as_ref()?.get("format").cloned());
        format.is_some_and(|format| format == FORMAT)
    }

    /// Reads everything but the weights' values.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a file that training didn't write, [`ErrorKind::Corrupt`] for a
    /// damaged one, [`ErrorKind::NotFound`] and [`ErrorKind::Shape`] if a tensor of the network is
    /// missing or has another shape.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        let other = || {
            let m =
                "a model that `train` wrote is needed here; for other checkpoints, name network and recipe";
            fail(ErrorKind::Unsupported, m)
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|_| other())?;
        let metadata = header.metadata().as_ref().ok_or_else(other)?;
        let field = |name: &str| metadata.get(name).map(String::as_str).unwrap_or_default();
        if field("format") != FORMAT {
            return Err(other());
        }
        let damaged = |what: &str, e: serde_json::Error| {
            fail(ErrorKind::Corrupt, format!("its {what} can't be read: {e}; fetch or write the model again"))
        };
        let network: NetworkSpec =
            serde_json::from_str(field("network")).map_err(|e| damaged("network", e))?;
        let recipe = Recipe::from_json(field("recipe"))?;
        let classes = serde_json::from_str(field("heads")).map_err(|e| damaged("class names", e))?;
        let by_head = |name: &str| match field(name) {
            "" => Ok(BTreeMap::new()),
            text => serde_json::from_str(text).map_err(|e| damaged(name, e)),
        };
        let (temperatures, crop_pct) = (by_head("temperatures")?, by_head("crop_pct")?);
        let checkpoint = Checkpoint::from_bytes(bytes)?;
        checkpoint.check(&network)?;
        let projection = match field("projection") {
            "" => None,
            text => {
                let note = serde_json::from_str(text).map_err(|e| damaged("projection", e))?;
                Some(read(&checkpoint, &note, network.feature_len()?)?)
            }
        };
        Ok(Self { checkpoint, network, recipe, classes, temperatures, crop_pct, projection })
    }

    /// The network.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Its preprocessing.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Temperatures of its heads' probabilities, by name, as validation found them.
    pub fn temperatures(&self) -> &BTreeMap<String, f32> {
        &self.temperatures
    }

    /// Features to components, as fitted on the pictures it was trained on, if it has such a part.
    pub fn projection(&self) -> Option<&Projection> {
        self.projection.as_ref()
    }

    /// Its weights.
    pub fn weights(&self) -> &Checkpoint<'a> {
        &self.checkpoint
    }

    /// Its heads by name; they read features.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Shape`] or [`ErrorKind::NonFinite`] if a head's tensors are
    /// not as its class names say.
    pub fn heads(&self) -> Result<Vec<Head>> {
        let columns = self.network.feature_len()?;
        let read = |(name, classes): (&String, &Vec<String>)| {
            let weight =
                self.checkpoint.tensor(&format!("heads.{name}.weight"), &[classes.len(), columns])?;
            let bias = self.checkpoint.tensor(&format!("heads.{name}.bias"), &[classes.len()])?;
            let softmax = Softmax::from_parts(classes.clone(), weight.into_owned(), bias.into_owned())?;
            let head = Head::new(name.clone(), Reads::Features, softmax)?;
            let head = head.with_crop_pct(self.crop_pct.get(name).copied().unwrap_or(1.0))?;
            match self.temperatures.get(name) {
                Some(&temperature) => head.with_temperature(temperature),
                None => Ok(head),
            }
        };
        self.classes.iter().map(read).collect()
    }

    /// The model, ready to run. The bytes are not needed afterwards.
    ///
    /// # Errors
    /// As [`heads`](Self::heads), and what the network refuses about its weights.
    pub fn load(&self, device: &Device) -> Result<Pipeline> {
        self.planned(device, &PlanOptions::default())
    }

    pub(crate) fn planned(&self, device: &Device, options: &PlanOptions) -> Result<Pipeline> {
        let heads = self.heads()?;
        let pipeline = Pipeline::assemble(&self.recipe, self.network, &self.checkpoint, device, options)?;
        pipeline.with_projection(self.projection.clone()).with_heads(heads)
    }
}

/// A projection of standardised features.
fn read(checkpoint: &Checkpoint<'_>, note: &ProjectionNote, columns: usize) -> Result<Projection> {
    let values = |name: &str, shape: &[usize]| -> Result<Vec<f64>> {
        Ok(checkpoint.tensor(name, shape)?.iter().map(|&v| f64::from(v)).collect())
    };
    let k = note.components;
    Projection::new(Parts {
        count: note.rows,
        mean: values(tensor::MEAN, &[columns])?,
        scale: Some(values(tensor::SCALE, &[columns])?),
        components: values(tensor::COMPONENTS, &[k, columns])?,
        explained_variance: values(tensor::VARIANCE, &[k])?,
        total_variance: values(tensor::TOTAL, &[1])?.first().copied().unwrap_or_default(),
        whiten: false,
    })
}

fn fail(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Weights, message)
}

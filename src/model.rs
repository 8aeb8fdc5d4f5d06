//! What training writes: a network with the heads it was trained with, as one checkpoint.
//!
//! The file is a `.safetensors` under torchvision's tensor names, so every reader of checkpoints takes
//! it. Its heads are the tensors `heads.NAME.weight` and `heads.NAME.bias`; its metadata holds the
//! network, the preprocessing and the heads' class names. Filters and matrices may be stored as
//! integers of 8 bits with a scale for each row (`NAME.scale`).

use crate::classify::{Head, Prediction, Reads, softmax::Softmax};
use crate::featurize::weights::{Checkpoint, WeightSource};
use crate::featurize::{Featurizer, NetworkFeaturizer, network::NetworkSpec};
use crate::preprocess::{Preprocessor, Recipe, RecipePreprocessor};
use crate::{Error, ErrorKind, Frame, Result, Stage};
use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::SafeTensors;

const FORMAT: &str = "fruitcore-model";

/// The fruit model in the box, at most a megabyte: `models/fruit/README.md` says what it was trained
/// on, how well it does, and what it is not for.
#[cfg(feature = "bundled")]
pub static BUNDLED: &[u8] = include_bytes!("../models/fruit/fruit.safetensors");

/// A model over the bytes it was read from.
pub struct ModelFile<'a> {
    checkpoint: Checkpoint<'a>,
    network: NetworkSpec,
    recipe: Recipe,
    classes: BTreeMap<String, Vec<String>>,
}

impl<'a> ModelFile<'a> {
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
        let checkpoint = Checkpoint::from_bytes(bytes)?;
        checkpoint.check(&network)?;
        Ok(Self { checkpoint, network, recipe, classes })
    }

    /// The network.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Its preprocessing.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
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
            Head::new(name.clone(), Reads::Features, softmax)
        };
        self.classes.iter().map(read).collect()
    }

    /// The model, ready to run; the bytes are not needed afterwards.
    ///
    /// # Errors
    /// As [`heads`](Self::heads), and what the network refuses about its weights.
    pub fn load(&self, device: &Device) -> Result<Model> {
        Ok(Model {
            preprocessor: RecipePreprocessor::new(self.recipe.clone()),
            featurizer: NetworkFeaturizer::new(&self.network.graph()?, &self.checkpoint, device)?,
            heads: self.heads()?,
        })
    }
}

/// A trained model, ready to run: a [`Frame`] becomes features, or a class.
pub struct Model {
    preprocessor: RecipePreprocessor,
    featurizer: NetworkFeaturizer,
    heads: Vec<Head>,
}

impl Model {
    /// Loads what training wrote.
    ///
    /// # Errors
    /// As [`ModelFile::from_bytes`] and [`ModelFile::load`].
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        ModelFile::from_bytes(bytes)?.load(device)
    }

    /// The model in the box: head `fruit` knows 131 kinds of fruit and vegetables on white, head `shop`
    /// 81 kinds of groceries as they lie in shops.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use fruitcore::{Frame, PixelFormat, model::Model};
    /// let mut model = Model::bundled(&Device::default())?;
    /// let pixels = [200; 100 * 100 * 3];
    /// let frame = Frame::new(PixelFormat::Rgb, 100, 100, &pixels)?;
    /// let answer = model.classify(&frame, "fruit", 3)?;
    /// println!("{} ({:.0} %)", answer.best(), 100.0 * answer.probability());
    /// assert_eq!(model.features(&frame)?.len(), 1280);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `device` refuses.
    #[cfg(feature = "bundled")]
    pub fn bundled(device: &Device) -> Result<Self> {
        Self::from_bytes(BUNDLED, device)
    }

    /// Preprocesses one frame and runs the network.
    ///
    /// # Errors
    /// What preprocessing or the network refuses about the frame.
    pub fn features(&mut self, frame: &Frame<'_>) -> Result<Vec<f32>> {
        let [c, h, w] = self.preprocessor.output_shape();
        let mut input = vec![0.0; c * h * w];
        self.preprocessor.preprocess_into(frame, &mut input)?;
        let options = (self.featurizer.device(), DType::F32);
        let batch = Tensor::<4>::from_data(TensorData::new(input, [1, c, h, w]), options);
        self.featurizer.featurize(batch)?.into_data().try_into_vec::<f32>().map_err(|e| {
            let m = format!("the device gave features that are no f32: {e:?}; choose another device");
            Error::new(ErrorKind::Unsupported, Stage::Featurize, m)
        })
    }

    /// The `top` most probable classes of one frame, by the head of this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a head it doesn't have; as [`features`](Self::features).
    pub fn classify(&mut self, frame: &Frame<'_>, head: &str, top: usize) -> Result<Prediction<'_>> {
        let features = self.features(frame)?;
        match self.heads.iter().find(|h| h.name() == head) {
            Some(found) => found.predict(&features, top),
            None => {
                let known: Vec<&str> = self.heads.iter().map(Head::name).collect();
                let m = format!("no head is named `{head}`; the model has {}", known.join(", "));
                Err(fail(ErrorKind::NotFound, m))
            }
        }
    }

    /// Its heads; a pipeline takes them, too.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }
}

fn fail(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Weights, message)
}

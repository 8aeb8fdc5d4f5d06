//! The pipeline artifact: a fitted run as one file, and one frame through it.
//!
//! The file is a `.safetensors`: its tensors are the network's weights under their own names and the
//! projection's parts; its metadata holds recipe, network, classes and versions as JSON, and a
//! checksum of the whole file. [`Pipeline::from_bytes`] runs it from a byte slice without any file
//! system, so what was fitted in the cloud runs unchanged on a board.

mod file;
mod write;

pub use file::PipelineFile;
pub use write::{PipelineBuilder, Storage};

use crate::{
    Error, ErrorKind, Featurizer, Frame, Preprocessor, Result, Stage,
    featurize::{NetworkFeaturizer, network::NetworkSpec, weights::WeightSource},
    pca::{Projection, Rows},
    preprocess::{Recipe, RecipePreprocessor},
};
use alloc::{format, string::String, vec, vec::Vec};
use burn::tensor::{DType, Device, Tensor, TensorData};

const FORMAT: &str = "fruitcore-pipeline";
const VERSION: &str = "1";
/// Metadata keys.
mod key {
    pub(super) const FORMAT: &str = "format";
    pub(super) const VERSION: &str = "format_version";
    pub(super) const CRATE: &str = "fruitcore_version";
    pub(super) const RECIPE: &str = "recipe";
    pub(super) const NETWORK: &str = "network";
    pub(super) const PROJECTION: &str = "projection";
    pub(super) const CLASSES: &str = "classes";
    pub(super) const WEIGHTS: &str = "weights";
    pub(super) const NOTES: &str = "notes";
    pub(super) const CHECKSUM: &str = "checksum";
}
/// Tensor names of the projection; no network's begin like this.
mod tensor {
    pub(super) const MEAN: &str = "projection.mean";
    pub(super) const SCALE: &str = "projection.scale";
    pub(super) const COMPONENTS: &str = "projection.components";
    pub(super) const VARIANCE: &str = "projection.explained_variance";
    pub(super) const TOTAL: &str = "projection.total_variance";
}

/// What JSON says of the projection; the values are tensors.
#[derive(serde::Serialize, serde::Deserialize)]
struct ProjectionNote {
    rows: u64,
    columns: usize,
    components: usize,
    whitened: bool,
}

/// A fitted pipeline, ready to run: a [`Frame`] becomes components.
///
/// ```
/// use burn::tensor::Device;
/// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
/// use fruitcore::featurize::weights::RandomWeights;
/// use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
/// use fruitcore::pipeline::{Pipeline, Storage};
/// use fruitcore::preprocess::Preset;
/// use fruitcore::{Frame, PixelFormat};
///
/// // Somewhere: fit and write. Here on made-up features and random weights.
/// let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32);
/// let graph = spec.graph()?;
/// let weights = RandomWeights::new(&graph, 7);
/// let mut pca = CovariancePca::new(1280)?;
/// let rows: Vec<f32> = (0..4 * 1280).map(|i| (i % 7) as f32).collect();
/// pca.partial_fit(Rows::new(&rows, 1280)?)?;
/// let projection = pca.fit(Keep::Count(2))?;
/// let recipe = Preset::KerasTf.recipe(32)?;
/// let bytes = Pipeline::builder(&recipe, spec, &projection)
///     .weights(&weights, Storage::F32)
///     .to_bytes()?;
///
/// // Elsewhere: load and run.
/// let mut pipeline = Pipeline::from_bytes(&bytes, &Device::default())?;
/// let pixels = [128; 40 * 30 * 3];
/// let components = pipeline.transform(&Frame::new(PixelFormat::Rgb, 40, 30, &pixels)?)?;
/// assert_eq!(components.len(), 2);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct Pipeline {
    preprocessor: RecipePreprocessor,
    network: NetworkSpec,
    featurizer: NetworkFeaturizer,
    projection: Projection,
    classes: Vec<String>,
}

impl Pipeline {
    /// Starts writing an artifact from what a run has fitted.
    pub fn builder<'a>(
        recipe: &'a Recipe,
        network: NetworkSpec,
        projection: &'a Projection,
    ) -> PipelineBuilder<'a> {
        PipelineBuilder::new(recipe, network, projection)
    }

    /// Loads an artifact that holds its network's weights; the bytes are not needed afterwards.
    ///
    /// # Errors
    /// As [`PipelineFile::from_bytes`] and [`PipelineFile::load`].
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        PipelineFile::from_bytes(bytes)?.load(device)
    }

    /// Preprocesses one frame and runs the network.
    ///
    /// # Errors
    /// What preprocessing or the network refuses about the frame.
    pub fn features(&mut self, frame: &Frame<'_>) -> Result<Vec<f32>> {
        let shape = self.preprocessor.output_shape();
        let mut input = vec![0.0; shape.iter().product()];
        self.preprocessor.preprocess_into(frame, &mut input)?;
        let [c, h, w] = shape;
        let options = (self.featurizer.device(), DType::F32);
        let batch = Tensor::<4>::from_data(TensorData::new(input, [1, c, h, w]), options);
        self.featurizer.featurize(batch)?.into_data().try_into_vec::<f32>().map_err(|e| {
            let m = format!("the device gave features that are no f32: {e:?}; choose another device");
            Error::new(ErrorKind::Unsupported, Stage::Featurize, m)
        })
    }

    /// One frame to its components, `[kept]`.
    ///
    /// # Errors
    /// As [`features`](Self::features); [`ErrorKind::NonFinite`] if the network answers with NaN or
    /// infinity.
    pub fn transform(&mut self, frame: &Frame<'_>) -> Result<Vec<f32>> {
        let features = self.features(frame)?;
        let mut components = vec![0.0; self.projection.kept()];
        self.projection.transform_into(Rows::new(&features, features.len())?, &mut components)?;
        Ok(components)
    }

    /// The network, without its weights.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Features to components.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The labels the run met, sorted.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    fn assemble(file: &PipelineFile<'_>, weights: &dyn WeightSource, device: &Device) -> Result<Self> {
        let graph = file.network().graph()?;
        Ok(Self {
            preprocessor: RecipePreprocessor::new(file.recipe().clone()),
            network: *file.network(),
            featurizer: NetworkFeaturizer::new(&graph, weights, device)?,
            projection: file.projection().clone(),
            classes: file.classes().to_vec(),
        })
    }
}

fn fail(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Artifact, message)
}

#[cfg(test)]
mod tests;

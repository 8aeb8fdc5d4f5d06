//! The pipeline artifact: a fitted run as one file, and one frame through it.
//!
//! The file is a `.safetensors`: its tensors are the network's weights under their own names and the
//! projection's and the heads' parts; its metadata holds recipe, network, classes, heads and versions
//! as JSON, and a checksum of the whole file. [`Pipeline::from_bytes`] runs it from a byte slice without any file
//! system, so what was fitted in the cloud runs unchanged on a board. It runs a [model](crate::model)
//! that training wrote as well.

mod file;
mod frames;
mod heads;
mod write;

pub use file::PipelineFile;
use frames::featurize;
pub(crate) use heads::named;
pub use write::{PipelineBuilder, Storage};

use crate::{
    Error, ErrorKind, Featurizer, Frame, Result, Stage,
    classify::{Head, Prediction, Reads},
    featurize::{NetworkFeaturizer, kernels::PlanOptions, network::NetworkSpec, weights::WeightSource},
    model::ModelFile,
    pca::{Projection, Rows},
    preprocess::{Recipe, RecipePreprocessor},
};
use alloc::{string::String, vec, vec::Vec};
use burn::tensor::Device;

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
    /// Left out if there are none, so that such a file is as it was before there were heads.
    pub(super) const HEADS: &str = "heads";
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

/// A fitted pipeline, ready to run: a [`Frame`] becomes components, and a label if a head was fitted.
///
/// ```
/// use burn::tensor::Device;
/// use fruitcore::classify::{CentroidFit, Head, Reads};
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
/// let mut fit = CentroidFit::new(2)?;
/// fit.partial_fit(Rows::new(&[1.0, 2.0, -3.0, 1.0], 2)?, &["kiwi", "lemon"])?;
/// let head = Head::new("fruit", Reads::Components, fit.finish()?)?;
/// let recipe = Preset::KerasTf.recipe(32)?;
/// let bytes = Pipeline::builder(&recipe, spec, &projection)
///     .weights(&weights, Storage::F32)
///     .head(&head)
///     .to_bytes()?;
///
/// // Elsewhere: load and run.
/// let mut pipeline = Pipeline::from_bytes(&bytes, &Device::default())?;
/// let pixels = [128; 40 * 30 * 3];
/// let frame = Frame::new(PixelFormat::Rgb, 40, 30, &pixels)?;
/// assert_eq!(pipeline.transform(&frame)?.len(), 2);
/// let prediction = pipeline.classify(&frame)?;
/// println!("{:?}, {:.0} %", prediction.label(), 100.0 * prediction.probability());
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct Pipeline {
    preprocessor: RecipePreprocessor,
    network: NetworkSpec,
    featurizer: NetworkFeaturizer,
    /// What training wrote may be without.
    projection: Option<Projection>,
    classes: Vec<String>,
    heads: Vec<Head>,
    /// The head in use.
    head: usize,
    /// What it looks at, if that is a part of pictures.
    view: Option<RecipePreprocessor>,
    top: usize,
}

/// Classes in a prediction unless another number is asked for.
const TOP: usize = 5;

impl Pipeline {
    /// Starts writing an artifact from what a run has fitted.
    pub fn builder<'a>(
        recipe: &'a Recipe,
        network: NetworkSpec,
        projection: &'a Projection,
    ) -> PipelineBuilder<'a> {
        PipelineBuilder::new(recipe, network, projection)
    }

    /// Loads an artifact that holds its network's weights, or a model that training wrote; the bytes
    /// are not needed afterwards.
    ///
    /// # Errors
    /// As [`PipelineFile::from_bytes`] and [`PipelineFile::load`], or [`ModelFile::from_bytes`] and
    /// [`ModelFile::load`].
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        Self::planned(bytes, device, &PlanOptions::default())
    }

    /// [`from_bytes`](Self::from_bytes) for calls with so many frames: for one at a time, as a camera gives
    /// them, it needs less memory and answers sooner on the CPU; by all threads with `parallel` (feature
    /// `rayon`). Features differ from [`from_bytes`](Self::from_bytes)' in rounding, by 1e-5 relative at most.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// use burn::tensor::Device;
    /// use fruitcore::{Frame, PixelFormat, model, pipeline::Pipeline};
    /// let pipeline = Pipeline::from_bytes_for(model::BUNDLED, &Device::default(), 1)?;
    /// # #[cfg(feature = "rayon")]
    /// let pipeline = pipeline.parallel();
    /// # let mut pipeline = pipeline;
    /// let pixels = [200; 100 * 100 * 3];
    /// println!("{}", pipeline.classify(&Frame::new(PixelFormat::Rgb, 100, 100, &pixels)?)?.best());
    /// # }
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_for(bytes: &[u8], device: &Device, frames: usize) -> Result<Self> {
        Self::planned(bytes, device, &PlanOptions::for_batch(frames))
    }

    fn planned(bytes: &[u8], device: &Device, options: &PlanOptions) -> Result<Self> {
        if ModelFile::is_model(bytes) {
            return ModelFile::from_bytes(bytes)?.planned(device, options);
        }
        PipelineFile::from_bytes(bytes)?.planned(device, options)
    }

    /// From now on a call uses rayon's threads, as [`NetworkFeaturizer::parallel`] says: all of them for
    /// one frame. Answers stay the same to the bit.
    #[cfg(feature = "rayon")]
    #[must_use]
    pub fn parallel(self) -> Self {
        Self { featurizer: self.featurizer.parallel(), ..self }
    }

    /// The model in the box: head `fruit`, the first, knows 131 kinds of fruit and vegetables on white,
    /// head `shop` 81 kinds of groceries as they lie in shops.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use fruitcore::{Frame, PixelFormat, pipeline::Pipeline};
    /// let mut pipeline = Pipeline::bundled(&Device::default())?;
    /// let pixels = [200; 100 * 100 * 3];
    /// let frame = Frame::new(PixelFormat::Rgb, 100, 100, &pixels)?;
    /// pipeline.select_head("shop")?;
    /// let answer = pipeline.classify(&frame)?;
    /// println!("{} ({:.0} %)", answer.best(), 100.0 * answer.probability());
    /// assert_eq!(pipeline.features(&frame)?.len(), 1280);
    /// assert_eq!(pipeline.transform(&frame)?.len(), 50);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `device` refuses.
    #[cfg(feature = "bundled")]
    pub fn bundled(device: &Device) -> Result<Self> {
        Self::from_bytes(crate::model::BUNDLED, device)
    }

    /// Preprocesses one frame and runs the network. All of the frame, whatever a head looks at.
    ///
    /// # Errors
    /// What preprocessing or the network refuses about the frame.
    pub fn features(&mut self, frame: &Frame<'_>) -> Result<Vec<f32>> {
        self.features_of(core::slice::from_ref(frame))
    }

    /// Several frames in one pass, `[frames, features]`.
    ///
    /// # Errors
    /// As [`features`](Self::features); the first frame that is refused ends it.
    pub fn features_of(&mut self, frames: &[Frame<'_>]) -> Result<Vec<f32>> {
        featurize(&mut self.preprocessor, &self.featurizer, frames)
    }

    /// The same of what the selected head looks at.
    fn seen(&mut self, frames: &[Frame<'_>]) -> Result<Vec<f32>> {
        let view = self.view.as_mut().unwrap_or(&mut self.preprocessor);
        featurize(view, &self.featurizer, frames)
    }

    /// One frame to its components, `[kept]`.
    ///
    /// # Errors
    /// As [`features`](Self::features); [`ErrorKind::NonFinite`] if the network answers with NaN or
    /// infinity; [`ErrorKind::NotFound`] for a model without a projection.
    pub fn transform(&mut self, frame: &Frame<'_>) -> Result<Vec<f32>> {
        self.reduction()?;
        let features = self.features(frame)?;
        self.components_of(&features)
    }

    /// One frame to its class, by the selected head (the first unless
    /// [`select_head`](Self::select_head) was called).
    ///
    /// # Errors
    /// As [`features`](Self::features); [`ErrorKind::NonFinite`] if the network answers with NaN or
    /// infinity; [`ErrorKind::NotFound`] if the artifact has no head.
    pub fn classify(&mut self, frame: &Frame<'_>) -> Result<Prediction<'_>> {
        self.selected()?;
        let features = self.seen(core::slice::from_ref(frame))?;
        self.classify_features(&features)
    }

    /// Several frames to their classes in one pass of the network.
    ///
    /// # Errors
    /// As [`classify`](Self::classify); the first frame that is refused ends it.
    pub fn classify_batch(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Prediction<'_>>> {
        self.selected()?;
        let features = self.seen(frames)?;
        let rows = features.chunks_exact(self.featurizer.feature_len());
        rows.map(|row| self.classify_features(row)).collect()
    }

    /// Features of one frame to its class: with [`features`](Self::features), several heads can look
    /// at one frame. A head that was validated on the middle of pictures ([`Head::crop_pct`]) is a little
    /// less right on all of it; [`classify`](Self::classify) shows it what it expects.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the artifact has no head, [`ErrorKind::Shape`] for another number of
    /// features, [`ErrorKind::NonFinite`] for NaN or infinity.
    pub fn classify_features(&self, features: &[f32]) -> Result<Prediction<'_>> {
        let head = self.selected()?;
        match head.reads() {
            Reads::Features => head.predict(features, self.top),
            Reads::Components => head.predict(&self.components_of(features)?, self.top),
        }
    }

    /// Chooses the head that classifies from now on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] listing those that are there; the choice then stays as it was.
    pub fn select_head(&mut self, name: &str) -> Result<()> {
        self.head = heads::position(&self.heads, name)?;
        self.look()
    }

    /// Prepares what the selected head looks at.
    fn look(&mut self) -> Result<()> {
        let share = self.heads.get(self.head).map_or(1.0, Head::crop_pct);
        self.view = match share {
            1.0 => None,
            share => Some(RecipePreprocessor::new(self.preprocessor.recipe().with_crop_pct(share)?)),
        };
        Ok(())
    }

    /// How many classes predictions list from now on, at least one; 5 at first.
    pub fn set_top(&mut self, classes: usize) {
        self.top = classes.max(1);
    }

    /// The artifact's classifiers.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    fn selected(&self) -> Result<&Head> {
        self.heads.get(self.head).map_or_else(|| named(&self.heads, None), Ok)
    }

    fn reduction(&self) -> Result<&Projection> {
        let m = "this model was trained without a projection, so it gives features and classes, but no components; fit one with a run";
        self.projection.as_ref().ok_or_else(|| fail(ErrorKind::NotFound, m))
    }

    fn components_of(&self, features: &[f32]) -> Result<Vec<f32>> {
        let projection = self.reduction()?;
        let mut components = vec![0.0; projection.kept()];
        projection.transform_into(Rows::new(features, features.len().max(1))?, &mut components)?;
        Ok(components)
    }

    /// The network, without its weights.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Features to components; a model may be without.
    pub fn projection(&self) -> Option<&Projection> {
        self.projection.as_ref()
    }

    /// The labels the run met, sorted; none for a model, whose heads have theirs.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    pub(crate) fn with_projection(self, projection: Option<Projection>) -> Self {
        Self { projection, ..self }
    }

    pub(crate) fn with_heads(self, heads: Vec<Head>) -> Result<Self> {
        let mut pipeline = Self { heads, ..self };
        pipeline.look()?;
        Ok(pipeline)
    }

    /// Preprocessing and network, with nothing behind them yet.
    pub(crate) fn assemble(
        recipe: &Recipe,
        network: NetworkSpec,
        weights: &dyn WeightSource,
        device: &Device,
        options: &PlanOptions,
    ) -> Result<Self> {
        let precision = NetworkFeaturizer::precision_on(device, network.precision);
        let options = PlanOptions { precision, ..*options };
        let featurizer = NetworkFeaturizer::with_options(&network.graph()?, weights, device, &options)?;
        Ok(Self::around(recipe, network, featurizer))
    }

    /// The same around a network that is ready.
    fn around(recipe: &Recipe, network: NetworkSpec, featurizer: NetworkFeaturizer) -> Self {
        Self {
            preprocessor: RecipePreprocessor::new(recipe.clone()),
            network,
            featurizer,
            projection: None,
            classes: Vec::new(),
            heads: Vec::new(),
            head: 0,
            view: None,
            top: TOP,
        }
    }
}

fn fail(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Artifact, message)
}

#[cfg(test)]
mod tests;

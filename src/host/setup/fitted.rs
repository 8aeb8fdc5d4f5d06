//! What a run fitted or training wrote, in memory.

use super::{
    ARTIFACT, Resolved, Setup, WeightsFrom,
    weights::{bundled, digest},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    classify::{Head, Reads},
    featurize::{NetworkFeaturizer, Precision, network::NetworkSpec, weights::WeightSource},
    host::{
        run::{is_remote, read_file},
        sink::{Content, Table},
    },
    model::ModelFile,
    pca::{Projection, Rows},
    pipeline::{PipelineFile, named},
    preprocess::Recipe,
};
use alloc::{borrow::Cow, borrow::ToOwned, format, string::String, sync::Arc, vec, vec::Vec};
use burn::tensor::Device;
use std::path::Path;

/// A fitted pipeline, or a trained model.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use fruitcore::host::setup::Fitted;
/// let model = Fitted::open("bundled")?;
/// assert_eq!(model.head(Some("shop"))?.classes().len(), 81);
/// let setup = model.setup(None, Default::default())?;
/// println!("{} with weights {}", setup.network(), setup.weights());
/// # }
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone)]
pub struct Fitted {
    bytes: Cow<'static, [u8]>,
    network: NetworkSpec,
    recipe: Recipe,
    projection: Option<Projection>,
    classes: Vec<String>,
    heads: Vec<Head>,
    weights: String,
    has_weights: bool,
    model: bool,
    /// What was asked for instead of what it was fitted with.
    precision: Option<Precision>,
}

impl Fitted {
    /// Reads an artifact, a model, an output folder's artifact (by path or URL), or the model in the box by the name
    /// `bundled` (a file called so is `./bundled`).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::PermissionDenied`] for the file; as
    /// [`from_bytes`](Self::from_bytes).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.as_os_str() == "bundled" {
            return Self::from_bytes(bundled()?);
        }
        // A URL doesn't tell a folder from a file; the name does.
        let remote_folder = path.to_str().is_some_and(is_remote) && path.extension().is_none();
        let file = if remote_folder || path.is_dir() { path.join(ARTIFACT) } else { path.to_owned() };
        let bytes = read_file(&file, Stage::Artifact)?;
        Self::from_bytes(bytes).map_err(|e| e.at(format!("{}", file.display())))
    }

    /// Reads an artifact or a model.
    ///
    /// # Errors
    /// As [`PipelineFile::from_bytes`] and [`ModelFile::from_bytes`].
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        if ModelFile::is_model(&bytes) {
            let file = ModelFile::from_bytes(&bytes)?;
            return Ok(Self {
                network: *file.network(),
                recipe: file.recipe().clone(),
                projection: file.projection().cloned(),
                classes: Vec::new(),
                heads: file.heads()?,
                weights: format!("sha256:{}", digest(&bytes)),
                has_weights: true,
                model: true,
                precision: None,
                bytes,
            });
        }
        let file = PipelineFile::from_bytes(&bytes)?;
        let projection = Some(file.projection().clone());
        let (network, recipe, classes) = (*file.network(), file.recipe().clone(), file.classes().to_vec());
        let (heads, weights, has_weights) =
            (file.heads().to_vec(), file.weights_id().to_owned(), file.has_weights());
        Ok(Self {
            bytes,
            network,
            recipe,
            projection,
            classes,
            heads,
            weights,
            has_weights,
            model: false,
            precision: None,
        })
    }

    /// Whether a file's header, as far as it is there, says that it is an artifact or a model.
    pub fn is_fitted(bytes: &[u8]) -> bool {
        let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let header = rest.get(..length.min(rest.len())).unwrap_or_default();
        let says = |name: &[u8]| header.windows(name.len()).any(|w| w == name);
        header.starts_with(b"{") && (says(b"fruitcore-pipeline") || says(b"fruitcore-model"))
    }

    /// The network it was fitted with, ready to run. `weights` are needed only if they are neither
    /// inside nor in the user's cache.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if they are needed, [`ErrorKind::Mismatch`] if they are others; what the
    /// network refuses about them.
    pub fn setup(&self, weights: Option<&WeightsFrom>, device: Device) -> Result<Setup> {
        // What it was fitted with is no demand on another device; what is asked for is.
        let fitted = || NetworkFeaturizer::precision_on(&device, self.network.precision);
        let precision = self.precision.unwrap_or_else(fitted);
        let network = self.network.precision(precision);
        if !self.has_weights || weights.is_some() {
            return Resolved::again(network, self.recipe.clone(), &self.weights, weights)?.on(device);
        }
        let graph = network.graph()?;
        let build = |weights: &dyn WeightSource| {
            NetworkFeaturizer::with_precision(&graph, weights, &device, precision)
        };
        let featurizer = if self.model {
            build(ModelFile::from_bytes(&self.bytes)?.weights())?
        } else {
            build(&PipelineFile::from_bytes(&self.bytes)?)?
        };
        Ok(Setup {
            network,
            recipe: self.recipe.clone(),
            weights: self.weights.parse()?,
            checkpoint: None,
            featurizer: Arc::new(featurizer),
            device,
        })
    }

    /// The same in another precision than it was fitted with, where features are to come faster; a device
    /// that doesn't have it is then an error.
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// use fruitcore::{featurize::Precision, host::setup::Fitted};
    /// let model = Fitted::open("bundled")?.precision(Precision::Int8);
    /// assert_eq!(model.setup(None, Default::default())?.featurizer().precision(), Precision::Int8);
    /// # }
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Self { network: self.network.precision(precision), precision: Some(precision), ..self }
    }

    /// The network.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Its preprocessing.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Features to components.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a model that was trained without.
    pub fn projection(&self) -> Result<&Projection> {
        self.projection.as_ref().ok_or_else(|| {
            let m = "this model was trained without components: fit them with a run \
                     (`fruitcore run PICTURES --output OUT --weights` this model) and use its output";
            Error::new(ErrorKind::NotFound, Stage::Artifact, m)
        })
    }

    /// Whether it is a model that training wrote.
    pub fn is_model(&self) -> bool {
        self.model
    }

    /// The labels the run met, sorted; none for a model, whose heads have theirs.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Its classifiers.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The head called `name`, or the first one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] listing those that are there.
    pub fn head(&self, name: Option<&str>) -> Result<&Head> {
        named(&self.heads, name)
    }

    /// The same for pictures as a head looks at them, the first if none is named: all of them or their
    /// middle ([`Head::crop_pct`]).
    ///
    /// ```
    /// # #[cfg(feature = "bundled")] {
    /// use fruitcore::host::setup::Fitted;
    /// let model = Fitted::open("bundled")?.seen_by(Some("shop"))?;
    /// println!("{:?}", model.recipe().steps());
    /// # }
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such head; as [`Recipe::with_crop_pct`].
    pub fn seen_by(self, head: Option<&str>) -> Result<Self> {
        let recipe = self.recipe.with_crop_pct(self.head(head)?.crop_pct())?;
        Ok(Self { recipe, ..self })
    }

    /// Rows of features as components.
    ///
    /// # Errors
    /// As [`projection`](Self::projection); [`ErrorKind::Shape`] for another number of features.
    pub fn components(&self, features: &Table) -> Result<Table> {
        let projection = self.projection()?;
        let mut values = vec![0.0; features.len() * projection.kept()];
        if !features.is_empty() {
            projection.transform_into(Rows::new(features.values(), features.columns())?, &mut values)?;
        }
        features.with_values(Content::Components, projection.kept(), values)
    }

    /// Every class's probability for rows of features, `[rows, classes]`, by one of its
    /// [heads](Self::heads).
    ///
    /// # Errors
    /// As [`components`](Self::components) for a head that reads those; [`ErrorKind::NonFinite`] for
    /// NaN or infinity.
    pub fn probabilities(&self, head: &Head, features: &Table) -> Result<Vec<f32>> {
        let mut out = vec![0.0; features.len() * head.classes().len()];
        if features.is_empty() {
            return Ok(out);
        }
        let components;
        let input = match head.reads() {
            Reads::Features => features,
            Reads::Components => {
                components = self.components(features)?;
                &components
            }
        };
        head.probabilities_of(Rows::new(input.values(), input.columns())?, &mut out)?;
        Ok(out)
    }

    /// The artifact with one more head, or another of the same name.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a model: training decides its heads. As
    /// [`PipelineBuilder::to_bytes`](crate::pipeline::PipelineBuilder::to_bytes).
    pub fn with_head(&self, head: &Head) -> Result<Vec<u8>> {
        if self.is_model() {
            let m =
                "a trained model's heads are those it was trained with; fit heads to the artifact of a run";
            return Err(Error::new(ErrorKind::Unsupported, Stage::Artifact, m));
        }
        PipelineFile::from_bytes(&self.bytes)?.to_builder().head(head).to_bytes()
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which weights it was made with, as [`WeightsId`](super::WeightsId) writes them.
    pub fn weights_id(&self) -> &str {
        &self.weights
    }

    /// Whether its network's weights are inside.
    pub fn has_weights(&self) -> bool {
        self.has_weights
    }
}

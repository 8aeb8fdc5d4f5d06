//! The pipeline artifact of a run: written at its end, read by `transform` and `inspect`.

use crate::{
    args::{DeviceArg, WeightsArg},
    failure::Failure,
    network::{self, NETWORK, RECIPE, Setup, WEIGHTS, WeightsId},
};
use fruitcore::{
    Error, ErrorKind, Result, Stage,
    classify::Head,
    featurize::network::NetworkSpec,
    host::run::{Artifact, ArtifactFn},
    pca::Projection,
    pipeline::{Pipeline, PipelineFile, Storage},
    preprocess::Recipe,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Name of the artifact in an output folder.
pub(crate) const FILE: &str = "pipeline.safetensors";

/// Writes artifacts from a run's configuration alone, so that a merge can do it too. The weights of
/// `checkpoint` go into the artifact.
pub(crate) fn maker(checkpoint: Option<PathBuf>) -> Arc<ArtifactFn> {
    Arc::new(move |fitted| make(fitted, checkpoint.as_deref()))
}

fn make(fitted: &Artifact<'_>, checkpoint: Option<&Path>) -> Result<Vec<u8>> {
    let text = |key: &str| fitted.config.get(key).map(String::as_str).unwrap_or_default();
    let damaged = |key: &str, e: serde_json::Error| {
        let m = format!("the run's {key} can't be read back: {e}; start the run with --overwrite");
        Error::new(ErrorKind::Corrupt, Stage::Artifact, m).because(e)
    };
    let spec: NetworkSpec = serde_json::from_str(text(NETWORK)).map_err(|e| damaged(NETWORK, e))?;
    let recipe: Recipe = serde_json::from_str(text(RECIPE)).map_err(|e| damaged(RECIPE, e))?;
    let id = text(WEIGHTS);
    let builder = Pipeline::builder(&recipe, spec, fitted.projection).classes(fitted.classes).weights_id(id);
    let Some(path) = checkpoint else { return builder.to_bytes() };
    // Read again instead of held in memory for the whole run.
    let (checkpoint, digest) = network::checkpoint(path)?;
    if WeightsId::Sha256(digest).to_string() != id {
        let m = "the checkpoint was changed while the run was going on; start the run again with --overwrite";
        return Err(Error::new(ErrorKind::Mismatch, Stage::Weights, m).at(path.display().to_string()));
    }
    builder.weights(&checkpoint, Storage::F32).to_bytes()
}

/// An artifact in memory.
pub(crate) struct Fitted {
    bytes: Vec<u8>,
    spec: NetworkSpec,
    recipe: Recipe,
    projection: Projection,
    classes: Vec<String>,
    heads: Vec<Head>,
    weights: String,
    has_weights: bool,
}

impl Fitted {
    /// Reads an artifact, or that of an output folder.
    pub(crate) fn open(path: &Path) -> core::result::Result<Self, Failure> {
        let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let bytes = network::read(&file, Stage::Artifact)?;
        Ok(Self::from_bytes(bytes).map_err(|e| e.at(file.display().to_string()))?)
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        let file = PipelineFile::from_bytes(&bytes)?;
        let (spec, recipe, projection) = (*file.network(), file.recipe().clone(), file.projection().clone());
        let (classes, weights) = (file.classes().to_vec(), file.weights_id().to_owned());
        let (heads, has_weights) = (file.heads().to_vec(), file.has_weights());
        Ok(Self { bytes, spec, recipe, projection, classes, heads, weights, has_weights })
    }

    /// Whether a safetensors file's header says that it is an artifact.
    pub(crate) fn is_artifact(bytes: &[u8]) -> bool {
        let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let header = rest.get(..length.min(rest.len())).unwrap_or_default();
        let name = b"fruitcore-pipeline";
        header.starts_with(b"{") && header.windows(name.len()).any(|w| w == name)
    }

    /// The network it was fitted with, ready to run.
    pub(crate) fn setup(
        &self,
        weights: Option<&WeightsArg>,
        device: DeviceArg,
    ) -> core::result::Result<Setup, Failure> {
        if self.has_weights && weights.is_none() {
            let file = PipelineFile::from_bytes(&self.bytes)?;
            return Setup::embedded(self.spec, self.recipe.clone(), &file, &self.weights, device);
        }
        Setup::again(self.spec, self.recipe.clone(), &self.weights, weights, device)
    }

    pub(crate) fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    pub(crate) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    pub(crate) fn projection(&self) -> &Projection {
        &self.projection
    }

    pub(crate) fn classes(&self) -> &[String] {
        &self.classes
    }

    pub(crate) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The head called `name`, or the first one.
    pub(crate) fn head(&self, name: Option<&str>) -> Result<&Head> {
        let at = match name {
            Some(name) => self.heads.iter().position(|head| head.name() == name),
            None => Some(0),
        };
        at.and_then(|at| self.heads.get(at)).ok_or_else(|| {
            let names: Vec<&str> = self.heads.iter().map(Head::name).collect();
            let m = match (names.as_slice(), name) {
                ([], _) => "the pipeline has no classifier; fit one: fruitcore fit-classifier OUT".to_owned(),
                (names, name) => {
                    format!(
                        "the pipeline has no head `{}`; it has `{}`",
                        name.unwrap_or(""),
                        names.join("`, `")
                    )
                }
            };
            Error::new(ErrorKind::NotFound, Stage::Artifact, m)
        })
    }

    /// What weights the run used: `random:SEED` or `sha256:DIGEST`.
    pub(crate) fn weights_id(&self) -> &str {
        &self.weights
    }

    /// The artifact with one more head, or another of the same name.
    pub(crate) fn with_head(&self, head: &Head) -> Result<Vec<u8>> {
        PipelineFile::from_bytes(&self.bytes)?.to_builder().head(head).to_bytes()
    }

    /// Which weights, and whether they are inside.
    pub(crate) fn weights(&self) -> String {
        match (self.has_weights, self.weights.starts_with("random:")) {
            (true, _) => format!("{} (inside)", self.weights),
            (false, true) => self.weights.clone(),
            (false, false) => format!("{} (not inside)", self.weights),
        }
    }
}

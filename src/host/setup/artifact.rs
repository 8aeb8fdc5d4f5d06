//! The artifact of a run, from its configuration alone, so that a merge can make it too.

use super::{WeightsFrom, WeightsId, key, weights::Given};
use crate::{
    Error, ErrorKind, Result, Stage,
    featurize::network::NetworkSpec,
    host::run::{Artifact, ArtifactFn},
    pipeline::{Pipeline, Storage},
    preprocess::Recipe,
};
use alloc::{format, string::String, string::ToString, sync::Arc, vec::Vec};

/// Makes artifacts of runs whose configuration a [`Setup`](super::Setup) gave. The weights named go
/// inside; they are read again, not held in memory for the whole run, and must be those of the run.
pub fn artifact(weights: Option<WeightsFrom>) -> Arc<ArtifactFn> {
    Arc::new(move |fitted| make(fitted, weights.as_ref()))
}

fn make(fitted: &Artifact<'_>, weights: Option<&WeightsFrom>) -> Result<Vec<u8>> {
    let text = |key: &str| fitted.config.get(key).map(String::as_str).unwrap_or_default();
    let damaged = |key: &str, e: serde_json::Error| {
        let m = format!("the run's {key} can't be read back: {e}; start the run with --overwrite");
        Error::new(ErrorKind::Corrupt, Stage::Artifact, m).because(e)
    };
    let spec: NetworkSpec = serde_json::from_str(text(key::NETWORK)).map_err(|e| damaged(key::NETWORK, e))?;
    let recipe: Recipe = serde_json::from_str(text(key::RECIPE)).map_err(|e| damaged(key::RECIPE, e))?;
    let id = text(key::WEIGHTS);
    let builder = Pipeline::builder(&recipe, spec, fitted.projection).classes(fitted.classes).weights_id(id);
    let Some(from) = weights else { return builder.to_bytes() };
    let given = Given::open(from, spec.kind, spec.variant, None, &mut None)?;
    if given.id().to_string() != id {
        let m = match given.id() {
            WeightsId::Sha256(digest) => format!(
                "these weights have the SHA-256 {digest}, the run's are {id}; they were changed, or are others: name the run's"
            ),
            _ => format!("these weights are {}, the run's are {id}; name the run's", given.id()),
        };
        return Err(Error::new(ErrorKind::Mismatch, Stage::Weights, m).at(from.to_string()));
    }
    let source = given.source(&spec)?;
    builder.weights(&*source, Storage::F32).to_bytes()
}

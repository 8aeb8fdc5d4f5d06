//! From a few words to a network ready to run: which network, whose weights, which preprocessing.
//!
//! [`Setup::builder`] begins anew; [`Fitted::open`] goes on from what a run fitted or training wrote.
//! Both end in a [`Setup`], which gives a run its stages, its configuration and its artifact.
//!
//! ```
//! use fruitcore::host::{demo::Fruits, driver::Control, setup::Setup};
//! use fruitcore::pca::Keep;
//!
//! # let folder = std::env::temp_dir().join(format!("fruitcore-setup-{}", std::process::id()));
//! let (pictures, output) = (folder.join("pictures"), folder.join("output"));
//! Fruits::new(7).write(&pictures, 0..2)?;
//! // "bundled", "imagenet", a published name or a checkpoint's path give trained weights.
//! let setup = Setup::builder().weights("random").width(0.35).input(64, 64).build()?;
//! let mut options = setup.options()?;
//! options.keep = Some(Keep::Count(8));
//! let run = setup.run(&pictures.to_string_lossy(), &output.to_string_lossy())?.options(options);
//! let summary = run.start(&Control::default())?;
//! assert_eq!((summary.rows, summary.components), (40, 8));
//! # std::fs::remove_dir_all(folder).expect("made above");
//! # Ok::<(), fruitcore::Error>(())
//! ```

mod artifact;
mod builder;
mod fitted;
mod recipe;
mod weights;

pub use super::run::ARTIFACT;
pub use artifact::artifact;
pub use builder::{Resolved, SetupBuilder};
pub use fitted::Fitted;
pub use recipe::RecipeFrom;
pub(crate) use weights::bundled;
pub use weights::{WeightsFrom, WeightsId};

use super::{
    decode::DecodeOptions,
    driver::{Limits, Stages},
    run::{ArtifactFn, Run, RunOptions, open_output},
    source::{self, SourceOptions},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    featurize::{NetworkFeaturizer, network::NetworkSpec},
    preprocess::Recipe,
};
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, string::ToString, sync::Arc};
use burn::tensor::Device;

/// Keys of a run's configuration that say how its features are made.
pub mod key {
    /// The [`NetworkSpec`](crate::featurize::network::NetworkSpec) as JSON.
    pub const NETWORK: &str = "network";
    /// The [`Recipe`](crate::preprocess::Recipe) as JSON.
    pub const RECIPE: &str = "recipe";
    /// The [`WeightsId`](super::WeightsId).
    pub const WEIGHTS: &str = "weights";
}

/// A network with its weights, its preprocessing and its device, ready to run.
#[derive(Clone)]
pub struct Setup {
    network: NetworkSpec,
    recipe: Recipe,
    weights: WeightsId,
    checkpoint: Option<WeightsFrom>,
    featurizer: Arc<NetworkFeaturizer>,
    device: Device,
}

impl Setup {
    /// Begins with the model in the box; every method chooses something else.
    pub fn builder<'a>() -> SetupBuilder<'a> {
        SetupBuilder::default()
    }

    /// The network.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Its preprocessing.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Which weights it has.
    pub fn weights(&self) -> &WeightsId {
        &self.weights
    }

    /// The network with its weights, on its device.
    pub fn featurizer(&self) -> &Arc<NetworkFeaturizer> {
        &self.featurizer
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Picture files to features, for a driver or a run.
    pub fn stages(&self) -> Stages {
        let network = Arc::clone(&self.featurizer);
        Stages::pictures(DecodeOptions::default(), self.recipe.clone(), network, self.device.clone())
    }

    /// What determines the features, as [`RunOptions::config`] takes it: a run that is started again
    /// with another setup is refused.
    ///
    /// # Errors
    /// None that a setup made by a builder meets.
    pub fn config(&self) -> Result<BTreeMap<String, String>> {
        let failed = |what: &str, e: serde_json::Error| {
            Error::new(ErrorKind::Io, Stage::Config, format!("{what}: {e}")).because(e)
        };
        let network = serde_json::to_string(&self.network).map_err(|e| failed(key::NETWORK, e))?;
        let recipe = serde_json::to_string(&self.recipe).map_err(|e| failed(key::RECIPE, e))?;
        let all = [(key::NETWORK, network), (key::RECIPE, recipe), (key::WEIGHTS, self.weights.to_string())];
        Ok(all.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// Makes the pipeline artifact of a run with this setup. Weights of a checkpoint go into it if
    /// `inside`; random ones are made again from their seed, and never do.
    pub fn artifact(&self, inside: bool) -> Arc<ArtifactFn> {
        artifact(self.checkpoint.clone().filter(|_| inside))
    }

    /// Options of a run with this setup: its configuration, an artifact with the weights inside, the device's
    /// limits, everything else as [`RunOptions::default`].
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub fn options(&self) -> Result<RunOptions> {
        let (config, artifact) = (self.config()?, Some(self.artifact(true)));
        Ok(RunOptions {
            config,
            artifact,
            limits: Limits::for_device(self.device()),
            ..RunOptions::default()
        })
    }

    /// A run over the pictures of a folder, an archive, a list or a URL, into a folder or URL, with
    /// [`options`](Self::options). [`Run::options`] replaces them, [`Run::start`] starts it.
    ///
    /// # Errors
    /// As [`source::open`] and [`open_output`].
    pub fn run(&self, input: &str, output: &str) -> Result<Run> {
        let source = Arc::from(source::open(input, &SourceOptions::default())?);
        Ok(Run::new(source, self.stages(), open_output(output)?).options(self.options()?))
    }
}

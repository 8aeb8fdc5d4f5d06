//! What is asked for, what the weights say, and one network out of both.

use super::{
    RecipeFrom, Setup, WeightsFrom, WeightsId,
    weights::{Found, Given, OnFetch, cached, config},
};
use crate::{
    Error, ErrorKind, Result, Stage,
    featurize::{
        NetworkFeaturizer, Precision,
        network::{NetworkKind, NetworkSpec, Tap, Variant},
        weights::WeightSource,
    },
    host::weights::{Cache, Entry, Progress},
    preprocess::{Preset, Recipe},
};
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, sync::Arc};
use burn::tensor::Device;
use core::ops::ControlFlow;

/// Chooses a network, its weights and its preprocessing; what isn't chosen, the weights decide, else
/// it is what most people want.
///
/// ```no_run
/// use fruitcore::featurize::network::NetworkKind;
/// use fruitcore::host::setup::Setup;
/// // The fruit model in the box.
/// let fruit = Setup::builder().build()?;
/// // ResNet50 as torchvision trained it, fetched once; its preprocessing comes with it.
/// let resnet = Setup::builder().network(NetworkKind::Resnet50).weights("imagenet").build()?;
/// // A file decides which network it is.
/// let own = Setup::builder().weights("checkpoints/vgg16-397923af.pth").build()?;
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct SetupBuilder<'a> {
    network: Option<NetworkKind>,
    variant: Option<Variant>,
    width: Option<f64>,
    input: Option<[usize; 2]>,
    tap: Option<Tap>,
    precision: Precision,
    weights: Option<WeightsFrom>,
    recipe: Option<RecipeFrom>,
    fallback: Option<RecipeFrom>,
    device: Option<Device>,
    cache: Option<Cache>,
    on_fetch: Option<OnFetch<'a>>,
}

impl<'a> SetupBuilder<'a> {
    /// The architecture; else what the weights are of, else MobileNetV2.
    pub fn network(mut self, kind: NetworkKind) -> Self {
        self.network = Some(kind);
        self
    }

    /// Whose weights they are; else what they look like, else torchvision's.
    pub fn variant(mut self, variant: Variant) -> Self {
        self.variant = Some(variant);
        self
    }

    /// MobileNetV2's width multiplier; else the weights', else 1.
    pub fn width(mut self, width: f64) -> Self {
        self.width = Some(width);
        self
    }

    /// Height and width of the network's input in pixels; else the recipe's, else 224×224.
    pub fn input(mut self, height: usize, width: usize) -> Self {
        self.input = Some([height, width]);
        self
    }

    /// The layer features are taken from; else fc2 of VGG16, the pooled map of the others.
    pub fn tap(mut self, tap: Tap) -> Self {
        self.tap = Some(tap);
        self
    }

    /// What products are computed in on the CPU; else `f32`.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The weights, by what one calls them: `"imagenet"`, `"random:7"`, a published name, a path. Else
    /// the model in the box, unless another network was asked for.
    pub fn weights(mut self, weights: impl Into<WeightsFrom>) -> Self {
        self.weights = Some(weights.into());
        self
    }

    /// The preprocessing: a preset or its name, a recipe or its file. Else what the weights were
    /// trained with.
    pub fn recipe(mut self, recipe: impl Into<RecipeFrom>) -> Self {
        self.recipe = Some(recipe.into());
        self
    }

    /// The preprocessing if none is chosen and the weights are no model that brings its own for this
    /// input size: instead of what the weights' publisher used.
    pub fn fallback_recipe(mut self, recipe: impl Into<RecipeFrom>) -> Self {
        self.fallback = Some(recipe.into());
        self
    }

    /// Where the network computes; else [`Device::default`].
    pub fn device(mut self, device: Device) -> Self {
        self.device = Some(device);
        self
    }

    /// Where published checkpoints are kept; else [`Cache::user`].
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Told how far a published checkpoint is while it is fetched; [`ControlFlow::Break`] stops it.
    pub fn on_fetch(
        mut self,
        tell: impl FnMut(&'static Entry, Progress) -> ControlFlow<()> + Send + 'a,
    ) -> Self {
        self.on_fetch = Some(Box::new(tell));
        self
    }

    /// Reads the weights and settles everything.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for choices that make no sense together, [`ErrorKind::NotFound`]
    /// for a file or name that isn't there, [`ErrorKind::Network`] and [`ErrorKind::Checksum`] from
    /// fetching, [`ErrorKind::Corrupt`] or [`ErrorKind::Unsupported`] for a file that is no checkpoint.
    pub fn resolve(mut self) -> Result<Resolved> {
        let another = self.network.is_some() || self.variant.is_some() || self.width.is_some();
        let from = match self.weights.take() {
            Some(weights) => weights,
            None if !another => WeightsFrom::Bundled,
            None => {
                return Err(config(
                    "the bundled model is mobilenet-v2 at width 0.35; another network needs --weights: `imagenet` \
                     (fetched on first use), the FILE of a checkpoint, a name from `fruitcore weights list`, or \
                     `random` for an untrained baseline",
                ));
            }
        };
        let kind = self.network.unwrap_or(NetworkKind::MobileNetV2);
        let variant = self.variant.unwrap_or(Variant::Torchvision);
        let given = Given::open(&from, kind, variant, self.cache.as_ref(), &mut self.on_fetch)?;
        self.settle(given, kind, variant)
    }

    /// One network of what is asked for, what the weights say, and these where neither says anything.
    fn settle(self, given: Given, kind: NetworkKind, variant: Variant) -> Result<Resolved> {
        let mut found = given.describe();
        if self.network.is_some_and(|asked| found.network.is_some_and(|network| network != asked)) {
            // Nothing of another network's checkpoint fits; loading will say so.
            found = Found::default();
        }
        let spec = NetworkSpec::new(self.network.or(found.network).unwrap_or(kind))
            .variant(self.variant.or(found.variant).unwrap_or(variant))
            .width(self.width.or(found.width).unwrap_or(1.0));
        let spec = self.tap.map_or(spec, |tap| spec.tap(tap)).precision(self.precision);
        let preset = found.preset.map_or_else(|| spec.preset().parse(), Ok)?;
        let recipe = match (self.recipe, found.recipe, self.fallback) {
            (Some(asked), ..) => asked.recipe(self.input)?,
            (None, Some(own), _) if self.input.is_none_or(|[h, w]| own.output_shape() == [3, h, w]) => own,
            (None, Some(own), _) if own.name().parse::<Preset>().is_err() => {
                let [_, h, w] = own.output_shape();
                return Err(config(format!(
                    "the model's own recipe makes pictures of {h}x{w}; for another input size name a recipe, too"
                )));
            }
            // Its own recipe is for its own size.
            (None, _, Some(fallback)) => fallback.recipe(self.input)?,
            _ => RecipeFrom::Preset(preset).recipe(self.input)?,
        };
        let [_, h, w] = recipe.output_shape();
        Ok(Resolved { network: spec.input(h, w), recipe, given })
    }

    /// Reads the weights, settles everything and makes the network ready to run.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve) and [`Resolved::on`].
    pub fn build(mut self) -> Result<Setup> {
        let device = self.device.take().unwrap_or_default();
        self.resolve()?.on(device)
    }
}

/// A network, its preprocessing and its weights in memory, not yet on a device.
pub struct Resolved {
    network: NetworkSpec,
    recipe: Recipe,
    given: Given,
}

impl Resolved {
    /// The network.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Its preprocessing.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Temperatures of the heads, by name, if the weights are a model that training wrote.
    pub fn temperatures(&self) -> BTreeMap<String, f32> {
        self.given.temperatures()
    }

    /// Which weights they are.
    pub fn id(&self) -> WeightsId {
        self.given.id()
    }

    /// The weights, if they are this network's.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Shape`] naming the first tensor that is missing or has
    /// another shape; [`ErrorKind::InvalidArgument`] if the network doesn't exist.
    pub fn weights(&self) -> Result<Box<dyn WeightSource + Send + Sync + '_>> {
        self.given.source(&self.network)
    }

    /// Ready to run on a device.
    ///
    /// # Errors
    /// As [`weights`](Self::weights); what the network refuses about their values.
    pub fn on(self, device: Device) -> Result<Setup> {
        let graph = self.network.graph()?;
        let precision = self.network.precision;
        let featurizer =
            Arc::new(NetworkFeaturizer::with_precision(&graph, &*self.weights()?, &device, precision)?);
        let (network, recipe, weights) = (self.network, self.recipe, self.given.id());
        let checkpoint = match self.given {
            Given::Random(_) => None,
            Given::Checkpoint(opened) => Some(opened.from),
        };
        Ok(Setup { network, recipe, weights, checkpoint, featurizer, device })
    }

    /// What a pipeline without its weights was made with: they are given, generated, or found by their
    /// digest in the user's cache.
    pub(super) fn again(
        network: NetworkSpec,
        recipe: Recipe,
        id: &str,
        weights: Option<&WeightsFrom>,
    ) -> Result<Self> {
        let id: WeightsId = id.parse()?;
        let from = match (weights, &id) {
            (Some(weights), _) => weights.clone(),
            (None, WeightsId::Random(seed)) => WeightsFrom::Random(*seed),
            (None, WeightsId::Sha256(digest)) => match cached(digest)? {
                Some(path) => WeightsFrom::File(path),
                None => {
                    let m = format!(
                        "the weights are not in the pipeline; pass the checkpoint with SHA-256 {digest} as --weights FILE"
                    );
                    return Err(Error::new(ErrorKind::NotFound, Stage::Weights, m));
                }
            },
        };
        let given = Given::open(&from, network.kind, network.variant, None, &mut None)?;
        if given.id() != id {
            let m =
                format!("the pipeline was fitted with weights {id}, these are {}; pass the same", given.id());
            return Err(Error::new(ErrorKind::Mismatch, Stage::Weights, m));
        }
        Ok(Self { network, recipe, given })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::weights::registry;

    #[test]
    fn every_published_checkpoint_brings_its_preprocessing() {
        for entry in registry::list() {
            let given = Given::published(entry);
            let resolved = SetupBuilder::default().settle(given, entry.network, entry.variant).unwrap();
            assert_eq!(resolved.recipe().name(), entry.preset, "{}", entry.name);
        }
    }
}

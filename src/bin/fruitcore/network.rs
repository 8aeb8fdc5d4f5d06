//! From options to a network with its weights, its preprocessing and its device.

use crate::{
    args::{DeviceArg, InputSize, NetworkArgs, WeightsArg},
    failure::Failure,
};
use burn::tensor::Device;
use fruitcore::{
    Error, ErrorKind, Stage,
    featurize::{
        NetworkFeaturizer,
        network::{NetworkKind, NetworkSpec, Variant},
        weights::{Checkpoint, RandomWeights, registry},
    },
    model::ModelFile,
    pipeline::PipelineFile,
    preprocess::{Preset, Recipe},
};
use sha2::{Digest, Sha256};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Keys of the run's configuration that say how features were made.
pub(crate) const NETWORK: &str = "network";
pub(crate) const RECIPE: &str = "recipe";
pub(crate) const WEIGHTS: &str = "weights";
/// What stands for the path of the model in the box; a file of this name is `./bundled`.
const BUNDLED: &str = "bundled";

/// A network ready to run.
pub(crate) struct Setup {
    pub(crate) spec: NetworkSpec,
    pub(crate) recipe: Recipe,
    pub(crate) weights: WeightsId,
    /// Where they were read from.
    pub(crate) checkpoint: Option<PathBuf>,
    pub(crate) featurizer: Arc<NetworkFeaturizer>,
    pub(crate) device: Device,
}

/// Weights by what they are, wherever they lie: `random:SEED` or `sha256:DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WeightsId {
    Random(u64),
    Sha256(String),
}

impl core::fmt::Display for WeightsId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Random(seed) => write!(f, "random:{seed}"),
            Self::Sha256(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

impl FromStr for WeightsId {
    type Err = Failure;

    fn from_str(s: &str) -> Result<Self, Failure> {
        match s.split_once(':') {
            Some(("random", seed)) if seed.parse::<u64>().is_ok() => {
                Ok(Self::Random(seed.parse().unwrap_or(0)))
            }
            Some(("sha256", digest)) => Ok(Self::Sha256(digest.to_owned())),
            _ => Err(Failure::usage(format!("`{s}` names no weights"))),
        }
    }
}

impl Setup {
    /// What `run` is asked for.
    pub(crate) fn new(args: &NetworkArgs, quiet: bool) -> Result<Self, Failure> {
        let another = args.network.is_some() || args.variant.is_some() || args.width.is_some();
        let weights = match &args.weights {
            Some(weights) => weights,
            None if !another => &WeightsArg::Bundled,
            None => {
                return Err(Failure::usage(
                    "the bundled model is mobilenet-v2 at width 0.35; another network needs --weights: `imagenet` \
                     (fetched on first use), the FILE of a checkpoint, a name from `fruitcore weights list`, or \
                     `random` for an untrained baseline",
                ));
            }
        };
        let device = device(args.device)?;
        let kind = args.network.unwrap_or(NetworkKind::MobileNetV2);
        let given = Given::new(weights, kind, args.variant.unwrap_or(Variant::Torchvision), quiet)?;
        let mut found = given.describe();
        if args.network.is_some_and(|asked| found.network.is_some_and(|network| network != asked)) {
            // Nothing of another network's checkpoint fits; loading will say so.
            found = Found::default();
        }
        let spec = NetworkSpec::new(args.network.or(found.network).unwrap_or(kind))
            .variant(args.variant.or(found.variant).unwrap_or(Variant::Torchvision))
            .width(args.width.or(found.width).unwrap_or(1.0));
        let spec = args.tap.map_or(spec, |tap| spec.tap(tap));
        let preset = found.preset.unwrap_or_else(|| spec.preset().to_owned());
        let recipe = match found.recipe {
            // A model trained here says all of it.
            Some(own) if args.recipe.is_none() && args.input_size.is_none() => own,
            _ => recipe(args.recipe.as_deref().unwrap_or(&preset), args.input_size)?,
        };
        let [_, h, w] = recipe.output_shape();
        Self::load(spec.input(h, w), recipe, given, device)
    }

    /// What a fitted pipeline was made with. Weights are found by their digest in the cache unless
    /// they are given.
    pub(crate) fn again(
        spec: NetworkSpec,
        recipe: Recipe,
        id: &str,
        weights: Option<&WeightsArg>,
        on: DeviceArg,
    ) -> Result<Self, Failure> {
        let id: WeightsId = id.parse()?;
        let given = match (weights, &id) {
            (None, WeightsId::Random(seed)) => Given::Random(*seed),
            (None, WeightsId::Sha256(digest)) => match crate::weights::cached_by_digest(digest)? {
                Some(path) => Given::file(&path)?,
                None => {
                    let m = format!(
                        "the weights are not in the pipeline; pass the checkpoint with SHA-256 {digest} as --weights FILE"
                    );
                    return Err(Error::new(ErrorKind::NotFound, Stage::Weights, m).into());
                }
            },
            (Some(weights), _) => Given::new(weights, spec.kind, spec.variant, true)?,
        };
        if given.id() != id {
            let m =
                format!("the pipeline was fitted with weights {id}, these are {}; pass the same", given.id());
            return Err(Error::new(ErrorKind::Mismatch, Stage::Weights, m).into());
        }
        Self::load(spec, recipe, given, device(on)?)
    }

    /// With weights out of the pipeline's own file.
    pub(crate) fn embedded(
        spec: NetworkSpec,
        recipe: Recipe,
        file: &PipelineFile<'_>,
        id: &str,
        on: DeviceArg,
    ) -> Result<Self, Failure> {
        let device = device(on)?;
        let featurizer = Arc::new(NetworkFeaturizer::new(&spec.graph()?, file, &device)?);
        Ok(Self { spec, recipe, weights: id.parse()?, checkpoint: None, featurizer, device })
    }

    /// Random weights need no options.
    pub(crate) fn random(spec: NetworkSpec, recipe: Recipe, seed: u64) -> Result<Self, Failure> {
        Self::load(spec, recipe, Given::Random(seed), device(DeviceArg::Flex)?)
    }

    fn load(spec: NetworkSpec, recipe: Recipe, given: Given, device: Device) -> Result<Self, Failure> {
        let graph = spec.graph()?;
        let weights = given.id();
        let (featurizer, checkpoint) = match given {
            Given::Random(seed) => {
                (NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, seed), &device)?, None)
            }
            Given::Checkpoint { checkpoint, path, .. } => {
                checkpoint.check(&spec).map_err(|e| e.at(path.display().to_string()))?;
                (NetworkFeaturizer::new(&graph, &*checkpoint, &device)?, Some(path))
            }
        };
        Ok(Self { spec, recipe, weights, checkpoint, featurizer: Arc::new(featurizer), device })
    }

    /// What determines the features, for the manifest and the artifact.
    pub(crate) fn config(&self) -> Result<BTreeMap<String, String>, Failure> {
        let spec = serde_json::to_string(&self.spec)
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Config, format!("network: {e}")))?;
        let recipe = serde_json::to_string(&self.recipe)
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Config, format!("recipe: {e}")))?;
        let all = [(NETWORK, spec), (RECIPE, recipe), (WEIGHTS, self.weights.to_string())];
        Ok(all.map(|(key, value)| (key.to_owned(), value)).into())
    }
}

/// Weights before it is known for which network.
enum Given {
    Random(u64),
    Checkpoint { checkpoint: Box<Checkpoint<'static>>, digest: String, path: PathBuf, recipe: Option<Recipe> },
}

/// What weights say about themselves.
#[derive(Default)]
struct Found {
    network: Option<NetworkKind>,
    variant: Option<Variant>,
    width: Option<f64>,
    preset: Option<String>,
    recipe: Option<Recipe>,
}

impl Given {
    /// `kind` and `variant` are what `imagenet` stands for.
    fn new(weights: &WeightsArg, kind: NetworkKind, variant: Variant, quiet: bool) -> Result<Self, Failure> {
        match weights {
            WeightsArg::Random(seed) => Ok(Self::Random(*seed)),
            WeightsArg::File(path) => Self::file(path),
            WeightsArg::Bundled => Self::file(Path::new(BUNDLED)),
            WeightsArg::Named(name) => Self::file(&crate::weights::obtain(registry::find(name)?, quiet)?),
            WeightsArg::Imagenet => {
                Self::file(&crate::weights::obtain(registry::imagenet(kind, variant)?, quiet)?)
            }
        }
    }

    fn file(path: &Path) -> Result<Self, Failure> {
        let bytes = weights(path)?;
        let recipe = ModelFile::from_bytes(&bytes).ok().map(|model| model.recipe().clone());
        let (checkpoint, digest) = parse(bytes, path)?;
        Ok(Self::Checkpoint { checkpoint: Box::new(checkpoint), digest, path: path.to_owned(), recipe })
    }

    fn id(&self) -> WeightsId {
        match self {
            Self::Random(seed) => WeightsId::Random(*seed),
            Self::Checkpoint { digest, .. } => WeightsId::Sha256(digest.clone()),
        }
    }

    fn describe(&self) -> Found {
        match self {
            Self::Random(_) => Found::default(),
            Self::Checkpoint { checkpoint, digest, recipe, .. } => {
                let found = checkpoint.inspect();
                let published = registry::by_digest(digest).map(|entry| entry.preset.to_owned());
                let preset = published.or_else(|| {
                    recipe.as_ref().map(|r| r.name().to_owned()).filter(|name| name.parse::<Preset>().is_ok())
                });
                let (network, variant) = (found.network, found.variant);
                Found { network, variant, width: found.width, preset, recipe: recipe.clone() }
            }
        }
    }
}

/// A preset's name, or a recipe's file.
pub(crate) fn recipe(name: &str, size: Option<InputSize>) -> Result<Recipe, Failure> {
    if let Ok(preset) = name.parse::<Preset>() {
        return match size {
            None => Ok(preset.recipe(224)?),
            Some(InputSize([h, w])) if h == w => Ok(preset.recipe(h)?),
            Some(InputSize([h, w])) => Err(Failure::usage(format!(
                "presets are for square inputs, not {h}x{w}; write a recipe that ends in that size and pass its file"
            ))),
        };
    }
    let path = PathBuf::from(name);
    if !path.exists() {
        let known: Vec<&str> = Preset::ALL.iter().map(|p| p.name()).collect();
        return Err(Failure::usage(format!(
            "--recipe `{name}` is neither a preset ({}) nor a file",
            known.join(", ")
        )));
    }
    let bytes = read(&path, Stage::Config)?;
    let recipe = Recipe::from_json(&String::from_utf8_lossy(&bytes)).map_err(|e| e.at(name))?;
    let [_, h, w] = recipe.output_shape();
    match size {
        Some(InputSize(asked)) if asked != [h, w] => Err(Failure::usage(format!(
            "--input-size is {}x{}, the recipe writes {h}x{w}",
            asked[0], asked[1]
        ))),
        _ => Ok(recipe),
    }
}

/// A checkpoint and the SHA-256 of its file.
pub(crate) fn checkpoint(path: &Path) -> Result<(Checkpoint<'static>, String), Error> {
    parse(weights(path)?, path)
}

/// The file's bytes; those in the box by their name.
fn weights(path: &Path) -> Result<Cow<'static, [u8]>, Error> {
    if path.as_os_str() == BUNDLED {
        return Ok(Cow::Borrowed(fruitcore::model::BUNDLED));
    }
    read(path, Stage::Weights).map(Cow::Owned)
}

fn parse(bytes: Cow<'static, [u8]>, path: &Path) -> Result<(Checkpoint<'static>, String), Error> {
    let shown = path.display().to_string();
    let digest = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| e.at(shown.clone()))?;
    Ok((checkpoint.labelled(shown), digest))
}

/// A whole file, or why not.
pub(crate) fn read(path: &Path, stage: Stage) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|e| {
        let (kind, m) = match e.kind() {
            std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "there is no such file; check the path"),
            std::io::ErrorKind::PermissionDenied => {
                (ErrorKind::PermissionDenied, "may not be read; check its permissions")
            }
            std::io::ErrorKind::IsADirectory => {
                (ErrorKind::InvalidArgument, "is a folder; name a file in it")
            }
            _ => (ErrorKind::Io, "can't be read"),
        };
        Error::new(kind, stage, m).at(path.display().to_string()).because(e)
    })
}

#[allow(deprecated, reason = "kept working for those who already use it")]
pub(crate) fn device(device: DeviceArg) -> Result<Device, Failure> {
    match device {
        DeviceArg::Flex => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        DeviceArg::Ndarray => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        DeviceArg::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[allow(unreachable_patterns)]
        DeviceArg::Ndarray | DeviceArg::Wgpu => {
            let name = if device == DeviceArg::Wgpu { "wgpu" } else { "ndarray" };
            Err(Failure::usage(format!(
                "this build has no device {name}; install fruitcore with --features cli,{name}, or use --device flex"
            )))
        }
    }
}

//! Weights by the words people use for them, and by what they are.

use crate::{
    Error, ErrorKind, Result, Stage,
    featurize::{
        network::{NetworkKind, NetworkSpec, Variant},
        weights::{Checkpoint, RandomWeights, WeightSource, registry},
    },
    host::{
        run::{hex, read_file},
        weights::{Cache, Entry, Progress},
    },
    model::ModelFile,
    preprocess::{Preset, Recipe},
};
use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, ops::ControlFlow, str::FromStr};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Told which published checkpoint is being fetched, and how far it is.
pub(super) type OnFetch<'a> = Box<dyn FnMut(&'static Entry, Progress) -> ControlFlow<()> + Send + 'a>;

/// Where weights come from.
///
/// ```
/// use fruitcore::host::setup::WeightsFrom;
/// let read = |text: &str| text.parse::<WeightsFrom>();
/// assert_eq!(read("imagenet")?, WeightsFrom::Imagenet);
/// assert_eq!(read("random:3")?, WeightsFrom::Random(3));
/// assert_eq!(read("resnet50-v2")?, WeightsFrom::Published("resnet50-v2".into()));
/// assert_eq!(read("models/resnet50.pth")?, WeightsFrom::File("models/resnet50.pth".into()));
/// assert!(read("random:x").is_err());
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsFrom {
    /// `bundled`: the fruit model in the box, which brings its preprocessing.
    Bundled,
    /// `imagenet`: the usual published checkpoint of network and variant, fetched on first use.
    Imagenet,
    /// `random` or `random:SEED`: generated, a baseline and a way to try everything without a download.
    Random(u64),
    /// A name of the [registry](crate::featurize::weights::registry), fetched on first use.
    Published(String),
    /// A checkpoint file.
    File(PathBuf),
}

impl FromStr for WeightsFrom {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "bundled" => return Ok(Self::Bundled),
            "imagenet" => return Ok(Self::Imagenet),
            "random" => return Ok(Self::Random(0)),
            _ => {}
        }
        if let Some(seed) = s.strip_prefix("random:") {
            let m = format!("the seed of random:SEED is a whole number, not `{seed}`");
            return seed.parse().map(Self::Random).map_err(|_| config(m));
        }
        // A name has no folder and no ending that a checkpoint file has.
        let is_file = s.contains(['/', '\\'])
            || [".safetensors", ".pth", ".pt", ".h5", ".hdf5", ".keras", ".bin"]
                .iter()
                .any(|e| s.ends_with(e))
            || Path::new(s).is_file();
        Ok(if is_file { Self::File(s.into()) } else { Self::Published(s.to_owned()) })
    }
}

/// What can't be read as anything else is taken for a published name, and fails as one.
impl From<&str> for WeightsFrom {
    fn from(s: &str) -> Self {
        s.parse().unwrap_or_else(|_| Self::Published(s.to_owned()))
    }
}

impl From<PathBuf> for WeightsFrom {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for WeightsFrom {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

/// As people write it.
impl fmt::Display for WeightsFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled"),
            Self::Imagenet => f.write_str("imagenet"),
            Self::Random(seed) => write!(f, "random:{seed}"),
            Self::Published(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Weights by what they are, wherever they lie: `random:SEED` or `sha256:DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsId {
    /// Generated from this seed.
    Random(u64),
    /// The SHA-256 of their file, hexadecimal.
    Sha256(String),
}

impl fmt::Display for WeightsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(seed) => write!(f, "random:{seed}"),
            Self::Sha256(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

impl FromStr for WeightsId {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let found = match s.split_once(':') {
            Some(("random", seed)) => seed.parse().ok().map(Self::Random),
            Some(("sha256", digest)) => Some(Self::Sha256(digest.to_owned())),
            _ => None,
        };
        found.ok_or_else(|| {
            let m = format!("`{s}` names no weights; it should be random:SEED or sha256:DIGEST");
            Error::new(ErrorKind::Unsupported, Stage::Weights, m)
        })
    }
}

/// Weights before it is known for which network.
pub(super) enum Given {
    Random(u64),
    Checkpoint(Box<Opened>),
}

/// A checkpoint in memory.
pub(super) struct Opened {
    pub(super) checkpoint: Checkpoint<'static>,
    /// Of its file.
    pub(super) sha256: String,
    pub(super) from: WeightsFrom,
    /// Which published checkpoint it is, if that is known.
    published: Option<&'static Entry>,
    /// A model that training wrote has one.
    recipe: Option<Recipe>,
    /// And temperatures of its heads.
    temperatures: BTreeMap<String, f32>,
}

/// What weights say about themselves.
#[derive(Default)]
pub(super) struct Found {
    pub(super) network: Option<NetworkKind>,
    pub(super) variant: Option<Variant>,
    pub(super) width: Option<f64>,
    pub(super) preset: Option<Preset>,
    /// Only a model that training wrote says all of it.
    pub(super) recipe: Option<Recipe>,
}

impl Given {
    /// Of the heads of a model that training wrote.
    pub(super) fn temperatures(&self) -> BTreeMap<String, f32> {
        match self {
            Self::Random(_) => BTreeMap::new(),
            Self::Checkpoint(opened) => opened.temperatures.clone(),
        }
    }

    /// `kind` and `variant` are what `imagenet` stands for.
    pub(super) fn open(
        from: &WeightsFrom,
        kind: NetworkKind,
        variant: Variant,
        cache: Option<&Cache>,
        on_fetch: &mut Option<OnFetch<'_>>,
    ) -> Result<Self> {
        let user = || cache.cloned().map_or_else(Cache::user, Ok);
        let entry = match from {
            WeightsFrom::Random(seed) => return Ok(Self::Random(*seed)),
            WeightsFrom::Bundled => {
                return Opened::of(Cow::Borrowed(bundled()?), from.clone()).map(Self::from);
            }
            WeightsFrom::File(path) => {
                let mut opened = Opened::of(read_file(path, Stage::Weights)?.into(), from.clone())?;
                // Without a cache nothing was fetched into one.
                let known = || user().ok()?.entry_of(path, &opened.sha256);
                opened.published = registry::by_digest(&opened.sha256).or_else(known);
                return Ok(opened.into());
            }
            WeightsFrom::Published(name) => registry::find(name)?,
            WeightsFrom::Imagenet => registry::imagenet(kind, variant)?,
        };
        let cache = user()?;
        let path = cache.fetch(entry, &mut |progress| match on_fetch {
            Some(tell) => tell(entry, progress),
            None => ControlFlow::Continue(()),
        })?;
        let opened = Opened::of(read_file(&path, Stage::Weights)?.into(), path.into())?;
        Ok(Opened { published: Some(entry), ..opened }.into())
    }

    pub(super) fn id(&self) -> WeightsId {
        match self {
            Self::Random(seed) => WeightsId::Random(*seed),
            Self::Checkpoint(opened) => WeightsId::Sha256(opened.sha256.clone()),
        }
    }

    /// Values for a network's parameters; an error if these are another network's.
    pub(super) fn source(&self, network: &NetworkSpec) -> Result<Box<dyn WeightSource + Send + Sync + '_>> {
        match self {
            Self::Random(seed) => Ok(Box::new(RandomWeights::new(&network.graph()?, *seed))),
            Self::Checkpoint(opened) => {
                opened.checkpoint.check(network).map_err(|e| e.at(opened.from.to_string()))?;
                Ok(Box::new(&opened.checkpoint))
            }
        }
    }

    pub(super) fn describe(&self) -> Found {
        let Self::Checkpoint(opened) = self else { return Found::default() };
        let found = opened.checkpoint.inspect();
        // A name may be wrong about what it names.
        let is = |entry: &&Entry| found.network.is_none_or(|network| network == entry.network);
        let published = opened.published.filter(is).map(|entry| entry.preset);
        let own = opened.recipe.as_ref().map(Recipe::name);
        // Where timm published one checkpoint of these names, others of its names were trained alike.
        let timm = |e: &&Entry| found.timm && Some(e.network) == found.network && e.name.starts_with("timm-");
        let named = || match registry::list().iter().filter(timm).collect::<Vec<_>>()[..] {
            [entry] => Some(entry.preset),
            _ => None,
        };
        Found {
            network: found.network,
            variant: found.variant,
            width: found.width,
            preset: published.or(own).or_else(named).and_then(|name| name.parse().ok()),
            recipe: opened.recipe.clone(),
        }
    }
}

impl From<Opened> for Given {
    fn from(opened: Opened) -> Self {
        Self::Checkpoint(Box::new(opened))
    }
}

impl Opened {
    /// The whole content of a file, or the model in the box.
    fn of(bytes: Cow<'static, [u8]>, from: WeightsFrom) -> Result<Self> {
        let shown = from.to_string();
        let is_model = ModelFile::is_model(&bytes);
        let model = is_model.then(|| ModelFile::from_bytes(&bytes)).transpose();
        let model = model.map_err(|e| e.at(&*shown))?;
        let recipe = model.as_ref().map(|model| model.recipe().clone());
        let temperatures = model.map(|model| model.temperatures().clone()).unwrap_or_default();
        let sha256 = digest(&bytes);
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| e.at(&*shown))?.labelled(shown);
        Ok(Self { checkpoint, sha256, from, published: None, recipe, temperatures })
    }
}

/// The cached file with this SHA-256, whatever digest its publisher states.
pub(super) fn cached(sha256: &str) -> Result<Option<PathBuf>> {
    let cache = Cache::user()?;
    if let Some(entry) = registry::by_digest(sha256) {
        let path = cache.path(entry);
        return Ok(path.exists().then_some(path));
    }
    let paths = registry::list().iter().map(|entry| cache.path(entry));
    let same = |path: &PathBuf| read_file(path, Stage::Weights).is_ok_and(|bytes| digest(&bytes) == sha256);
    Ok(paths.filter(|path| path.exists()).find(same))
}

pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(feature = "bundled")]
pub(crate) fn bundled() -> Result<&'static [u8]> {
    Ok(crate::model::BUNDLED)
}

#[cfg(not(feature = "bundled"))]
pub(crate) fn bundled() -> Result<&'static [u8]> {
    let m = "this build has no model in the box (feature `bundled`); name a checkpoint";
    Err(Error::new(ErrorKind::Unsupported, Stage::Weights, m))
}

pub(super) fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, Stage::Config, message)
}

#[cfg(test)]
impl Given {
    /// A published checkpoint whose file is not at hand.
    pub(super) fn published(entry: &'static Entry) -> Self {
        let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
        let opened = Opened::of(bytes.into(), WeightsFrom::Published(entry.name.into())).unwrap();
        Opened { published: Some(entry), ..opened }.into()
    }
}

/// The names of all that a list can be.
pub(super) fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> String {
    all.iter().map(|v| name(*v)).collect::<Vec<_>>().join(", ")
}

//! Which network, with which weights, where.

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use fruitcore::featurize::network::{NetworkKind, Tap, Variant};
use std::{path::PathBuf, str::FromStr};

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// The network whose last layers give the features
    /// [default: what the checkpoint is of, else mobilenet-v2]
    #[arg(long, value_parser = named(NetworkKind::ALL, NetworkKind::name))]
    pub(crate) network: Option<NetworkKind>,
    /// Whose weights they are; they differ in strides, padding and preprocessing
    /// [default: what the checkpoint is, else torchvision]
    #[arg(long, value_parser = named(Variant::ALL, Variant::name))]
    pub(crate) variant: Option<Variant>,
    /// Width multiplier of mobilenet-v2, 0.35 to 1.4 [default: the checkpoint's, else 1]
    #[arg(long, value_name = "X")]
    pub(crate) width: Option<f64>,
    /// Input size in pixels: one side, or HEIGHTxWIDTH with a recipe of that size
    /// [default: the recipe's, else 224]
    #[arg(long, value_name = "N|HxW")]
    pub(crate) input_size: Option<InputSize>,
    /// A checkpoint file (.safetensors, .pth, .h5, .weights.h5); a name from `weights list`;
    /// `imagenet` for the network's usual one, fetched on first use; `bundled` for the fruit model in
    /// the box; `random` or `random:SEED` [default: bundled, unless another network is asked for]
    #[arg(long, value_name = "FILE|NAME|imagenet|bundled|random")]
    pub(crate) weights: Option<WeightsArg>,
    /// The layer features are taken from [default: fc2 for vgg16, else pooled]
    #[arg(long, value_parser = named(Tap::ALL, Tap::name))]
    pub(crate) tap: Option<Tap>,
    /// Preprocessing: a preset's name or a recipe as a JSON file
    /// [default: what the weights were trained with]
    #[arg(long, value_name = "PRESET|FILE")]
    pub(crate) recipe: Option<String>,
    /// Where the network computes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceArg,
}

/// Where the network computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceArg {
    /// Any CPU; the default
    #[default]
    Flex,
    /// Burn's older CPU backend
    Ndarray,
    /// A GPU through Vulkan, Metal or DX12
    Wgpu,
}

/// `224` or `HEIGHTxWIDTH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InputSize(pub(crate) [usize; 2]);

impl FromStr for InputSize {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let side = |s: &str| {
            s.parse::<usize>().map_err(|_| "write one side (224) or HEIGHTxWIDTH (96x128)".to_owned())
        };
        match s.split_once(['x', 'X']) {
            Some((h, w)) => Ok(Self([side(h)?, side(w)?])),
            None => side(s).map(|n| Self([n, n])),
        }
    }
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WeightsArg {
    /// The fruit model in the box.
    Bundled,
    /// The usual ImageNet checkpoint of network and variant.
    Imagenet,
    /// Generated from a seed: a baseline, and a way to try everything without a download.
    Random(u64),
    /// A name of the registry.
    Named(String),
    /// A file.
    File(PathBuf),
}

impl FromStr for WeightsArg {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s == "bundled" {
            return Ok(Self::Bundled);
        }
        if s == "imagenet" {
            return Ok(Self::Imagenet);
        }
        if let Some(seed) = s.strip_prefix("random") {
            let seed = match seed.strip_prefix(':') {
                _ if seed.is_empty() => Some(0),
                Some(seed) => seed.parse().ok(),
                None => None,
            };
            if let Some(seed) = seed {
                return Ok(Self::Random(seed));
            }
            if s.starts_with("random:") {
                return Err("the seed of random:SEED is a whole number".to_owned());
            }
        }
        // A name has no folder and no ending that a checkpoint file has.
        let is_file = s.contains(['/', '\\'])
            || [".safetensors", ".pth", ".pt", ".h5", ".hdf5", ".keras", ".bin"]
                .iter()
                .any(|e| s.ends_with(e))
            || std::path::Path::new(s).is_file();
        Ok(if is_file { Self::File(PathBuf::from(s)) } else { Self::Named(s.to_owned()) })
    }
}

/// A parser that knows all names, for help, errors and completions.
fn named<T>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + FromStr<Err = fruitcore::Error> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(move |v| name(*v)))
        .try_map(|s| super::parse::<T>(&s).map_err(Misnamed))
}

#[derive(Debug)]
struct Misnamed(String);

impl core::fmt::Display for Misnamed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Misnamed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_told_apart() {
        let of = |s: &str| s.parse::<WeightsArg>();
        assert_eq!(of("imagenet"), Ok(WeightsArg::Imagenet));
        assert_eq!(of("bundled"), Ok(WeightsArg::Bundled));
        assert_eq!(of("./bundled"), Ok(WeightsArg::File("./bundled".into())));
        assert_eq!(of("random"), Ok(WeightsArg::Random(0)));
        assert_eq!(of("random:7"), Ok(WeightsArg::Random(7)));
        assert!(of("random:x").is_err());
        assert_eq!(of("a/b"), Ok(WeightsArg::File("a/b".into())));
        assert_eq!(of("resnet50.pth"), Ok(WeightsArg::File("resnet50.pth".into())));
        assert_eq!(of("random.pth"), Ok(WeightsArg::File("random.pth".into())));
        assert_eq!(of("resnet50-v2"), Ok(WeightsArg::Named("resnet50-v2".into())));
    }

    #[test]
    fn input_sizes() {
        assert_eq!("96".parse(), Ok(InputSize([96, 96])));
        assert_eq!("96x128".parse(), Ok(InputSize([96, 128])));
        assert!("96x".parse::<InputSize>().is_err());
        assert!("big".parse::<InputSize>().is_err());
    }
}

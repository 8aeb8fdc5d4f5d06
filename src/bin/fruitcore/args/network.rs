//! Which network, with which weights, where.

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use fruitcore::featurize::{
    Precision,
    network::{NetworkKind, Tap, Variant},
};
use std::str::FromStr;

pub(crate) use fruitcore::host::setup::WeightsFrom as WeightsArg;

/// Which network; `run`, `train` and `profile` share it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct ShapeArgs {
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
    /// [default: the recipe's, else 224; for training 96]
    #[arg(long, visible_alias = "input", value_name = "N|HxW")]
    pub(crate) input_size: Option<InputSize>,
}

/// What comes before a network, and where it computes; `run` and `train` share it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct PlaceArgs {
    /// Preprocessing: a preset's name or a recipe as a JSON file
    /// [default: what the weights were trained with; for training `simple`]
    #[arg(long, value_name = "PRESET|FILE")]
    pub(crate) recipe: Option<String>,
    /// Where the network computes
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceArg,
}

/// A network with weights.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// A checkpoint file (.safetensors, .pth, .h5, .weights.h5); a name from `weights list`;
    /// `imagenet` for the network's usual one, fetched on first use; `bundled` for the fruit model in
    /// the box; `random` or `random:SEED` [default: bundled, unless another network is asked for]
    #[arg(long, value_name = "FILE|NAME|imagenet|bundled|random", value_parser = super::parse::<WeightsArg>)]
    pub(crate) weights: Option<WeightsArg>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// The layer features are taken from [default: fc2 for vgg16, else pooled]
    #[arg(long, value_parser = named(Tap::ALL, Tap::name))]
    pub(crate) tap: Option<Tap>,
    /// What products are computed in: bf16 and int8 are faster on CPUs that have them, f16 on GPUs, and
    /// less exact (`fruitcore precision` shows how much on a CPU)
    #[arg(long, default_value_t, value_parser = named(Precision::ALL, Precision::name))]
    pub(crate) precision: Precision,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
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

/// A parser that knows all names, for help, errors and completions.
pub(super) fn named<T>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
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
    fn input_sizes() {
        assert_eq!("96".parse(), Ok(InputSize([96, 96])));
        assert_eq!("96x128".parse(), Ok(InputSize([96, 128])));
        assert!("96x".parse::<InputSize>().is_err());
        assert!("big".parse::<InputSize>().is_err());
    }
}

//! [`NetworkSpec`]: which network, from which family of checkpoints, up to where, for which size.

use super::blocks::side_error;
use super::{Graph, mobilenet_v2, resnet50, vgg16};
use crate::featurize::Precision;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::format;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// A network architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NetworkKind {
    /// VGG16 (Simonyan & Zisserman 2014, configuration D).
    #[serde(rename = "vgg16")]
    Vgg16,
    /// ResNet50 (He et al. 2015).
    #[serde(rename = "resnet50")]
    Resnet50,
    /// MobileNetV2 (Sandler et al. 2018).
    #[serde(rename = "mobilenet-v2")]
    MobileNetV2,
}

/// The framework whose weights a network takes; the graphs differ in stride placement, padding,
/// convolution biases, BatchNorm's ε and flattening order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Variant {
    /// As `torchvision.models` (timm's weights of the same networks fit it too).
    #[serde(rename = "torchvision")]
    Torchvision,
    /// As `keras.applications`.
    #[serde(rename = "keras")]
    Keras,
}

/// The layer features are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Tap {
    /// Global average over the last convolutional map (VGG16: after its last max pooling).
    #[serde(rename = "pooled")]
    Pooled,
    /// VGG16's first fully connected layer, after ReLU.
    #[serde(rename = "fc1")]
    Fc1,
    /// VGG16's second fully connected layer, after ReLU.
    #[serde(rename = "fc2")]
    Fc2,
}

/// Everything that determines a network but its weights. Serialisable; part of a pipeline artifact.
///
/// ```
/// use fruitcore::featurize::network::{NetworkKind, NetworkSpec, Variant};
///
/// let spec = NetworkSpec::new(NetworkKind::MobileNetV2).variant(Variant::Keras).width(0.35).input(96, 96);
/// assert_eq!(spec.feature_len()?, 1280);
/// assert_eq!(spec.preset(), "keras-tf");
/// assert_eq!(spec.to_string(), "mobilenet-v2 0.35 (keras, pooled, 96x96)");
/// let faster = spec.precision(fruitcore::featurize::Precision::Int8);
/// assert_eq!(faster.to_string(), "mobilenet-v2 0.35 (keras, pooled, 96x96, int8)");
/// let graph = spec.graph()?;
/// assert_eq!(graph.input_shape(), [3, 96, 96]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkSpec {
    /// The architecture.
    pub kind: NetworkKind,
    /// Whose weights it takes.
    pub variant: Variant,
    /// Where features are taken.
    pub tap: Tap,
    /// Width multiplier: 0.35 to 1.4 for MobileNetV2, 1 for the others.
    pub width: f64,
    /// Height and width of the input in pixels, each 32 to 4,096.
    pub input: [usize; 2],
    /// What its products are computed in on the CPU. Files leave it out in full precision, as those did
    /// that were written before there was another.
    #[serde(default, skip_serializing_if = "Precision::is_full")]
    pub precision: Precision,
}

const MIN_SIDE: usize = 32;
const MAX_SIDE: usize = 4096;

impl NetworkSpec {
    /// The network at full width for 224×224, torchvision variant, tapped before the classifier:
    /// fc2 for VGG16, pooled for the others.
    pub fn new(kind: NetworkKind) -> Self {
        let tap = if kind == NetworkKind::Vgg16 { Tap::Fc2 } else { Tap::Pooled };
        let (variant, precision) = (Variant::Torchvision, Precision::F32);
        Self { kind, variant, tap, width: 1.0, input: [224, 224], precision }
    }

    /// With another variant.
    #[must_use]
    pub fn variant(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }

    /// With another tap.
    #[must_use]
    pub fn tap(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// With another width multiplier.
    #[must_use]
    pub fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }

    /// With another input size, in pixels.
    #[must_use]
    pub fn input(self, height: usize, width: usize) -> Self {
        Self { input: [height, width], ..self }
    }

    /// With another precision.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The network's definition.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the network doesn't exist with this tap, width or size; the
    /// message says what does.
    pub fn graph(&self) -> Result<Graph> {
        if self.input.iter().any(|side| !(MIN_SIDE..=MAX_SIDE).contains(side)) {
            return Err(side_error(self.input, "each side must be 32 to 4096 pixels"));
        }
        if self.tap != Tap::Pooled && self.kind != NetworkKind::Vgg16 {
            return Err(invalid(format!("{} has no tap `{}`; use `pooled`", self.kind, self.tap)));
        }
        if self.width != 1.0 && self.kind != NetworkKind::MobileNetV2 {
            return Err(invalid(format!(
                "{} exists only at width 1, found {}; widths are for mobilenet-v2",
                self.kind, self.width
            )));
        }
        match self.kind {
            NetworkKind::Vgg16 => vgg16::build(self.variant, self.tap, self.input),
            NetworkKind::Resnet50 => resnet50::build(self.variant, self.input),
            NetworkKind::MobileNetV2 => mobilenet_v2::build(self.variant, self.width, self.input),
        }
    }

    /// Length of the feature vector.
    ///
    /// # Errors
    /// As [`NetworkSpec::graph`].
    pub fn feature_len(&self) -> Result<usize> {
        Ok(self.graph()?.feature_len())
    }

    /// Name of the preprocessing preset the variant's published weights were trained with.
    pub fn preset(&self) -> &'static str {
        match (self.variant, self.kind) {
            (Variant::Torchvision, _) => "torchvision-v1",
            (Variant::Keras, NetworkKind::MobileNetV2) => "keras-tf",
            (Variant::Keras, NetworkKind::Vgg16 | NetworkKind::Resnet50) => "keras-caffe",
        }
    }
}

impl fmt::Display for NetworkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [h, w] = self.input;
        write!(f, "{}", self.kind)?;
        if self.kind == NetworkKind::MobileNetV2 {
            write!(f, " {}", self.width)?;
        }
        write!(f, " ({}, {}, {h}x{w}", self.variant, self.tap)?;
        if !self.precision.is_full() {
            write!(f, ", {}", self.precision)?;
        }
        f.write_str(")")
    }
}

fn invalid(message: alloc::string::String) -> Error {
    Error::new(ErrorKind::InvalidArgument, Stage::Config, message)
}

/// `FromStr`, `Display` and `ALL` from one table of names.
macro_rules! names {
    ($type:ident, $what:literal, $($value:ident = $name:literal),+) => {
        impl $type {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The name in options and files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(s: &str) -> Result<Self> {
                Self::ALL.iter().copied().find(|v| v.name() == s).ok_or_else(|| {
                    let known = [$($name),+].join(", ");
                    invalid(format!(concat!("unknown ", $what, " `{}`; known: {}"), s, known))
                })
            }
        }
    };
}
names!(NetworkKind, "network", Vgg16 = "vgg16", Resnet50 = "resnet50", MobileNetV2 = "mobilenet-v2");
names!(Variant, "variant", Torchvision = "torchvision", Keras = "keras");
names!(Tap, "tap", Pooled = "pooled", Fc1 = "fc1", Fc2 = "fc2");

//! What a checkpoint file holds, for `inspect` commands and error messages.

use super::identify::Identity;
use super::stored::DType;
use crate::featurize::network::{NetworkKind, Variant};
use alloc::{format, string::String, vec::Vec};
use core::fmt;

/// File formats a checkpoint comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `.safetensors`.
    Safetensors,
    /// PyTorch's `.pth` since 1.6: a zip archive.
    TorchZip,
    /// PyTorch's `.pth` before 1.6: a stream of pickles.
    TorchLegacy,
    /// A whole Keras model in HDF5.
    KerasModel,
    /// Keras weights in the layout of Keras 1 and 2.
    KerasWeights,
    /// Keras 3's `.weights.h5`.
    KerasV3,
    /// Keras 3's `.keras` archive.
    KerasArchive,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safetensors => "safetensors file",
            Self::TorchZip => "PyTorch .pth",
            Self::TorchLegacy => "PyTorch .pth (format before 1.6)",
            Self::KerasModel => "Keras .h5 model",
            Self::KerasWeights => "Keras .h5 weights file",
            Self::KerasV3 => "Keras .weights.h5",
            Self::KerasArchive => "Keras .keras archive",
        })
    }
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name (HDF5: path) in the file.
    pub name: String,
    /// The network's name for it, if it belongs to a known network.
    pub network_name: Option<String>,
    /// Element type.
    pub dtype: DType,
    /// Shape in the file.
    pub shape: Vec<usize>,
}

/// What a checkpoint file holds.
///
/// Displays as one line: "a Keras .h5 weights file of resnet50 (notop), 106 layers, 23587712 values".
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Its format, by content.
    pub format: Format,
    /// The network it belongs to, if it is a known one.
    pub network: Option<NetworkKind>,
    /// The variant of the network whose weights these are.
    pub variant: Option<Variant>,
    /// Width multiplier, where all shapes agree on one.
    pub width: Option<f64>,
    /// Whether the classifier is included.
    pub head: bool,
    /// Whose names are used, or which other network it looks like.
    pub note: String,
    /// Keras layers that have weights.
    pub layers: Option<usize>,
    /// Every tensor, in the file's order.
    pub tensors: Vec<TensorInfo>,
    /// Floating-point values in all tensors, BatchNorm statistics included.
    pub values: u64,
    /// Whether the names are timm's where torchvision has others: those of MobileNetV2, and of VGG16 with its
    /// fully connected layers.
    pub timm: bool,
}

impl Inspection {
    pub(super) fn new(
        format: Format,
        identity: &Identity,
        width: Option<f64>,
        tensors: Vec<TensorInfo>,
    ) -> Self {
        let elements = |t: &TensorInfo| t.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
        let values =
            tensors.iter().filter(|t| t.dtype.is_float()).fold(0u64, |n, t| n.saturating_add(elements(t)));
        Self {
            format,
            network: identity.kind,
            variant: identity.variant,
            width,
            head: identity.head,
            note: identity.text.clone(),
            layers: identity.layers,
            tensors,
            values,
            timm: identity.timm,
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} of ", self.format)?;
        match self.network {
            Some(network) => {
                write!(f, "{network}")?;
                if let Some(width) = self.width.filter(|&w| w != 1.0) {
                    write!(f, " {width}")?;
                }
                let mut notes = Vec::new();
                if !self.note.is_empty() {
                    notes.push(self.note.clone());
                }
                notes.push(if self.head { "with top".into() } else { String::from("notop") });
                write!(f, " ({})", notes.join(", "))?;
            }
            None => f.write_str(&self.note)?,
        }
        let count = match self.layers {
            Some(layers) => format!("{layers} layers"),
            None => format!("{} tensors", self.tensors.len()),
        };
        write!(f, ", {count}, {} values", self.values)
    }
}

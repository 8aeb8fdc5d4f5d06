//! [`Preset`]: the complete recipe of each checkpoint family, by name.

use super::{Normalization, Recipe, ResizeFilter, ResizeTo, Step, fail};
use crate::{Error, ErrorKind, Result};
use alloc::{format, string::String, vec::Vec};
use core::{fmt, str::FromStr};

/// How a family of checkpoints expects its input, for any input size.
///
/// ```
/// use fruitcore::preprocess::Preset;
/// let preset: Preset = "torchvision-v2".parse()?;
/// assert_eq!(preset.recipe(224)?.output_shape(), [3, 224, 224]);
/// for preset in Preset::ALL {
///     assert_eq!(preset.name().parse::<Preset>()?, *preset);
///     println!("{preset}: {}", preset.description());
/// }
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// OpenCV Gaussian 3×3, OpenCV linear, Keras caffe values: VGG16 and ResNet50 of Keras, as in
    /// notebooks that read pictures with OpenCV.
    NotebookCaffe,
    /// OpenCV Gaussian 3×3, OpenCV linear, Keras tf values: MobileNetV2 of Keras, as in notebooks
    /// that read pictures with OpenCV.
    NotebookTf,
    /// OpenCV Gaussian 3×3, OpenCV linear, torchvision values.
    NotebookTorchvision,
    /// Keras `load_img(target_size=…)`, which is Pillow nearest, with caffe values: VGG16, ResNet50.
    KerasCaffe,
    /// Keras `load_img(target_size=…)`, which is Pillow nearest, with tf values: MobileNetV2.
    KerasTf,
    /// torchvision `IMAGENET1K_V1`: shorter side 256 for 224, Pillow bilinear, centre crop.
    TorchvisionV1,
    /// torchvision `IMAGENET1K_V2`: shorter side 232 for 224, Pillow bilinear, centre crop.
    TorchvisionV2,
    /// timm `tv_in1k`: bilinear, crop 0.875.
    TimmTv,
    /// timm `a1_in1k`: bicubic, crop 0.95.
    TimmA1,
    /// timm `ra_in1k`: bicubic, crop 0.875.
    TimmRa,
    /// Pillow bilinear to the exact size, torchvision values: for small networks trained here.
    Simple,
}

impl Preset {
    /// Every preset.
    pub const ALL: &[Self] = &[
        Self::NotebookCaffe,
        Self::NotebookTf,
        Self::NotebookTorchvision,
        Self::KerasCaffe,
        Self::KerasTf,
        Self::TorchvisionV1,
        Self::TorchvisionV2,
        Self::TimmTv,
        Self::TimmA1,
        Self::TimmRa,
        Self::Simple,
    ];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotebookCaffe => "notebook-caffe",
            Self::NotebookTf => "notebook-tf",
            Self::NotebookTorchvision => "notebook-torchvision",
            Self::KerasCaffe => "keras-caffe",
            Self::KerasTf => "keras-tf",
            Self::TorchvisionV1 => "torchvision-v1",
            Self::TorchvisionV2 => "torchvision-v2",
            Self::TimmTv => "timm-tv",
            Self::TimmA1 => "timm-a1",
            Self::TimmRa => "timm-ra",
            Self::Simple => "simple",
        }
    }

    /// One line on what it does.
    pub fn description(self) -> &'static str {
        match self {
            Self::NotebookCaffe => "OpenCV Gaussian 3x3, OpenCV linear resize, Keras caffe values",
            Self::NotebookTf => "OpenCV Gaussian 3x3, OpenCV linear resize, Keras tf values",
            Self::NotebookTorchvision => "OpenCV Gaussian 3x3, OpenCV linear resize, torchvision values",
            Self::KerasCaffe => "Keras load_img (Pillow nearest), caffe values: VGG16, ResNet50",
            Self::KerasTf => "Keras load_img (Pillow nearest), tf values: MobileNetV2",
            Self::TorchvisionV1 => "torchvision IMAGENET1K_V1: shorter side 256/224, bilinear, centre crop",
            Self::TorchvisionV2 => "torchvision IMAGENET1K_V2: shorter side 232/224, bilinear, centre crop",
            Self::TimmTv => "timm tv_in1k: bilinear, crop 0.875",
            Self::TimmA1 => "timm a1_in1k: bicubic, crop 0.95",
            Self::TimmRa => "timm ra_in1k: bicubic, crop 0.875",
            Self::Simple => "Pillow bilinear to the exact size, torchvision values",
        }
    }

    /// The input size its checkpoints are usually used with.
    pub fn default_size(self) -> usize {
        if self == Self::Simple { 96 } else { 224 }
    }

    /// The recipe for a square input of `size` pixels a side.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] or [`ErrorKind::Limit`] for a size that no picture has.
    pub fn recipe(self, size: usize) -> Result<Recipe> {
        use Normalization::{KerasCaffe, KerasTf, Torchvision};
        use ResizeFilter::{OpencvLinear, PillowBicubic, PillowBilinear, PillowNearest};
        let exact = ResizeTo::Exact { height: size, width: size };
        let resize = |filter, to| Step::Resize { filter, to };
        let notebook =
            |method| [Step::Gaussian3x3 {}, resize(OpencvLinear, exact), Step::Normalize { method }].to_vec();
        let keras = |method| [resize(PillowNearest, exact), Step::Normalize { method }].to_vec();
        let cropped = |filter, shorter| {
            let crop = Step::CenterCrop { height: size, width: size };
            [resize(filter, ResizeTo::Shorter(shorter)), crop, Step::Normalize { method: Torchvision }]
                .to_vec()
        };
        let steps: Vec<Step> = match self {
            Self::NotebookCaffe => notebook(KerasCaffe),
            Self::NotebookTf => notebook(KerasTf),
            Self::NotebookTorchvision => notebook(Torchvision),
            Self::KerasCaffe => keras(KerasCaffe),
            Self::KerasTf => keras(KerasTf),
            // The published sizes are 256 and 232 for 224; other sizes keep the proportion.
            Self::TorchvisionV1 => cropped(PillowBilinear, timm_size(size, 0.875)),
            Self::TorchvisionV2 => {
                cropped(PillowBilinear, ((size as u64).saturating_mul(232) / 224) as usize)
            }
            Self::TimmTv => cropped(PillowBilinear, timm_size(size, 0.875)),
            Self::TimmA1 => cropped(PillowBicubic, timm_size(size, 0.95)),
            Self::TimmRa => cropped(PillowBicubic, timm_size(size, 0.875)),
            Self::Simple => [resize(PillowBilinear, exact), Step::Normalize { method: Torchvision }].to_vec(),
        };
        Recipe::new(self.name(), steps)
    }
}

/// timm's `math.floor(img_size / crop_pct)`.
fn timm_size(size: usize, crop: f64) -> usize {
    (size as f64 / crop) as usize
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|p| p.name() == s).ok_or_else(|| {
            let mut names = String::new();
            for (i, preset) in Self::ALL.iter().enumerate() {
                names.push_str(if i > 0 { ", " } else { "" });
                names.push_str(preset.name());
            }
            fail(ErrorKind::NotFound, format!("there is no preset {s:?}: choose one of {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_picture_has_are_errors() {
        for preset in Preset::ALL {
            // The smallest whose product with 232 would wrap to a small one, too.
            for size in [usize::MAX, (u64::MAX / 232) as usize + 1, 0] {
                assert!(preset.recipe(size).is_err(), "{preset} {size}");
            }
        }
    }
}

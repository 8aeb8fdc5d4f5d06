//! [`Recipe`]: the steps from a picture to a network's input, as data.

use super::{Normalization, ResizeFilter, ResizeTo, fail, planes};
use crate::{Error, ErrorKind, Result};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// One step. In JSON an object whose `step` names it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Step {
    /// Gaussian denoising: OpenCV `GaussianBlur(src, (3, 3), 0)`, that is [1 2 1]/4 both ways with
    /// a reflect-101 border. Identical bytes.
    #[serde(rename = "gaussian-3x3")]
    Gaussian3x3 {},
    /// Median denoising: OpenCV `medianBlur(src, 3)`. Identical bytes.
    #[serde(rename = "median-3x3")]
    Median3x3 {},
    /// Histogram equalisation of luma: OpenCV `equalizeHist` on the Y of `COLOR_RGB2YCrCb`, and
    /// back. Identical bytes.
    Equalize {},
    /// Contrast-limited adaptive equalisation of luma: OpenCV `createCLAHE(clipLimit, tiles)` on the
    /// Y of `COLOR_RGB2YCrCb`, and back. Identical bytes.
    Clahe {
        /// OpenCV's `clipLimit` (its default is 40); 0 doesn't clip.
        clip_limit: f64,
        /// OpenCV's `tileGridSize` (its default is 8×8): columns, rows, each 1 to 64.
        tiles: [usize; 2],
    },
    /// Resize.
    Resize {
        /// Whose arithmetic.
        filter: ResizeFilter,
        /// The new size.
        to: ResizeTo,
    },
    /// Centre crop as torchvision's `CenterCrop`: ties of the offset go to even, what is missing is
    /// padded with zeros.
    CenterCrop {
        /// Rows kept.
        height: usize,
        /// Columns kept.
        width: usize,
    },
    /// Order of the output channels. Without this step it is RGB; [`Normalization::KerasCaffe`]
    /// brings its own.
    ChannelOrder {
        /// The order from here on.
        order: ChannelOrder,
    },
    /// Bytes to normalised floats; always the last step.
    Normalize {
        /// The values.
        method: Normalization,
    },
}

/// Order of the output channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Ordered steps from a picture to the planar floats a network expects.
///
/// Serialises to JSON made to be read and written by people:
///
/// ```
/// use fruitcore::preprocess::Recipe;
/// let recipe = Recipe::from_json(r#"{
///   "version": 1,
///   "name": "small and flat",
///   "steps": [
///     { "step": "gaussian-3x3" },
///     { "step": "resize", "filter": "pillow-bilinear", "to": { "shorter": 110 } },
///     { "step": "center-crop", "height": 96, "width": 96 },
///     { "step": "normalize", "method": "torchvision" }
///   ]
/// }"#)?;
/// assert_eq!(recipe.output_shape(), [3, 96, 96]);
/// assert_eq!(Recipe::from_json(&recipe.to_json())?, recipe);
/// # Ok::<(), fruitcore::Error>(())
/// ```
///
/// A recipe is valid by construction: it ends with exactly one [`Step::Normalize`], its output size
/// doesn't depend on the picture, and no step follows one it can't follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Recipe {
    version: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    steps: Vec<Step>,
}

/// What JSON can say; becomes a [`Recipe`] if it is valid.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    version: u32,
    #[serde(default)]
    name: String,
    steps: Vec<Step>,
}

impl TryFrom<Unchecked> for Recipe {
    type Error = Error;

    fn try_from(raw: Unchecked) -> Result<Self> {
        if raw.version != Recipe::VERSION {
            let (found, known) = (raw.version, Recipe::VERSION);
            let message = format!("recipe version {found} is not the one this build reads ({known})");
            return Err(fail(ErrorKind::Unsupported, message));
        }
        Recipe::new(raw.name, raw.steps)
    }
}

impl Recipe {
    /// The version of the JSON form that this build writes and reads.
    pub const VERSION: u32 = 1;

    /// A recipe of these steps. `name` is for people and may be empty.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the steps don't make a recipe: says which and why.
    ///
    /// ```
    /// use fruitcore::preprocess::{Normalization, Recipe, ResizeFilter, ResizeTo, Step};
    /// let to = ResizeTo::Exact { height: 64, width: 48 };
    /// let recipe = Recipe::new("mine", [
    ///     Step::Resize { filter: ResizeFilter::PillowBilinear, to },
    ///     Step::Normalize { method: Normalization::KerasTf },
    /// ])?;
    /// assert_eq!(recipe.output_shape(), [3, 64, 48]);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    pub fn new(name: impl Into<String>, steps: impl Into<Vec<Step>>) -> Result<Self> {
        let steps = steps.into();
        for (i, step) in steps.iter().enumerate() {
            validate(&steps, i, step).map_err(|e| e.at(format!("recipe step {}", i + 1)))?;
        }
        let recipe = Self { version: Self::VERSION, name: name.into(), steps };
        if !matches!(recipe.steps.last(), Some(Step::Normalize { .. })) {
            return Err(fail(ErrorKind::InvalidArgument, "a recipe ends with a normalize step: add one"));
        }
        match recipe.size() {
            Some([h, w]) => planes::check_size(w, h)?,
            None => {
                return Err(fail(
                    ErrorKind::InvalidArgument,
                    "the output size depends on the picture: add an exact resize or a center-crop",
                ));
            }
        }
        Ok(recipe)
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is no JSON, has unknown fields or steps, or doesn't make
    /// a recipe; the message has line and column.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|e| fail(ErrorKind::InvalidArgument, format!("not a recipe: {e}")))
    }

    /// The JSON form, indented.
    pub fn to_json(&self) -> String {
        // Only a map key or a failing writer can make this fail; there is neither.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// What it is called; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Channels (3), height and width of the result.
    pub fn output_shape(&self) -> [usize; 3] {
        let [h, w] = self.size().unwrap_or([0, 0]);
        [3, h, w]
    }

    /// The same on the middle of each picture: of what it shows now, `share` along each side (timm's
    /// `crop_pct`). The last resize makes pictures larger by `1 / share`, rounded down, and a centre crop
    /// takes the size they had.
    ///
    /// ```
    /// use fruitcore::preprocess::{Preset, Recipe, ResizeTo, Step};
    /// let recipe = Preset::Simple.recipe(96)?.with_crop_pct(0.875)?;
    /// assert_eq!(recipe.output_shape(), [3, 96, 96]);
    /// assert!(matches!(recipe.steps()[0], Step::Resize { to: ResizeTo::Exact { height: 109, .. }, .. }));
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a share that isn't above 0 and at most 1, or if the recipe has no
    /// resize; [`ErrorKind::Limit`] if pictures became too large.
    pub fn with_crop_pct(&self, share: f32) -> Result<Self> {
        let bad = |message: &str| Err(fail(ErrorKind::InvalidArgument, message));
        if !(share > 0.0 && share <= 1.0) {
            return bad("crop-pct is a share above 0 and at most 1");
        }
        if share == 1.0 {
            return Ok(self.clone());
        }
        let (mut steps, [_, height, width]) = (self.steps.clone(), self.output_shape());
        let at = steps.iter().rposition(|step| matches!(step, Step::Resize { .. }));
        let Some((at, Step::Resize { to, .. })) = at.and_then(|at| Some((at, steps.get_mut(at)?))) else {
            return bad("crop-pct needs a resize in the recipe: add one");
        };
        let larger = |n: usize| (n as f64 / f64::from(share)) as usize;
        *to = match *to {
            ResizeTo::Exact { height, width } => {
                ResizeTo::Exact { height: larger(height), width: larger(width) }
            }
            ResizeTo::Shorter(n) => ResizeTo::Shorter(larger(n)),
        };
        if !matches!(steps.get(at + 1), Some(Step::CenterCrop { .. })) {
            steps.insert(at + 1, Step::CenterCrop { height, width });
        }
        Self::new(self.name.clone(), steps)
    }

    /// Height and width after the last step, if they don't depend on the picture.
    fn size(&self) -> Option<[usize; 2]> {
        self.steps.iter().fold(None, |size, step| match *step {
            Step::Resize { to: ResizeTo::Exact { height, width }, .. } => Some([height, width]),
            Step::Resize { to: ResizeTo::Shorter(_), .. } => None,
            Step::CenterCrop { height, width } => Some([height, width]),
            _ => size,
        })
    }
}

/// Refuses a step with bad values or in a bad place.
fn validate(steps: &[Step], i: usize, step: &Step) -> Result<()> {
    let bad = |message: &str| Err(fail(ErrorKind::InvalidArgument, message));
    let before = &steps[..i];
    if before.iter().any(|s| matches!(s, Step::Normalize { .. })) {
        return bad("nothing follows a normalize step: move it to the end");
    }
    let normalizes = matches!(step, Step::Normalize { .. });
    if !normalizes && before.iter().any(|s| matches!(s, Step::ChannelOrder { .. })) {
        return bad("only normalize follows channel-order: move it to just before normalize");
    }
    let float = |s: &Step| matches!(s, Step::Resize { filter: ResizeFilter::TfBilinear, .. });
    if let Some(at) = before.iter().position(float) {
        let crop = matches!(step, Step::CenterCrop { .. }) && at + 1 == i;
        if !(crop || normalizes || matches!(step, Step::ChannelOrder { .. })) {
            return bad("tf-bilinear leaves fractions: only one center-crop may follow it before normalize");
        }
    }
    match *step {
        Step::Clahe { clip_limit, tiles } => {
            if !(clip_limit.is_finite() && (0.0..=1e6).contains(&clip_limit)) {
                return bad("clip-limit is a number from 0 (no limit) to 1000000");
            }
            if !tiles.iter().all(|t| (1..=64).contains(t)) {
                return bad("tiles are 1 to 64 columns and rows");
            }
            Ok(())
        }
        Step::Resize { to, .. } => to.validate(),
        Step::CenterCrop { height, width } => ResizeTo::Exact { height, width }.validate(),
        Step::Normalize { method } => {
            let ordered = before.iter().any(|s| matches!(s, Step::ChannelOrder { .. }));
            if ordered && method == Normalization::KerasCaffe {
                return bad("keras-caffe reorders the channels itself: remove channel-order");
            }
            method.validate()
        }
        _ => Ok(()),
    }
}

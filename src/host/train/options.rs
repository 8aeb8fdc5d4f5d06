//! What to train, on what, and how.

use super::{Blend, Teachers, fail};
use crate::featurize::network::NetworkSpec;
use crate::preprocess::Recipe;
use crate::{ErrorKind, Result};
use alloc::{collections::BTreeMap, format, string::String};
use burn::tensor::Device;
use core::str::FromStr;
use serde::Serialize;

/// One labelled data set; its pictures' folders are its classes, and it has a head of its own.
///
/// Written as `PATH` or `NAME=PATH`.
///
/// ```
/// use fruitcore::host::train::DataSpec;
/// let shop: DataSpec = "shop=pictures/shop".parse()?;
/// assert_eq!((shop.name.as_str(), shop.input.as_str()), ("shop", "pictures/shop"));
/// assert_eq!("pictures/shop/".parse::<DataSpec>()?.name, "shop");
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DataSpec {
    /// The head's name: letters, digits, `-` and `_`.
    pub name: String,
    /// Whatever [`source::open`](crate::host::source::open) opens.
    pub input: String,
    /// Pictures to validate on; without it a part of `input` is held out.
    pub validation: Option<String>,
    /// Pictures drawn in an epoch, as a multiple of the set's size.
    pub repeat: f64,
    /// Whether its head only helps training and is not saved.
    pub auxiliary: bool,
    /// The share of pictures' width and height, about the centre, that its head looks at when it
    /// classifies, and is validated on; 1 unless set. Random crops show things larger than whole pictures
    /// do; where they lie in the middle, the head is more often right on that (Touvron et al. 2019).
    pub crop_pct: f32,
}

impl FromStr for DataSpec {
    type Err = crate::Error;

    fn from_str(s: &str) -> Result<Self> {
        let (name, input) = match s.split_once('=') {
            Some((name, input)) => (name, input),
            None => (s.trim_end_matches('/').rsplit('/').next().unwrap_or("data"), s),
        };
        let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || input.is_empty() || !name.chars().all(fine) {
            let m = format!("`{s}`: write NAME=PATH with a name of letters, digits, - and _");
            return Err(fail(ErrorKind::InvalidArgument, m));
        }
        Ok(Self {
            name: name.into(),
            input: input.into(),
            validation: None,
            repeat: 1.0,
            auxiliary: false,
            crop_pct: 1.0,
        })
    }
}

/// How strongly pictures are changed before the network sees them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Augment {
    /// Largest turn, in degrees.
    pub rotation: f32,
    /// Smallest share of a scene's area that a crop keeps.
    pub crop: f32,
    /// Size range of a fruit cut out of its background.
    pub scale: [f32; 2],
    /// Largest relative change of brightness, contrast and saturation; halved for fruit on white,
    /// where colour separates varieties.
    pub jitter: f32,
    /// Largest turn of hue, in degrees; halved likewise.
    pub hue: f32,
    /// Largest deviation of noise, in levels of 255.
    pub noise: f32,
    /// Probability that a white background is replaced.
    pub background: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            rotation: 20.0,
            crop: 0.35,
            scale: [0.75, 1.15],
            jitter: 0.3,
            hue: 8.0,
            noise: 8.0,
            background: 0.4,
        }
    }
}

impl Augment {
    fn check(&self) -> Result<()> {
        let [low, high] = self.scale;
        for (what, value, [least, most]) in [
            ("the largest turn in degrees", self.rotation, [0.0, 180.0]),
            ("the smallest crop", self.crop, [0.001, 1.0]),
            ("the smallest scale", low, [0.05, 20.0]),
            ("the largest scale", high, [0.05, 20.0]),
            ("jitter", self.jitter, [0.0, 1.0]),
            ("the largest turn of hue in degrees", self.hue, [0.0, 180.0]),
            ("the deviation of noise", self.noise, [0.0, 255.0]),
            ("the share of replaced backgrounds", self.background, [0.0, 1.0]),
        ] {
            // NaN is in no range.
            if !(least..=most).contains(&value) {
                let m = format!("augmentation: {what} is {value}; use {least} to {most}");
                return Err(fail(ErrorKind::InvalidArgument, m));
            }
        }
        if low > high {
            let m =
                format!("augmentation: the smallest scale {low} is above the largest, {high}; exchange them");
            return Err(fail(ErrorKind::InvalidArgument, m));
        }
        Ok(())
    }
}

/// How to train.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrainOptions {
    /// The network.
    pub network: NetworkSpec,
    /// Preprocessing of validation pictures, and of those the model is used on.
    pub recipe: Recipe,
    /// Where to compute.
    pub device: Device,
    /// Passes.
    pub epochs: u32,
    /// Pictures a step.
    pub batch: usize,
    /// Decides weights, splits, order and augmentation.
    pub seed: u64,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Epochs in which it rises; then it falls to 1 % as a cosine.
    pub warm_up: f64,
    /// AdamW's decay (Loshchilov & Hutter 2019); not of BatchNorm and biases.
    pub weight_decay: f64,
    /// Label smoothing (Szegedy et al. 2016).
    pub smoothing: f32,
    /// Decay of the weights' moving average, which is what is validated and saved.
    pub average: f64,
    /// Class balance: 0 draws pictures as they come, 1 classes equally.
    pub balance: f64,
    /// Share held out for validation.
    pub validation: f64,
    /// Mixup's α (Zhang et al. 2018); 0 for none. Batches are mixed up, cut or left alone equally often.
    pub mixup: f64,
    /// CutMix' α (Yun et al. 2019); 0 for none.
    pub cutmix: f64,
    /// Dropout of features before the heads.
    pub dropout: f32,
    /// Layers, from the first, that keep their weights.
    pub freeze: usize,
    /// Components of the PCA that the model gets, over the standardised features of the pictures it was
    /// trained on; 0 for none, fewer if there are fewer pictures.
    pub components: usize,
    /// Stop after this epoch of `epochs`; a later start goes on from there.
    pub stop_after: Option<u32>,
    /// Longest side of pictures kept in memory, in pixels.
    pub cache_side: usize,
    /// Bytes of pictures kept in memory at most.
    pub cache_bytes: usize,
    /// Augmentation.
    pub augment: Augment,
    /// Temperatures, by head, for those without validation pictures: what was found for the model that
    /// training begins with ([`ModelFile::temperatures`](crate::model::ModelFile::temperatures)).
    pub temperatures: BTreeMap<String, f32>,
    /// A model that is mixed into the saved one at the end. The state to go on from stays without it.
    pub blend: Option<Blend>,
    /// Models whose answers are learned beside the labels.
    pub teachers: Option<Teachers>,
}

impl TrainOptions {
    /// Sixty epochs in batches of 32 with defaults that suit small networks.
    pub fn new(network: NetworkSpec, recipe: Recipe, device: Device) -> Self {
        Self {
            cache_side: network.input[0].max(network.input[1]) * 8 / 3,
            network,
            recipe,
            device,
            epochs: 60,
            batch: 32,
            seed: 0,
            learning_rate: 3e-3,
            warm_up: 2.0,
            weight_decay: 0.02,
            smoothing: 0.1,
            average: 0.998,
            balance: 0.5,
            validation: 0.15,
            mixup: 0.0,
            cutmix: 0.0,
            dropout: 0.1,
            freeze: 0,
            components: 50,
            stop_after: None,
            cache_bytes: 4 << 30,
            augment: Augment::default(),
            temperatures: BTreeMap::new(),
            blend: None,
            teachers: None,
        }
    }

    pub(super) fn check(&self, data: &[DataSpec]) -> Result<()> {
        let bad = |m: String| Err(fail(ErrorKind::InvalidArgument, m));
        let [_, h, w] = self.recipe.output_shape();
        if [h, w] != self.network.input {
            return bad(format!(
                "the recipe gives {h}x{w}, the network takes {:?}; make them equal",
                self.network.input
            ));
        }
        if data.is_empty() {
            return bad("no data set; name at least one folder of labelled pictures".into());
        }
        for (i, spec) in data.iter().enumerate() {
            if data.iter().take(i).any(|other| other.name == spec.name) {
                return bad(format!(
                    "two data sets are named `{}`; write NAME=PATH to tell them apart",
                    spec.name
                ));
            }
            if !(spec.repeat > 0.0 && spec.repeat <= 1000.0) {
                return bad(format!("{}: repeat {} is not in (0, 1000]", spec.name, spec.repeat));
            }
        }
        if data.iter().all(|d| d.auxiliary) {
            return bad("every data set is auxiliary; one must give a head to keep".into());
        }
        let shares = [
            ("the validation share", self.validation, 0.9),
            ("label smoothing", f64::from(self.smoothing), 0.9),
            ("the moving average's decay", self.average, 0.999_999),
            ("class balance", self.balance, 1.0),
            ("dropout", f64::from(self.dropout), 0.9),
            ("mixup's alpha", self.mixup, 10.0),
            ("cutmix's alpha", self.cutmix, 10.0),
            ("weight decay", self.weight_decay, 10.0),
        ];
        for (what, value, most) in shares {
            if !(0.0..=most).contains(&value) {
                return bad(format!("{what} is {value}; use 0 to {most}"));
            }
        }
        self.augment.check()?;
        if !(self.learning_rate > 0.0 && self.learning_rate < 10.0)
            || self.warm_up.is_nan()
            || self.warm_up < 0.0
        {
            return bad(format!(
                "learning rate {} with warm-up {}: use a rate in (0, 10)",
                self.learning_rate, self.warm_up
            ));
        }
        if self.batch < 2 || self.epochs == 0 {
            return bad("train at least 1 epoch in batches of at least 2: BatchNorm needs a batch".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn augmentation_that_makes_no_picture_is_refused() {
        let changes: [fn(&mut Augment); 11] = [
            |a| a.rotation = f32::NAN,
            |a| a.rotation = -1.0,
            |a| a.crop = 0.0,
            |a| a.crop = 1.5,
            |a| a.scale = [0.0, 1.0],
            |a| a.scale = [1.2, 0.8],
            |a| a.scale[1] = f32::INFINITY,
            |a| a.jitter = f32::NAN,
            |a| a.hue = 720.0,
            |a| a.noise = -1.0,
            |a| a.background = 1.1,
        ];
        assert!(Augment::default().check().is_ok());
        let none =
            Augment { rotation: 0.0, crop: 1.0, jitter: 0.0, hue: 0.0, noise: 0.0, ..Augment::default() };
        assert!(none.check().is_ok());
        for change in changes {
            let mut augment = Augment::default();
            change(&mut augment);
            let e = augment.check().expect_err(&format!("{augment:?}"));
            assert_eq!(e.kind(), ErrorKind::InvalidArgument);
        }
    }
}

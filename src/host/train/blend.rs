//! Another model's weights, mixed into those that are saved.

use super::{
    data::DataSet,
    fail,
    parameters::{Parameters, head},
};
use crate::{
    ErrorKind, Result,
    featurize::{network::NetworkSpec, weights::WeightSource},
    model::ModelFile,
};
use alloc::{format, sync::Arc};
use core::fmt;

/// A model of the same network (for pictures of any size) and heads, whose weights are mixed with what training gives
/// (Wortsman et al. 2022, WiSE-FT; Izmailov et al. 2018): an earlier epoch of the same training, or what
/// it started from. The straight line between two such models often holds better ones than either end:
/// the earlier knows more of what few pictures show, the later is surer of what many do.
///
/// ```
/// # #[cfg(feature = "bundled")] {
/// use fruitcore::host::train::Blend;
/// let blend = Blend::new(fruitcore::model::BUNDLED, 0.5)?;
/// assert_eq!(blend.share(), 0.5);
/// assert!(Blend::new(fruitcore::model::BUNDLED, 1.5).is_err());
/// # }
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone)]
pub struct Blend {
    model: Arc<[u8]>,
    share: f64,
}

impl Blend {
    /// `model` is a file that training wrote; `share` of its weights, the rest of the trained ones.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a share outside 0 to 1; as [`ModelFile::from_bytes`].
    pub fn new(model: impl Into<Arc<[u8]>>, share: f64) -> Result<Self> {
        let model = model.into();
        if !(0.0..=1.0).contains(&share) {
            return Err(fail(
                ErrorKind::InvalidArgument,
                format!("the blend's share is {share}; use 0 to 1"),
            ));
        }
        ModelFile::from_bytes(&model)?;
        Ok(Self { model, share })
    }

    /// How much the other model counts.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// That it fits, before hours of training.
    pub(super) fn check(&self, sets: &[DataSet], network: &NetworkSpec) -> Result<()> {
        let file = ModelFile::from_bytes(&self.model)?;
        let theirs = NetworkSpec { input: network.input, ..*file.network() };
        let heads = file.heads()?;
        let kept = sets.iter().filter(|s| !s.auxiliary);
        let missing = kept.clone().find(|s| !heads.iter().any(|h| s.owns(h)));
        let m = match missing {
            _ if theirs != *network => {
                format!("the blended model is {theirs}, {network} is trained; blend models of one training")
            }
            Some(set) => format!(
                "the blended model has no head `{}` for these {} classes; blend models of one training",
                set.name,
                set.classes.len()
            ),
            None => return Ok(()),
        };
        Err(fail(ErrorKind::Mismatch, m))
    }

    /// Moves the averages towards the model.
    pub(super) fn apply(&self, parameters: &mut Parameters, sets: &[DataSet]) -> Result<()> {
        let file = ModelFile::from_bytes(&self.model)?;
        let auxiliary: alloc::vec::Vec<_> =
            sets.iter().filter(|s| s.auxiliary).flat_map(|s| head(&s.name)).collect();
        let share = self.share as f32;
        for p in parameters.all.iter_mut().filter(|p| !auxiliary.contains(&p.name)) {
            let other = file.weights().tensor(&p.name, &p.shape)?;
            p.average.iter_mut().zip(other.iter()).for_each(|(a, o)| *a += share * (o - *a));
        }
        Ok(())
    }
}

impl fmt::Debug for Blend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blend").field("share", &self.share).finish_non_exhaustive()
    }
}

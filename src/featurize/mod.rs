//! Networks without their top: normalised pictures to feature vectors.

mod burn_net;
mod featurizer;
mod fold;
pub mod kernels;
pub mod network;
mod on_cpu;
mod precision;
#[cfg(feature = "std")]
mod teams;
pub mod weights;

pub use featurizer::NetworkFeaturizer;
#[cfg(feature = "host")]
pub(crate) use featurizer::is_cpu;
pub use precision::Precision;

use crate::Result;
use alloc::{boxed::Box, sync::Arc};
use burn::tensor::Tensor;

/// Turns a batch of preprocessed pictures into feature vectors.
///
/// # Contract
/// - The input is `[n, c, h, w]` with `[c, h, w] == input_shape()`, `n ≥ 1`, on any device; the
///   output is `[n, feature_len()]` on the featurizer's device. Row `i` depends on picture `i` only,
///   so any batch size gives the same features to rounding.
/// - Takes `&self`: one featurizer serves many threads.
/// - After an error the featurizer can be used again.
pub trait Featurizer {
    /// Channels, height and width of one picture.
    fn input_shape(&self) -> [usize; 3];

    /// Length of one feature vector.
    fn feature_len(&self) -> usize;

    /// `[n, c, h, w]` → `[n, feature_len]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the batch's shape is another.
    fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>>;

    /// The same from slices to slices, for callers that keep their memory between calls; `None` unless
    /// implemented. Stays the same between calls.
    fn slices(&self) -> Option<&dyn SliceFeaturizer> {
        None
    }

    /// Gives back memory that is kept for the next call, which may then take longer. A run calls it when
    /// the last picture has gone through. Does nothing unless implemented.
    fn release(&self) {}
}

/// A [`Featurizer`] that needs no tensors, and can use several threads for one call.
///
/// # Contract
/// - A picture's features are the same to the bit in every call, whatever is beside it and by how many
///   threads.
/// - Takes `&self`: one featurizer serves many threads.
/// - After an error it can be used again.
pub trait SliceFeaturizer {
    /// Pictures, at least 1, of which more at once make nothing faster on one thread.
    fn micro_batch(&self) -> usize;

    /// `[n, c, h, w]` → `[n, feature_len]`, by the caller's and at most `threads − 1` others, where these
    /// shorten the wait.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the lengths aren't those of the same number of
    /// pictures, [`ErrorKind::Limit`](crate::ErrorKind::Limit) if memory isn't there.
    fn featurize_into(&self, pictures: &[f32], features: &mut [f32], threads: usize) -> Result<()>;
}

macro_rules! forward {
    ($($t:ty),*) => {$(
        impl<F: Featurizer + ?Sized> Featurizer for $t {
            fn input_shape(&self) -> [usize; 3] {
                (**self).input_shape()
            }
            fn feature_len(&self) -> usize {
                (**self).feature_len()
            }
            fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
                (**self).featurize(batch)
            }
            fn slices(&self) -> Option<&dyn SliceFeaturizer> {
                (**self).slices()
            }
            fn release(&self) {
                (**self).release();
            }
        }
    )*};
}
forward!(&F, Box<F>, Arc<F>);

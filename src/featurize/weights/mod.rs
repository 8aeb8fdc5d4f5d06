//! Checkpoint files: tensors by the network's names, whatever framework wrote them.

mod checked;
mod checkpoint;
mod identify;
mod inspect;
#[cfg(feature = "checkpoints")]
mod keras;
mod random;
pub mod registry;
mod safetensors;
mod sniff;
mod stored;
mod torch;

pub(super) use checked::Checked;
pub use checkpoint::Checkpoint;
pub use inspect::{Format, Inspection, TensorInfo};
pub use random::RandomWeights;
pub use stored::DType;

use crate::Result;
use alloc::{borrow::Cow, string::String, vec::Vec};

/// Tensors by name, as a network asks for them.
///
/// Names and layouts are torchvision's: convolutions `[out, in / groups, kh, kw]`, linear layers
/// `[out, in]`, BatchNorm `weight`, `bias`, `running_mean`, `running_var`. Readers of other formats
/// translate both.
pub trait WeightSource {
    /// The names it can give, in the file's order.
    fn names(&self) -> Vec<String>;

    /// The values of one tensor in row-major order; borrowed where the file's bytes allow.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) naming the tensor and what the file looks like;
    /// [`Shape`](crate::ErrorKind::Shape) with expected and found shape;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the bytes end early.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>>;
}

impl<T: WeightSource + ?Sized> WeightSource for &T {
    fn names(&self) -> Vec<String> {
        (**self).names()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        (**self).tensor(name, shape)
    }
}

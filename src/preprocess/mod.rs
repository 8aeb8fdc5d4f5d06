//! Pixels to normalised planar floats, step by step as the peers compute it.

use crate::{Frame, Result};
use alloc::boxed::Box;

/// Turns one [`Frame`] into the planar `f32` input of a network.
///
/// # Contract
/// - `out` has exactly `output_shape().iter().product()` elements, planar: channel, row, column.
/// - On success every element of `out` is written and finite. After an error `out` holds
///   unspecified values and the preprocessor can be used again.
/// - The result depends on the frame and the preprocessor's configuration only, never on earlier
///   frames. `&mut self` is for scratch memory: after the first frame of a size, nothing is
///   allocated.
pub trait Preprocessor {
    /// Channels, height and width of what it writes.
    fn output_shape(&self) -> [usize; 3];

    /// Writes one frame as planar `f32` into `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `out` has another length, and whatever a
    /// step refuses about the frame.
    fn preprocess_into(&mut self, frame: &Frame<'_>, out: &mut [f32]) -> Result<()>;
}

impl<P: Preprocessor + ?Sized> Preprocessor for &mut P {
    fn output_shape(&self) -> [usize; 3] {
        (**self).output_shape()
    }
    fn preprocess_into(&mut self, frame: &Frame<'_>, out: &mut [f32]) -> Result<()> {
        (**self).preprocess_into(frame, out)
    }
}

impl<P: Preprocessor + ?Sized> Preprocessor for Box<P> {
    fn output_shape(&self) -> [usize; 3] {
        (**self).output_shape()
    }
    fn preprocess_into(&mut self, frame: &Frame<'_>, out: &mut [f32]) -> Result<()> {
        (**self).preprocess_into(frame, out)
    }
}

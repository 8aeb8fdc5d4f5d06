//! Pixels to normalised planar floats, step by step as the peers compute it.
//!
//! A [`Recipe`] lists the steps as data, a [`Preset`] is the recipe of a checkpoint family, and
//! [`RecipePreprocessor`] runs one. Where a peer (Pillow, OpenCV) computes in integers, the bytes are
//! the same; normalised floats agree to a relative 1e-6.
//!
//! ```
//! use fruitcore::preprocess::{Preset, RecipePreprocessor};
//! use fruitcore::{Frame, PixelFormat, Preprocessor};
//!
//! let recipe = Preset::NotebookTf.recipe(224)?;
//! let mut preprocessor = RecipePreprocessor::new(recipe);
//!
//! let pixels = vec![128; 100 * 100 * 3];
//! let frame = Frame::new(PixelFormat::Rgb, 100, 100, &pixels)?;
//! let mut input = vec![0.0; 3 * 224 * 224];
//! preprocessor.preprocess_into(&frame, &mut input)?;
//! assert!((input[0] - (128.0 / 127.5 - 1.0)).abs() < 1e-6);
//! # Ok::<(), fruitcore::Error>(())
//! ```

mod crop;
mod denoise;
mod equalize;
mod normalize;
mod planes;
mod presets;
mod processor;
mod recipe;
mod resize;
mod simd;
mod source;

pub use normalize::Normalization;
pub use presets::Preset;
pub use processor::RecipePreprocessor;
pub use recipe::{ChannelOrder, Recipe, Step};
pub use resize::{ResizeFilter, ResizeTo};

use crate::{Error, ErrorKind, Frame, Result, Stage};
use alloc::{boxed::Box, string::String};

/// An error of this stage.
fn fail(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Preprocess, message)
}

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
    /// [`ErrorKind::Shape`] if `out` has another length, and whatever a
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

//! Streaming image features for agritech: preprocessing, CNN features, incremental PCA.
#![no_std]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod error;
mod frame;
mod state;

pub mod classify;
pub mod featurize;
pub mod pca;
pub mod pipeline;
pub mod preprocess;
pub mod scale;

#[cfg(feature = "host")]
pub mod host;

pub use error::{Error, ErrorKind, Result, Stage};
pub use featurize::Featurizer;
pub use frame::{Frame, PixelFormat};
pub use preprocess::Preprocessor;

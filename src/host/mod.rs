//! Everything that needs an operating system: sources, decoding, the driver, runs and sinks.

pub mod decode;
pub mod demo;
pub mod driver;
pub mod heads;
pub mod rows;
pub mod run;
pub mod sink;
pub mod source;
pub mod summary;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;

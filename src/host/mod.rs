//! Everything that needs an operating system: sources, decoding, the driver, runs and sinks.

pub mod cluster;
pub mod decode;
pub mod demo;
pub mod driver;
pub mod heads;
#[cfg(feature = "report")]
pub mod map;
pub mod neighbors;
pub mod precision;
pub mod profile;
#[cfg(feature = "report")]
pub mod report;
pub mod rows;
pub mod run;
mod sample;
pub mod setup;
pub mod sink;
pub mod source;
pub mod summary;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;

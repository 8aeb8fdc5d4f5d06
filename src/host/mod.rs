//! Everything that needs an operating system: sources, decoding, the driver, runs and sinks.

pub mod demo;
pub mod decode;
pub mod source;

//! Whole runs: parts, manifest, resume, shards, merge.
//!
//! Under the output a run writes
//!
//! | name | content |
//! |---|---|
//! | `manifest.json` | what was asked, and each finished part with sizes and digests |
//! | `features/part-NNNNN.parquet` | one row for each usable picture, in listing order |
//! | `moments/part-NNNNN.bin` | state of the scaler and the principal component analysis |
//! | `rejects/part-NNNNN.csv` | unusable pictures of a part, if any |
//! | `components/part-NNNNN.parquet` | the features projected onto the principal components |
//! | `rejects.csv` | `path,stage,reason` of all unusable pictures |
//! | `pipeline.safetensors` | the fitted pipeline |
//! | `summary.json` | counts, classes, explained variance, times, memory |
//!
//! A part is finished when the manifest names it, and its files are there before that. A second
//! start computes what the manifest lacks. Shard `I/N` takes the parts with `index % N == I − 1` and
//! writes `manifest-I-of-N.json`; shards may share an output or have one each.

#[allow(dead_code)]
mod manifest;
#[allow(dead_code)]
mod prepare;
mod store;

pub use manifest::{ComponentsEntry, FileEntry, Manifest, PartEntry, Shard};
pub use store::{LocalStore, OutputStore, RemoteStore, open_output};

pub(crate) use manifest::hex;

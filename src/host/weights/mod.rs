//! Weights on this machine: the cache of published checkpoints, fetching and verifying them, and
//! opening whatever a user names.

mod cache;
mod digest;
#[cfg(feature = "http")]
mod download;

pub use crate::featurize::weights::registry::{Digest, Entry, by_digest, by_version, find, imagenet, list};
pub use cache::{Cache, Progress, Proof, Verified};

use super::setup::{WeightsFrom, bundled};
use crate::featurize::network::NetworkSpec;
use crate::featurize::weights::{Checkpoint, Inspection, RandomWeights, WeightSource};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{boxed::Box, format, string::ToString};
use core::ops::ControlFlow;
use hdf5_reader::Hdf5File;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// A checkpoint for one network, ready to load.
pub type Weights = Box<dyn WeightSource + Send + Sync>;

/// Told how far a download is; [`ControlFlow::Break`] stops it, and what has arrived is kept.
pub type OnProgress<'a> = &'a mut (dyn FnMut(Progress) -> ControlFlow<()> + Send);

/// Fetches published weights by name into the user's cache, unless they are there, and verifies them.
///
/// # Errors
/// As [`find`], [`Cache::user`] and [`Cache::fetch`].
pub fn fetch(name: &str, progress: OnProgress<'_>) -> Result<PathBuf> {
    Cache::user()?.fetch(find(name)?, progress)
}

/// Verifies weights in the user's cache by name, or any file by path.
///
/// # Errors
/// As [`Cache::verify`] and [`Cache::verify_file`].
pub fn verify(name_or_path: &str) -> Result<Verified> {
    let cache = Cache::user()?;
    match find(name_or_path) {
        Ok(entry) if !Path::new(name_or_path).exists() => cache.verify(entry),
        _ => cache.verify_file(Path::new(name_or_path)),
    }
}

/// What a checkpoint file holds.
///
/// # Errors
/// As [`open`].
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection> {
    Ok(open(path)?.inspect())
}

/// Opens a checkpoint file. Values of HDF5 files are read when asked for; other files are read whole,
/// once.
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`] or [`ErrorKind::Io`] if it can't be read;
/// as [`Checkpoint::from_bytes`] if it is not a whole checkpoint.
pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint<'static>> {
    let path = path.as_ref();
    let shown = path.display().to_string();
    let checkpoint = open_any(path).map_err(|e| e.at(shown.clone()))?;
    Ok(checkpoint.labelled(shown))
}

/// The weights `text` names, as [`WeightsFrom`] reads it, for `spec`. Values of HDF5 files stay on disk
/// until they are asked for; [`setup`](super::setup) settles network and preprocessing as well.
///
/// # Errors
/// As [`fetch`], [`open`] and [`Checkpoint::check`].
pub fn resolve(text: &str, spec: &NetworkSpec, progress: OnProgress<'_>) -> Result<Weights> {
    let checkpoint = match WeightsFrom::from(text) {
        WeightsFrom::Random(seed) => return Ok(Box::new(RandomWeights::new(&spec.graph()?, seed))),
        WeightsFrom::Bundled => Checkpoint::from_bytes(bundled()?)?.labelled("bundled"),
        WeightsFrom::Imagenet => open(Cache::user()?.fetch(imagenet(spec.kind, spec.variant)?, progress)?)?,
        WeightsFrom::Published(name) => open(Cache::user()?.fetch(find(&name)?, progress)?)?,
        WeightsFrom::File(path) => open(path)?,
    };
    checkpoint.check(spec)?;
    Ok(Box::new(checkpoint))
}

fn open_any(path: &Path) -> Result<Checkpoint<'static>> {
    let mut file =
        fs::File::open(path).map_err(|e| io(e, "a checkpoint file, a name from the list, or `imagenet`"))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            Stage::Weights,
            "a folder; name the checkpoint file in it (SavedModel folders: save `model.save_weights` as .weights.h5)",
        ));
    }
    let mut head = [0; 8];
    let whole_head = file.read_exact(&mut head).is_ok();
    if whole_head && &head == b"\x89HDF\r\n\x1a\n" {
        let file = Hdf5File::open(path).map_err(|e| {
            let message = format!("damaged or truncated HDF5 file (Keras .h5): {e}; fetch it again");
            Error::new(ErrorKind::Corrupt, Stage::Weights, message)
        })?;
        return Checkpoint::from_hdf5(file);
    }
    let bytes = fs::read(path).map_err(|e| io(e, "a readable file"))?;
    Checkpoint::from_bytes(bytes)
}

/// An I/O error with what was expected.
fn io(e: std::io::Error, expected: &str) -> Error {
    let kind = match e.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Io,
    };
    Error::new(kind, Stage::Weights, format!("{e}; expected {expected}")).because(e)
}

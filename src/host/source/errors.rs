//! Operating system and object store failures as [`Error`]s that say what to do.

use crate::{Error, ErrorKind, Stage};
use alloc::{format, string::String};
use std::io;

/// A failure of the local file system at `path`.
pub(super) fn local(error: io::Error, path: &str) -> Error {
    let (kind, message) = match error.kind() {
        io::ErrorKind::NotFound => {
            (ErrorKind::NotFound, "does not exist (or is a broken link); check the path".into())
        }
        io::ErrorKind::PermissionDenied => (
            ErrorKind::PermissionDenied,
            "may not be read by this user; change its permissions or run as its owner".into(),
        ),
        io::ErrorKind::NotADirectory => {
            (ErrorKind::NotFound, "lies below something that is no folder; check the path".into())
        }
        _ => (ErrorKind::Io, format!("can't be read: {error}; check the disk or share")),
    };
    new(kind, message).at(path).because(error)
}

/// An object that is larger than the options allow.
pub(super) fn too_large(size: u64, limit: u64) -> Error {
    new(
        ErrorKind::Limit,
        format!("{size} bytes exceed the limit of {limit}; raise max_bytes if the file is genuine"),
    )
}

/// The error for a listing that gave no picture, for programs that need at least one; `skipped` is
/// what [`Source::skipped`](super::Source::skipped) counts.
///
/// ```
/// use fruitcore::{ErrorKind, host::source};
/// let error = source::nothing_found("fruits/", 12);
/// assert_eq!(error.kind(), ErrorKind::Insufficient);
/// assert!(error.message().contains("12 other files"));
/// ```
pub fn nothing_found(source: &str, skipped: u64) -> Error {
    let message = if skipped == 0 {
        String::from("holds no files; check the path or prefix")
    } else {
        format!(
            "holds no pictures, only {skipped} other files; name them with an include glob if they are pictures"
        )
    };
    new(ErrorKind::Insufficient, message).at(source)
}

pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Source, message)
}

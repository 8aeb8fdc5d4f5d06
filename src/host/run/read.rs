//! A file that was named on its own: by a path, or by an object store's URL.

use super::open_output;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{string::ToString, vec::Vec};
use std::{fs, io, path::Path};

/// Whether `target` is a URL of an object store, not a path.
///
/// ```
/// use fruitcore::host::run::is_remote;
/// assert!(is_remote("s3://bucket/run") && !is_remote("file:///run") && !is_remote("c:/run"));
/// ```
pub fn is_remote(target: &str) -> bool {
    matches!(place(target), Place::Remote(_))
}

/// Where a target lies.
pub(super) enum Place {
    Remote(url::Url),
    /// A `file://` URL.
    File(url::Url),
    Path,
}

pub(super) fn place(target: &str) -> Place {
    match url::Url::parse(target) {
        Ok(url) if url.scheme() == "file" => Place::File(url),
        // A one-letter scheme is a drive.
        Ok(url) if url.scheme().len() > 1 => Place::Remote(url),
        _ => Place::Path,
    }
}

/// The content of the file at a path or an object store's URL, for `stage`.
///
/// ```
/// use fruitcore::{ErrorKind, Stage, host::run::read_file};
/// let e = read_file("/no/such/file", Stage::Artifact).unwrap_err();
/// assert_eq!(e.kind(), ErrorKind::NotFound);
/// ```
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], [`ErrorKind::InvalidArgument`] for a folder
/// or a URL that no store of this build accepts; what the store answers.
pub fn read_file(target: impl AsRef<Path>, stage: Stage) -> Result<Vec<u8>> {
    let path = target.as_ref();
    let missing = "there is no such file; check the path";
    if let Some((url, (folder, name))) =
        path.to_str().filter(|t| is_remote(t)).and_then(|url| Some((url, url.rsplit_once('/')?)))
    {
        let found = open_output(folder)?.get(name)?;
        return found.map(Vec::from).ok_or_else(|| Error::new(ErrorKind::NotFound, stage, missing).at(url));
    }
    fs::read(path).map_err(|e| {
        let (kind, m) = match e.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, missing),
            io::ErrorKind::PermissionDenied => {
                (ErrorKind::PermissionDenied, "may not be read; check its permissions")
            }
            io::ErrorKind::IsADirectory => (ErrorKind::InvalidArgument, "is a folder; name a file in it"),
            _ => (ErrorKind::Io, "can't be read"),
        };
        Error::new(kind, stage, m).at(path.display().to_string()).because(e)
    })
}

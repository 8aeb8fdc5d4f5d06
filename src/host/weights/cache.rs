//! The folder fetched weights live in.

use super::digest::hash;
use super::{Digest, Entry, OnProgress, by_digest, io, list};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes on disk, those of an earlier attempt included.
    pub received: u64,
    /// Bytes of the whole file, if the server says so.
    pub total: Option<u64>,
}

impl Progress {
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(super) fn new(received: u64, total: Option<u64>) -> Self {
        Self { received, total }
    }
}

/// What a file's digest was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// The published SHA-256.
    Sha256,
    /// The published MD5, which shows damage but not intent.
    Md5,
    /// The SHA-256 recorded at the first fetch; its publisher states none.
    Recorded,
    /// Nothing: neither published nor recorded.
    None,
}

/// A file whose digest was computed and did not contradict what is known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified {
    /// The file.
    pub path: PathBuf,
    /// The published checkpoint it was compared with.
    pub entry: Option<&'static Entry>,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// What it was compared with; [`Proof::None`] means it is not verified.
    pub proof: Proof,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: sha256:{}: ", self.path.display(), self.sha256)?;
        match (self.proof, self.entry) {
            (Proof::Sha256, Some(e)) => write!(f, "verified, the published SHA-256 of {}", e.name),
            (Proof::Md5, Some(e)) => {
                write!(f, "verified by the published MD5 of {} (no SHA-256 is published)", e.name)
            }
            (Proof::Recorded, Some(e)) => {
                write!(
                    f,
                    "not verified: no digest of {} is published; unchanged since it was first fetched",
                    e.name
                )
            }
            (_, Some(e)) => write!(f, "not verified: no digest of {} is published or recorded", e.name),
            (_, None) => f.write_str("not verified: no published checkpoint has this digest"),
        }
    }
}

/// The folder fetched weights live in, and where they come from.
///
/// ```no_run
/// use core::ops::ControlFlow;
/// use fruitcore::host::weights::{Cache, find};
///
/// let file = Cache::user()?.fetch(find("mobilenet-v2-v1")?, &mut |p| {
///     println!("{} of {:?} bytes", p.received, p.total);
///     ControlFlow::Continue(())
/// })?;
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    mirror: Option<String>,
}

impl Cache {
    /// The user's cache: `$FRUITCORE_CACHE`, else `$XDG_CACHE_HOME/fruitcore`, else
    /// `~/.cache/fruitcore` (Windows: `%LOCALAPPDATA%\fruitcore`). `$FRUITCORE_WEIGHTS_BASE` names a
    /// mirror, see [`Cache::with_mirror`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if none of the variables is set.
    pub fn user() -> Result<Self> {
        let path = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = path("FRUITCORE_CACHE")
            .or_else(|| path("XDG_CACHE_HOME").or_else(|| path("LOCALAPPDATA")).map(|p| p.join("fruitcore")))
            .or_else(|| path("HOME").map(|p| p.join(".cache").join("fruitcore")));
        let Some(folder) = folder else {
            let message = "no cache folder: set FRUITCORE_CACHE to a folder for downloaded weights";
            return Err(Error::new(ErrorKind::NotFound, Stage::Weights, message));
        };
        let cache = Self::at(folder);
        Ok(match env::var("FRUITCORE_WEIGHTS_BASE") {
            Ok(base) if !base.is_empty() => cache.with_mirror(base),
            _ => cache,
        })
    }

    /// A cache in another folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), mirror: None }
    }

    /// Fetches `BASE/FILE` instead of the published URL: a mirror within an institute's network.
    #[must_use]
    pub fn with_mirror(mut self, base: impl Into<String>) -> Self {
        self.mirror = Some(base.into());
        self
    }

    /// Where an entry's file is, or would be.
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.folder.join("weights").join(entry.file_name())
    }

    /// Where an entry is fetched from.
    pub fn url(&self, entry: &Entry) -> String {
        match &self.mirror {
            Some(base) => format!("{}/{}", base.trim_end_matches('/'), entry.file_name()),
            None => entry.url.into(),
        }
    }

    /// The entry's file, verified; fetched first if it is not in the cache.
    ///
    /// A broken download goes on where it ended. The file appears under its name only when it is
    /// whole and its digest is right. Where no digest is published, the SHA-256 at the first fetch is
    /// recorded beside the file, and a later difference is an error.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] without a connection: the message says what to put where by hand;
    /// [`ErrorKind::NotFound`] or [`ErrorKind::PermissionDenied`] as the server answers;
    /// [`ErrorKind::Checksum`] for a wrong digest; [`ErrorKind::Interrupted`] if `progress` breaks;
    /// [`ErrorKind::Unsupported`] in a build without the feature `http`.
    pub fn fetch(&self, entry: &'static Entry, progress: OnProgress<'_>) -> Result<PathBuf> {
        let path = self.path(entry);
        if !path.exists() {
            self.download(entry, &path, progress)?;
        }
        let verified = self.verify(entry)?;
        if verified.proof == Proof::None {
            let record = record_of(&path);
            let line = format!("{}  {}\n", verified.sha256, entry.file_name());
            fs::write(&record, line)
                .map_err(|e| io(e, "a cache folder that can be written").at(record.display().to_string()))?;
        }
        Ok(path)
    }

    /// Compares an entry's file in the cache with its digest.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not there, [`ErrorKind::Checksum`] if it differs.
    pub fn verify(&self, entry: &'static Entry) -> Result<Verified> {
        let path = self.path(entry);
        if !path.exists() {
            let message = format!("{} is not in the cache; fetch it, or {}", entry.name, self.by_hand(entry));
            return Err(
                Error::new(ErrorKind::NotFound, Stage::Weights, message).at(path.display().to_string())
            );
        }
        compare(&path, Some(entry))
    }

    /// The published checkpoint that a file is by its place in this cache, by the SHA-256 recorded here at
    /// the first fetch, or by its name. Those whose publisher states a SHA-256 are known by that alone.
    pub(crate) fn entry_of(&self, path: &Path, sha256: &str) -> Option<&'static Entry> {
        let find = |is: &dyn Fn(&Entry) -> bool| {
            list().iter().find(|e| !matches!(e.digest, Digest::Sha256(_)) && is(e))
        };
        let place = fs::canonicalize(path).ok();
        let here = |e: &Entry| place.is_some() && fs::canonicalize(self.path(e)).ok() == place;
        let fetched = |e: &Entry| recorded(&self.path(e)).is_some_and(|hex| hex.eq_ignore_ascii_case(sha256));
        let called = |e: &Entry| path.file_name().is_some_and(|name| *name == *e.file_name());
        find(&here).or_else(|| find(&fetched)).or_else(|| find(&called))
    }

    /// Computes any file's digest and compares it with the published checkpoint of the same name or
    /// digest.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::Io`] if it can't be read; [`ErrorKind::Checksum`] if it
    /// has a published checkpoint's file name but another digest.
    pub fn verify_file(&self, path: &Path) -> Result<Verified> {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        compare(path, list().iter().find(|e| e.file_name() == name))
    }

    /// What to do without a network.
    fn by_hand(&self, entry: &Entry) -> String {
        format!("download {} on any machine and put it at {}", self.url(entry), self.path(entry).display())
    }

    #[cfg(not(feature = "http"))]
    fn download(&self, entry: &'static Entry, _: &Path, _: OnProgress<'_>) -> Result<()> {
        let message = format!("this build can't download (feature `http`); {}", self.by_hand(entry));
        Err(Error::new(ErrorKind::Unsupported, Stage::Weights, message).at(entry.name))
    }

    #[cfg(feature = "http")]
    fn download(&self, entry: &'static Entry, path: &Path, progress: OnProgress<'_>) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(|e| {
            io(e, "a cache folder that can be written; set FRUITCORE_CACHE").at(folder.display().to_string())
        })?;
        // One process at a time; the others find the file when they get the lock.
        let lock_path = with_suffix(path, ".lock");
        let lock = fs::File::create(&lock_path).and_then(|f| f.lock().map(|()| f)).map_err(|e| {
            io(e, "a cache folder that can be written; set FRUITCORE_CACHE")
                .at(lock_path.display().to_string())
        })?;
        let result = self.download_locked(entry, path, progress);
        drop(lock);
        result.map_err(|e| e.at(entry.name))
    }

    #[cfg(feature = "http")]
    fn download_locked(&self, entry: &'static Entry, path: &Path, progress: OnProgress<'_>) -> Result<()> {
        use super::download::Download;

        let part = with_suffix(path, ".part");
        let download = Download { url: self.url(entry), part: part.clone(), by_hand: self.by_hand(entry) };
        for last_try in [false, true] {
            if path.exists() {
                return Ok(());
            }
            let resumed = download.run(progress)?;
            match compare(&part, Some(entry)) {
                Ok(_) => {
                    return fs::rename(&part, path).map_err(|e| {
                        io(e, "a cache folder that can be written").at(path.display().to_string())
                    });
                }
                // Parts of two different files may have been joined: once more, from the start.
                Err(e) if e.kind() == ErrorKind::Checksum && resumed && !last_try => download.forget(),
                Err(e) => {
                    download.forget();
                    return Err(e);
                }
            }
        }
        Ok(())
    }
}

/// Hashes a file and compares it with what is published or recorded.
fn compare(path: &Path, entry: Option<&'static Entry>) -> Result<Verified> {
    let shown = path.display().to_string();
    let with_md5 = entry.is_some_and(|e| matches!(e.digest, Digest::Md5(_)));
    let hashes = hash(path, with_md5).map_err(|e| io(e, "a readable file").at(shown.clone()))?;
    let entry = entry.or_else(|| by_digest(&hashes.sha256));
    let (expected, found, proof) = match entry.map(|e| e.digest) {
        Some(Digest::Sha256(hex)) => (Some(hex.to_string()), hashes.sha256.clone(), Proof::Sha256),
        Some(Digest::Md5(hex)) => (Some(hex.to_string()), hashes.md5.unwrap_or_default(), Proof::Md5),
        Some(_) => (recorded(path), hashes.sha256.clone(), Proof::Recorded),
        None => (None, String::new(), Proof::None),
    };
    match expected {
        Some(expected) if expected != found => {
            let whose =
                if proof == Proof::Recorded { "was recorded at the first fetch" } else { "is published" };
            let message = format!(
                "digest {found}, but {expected} {whose}: the file is damaged, incomplete or another one; delete \
                 it and fetch it again"
            );
            Err(Error::new(ErrorKind::Checksum, Stage::Weights, message).at(shown))
        }
        Some(_) => Ok(Verified { path: path.into(), entry, sha256: hashes.sha256, proof }),
        None => Ok(Verified { path: path.into(), entry, sha256: hashes.sha256, proof: Proof::None }),
    }
}

/// A file's SHA-256 at first fetch.
fn recorded(path: &Path) -> Option<String> {
    let text = fs::read_to_string(record_of(path)).ok()?;
    text.split_whitespace().next().map(ToString::to_string)
}

/// Where a file's SHA-256 at first fetch is kept, in `sha256sum`'s format.
fn record_of(path: &Path) -> PathBuf {
    with_suffix(path, ".sha256")
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    name.into()
}

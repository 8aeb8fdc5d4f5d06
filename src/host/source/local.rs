//! A folder or file of the local file system.
//!
//! Folders are read one at a time and sorted so that the whole walk is in the byte order of the
//! relative paths, which is the order in which S3 lists the same tree.

use super::{
    Body, Object, Source,
    archive::LocalArchive,
    errors,
    filter::{Role, Rules},
    names,
};
use crate::{ErrorKind, Result, host::run::SCRATCH};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use bytes::Bytes;
use core::ops::Range;
use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use std::{
    ffi::OsString,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Objects listed in one visit to the blocking thread.
const PAGE: usize = 64;
/// Content that one page may carry along.
const PAGE_BYTES: usize = 4 << 20;

/// A local folder, archive or single picture.
///
/// - Links to files and folders are followed, as torchvision's and Keras' walkers do; a link back to
///   a folder above it is an error item, and so is a broken link that is named like a picture.
/// - A folder or file without permission is an error item; the walk goes on.
/// - Pipes, sockets and devices are passed over.
/// - A folder below the input that a run has written to is not entered (it holds `.fruitcore`): the
///   figures of its report are no pictures of the input.
/// - Names that are not UTF-8 have each stray byte shown as `\xHH` (and a literal `\xHH` as
///   `\x5cxHH`), so that paths stay unique; their files are read under their true names.
#[derive(Debug)]
pub struct LocalSource {
    root: PathBuf,
    rules: Arc<Rules>,
}

impl LocalSource {
    pub(super) fn new(root: PathBuf, rules: Arc<Rules>) -> Result<Self> {
        fs::metadata(&root).map_err(|e| errors::local(e, &shown(&root)))?;
        Ok(Self { root, rules })
    }
}

impl Source for LocalSource {
    fn list(&self) -> BoxStream<'_, Result<Object>> {
        let walk = Walk::new(&self.root, self.rules.listing());
        let pages = stream::unfold(walk, |mut walk| async move {
            let page = blocking(move || {
                let page = walk.page();
                (page, walk)
            });
            match page.await {
                Ok((page, walk)) if !page.is_empty() => Some((page, walk)),
                Ok(_) => None,
                // Only a runtime that is shutting down loses a blocking call.
                Err(_) => None,
            }
        });
        pages.flat_map(stream::iter).boxed()
    }

    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(fetch(object, self.rules.max_bytes))
    }

    fn describe(&self) -> String {
        shown(&self.root)
    }

    fn skipped(&self) -> u64 {
        self.rules.skipped()
    }
}

/// Reads an object that lies in a local file.
pub(super) async fn fetch(object: &Object, limit: u64) -> Result<Bytes> {
    let (path, range) = match &object.body {
        Body::Inline(bytes) => return Ok(bytes.clone()),
        Body::File(path) => (path.clone(), None),
        Body::FileRange(path, range) => (path.clone(), Some(range.clone())),
        _ => {
            return Err(errors::new(
                ErrorKind::InvalidArgument,
                "this object comes from another source; fetch it from the one that listed it",
            )
            .at(&object.path));
        }
    };
    let shown = object.path.clone();
    let read = move || read_file(&path, range, limit).map_err(|e| e.into_error(&shown));
    blocking(read).await.unwrap_or_else(Err)
}

/// Runs a blocking call on the runtime's threads for that, or here where there is no runtime.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime
            .spawn_blocking(call)
            .await
            .map_err(|e| errors::new(ErrorKind::Interrupted, "the runtime stopped during a read").because(e)),
        Err(_) => Ok(call()),
    }
}

enum ReadError {
    Io(std::io::Error),
    Other(crate::Error),
}

impl ReadError {
    fn into_error(self, path: &str) -> crate::Error {
        match self {
            Self::Io(e) => errors::local(e, path),
            Self::Other(e) => e.at(path),
        }
    }
}

impl From<std::io::Error> for ReadError {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

fn read_file(path: &Path, range: Option<Range<u64>>, limit: u64) -> Result<Bytes, ReadError> {
    // Opening a pipe that took the file's place would wait for a writer.
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(ReadError::Other(errors::new(
            ErrorKind::Unsupported,
            "is no regular file any more; list the source again",
        )));
    }
    let size = range.as_ref().map_or(found.len(), |r| r.end.saturating_sub(r.start));
    if size > limit {
        return Err(ReadError::Other(errors::too_large(size, limit)));
    }
    let mut file = fs::File::open(path)?;
    if let Some(range) = &range {
        file.seek(SeekFrom::Start(range.start))?;
    }
    let whole = range.is_none();
    // A growing file is read up to the limit and then refused, not silently cut.
    let take = if whole { limit.saturating_add(1) } else { size };
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.take(take).read_to_end(&mut content)?;
    let read = content.len() as u64;
    if whole && read > limit {
        return Err(ReadError::Other(errors::too_large(read, limit)));
    }
    if !whole && read < size {
        return Err(ReadError::Other(super::tar::damaged("a member is cut")));
    }
    Ok(content.into())
}

/// An ongoing walk: the folders from the root to where it stands.
struct Walk {
    rules: Arc<Rules>,
    stack: Vec<Level>,
    /// An error met before the first object.
    failed: Option<crate::Error>,
}

enum Level {
    Folder(Folder),
    Archive(Box<LocalArchive>),
}

struct Folder {
    /// Path relative to the root, ending in `/` unless it is the root.
    relative: String,
    path: PathBuf,
    /// Without links, to notice a link to a folder above.
    real: PathBuf,
    entries: vec::IntoIter<Entry>,
}

struct Entry {
    name: OsString,
    folder: bool,
    link: bool,
}

impl Walk {
    fn new(root: &Path, rules: Arc<Rules>) -> Self {
        let mut walk = Self { rules, stack: Vec::new(), failed: None };
        let result = if root.is_dir() {
            fs::canonicalize(root)
                .and_then(|real| Folder::open(String::new(), root.to_owned(), real))
                .map(|folder| walk.stack.push(Level::Folder(folder)))
        } else {
            let name = root.file_name().map(ToOwned::to_owned).unwrap_or_default();
            let alone = Entry { name, folder: false, link: false };
            let path = root.parent().unwrap_or(Path::new("")).to_owned();
            let entries = vec![alone].into_iter();
            walk.stack.push(Level::Folder(Folder {
                relative: String::new(),
                path,
                real: PathBuf::new(),
                entries,
            }));
            Ok(())
        };
        if let Err(e) = result {
            walk.failed = Some(errors::local(e, &shown(root)));
        }
        walk
    }

    fn page(&mut self) -> Vec<Result<Object>> {
        let mut page = Vec::new();
        let mut carried = 0;
        while page.len() < PAGE && carried < PAGE_BYTES {
            let Some(item) = self.next() else { break };
            if let Ok(Object { body: Body::Inline(bytes), .. }) = &item {
                carried += bytes.len();
            }
            page.push(item);
        }
        page
    }

    fn next(&mut self) -> Option<Result<Object>> {
        if let Some(e) = self.failed.take() {
            return Some(Err(e));
        }
        loop {
            let folder = match self.stack.last_mut()? {
                Level::Folder(folder) => folder,
                Level::Archive(archive) => match archive.next(&self.rules) {
                    Some(item) => return Some(item),
                    None => {
                        self.stack.pop();
                        continue;
                    }
                },
            };
            let Some(entry) = folder.entries.next() else {
                self.stack.pop();
                continue;
            };
            let relative = format!("{}{}", folder.relative, names::to_text(entry.name.as_encoded_bytes()));
            let path = folder.path.join(&entry.name);
            let real = folder.real.join(&entry.name);
            let step = if entry.folder {
                self.enter(relative, path, real, entry.link)
            } else {
                self.take(relative, path)
            };
            match step {
                Ok(Some(object)) => return Some(Ok(object)),
                Ok(None) => {}
                Err(e) => return Some(Err(e)),
            }
        }
    }

    fn enter(
        &mut self,
        relative: String,
        path: PathBuf,
        real: PathBuf,
        link: bool,
    ) -> Result<Option<Object>> {
        if !self.rules.enters(&relative) {
            return Ok(None);
        }
        let failed = |e| errors::local(e, &relative);
        let real = if link { fs::canonicalize(&path).map_err(failed)? } else { real };
        let above = self.stack.iter().any(|l| matches!(l, Level::Folder(f) if f.real == real));
        if above {
            return Err(errors::new(
                ErrorKind::InvalidArgument,
                "is a link to a folder above itself and was not followed; remove or exclude it",
            )
            .at(relative));
        }
        let folder = Folder::open(format!("{relative}/"), path, real).map_err(failed)?;
        if !folder.is_output() {
            self.stack.push(Level::Folder(folder));
        }
        Ok(None)
    }

    fn take(&mut self, relative: String, path: PathBuf) -> Result<Option<Object>> {
        let role = self.rules.role(&relative);
        if role == Role::Other {
            self.rules.skip();
            return Ok(None);
        }
        let found = fs::metadata(&path).map_err(|e| errors::local(e, &relative))?;
        if !found.is_file() {
            self.rules.skip();
            return Ok(None);
        }
        let version = version(&found);
        if let Role::Archive(packing) = role {
            // Members of an archive that is itself the input need no prefix.
            let alone = self.stack.len() == 1
                && matches!(self.stack.first(), Some(Level::Folder(f)) if f.real.as_os_str().is_empty());
            let prefix = if alone { String::new() } else { format!("{relative}/") };
            let archive = LocalArchive::open(packing, path, prefix, version)
                .map_err(|e| errors::local(e, &relative))?;
            self.stack.push(Level::Archive(Box::new(archive)));
            return Ok(None);
        }
        Ok(Some(Object {
            label: self.rules.labels.label(&relative),
            path: relative,
            size: found.len(),
            version: Some(version),
            body: Body::File(path),
        }))
    }
}

impl Folder {
    fn open(relative: String, path: PathBuf, real: PathBuf) -> std::io::Result<Self> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let link = kind.is_symlink();
            // A broken link is kept as a file: reading it says what is wrong.
            let folder =
                if link { fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()) } else { kind.is_dir() };
            entries.push(Entry { name: entry.file_name(), folder, link });
        }
        entries.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        Ok(Self { relative, path, real, entries: entries.into_iter() })
    }

    /// Whether a run has written here; it makes this folder before it lists its input.
    fn is_output(&self) -> bool {
        self.entries.as_slice().iter().any(|entry| entry.folder && entry.name == SCRATCH)
    }
}

impl Entry {
    /// A folder sorts as its name with `/`, so that the walk is in the order of whole paths.
    fn key(&self) -> impl Iterator<Item = u8> {
        let name = self.name.as_encoded_bytes().iter().copied();
        name.chain(self.folder.then_some(b'/'))
    }
}

/// Modification time and size.
fn version(found: &fs::Metadata) -> String {
    let modified = found.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    format!("{}-{}", modified.map_or(0, |t| t.as_nanos()), found.len())
}

pub(super) fn shown(path: &Path) -> String {
    names::to_text(path.as_os_str().as_encoded_bytes()).to_string()
}

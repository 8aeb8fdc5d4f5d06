//! [`OutputStore`]: the few operations a run needs of its output folder or bucket.

use super::read::{Place, place};
use crate::{
    Error, ErrorKind, Result, Stage,
    host::source::{OutputPlace, Service, connect_output, explain},
};
use alloc::{boxed::Box, format, string::String, string::ToString, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::{
    any::Any,
    sync::atomic::{AtomicU64, Ordering},
};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path as StorePath};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Folder of locks and unfinished files in a local output; by it a listing knows an output.
pub(crate) const SCRATCH: &str = ".fruitcore";

/// Where a run writes. Names are relative, with `/` between folders.
///
/// # Contract
/// - `put` is atomic: whoever looks at `name`, even after a crash at any moment, sees the old
///   content or the new, whole. Once it returned `Ok`, a crash of the process loses nothing (on a
///   local disk: nor does a power cut).
/// - After an error of `put`, `name` has its old content, or the new.
/// - Calls may come from several threads, for different names.
pub trait OutputStore: Send + Sync {
    /// Creates or replaces one file.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::Io`] (disk full), [`ErrorKind::Network`].
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()>;

    /// Like [`put`](OutputStore::put), but a power cut may lose the file: for copies that can be made
    /// again.
    ///
    /// # Errors
    /// As [`put`](OutputStore::put).
    fn put_copy(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.put(name, bytes)
    }

    /// The content of a file; `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`put`](OutputStore::put).
    fn get(&self, name: &str) -> Result<Option<Bytes>>;

    /// The size of a file; `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`put`](OutputStore::put).
    fn size(&self, name: &str) -> Result<Option<u64>>;

    /// Names in a folder (`""` is the top), sorted; folders end with `/`. Empty if there is no such
    /// folder.
    ///
    /// # Errors
    /// As [`put`](OutputStore::put).
    fn entries(&self, folder: &str) -> Result<Vec<String>>;

    /// Removes a file; no error if there is none of this name.
    ///
    /// # Errors
    /// As [`put`](OutputStore::put).
    fn remove(&self, name: &str) -> Result<()>;

    /// Makes this process the only writer under the name `owner` until the returned guard is
    /// dropped, where the store can do so, and clears what a killed owner of this name left.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] if another process holds it.
    fn lock(&self, owner: &str) -> Result<Box<dyn Any + Send>>;

    /// The place as the user named it, without credentials.
    fn describe(&self) -> String;
}

/// Opens a local folder or an object store URL as output.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] for a URL that no store of this build accepts.
pub fn open_output(target: &str) -> Result<Arc<dyn OutputStore>> {
    match place(target) {
        Place::Remote(url) => {
            let OutputPlace { store, service, prefix, name } = connect_output(&url)?;
            Ok(Arc::new(RemoteStore { service, ..RemoteStore::new(store, prefix, name)? }))
        }
        Place::File(url) => match url.to_file_path() {
            Ok(path) => Ok(Arc::new(LocalStore::new(path))),
            Err(()) => {
                let m = "this file:// URL names no local folder; write it as file:///folder";
                Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m).at(target))
            }
        },
        Place::Path => Ok(Arc::new(LocalStore::new(target))),
    }
}

/// A local folder. Files are written under `.fruitcore/`, flushed to the disk and renamed.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    owner: OnceLock<String>,
    next: AtomicU64,
}

impl LocalStore {
    /// The folder `root`, created with the first file.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), owner: OnceLock::new(), next: AtomicU64::new(0) }
    }

    fn path(&self, name: &str) -> PathBuf {
        name.split('/').filter(|s| !s.is_empty()).fold(self.root.clone(), |p, s| p.join(s))
    }

    fn scratch(&self) -> PathBuf {
        let owner = self.owner.get_or_init(|| format!("process-{}", std::process::id()));
        self.root.join(SCRATCH).join("tmp").join(owner)
    }

    fn write(&self, name: &str, bytes: &[u8], durable: bool) -> Result<()> {
        let target = self.path(name);
        let scratch = self.scratch();
        let temporary = scratch.join(format!("{}", self.next.fetch_add(1, Ordering::Relaxed)));
        let write = || {
            let folder = target.parent().unwrap_or(&self.root);
            fs::create_dir_all(&scratch)?;
            fs::create_dir_all(folder)?;
            let mut file = fs::File::create(&temporary)?;
            file.write_all(bytes)?;
            if durable {
                file.sync_all()?;
            }
            drop(file);
            fs::rename(&temporary, &target)?;
            if durable { sync_folder(folder) } else { Ok(()) }
        };
        write().map_err(|e| {
            let _ = fs::remove_file(&temporary);
            local_error(&target, &e)
        })
    }
}

impl OutputStore for LocalStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes, true)
    }

    fn put_copy(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write(name, bytes, false)
    }

    fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.path(name);
        missing(fs::read(&path).map(Bytes::from), &path)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        let path = self.path(name);
        missing(fs::metadata(&path).map(|m| m.len()), &path)
    }

    fn entries(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path(folder);
        let read = || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&path)? {
                let entry = entry?;
                let mut name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type()?.is_dir() {
                    name.push('/');
                }
                names.push(name);
            }
            names.sort_unstable();
            Ok(names)
        };
        Ok(missing(read(), &path)?.unwrap_or_default())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        missing(fs::remove_file(&path), &path).map(|_| ())
    }

    fn lock(&self, owner: &str) -> Result<Box<dyn Any + Send>> {
        let _ = self.owner.set(String::from(owner));
        let scratch = self.scratch();
        let path = self.root.join(SCRATCH).join(format!("{owner}.lock"));
        let open = || {
            fs::create_dir_all(&scratch)?;
            fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)
        };
        let file = open().map_err(|e| local_error(&path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let m = "another process is writing this run; wait for it, or choose another --output";
                return Err(Error::new(ErrorKind::Mismatch, Stage::Run, m).at(self.describe()));
            }
            // A file system without locks: one writer is then the user's promise.
            Err(fs::TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(fs::TryLockError::Error(e)) => return Err(local_error(&path, &e)),
        }
        // Held alone: what lies in the scratch folder belongs to a killed process.
        let entries = fs::read_dir(&scratch).map_err(|e| local_error(&scratch, &e))?;
        for entry in entries.flatten() {
            let _ = fs::remove_file(entry.path());
        }
        Ok(Box::new(file))
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}

/// A place in an object store. One file is one request; there is no lock, so that one process per
/// run (or per shard) is the user's promise.
pub struct RemoteStore {
    store: Arc<dyn ObjectStore>,
    service: Service,
    prefix: StorePath,
    name: String,
    runtime: tokio::runtime::Runtime,
}

impl RemoteStore {
    /// Files below `prefix`; `name` is what messages show.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if no thread can be started.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: StorePath, name: impl Into<String>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fruitcore-output")
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("{e}")).because(e))?;
        Ok(Self { store, service: Service::Given, prefix, name: name.into(), runtime })
    }

    fn path(&self, name: &str) -> StorePath {
        let parts = name.split('/').filter(|s| !s.is_empty());
        self.prefix.parts().chain(parts.map(object_store::path::PathPart::from)).collect()
    }

    fn error(&self, name: &str, e: object_store::Error) -> Error {
        let (kind, mut m) = explain(&e, self.service);
        if kind == ErrorKind::Network {
            m.push_str("; start again to go on: finished parts are kept");
        }
        Error::new(kind, Stage::Sink, m).at(format!("{}/{name}", self.name)).because(e)
    }

    fn absent<T>(&self, name: &str, result: object_store::Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.error(name, e)),
        }
    }
}

impl OutputStore for RemoteStore {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let payload = PutPayload::from(bytes.to_vec());
        let done = self.runtime.block_on(self.store.put(&self.path(name), payload));
        done.map(|_| ()).map_err(|e| self.error(name, e))
    }

    fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.path(name);
        let read = self.runtime.block_on(async { self.store.get(&path).await?.bytes().await });
        self.absent(name, read)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        let head = self.runtime.block_on(self.store.head(&self.path(name)));
        Ok(self.absent(name, head)?.map(|m| m.size))
    }

    fn entries(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path(folder);
        let list = self.runtime.block_on(self.store.list_with_delimiter(Some(&path)));
        let Some(list) = self.absent(folder, list)? else { return Ok(Vec::new()) };
        let name = |p: &StorePath| p.filename().map(String::from);
        let folders = list.common_prefixes.iter().filter_map(name).map(|n| n + "/");
        let mut names: Vec<_> =
            list.objects.iter().filter_map(|o| name(&o.location)).chain(folders).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        let gone = self.runtime.block_on(async {
            let one = futures::stream::iter([Ok(path)]);
            self.store.delete_stream(Box::pin(one)).try_collect::<Vec<_>>().await
        });
        self.absent(name, gone).map(|_| ())
    }

    fn lock(&self, _owner: &str) -> Result<Box<dyn Any + Send>> {
        Ok(Box::new(()))
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

fn missing<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(local_error(path, &e)),
    }
}

/// The error of a local file operation, with what to do about it.
pub(crate) fn local_error(path: &Path, e: &io::Error) -> Error {
    let (kind, remedy) = match e.kind() {
        io::ErrorKind::PermissionDenied => (ErrorKind::PermissionDenied, "; choose a folder you can write"),
        io::ErrorKind::ReadOnlyFilesystem => (ErrorKind::PermissionDenied, "; choose another --output"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Io, "; free some space and start again: finished parts are kept")
        }
        io::ErrorKind::NotADirectory => (ErrorKind::InvalidArgument, "; choose another --output"),
        io::ErrorKind::NotFound => (ErrorKind::NotFound, ""),
        _ => (ErrorKind::Io, "; start again to go on: finished parts are kept"),
    };
    Error::new(kind, Stage::Sink, format!("{e}{remedy}"))
        .at(path.display().to_string())
        .because(io::Error::new(e.kind(), e.to_string()))
}

/// Makes a rename in `folder` durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Other systems order renames themselves and refuse to open folders.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

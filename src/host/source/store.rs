//! Objects under a prefix of a store, or a single object or archive in it.

use super::{
    Body, Object, Retry, Source,
    connect::Connection,
    errors,
    filter::{Packing, Role, Rules},
    patience::retried,
    remote_archive::RemoteArchive,
};
use crate::{ErrorKind, Result};
use alloc::{
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
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt, path::Path};

/// A prefix, a picture or an archive in an object store.
///
/// S3, Google and Azure list in byte order of the keys, page by page. Other stores are listed folder
/// by folder, each sorted, which gives the same order. A `.tar` or `.tar.gz` in a store is read once,
/// from its beginning to its end, and its pictures travel with the listing.
///
/// Fetching and listing need a running Tokio runtime for stores on a network.
#[derive(Debug)]
pub struct StoreSource {
    connection: Connection,
    root: Path,
    /// Whether `root` is one object instead of a prefix.
    single: bool,
    rules: Arc<Rules>,
    retry: Retry,
    shown: String,
}

impl StoreSource {
    pub(super) fn new(
        connection: Connection,
        root: Path,
        single: bool,
        rules: Arc<Rules>,
        retry: Retry,
        shown: String,
    ) -> Self {
        Self { connection, root, single, rules, retry, shown }
    }
}

impl Source for StoreSource {
    fn list(&self) -> BoxStream<'_, Result<Object>> {
        let walk = Walk { source: self, rules: self.rules.listing(), stack: Vec::new(), begun: false };
        stream::unfold(walk, |mut walk| async move { walk.next().await.map(|item| (item, walk)) }).boxed()
    }

    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            let (location, range) = match &object.body {
                Body::Inline(bytes) => return Ok(bytes.clone()),
                Body::Stored(location) => (location, None),
                Body::Range(location, range) => (location, Some(range.clone())),
                _ => {
                    return Err(errors::new(
                        ErrorKind::InvalidArgument,
                        "this object comes from another source; fetch it from the one that listed it",
                    )
                    .at(&object.path));
                }
            };
            fetch(&self.connection, location, range, &self.retry, self.rules.max_bytes)
                .await
                .map_err(|e| e.at(&object.path))
        })
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn skipped(&self) -> u64 {
        self.rules.skipped()
    }
}

/// Reads one object whole, or a range of it.
pub(super) async fn fetch(
    connection: &Connection,
    location: &Path,
    range: Option<Range<u64>>,
    retry: &Retry,
    limit: u64,
) -> Result<Bytes> {
    let got = retried(retry, || async {
        let range = range.clone().map(GetRange::Bounded);
        let options = GetOptions { range, ..GetOptions::default() };
        let got = connection.store.get_opts(location, options).await?;
        let size = got.range.end.saturating_sub(got.range.start);
        if size > limit {
            return Ok(Err(errors::too_large(size, limit)));
        }
        let bytes = got.bytes().await?;
        if (bytes.len() as u64) < size {
            let cut = format!("{} of {size} bytes came", bytes.len());
            return Err(object_store::Error::Generic { store: "body", source: cut.into() });
        }
        Ok(Ok(bytes))
    });
    got.await.map_err(|e| errors::store(e, connection.service))?
}

/// An ongoing listing.
struct Walk<'a> {
    source: &'a StoreSource,
    rules: Arc<Rules>,
    stack: Vec<Level>,
    begun: bool,
}

enum Level {
    /// The store's own order.
    Flat(BoxStream<'static, object_store::Result<ObjectMeta>>),
    /// One folder, sorted.
    Folder(vec::IntoIter<Child>),
    Archive(Box<RemoteArchive>),
}

enum Child {
    Folder(Path),
    Object(ObjectMeta),
}

impl Walk<'_> {
    async fn next(&mut self) -> Option<Result<Object>> {
        if !self.begun {
            self.begun = true;
            if let Err(e) = self.begin().await {
                return Some(Err(e.at(&self.source.shown)));
            }
        }
        loop {
            let child = match self.stack.last_mut()? {
                Level::Archive(archive) => match archive.next(&self.rules).await {
                    Some(item) => return Some(item),
                    None => None,
                },
                Level::Flat(listing) => match listing.next().await {
                    Some(Ok(meta)) => Some(Child::Object(meta)),
                    Some(Err(e)) => {
                        // The rest of a listing that broke off is unknown.
                        self.stack.clear();
                        let e = errors::store(e, self.source.connection.service);
                        return Some(Err(e.at(&self.source.shown)));
                    }
                    None => None,
                },
                Level::Folder(children) => children.next(),
            };
            let step = match child {
                None => {
                    self.stack.pop();
                    continue;
                }
                Some(Child::Folder(folder)) => {
                    if !self.rules.enters(self.relative(&folder)) {
                        continue;
                    }
                    self.enter(&folder).await.map(|()| None).map_err(|e| e.at(folder.to_string()))
                }
                Some(Child::Object(meta)) => Ok(self.take(meta)),
            };
            match step {
                Ok(Some(object)) => return Some(Ok(object)),
                Ok(None) => {}
                Err(e) => return Some(Err(e)),
            }
        }
    }

    async fn begin(&mut self) -> Result<()> {
        let source = self.source;
        let root = &source.root;
        if source.single {
            if let Some(packing) = Packing::of(root.as_ref()) {
                self.open_archive(root.clone(), packing, String::new(), None);
                return Ok(());
            }
            let store = &source.connection.store;
            let meta = retried(&source.retry, || store.head(root)).await;
            let meta = meta.map_err(|e| errors::store(e, source.connection.service))?;
            self.stack.push(Level::Folder(vec![Child::Object(meta)].into_iter()));
            return Ok(());
        }
        if source.connection.ordered {
            let prefix = (!root.as_ref().is_empty()).then_some(root);
            self.stack.push(Level::Flat(source.connection.store.list(prefix)));
            return Ok(());
        }
        self.enter(root).await
    }

    async fn enter(&mut self, folder: &Path) -> Result<()> {
        let connection = &self.source.connection;
        let prefix = (!folder.as_ref().is_empty()).then_some(folder);
        let listed = retried(&self.source.retry, || connection.store.list_with_delimiter(prefix)).await;
        let listed = listed.map_err(|e| errors::store(e, connection.service))?;
        let folders = listed.common_prefixes.into_iter().map(Child::Folder);
        let objects = listed.objects.into_iter().map(Child::Object);
        let mut children: Vec<_> = folders.chain(objects).collect();
        children.sort_by(|a, b| a.key().cmp(b.key()));
        self.stack.push(Level::Folder(children.into_iter()));
        Ok(())
    }

    fn take(&mut self, meta: ObjectMeta) -> Option<Object> {
        let path: String = self.relative(&meta.location).into();
        match self.rules.role_of_key(&path) {
            Role::Other => {
                self.rules.skip();
                None
            }
            Role::Archive(packing) => {
                self.open_archive(meta.location.clone(), packing, format!("{path}/"), version(&meta));
                None
            }
            Role::Picture => Some(Object {
                label: self.rules.labels.label(&path),
                path,
                size: meta.size,
                version: version(&meta),
                body: Body::Stored(meta.location),
            }),
        }
    }

    fn open_archive(&mut self, location: Path, packing: Packing, prefix: String, version: Option<String>) {
        let source = self.source;
        let archive =
            RemoteArchive::open(source.connection.clone(), location, packing, prefix, version, source.retry);
        self.stack.push(Level::Archive(Box::new(archive)));
    }

    /// The part of a location below the root.
    fn relative<'p>(&self, location: &'p Path) -> &'p str {
        let whole = location.as_ref();
        let root = self.source.root.as_ref();
        if self.source.single {
            return whole.rsplit('/').next().unwrap_or(whole);
        }
        whole.strip_prefix(root).map_or(whole, |rest| rest.trim_start_matches('/'))
    }
}

impl Child {
    /// A folder sorts as its name with `/`, so that the walk is in the order of whole keys.
    fn key(&self) -> impl Iterator<Item = u8> {
        let (location, slash) = match self {
            Self::Folder(path) => (path, Some(b'/')),
            Self::Object(meta) => (&meta.location, None),
        };
        location.as_ref().bytes().chain(slash)
    }
}

fn version(meta: &ObjectMeta) -> Option<String> {
    let stamp = || format!("{}-{}", meta.last_modified.timestamp_millis(), meta.size);
    Some(meta.e_tag.clone().unwrap_or_else(stamp))
}

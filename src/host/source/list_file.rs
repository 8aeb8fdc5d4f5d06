//! A text file that names pictures, one path or URL a line.

use super::{
    Body, Object, Source, SourceOptions,
    archive::Seen,
    bytes_in::ByteStream,
    connect::{Connection, connect, public},
    errors,
    filter::{Packing, Rules},
    local, store,
};
use crate::{ErrorKind, Result};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use bytes::Bytes;
use futures::{
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use object_store::{ObjectStore, path::Path};
use std::{path::PathBuf, sync::Mutex};
use url::Url;

/// A longer line is no path.
const MAX_LINE: usize = 64 << 10;

/// Pictures named by a list: a `.txt` file, local or in a store, with one path or URL a line.
///
/// The order is the list's. Paths are relative to the folder of the list; a local list may hold
/// absolute paths. Every line counts as a picture, whatever its ending; empty lines are passed over;
/// a line that appears a second time is an error item. Sizes are unknown before fetching and given
/// as 0.
#[derive(Debug)]
pub struct ListSource {
    list: Place,
    rules: Arc<Rules>,
    options: SourceOptions,
    shown: String,
    /// Stores of URLs in the list, by scheme and host.
    stores: Mutex<BTreeMap<String, Connection>>,
}

/// Where the list is.
#[derive(Debug)]
pub(super) enum Place {
    Local(PathBuf),
    Store(Connection, Path),
}

impl ListSource {
    pub(super) fn new(list: Place, rules: Arc<Rules>, options: &SourceOptions, shown: String) -> Self {
        Self { list, rules, options: options.clone(), shown, stores: Mutex::default() }
    }

    fn lines(&self) -> Result<Lines> {
        let (connection, location) = match &self.list {
            Place::Store(connection, location) => (connection.clone(), location.clone()),
            Place::Local(path) => {
                let failed = |e: object_store::Error| {
                    errors::new(ErrorKind::Io, format!("the list can't be read: {e}"))
                        .at(&self.shown)
                        .because(e)
                };
                let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(".".as_ref());
                let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                let store = object_store::local::LocalFileSystem::new_with_prefix(folder).map_err(failed)?;
                let store: Arc<dyn ObjectStore> = Arc::new(store);
                (Connection::given(store), Path::from(name))
            }
        };
        let bytes = ByteStream::open(connection, location, self.options.retry, Packing::Plain);
        Ok(Lines { bytes, line: Vec::new(), chunk: Bytes::new(), over: false })
    }

    fn object(&self, rules: &Rules, line: String) -> Result<Option<Object>> {
        if !rules.lists(&line) {
            rules.skip();
            return Ok(None);
        }
        let body = if line.contains("://") {
            let url = Url::parse(&line).map_err(|e| {
                errors::new(ErrorKind::InvalidArgument, format!("is no URL: {e}")).at(&line).because(e)
            })?;
            Body::Url(url)
        } else {
            match &self.list {
                Place::Local(list) => Body::File(list.parent().unwrap_or("".as_ref()).join(&line)),
                Place::Store(_, list) => {
                    let folder = list.as_ref().rsplit_once('/').map_or("", |(folder, _)| folder);
                    let whole = format!("{folder}/{}", line.trim_start_matches("./"));
                    Body::Stored(Path::parse(whole.trim_start_matches('/')).map_err(|e| {
                        errors::new(ErrorKind::InvalidArgument, format!("is no path in this store: {e}"))
                            .at(&line)
                            .because(e)
                    })?)
                }
            }
        };
        Ok(Some(Object { label: rules.labels.label(&line), path: line, size: 0, version: None, body }))
    }

    fn connection(&self, url: &Url) -> Result<(Connection, Path)> {
        let origin = format!("{}://{}", url.scheme(), url.authority());
        let known = self.stores.lock().ok().and_then(|stores| stores.get(&origin).cloned());
        if let Some(known) = known {
            let (_, path) = object_store::ObjectStoreScheme::parse(url)
                .map_err(|e| errors::new(ErrorKind::InvalidArgument, format!("{e}")).at(public(url)))?;
            return Ok((known, path));
        }
        let (connection, path) = connect(url, &self.options)?;
        if let Ok(mut stores) = self.stores.lock() {
            stores.insert(origin, connection.clone());
        }
        Ok((connection, path))
    }
}

impl Source for ListSource {
    fn list(&self) -> BoxStream<'_, Result<Object>> {
        let state = (self.lines(), Seen::default(), self.rules.listing());
        stream::unfold(state, move |(lines, mut seen, rules)| async move {
            let mut lines = match lines {
                Ok(lines) => lines,
                Err(e) => return Some((Err(e), (Ok(Lines::over()), seen, rules))),
            };
            loop {
                let item = match lines.next().await? {
                    Ok(line) if !seen.insert(&line) => Err(errors::new(
                        ErrorKind::InvalidArgument,
                        "appears twice in the list; the first line counts, remove the other",
                    )
                    .at(line)),
                    Ok(line) => self.object(&rules, line),
                    Err(e) => Err(e.at(&self.shown)),
                };
                match item {
                    Ok(None) => {}
                    Ok(Some(object)) => return Some((Ok(object), (Ok(lines), seen, rules))),
                    Err(e) => return Some((Err(e), (Ok(lines), seen, rules))),
                }
            }
        })
        .boxed()
    }

    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            let limit = self.rules.max_bytes;
            let retry = &self.options.retry;
            let got = match (&object.body, &self.list) {
                (Body::Url(url), _) if url.scheme() == "file" => {
                    let path = url.to_file_path().map_err(|()| {
                        errors::new(ErrorKind::InvalidArgument, "is no path on this machine").at(&object.path)
                    })?;
                    let body = Body::File(path);
                    return local::fetch(&Object { body, ..object.clone() }, limit).await;
                }
                (Body::Url(url), _) => {
                    let (connection, path) = self.connection(url)?;
                    store::fetch(&connection, &path, None, retry, limit).await
                }
                (Body::Stored(path), Place::Store(connection, _)) => {
                    store::fetch(connection, path, None, retry, limit).await
                }
                _ => return local::fetch(object, limit).await,
            };
            got.map_err(|e| e.at(&object.path))
        })
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn skipped(&self) -> u64 {
        self.rules.skipped()
    }
}

/// A text's lines, without line ends and without empty ones.
struct Lines {
    bytes: ByteStream,
    line: Vec<u8>,
    chunk: Bytes,
    over: bool,
}

impl Lines {
    /// Nothing more to come.
    fn over() -> Self {
        Self { bytes: ByteStream::empty(), line: Vec::new(), chunk: Bytes::new(), over: true }
    }

    async fn next(&mut self) -> Option<Result<String>> {
        while !self.over {
            if self.chunk.is_empty() {
                match self.bytes.chunk().await {
                    Ok(Some(chunk)) => self.chunk = chunk,
                    Ok(None) => self.over = true,
                    Err(e) => {
                        self.over = true;
                        return Some(Err(e));
                    }
                }
            }
            let end = self.chunk.iter().position(|&b| b == b'\n');
            let part = self.chunk.split_to(end.unwrap_or(self.chunk.len()));
            self.line.extend_from_slice(&part);
            if self.line.len() > MAX_LINE {
                self.over = true;
                return Some(Err(not_a_list("has a line of more than 64 KiB")));
            }
            if end.is_some() {
                let _newline = self.chunk.split_to(1);
            } else if !self.over {
                continue;
            }
            let line = core::mem::take(&mut self.line);
            match core::str::from_utf8(&line) {
                Ok(text) => {
                    let text = text.trim_start_matches('\u{feff}').trim_end_matches('\r');
                    if !text.trim().is_empty() {
                        return Some(Ok(text.to_owned()));
                    }
                }
                Err(_) => {
                    self.over = true;
                    return Some(Err(not_a_list("is not UTF-8 text")));
                }
            }
        }
        None
    }
}

fn not_a_list(why: &str) -> crate::Error {
    errors::new(ErrorKind::InvalidArgument, format!("{why}; a list holds one path or URL a line").to_string())
}

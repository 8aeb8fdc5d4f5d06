//! Where encoded pictures come from: listing in a fixed order, fetching, labels.

mod archive;
mod bytes_in;
mod connect;
mod errors;
mod filter;
mod label;
mod list_file;
mod local;
mod names;
mod open;
mod options;
mod patience;
mod remote_archive;
mod store;
mod tar;

pub use errors::nothing_found;
pub use label::{LabelRule, LabelTable};
pub use list_file::ListSource;
pub use local::LocalSource;
pub use open::open;
pub use options::{Retry, SourceOptions};
pub use store::StoreSource;

use crate::Result;
use alloc::{string::String, sync::Arc};
use bytes::Bytes;
use core::ops::Range;
use futures::{future::BoxFuture, stream::BoxStream};
use std::path::PathBuf;

/// One picture of a source.
#[derive(Clone, Debug)]
pub struct Object {
    /// Unique within the source; what `path` columns, messages and `rejects.csv` show.
    pub path: String,
    /// Its label, if the source's label rule gives one.
    pub label: Option<String>,
    /// Bytes, as listed.
    pub size: u64,
    /// Changes when the content does: ETag, or modification time and size.
    pub version: Option<String>,
    /// Where its bytes are.
    pub body: Body,
}

/// Where an [`Object`]'s bytes are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Body {
    /// In the source's store, under this location.
    Stored(object_store::path::Path),
    /// A byte range of a stored object (a member of an uncompressed tar).
    Range(object_store::path::Path, Range<u64>),
    /// In a local file.
    File(PathBuf),
    /// A byte range of a local file.
    FileRange(PathBuf, Range<u64>),
    /// Behind a URL that a list names.
    Url(url::Url),
    /// Read along with the listing (a compressed tar, a stream).
    Inline(Bytes),
}

/// Lists and fetches encoded pictures.
///
/// # Contract
/// - `list` yields objects in an order that depends on the content only, so that two runs over the
///   same data cut the same parts. It is lazy: at most one page (a folder, a page of the store's listing)
///   is read ahead of what is polled.
/// - An `Err` item concerns one object or directory; the stream may go on after it. A stream that
///   can't go on ends after its error.
/// - `fetch` may be called for many objects at once, from any thread; it retries what is worth
///   retrying before it fails.
pub trait Source: Send + Sync {
    /// The pictures, in a fixed order.
    fn list(&self) -> BoxStream<'_, Result<Object>>;

    /// The encoded bytes of one picture.
    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>>;

    /// The source as the user named it, without credentials.
    fn describe(&self) -> String;

    /// Files that the latest `list` has passed over so far because they aren't pictures by name.
    fn skipped(&self) -> u64 {
        0
    }
}

pub(crate) use connect::Service;
pub(crate) use errors::explain;
pub(crate) use options::EXTENSIONS;

/// What stands behind an output's URL; opened with the settings that reading it would use.
pub(crate) struct OutputPlace {
    pub(crate) store: Arc<dyn object_store::ObjectStore>,
    pub(crate) service: Service,
    pub(crate) prefix: object_store::path::Path,
    /// The URL as messages may show it.
    pub(crate) name: String,
}

pub(crate) fn connect_output(url: &url::Url) -> Result<OutputPlace> {
    let (connection, prefix) = connect::connect(url, &SourceOptions::default())?;
    Ok(OutputPlace {
        store: connection.store,
        service: connection.service,
        prefix,
        name: connect::public(url),
    })
}

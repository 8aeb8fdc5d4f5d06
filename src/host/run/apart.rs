//! An input that holds the run's own output.

use super::{OutputStore, is_remote};
use crate::{
    Error, ErrorKind, Result, Stage,
    host::source::{Object, Source},
};
use alloc::{format, string::String, sync::Arc};
use bytes::Bytes;
use core::future::ready;
use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use object_store::path::Path as StorePath;
use std::fs;

/// `source` without what a run writes to `output`: the figures of its report are pictures, too, and
/// the next start would find them among its input. Local folders pass over outputs by themselves.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if the two are the same place.
pub(super) fn apart(source: &Arc<dyn Source>, output: &dyn OutputStore) -> Result<Arc<dyn Source>> {
    let (input, out) = (source.describe(), output.describe());
    let same = if is_remote(&out) {
        input.trim_end_matches('/') == out.trim_end_matches('/')
    } else {
        // What isn't there yet, or is no folder, is not the other.
        !is_remote(&input)
            && fs::canonicalize(&input).ok().is_some_and(|i| fs::canonicalize(&out).is_ok_and(|o| i == o))
    };
    if same {
        let m = "the output is the input itself, so the next start would read what this one writes; \
                 choose a folder in it, or another";
        return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m).at(out));
    }
    let below = if is_remote(&out) { out.strip_prefix(input.trim_end_matches('/')) } else { None };
    let below = below.and_then(|rest| rest.strip_prefix('/'));
    let folder = below.and_then(|rest| StorePath::from_url_path(rest).ok());
    Ok(match folder {
        Some(folder) => Arc::new(Apart { source: Arc::clone(source), output: format!("{folder}/") }),
        None => Arc::clone(source),
    })
}

/// A prefix of a store without a folder in it.
struct Apart {
    source: Arc<dyn Source>,
    /// How paths in that folder begin.
    output: String,
}

impl Source for Apart {
    fn list(&self) -> BoxStream<'_, Result<Object>> {
        let outside = |item: &Result<Object>| {
            ready(!item.as_ref().is_ok_and(|object| object.path.starts_with(&self.output)))
        };
        self.source.list().filter(outside).boxed()
    }

    fn fetch<'a>(&'a self, object: &'a Object) -> BoxFuture<'a, Result<Bytes>> {
        self.source.fetch(object)
    }

    fn describe(&self) -> String {
        self.source.describe()
    }

    fn skipped(&self) -> u64 {
        self.source.skipped()
    }
}

//! Tar archives in stores: one request, read from beginning to end.

use super::{
    Body, Object, Retry,
    archive::{Seen, admit, special},
    bytes_in::ByteStream,
    connect::Connection,
    filter::{Packing, Rules},
    tar::{self, BLOCK, Headers, Next},
};
use crate::Result;
use alloc::{
    format,
    string::{String, ToString},
};
use bytes::Bytes;
use object_store::path::Path;

/// An ongoing walk through one archive.
pub(super) struct RemoteArchive {
    location: Path,
    /// Stands before members' names.
    prefix: String,
    version: Option<String>,
    bytes: ByteStream,
    headers: Headers,
    seen: Seen,
    at: u64,
    over: bool,
}

impl RemoteArchive {
    pub(super) fn open(
        connection: Connection,
        location: Path,
        packing: Packing,
        prefix: String,
        version: Option<String>,
        retry: Retry,
    ) -> Self {
        let bytes = ByteStream::open(connection, location.clone(), retry, packing);
        let (headers, seen) = Default::default();
        Self { location, prefix, version, bytes, headers, seen, at: 0, over: false }
    }

    pub(super) async fn next(&mut self, rules: &Rules) -> Option<Result<Object>> {
        while !self.over {
            match self.step(rules).await {
                Ok(Some(item)) => return Some(item),
                Ok(None) => {}
                Err(e) => {
                    self.over = true;
                    return Some(Err(e.at(self.location.to_string())));
                }
            }
        }
        None
    }

    /// Reads one header and what belongs to it. An inner error concerns one member, an outer one ends
    /// the archive.
    async fn step(&mut self, rules: &Rules) -> Result<Option<Result<Object>>> {
        let block = self.bytes.take(BLOCK).await?;
        if block.is_empty() {
            self.over = true;
            return Ok(None);
        }
        let block: &[u8; BLOCK] =
            block.as_ref().try_into().map_err(|_| tar::damaged("it ends within a header"))?;
        self.at += BLOCK as u64;
        let content_at = self.at;
        match self.headers.read(block)? {
            Next::End => self.over = true,
            Next::Skip(size) => self.pass(size).await?,
            Next::Extension(kind, size) => {
                let content = self.take(size).await?;
                self.headers.extend(kind, &content)?;
            }
            Next::Special(name, size) => {
                self.pass(size).await?;
                return Ok(special(rules, &self.prefix, &name).map(Err));
            }
            Next::File(name, size) => {
                let path = format!("{}{name}", self.prefix);
                match admit(&mut self.seen, &path, size, rules) {
                    Ok(true) => {}
                    Ok(false) => {
                        self.pass(size).await?;
                        return Ok(None);
                    }
                    Err(e) => {
                        self.pass(size).await?;
                        return Ok(Some(Err(e)));
                    }
                }
                let body = Body::Inline(self.take(size).await?);
                let version = self.version.as_ref().map(|v| format!("{v}@{content_at}"));
                return Ok(Some(Ok(Object { label: rules.labels.label(&path), path, size, version, body })));
            }
        }
        Ok(None)
    }

    async fn take(&mut self, size: u64) -> Result<Bytes> {
        let len = usize::try_from(size).map_err(|_| tar::damaged("a member of impossible size"))?;
        let content = self.bytes.take(len).await?;
        if content.len() < len {
            return Err(tar::damaged("it ends within a member"));
        }
        self.at += size;
        let padding = tar::padded(size) - size;
        self.forward(padding).await?;
        Ok(content)
    }

    async fn pass(&mut self, size: u64) -> Result<()> {
        self.forward(tar::padded(size)).await
    }

    async fn forward(&mut self, bytes: u64) -> Result<()> {
        self.at = self.at.saturating_add(bytes);
        if self.bytes.skip(bytes).await? { Ok(()) } else { Err(tar::damaged("it ends within a member")) }
    }
}

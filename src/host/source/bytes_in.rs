//! A stored object as one long stream: resumed after breaks, unpacked if needed.

use super::{
    Retry,
    connect::Connection,
    errors,
    filter::Packing,
    patience::{pause, timely},
    tar::damaged,
};
use crate::Result;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::{GetOptions, GetRange, path::Path};
use std::io::Write;

/// Packed bytes unpacked at once: gzip can grow a thousandfold, and all of it is held.
const STEP: usize = 16 << 10;

/// Bytes in order, in the portions the reader asks for.
pub(super) struct ByteStream {
    chunks: BoxStream<'static, Result<Bytes>>,
    current: Bytes,
}

impl ByteStream {
    pub(super) fn open(connection: Connection, location: Path, retry: Retry, packing: Packing) -> Self {
        let raw = Raw { connection, location, retry, at: 0, etag: None, body: None, failures: 0 };
        let raw = stream::try_unfold(raw, |mut raw| async move {
            Ok::<_, crate::Error>(raw.next().await?.map(|chunk| (chunk, raw)))
        });
        let chunks = match packing {
            Packing::Plain => raw.boxed(),
            Packing::Gzip => unpack(raw.boxed()),
        };
        Self { chunks, current: Bytes::new() }
    }

    /// Nothing at all.
    pub(super) fn empty() -> Self {
        Self { chunks: stream::empty().boxed(), current: Bytes::new() }
    }

    /// The next chunk as it comes, or `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if !self.current.is_empty() {
            return Ok(Some(core::mem::take(&mut self.current)));
        }
        self.chunks.next().await.transpose()
    }

    /// The next `len` bytes, or fewer at the end.
    pub(super) async fn take(&mut self, len: usize) -> Result<Bytes> {
        if self.current.len() >= len {
            return Ok(self.current.split_to(len));
        }
        // Grows with what is really there: a header may promise anything.
        let mut gathered = BytesMut::from(core::mem::take(&mut self.current).as_ref());
        while gathered.len() < len {
            let Some(mut chunk) = self.chunks.next().await.transpose()? else { break };
            let part = chunk.split_to(chunk.len().min(len - gathered.len()));
            gathered.extend_from_slice(&part);
            self.current = chunk;
        }
        Ok(gathered.freeze())
    }

    /// Passes over `len` bytes; whether there were as many.
    pub(super) async fn skip(&mut self, mut len: u64) -> Result<bool> {
        loop {
            let here = usize::try_from(len).unwrap_or(usize::MAX).min(self.current.len());
            self.current.advance(here);
            len -= here as u64;
            if len == 0 {
                return Ok(true);
            }
            match self.chunks.next().await.transpose()? {
                Some(chunk) => self.current = chunk,
                None => return Ok(false),
            }
        }
    }
}

/// The object's own bytes.
struct Raw {
    connection: Connection,
    location: Path,
    retry: Retry,
    at: u64,
    etag: Option<alloc::string::String>,
    body: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    failures: usize,
}

impl Raw {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.attempt().await {
                Ok(Some(chunk)) => {
                    self.at += chunk.len() as u64;
                    self.failures = 0;
                    return Ok(Some(chunk));
                }
                Ok(None) => return Ok(None),
                Err(e) => {
                    self.body = None;
                    self.failures += 1;
                    if self.failures >= self.retry.attempts || !errors::transient(&e) {
                        return Err(errors::store(e, self.connection.service).at(self.location.as_ref()));
                    }
                    pause(&self.retry, self.failures).await;
                }
            }
        }
    }

    async fn attempt(&mut self) -> object_store::Result<Option<Bytes>> {
        let body = match &mut self.body {
            Some(body) => body,
            none => {
                let mut options = GetOptions::default();
                if self.at > 0 {
                    options.range = Some(GetRange::Offset(self.at));
                    options.if_match = self.etag.clone();
                }
                let got = self.connection.store.get_opts(&self.location, options);
                let got = timely(self.retry.timeout, got).await?;
                self.etag = got.meta.e_tag.clone();
                if got.meta.size <= self.at && self.at > 0 {
                    return Ok(None);
                }
                none.insert(got.into_stream())
            }
        };
        timely(self.retry.timeout, async { body.next().await.transpose() }).await
    }
}

/// Unpacks gzip, all its members.
fn unpack(packed: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
    let state = (packed, Bytes::new(), Some(MultiGzDecoder::new(Vec::new())));
    stream::try_unfold(state, |(mut packed, mut pending, mut decoder)| async move {
        loop {
            let Some(gzip) = &mut decoder else { return Ok(None) };
            let bad = |e: std::io::Error| damaged("the gzip data can't be read").because(e);
            if pending.is_empty() {
                match packed.next().await.transpose()? {
                    Some(chunk) => pending = chunk,
                    None => {
                        gzip.try_finish().map_err(bad)?;
                        let rest = Bytes::from(core::mem::take(gzip.get_mut()));
                        if rest.is_empty() {
                            return Ok(None);
                        }
                        return Ok(Some((rest, (packed, pending, None))));
                    }
                }
            }
            let step = pending.split_to(pending.len().min(STEP));
            gzip.write_all(&step).map_err(bad)?;
            let plain = Bytes::from(core::mem::take(gzip.get_mut()));
            if !plain.is_empty() {
                return Ok(Some((plain, (packed, pending, decoder))));
            }
        }
    })
    .boxed()
}

//! Tar headers, without reading or seeking: whoever holds the bytes asks what comes next.

use super::{errors, names};
use crate::{ErrorKind, Result};
use alloc::{format, string::String, vec::Vec};

/// Tar's unit: headers and the padding after contents.
pub(super) const BLOCK: usize = 512;

/// Long names are a few kilobytes; more is damage.
const MAX_EXTENSION: u64 = 1 << 20;

/// Reads headers in order and remembers what extension headers say about the next member.
#[derive(Debug, Default)]
pub(super) struct Headers {
    long_name: Option<Vec<u8>>,
    pax_name: Option<Vec<u8>>,
    pax_size: Option<u64>,
}

/// What a header announces.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The archive is over.
    End,
    /// A regular file, its name and the size of the content that follows.
    File(String, u64),
    /// A link or a sparse file, which has no plain content of its own; skip this many bytes.
    Special(String, u64),
    /// A folder or a device; skip this many bytes.
    Skip(u64),
    /// Content of this size that goes to [`Headers::extend`].
    Extension(Extension, u64),
}

/// Kinds of extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    GnuName,
    Pax,
}

impl Headers {
    /// Reads one header block.
    pub(super) fn read(&mut self, block: &[u8; BLOCK]) -> Result<Next> {
        if block.iter().all(|&b| b == 0) {
            return Ok(Next::End);
        }
        let header = tar::Header::from_byte_slice(block);
        let sum = header.cksum().unwrap_or(u32::MAX);
        let unsigned: u32 = block
            .iter()
            .enumerate()
            .map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u32::from(b) })
            .sum();
        if sum != unsigned {
            return Err(damaged("a header's checksum is wrong"));
        }
        let stored = header.entry_size().map_err(|_| damaged("a header's size is no number"))?;
        let kind = header.entry_type();
        if kind.is_gnu_longname() || kind.is_pax_local_extensions() {
            if stored > MAX_EXTENSION {
                return Err(damaged("a name of more than a megabyte"));
            }
            let extension = if kind.is_gnu_longname() { Extension::GnuName } else { Extension::Pax };
            return Ok(Next::Extension(extension, stored));
        }
        if kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
            return Ok(Next::Skip(stored));
        }
        let name = self.pax_name.take().or(self.long_name.take());
        let size = self.pax_size.take().unwrap_or(stored);
        self.long_name = None;
        let name = names::to_text(&name.unwrap_or_else(|| header.path_bytes().into_owned()));
        let name = clean(&name);
        Ok(if kind.is_file() || kind.is_contiguous() {
            if name.ends_with('/') { Next::Skip(size) } else { Next::File(name, size) }
        } else if kind.is_gnu_sparse() {
            Next::Special(name, size)
        } else if kind.is_hard_link() || kind.is_symlink() {
            Next::Special(name, 0)
        } else {
            Next::Skip(if kind.is_dir() { 0 } else { size })
        })
    }

    /// Takes the content that follows an extension header.
    pub(super) fn extend(&mut self, kind: Extension, content: &[u8]) -> Result<()> {
        match kind {
            Extension::GnuName => {
                let name = content.split(|&b| b == 0).next().unwrap_or_default();
                self.long_name = Some(name.to_vec());
            }
            Extension::Pax => {
                for record in tar::PaxExtensions::new(content) {
                    let record = record.map_err(|_| damaged("an extended header can't be read"))?;
                    match record.key_bytes() {
                        b"path" => self.pax_name = Some(record.value_bytes().to_vec()),
                        b"size" => {
                            let size = record.value().ok().and_then(|v| v.parse().ok());
                            self.pax_size =
                                Some(size.ok_or_else(|| damaged("an extended size is no number"))?);
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// `size` rounded up to whole blocks.
pub(super) fn padded(size: u64) -> u64 {
    size.saturating_add(BLOCK as u64 - 1) / BLOCK as u64 * BLOCK as u64
}

/// Names relative to the archive: without parts that mean nothing, in front (`./`, `/`) or within.
fn clean(name: &str) -> String {
    let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let mut clean = parts.join("/");
    // What ends in `/` is a folder.
    if name.ends_with('/') {
        clean.push('/');
    }
    clean
}

pub(super) fn damaged(what: &str) -> crate::Error {
    errors::new(
        ErrorKind::Corrupt,
        format!(
            "damaged or truncated archive ({what}); the members before are used, fetch it again for the rest"
        ),
    )
}

//! The directory of a zip archive: names and where their bytes lie. PyTorch stores without
//! compression, so nothing is unpacked.
//!
//! Format: PKWARE APPNOTE 6.3.10, sections 4.3 (structure) and 4.5.3 (ZIP64).

use crate::Result;
use crate::featurize::weights::stored::{corrupt, unsupported};
use alloc::{format, string::String, vec::Vec};
use core::ops::Range;

const END: &[u8; 4] = b"PK\x05\x06";
const END_LEN: usize = 22;
const END64_LOCATOR: &[u8; 4] = b"PK\x06\x07";
const END64: &[u8; 4] = b"PK\x06\x06";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const CENTRAL_LEN: usize = 46;
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const LOCAL_LEN: usize = 30;
/// Longest archive comment.
const MAX_COMMENT: usize = 0xffff;

/// One stored file.
pub(super) struct Entry {
    /// Its path in the archive.
    pub(super) name: String,
    /// Its bytes within the archive.
    pub(super) bytes: Range<usize>,
}

/// The archive's files, in the directory's order.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) if the directory is missing (a truncated file) or points
/// outside the file, [`Unsupported`](crate::ErrorKind::Unsupported) for compressed or encrypted
/// files.
pub(super) fn entries(file: &[u8]) -> Result<Vec<Entry>> {
    let end = find_end(file).ok_or_else(|| truncated(file))?;
    let (mut count, mut at) = (u64::from(u16_at(file, end + 10)?), u64::from(u32_at(file, end + 16)?));
    if let Some(locator) = end.checked_sub(20).filter(|&l| file.get(l..l + 4) == Some(END64_LOCATOR)) {
        let end64 = to_index(u64_at(file, locator + 8)?)?;
        if file.get(end64..end64.saturating_add(4)) != Some(END64) {
            return Err(damaged("the ZIP64 end record is not where it should be"));
        }
        count = u64_at(file, end64.saturating_add(32))?;
        at = u64_at(file, end64.saturating_add(48))?;
    }
    let mut at = to_index(at)?;
    let mut all = Vec::new();
    for _ in 0..count {
        let (entry, next) = central(file, at)?;
        all.extend(entry);
        at = next;
    }
    Ok(all)
}

fn find_end(file: &[u8]) -> Option<usize> {
    let last = file.len().checked_sub(END_LEN)?;
    (last.saturating_sub(MAX_COMMENT)..=last).rev().find(|&at| file.get(at..at + 4) == Some(END))
}

/// One directory record (`None` for a folder) and the next record's place.
fn central(file: &[u8], at: usize) -> Result<(Option<Entry>, usize)> {
    if file.get(at..at.saturating_add(4)) != Some(CENTRAL) {
        return Err(damaged("a directory record is not where it should be"));
    }
    let flags = u16_at(file, at + 8)?;
    let method = u16_at(file, at + 10)?;
    let mut packed = u64::from(u32_at(file, at + 20)?);
    let mut size = u64::from(u32_at(file, at + 24)?);
    let [name_len, extra_len, comment_len] =
        [u16_at(file, at + 28)?, u16_at(file, at + 30)?, u16_at(file, at + 32)?].map(usize::from);
    let mut local = u64::from(u32_at(file, at + 42)?);
    let name_at = at + CENTRAL_LEN;
    let extra_at = name_at + name_len;
    let next = extra_at + extra_len + comment_len;
    let name = file.get(name_at..extra_at).ok_or_else(|| truncated(file))?;
    let name = String::from_utf8_lossy(name).into_owned();
    let extra = file.get(extra_at..extra_at + extra_len).ok_or_else(|| truncated(file))?;
    zip64(extra, [&mut size, &mut packed, &mut local])?;

    if name.ends_with('/') {
        return Ok((None, next));
    }
    if flags & 1 != 0 || method != 0 || packed != size {
        return Err(unsupported(format!(
            "`{name}` in the archive is compressed or encrypted; PyTorch stores it plainly: unpack and \
             save the checkpoint again with torch.save"
        )));
    }
    let local = to_index(local)?;
    if file.get(local..local.saturating_add(4)) != Some(LOCAL) {
        return Err(damaged(&format!("`{name}` is not where the directory says")));
    }
    let skip = LOCAL_LEN + usize::from(u16_at(file, local + 26)?) + usize::from(u16_at(file, local + 28)?);
    let start = local.saturating_add(skip);
    let stop = start.saturating_add(to_index(size)?);
    if stop > file.len() {
        return Err(truncated(file));
    }
    Ok((Some(Entry { name, bytes: start..stop }), next))
}

/// Replaces the fields that did not fit 32 bits by those of the ZIP64 extra field.
fn zip64(mut extra: &[u8], fields: [&mut u64; 3]) -> Result<()> {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let [id, length] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_le_bytes);
        let Some((mut body, rest)) = rest.split_at_checked(length.into()) else { break };
        if id == 1 {
            for field in fields {
                if *field == u64::from(u32::MAX) {
                    let Some((value, more)) = body.split_first_chunk::<8>() else {
                        return Err(damaged("a ZIP64 field is cut short"));
                    };
                    *field = u64::from_le_bytes(*value);
                    body = more;
                }
            }
            return Ok(());
        }
        extra = rest;
    }
    Ok(())
}

fn bytes_at<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N]> {
    file.get(at..).and_then(|rest| rest.first_chunk().copied()).ok_or_else(|| truncated(file))
}

fn u16_at(file: &[u8], at: usize) -> Result<u16> {
    bytes_at(file, at).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], at: usize) -> Result<u32> {
    bytes_at(file, at).map(u32::from_le_bytes)
}

fn u64_at(file: &[u8], at: usize) -> Result<u64> {
    bytes_at(file, at).map(u64::from_le_bytes)
}

fn to_index(at: u64) -> Result<usize> {
    usize::try_from(at).map_err(|_| damaged("an offset beyond memory"))
}

fn truncated(file: &[u8]) -> crate::Error {
    corrupt(format!(
        "truncated zip archive (PyTorch .pth): its directory, at the end of a whole file, is missing or \
         incomplete after {} bytes; fetch the file again",
        file.len()
    ))
}

fn damaged(what: &str) -> crate::Error {
    corrupt(format!("damaged zip archive (PyTorch .pth): {what}; fetch the file again"))
}

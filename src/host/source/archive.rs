//! Tar archives in local files: by seeking where they are plain, as a stream where they are packed.

use super::{
    Body, Object, errors,
    filter::{Packing, Role, Rules},
    tar::{self, BLOCK, Headers, Next},
};
use crate::{ErrorKind, Result};
use alloc::{boxed::Box, collections::BTreeSet, format, string::String, vec, vec::Vec};
use core::hash::{BuildHasher, BuildHasherDefault};
use std::{
    fs::File,
    hash::DefaultHasher,
    io::{self, BufReader, Read},
    path::PathBuf,
};

/// Packed bytes read at once.
const BUFFER: usize = 256 << 10;

/// An ongoing walk through one local archive.
pub(super) struct LocalArchive {
    path: PathBuf,
    /// Stands before members' names.
    prefix: String,
    version: String,
    bytes: Bytes,
    headers: Headers,
    seen: Seen,
    /// Where the next header stands.
    at: u64,
    over: bool,
}

enum Bytes {
    /// With the file's length.
    Plain(BufReader<File>, u64),
    Packed(Box<dyn Read + Send>),
}

/// Names met so far, as hashes: a tar may hold a name twice, a source may not.
#[derive(Default)]
pub(super) struct Seen(BTreeSet<u64>);

impl Seen {
    /// Whether `name` is new.
    pub(super) fn insert(&mut self, name: &str) -> bool {
        self.0.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(name))
    }
}

impl LocalArchive {
    pub(super) fn open(packing: Packing, path: PathBuf, prefix: String, version: String) -> io::Result<Self> {
        let file = File::open(&path)?;
        let bytes = match packing {
            // Headers of small members lie close together, those of large ones are sought.
            Packing::Plain => {
                let length = file.metadata()?.len();
                Bytes::Plain(BufReader::with_capacity(16 << 10, file), length)
            }
            Packing::Gzip => Bytes::Packed(Box::new(flate2::bufread::MultiGzDecoder::new(
                BufReader::with_capacity(BUFFER, file),
            ))),
        };
        let (headers, seen) = Default::default();
        Ok(Self { path, prefix, version, bytes, headers, seen, at: 0, over: false })
    }

    pub(super) fn next(&mut self, rules: &Rules) -> Option<Result<Object>> {
        while !self.over {
            match self.step(rules) {
                Ok(Some(object)) => return Some(Ok(object)),
                Ok(None) => {}
                Err(Failure::Member(e)) => return Some(Err(e)),
                Err(Failure::Archive(e)) => {
                    self.over = true;
                    return Some(Err(e.at(super::local::shown(&self.path))));
                }
            }
        }
        None
    }

    /// Reads one header and what belongs to it.
    fn step(&mut self, rules: &Rules) -> Result<Option<Object>, Failure> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => {
                self.over = true;
                return Ok(None);
            }
            BLOCK => {}
            _ => return Err(tar::damaged("it ends within a header").into()),
        }
        self.at += BLOCK as u64;
        let content = self.at;
        match self.headers.read(&block)? {
            Next::End => self.over = true,
            Next::Skip(size) => self.pass(size)?,
            Next::Extension(kind, size) => {
                let extension = self.take(size)?;
                self.headers.extend(kind, &extension)?;
            }
            Next::Special(name, size) => {
                self.pass(size)?;
                if let Some(e) = special(rules, &self.prefix, &name) {
                    return Err(Failure::Member(e));
                }
            }
            Next::File(name, size) => {
                let path = format!("{}{name}", self.prefix);
                match admit(&mut self.seen, &path, size, rules) {
                    Ok(true) => {}
                    Ok(false) => {
                        self.pass(size)?;
                        return Ok(None);
                    }
                    Err(e) => {
                        self.pass(size)?;
                        return Err(Failure::Member(e));
                    }
                }
                let body = match &self.bytes {
                    Bytes::Plain(..) => {
                        self.pass(size)?;
                        Body::FileRange(self.path.clone(), content..content + size)
                    }
                    Bytes::Packed(_) => Body::Inline(self.take(size)?.into()),
                };
                let version = Some(format!("{}@{content}", self.version));
                return Ok(Some(Object { label: rules.labels.label(&path), path, size, version, body }));
            }
        }
        Ok(None)
    }

    /// Fills `buffer` as far as the bytes go.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
            let read = match &mut self.bytes {
                Bytes::Plain(reader, _) => reader.read(rest),
                Bytes::Packed(reader) => reader.read(rest),
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(unreadable(e).into()),
            }
        }
        Ok(filled)
    }

    /// A member's content, with the padding behind it passed.
    fn take(&mut self, size: u64) -> Result<Vec<u8>, Failure> {
        let len = usize::try_from(size).map_err(|_| tar::damaged("a member of impossible size"))?;
        // Grows with what is really there: a header may promise anything.
        let mut content = Vec::new();
        let mut chunk = vec![0; len.min(BUFFER)];
        while content.len() < len {
            let want = (len - content.len()).min(chunk.len());
            let part = chunk.get_mut(..want).unwrap_or_default();
            let got = self.fill(part)?;
            if got < want {
                return Err(tar::damaged("it ends within a member").into());
            }
            content.extend_from_slice(chunk.get(..want).unwrap_or_default());
        }
        self.at += size;
        self.pass_padding(size)?;
        Ok(content)
    }

    fn pass_padding(&mut self, size: u64) -> Result<(), Failure> {
        let padding = tar::padded(size) - size;
        self.forward(padding)?;
        self.at += padding;
        Ok(())
    }

    /// Passes over content and padding.
    fn pass(&mut self, size: u64) -> Result<(), Failure> {
        let whole = tar::padded(size);
        self.forward(whole)?;
        self.at = self.at.saturating_add(whole);
        Ok(())
    }

    fn forward(&mut self, bytes: u64) -> Result<(), Failure> {
        match &mut self.bytes {
            Bytes::Plain(reader, length) => {
                let far = i64::try_from(bytes).map_err(|_| tar::damaged("a member of impossible size"))?;
                reader.seek_relative(far).map_err(unreadable)?;
                // Seeking beyond the end succeeds; a cut member shows here.
                if self.at.saturating_add(bytes) > tar::padded(*length) {
                    return Err(tar::damaged("it ends within a member").into());
                }
            }
            Bytes::Packed(reader) => {
                let passed = io::copy(&mut reader.take(bytes), &mut io::sink()).map_err(unreadable)?;
                if passed < bytes {
                    return Err(tar::damaged("it ends within a member").into());
                }
            }
        }
        Ok(())
    }
}

/// Whether a member is a picture, and may be listed as one.
pub(super) fn admit(seen: &mut Seen, path: &str, size: u64, rules: &Rules) -> Result<bool> {
    if rules.steps_out(path) {
        let why = "has `..` in its name, which may lead out of the archive; pack it under another name";
        return Err(errors::new(ErrorKind::InvalidArgument, why).at(path));
    }
    if rules.role_of_key(path) != Role::Picture {
        rules.skip();
        return Ok(false);
    }
    if size > rules.max_bytes {
        return Err(errors::too_large(size, rules.max_bytes).at(path));
    }
    if !seen.insert(path) {
        return Err(errors::new(
            ErrorKind::InvalidArgument,
            "appears twice in the archive; the first one counts, rename the other",
        )
        .at(path));
    }
    Ok(true)
}

/// The error for a link or sparse file that is named like a picture.
pub(super) fn special(rules: &Rules, prefix: &str, name: &str) -> Option<crate::Error> {
    let path = format!("{prefix}{name}");
    if rules.role_of_key(&path) != Role::Picture {
        rules.skip();
        return None;
    }
    let why = "is a link or sparse file inside an archive; pack it as a plain file (tar --dereference)";
    Some(errors::new(ErrorKind::Unsupported, why).at(path))
}

/// Whether the archive can be read on after a failure.
enum Failure {
    Member(crate::Error),
    Archive(crate::Error),
}

impl From<crate::Error> for Failure {
    fn from(e: crate::Error) -> Self {
        Self::Archive(e)
    }
}

fn unreadable(e: io::Error) -> crate::Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => tar::damaged("it ends too early"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => tar::damaged(&format!("{e}")).because(e),
        _ => errors::new(ErrorKind::Io, format!("can't be read: {e}; check the disk or share")).because(e),
    }
}

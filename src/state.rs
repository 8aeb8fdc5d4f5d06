//! The byte format of mergeable states: magic, version, little-endian words, checksum.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};

/// Writes a state; everything is a 64-bit little-endian word.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Starts with magic and version; `words` is the expected number of words, for one allocation.
    pub(crate) fn new(magic: &[u8; 8], version: u64, words: usize) -> Self {
        let mut bytes = Vec::with_capacity(words.saturating_add(3).saturating_mul(8));
        bytes.extend_from_slice(magic);
        let mut writer = Self(bytes);
        writer.u64(version);
        writer
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    pub(crate) fn f64s(&mut self, values: &[f64]) {
        values.iter().for_each(|v| self.f64(*v));
    }

    /// Appends the checksum.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let sum = checksum(&self.0);
        self.u64(sum);
        self.0
    }
}

/// Reads what [`Writer`] wrote; refuses everything else.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    stage: Stage,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Checks magic, version and checksum.
    pub(crate) fn open(
        bytes: &'a [u8],
        magic: &[u8; 8],
        version: u64,
        stage: Stage,
        what: &'static str,
    ) -> Result<Self> {
        let reader = Self { rest: bytes, stage, what };
        let Some((head, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(reader.corrupt("it has fewer than 8 bytes"));
        };
        if head != magic {
            return Err(reader.corrupt("it does not begin with the format's mark"));
        }
        let mut reader = Self { rest, ..reader };
        let found = reader.u64()?;
        if found != version {
            let m = format!(
                "{what} has format version {found}, this build reads {version}; use the version that wrote it"
            );
            return Err(Error::new(ErrorKind::Unsupported, stage, m));
        }
        match bytes.split_last_chunk::<8>() {
            Some((body, sum))
                if bytes.len().is_multiple_of(8) && checksum(body) == u64::from_le_bytes(*sum) => {}
            _ => return Err(reader.corrupt("its checksum differs")),
        }
        reader.rest = reader.rest.get(..reader.rest.len().saturating_sub(8)).unwrap_or_default();
        Ok(reader)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        match self.rest.split_first_chunk::<8>() {
            Some((word, rest)) => {
                self.rest = rest;
                Ok(u64::from_le_bytes(*word))
            }
            None => Err(self.corrupt("it ends early")),
        }
    }

    /// A count that memory is allocated for: no more than the words that are left.
    pub(crate) fn len(&mut self) -> Result<usize> {
        let n = self.u64()?;
        match usize::try_from(n) {
            Ok(n) if n <= self.rest.len() / 8 => Ok(n),
            _ => Err(self.corrupt("a length exceeds the file")),
        }
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        let value = f64::from_bits(self.u64()?);
        if value.is_finite() { Ok(value) } else { Err(self.corrupt("it holds NaN or infinity")) }
    }

    /// Finite values.
    pub(crate) fn f64s(&mut self, n: usize) -> Result<Vec<f64>> {
        if n > self.rest.len() / 8 {
            return Err(self.corrupt("it ends early"));
        }
        let mut values = Vec::with_capacity(n);
        for _ in 0..n {
            values.push(self.f64()?);
        }
        Ok(values)
    }

    /// Words left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len() / 8
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt("bytes follow its end")) }
    }

    /// The error for bytes that break the format's promises.
    pub(crate) fn corrupt(&self, why: &str) -> Error {
        let m: String = format!("these bytes are no {}: {why}; write the file again", self.what);
        Error::new(ErrorKind::Corrupt, self.stage, m)
    }
}

/// [`Checksum`] of these bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = Checksum::default();
    sum.update(bytes);
    sum.finish()
}

/// 64 bits over little-endian words. Each step is a bijection of the running value, so one changed
/// word always changes the result. Against accidents, not against forgery.
pub(crate) struct Checksum {
    sum: u64,
    /// The first bytes of a word that is not complete yet.
    tail: [u8; 8],
    filled: usize,
}

impl Default for Checksum {
    fn default() -> Self {
        Self { sum: 0xcbf2_9ce4_8422_2325, tail: [0; 8], filled: 0 }
    }
}

impl Checksum {
    /// Continues with these bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        if self.filled > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(8 - self.filled));
            self.tail.iter_mut().skip(self.filled).zip(head).for_each(|(t, b)| *t = *b);
            self.filled += head.len();
            bytes = rest;
            if self.filled < 8 {
                return;
            }
            self.word(self.tail);
            self.filled = 0;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|w| self.word(*w));
        self.tail.iter_mut().zip(rest).for_each(|(t, b)| *t = *b);
        self.filled = rest.len();
    }

    /// The sum, the last word filled with zeros.
    pub(crate) fn finish(mut self) -> u64 {
        if self.filled > 0 {
            self.tail.iter_mut().skip(self.filled).for_each(|t| *t = 0);
            self.word(self.tail);
        }
        self.sum
    }

    fn word(&mut self, word: [u8; 8]) {
        self.sum = (self.sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.sum ^= self.sum >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_sum_as_the_whole() {
        let bytes: Vec<u8> = (0..61).collect();
        for cut in 0..bytes.len() {
            let mut sum = Checksum::default();
            sum.update(&bytes[..cut]);
            sum.update(&bytes[cut..]);
            assert_eq!(sum.finish(), checksum(&bytes));
        }
    }
}

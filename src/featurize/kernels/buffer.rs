//! Floats aligned to a cache line.

use super::{large_pages, simd::LANES};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, vec::Vec};

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f32; LANES]);

/// A block of floats that starts on a cache line, all zero at first.
#[derive(Clone)]
pub(super) struct Buffer(Vec<Line>);

impl Buffer {
    /// At least `len` zeros.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] if the memory isn't there.
    pub(super) fn zeroed(len: usize) -> Result<Self> {
        let mut all = Self::with_capacity(len)?;
        all.0.resize(len.div_ceil(LANES), Line([0.0; LANES]));
        Ok(all)
    }

    /// Empty, with room for `len` floats.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] if the memory isn't there.
    pub(super) fn with_capacity(len: usize) -> Result<Self> {
        let mut all = Vec::new();
        all.try_reserve_exact(len.div_ceil(LANES)).map_err(|_| {
            Error::new(
                ErrorKind::Limit,
                Stage::Featurize,
                format!("{} MB are not available; use fewer threads or smaller pictures", len >> 18),
            )
        })?;
        large_pages::prefer(&mut all);
        Ok(Self(all))
    }

    /// Appends floats, then zeros up to a whole line.
    pub(super) fn extend(&mut self, floats: impl IntoIterator<Item = f32>) {
        let mut floats = floats.into_iter();
        while let Some(first) = floats.next() {
            let mut line = [0.0; LANES];
            line[0] = first;
            for (lane, v) in line[1..].iter_mut().zip(&mut floats) {
                *lane = v;
            }
            self.0.push(Line(line));
        }
    }

    /// Appends zeros: whole lines for `floats`.
    pub(super) fn extend_zeros(&mut self, floats: usize) {
        self.0.resize(self.0.len() + floats.div_ceil(LANES), Line([0.0; LANES]));
    }

    /// Floats in it.
    pub(super) fn len(&self) -> usize {
        self.0.len() * LANES
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: `Line` is `repr(C)` around 16 floats and has no padding (its size is its
        // alignment), so the lines are `16 · len` initialised floats.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }

    /// The same bits as words.
    pub(super) fn as_mut_words(&mut self) -> &mut [u32] {
        // SAFETY: as in `as_mut_slice`; a `u32` has the size and alignment of an `f32`, and both take any
        // bits.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as in `as_slice`; the borrow is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

/// Packed weights.
#[derive(Clone)]
pub(super) enum Weights {
    Own(Buffer),
    /// In the program's own memory, as a board's flash; starts on a cache line.
    Lent(&'static [f32]),
}

impl Weights {
    pub(super) fn none() -> Self {
        Self::Lent(&[])
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        match self {
            Self::Own(buffer) => buffer.as_slice(),
            Self::Lent(floats) => floats,
        }
    }
}

/// Bytes as floats of this machine's order; `None` unless they start on a cache line and end with one.
pub(super) fn floats(bytes: &'static [u8]) -> Option<&'static [f32]> {
    // SAFETY: any bits are an `f32`, and `Line` is nothing but floats.
    let (before, lines, after) = unsafe { bytes.align_to::<Line>() };
    // SAFETY: as in `Buffer::as_slice`.
    (before.is_empty() && after.is_empty())
        .then(|| unsafe { core::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LANES) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_an_error_with_a_remedy() {
        let e = Buffer::zeroed(usize::MAX / 8).err().unwrap();
        assert_eq!((e.kind(), e.stage()), (ErrorKind::Limit, Stage::Featurize));
        assert!(e.message().contains("use fewer threads or smaller pictures"), "{e}");
    }
}

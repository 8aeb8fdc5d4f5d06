//! Floats aligned to a cache line.

use super::simd::LANES;
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
        let lines = len.div_ceil(LANES);
        let mut all = Vec::new();
        all.try_reserve_exact(lines).map_err(|_| {
            Error::new(
                ErrorKind::Limit,
                Stage::Featurize,
                format!("{} MB are not available; use smaller batches or pictures", len >> 18),
            )
        })?;
        all.resize(lines, Line([0.0; LANES]));
        Ok(Self(all))
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        // SAFETY: `Line` is `repr(C)` around 16 floats and has no padding (its size is its
        // alignment), so the lines are `16 · len` initialised floats.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as in `as_slice`; the borrow is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

//! Growable planar scratch memory.

use super::fail;
use crate::frame::MAX_SIDE;
use crate::{ErrorKind, Result};
use alloc::{format, vec::Vec};

/// Most pixels of one intermediate picture: 2²⁸, a 16,384×16,384 picture.
pub(super) const MAX_PIXELS: usize = 1 << 28;

/// A planar picture in memory that is kept from one frame to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Planes {
    data: Vec<u8>,
    pub(super) channels: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Planes {
    /// Makes this a picture of the given size with unspecified content.
    pub(super) fn reshape(&mut self, channels: usize, width: usize, height: usize) -> Result<()> {
        check_size(width, height)?;
        grow(&mut self.data, channels * width * height)?;
        (self.channels, self.width, self.height) = (channels, width, height);
        Ok(())
    }

    pub(super) fn plane(&self, channel: usize) -> &[u8] {
        let area = self.width * self.height;
        &self.data[channel * area..][..area]
    }

    pub(super) fn plane_mut(&mut self, channel: usize) -> &mut [u8] {
        let area = self.width * self.height;
        &mut self.data[channel * area..][..area]
    }

    /// The three planes of a colour picture.
    pub(super) fn rgb_mut(&mut self) -> (&mut [u8], &mut [u8], &mut [u8]) {
        let area = self.width * self.height;
        let (r, rest) = self.data.split_at_mut(area);
        let (g, b) = rest.split_at_mut(area);
        (r, g, &mut b[..area])
    }

    pub(super) fn row(&self, channel: usize, y: usize) -> &[u8] {
        &self.data[(channel * self.height + y) * self.width..][..self.width]
    }
}

/// Refuses sizes beyond the limits; keeps every later product inside `usize`.
pub(super) fn check_size(width: usize, height: usize) -> Result<()> {
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        let message = format!("a picture of {width}x{height} is outside 1 to {MAX_SIDE} pixels a side");
        return Err(fail(ErrorKind::Limit, message));
    }
    if width.checked_mul(height).is_none_or(|n| n > MAX_PIXELS) {
        let message =
            format!("a picture of {width}x{height} exceeds {MAX_PIXELS} pixels: scale it down first");
        return Err(fail(ErrorKind::Limit, message));
    }
    Ok(())
}

/// Makes `buffer` at least `len` long; an allocator that refuses is an error, not an abort.
pub(super) fn grow<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> Result<()> {
    if buffer.len() < len {
        buffer.try_reserve_exact(len - buffer.len()).map_err(|e| {
            fail(ErrorKind::Limit, format!("no memory for {len} samples: use smaller pictures")).because(e)
        })?;
        buffer.resize(len, T::default());
    }
    Ok(())
}

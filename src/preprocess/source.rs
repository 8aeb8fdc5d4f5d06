//! Where a step reads its rows from: the frame itself, or an earlier step's picture.

use super::{planes::Planes, simd::Isa};
use crate::{Frame, PixelFormat, Result};

/// A picture to read row by row.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Frame(&'a Frame<'a>),
    Planes(&'a Planes),
}

impl<'a> Source<'a> {
    /// Width, height.
    pub(super) fn size(self) -> (usize, usize) {
        match self {
            Self::Frame(f) => (f.width(), f.height()),
            Self::Planes(p) => (p.width, p.height),
        }
    }

    /// 1 for gray, else 3.
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Frame(f) if f.format() == PixelFormat::Gray => 1,
            Self::Frame(_) => 3,
            Self::Planes(p) => p.channels,
        }
    }

    /// Row `y` as planes; gray fills the first only. `scratch` holds three rows.
    pub(super) fn rows<'b>(self, isa: Isa, y: usize, scratch: &'b mut [u8]) -> [&'b [u8]; 3]
    where
        'a: 'b,
    {
        match self {
            Self::Planes(p) if p.channels == 1 => [p.row(0, y), &[], &[]],
            Self::Planes(p) => [p.row(0, y), p.row(1, y), p.row(2, y)],
            Self::Frame(f) if f.format() == PixelFormat::Gray => [f.row(y), &[], &[]],
            Self::Frame(f) => {
                let width = f.width();
                let (r, rest) = scratch.split_at_mut(width);
                let (g, rest) = rest.split_at_mut(width);
                let b = &mut rest[..width];
                planar_row(f, isa, y, r, g, b);
                [r, g, b]
            }
        }
    }
}

/// The whole frame as planes.
pub(super) fn frame_to_planes(frame: &Frame<'_>, isa: Isa, out: &mut Planes) -> Result<()> {
    let (width, height) = (frame.width(), frame.height());
    if frame.format() == PixelFormat::Gray {
        out.reshape(1, width, height)?;
        for (y, row) in out.plane_mut(0).chunks_exact_mut(width).enumerate() {
            row.copy_from_slice(frame.row(y));
        }
        return Ok(());
    }
    out.reshape(3, width, height)?;
    let (r, g, b) = out.rgb_mut();
    let rows = r.chunks_exact_mut(width).zip(g.chunks_exact_mut(width)).zip(b.chunks_exact_mut(width));
    for (y, ((r, g), b)) in rows.enumerate() {
        planar_row(frame, isa, y, r, g, b);
    }
    Ok(())
}

fn planar_row(frame: &Frame<'_>, isa: Isa, y: usize, r: &mut [u8], g: &mut [u8], b: &mut [u8]) {
    match frame.format() {
        PixelFormat::Rgb => isa.deinterleave(frame.row(y), r, g, b),
        PixelFormat::Bgr => isa.deinterleave(frame.row(y), b, g, r),
        _ => isa.camera_row(frame, y, r, g, b),
    }
}

/// [`Frame::planar_row`], to be compiled with the other kernels.
#[inline(always)]
pub(super) fn camera_row(frame: &Frame<'_>, y: usize, r: &mut [u8], g: &mut [u8], b: &mut [u8]) {
    frame.planar_row(y, r, g, b);
}

#[inline(always)]
pub(super) fn deinterleave(src: &[u8], a: &mut [u8], b: &mut [u8], c: &mut [u8]) {
    for (((&[x, y, z], a), b), c) in src.as_chunks().0.iter().zip(a).zip(b).zip(c) {
        (*a, *b, *c) = (x, y, z);
    }
}

#[inline(always)]
pub(super) fn interleave(r: &[u8], g: &[u8], b: &[u8], out: &mut [u8]) {
    for (((o, &r), &g), &b) in out.as_chunks_mut().0.iter_mut().zip(r).zip(g).zip(b) {
        *o = [r, g, b];
    }
}

//! Gaussian and median 3×3, byte for byte as OpenCV.

use super::{planes::grow, simd::Isa};
use crate::Result;
use alloc::vec::Vec;

/// Row scratch of both filters.
#[derive(Clone, Debug, Default)]
pub(super) struct Denoise {
    sums: Vec<u16>,
    sorted: Vec<u8>,
}

impl Denoise {
    /// `GaussianBlur(src, (3, 3), 0)`: kernel [1 2 1]/4 both ways, reflect-101 border, one rounding.
    pub(super) fn gaussian(&mut self, isa: Isa, src: &[u8], dst: &mut [u8], width: usize) -> Result<()> {
        grow(&mut self.sums, width + 2)?;
        let height = src.len() / width;
        for (y, out) in dst.chunks_exact_mut(width).enumerate() {
            let row = |i: usize| &src[i * width..][..width];
            let up = row(if y > 0 { y - 1 } else { 1.min(height - 1) });
            let down = row(if y + 1 < height { y + 1 } else { height.saturating_sub(2) });
            isa.gaussian_row(up, row(y), down, &mut self.sums[..width + 2], out);
        }
        Ok(())
    }

    /// `medianBlur(src, 3)`: border replicated.
    pub(super) fn median(&mut self, isa: Isa, src: &[u8], dst: &mut [u8], width: usize) -> Result<()> {
        let padded = width + 2;
        grow(&mut self.sorted, 3 * padded)?;
        let height = src.len() / width;
        for (y, out) in dst.chunks_exact_mut(width).enumerate() {
            let row = |i: usize| &src[i * width..][..width];
            let (up, down) = (row(y.saturating_sub(1)), row((y + 1).min(height - 1)));
            isa.median_row(up, row(y), down, &mut self.sorted[..3 * padded], out);
        }
        Ok(())
    }
}

/// One output row; `sums` has room for the row's vertical sums and one more at either end.
#[inline(always)]
pub(super) fn gaussian_row(up: &[u8], mid: &[u8], down: &[u8], sums: &mut [u16], out: &mut [u8]) {
    let n = out.len();
    for (((s, &u), &m), &d) in sums[1..=n].iter_mut().zip(up).zip(mid).zip(down) {
        *s = u16::from(u) + 2 * u16::from(m) + u16::from(d);
    }
    sums[0] = sums[if n > 1 { 2 } else { 1 }];
    sums[n + 1] = sums[if n > 1 { n - 1 } else { 1 }];
    for (((o, &l), &m), &r) in out.iter_mut().zip(&sums[..n]).zip(&sums[1..=n]).zip(&sums[2..]) {
        *o = ((l + 2 * m + r + 8) >> 4) as u8;
    }
}

/// One output row: columns are sorted once, then the median of nine is the median of the largest
/// minimum, the median middle and the smallest maximum.
#[inline(always)]
pub(super) fn median_row(up: &[u8], mid: &[u8], down: &[u8], sorted: &mut [u8], out: &mut [u8]) {
    let n = out.len();
    let (lo, rest) = sorted.split_at_mut(n + 2);
    let (me, hi) = rest.split_at_mut(n + 2);
    let columns = lo[1..=n].iter_mut().zip(&mut me[1..=n]).zip(&mut hi[1..=n]);
    for (((((l, m), h), &a), &b), &c) in columns.zip(up).zip(mid).zip(down) {
        let (small, big) = (a.min(b), a.max(b));
        *l = small.min(c);
        *m = small.max(big.min(c));
        *h = big.max(c);
    }
    for row in [&mut *lo, &mut *me, &mut *hi] {
        row[0] = row[1];
        row[n + 1] = row[n];
    }
    let taps = |s: &[u8], i: usize| (s[i], s[i + 1], s[i + 2]);
    let (lo, me, hi) = (&lo[..n + 2], &me[..n + 2], &hi[..n + 2]);
    for (i, o) in out.iter_mut().enumerate() {
        let ((l0, l1, l2), (m0, m1, m2), (h0, h1, h2)) = (taps(lo, i), taps(me, i), taps(hi, i));
        let low = l0.max(l1).max(l2);
        let high = h0.min(h1).min(h2);
        let middle = m0.min(m1).max(m0.max(m1).min(m2));
        *o = low.min(middle).max(low.max(middle).min(high));
    }
}

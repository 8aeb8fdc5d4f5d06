//! Values in whole cache lines.

use crate::featurize::kernels::large_pages;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// Values of a cache line.
pub(in super::super) const LINE: usize = 8;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f64; LINE]);

const ZEROS: Line = Line([0.0; LINE]);

/// Values from the start of a cache line on: half of the loads of a whole line would touch two else.
#[derive(Clone, Default)]
pub(in super::super) struct Lines {
    lines: Vec<Line>,
    len: usize,
}

impl Lines {
    /// As many zeros.
    pub(in super::super) fn zeros(len: usize) -> Self {
        let mut lines = Self::default();
        lines.resize(len);
        lines
    }

    /// As [`zeros`](Self::zeros); `None` if there is no memory for them.
    pub(in super::super) fn try_zeros(len: usize) -> Option<Self> {
        let (mut lines, n) = (Vec::new(), len.div_ceil(LINE));
        lines.try_reserve_exact(n).ok()?;
        large_pages::prefer(&mut lines);
        lines.resize(n, ZEROS);
        Some(Self { lines, len })
    }

    /// Takes another length; what it then holds is unspecified but for being initialised.
    pub(in super::super) fn resize(&mut self, len: usize) {
        let n = len.div_ceil(LINE);
        if n > self.lines.capacity() {
            // Nothing is kept, so nothing is copied.
            self.lines = large_pages::with_capacity(n);
        }
        self.lines.resize(n, ZEROS);
        self.len = len;
    }

    /// Becomes as many zeros.
    pub(in super::super) fn clear(&mut self, len: usize) {
        self.resize(len);
        self.fill(0.0);
    }
}

impl Deref for Lines {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        // SAFETY: `Line` is `repr(C)` around `LINE` values and has no padding; there are lines for `len` values.
        unsafe { core::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [f64] {
        // SAFETY: as in `deref`; the borrow is exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

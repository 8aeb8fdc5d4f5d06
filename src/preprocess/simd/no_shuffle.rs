//! No shuffles for this processor: the plain kernels do it all.

use super::Isa;

#[derive(Clone, Debug, Default)]
pub(in crate::preprocess) struct Shuffles;

impl Shuffles {
    pub(in crate::preprocess) fn rebuild(&mut self, _: usize, _: usize, _: &[u32], _: &[i32]) {}

    #[cfg(test)]
    pub(in crate::preprocess) fn serve(&self, _: Isa, _: &[u8]) -> bool {
        false
    }

    pub(in crate::preprocess) fn nearest(&self, _: Isa, _: &[u8], _: &mut [u8]) -> bool {
        false
    }

    pub(in crate::preprocess) fn pillow(&self, _: Isa, _: &[u8], _: &mut [u8]) -> bool {
        false
    }

    pub(in crate::preprocess) fn opencv(&self, _: Isa, _: &[u8], _: &mut [i16]) -> bool {
        false
    }
}

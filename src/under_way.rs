//! How many of something are under way at the same time.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Counts them; clones count the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<AtomicUsize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct One(UnderWay);

impl UnderWay {
    /// One more.
    pub(crate) fn begin(&self) -> One {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(self.clone())
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_until_it_is_dropped() {
        let all = UnderWay::default();
        let first = all.begin();
        let second = all.clone().begin();
        assert_eq!(all.count(), 2);
        drop(first);
        assert_eq!(all.count(), 1);
        drop(second);
        assert_eq!(all.count(), 0);
    }
}

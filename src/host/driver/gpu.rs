//! Turns on a GPU: few micro-batches are there at a time, whatever the number of workers.
//!
//! Each takes device memory from its upload until its features are read back. With two, one is uploaded while the
//! other is computed; more would wait for each other there.

use std::sync::{Condvar, Mutex, PoisonError};

/// How many may come in.
pub(super) struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Turns {
    /// At most `count` at a time, at least one.
    pub(super) fn new(count: usize) -> Self {
        Self { free: Mutex::new(count.max(1)), freed: Condvar::new() }
    }

    /// Waits for a turn, which lasts until the result is dropped.
    pub(super) fn take(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(self)
    }
}

/// Someone's turn.
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::Barrier;

    #[test]
    fn so_many_at_a_time_and_no_more() {
        const THREADS: usize = 5;
        for count in [1, 2, 3] {
            let (turns, here, most) = (Turns::new(count), AtomicUsize::new(0), AtomicUsize::new(0));
            // The first ones wait for each other inside: so many must be let in.
            let (first, inside) = (AtomicUsize::new(0), Barrier::new(count));
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            let _turn = turns.take();
                            most.fetch_max(here.fetch_add(1, SeqCst) + 1, SeqCst);
                            if first.fetch_add(1, SeqCst) < count {
                                inside.wait();
                            }
                            here.fetch_sub(1, SeqCst);
                        }
                    });
                }
            });
            assert_eq!(most.into_inner(), count);
        }
    }
}

//! Which part of a layer a thread computes, and where threads wait for each other.

use super::simd::LANES;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// One of `of` threads that compute every layer together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) index: usize,
    pub(super) of: usize,
}

impl Share {
    /// A thread on its own.
    pub(super) const WHOLE: Self = Self { index: 0, of: 1 };

    /// This thread's part of `count` items, in multiples of `step` but for the last.
    pub(super) fn range(self, count: usize, step: usize) -> Range<usize> {
        let steps = count.div_ceil(step);
        let at = |i: usize| (steps * i / self.of * step).min(count);
        at(self.index)..at(self.index + 1)
    }

    /// Output channel blocks and pixels of a product: whichever of the two is larger is divided, so
    /// that the threads together read the smaller operand most often.
    pub(super) fn divide(
        self,
        blocks: usize,
        nb: usize,
        pixels: usize,
        mr: usize,
    ) -> (Range<usize>, Range<usize>) {
        if prefers_columns(blocks, pixels) {
            (self.range(blocks, nb), 0..pixels)
        } else {
            (0..blocks, self.range(pixels, mr))
        }
    }
}

/// Whether a product is better divided by output channels than by pixels.
pub(super) fn prefers_columns(blocks: usize, pixels: usize) -> bool {
    blocks * LANES > pixels
}

/// Where a fixed number of threads meet, and between meetings take each other's work.
///
/// They spin: a layer takes microseconds, less than to sleep and wake.
pub(super) struct Barrier {
    arrived: AtomicUsize,
    round: AtomicUsize,
    broken: AtomicBool,
    /// Pieces of each thread's share that are taken since the last meeting.
    taken: Vec<Taken>,
}

/// On a cache line of its own: each thread counts at its own most of the time.
#[repr(align(64))]
struct Taken(AtomicUsize);

/// Pieces of a thread's share: enough for one that is held up to lose half of its work, few enough to be
/// worth their set-up.
#[cfg(feature = "std")]
const PIECES: usize = 4;

/// Turns of a waiting loop before the thread lets others have its core.
const SPINS: u32 = 1 << 11;

impl Barrier {
    #[cfg(feature = "std")]
    pub(super) fn new(threads: usize) -> Self {
        Self {
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            taken: (0..threads).map(|_| Taken(AtomicUsize::new(0))).collect(),
        }
    }

    /// As new, for threads that broke up.
    #[cfg(feature = "std")]
    pub(super) fn reset(&mut self) {
        *self.arrived.get_mut() = 0;
        *self.broken.get_mut() = false;
        self.taken.iter_mut().for_each(|taken| *taken.0.get_mut() = 0);
    }

    /// The next piece of work for thread `own`: of its own share, which it wrote the input of, then of the
    /// others'; `None` when all are taken. Every piece is handed out once between two meetings.
    #[cfg(feature = "std")]
    pub(super) fn take(&self, own: usize) -> Option<Share> {
        let of = self.taken.len();
        (own..of).chain(0..own).find_map(|thread| {
            let taken = &self.taken[thread].0;
            let left = || taken.load(Ordering::Relaxed) < PIECES;
            let piece = left().then(|| taken.fetch_add(1, Ordering::Relaxed))?;
            (piece < PIECES).then_some(Share { index: thread * PIECES + piece, of: of * PIECES })
        })
    }

    /// Returns when all threads have called it; what each wrote before is then seen by all. `false` if
    /// one of them will never come.
    pub(super) fn wait(&self) -> bool {
        let round = self.round.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.taken.len() {
            self.arrived.store(0, Ordering::Relaxed);
            self.taken.iter().for_each(|taken| taken.0.store(0, Ordering::Relaxed));
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return true;
        }
        wait_until(|| self.round.load(Ordering::Acquire) != round || self.broken.load(Ordering::Relaxed));
        self.round.load(Ordering::Acquire) != round
    }

    /// Lets those who wait go on: this thread will not come.
    #[cfg(feature = "std")]
    pub(super) fn break_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

/// Spins, and yields where the system has other threads to run.
pub(crate) fn wait_until(done: impl Fn() -> bool) {
    let mut turns = 0u32;
    while !done() {
        core::hint::spin_loop();
        turns = turns.saturating_add(1);
        #[cfg(feature = "std")]
        if turns > SPINS {
            std::thread::yield_now();
        }
    }
    let _ = (turns, SPINS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_cover_everything_once(count in 0usize..200, step in 1usize..20, of in 1usize..9) {
            let mut next = 0;
            for index in 0..of {
                let range = Share { index, of }.range(count, step);
                prop_assert_eq!(range.start, next.min(count));
                prop_assert!(range.start.is_multiple_of(step) || range.start == count);
                next = range.end;
            }
            prop_assert_eq!(next, count);
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn each_piece_is_taken_once() {
        let barrier = Barrier::new(3);
        let counts: [AtomicUsize; 3 * PIECES] = core::array::from_fn(|_| AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for own in 0..3 {
                let (barrier, counts) = (&barrier, &counts);
                scope.spawn(move || {
                    for round in 1..=50 {
                        while let Some(share) = barrier.take(own) {
                            assert_eq!(share.of, counts.len());
                            counts[share.index].fetch_add(1, Ordering::Relaxed);
                        }
                        assert!(barrier.wait());
                        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == round));
                        assert!(barrier.wait());
                    }
                });
            }
        });
    }

    #[cfg(feature = "std")]
    #[test]
    fn nobody_passes_a_barrier_alone() {
        let barrier = Barrier::new(3);
        let met = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..=50 {
                        met.fetch_add(1, Ordering::Relaxed);
                        assert!(barrier.wait());
                        assert_eq!(met.load(Ordering::Relaxed), 3 * round);
                        assert!(barrier.wait());
                    }
                });
            }
        });
        barrier.break_up();
        assert!(!barrier.wait());
    }
}

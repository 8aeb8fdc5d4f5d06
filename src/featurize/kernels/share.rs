//! Which part of a layer a thread computes, and how a team goes from one to the next.

use super::simd::LANES;
#[cfg(feature = "std")]
use alloc::vec::Vec;
use core::ops::Range;
#[cfg(feature = "std")]
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// One of `of` threads that compute every layer together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) index: usize,
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

/// How far a team is with its steps. A step is done when every piece of every member's share is, whoever did it: a
/// thread that is held up, or not awake yet, keeps nobody waiting but for a piece that it began.
#[cfg(feature = "std")]
pub(crate) struct Steps {
    /// Pieces that are done, of all steps together.
    done: AtomicUsize,
    /// Whether a thread ended early, so that there is nothing to wait for.
    broken: AtomicBool,
    /// Pieces of each member's share that were begun, of all steps together.
    begun: Vec<Begun>,
}

/// On a cache line of its own: each thread counts at its own most of the time.
#[cfg(feature = "std")]
#[repr(align(64))]
struct Begun(AtomicUsize);

/// Breaks the steps up if its thread ends early, so that the others don't wait for ever.
#[cfg(feature = "std")]
pub(crate) struct Broken<'a>(pub(crate) &'a Steps);

#[cfg(feature = "std")]
impl Drop for Broken<'_> {
    fn drop(&mut self) {
        self.0.break_up();
    }
}

/// One thread's way through the steps.
#[cfg(feature = "std")]
pub(crate) struct Walk<'a> {
    steps: &'a Steps,
    own: usize,
    /// What `begun` and `done` were when all steps before were done.
    begun: usize,
    done: usize,
}

/// Turns of a waiting loop before the thread lets others have its core.
#[cfg(feature = "std")]
const SPINS: u32 = 1 << 11;

#[cfg(feature = "std")]
impl Steps {
    pub(crate) fn new(members: usize) -> Self {
        Self {
            done: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            begun: (0..members).map(|_| Begun(AtomicUsize::new(0))).collect(),
        }
    }

    /// As new.
    pub(crate) fn reset(&mut self) {
        *self.done.get_mut() = 0;
        *self.broken.get_mut() = false;
        self.begun.iter_mut().for_each(|begun| *begun.0.get_mut() = 0);
    }

    /// From the first step on, as member `own`; others may be far ahead.
    pub(crate) fn walk(&self, own: usize) -> Walk<'_> {
        Walk { steps: self, own, begun: 0, done: 0 }
    }

    /// Lets those who wait go on: what they wait for will not be done.
    pub(crate) fn break_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

#[cfg(feature = "std")]
impl Walk<'_> {
    /// The next step, with so many pieces of each member's share: does those of its own, which it wrote the input of,
    /// then the others', as far as nobody has begun them. Returns when all are done, and what each wrote is seen.
    /// Every piece is handed out once. `false` if a piece's work was, or never will be done.
    pub(crate) fn step(&mut self, pieces: usize, mut work: impl FnMut(Share) -> bool) -> bool {
        let (steps, first, relaxed) = (self.steps, self.begun, Ordering::Relaxed);
        let of = steps.begun.len();
        for member in (self.own..of).chain(0..self.own) {
            let begun = &steps.begun[member].0;
            let mut next = begun.load(relaxed);
            while next < first + pieces {
                if let Err(now) = begun.compare_exchange_weak(next, next + 1, relaxed, relaxed) {
                    next = now;
                    continue;
                }
                if !work(Share { index: member * pieces + next - first, of: of * pieces }) {
                    return false;
                }
                steps.done.fetch_add(1, Ordering::Release);
                next = begun.load(relaxed);
            }
        }
        self.begun += pieces;
        self.done += pieces * of;
        let done = || steps.done.load(Ordering::Acquire) >= self.done;
        wait_until(|| done() || steps.broken.load(relaxed));
        done()
    }
}

/// Spins, and yields where the system has other threads to run: a layer takes microseconds, less than to sleep and
/// wake.
#[cfg(feature = "std")]
pub(super) fn wait_until(done: impl Fn() -> bool) {
    let mut turns = 0u32;
    while !done() {
        core::hint::spin_loop();
        turns = turns.saturating_add(1);
        if turns > SPINS {
            std::thread::yield_now();
        }
    }
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
    const STEPS: usize = if cfg!(miri) { 8 } else { 200 };

    /// Each piece is done once, after all of the steps before, whoever comes late.
    #[cfg(feature = "std")]
    #[test]
    fn steps_are_done_one_after_the_other() {
        for members in 1..5 {
            let steps = Steps::new(members);
            let counts: Vec<[AtomicUsize; 8]> = (0..STEPS).map(|_| Default::default()).collect();
            std::thread::scope(|scope| {
                for own in 0..members {
                    let (steps, counts) = (&steps, &counts);
                    scope.spawn(move || {
                        if own == 1 {
                            std::thread::sleep(core::time::Duration::from_millis(3));
                        }
                        let mut walk = steps.walk(own);
                        for step in 0..STEPS {
                            let pieces = step % 2 + 1;
                            assert!(walk.step(pieces, |share| {
                                assert_eq!(share.of, members * pieces);
                                counts[step][share.index].fetch_add(1, Ordering::Relaxed);
                                for (before, counts) in counts.iter().enumerate().take(step) {
                                    let done = members * (before % 2 + 1);
                                    assert!(counts.iter().take(done).all(|c| c.load(Ordering::Relaxed) == 1));
                                }
                                true
                            }));
                        }
                    });
                }
            });
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn one_thread_does_the_work_of_those_that_never_come() {
        let mut steps = Steps::new(3);
        for _ in 0..2 {
            let (mut walk, mut done) = (steps.walk(1), Vec::new());
            for _ in 0..2 {
                let all = walk.step(2, |share| {
                    done.push(share.index);
                    true
                });
                assert!(all);
            }
            assert_eq!(done, [2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1]);
            steps.reset();
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn nobody_waits_for_what_broke_up() {
        let (steps, inside) = (Steps::new(2), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let held = scope.spawn(|| {
                steps.walk(1).step(1, |_| {
                    inside.store(true, Ordering::Relaxed);
                    wait_until(|| steps.broken.load(Ordering::Relaxed));
                    false
                })
            });
            wait_until(|| inside.load(Ordering::Relaxed));
            scope.spawn(|| steps.break_up());
            let mut walk = steps.walk(0);
            assert!(!walk.step(1, |share| share.index == 0));
            assert!(!held.join().expect("no panic"));
        });
    }
}

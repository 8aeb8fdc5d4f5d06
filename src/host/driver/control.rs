//! [`Control`]: watching a run and stopping it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Checking options and output.
    Start,
    /// Pictures to features.
    Features,
    /// Merging moments, fitting the projection.
    Fit,
    /// Features to components.
    Components,
    /// Done.
    Done,
}

/// A run's counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What the run is doing.
    pub phase: Phase,
    /// Pictures done in this start, rejects included.
    pub images: u64,
    /// Of these, pictures that could not be used.
    pub rejected: u64,
    /// Encoded bytes fetched in this start.
    pub bytes: u64,
    /// Pictures of parts that were already there.
    pub skipped: u64,
    /// Pictures this start has to deal with (done, skipped and to do), once known.
    pub total: Option<u64>,
    /// Parts committed or found done in the current phase.
    pub parts: u64,
    /// Encoded bytes held right now.
    pub in_flight_bytes: u64,
}

/// Shared by a run and whoever watches it; clones are the same control.
///
/// ```
/// use fruitcore::host::driver::Control;
/// let control = Control::default();
/// let handler = control.clone();
/// handler.cancel();
/// assert!(control.is_cancelled());
/// assert_eq!(control.progress().images, 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    cancelled: AtomicBool,
    phase: AtomicU8,
    images: AtomicU64,
    rejected: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    /// One more than the total, 0 while unknown.
    total: AtomicU64,
    parts: AtomicU64,
    in_flight: AtomicU64,
}

const PHASES: [Phase; 5] = [Phase::Start, Phase::Features, Phase::Fit, Phase::Components, Phase::Done];

impl Control {
    /// Asks the run to stop: it finishes the parts it has begun and returns
    /// [`Interrupted`](crate::ErrorKind::Interrupted).
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Relaxed)
    }

    /// The counters now.
    pub fn progress(&self) -> Progress {
        let c = &*self.0;
        Progress {
            phase: *PHASES.get(usize::from(c.phase.load(Relaxed))).unwrap_or(&Phase::Done),
            images: c.images.load(Relaxed),
            rejected: c.rejected.load(Relaxed),
            bytes: c.bytes.load(Relaxed),
            skipped: c.skipped.load(Relaxed),
            total: c.total.load(Relaxed).checked_sub(1),
            parts: c.parts.load(Relaxed),
            in_flight_bytes: c.in_flight.load(Relaxed),
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let index = PHASES.iter().position(|p| *p == phase).unwrap_or(0);
        self.0.phase.store(index as u8, Relaxed);
        self.0.parts.store(0, Relaxed);
    }

    pub(crate) fn set_total(&self, total: u64) {
        self.0.total.store(total.saturating_add(1), Relaxed);
    }

    /// Counts from zero: another pass over the pictures.
    pub(crate) fn again(&self) {
        let c = &*self.0;
        for counter in [&c.images, &c.rejected, &c.bytes, &c.skipped, &c.total, &c.parts] {
            counter.store(0, Relaxed);
        }
    }

    pub(super) fn fetching(&self, bytes: u64) {
        self.0.in_flight.fetch_add(bytes, Relaxed);
    }

    pub(super) fn fetched(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn decoded(&self, bytes: u64) {
        self.0.in_flight.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn images(&self, done: u64, rejected: u64) {
        self.0.images.fetch_add(done, Relaxed);
        self.0.rejected.fetch_add(rejected, Relaxed);
    }

    pub(super) fn skip(&self, images: u64) {
        self.0.skipped.fetch_add(images, Relaxed);
    }

    pub(crate) fn part_done(&self) {
        self.0.parts.fetch_add(1, Relaxed);
    }
}

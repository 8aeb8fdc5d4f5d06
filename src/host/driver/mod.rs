//! The streaming driver: bounded prefetch → workers → ordered parts.
//!
//! ```text
//! list ─► part permits ─► byte budget ─► fetch ─► worker: decode → preprocess → featurize
//!   ▲                                                │ one micro-batch, one core (or those that are idle)
//!   └──── released when a part is committed ◄── collect, in listing order ◄┘
//! ```
//!
//! Memory is bounded by [`Limits`]: encoded bytes in flight, pictures per micro-batch and worker,
//! and parts between listing and commit. When a bound is reached the listing isn't polled further.

mod collect;
mod control;
mod feed;
mod gpu;
mod work;

pub use control::{Control, Phase, Progress};
pub use work::{Decode, DecoderFn, PreprocessorFn, Stages, Watcher, WatcherFn};

use super::sink::Table;
use super::source::Source;
use crate::{Error, ErrorKind, Result, Stage, featurize::is_cpu, under_way::UnderWay};
use alloc::{collections::BTreeMap, format, string::String, string::ToString, sync::Arc, vec::Vec};
use burn::tensor::Device;
use core::sync::atomic::{AtomicBool, Ordering};
use gpu::Gpu;
use std::{sync::Mutex, sync::mpsc, thread};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds on memory and concurrency. None of them changes the output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Encoded bytes (as listed) fetched or being fetched but not yet decoded. 64 MiB unless set. A
    /// single picture above it is still admitted, alone.
    pub in_flight_bytes: u64,
    /// Fetches at a time. 64 unless set.
    pub requests: usize,
    /// The most pictures in a micro-batch; at least 1. 16 unless set, 64 for a GPU. A network that says how
    /// many it can use ([`SliceFeaturizer::micro_batch`](crate::featurize::SliceFeaturizer::micro_batch)) gets
    /// no more, so that memory stays the same above that; its first micro-batches are smaller, so that few
    /// pictures are shared among all workers.
    pub batch: usize,
    /// Micro-batches that are on a GPU at a time, so that one is uploaded while another is computed; at least 1.
    /// 2 unless set. More workers than that still decode meanwhile. On the CPU devices every worker computes.
    pub on_gpu: usize,
    /// Micro-batches computed at a time, each on a thread of its own; and where fewer are under way, the threads
    /// that compute these together, if the network is a
    /// [`SliceFeaturizer`](crate::featurize::SliceFeaturizer). As many as cores unless set.
    pub workers: usize,
    /// Parts between listing and commit; at least 1. 2 unless set.
    pub open_parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_bytes: 64 << 20,
            requests: 64,
            batch: 16,
            on_gpu: 2,
            workers: thread::available_parallelism().map_or(1, usize::from),
            open_parts: 2,
        }
    }
}

impl Limits {
    /// Workers, of which no machine has use for more.
    fn threads(&self) -> usize {
        self.workers.clamp(1, 4096)
    }

    /// What suits a device: large batches where it is a GPU.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use fruitcore::host::driver::Limits;
    /// let limits = Limits::for_device(&Device::default());
    /// assert!(limits.batch >= 16 && limits.on_gpu == 2);
    /// ```
    pub fn for_device(device: &Device) -> Self {
        let mut limits = Self::default();
        if !is_cpu(device) {
            limits.batch = 64;
        }
        limits
    }
}

/// What is to be done with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Compute it.
    Compute,
    /// It is there; only its listing is wanted, to compare digests.
    Check,
    /// It is another machine's.
    Ignore,
}

/// A picture that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reject {
    /// The picture, or the folder or archive that could not be read.
    pub path: String,
    /// Where it failed.
    pub stage: Stage,
    /// The kind of failure.
    pub kind: ErrorKind,
    /// Why, in words.
    pub reason: String,
}

impl Reject {
    fn new(path: &str, error: &Error) -> Self {
        let path = error.object().filter(|_| path.is_empty()).unwrap_or(path);
        Self {
            path: path.to_string(),
            stage: error.stage(),
            kind: error.kind(),
            reason: error.message().to_string(),
        }
    }

    /// The failure as an error, for strict runs.
    pub fn to_error(&self) -> Error {
        Error::new(self.kind, self.stage, self.reason.clone()).at(self.path.clone())
    }
}

/// A consecutive slice of the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartInput {
    /// Number of the part.
    pub index: u32,
    /// SHA-256 over path, size and version of its pictures, hexadecimal.
    pub digest: String,
    /// Pictures in it.
    pub objects: u64,
    /// Path of the first picture.
    pub first: String,
    /// Path of the last picture.
    pub last: String,
}

/// A finished part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Part {
    /// What it was made of.
    pub input: PartInput,
    /// Its rows and rejects in listing order; `None` for a part that was only checked.
    pub output: Option<PartOutput>,
}

/// Rows and rejects of a part, in listing order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartOutput {
    /// One row for each usable picture.
    pub table: Table,
    /// The others.
    pub rejects: Vec<Reject>,
    /// Seconds of work per stage, summed over workers.
    pub seconds: BTreeMap<&'static str, f64>,
}

/// What the listing held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Pictures, in the parts of this and of other machines.
    pub objects: u64,
    /// Parts.
    pub parts: u32,
}

/// Drives pictures from a source through the stages, part by part.
///
/// The output depends on source, stages, `part_size` and `limit` only: rows are in listing order
/// whatever the number of workers, and a micro-batch never spans two parts.
#[derive(Clone)]
pub struct Driver {
    /// What is done to a picture.
    pub stages: Stages,
    /// Bounds on memory and concurrency.
    pub limits: Limits,
    /// Pictures in a part, at least 1.
    pub part_size: usize,
    /// Stop after this many pictures of the listing.
    pub limit: Option<u64>,
    /// The first unusable picture is an error.
    pub strict: bool,
    /// List a second time, beside the work, to know the total from the start: for progress bars, on
    /// sources that are cheap to list.
    pub count_ahead: bool,
}

impl Driver {
    /// Runs to the end of the listing. `wanted` says for each part what to do; `commit` receives
    /// the computed and the checked parts, in order, on the calling thread.
    ///
    /// # Errors
    /// The first error of `commit`, of the listing, of the network, or (strict) of a picture, after
    /// the parts before it were committed. [`ErrorKind::Interrupted`] if `control` was cancelled:
    /// the parts begun by then are committed. A fetch that fails with [`ErrorKind::Network`] ends
    /// the run, since it says nothing about the picture; every other failure of one picture is a
    /// [`Reject`].
    pub fn run(
        &self,
        source: Arc<dyn Source>,
        control: &Control,
        wanted: &(dyn Fn(u32) -> Wanted + Sync),
        commit: &mut (dyn FnMut(Part) -> Result<()> + Send),
    ) -> Result<Listing> {
        self.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("fruitcore-fetch")
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Io, Stage::Run, format!("no thread: {e}")).because(e))?;
        let shared = Shared::new(&self.limits, &self.stages.device);
        let (messages, inbox) = mpsc::channel();
        let (batches, queue) = tokio::sync::mpsc::channel(self.limits.threads());
        let queue = Arc::new(Mutex::new(queue));
        let (parts, finished) = mpsc::channel::<collect::Ready>();
        let listing = thread::scope(|scope| {
            for n in 0..self.limits.threads() {
                let (queue, messages) = (Arc::clone(&queue), messages.clone());
                let worker = work::Worker { driver: self, shared: &shared, control, queue, messages };
                let builder = thread::Builder::new().name(format!("fruitcore-worker-{n}"));
                if let Err(e) = builder.spawn_scoped(scope, move || worker.run()) {
                    shared.fail(Error::new(ErrorKind::Io, Stage::Run, format!("no thread: {e}")).because(e));
                }
            }
            // The workers hold the queue now: when the last one leaves, the feeder notices.
            drop(queue);
            let shared = &shared;
            let feeder = scope.spawn(move || {
                let feed = feed::Feed { driver: self, source, shared, control, wanted, batches, messages };
                let listing = runtime.block_on(feed.run());
                // Reads that hang must not hold up an error.
                runtime.shutdown_background();
                listing
            });
            scope.spawn(move || collect::Collector::new(self, shared, parts).run(&inbox));
            for ready in finished {
                if shared.failed() && ready.after_failure {
                    break;
                }
                match commit(ready.part) {
                    Ok(()) => control.part_done(),
                    Err(e) => {
                        shared.fail(e);
                        break;
                    }
                }
            }
            feeder.join().unwrap_or_else(|_| Err(internal("the feeder thread panicked")))
        });
        if let Some(error) = shared.take() {
            return Err(error);
        }
        let listing = listing?;
        if control.is_cancelled() && !listing.complete {
            let m = "stopped as asked; finished parts are kept, start the same command again to go on";
            return Err(Error::new(ErrorKind::Interrupted, Stage::Run, m));
        }
        Ok(listing.listing)
    }

    fn check(&self) -> Result<()> {
        let bad = |m: &str| Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
        if self.part_size == 0 {
            return bad("a part needs at least one picture");
        }
        if self.limits.batch == 0 {
            return bad("a batch needs at least one picture");
        }
        let [made, asked] =
            [(self.stages.preprocessor)()?.output_shape(), self.stages.featurizer.input_shape()];
        if made != asked {
            let m =
                format!("the recipe writes {made:?} (channels, height, width), the network reads {asked:?}");
            return Err(Error::new(ErrorKind::Shape, Stage::Config, m));
        }
        Ok(())
    }
}

/// What the threads of one run share.
struct Shared {
    bytes: Arc<Semaphore>,
    bytes_total: u32,
    requests: Arc<Semaphore>,
    parts: Arc<Semaphore>,
    /// `None` where the CPU computes.
    gpu: Option<Gpu>,
    /// Micro-batches that are fetched or computed.
    under_way: UnderWay,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
}

/// The byte budget is counted in these, so that it fits a semaphore of `u32`.
const BYTES_UNIT: u64 = 1024;

impl Shared {
    fn new(limits: &Limits, device: &Device) -> Self {
        let units = (limits.in_flight_bytes / BYTES_UNIT).clamp(1, u64::from(u32::MAX >> 4));
        let bytes_total = u32::try_from(units).unwrap_or(1);
        Self {
            bytes: Arc::new(Semaphore::new(bytes_total as usize)),
            bytes_total,
            requests: Arc::new(Semaphore::new(limits.requests.clamp(1, 1 << 20))),
            parts: Arc::new(Semaphore::new(limits.open_parts.clamp(1, 1 << 20))),
            gpu: (!is_cpu(device)).then(|| Gpu::new(limits.on_gpu)),
            under_way: UnderWay::default(),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// Ends the run; the first error is the one reported.
    fn fail(&self, error: Error) {
        let mut slot = self.error.lock().unwrap_or_else(|e| e.into_inner());
        slot.get_or_insert(error);
        self.failed.store(true, Ordering::SeqCst);
        // Whoever waits for a permit wakes up and leaves.
        let gpu = self.gpu.as_ref().map(|gpu| &gpu.permits);
        [&*self.bytes, &*self.requests, &*self.parts].into_iter().chain(gpu).for_each(Semaphore::close);
    }

    fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    fn take(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(|e| e.into_inner()).take()
    }
}

/// To the collector.
enum Message {
    /// A part was begun; its permit is held until it is committed.
    Open(u32, OwnedSemaphorePermit),
    /// Rows and rejects of some of a part's pictures.
    Batch(work::Output),
    /// Something in the listing that was no picture but should have been.
    Unlisted(u32, Reject),
    /// All of a part's pictures are on their way.
    Close(PartInput),
    /// A part that is only checked.
    Checked(PartInput),
}

fn internal(message: &str) -> Error {
    Error::new(
        ErrorKind::Io,
        Stage::Run,
        format!("{message}; this is a defect of fruitcore, please report it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_workers_makes_some_threads() {
        for (workers, threads) in [(0, 1), (7, 7), (usize::MAX, 4096)] {
            assert_eq!(Limits { workers, ..Limits::default() }.threads(), threads);
        }
    }
}

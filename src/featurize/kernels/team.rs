//! Threads that compute one picture together, for the latency of a single one.

use super::buffer::Buffer;
use super::exec::Run;
use super::plan::Plan;
use super::share::{Broken, Share, Steps, wait_until};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use core::{fmt, panic::AssertUnwindSafe, ptr};
use std::panic::{catch_unwind, resume_unwind};
use std::thread::{self, JoinHandle};

/// Turns a thread without work spins before it sleeps: some tens of microseconds (a turn is 20 to 60 ns), so
/// that the next picture of a stream finds it awake, and others find the core free.
const IDLE_SPINS: u32 = 1_000;

/// Of [`Crew::door`].
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Threads that run a [`Plan`] together, each a share of every layer.
///
/// [`Plan::run`] takes one thread, which is what a batch wants: a picture a core, no waiting. A team is
/// for a single picture that should be done soon. Features are the same to the bit. Between calls its
/// threads sleep; one that wakes late, or whose core the system gave away, holds nobody up: the others do what it has
/// not begun.
///
/// ```
/// use fruitcore::featurize::kernels::{Plan, PlanOptions, Team};
/// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
/// use fruitcore::featurize::weights::RandomWeights;
///
/// let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(64, 64).graph()?;
/// let plan = Plan::new(&graph, &RandomWeights::new(&graph, 7), &PlanOptions::default())?;
/// let mut team = Team::new(2)?;
/// let (picture, mut features) = ([0.5; 3 * 64 * 64], [0.0; 1280]);
/// team.run(&plan, &picture, &mut features)?;
///
/// let mut alone = [0.0; 1280];
/// plan.run(&mut plan.workspace()?, &picture, &mut alone)?;
/// assert_eq!(features, alone);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct Team {
    crew: Arc<Crew>,
    handles: Vec<JoinHandle<()>>,
    steps: Steps,
    memory: Buffer,
}

/// What the threads share.
struct Crew {
    /// Counts jobs.
    job: AtomicUsize,
    /// The job: a pointer to a pointer to a function; null ends the threads.
    work: AtomicPtr<&'static (dyn Fn(usize) + Sync)>,
    /// Threads that are inside the job, and [`CLOSED`] when no more may come in.
    door: AtomicUsize,
    /// Whether a thread panicked.
    failed: AtomicBool,
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Team {
    /// Starts `threads − 1` threads; the caller's is one of the team.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for no thread or more than 256; [`ErrorKind::Limit`] if the
    /// system gives no more threads.
    pub fn new(threads: usize) -> Result<Self> {
        if !(1..=256).contains(&threads) {
            let m = format!("a team of {threads} threads; use 1 to 256");
            return Err(Error::new(ErrorKind::InvalidArgument, Stage::Config, m));
        }
        let crew = Arc::new(Crew {
            job: AtomicUsize::new(0),
            work: AtomicPtr::new(ptr::null_mut()),
            door: AtomicUsize::new(CLOSED),
            failed: AtomicBool::new(false),
        });
        let mut team =
            Self { crew, handles: Vec::new(), steps: Steps::new(threads), memory: Buffer::zeroed(0)? };
        for index in 1..threads {
            let crew = Arc::clone(&team.crew);
            let name = format!("fruitcore-team-{index}");
            let handle = thread::Builder::new().name(name).spawn(move || crew.serve(index)).map_err(|e| {
                let m = format!("no thread {index} for a team of {threads} ({e}); use fewer");
                Error::new(ErrorKind::Limit, Stage::Featurize, m)
            })?;
            team.handles.push(handle);
        }
        Ok(team)
    }

    /// How many threads compute, the caller's included.
    pub fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// [`Plan::run`], picture by picture, by all threads. Allocates only for a plan that needs more
    /// memory than any before.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the lengths aren't those of the same number of pictures;
    /// [`ErrorKind::Limit`] if the memory isn't there.
    pub fn run(&mut self, plan: &Plan, input: &[f32], features: &mut [f32]) -> Result<()> {
        let pictures = plan.count(input, features)?;
        let of = self.threads();
        let ([early, late], common, scratch) = (plan.arena, plan.common, plan.scratch);
        let floats = of.saturating_mul(scratch).saturating_add(early + late).saturating_add(common);
        if self.memory.len() < floats {
            self.memory = Buffer::zeroed(floats)?;
        }
        let memory = Memory(self.memory.as_mut_slice().as_mut_ptr());
        let out = Memory(features.as_mut_ptr());
        let (picture, feature) = (plan.input.iter().product::<usize>(), plan.feature_len());
        self.steps.reset();
        let steps = &self.steps;
        let job = |index: usize| {
            let (memory, out) = (memory, out);
            let ended = Broken(steps);
            let mut walk = steps.walk(index);
            for i in 0..pictures {
                let run = |arena| Run {
                    plan,
                    n: 1,
                    input: input.as_ptr().wrapping_add(i * picture),
                    arena,
                    common: memory.0.wrapping_add(early + late),
                    scratch: memory.0.wrapping_add(early + late + common + index * scratch),
                    share: Share { index, of },
                    team: true,
                };
                let (before, after) = plan.layers.split_at(plan.cut.layers);
                let after_cut = memory.0.wrapping_add(early);
                // SAFETY: `memory` holds both arenas and common memory for one picture, and a scratch for
                // each thread; a share is one thread's, and begins when all shares of the step before are done.
                // Features have room for all pictures and only the first share writes to them.
                unsafe {
                    if !before.is_empty() {
                        let run = run(memory.0);
                        let passed = run.layers(before, &mut walk)
                            && walk.step(1, |share| {
                                Run { share, ..run }.pass(after_cut, 0, 1);
                                true
                            });
                        if !passed {
                            return;
                        }
                    }
                    let run = run(after_cut);
                    let finished = run.layers(after, &mut walk)
                        && walk.step(1, |share| {
                            if share.index == 0 {
                                let to = out.0.add(i * feature);
                                run.finish(core::slice::from_raw_parts_mut(to, feature));
                            }
                            true
                        });
                    if !finished {
                        return;
                    }
                }
            }
            core::mem::forget(ended);
        };
        self.crew.all(&self.handles, &job);
        Ok(())
    }
}

impl Crew {
    /// `job(index)` on the caller's thread as the first, and on every other that is awake before that has done with it:
    /// the caller doesn't wait for those that aren't. Returns when all who began it have ended.
    fn all(&self, handles: &[JoinHandle<()>], job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes. Threads call it while they are inside, and this function doesn't return
        // before the door is closed and all have left.
        let job: &'static (dyn Fn(usize) + Sync) = unsafe { core::mem::transmute(job) };
        self.begin((&raw const job).cast_mut(), handles);
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        self.door.fetch_or(CLOSED, Ordering::AcqRel);
        wait_until(|| self.door.load(Ordering::Acquire) == CLOSED);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!self.failed.swap(false, Ordering::Relaxed), "a thread of the team panicked");
    }

    /// Opens the door to the next job. The last one has ended.
    fn begin(&self, work: *mut &'static (dyn Fn(usize) + Sync), handles: &[JoinHandle<()>]) {
        self.work.store(work, Ordering::Relaxed);
        self.door.store(0, Ordering::Release);
        self.job.fetch_add(1, Ordering::Release);
        handles.iter().for_each(|h| h.thread().unpark());
    }

    /// Goes in, if the door is open.
    fn enter(&self) -> bool {
        let one_more = |inside: usize| (inside & CLOSED == 0).then_some(inside + 1);
        self.door.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more).is_ok()
    }

    /// Waits for jobs and does them.
    fn serve(&self, index: usize) {
        let mut seen = 0;
        loop {
            let mut turns = 0;
            while self.job.load(Ordering::Acquire) == seen {
                if turns < IDLE_SPINS {
                    turns += 1;
                    core::hint::spin_loop();
                } else {
                    thread::park();
                }
            }
            // Jobs that were missed need nobody any more.
            seen = self.job.load(Ordering::Acquire);
            if !self.enter() {
                continue;
            }
            let work = self.work.load(Ordering::Relaxed);
            // SAFETY: a pointer that isn't null is to a job that lives while a thread is inside.
            let job = unsafe { work.as_ref() };
            let ended = job.map(|job| catch_unwind(AssertUnwindSafe(|| job(index))));
            if matches!(ended, Some(Err(_))) {
                self.failed.store(true, Ordering::Relaxed);
            }
            self.door.fetch_sub(1, Ordering::Release);
            if ended.is_none() {
                return;
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.crew.begin(ptr::null_mut(), &self.handles);
        for handle in self.handles.drain(..) {
            // It ends by itself and has nothing to tell.
            let _ = handle.join();
        }
    }
}

/// Memory that all threads write to, each its own part.
#[derive(Clone, Copy)]
struct Memory(*mut f32);

// SAFETY: shares of a layer don't overlap, and layers are done one after the other; see `Team::run`.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: usize = if cfg!(miri) { 12 } else { 2_000 };

    /// Some rounds find the threads awake, others asleep.
    fn pause(round: usize) {
        if round.is_multiple_of(7) {
            thread::sleep(core::time::Duration::from_micros(300));
        }
    }

    #[test]
    fn a_job_is_done_and_left_when_its_call_returns() {
        for threads in 1..5 {
            let mut team = Team::new(threads).unwrap();
            for round in 0..ROUNDS {
                pause(round);
                let (mut done, mut over) = (AtomicUsize::new(0), false);
                team.steps.reset();
                let (steps, done_here, over_here) = (&team.steps, &done, &over);
                team.crew.all(&team.handles, &|index| {
                    let mut walk = steps.walk(index);
                    for _ in 0..3 {
                        assert!(walk.step(2, |_| {
                            done_here.fetch_add(1, Ordering::Relaxed);
                            !over_here
                        }));
                    }
                });
                // Under Miri, a thread that is still inside would read what is written here.
                over = true;
                assert_eq!((*done.get_mut(), over), (3 * 2 * threads, true));
            }
        }
    }

    #[test]
    fn a_team_goes_on_after_a_panic() {
        let mut team = Team::new(3).unwrap();
        for round in 0..ROUNDS / 4 {
            pause(round);
            team.steps.reset();
            let steps = &team.steps;
            let job = |bad: Option<usize>| {
                move |index| {
                    let ended = Broken(steps);
                    let mut walk = steps.walk(index);
                    let all = (0..3).all(|_| {
                        walk.step(1, |share| {
                            assert!(Some(share.index) != bad, "as asked");
                            true
                        })
                    });
                    if all {
                        core::mem::forget(ended);
                    }
                }
            };
            let bad = round.is_multiple_of(2).then_some(round % 3);
            let all = || team.crew.all(&team.handles, &job(bad));
            assert_eq!(catch_unwind(AssertUnwindSafe(all)).is_err(), bad.is_some());
        }
    }
}

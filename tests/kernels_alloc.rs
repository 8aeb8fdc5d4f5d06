//! After the first call plans and teams allocate nothing, on any of their threads.
//!
//! Without the test harness: it has a thread of its own, which allocates when it reports a slow test.
#![allow(unsafe_code)]

use fruitcore::featurize::kernels::{Isa, Plan, PlanOptions, Team};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec, Tap};
use fruitcore::featurize::{Precision, weights::RandomWeights};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts for all threads together, a team's too.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MICRO_BATCH: usize = 2;

/// Allocations while `work` runs.
fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.load(Ordering::SeqCst);
    work();
    COUNT.load(Ordering::SeqCst) - before
}

fn main() {
    let name = "later_calls_allocate_nothing";
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
        later_calls_allocate_nothing();
        println!("test {name} ... ok");
    }
}

fn later_calls_allocate_nothing() {
    let mut team = Team::new(3).unwrap();
    let mut taken = 0;
    for spec in [
        NetworkSpec::new(NetworkKind::MobileNetV2).width(0.5).input(64, 64),
        NetworkSpec::new(NetworkKind::Resnet50).input(48, 48),
        NetworkSpec::new(NetworkKind::Vgg16).tap(Tap::Pooled).input(32, 32),
    ] {
        let graph = spec.graph().unwrap();
        let weights = RandomWeights::new(&graph, 7);
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
            for &precision in Precision::CPU {
                let mut options = PlanOptions::default();
                (options.isa, options.precision, options.micro_batch) = (isa, precision, MICRO_BATCH);
                let plan = Plan::new(&graph, &weights, &options).unwrap();
                let mut workspace = plan.workspace().unwrap();
                let picture: usize = plan.input_shape().iter().product();
                // One micro-batch; some, and a part of one.
                for n in [MICRO_BATCH, 2 * MICRO_BATCH - 1, 1] {
                    let input = vec![0.5; n * picture];
                    let mut features = vec![0.0; n * plan.feature_len()];
                    let alone = allocations(|| plan.run(&mut workspace, &input, &mut features).unwrap());
                    assert_eq!(alone, 0, "{spec} {}, {n} pictures", plan.arithmetic());
                    // Threads that slept through the first call come into a later one.
                    let first = allocations(|| team.run(&plan, &input, &mut features).unwrap());
                    taken += first;
                    let later = allocations(|| {
                        for _ in 0..2 {
                            team.run(&plan, &input, &mut features).unwrap();
                        }
                    });
                    assert_eq!(later, 0, "{spec} {} by a team, {n} pictures", plan.arithmetic());
                }
            }
        }
    }
    // It does count: a team's memory is taken in its first call.
    assert!(taken > 0);
}

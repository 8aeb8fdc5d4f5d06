//! Workspaces between calls: taken by whichever thread comes next, without a lock.

use super::plan::{Plan, Workspace};
use crate::Result;
use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Workspaces that are kept; more threads than this allocate theirs for each call.
const SLOTS: usize = 64;

/// A [`Plan`] with a workspace for each thread that runs it at the same time.
pub(in super::super) struct Shared {
    plan: Plan,
    slots: [AtomicPtr<Workspace>; SLOTS],
}

impl Shared {
    pub(in super::super) fn new(plan: Plan) -> Self {
        Self { plan, slots: [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS] }
    }

    pub(in super::super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// [`Plan::run`] from any thread.
    pub(in super::super) fn run(&self, input: &[f32], features: &mut [f32]) -> Result<()> {
        let mut workspace = match self.take() {
            Some(workspace) => workspace,
            None => Box::new(self.plan.workspace()?),
        };
        let result = self.plan.run(&mut workspace, input, features);
        self.put(workspace);
        result
    }

    /// Frees the workspaces that nobody runs with.
    pub(in super::super) fn release(&self) {
        while self.take().is_some() {}
    }

    fn take(&self) -> Option<Box<Workspace>> {
        self.slots.iter().find_map(|slot| {
            if slot.load(Ordering::Relaxed).is_null() {
                return None;
            }
            let taken = slot.swap(ptr::null_mut(), Ordering::Acquire);
            // SAFETY: a pointer in a slot came from `Box::into_raw` in `put`, and `swap` handed it to
            // this thread alone.
            (!taken.is_null()).then(|| unsafe { Box::from_raw(taken) })
        })
    }

    fn put(&self, workspace: Box<Workspace>) {
        let raw = Box::into_raw(workspace);
        let kept = self.slots.iter().any(|slot| {
            slot.compare_exchange(ptr::null_mut(), raw, Ordering::Release, Ordering::Relaxed).is_ok()
        });
        if !kept {
            // SAFETY: `raw` came from `Box::into_raw` above and no slot took it.
            drop(unsafe { Box::from_raw(raw) });
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PlanOptions, tests::Seeded};
    use super::*;
    use crate::featurize::network::{NetworkKind, NetworkSpec};
    use alloc::vec;

    #[test]
    fn what_was_released_is_made_again() {
        let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph().unwrap();
        let shared = Shared::new(Plan::new(&graph, &Seeded(1), &PlanOptions::default()).unwrap());
        let kept = || shared.slots.iter().filter(|slot| !slot.load(Ordering::Relaxed).is_null()).count();
        let (input, mut first, mut second) = (vec![0.5; 3 * 32 * 32], vec![0.0; 1280], vec![0.0; 1280]);
        shared.run(&input, &mut first).unwrap();
        assert_eq!(kept(), 1);
        shared.release();
        assert_eq!(kept(), 0);
        shared.run(&input, &mut second).unwrap();
        assert_eq!((kept(), first), (1, second));
    }
}

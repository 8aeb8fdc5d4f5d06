//! Teams between calls.

use super::kernels::{Plan, Team};
use crate::Result;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard};

/// A team has at most so many threads.
const MOST: usize = 256;

/// Teams that nobody uses at the moment: never more than calls were under way at once.
#[derive(Default)]
pub(super) struct Teams(Mutex<Vec<Team>>);

impl Teams {
    /// Features of pictures, one after the other, by a team of `threads`; `None` if the system gives no more threads,
    /// so that nothing was done.
    pub(super) fn run(
        &self,
        threads: usize,
        plan: &Plan,
        pictures: &[f32],
        features: &mut [f32],
    ) -> Option<Result<()>> {
        let mut team = self.take(threads.min(MOST))?;
        let done = team.run(plan, pictures, features);
        self.lock().push(team);
        Some(done)
    }

    /// Ends the threads that wait, and frees their memory.
    pub(super) fn release(&self) {
        let idle = core::mem::take(&mut *self.lock());
        drop(idle);
    }

    fn take(&self, threads: usize) -> Option<Team> {
        let mut idle = self.lock();
        let of_size = idle.iter().position(|team| team.threads() == threads);
        let taken = of_size.map(|i| idle.swap_remove(i)).or_else(|| idle.pop());
        drop(idle);
        match taken {
            Some(team) if team.threads() == threads => Some(team),
            // One of another size makes room.
            other => {
                drop(other);
                Team::new(threads).ok()
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Team>> {
        // Nothing can panic while it is held, so that no list is half changed.
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Threads of those that wait.
    #[cfg(test)]
    pub(super) fn idle(&self) -> Vec<usize> {
        self.lock().iter().map(Team::threads).collect()
    }
}

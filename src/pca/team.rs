//! A team that works on one matrix step by step, from its first column to its last.
//!
//! Between two steps its threads spin: a task of a thread pool takes longer to wake a thread than a column to
//! compute. Each has a member whose work it does first, from its own cache. It then does that of threads which have
//! not begun, as those whose core the system gave away: so a busy machine does not make all wait for each.

#[cfg(not(feature = "rayon"))]
pub(super) use alone::{Slot, run, size};
#[cfg(feature = "rayon")]
pub(super) use together::{Slot, run, size};

#[cfg(feature = "rayon")]
mod together {
    use crate::featurize::kernels::{Broken, Steps};
    use alloc::vec::Vec;
    use core::ops::{Deref, DerefMut};
    use std::sync::{Mutex, RwLock};
    use std::thread::{self, Builder};

    /// Columns for each thread below which meeting takes longer than computing.
    const WORTH: usize = if cfg!(miri) { 16 } else { 256 };

    /// Beyond these the caches that columns come from are busy.
    const MOST: usize = 16;

    /// Members for a matrix of `d` columns.
    pub(in super::super) fn size(d: usize) -> usize {
        (d / WORTH).min(MOST).min(rayon::current_num_threads()).max(1)
    }

    /// What one thread writes and, after they met, all read.
    pub(in super::super) struct Slot<T>(RwLock<T>);

    impl<T> Slot<T> {
        pub(in super::super) const fn new(value: T) -> Self {
            Self(RwLock::new(value))
        }

        /// `None` after a panic of its writer, as below.
        pub(in super::super) fn read(&self) -> Option<impl Deref<Target = T> + '_> {
            self.0.read().ok()
        }

        pub(in super::super) fn write(&self) -> Option<impl DerefMut<Target = T> + '_> {
            self.0.write().ok()
        }

        pub(in super::super) fn into_inner(self) -> Option<T> {
            self.0.into_inner().ok()
        }
    }

    /// What the threads share.
    struct Office<M> {
        members: Vec<Mutex<M>>,
        steps: Steps,
    }

    impl<M> Office<M> {
        /// Every step, with the work of member `own` before that of others.
        fn serve<S: Copy>(
            &self,
            own: usize,
            steps: &[S],
            work: &impl Fn(&mut M, S) -> Option<()>,
        ) -> Option<()> {
            let ended = Broken(&self.steps);
            let mut walk = self.steps.walk(own);
            for step in steps {
                let work = |index: usize| work(&mut *self.members.get(index)?.lock().ok()?, *step);
                if !walk.step(1, |share| work(share.index).is_some()) {
                    return None;
                }
            }
            core::mem::forget(ended);
            Some(())
        }
    }

    /// Does `work` for each of `steps` and each member; a step begins when the one before is done for all.
    /// Returns the first member; `None` if some work was, or there is no member.
    ///
    /// # Panics
    /// If some work does.
    pub(in super::super) fn run<M: Send, S: Copy + Sync>(
        members: Vec<M>,
        steps: &[S],
        work: impl Fn(&mut M, S) -> Option<()> + Sync,
    ) -> Option<M> {
        let office = Office {
            steps: Steps::new(members.len()),
            members: members.into_iter().map(Mutex::new).collect(),
        };
        thread::scope(|scope| {
            for own in 1..office.members.len() {
                let (office, work) = (&office, &work);
                let name = alloc::format!("fruitcore-pca-{own}");
                // Without it the others do its work.
                let _ = Builder::new().name(name).spawn_scoped(scope, move || office.serve(own, steps, work));
            }
            office.serve(0, steps, &work)
        })?;
        office.members.into_iter().next()?.into_inner().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const STEPS: usize = if cfg!(miri) { 10 } else { 300 };

        #[test]
        fn all_see_what_each_wrote() {
            for members in 1..5 {
                let slots: Vec<Slot<usize>> = (0..members).map(|_| Slot::new(0)).collect();
                let steps: Vec<usize> = (0..STEPS).collect();
                let work = |(index, sum): &mut (usize, usize), step: usize| {
                    if step.is_multiple_of(2) {
                        *slots.get(*index)?.write()? = step + *index;
                    } else {
                        for slot in &slots {
                            *sum += *slot.read()?;
                        }
                    }
                    Some(())
                };
                let first = run((0..members).map(|i| (i, 0)).collect(), &steps, work);
                let even: usize = (0..STEPS).step_by(2).sum();
                let expected = members * even + STEPS / 2 * (members * (members - 1) / 2);
                assert_eq!(first, Some((0, expected)));
            }
            assert_eq!(run(Vec::<()>::new(), &[1], |(), _| Some(())), None);
        }

        #[test]
        fn no_one_waits_for_what_ended() {
            let steps: Vec<usize> = (0..STEPS).collect();
            for bad in 0..3 {
                let stops = |i: &mut usize, step: usize| (*i != bad || step != STEPS / 2).then_some(());
                assert_eq!(run((0..3).collect(), &steps, stops), None);
                let panics = |i: &mut usize, step: usize| {
                    assert!(*i != bad || step != STEPS / 2);
                    Some(())
                };
                assert!(std::panic::catch_unwind(|| run((0..3).collect(), &steps, panics)).is_err());
            }
        }
    }
}

#[cfg(not(feature = "rayon"))]
mod alone {
    use alloc::vec::Vec;
    use core::cell::RefCell;
    use core::ops::{Deref, DerefMut};

    pub(in super::super) const fn size(_: usize) -> usize {
        1
    }

    pub(in super::super) struct Slot<T>(RefCell<T>);

    impl<T> Slot<T> {
        pub(in super::super) const fn new(value: T) -> Self {
            Self(RefCell::new(value))
        }

        pub(in super::super) fn read(&self) -> Option<impl Deref<Target = T> + '_> {
            self.0.try_borrow().ok()
        }

        pub(in super::super) fn write(&self) -> Option<impl DerefMut<Target = T> + '_> {
            self.0.try_borrow_mut().ok()
        }

        pub(in super::super) fn into_inner(self) -> Option<T> {
            Some(self.0.into_inner())
        }
    }

    pub(in super::super) fn run<M, S: Copy>(
        mut members: Vec<M>,
        steps: &[S],
        work: impl Fn(&mut M, S) -> Option<()>,
    ) -> Option<M> {
        for step in steps {
            for member in &mut members {
                work(member, *step)?;
            }
        }
        members.into_iter().next()
    }
}

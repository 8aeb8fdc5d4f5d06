//! Micro-batches on a GPU: how many at a time, and how large.

use super::internal;
use crate::{ErrorKind, Result};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use futures::executor::block_on;
use tokio::sync::Semaphore;

/// What the workers of a run share of a GPU.
pub(super) struct Gpu {
    /// One for each micro-batch that may be on it.
    pub(super) permits: Semaphore,
    /// Pictures to compute at once: a device tells neither how much memory is left nor how large a buffer may be.
    most: AtomicUsize,
    /// As many as it did compute at once.
    computed: AtomicUsize,
}

impl Gpu {
    /// For so many micro-batches at a time.
    pub(super) fn new(permits: usize) -> Self {
        let permits = Semaphore::new(permits.clamp(1, 1 << 20));
        Self { permits, most: AtomicUsize::new(usize::MAX), computed: AtomicUsize::new(0) }
    }

    /// Features of pictures of `size` floats by `compute`, in halves where all at once failed: once the GPU's room
    /// is known, later micro-batches begin with it. `free` is called after a failure.
    ///
    /// # Errors
    /// Those of `compute` for a single picture, or for a whole micro-batch as large as one that it has computed.
    pub(super) fn features(
        &self,
        mut input: Vec<f32>,
        size: usize,
        compute: impl Fn(Vec<f32>) -> Result<Vec<f32>>,
        free: impl Fn(),
    ) -> Result<Vec<f32>> {
        // Permits end with a run that failed, whose error is reported.
        let turn = block_on(self.permits.acquire()).map_err(|_| internal("the run has ended"))?;
        let n = input.len() / size.max(1);
        let mut values = Vec::new();
        let mut done = 0;
        while done < n {
            let count = (n - done).min(self.most.load(Relaxed)).max(1);
            let is_sure = count <= self.computed.load(Relaxed);
            let part = match input.get(done * size..(done + count) * size) {
                // Nobody will ask for them again.
                Some(all) if is_sure && all.len() == input.len() => core::mem::take(&mut input),
                Some(part) => part.to_vec(),
                None => break,
            };
            match compute(part) {
                Ok(mut more) => {
                    self.computed.fetch_max(count, Relaxed);
                    values.append(&mut more);
                    done += count;
                }
                // Also where another micro-batch has taken the room: what is still here can be tried again.
                Err(e) if e.kind() == ErrorKind::Io && count > 1 && !input.is_empty() => {
                    self.most.fetch_min(count.div_ceil(2), Relaxed);
                    free();
                }
                Err(e) => return Err(e),
            }
        }
        drop(turn);
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Stage};
    use alloc::vec;
    use core::cell::RefCell;
    use std::{sync::Barrier, thread};

    /// The sum of each picture's three floats; of at most `room` pictures.
    fn sums(room: usize, sizes: &RefCell<Vec<usize>>) -> impl Fn(Vec<f32>) -> Result<Vec<f32>> {
        move |part: Vec<f32>| {
            sizes.borrow_mut().push(part.len() / 3);
            if part.len() > 3 * room {
                return Err(Error::new(ErrorKind::Io, Stage::Featurize, "can't allocate"));
            }
            Ok(part.chunks_exact(3).map(|picture| picture.iter().sum()).collect())
        }
    }

    #[test]
    fn batches_that_are_too_large_are_halved_once() {
        let gpu = Gpu::new(2);
        let input: Vec<f32> = (0..3 * 21).map(|i| i as f32).collect();
        let expected: Vec<f32> = (0..21).map(|i| (9 * i + 3) as f32).collect();
        let (sizes, freed) = (RefCell::new(Vec::new()), AtomicUsize::new(0));
        let features = |input: &[f32]| {
            gpu.features(input.to_vec(), 3, sums(6, &sizes), || _ = freed.fetch_add(1, Relaxed)).unwrap()
        };
        assert_eq!(features(&input), expected);
        assert_eq!(sizes.take(), [21, 11, 6, 6, 6, 3]);
        assert_eq!(features(&input[..21]), expected[..7]);
        assert_eq!(sizes.take(), [6, 1]);
        assert_eq!(freed.load(Relaxed), 2);
    }

    #[test]
    fn what_is_no_matter_of_size_fails() {
        let sizes = RefCell::new(Vec::new());
        let gpu = Gpu::new(1);
        let e = gpu.features(vec![1.0; 15], 3, sums(0, &sizes), || ()).unwrap_err();
        assert_eq!((e.kind(), sizes.take()), (ErrorKind::Io, vec![5, 3, 2, 1]));
        let shape = |_: Vec<f32>| Err(Error::new(ErrorKind::Shape, Stage::Featurize, "another network's"));
        assert_eq!(
            Gpu::new(1).features(vec![1.0; 15], 3, shape, || ()).unwrap_err().kind(),
            ErrorKind::Shape
        );
        // As many as were computed before: something else is wrong.
        let gpu = Gpu::new(1);
        gpu.features(vec![1.0; 15], 3, sums(5, &sizes), || ()).unwrap();
        assert!(gpu.features(vec![1.0; 15], 3, sums(4, &sizes), || ()).is_err());
        assert_eq!(sizes.take(), [5, 5]);
    }

    #[test]
    fn no_more_micro_batches_at_a_time_than_there_are_permits() {
        let (gpu, both) = (Gpu::new(2), Barrier::new(2));
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let compute = |part: Vec<f32>| {
                        most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                        both.wait();
                        inside.fetch_sub(1, Relaxed);
                        Ok(part)
                    };
                    gpu.features(vec![1.0; 3], 3, compute, || ()).unwrap()
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
        gpu.permits.close();
        let e = gpu.features(vec![1.0; 3], 3, Ok, || ()).unwrap_err();
        assert!(e.message().contains("the run has ended"), "{e}");
    }
}

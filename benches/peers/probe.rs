//! How fast the machine is at this moment.

use fruitcore::featurize::kernels::Isa;
use std::{sync::Barrier, thread, time::Instant};

/// Multiply-adds of a thread; a few milliseconds' worth.
const ROUNDS: u64 = 1_500_000;

/// Operations a second that `threads` threads reach together on registers alone: less than at other times where
/// somebody else uses a core, or the other half of it.
pub fn rate(threads: usize) -> fruitcore::Result<f64> {
    let isa = Isa::best();
    let begin = Barrier::new(threads);
    let work = || {
        begin.wait();
        let start = Instant::now();
        let operations = isa.multiply_add(ROUNDS)?;
        Ok(operations as f64 / start.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    })
}

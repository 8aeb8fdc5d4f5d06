//! Attempts, pauses and timeouts for stores on a network.

use super::{Retry, errors};
use core::{future::Future, time::Duration};
use object_store::{Error, Result};

/// Runs `attempt` until it succeeds, fails for good, or the attempts are used up.
pub(super) async fn retried<T, F: Future<Output = Result<T>>>(
    retry: &Retry,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let mut failures = 0;
    loop {
        match timely(retry.timeout, attempt()).await {
            Ok(value) => return Ok(value),
            Err(e) => {
                failures += 1;
                if failures >= retry.attempts || !errors::transient(&e) {
                    return Err(e);
                }
            }
        }
        pause(retry, failures).await;
    }
}

/// Waits after the `failures`-th failure: twice as long each time, a random half of it at least.
pub(super) async fn pause(retry: &Retry, failures: usize) {
    if tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let full = retry.pause.saturating_mul(1 << doublings).min(retry.max_pause);
    tokio::time::sleep(full / 2 + (full / 2).mul_f64(jitter())).await;
}

/// `work` with a time limit, where a runtime has clocks.
pub(super) async fn timely<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return work.await;
    }
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(late) => Err(Error::Generic { store: "timeout", source: late.into() }),
    }
}

/// In [0, 1): many machines that fail together shall not come back together.
fn jitter() -> f64 {
    use core::hash::BuildHasher;
    // A new state is seeded at random.
    let bits = std::collections::hash_map::RandomState::new().hash_one(0u8) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

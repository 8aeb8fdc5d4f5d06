//! Listing and fetching, never more than the limits allow.

use super::{BYTES_UNIT, Control, Driver, Listing, Message, PartInput, Reject, Shared, Wanted};
use crate::{
    Error, ErrorKind, Result, Stage,
    host::{run::hex, source::Object, source::Source},
    under_way::One,
};
use alloc::{string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::mem;
use futures::{StreamExt, future::join_all};
use sha2::{Digest, Sha256};
use std::{sync::mpsc, time::Instant};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

/// Fetched pictures of one part, with their share of the byte budget.
pub(super) struct Batch {
    pub part: u32,
    /// Position of the first within the part.
    pub start: usize,
    pub items: Vec<(Object, Result<Bytes>)>,
    /// Seconds spent on fetching, summed over the pictures.
    pub seconds: f64,
    pub charged: Charge,
    pub under_way: One,
}

/// A share of the byte budget; given back when dropped.
pub(super) struct Charge {
    _permit: OwnedSemaphorePermit,
    bytes: u64,
    control: Control,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.control.decoded(self.bytes);
    }
}

/// A listing, and whether its end was seen.
pub(super) struct Listed {
    pub listing: Listing,
    pub complete: bool,
}

pub(super) struct Feed<'a> {
    pub driver: &'a Driver,
    pub source: Arc<dyn Source>,
    pub shared: &'a Shared,
    pub control: &'a Control,
    pub wanted: &'a (dyn Fn(u32) -> Wanted + Sync),
    pub batches: tokio::sync::mpsc::Sender<Batch>,
    pub messages: mpsc::Sender<Message>,
}

/// A part while its pictures are being listed.
struct Open {
    index: u32,
    wanted: Wanted,
    digest: Sha256,
    objects: u64,
    first: String,
    last: String,
}

/// Listed pictures that are not yet being fetched.
#[derive(Default)]
struct Pending {
    start: usize,
    objects: Vec<Object>,
    bytes: u64,
    /// Micro-batches before.
    batches: usize,
}

/// The run is over early; the reason is in `Shared`.
struct Stopped;

impl Feed<'_> {
    pub(super) async fn run(self) -> Result<Listed> {
        let source = Arc::clone(&self.source);
        if self.driver.count_ahead {
            self.count_ahead();
        }
        let mut list = source.list();
        let mut fetches = JoinSet::new();
        let mut total = Listing { objects: 0, parts: 0 };
        let mut open: Option<Open> = None;
        let mut pending = Pending::default();
        let mut complete = true;
        let mut nothing: Option<Reject> = None;
        let limit = self.driver.limit.unwrap_or(u64::MAX);
        while total.objects < limit && !self.shared.failed() {
            if open.is_none() && self.control.is_cancelled() {
                complete = false;
                break;
            }
            let object = match list.next().await {
                None => break,
                Some(Ok(object)) => object,
                Some(Err(e)) => match self.unlisted(e, total.parts, &mut open).await {
                    Ok(reject) => {
                        nothing.get_or_insert(reject);
                        continue;
                    }
                    Err(Stopped) => break,
                },
            };
            let part = match &mut open {
                Some(part) => part,
                None => match self.open(total.parts).await {
                    Ok(part) => open.insert(part),
                    Err(Stopped) => break,
                },
            };
            part.add(&object);
            total.objects += 1;
            let full = part.objects >= self.driver.part_size as u64;
            if part.wanted == Wanted::Compute {
                let size = charge(&object);
                // Several batches should fit the budget, so that fetching and computing overlap.
                let crowded = pending.bytes.saturating_add(size) > self.driver.limits.in_flight_bytes / 4;
                if crowded && !pending.objects.is_empty() {
                    let Ok(()) = self.fetch(part.index, &mut pending, &mut fetches).await else { break };
                }
                pending.add(object, size);
                if full || pending.objects.len() >= self.room(pending.batches) {
                    let Ok(()) = self.fetch(part.index, &mut pending, &mut fetches).await else { break };
                }
            }
            if full && let Some(part) = open.take() {
                self.close(part);
                pending = Pending { batches: pending.batches, ..Pending::default() };
                total.parts += 1;
            }
            while fetches.try_join_next().is_some() {}
        }
        // Not one picture: then the failure isn't about one of many.
        if let (0, Some(reject)) = (total.objects, nothing) {
            self.shared.fail(reject.to_error());
        } else if let Some(part) = open.take().filter(|_| !self.shared.failed()) {
            if !pending.objects.is_empty() {
                let _ = self.fetch(part.index, &mut pending, &mut fetches).await;
            }
            self.close(part);
            total.parts += 1;
        }
        if complete {
            self.control.set_total(total.objects);
        }
        while fetches.join_next().await.is_some() && !self.shared.failed() {}
        Ok(Listed { listing: total, complete })
    }

    /// Counts the pictures beside the work, so that the time left can be told.
    fn count_ahead(&self) {
        let (source, control) = (Arc::clone(&self.source), self.control.clone());
        let limit = self.driver.limit.unwrap_or(u64::MAX);
        tokio::spawn(async move {
            let mut list = source.list();
            let mut total = 0;
            while let Some(object) = list.next().await {
                total += u64::from(object.is_ok());
                if total >= limit || control.is_cancelled() {
                    break;
                }
            }
            control.set_total(total);
        });
    }

    async fn open(&self, index: u32) -> Result<Open, Stopped> {
        let wanted = (self.wanted)(index);
        if wanted == Wanted::Compute {
            let permit = Arc::clone(&self.shared.parts).acquire_owned().await.map_err(|_| Stopped)?;
            let _ = self.messages.send(Message::Open(index, permit));
        }
        let (first, last) = (String::new(), String::new());
        Ok(Open { index, wanted, digest: Sha256::new(), objects: 0, first, last })
    }

    fn close(&self, part: Open) {
        let input = PartInput {
            index: part.index,
            digest: hex(&part.digest.finalize()),
            objects: part.objects,
            first: part.first,
            last: part.last,
        };
        let _ = match part.wanted {
            Wanted::Compute => self.messages.send(Message::Close(input)),
            Wanted::Check => {
                self.control.skip(input.objects);
                self.messages.send(Message::Checked(input))
            }
            Wanted::Ignore => {
                self.control.skip(input.objects);
                Ok(())
            }
        };
    }

    /// Something that should have been listed and could not be: a reject of the part it falls into.
    async fn unlisted(&self, error: Error, next: u32, open: &mut Option<Open>) -> Result<Reject, Stopped> {
        if !is_local(&error) {
            self.shared.fail(error);
            return Err(Stopped);
        }
        let part = match open {
            Some(part) => part,
            None => open.insert(self.open(next).await?),
        };
        let reject = Reject::new("", &error);
        if part.wanted == Wanted::Compute {
            let _ = self.messages.send(Message::Unlisted(part.index, reject.clone()));
        }
        Ok(reject)
    }

    /// Pictures in the next micro-batch, after so many others. Where its size changes no bit, the first of all workers
    /// are of one picture, then of two, and so on: of few pictures each worker has some.
    fn room(&self, batches: usize) -> usize {
        let (limits, network) = (&self.driver.limits, &self.driver.stages.featurizer);
        let Some(slices) = network.slices().filter(|_| self.shared.gpu.is_none()) else {
            return limits.batch;
        };
        let most = limits.batch.min(slices.micro_batch()).max(1);
        match limits.threads() {
            1 => most,
            workers => u32::try_from(batches / workers)
                .ok()
                .and_then(|doubled| 1usize.checked_shl(doubled))
                .map_or(most, |size| size.min(most)),
        }
    }

    /// Waits for room in the byte budget, then fetches the pending pictures in the background.
    async fn fetch(
        &self,
        part: u32,
        pending: &mut Pending,
        fetches: &mut JoinSet<()>,
    ) -> Result<(), Stopped> {
        let next = pending.start + pending.objects.len();
        let batches = pending.batches + 1;
        let Pending { start, objects, bytes, .. } =
            mem::replace(pending, Pending { start: next, batches, ..Pending::default() });
        let units = bytes.div_ceil(BYTES_UNIT).clamp(1, u64::from(self.shared.bytes_total));
        let units = u32::try_from(units).unwrap_or(1);
        let permit = Arc::clone(&self.shared.bytes).acquire_many_owned(units).await.map_err(|_| Stopped)?;
        self.control.fetching(bytes);
        let charged = Charge { _permit: permit, bytes, control: self.control.clone() };
        let (source, requests) = (Arc::clone(&self.source), Arc::clone(&self.shared.requests));
        let batches = self.batches.clone();
        let control = self.control.clone();
        let under_way = self.shared.under_way.begin();
        fetches.spawn(async move {
            let (source, requests) = (&source, &requests);
            let all = objects.into_iter().map(|o| fetch_one(source, requests, o));
            let mut seconds = 0.0;
            let items = join_all(all).await.into_iter().map(|(object, bytes, took)| {
                seconds += took;
                control.fetched(bytes.as_ref().map_or(0, |b| b.len() as u64));
                (object, bytes)
            });
            let items = items.collect();
            let _ = batches.send(Batch { part, start, items, seconds, charged, under_way }).await;
        });
        Ok(())
    }
}

impl Pending {
    /// A listing may tell any size.
    fn add(&mut self, object: Object, size: u64) {
        self.objects.push(object);
        self.bytes = self.bytes.saturating_add(size);
    }
}

impl Open {
    fn add(&mut self, object: &Object) {
        // Lengths keep neighbouring fields apart.
        self.digest.update((object.path.len() as u64).to_le_bytes());
        self.digest.update(object.path.as_bytes());
        self.digest.update(object.size.to_le_bytes());
        let version = object.version.as_deref().unwrap_or("");
        self.digest.update((version.len() as u64).to_le_bytes());
        self.digest.update(version.as_bytes());
        if self.objects == 0 {
            self.first.clone_from(&object.path);
        }
        self.last.clone_from(&object.path);
        self.objects += 1;
    }
}

async fn fetch_one(
    source: &Arc<dyn Source>,
    requests: &Arc<Semaphore>,
    object: Object,
) -> (Object, Result<Bytes>, f64) {
    let permit = requests.acquire().await;
    if permit.is_err() {
        let e = Error::new(ErrorKind::Interrupted, Stage::Source, "the run ended");
        return (object, Err(e), 0.0);
    }
    let start = Instant::now();
    let bytes = source.fetch(&object).await;
    (object, bytes, start.elapsed().as_secs_f64())
}

/// What a picture counts against the byte budget; a store that tells no size is charged a guess.
fn charge(object: &Object) -> u64 {
    if object.size == 0 { 64 << 10 } else { object.size.max(BYTES_UNIT) }
}

/// Whether a failure concerns one object only, so that the run can go on without it.
pub(super) fn is_local(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Network | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::source::Body;

    #[test]
    fn sizes_no_store_has_are_counted_as_the_most() {
        let mut pending = Pending::default();
        for size in [u64::MAX, 64 << 10] {
            let (path, body) = (String::from("a.jpg"), Body::Inline(Bytes::new()));
            let object = Object { path, label: None, size, version: None, body };
            let size = charge(&object);
            pending.add(object, size);
        }
        assert_eq!((pending.bytes, pending.objects.len()), (u64::MAX, 2));
    }
}

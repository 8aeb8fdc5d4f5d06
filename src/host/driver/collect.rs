//! Micro-batches in any order → parts in listing order.

use super::{Driver, Message, Part, PartInput, PartOutput, Reject, Shared, internal, work};
use crate::{
    Result,
    host::sink::{Content, Table},
};
use alloc::{collections::BTreeMap, vec::Vec};
use std::sync::mpsc;
use tokio::sync::OwnedSemaphorePermit;

/// A part on its way to the commit.
pub(super) struct Ready {
    pub part: Part,
    /// Completed after something failed: not to be committed, so that a strict run ends at the
    /// first unusable picture.
    pub after_failure: bool,
    /// Until the part is committed no other takes its place.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A part while its micro-batches arrive.
#[derive(Default)]
struct Assembly {
    permit: Option<OwnedSemaphorePermit>,
    batches: BTreeMap<usize, work::Output>,
    pictures: u64,
    unlisted: Vec<Reject>,
    closed: Option<PartInput>,
    checked: bool,
}

pub(super) struct Collector<'a> {
    driver: &'a Driver,
    shared: &'a Shared,
    parts: mpsc::Sender<Ready>,
    open: BTreeMap<u32, Assembly>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(driver: &'a Driver, shared: &'a Shared, parts: mpsc::Sender<Ready>) -> Self {
        Self { driver, shared, parts, open: BTreeMap::new() }
    }

    /// Until every sender is gone.
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<Message>) {
        for message in inbox {
            self.receive(message);
            if let Err(e) = self.pass_on() {
                self.shared.fail(e);
            }
        }
        if !self.open.is_empty() && !self.shared.failed() {
            self.shared.fail(internal("pictures were lost between listing and commit"));
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Open(index, permit) => self.open.entry(index).or_default().permit = Some(permit),
            Message::Batch(output) => {
                let part = self.open.entry(output.part).or_default();
                part.pictures += output.pictures as u64;
                part.batches.insert(output.start, output);
            }
            Message::Unlisted(index, reject) => self.open.entry(index).or_default().unlisted.push(reject),
            Message::Close(input) => {
                let part = self.open.entry(input.index).or_default();
                part.closed = Some(input);
            }
            Message::Checked(input) => {
                let part = self.open.entry(input.index).or_default();
                part.checked = true;
                part.closed = Some(input);
            }
        }
    }

    /// Hands over what is complete, lowest number first. The feeder announces parts in order, so
    /// the lowest part here is the next one.
    fn pass_on(&mut self) -> Result<()> {
        while let Some(first) = self.open.first_entry() {
            let part = first.get();
            let complete = part.closed.as_ref().is_some_and(|p| part.checked || p.objects == part.pictures);
            if !complete {
                break;
            }
            let mut part = first.remove();
            let Some(input) = part.closed.take() else { break };
            let permit = part.permit.take();
            let output = if part.checked { None } else { Some(self.assemble(part)?) };
            let ready =
                Ready { part: Part { input, output }, after_failure: self.shared.failed(), _permit: permit };
            if self.parts.send(ready).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn assemble(&self, part: Assembly) -> Result<PartOutput> {
        let columns = self.driver.stages.featurizer.feature_len();
        let rows = part.batches.values().map(|b| b.names.len()).sum();
        let mut table = Table::new(Content::Features, columns)?.with_capacity(rows);
        let mut rejects = part.unlisted;
        let mut seconds: BTreeMap<_, f64> = work::SECONDS.iter().map(|name| (*name, 0.0)).collect();
        for (_, batch) in part.batches {
            for ((path, label), row) in batch.names.into_iter().zip(batch.values.chunks_exact(columns)) {
                table.push(path, label, row)?;
            }
            rejects.extend(batch.rejects);
            for (name, s) in work::SECONDS.iter().zip(batch.seconds) {
                *seconds.entry(name).or_default() += s;
            }
        }
        Ok(PartOutput { table, rejects, seconds })
    }
}

//! The labels of the rows, numbered.

use crate::host::{sample::number, sink::Table};
use alloc::{string::String, string::ToString, vec, vec::Vec};

pub(super) struct Classes<'a> {
    pub(super) names: Vec<&'a str>,
    /// The class of each row.
    pub(super) of: Vec<Option<u32>>,
    /// Rows of each class.
    pub(super) counts: Vec<u64>,
}

impl<'a> Classes<'a> {
    pub(super) fn of(table: &'a Table) -> Self {
        let (names, of) = number(table.labels().iter().map(Option::as_deref));
        let mut counts = vec![0; names.len()];
        of.iter().flatten().for_each(|c| counts[*c as usize] += 1);
        Self { names, of, counts }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn owned(&self) -> Vec<String> {
        self.names.iter().map(|s| (*s).to_string()).collect()
    }

    /// The name of a row's class.
    pub(super) fn name(&self, row: usize) -> Option<&'a str> {
        self.names.get(self.of.get(row).copied().flatten()? as usize).copied()
    }
}

//! [`Table`]: the rows every sink writes.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String, vec::Vec};

/// What a table's numbers are; names its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Content {
    /// Feature vectors: list column `features`, CSV columns `feat_0…`.
    Features,
    /// Principal components: list column `components`, CSV columns `pc_0…`.
    Components,
}

impl Content {
    /// Name of the list column, and of the folder of such files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Components => "components",
        }
    }

    /// What precedes the number in a CSV header.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Features => "feat_",
            Self::Components => "pc_",
        }
    }
}

/// Rows of `columns` numbers, each with the picture's path and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    content: Content,
    columns: usize,
    paths: Vec<String>,
    labels: Vec<Option<String>>,
    values: Vec<f32>,
}

impl Table {
    /// An empty table.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `columns` is zero or more than 2³¹ − 1.
    pub fn new(content: Content, columns: usize) -> Result<Self> {
        if columns == 0 || i32::try_from(columns).is_err() {
            let m = format!("a table needs 1 to 2147483647 columns of numbers, found {columns}");
            return Err(Error::new(ErrorKind::Shape, Stage::Sink, m));
        }
        Ok(Self { content, columns, paths: Vec::new(), labels: Vec::new(), values: Vec::new() })
    }

    /// Makes room for `rows` more rows.
    #[must_use]
    pub fn with_capacity(mut self, rows: usize) -> Self {
        self.paths.reserve_exact(rows);
        self.labels.reserve_exact(rows);
        self.values.reserve_exact(rows.saturating_mul(self.columns));
        self
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `values` has another length; the table is left as it was.
    pub fn push(
        &mut self,
        path: impl Into<String>,
        label: Option<impl Into<String>>,
        values: &[f32],
    ) -> Result<()> {
        let path = path.into();
        if values.len() != self.columns {
            let m = format!("expected {} numbers in a row, found {}", self.columns, values.len());
            return Err(Error::new(ErrorKind::Shape, Stage::Sink, m).at(path));
        }
        self.paths.push(path);
        self.labels.push(label.map(Into::into));
        self.values.extend_from_slice(values);
        Ok(())
    }

    /// The same rows with other numbers: `values` is `[len(), columns]`, row after row.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `values` has another length.
    pub fn with_values(&self, content: Content, columns: usize, values: Vec<f32>) -> Result<Self> {
        let mut table = Self::new(content, columns)?;
        if values.len() != self.len().saturating_mul(columns) {
            let m = format!("{} values do not make {} rows of {columns}", values.len(), self.len());
            return Err(Error::new(ErrorKind::Shape, Stage::Sink, m));
        }
        table.paths.clone_from(&self.paths);
        table.labels.clone_from(&self.labels);
        table.values = values;
        Ok(table)
    }

    /// From whole columns; `values` is row-major.
    pub(crate) fn from_parts(
        content: Content,
        columns: usize,
        paths: Vec<String>,
        labels: Vec<Option<String>>,
        values: Vec<f32>,
    ) -> Result<Self> {
        let mut table = Self::new(content, columns)?;
        if labels.len() != paths.len() || paths.len().checked_mul(columns) != Some(values.len()) {
            let m = format!(
                "columns of different lengths: {} paths, {} labels, {} values for {columns} a row",
                paths.len(),
                labels.len(),
                values.len()
            );
            return Err(Error::new(ErrorKind::Corrupt, Stage::Sink, m));
        }
        (table.paths, table.labels, table.values) = (paths, labels, values);
        Ok(table)
    }

    /// What the numbers are.
    pub fn content(&self) -> Content {
        self.content
    }

    /// Numbers in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// One path a row.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// One label a row, where there is one.
    pub fn labels(&self) -> &[Option<String>] {
        &self.labels
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

//! Rows read back: a run's parts, or files that another program wrote.
//!
//! [`RowFiles::open`] takes
//!
//! | target | rows |
//! |---|---|
//! | an output folder or URL of `run`, `merge` or `transform` | its `features/` or `components/` parts, in order |
//! | one file | Parquet, Arrow IPC or CSV, told by content |
//! | a folder of such files (Spark's `part-…`) | all of them, by name |
//!
//! Of foreign tables the columns are told by name and type: the numbers are a list column (`array<double>`), Spark's
//! vector type, or the largest family of numbered columns (`pc_0…`, `f0…`, `0…49`); path and label
//! go by the usual names (`path`, `image`, `file`; `label`, `class`, `fruit`). A CSV may be separated
//! by `;`, tab, `|` or `,`, have a header or none, decimal commas, and vectors written `[0.1, 0.2]`.
//! Rows without a path are called `row-N`.

mod arrow_rows;
mod layout;
#[cfg(feature = "report")]
mod named;
mod text;
mod write;

#[cfg(feature = "report")]
pub(crate) use named::{named, named_in};
pub(crate) use write::put_json;
pub use write::{Column, encode_columns};

use super::{
    run::{OutputStore, RunOutput, open_output},
    sink::{Content, Table},
};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use bytes::Bytes;
use std::{
    fs::File,
    io::{BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
};

/// Rows handed on at once.
pub(crate) const CHUNK: usize = 4096;

/// Files that together hold rows of numbers with path and label.
///
/// ```
/// use fruitcore::host::{rows::RowFiles, sink::Content};
/// let folder = tempfile::tempdir().expect("a temporary folder");
/// let file = folder.path().join("components.csv");
/// std::fs::write(&file, "image;fruit;pc1;pc2\na.jpg;apple;0,5;-1\nb.jpg;pear;2;3,25\n").expect("written");
/// let rows = RowFiles::open(&file.display().to_string(), Content::Components)?.table()?;
/// assert_eq!((rows.paths()[1].as_str(), rows.labels()[0].as_deref()), ("b.jpg", Some("apple")));
/// assert_eq!(rows.values(), [0.5, -1.0, 2.0, 3.25]);
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct RowFiles {
    files: Vec<RowFile>,
    content: Content,
    target: String,
    store: Arc<dyn OutputStore>,
    is_run: bool,
}

enum RowFile {
    /// All parts of a run.
    Run(RunOutput),
    /// A file that lies in an output.
    Stored {
        store: Arc<dyn OutputStore>,
        name: String,
    },
    Local(PathBuf),
}

impl RowFiles {
    /// Finds the rows of `target`; reads none of them yet.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is nothing, [`ErrorKind::Insufficient`] for a run that has
    /// not come to its components, and what the store reports.
    pub fn open(target: &str, content: Content) -> Result<Self> {
        let path = Path::new(target);
        if path.is_file() {
            // Results about one file go to a folder beside it.
            let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            let beside = path.with_file_name(format!("{stem}-out"));
            return Ok(Self {
                files: Vec::from([RowFile::Local(path.to_owned())]),
                content,
                target: String::from(target),
                store: open_output(&beside.display().to_string())?,
                is_run: false,
            });
        }
        let store = open_output(target)?;
        let manifest = |e: &String| e.starts_with("manifest") && e.ends_with(".json");
        let is_run = store.entries("")?.iter().any(manifest);
        let files = match is_run {
            true => Vec::from([RowFile::Run(RunOutput::open(target)?)]),
            false => of_folder(&store, content)?,
        };
        if files.is_empty() {
            let m = format!(
                "no {} here; name the --output of a run, or a Parquet, Arrow or CSV file",
                content.name()
            );
            return Err(Error::new(ErrorKind::NotFound, Stage::Source, m).at(target));
        }
        Ok(Self { files, content, target: String::from(target), store, is_run })
    }

    /// Where results about these rows belong: the output itself, or for a single file `data.csv` the
    /// folder `data-out` beside it.
    pub fn store(&self) -> &Arc<dyn OutputStore> {
        &self.store
    }

    /// Whether a run's manifest named the files.
    pub fn is_run(&self) -> bool {
        self.is_run
    }

    /// What was opened.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Hands all rows to `take`, some thousands at a time, in order.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] naming file, line and column of what can't be read,
    /// [`ErrorKind::NonFinite`] for NaN or infinity, [`ErrorKind::Shape`] if rows differ in length,
    /// and what `take` returns.
    pub fn read(&self, take: &mut dyn FnMut(Table) -> Result<()>) -> Result<()> {
        let mut sink = Checked { take, columns: None, seen: 0 };
        for file in &self.files {
            let place = file.place(&self.target);
            file.read(self.content, &mut sink).map_err(|e| e.at(place))?;
        }
        if sink.seen == 0 {
            let m = "there are no rows";
            return Err(Error::new(ErrorKind::Insufficient, Stage::Source, m).at(self.target.clone()));
        }
        Ok(())
    }

    /// All rows at once.
    ///
    /// # Errors
    /// As [`read`](RowFiles::read).
    pub fn table(&self) -> Result<Table> {
        let (mut paths, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut columns = 0;
        self.read(&mut |table| {
            columns = table.columns();
            paths.extend_from_slice(table.paths());
            labels.extend_from_slice(table.labels());
            values.extend_from_slice(table.values());
            Ok(())
        })?;
        Table::from_parts(self.content, columns, paths, labels, values)
    }
}

/// What every reader writes to: sees to equal lengths and finite numbers.
pub(crate) struct Checked<'a> {
    take: &'a mut dyn FnMut(Table) -> Result<()>,
    columns: Option<usize>,
    seen: u64,
}

impl Checked<'_> {
    fn push(&mut self, table: Table) -> Result<()> {
        if table.is_empty() {
            return Ok(());
        }
        let columns = *self.columns.get_or_insert(table.columns());
        if table.columns() != columns {
            let m = format!("expected {columns} numbers a row, found {}", table.columns());
            return Err(Error::new(ErrorKind::Shape, Stage::Source, m));
        }
        if let Some(at) = table.values().iter().position(|v| !v.is_finite()) {
            let path = table.paths().get(at / columns).cloned().unwrap_or_default();
            let m = format!("number {} of {path} is NaN or infinite; leave such rows out", at % columns);
            return Err(Error::new(ErrorKind::NonFinite, Stage::Source, m));
        }
        self.seen += table.len() as u64;
        (self.take)(table)
    }

    /// The name of a row that has none, `ahead` rows after the last one handed on.
    fn name(&self, ahead: usize) -> String {
        format!("row-{}", self.seen + ahead as u64)
    }
}

/// The folder of that content, or the files that lie directly in the folder.
fn of_folder(store: &Arc<dyn OutputStore>, content: Content) -> Result<Vec<RowFile>> {
    let table = |name: &str| {
        let name = name.to_ascii_lowercase();
        let ends = [".parquet", ".csv", ".tsv", ".arrow", ".feather"].iter().any(|e| name.ends_with(e));
        ends && !name.starts_with(['_', '.'])
    };
    for folder in [format!("{}/", content.name()), String::new()] {
        let names: Vec<String> = store.entries(&folder)?.into_iter().filter(|n| table(n)).collect();
        let ours = |n: &String| {
            ["clusters.", "map", "neighbors.", "rejects.", "placed."].iter().any(|p| n.starts_with(p))
        };
        let names: Vec<_> = names.into_iter().filter(|n| !folder.is_empty() || !ours(n)).collect();
        if !names.is_empty() {
            let stored =
                |n: String| RowFile::Stored { store: Arc::clone(store), name: format!("{folder}{n}") };
            return Ok(names.into_iter().map(stored).collect());
        }
    }
    Ok(Vec::new())
}

impl RowFile {
    fn place(&self, target: &str) -> String {
        match self {
            Self::Run(_) => String::from(target),
            Self::Stored { name, .. } => format!("{}/{name}", target.trim_end_matches('/')),
            Self::Local(path) => path.display().to_string(),
        }
    }

    fn read(&self, content: Content, sink: &mut Checked<'_>) -> Result<()> {
        match self {
            Self::Run(output) => output.tables(content, &mut |table| sink.push(table.clone())),
            Self::Stored { store, name } => {
                let Some(bytes) = store.get(name)? else {
                    let m = "the file is gone; start the run again to make it";
                    return Err(Error::new(ErrorKind::NotFound, Stage::Source, m));
                };
                read(content, Input::Bytes(bytes), sink)
            }
            Self::Local(path) => {
                let file = File::open(path).map_err(|e| super::run::local_error(path, &e))?;
                read(content, Input::File(file), sink)
            }
        }
    }
}

enum Input {
    Bytes(Bytes),
    File(File),
}

/// A file whose format its first bytes tell.
fn read(content: Content, mut input: Input, sink: &mut Checked<'_>) -> Result<()> {
    let mut head = [0; 6];
    let n = match &mut input {
        Input::Bytes(b) => (&b[..]).read(&mut head),
        Input::File(f) => f.read(&mut head).and_then(|n| f.rewind().map(|()| n)),
    };
    let n = n.map_err(|e| Error::new(ErrorKind::Io, Stage::Source, format!("{e}")).because(e))?;
    let head = head.get(..n).unwrap_or_default();
    if head.starts_with(b"PAR1") {
        return match input {
            Input::Bytes(b) => arrow_rows::parquet(content, b, sink),
            Input::File(f) => arrow_rows::parquet(content, f, sink),
        };
    }
    if head.starts_with(b"ARROW1") {
        return match input {
            Input::Bytes(b) => arrow_rows::ipc(content, Cursor::new(b), sink),
            Input::File(f) => arrow_rows::ipc(content, BufReader::new(f), sink),
        };
    }
    if head.contains(&0) {
        let m = "is no table this program reads; give Parquet, Arrow IPC or CSV";
        return Err(Error::new(ErrorKind::Unsupported, Stage::Source, m));
    }
    match input {
        Input::Bytes(b) => text::csv(content, Cursor::new(b), sink),
        Input::File(f) => text::csv(content, BufReader::new(f), sink),
    }
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, Stage::Source, message)
}

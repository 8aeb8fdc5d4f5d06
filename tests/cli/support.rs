//! Runs the built program; makes pictures for it.

use fruitcore::host::{
    demo::Fruits,
    sink::{Content, Format, Table},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// A small network: quick to build, every stage real.
pub(crate) const SMALL: [&str; 6] = ["--weights", "random", "--width", "0.35", "--input-size", "32"];

/// What a call gave.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the exit status is `code`.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Fails unless standard error has all of `words`.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in:\n{}", self.err);
        }
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fruitcore"));
    command.args(args).env_remove("RUST_BACKTRACE");
    command
}

pub(crate) fn fruitcore<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Done {
    Done::of(command(args).output().unwrap())
}

/// A folder with `pictures/KIND/NNNN.jpg` of the first `kinds` kinds, and room for results.
pub(crate) struct Work(TempDir);

impl Work {
    pub(crate) fn new(kinds: usize, each: u32) -> Self {
        let work = Self(tempfile::tempdir().unwrap());
        Fruits::new(1).write(&work.path("pictures"), 0..each).unwrap();
        for kind in Fruits::kinds().skip(kinds) {
            fs::remove_dir_all(work.path("pictures").join(kind)).unwrap();
        }
        work
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// `run pictures --output OUT` with the small network, quietly, and more.
    pub(crate) fn run(&self, out: &str, more: &[&str]) -> Done {
        self.run_on("pictures", out, more)
    }

    pub(crate) fn run_on(&self, input: &str, out: &str, more: &[&str]) -> Done {
        let (input, out) = (self.arg(input), self.arg(out));
        let mut args = vec!["run", &input, "--output", &out];
        args.extend(SMALL);
        args.extend(more);
        fruitcore(&args)
    }

    /// All parts of a kind of Parquet output as paths, labels and rows.
    pub(crate) fn rows(&self, out: &str, content: Content) -> Vec<(String, Option<String>, Vec<f32>)> {
        let folder = match content {
            Content::Features => "features",
            _ => "components",
        };
        let mut all = Vec::new();
        for file in files(&self.path(out).join(folder)) {
            let bytes = fs::read(&file).unwrap();
            let table: Table = Format::Parquet.decode(content, bytes.into()).unwrap();
            for (i, row) in table.values().chunks(table.columns()).enumerate() {
                all.push((table.paths()[i].clone(), table.labels()[i].clone(), row.to_vec()));
            }
        }
        all
    }
}

/// Files of a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

/// Fails unless rows are the same pictures and equal to `tolerance` of the largest value.
#[track_caller]
pub(crate) fn assert_close(
    a: &[(String, Option<String>, Vec<f32>)],
    b: &[(String, Option<String>, Vec<f32>)],
    tolerance: f32,
) {
    assert_eq!(a.len(), b.len());
    let scale = a.iter().flat_map(|r| &r.2).fold(0.0f32, |m, v| m.max(v.abs()));
    for (x, y) in a.iter().zip(b) {
        assert_eq!((&x.0, &x.1, x.2.len()), (&y.0, &y.1, y.2.len()));
        for (u, v) in x.2.iter().zip(&y.2) {
            assert!((u - v).abs() <= tolerance * scale, "{}: {u} and {v}", x.0);
        }
    }
}

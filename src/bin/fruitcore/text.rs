//! Numbers, times and tables for people; standard output that may be closed.

use crate::failure::Failure;
use core::time::Duration;
use fruitcore::{Error, ErrorKind, Stage};

pub(crate) use fruitcore::host::summary::count;
use std::{
    io::{ErrorKind as Io, Write},
    path::Path,
};

/// `1 picture`, `2 pictures`, `3 classes`.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`.
pub(crate) fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..10 => format!("{:.1} s", d.as_secs_f64()),
        10..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// A time that a file told, which may be damaged.
pub(crate) fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX)
}

/// `512 B`, `3.4 kB`, `14 MB`, `1.2 GB`.
pub(crate) fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 999.5 || unit == "TB" {
            return if value < 9.95 && unit != "B" {
                format!("{value:.1} {unit}")
            } else {
                format!("{value:.0} {unit}")
            };
        }
        value /= 1000.0;
    }
    String::new()
}

/// Rows of cells in aligned columns; the last is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(core::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != Io::BrokenPipe => {
            let m = "standard output can't be written to";
            Err(Error::new(ErrorKind::Io, Stage::Sink, m).because(e).into())
        }
        _ => Ok(()),
    }
}

/// Writes to standard output amid other work; a reader that went away ends it.
pub(crate) fn stream(bytes: &[u8]) -> fruitcore::Result<()> {
    std::io::stdout().lock().write_all(bytes).map_err(|e| {
        let kind = if e.kind() == Io::BrokenPipe { ErrorKind::Interrupted } else { ErrorKind::Io };
        Error::new(kind, Stage::Sink, format!("standard output: {e}")).because(e)
    })
}

/// Writes a whole file beside its place and renames it, so that it is there whole or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> fruitcore::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let written = std::fs::File::create(&aside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&aside, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&aside);
        let kind = match e.kind() {
            Io::PermissionDenied => ErrorKind::PermissionDenied,
            Io::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let m = "can't be written; check that its folder exists and has room";
        Error::new(kind, Stage::Sink, m).at(path.display().to_string()).because(e)
    })
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("can't be written as JSON: {e}")))?;
    print(&format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(3_400), "3.4 kB");
        assert_eq!(bytes(14_000_000), "14 MB");
        assert_eq!(bytes(9_960_000), "10 MB");
        assert_eq!(duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(duration(Duration::from_secs(7800)), "2 h 10 min");
        assert_eq!([-1.0, f64::NAN, 1e30].map(seconds), [Duration::ZERO, Duration::ZERO, Duration::MAX]);
        assert_eq!(duration(seconds(185.4)), "3 min 05 s");
        assert_eq!(counted(1, "class", "classes"), "1 class");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "bb".to_owned()], vec!["ccc".to_owned(), "d".to_owned()]];
        assert_eq!(table(&rows), "a    bb\nccc  d\n");
    }
}

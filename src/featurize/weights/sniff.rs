//! What bytes are, by looking at them: file names lie.

use super::safetensors;
use alloc::{format, string::String};

/// Containers that may hold a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Safetensors,
    Zip,
    Pickle,
    Hdf5,
}

const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
const GIT_LFS: &[u8] = b"version https://git-lfs";

/// Beginnings of files that are often mistaken for checkpoints.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file (WebP, WAV)"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "gzip-compressed data (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data (unpack it first)"),
    (b"\xfd7zXZ", "xz-compressed data (unpack it first)"),
    (b"BZh", "bzip2-compressed data (unpack it first)"),
    (b"7z\xbc\xaf", "a 7z archive (unpack it first)"),
    (b"GGUF", "a GGUF language model"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow IPC file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
];

/// The container, or in words what else the bytes look like.
pub(super) fn sniff(bytes: &[u8]) -> Result<Container, String> {
    if bytes.is_empty() {
        return Err("an empty file".into());
    }
    if bytes.starts_with(HDF5) {
        return Ok(Container::Hdf5);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Ok(Container::Zip);
    }
    if safetensors::matches(bytes) {
        return Ok(Container::Safetensors);
    }
    if bytes.first() == Some(&0x80) && bytes.get(1).is_some_and(|p| (1..=5).contains(p)) {
        return Ok(Container::Pickle);
    }
    // HDF5 allows a foreign block of 512, 1024, … bytes before its signature.
    let mut at = 512;
    while at < bytes.len() {
        if bytes.get(at..).is_some_and(|b| b.starts_with(HDF5)) {
            return Ok(Container::Hdf5);
        }
        at *= 2;
    }
    Err(describe(bytes))
}

fn describe(bytes: &[u8]) -> String {
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*what).into();
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "a tar archive (PyTorch before 0.2, or pictures); unpack it or save the checkpoint again"
            .into();
    }
    if bytes.starts_with(GIT_LFS) {
        return "a git-LFS pointer, not the file it points to (run `git lfs pull`)".into();
    }
    if bytes.iter().all(|&b| b == 0) {
        return format!("{} zero bytes (an interrupted download?)", bytes.len());
    }
    let window = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    let text = match core::str::from_utf8(window) {
        Ok(text) => text,
        // A character may be cut at the window's end.
        Err(e) if e.error_len().is_none() => {
            window.get(..e.valid_up_to()).and_then(|w| core::str::from_utf8(w).ok()).unwrap_or_default()
        }
        Err(_) => "",
    };
    let printable = !text.is_empty() && text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace());
    if !printable {
        let first: String = window.iter().take(8).map(|b| format!("{b:02x} ")).collect();
        return format!("unknown binary data beginning with {}", first.trim_end());
    }
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    let lower: String = trimmed.chars().take(256).collect::<String>().to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") || lower.contains("<head") {
        return "an HTML page (a failed download?)".into();
    }
    if lower.starts_with("<?xml") {
        return "an XML document (an error message of a download?)".into();
    }
    let line: String = trimmed.lines().next().unwrap_or_default().chars().take(60).collect();
    format!("a text file beginning with `{line}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_file_looks_like() {
        let cases: [(&[u8], &str); 10] = [
            (b"", "empty"),
            (b"\n <!DOCTYPE html><html><head>", "HTML page"),
            (b"<html>", "HTML page"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git-LFS"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"),
            (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code>", "XML"),
            ("apfel, birne, k\u{f6}rbis\n".as_bytes(), "apfel"),
            (b"\0\0\0\0\0\0\0\0\0\0", "zero bytes"),
            (b"\x01\x02\x03\xfe\xff", "01 02 03 fe ff"),
            (b"\x1f\x8b\x08", "gzip"),
        ];
        for (bytes, expected) in cases {
            let said = sniff(bytes).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}

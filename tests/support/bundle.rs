//! Several files of nearly the same content in one small zstd file; written by
//! `tests/golden/weights/bundle.py`.

use ruzstd::decoding::StreamingDecoder;
use std::io::Read;

const BLOCK: usize = 1 << 20;

/// The files of `tests/golden/weights/NAME.bundle.zst`, by name.
pub(crate) fn read(name: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!("{}/tests/golden/weights/{name}.bundle.zst", env!("CARGO_MANIFEST_DIR"));
    let packed = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut stream = StreamingDecoder::new(packed.as_slice()).unwrap();
    let mut header = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).unwrap();
        if byte == [b'\n'] {
            break;
        }
        header.push(byte[0]);
    }
    let lengths: Vec<(String, usize)> = serde_json::from_slice(&header).unwrap();
    let mut files: Vec<(String, Vec<u8>)> =
        lengths.iter().map(|(name, length)| (name.clone(), Vec::with_capacity(*length))).collect();
    let longest = lengths.iter().map(|(_, length)| *length).max().unwrap();
    for start in (0..longest).step_by(BLOCK) {
        for ((_, length), (_, data)) in lengths.iter().zip(&mut files) {
            let n = BLOCK.min(length.saturating_sub(start));
            data.resize(start.min(*length) + n, 0);
            let from = data.len() - n;
            stream.read_exact(&mut data[from..]).unwrap();
        }
    }
    files
}

/// One file of a bundle.
pub(crate) fn file(bundle: &str, name: &str) -> Vec<u8> {
    let found = read(bundle).into_iter().find(|(n, _)| n == name);
    found.unwrap_or_else(|| panic!("{bundle} has no {name}")).1
}

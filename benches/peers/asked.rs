//! What every program here speaks with its script.
#![allow(dead_code, reason = "no program needs all of it")]

use std::{error, fs, io, io::Write, path::Path};

pub type Failure = Box<dyn error::Error>;

/// A file of nothing but `f32`.
pub fn floats(file: impl AsRef<Path>) -> io::Result<Vec<f32>> {
    Ok(fs::read(file)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// Values as such a file has them, or one of `u32`.
pub fn bytes<const N: usize, T: Copy>(values: &[T], each: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| each(value)).collect()
}

/// Says `ready`, then answers each line of standard input, whose words `answer` gets, with one.
pub fn answers(mut answer: impl FnMut(&[&str]) -> Result<String, Failure>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in io::stdin().lines() {
        let line = line?;
        writeln!(out, "{}", answer(&line.split_whitespace().collect::<Vec<_>>())?)?;
        out.flush()?;
    }
    Ok(())
}

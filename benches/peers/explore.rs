//! This crate's side of `benches/peers/explore.py`: clusters and maps as it is asked on standard input,
//! so that the script can alternate with the peers.
//!
//! `peer_explore ROWS.f32 COLUMNS` answers
//! `kmeans K SEED OUT` (labels as `u32` to OUT), `tsne SEED OUT` (points as `f32` pairs to OUT) and
//! `nearest QUERIES NEIGHBOURS` each with one line: the seconds it took, then the inertia for k-means; `probe` with what
//! the machine can do now.

#[path = "probe.rs"]
mod probe;

use fruitcore::{
    classify::kmeans::KMeans,
    host::{
        map::{TsneOptions, tsne},
        neighbors::nearest,
    },
    pca::Rows,
};
use std::{env, error, fs, io, io::Write, thread, time::Instant};

fn main() -> Result<(), Box<dyn error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [file, columns] = &args[..] else {
        return Err("usage: peer_explore ROWS.f32 COLUMNS".into());
    };
    let data: Vec<f32> =
        fs::read(file)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let columns = columns.parse()?;
    let rows = Rows::new(&data, columns)?;
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let start = Instant::now();
        match words[..] {
            ["kmeans", k, seed, to] => {
                let found = KMeans::new(k.parse()?).seed(seed.parse()?).fit(rows)?;
                let seconds = start.elapsed().as_secs_f64();
                fs::write(to, found.labels().iter().flat_map(|l| l.to_le_bytes()).collect::<Vec<_>>())?;
                writeln!(out, "{seconds} {}", found.inertia())?;
            }
            ["tsne", seed, to] => {
                let mut options = TsneOptions::default();
                options.seed = seed.parse()?;
                let map = tsne(rows, &options, &mut |_, _| {})?;
                let seconds = start.elapsed().as_secs_f64();
                fs::write(to, map.points.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())?;
                writeln!(out, "{seconds}")?;
            }
            ["nearest", queries, k] => {
                let queries = queries.parse::<usize>()?.min(rows.len()) * columns;
                nearest(rows, Rows::new(&data[..queries], columns)?, k.parse()?)?;
                writeln!(out, "{}", start.elapsed().as_secs_f64())?;
            }
            ["probe"] => writeln!(out, "{}", probe::rate(thread::available_parallelism()?.get())?)?,
            _ => return Err(format!("unknown: {line}").into()),
        }
        out.flush()?;
    }
    Ok(())
}

//! This crate's side of `benches/peers/explore.py`: clusters and maps as it is asked on standard input,
//! so that the script can alternate with the peers.
//!
//! `peer_explore ROWS.f32 COLUMNS` answers
//! `kmeans K SEED OUT` (labels as `u32` to OUT), `tsne SEED OUT` (points as `f32` pairs to OUT) and
//! `nearest QUERIES NEIGHBOURS` each with one line: the seconds it took, then the inertia for k-means; `probe` with what
//! the machine can do now.

#[path = "asked.rs"]
mod asked;
#[path = "probe.rs"]
mod probe;

use asked::Failure;
use fruitcore::{
    classify::kmeans::KMeans,
    host::{
        map::{TsneOptions, tsne},
        neighbors::nearest,
    },
    pca::Rows,
};
use std::{env, fs, thread, time::Instant};

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [file, columns] = &args[..] else {
        return Err("usage: peer_explore ROWS.f32 COLUMNS".into());
    };
    let data = asked::floats(file)?;
    let columns = columns.parse()?;
    let rows = Rows::new(&data, columns)?;
    asked::answers(|words| {
        let start = Instant::now();
        Ok(match *words {
            ["kmeans", k, seed, to] => {
                let found = KMeans::new(k.parse()?).seed(seed.parse()?).fit(rows)?;
                let seconds = start.elapsed().as_secs_f64();
                fs::write(to, asked::bytes(found.labels(), u32::to_le_bytes))?;
                format!("{seconds} {}", found.inertia())
            }
            ["tsne", seed, to] => {
                let mut options = TsneOptions::default();
                options.seed = seed.parse()?;
                let map = tsne(rows, &options, &mut |_, _| {})?;
                let seconds = start.elapsed().as_secs_f64();
                fs::write(to, asked::bytes(&map.points, f32::to_le_bytes))?;
                seconds.to_string()
            }
            ["nearest", queries, k] => {
                let queries = queries.parse::<usize>()?.min(rows.len()) * columns;
                nearest(rows, Rows::new(&data[..queries], columns)?, k.parse()?)?;
                start.elapsed().as_secs_f64().to_string()
            }
            ["probe"] => probe::rate(thread::available_parallelism()?.get())?.to_string(),
            _ => return Err(format!("unknown: {}", words.join(" ")).into()),
        })
    })
}

//! This crate's side of `benches/peers/pca.py`: fits as often as it is asked on standard input, so that
//! the script can alternate between solvers.
//!
//! `peer_pca ROWS.f32 COLUMNS COMPONENTS`: answers each line with the seconds that moments and fit took
//! together, then those of the fit alone and the explained variances; `probe` with what the machine can do now.

#[path = "probe.rs"]
mod probe;

use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
use std::{env, error, fs, io, io::Write, thread, time::Instant};

/// Rows of a batch, as a driver hands them over.
const BATCH: usize = 1_000;

fn main() -> Result<(), Box<dyn error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [file, columns, components] = &args[..] else {
        return Err("usage: peer_pca ROWS.f32 COLUMNS COMPONENTS".into());
    };
    let (columns, components): (usize, usize) = (columns.parse()?, components.parse()?);
    let data: Vec<f32> =
        fs::read(file)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in io::stdin().lines() {
        if line? == "probe" {
            writeln!(out, "{}", probe::rate(thread::available_parallelism()?.get())?)?;
            out.flush()?;
            continue;
        }
        let start = Instant::now();
        let mut pca = CovariancePca::new(columns)?;
        for batch in data.chunks(BATCH * columns) {
            pca.partial_fit(Rows::new(batch, columns)?)?;
        }
        let moments = start.elapsed();
        let projection = pca.fit(Keep::Count(components))?;
        let all = start.elapsed();
        let variances: Vec<String> = projection.explained_variance().iter().map(f64::to_string).collect();
        writeln!(out, "{} {} {}", all.as_secs_f64(), (all - moments).as_secs_f64(), variances.join(" "))?;
        out.flush()?;
    }
    Ok(())
}

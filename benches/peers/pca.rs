//! This crate's side of `benches/peers/pca.py`: fits as often as it is asked on standard input, so that
//! the script can alternate between solvers.
//!
//! `peer_pca ROWS.f32 COLUMNS COMPONENTS`: answers each line with the seconds that moments and fit took
//! together, then those of the fit alone and the explained variances; `probe` with what the machine can do now.

#[path = "asked.rs"]
mod asked;
#[path = "probe.rs"]
mod probe;

use asked::Failure;
use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
use std::{env, thread, time::Instant};

/// Rows of a batch, as a driver hands them over.
const BATCH: usize = 1_000;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [file, columns, components] = &args[..] else {
        return Err("usage: peer_pca ROWS.f32 COLUMNS COMPONENTS".into());
    };
    let (columns, components): (usize, usize) = (columns.parse()?, components.parse()?);
    let data = asked::floats(file)?;
    asked::answers(|words| {
        if words == ["probe"] {
            return Ok(probe::rate(thread::available_parallelism()?.get())?.to_string());
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
        Ok(format!("{} {} {}", all.as_secs_f64(), (all - moments).as_secs_f64(), variances.join(" ")))
    })
}

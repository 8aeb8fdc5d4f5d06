//! Engines in Rust that `benches/peers/run.py` drives as it does `peer_engine`.
//!
//! `peer_engines ENGINE NETWORK FILE INPUT.f32 FEATURES.f32 THREADS`: writes the features once, then answers each line
//! with the seconds one run over all pictures took. ENGINE is `burn-flex`, whose FILE has weights in safetensors, or
//! `tract` or `rten`, which read the network from ONNX.

#[path = "../../asked.rs"]
mod asked;
mod burn_flex;
mod by_rten;
mod by_tract;

use std::{env, fs, time::Instant};

type Result<T> = core::result::Result<T, asked::Failure>;

/// Features of all pictures.
type Run = Box<dyn FnMut() -> Result<Vec<f32>>>;

/// What an engine is given.
struct Job {
    network: String,
    file: String,
    pictures: Vec<f32>,
    /// Of `pictures`: `[n, c, h, w]`.
    shape: [usize; 4],
    threads: usize,
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [engine, network, file, input, features, threads] = &args[..] else {
        return Err("usage: peer_engines ENGINE NETWORK FILE INPUT FEATURES THREADS".into());
    };
    let pictures = asked::floats(input)?;
    let shape = [pictures.len() / (3 * 224 * 224), 3, 224, 224];
    let threads = threads.parse()?;
    let job = Job { network: network.clone(), file: file.clone(), pictures, shape, threads };
    let mut run = match engine.as_str() {
        "burn-flex" => burn_flex::prepare(job)?,
        "rten" => by_rten::prepare(job)?,
        "tract" => by_tract::prepare(job)?,
        other => return Err(format!("there is no engine {other}; use burn-flex, rten or tract").into()),
    };
    fs::write(features, asked::bytes(&run()?, f32::to_le_bytes))?;
    asked::answers(|_| {
        let start = Instant::now();
        run()?;
        Ok(format!("{:.6}", start.elapsed().as_secs_f64()))
    })
}

//! This crate's side of `benches/peers/gpu.py`: runs a network on a `wgpu` device as often as it is asked on standard
//! input, so that the script can alternate between engines.
//!
//! `peer_gpu NETWORK WEIGHTS.safetensors INPUT.f32 FEATURES.f32 SIDE ADAPTER PRECISION`: writes the features once, then
//! answers each line, a time in seconds, with medians over runs for so long, at least one: the seconds of all, then those
//! of upload, computation and download alone. ADAPTER is `cpu` for one in software, else the default.

#[path = "asked.rs"]
mod asked;

use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use fruitcore::Featurizer;
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::{NetworkFeaturizer, weights::Checkpoint};
use std::{env, fs, time::Instant};

type Result<T> = core::result::Result<T, asked::Failure>;

struct Engine {
    net: NetworkFeaturizer,
    device: Device,
    pictures: Vec<f32>,
    shape: [usize; 4],
}

impl Engine {
    /// Features, and the seconds of upload, computation and download, each waited for; or only of all three in a row, as
    /// a program has it.
    fn run(&self, is_apart: bool) -> Result<(Vec<f32>, Vec<f64>)> {
        // The driver gives its batches away, too.
        let data = TensorData::new(self.pictures.clone(), self.shape);
        let mut seconds = Vec::with_capacity(3);
        let mut start = Instant::now();
        let mut lap = |device: &Device, is_last: bool| -> Result<()> {
            if is_apart {
                device.sync()?;
            }
            if is_apart || is_last {
                seconds.push(start.elapsed().as_secs_f64());
                start = Instant::now();
            }
            Ok(())
        };
        let batch = Tensor::<4>::from_data(data, &self.device);
        lap(&self.device, false)?;
        let features = self.net.featurize(batch)?;
        lap(&self.device, false)?;
        let features = features.try_into_data()?.try_into_vec()?;
        lap(&self.device, true)?;
        Ok((features, seconds))
    }

    /// Medians over `seconds` of runs.
    fn costs(&self, seconds: f64) -> Result<[f64; 4]> {
        let start = Instant::now();
        let mut runs = [const { Vec::new() }; 4];
        while runs[0].is_empty() || start.elapsed().as_secs_f64() < seconds {
            let (all, parts) = (self.run(false)?.1, self.run(true)?.1);
            for (times, time) in runs.iter_mut().zip(all.into_iter().chain(parts)) {
                times.push(time);
            }
        }
        Ok(runs.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        }))
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [network, weights, input, features, side, adapter, precision] = &args[..] else {
        return Err("usage: peer_gpu NETWORK WEIGHTS INPUT FEATURES SIDE ADAPTER PRECISION".into());
    };
    let kind: NetworkKind = network.parse()?;
    let side = side.parse()?;
    let graph = NetworkSpec::new(kind).input(side, side).graph()?;
    let [c, h, w] = graph.input_shape();
    let device = Device::wgpu(if adapter == "cpu" { DeviceKind::Cpu } else { DeviceKind::DefaultDevice });
    let pictures = asked::floats(input)?;
    let shape = [pictures.len() / (c * h * w), c, h, w];
    let weights = Checkpoint::from_bytes(fs::read(weights)?)?;
    let start = Instant::now();
    let net = NetworkFeaturizer::with_precision(&graph, &weights, &device, precision.parse()?)?;
    let engine = Engine { net, device, pictures, shape };
    let (out, _) = engine.run(false)?;
    eprintln!("{network}: {precision}, first features after {:.1} s", start.elapsed().as_secs_f64());
    fs::write(features, asked::bytes(&out, f32::to_le_bytes))?;
    asked::answers(|words| {
        let [all, upload, computation, download] = engine.costs(words.concat().parse()?)?;
        Ok(format!("{all} {upload} {computation} {download}"))
    })
}

//! From an artifact to the two files that a board without an operating system carries: what was fitted,
//! and the network's weights as its kernels read them, in place.
//!
//! `cargo run --release --example plan_in_flash [ARTIFACT [OUT]]`; without an artifact of a run it makes
//! one with random weights.

use burn::tensor::Device;
use fruitcore::featurize::kernels::{Isa, Plan, PlanOptions};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::RandomWeights;
use fruitcore::featurize::{NetworkFeaturizer, Precision};
use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
use fruitcore::pipeline::{Pipeline, PipelineFile, Storage};
use fruitcore::preprocess::Preset;
use fruitcore::{Frame, PixelFormat, Result};
use std::{env, fs, path::Path};

fn artifact() -> Result<Vec<u8>> {
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(96, 96);
    let graph = spec.graph()?;
    let mut pca = CovariancePca::new(1280)?;
    let rows: Vec<f32> = (0..9 * 1280).map(|i| (i % 7) as f32).collect();
    pca.partial_fit(Rows::new(&rows, 1280)?)?;
    Pipeline::builder(&Preset::KerasTf.recipe(96)?, spec, &pca.fit(Keep::Count(3))?)
        .weights(&RandomWeights::new(&graph, 7), Storage::F16)
        .to_bytes()
}

/// The bytes on a cache line for the rest of the program, as a linker would lay them. On a board:
/// `static PLAN: &Aligned<[u8]> = &Aligned(*include_bytes!("network.plan"));`
fn flash(bytes: &[u8]) -> &'static [u8] {
    let room = vec![0; bytes.len() + 64].leak();
    let at = room.as_ptr().align_offset(64);
    room[at..at + bytes.len()].copy_from_slice(bytes);
    &room[at..at + bytes.len()]
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args_os().skip(1);
    let bytes = args
        .next()
        .map_or_else(|| Ok(artifact()?), |path| fs::read(path).map_err(Box::<dyn std::error::Error>::from))?;
    let out = args.next();
    let file = PipelineFile::from_bytes(&bytes)?;
    let graph = file.network().graph()?;

    let pixels = [128; 160 * 120 * 3];
    let frame = Frame::new(PixelFormat::Rgb, 160, 120, &pixels)?;
    let expected = file.load(&Device::default())?.transform(&frame)?;
    for &precision in Precision::CPU {
        // One frame at a time, for a processor without vector instructions.
        let mut options = PlanOptions::default();
        (options.isa, options.micro_batch, options.precision) = (Isa::Plain, 1, precision);
        let packed = Plan::new(&graph, &file, &options)?.to_bytes();
        if let Some(out) = &out {
            let out = Path::new(out);
            fs::create_dir_all(out)?;
            fs::write(out.join(format!("network-{precision}.plan")), &packed)?;
            let mut rest = Pipeline::builder(file.recipe(), *file.network(), file.projection())
                .weights_id(file.weights_id());
            rest = file.heads().iter().fold(rest, |rest, head| rest.head(head));
            fs::write(out.join("fitted.safetensors"), rest.to_bytes()?)?;
        }

        // On the board:
        let plan = Plan::from_bytes(&graph, flash(&packed), &options)?;
        println!(
            "{precision:5}{:>9} bytes of flash, {:>8} of memory for pictures between layers",
            packed.len(),
            plan.workspace_bytes()
        );
        let network = NetworkFeaturizer::from_plan(plan, &Device::default());
        let found = file.load_network(network)?.transform(&frame)?;
        println!("     {found:.2?} for {expected:.2?}");
    }
    Ok(())
}

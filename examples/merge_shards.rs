//! One run shared by three machines (here: one after the other), then merged.
//!
//! ```sh
//! cargo run --release --features host --example merge_shards
//! ```

use burn::tensor::Device;
use fruitcore::{
    Result,
    featurize::{
        NetworkFeaturizer,
        network::{NetworkKind, NetworkSpec},
        weights::RandomWeights,
    },
    host::{
        demo::Fruits,
        driver::{Control, Stages},
        run::{MergeOptions, Run, RunOptions, Shard, merge, open_output},
        source::{self, SourceOptions},
    },
    pca::Keep,
    preprocess::Preset,
};
use std::sync::Arc;

fn main() -> Result<()> {
    let scratch = std::env::temp_dir().join(format!("fruitcore-merge-{}", std::process::id()));
    let place = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    Fruits::new(7).write(&scratch.join("pictures"), 0..8)?;

    let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(64, 64).graph()?;
    let device = Device::default();
    let network = Arc::new(NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 7), &device)?);
    let recipe = Preset::KerasTf.recipe(64)?;
    let mut options = RunOptions::default();
    options.keep = Some(Keep::Count(10));
    // Small parts, so that three machines have something to share.
    options.part_size = Some(16);

    let mut outputs = Vec::new();
    for index in 0..3 {
        // Each machine sees the same listing and takes every third part.
        options.shard = Shard { index, count: 3 };
        let source = Arc::from(source::open(&place("pictures"), &SourceOptions::default())?);
        let stages = Stages::pictures(Default::default(), recipe.clone(), network.clone(), device.clone());
        let output = place(&format!("shard-{index}"));
        let run = Run::new(source, stages, open_output(&output)?).options(options.clone());
        let summary = run.start(&Control::default())?;
        println!("machine {index}: {} pictures in {} parts", summary.images, summary.parts);
        outputs.push(output);
    }
    println!("{}", merge(&outputs, &place("merged"), &MergeOptions::default(), &Control::default())?);
    let _ = std::fs::remove_dir_all(scratch);
    Ok(())
}

//! A folder of labelled pictures to features, components and a summary.
//!
//! ```sh
//! cargo run --release --features host --example folder_to_parquet -- PICTURES OUTPUT
//! ```
//!
//! Without arguments it renders its own pictures into a temporary folder. The network has random
//! weights here; give `NetworkFeaturizer::new` a checkpoint instead for features worth keeping.

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
        run::{Run, RunOptions, open_output},
        source::{self, SourceOptions},
    },
    pca::Keep,
    preprocess::Preset,
};
use std::sync::Arc;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let scratch = std::env::temp_dir().join(format!("fruitcore-example-{}", std::process::id()));
    let own = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let input = match arguments.next() {
        Some(input) => input,
        None => {
            Fruits::new(7).write(&scratch.join("pictures"), 0..6)?;
            own("pictures")
        }
    };
    let output = arguments.next().unwrap_or_else(|| own("features"));

    let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(96, 96).graph()?;
    let device = Device::default();
    let network = NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 7), &device)?;
    let recipe = Preset::KerasTf.recipe(96)?;
    let mut options = RunOptions::default();
    options.keep = Some(Keep::Variance(0.95));
    // What determines the features: a second start with other values is refused.
    options.config.insert("network".into(), "mobilenet-v2 0.35, random weights 7".into());
    options.config.insert("recipe".into(), recipe.to_json());

    let source = Arc::from(source::open(&input, &SourceOptions::default())?);
    let stages = Stages::pictures(Default::default(), recipe, Arc::new(network), device);
    let run = Run::new(source, stages, open_output(&output)?).options(options);
    println!("{}", run.start(&Control::default())?);
    println!("in {output}");
    let _ = std::fs::remove_dir_all(scratch);
    Ok(())
}

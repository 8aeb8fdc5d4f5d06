//! From a camera frame to components, with no stage but those of the core: fit on a few generated
//! frames, keep the pipeline as bytes, load it, run one frame.
//!
//! `cargo run --release --example one_frame`

use burn::tensor::Device;
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::RandomWeights;
use fruitcore::featurize::{Featurizer, NetworkFeaturizer};
use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows, Scaling};
use fruitcore::pipeline::{Pipeline, PipelineFile, Storage};
use fruitcore::preprocess::{Preset, RecipePreprocessor};
use fruitcore::{Frame, PixelFormat, Preprocessor, Result};

const WIDTH: usize = 160;
const HEIGHT: usize = 120;

/// A disc of one colour before a gradient: what a camera would deliver, in its YUYV format.
fn picture(hue: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(WIDTH * HEIGHT * 2);
    for y in 0..HEIGHT {
        for x in (0..WIDTH).step_by(2) {
            let (dx, dy) = (x as i32 - 80, y as i32 - 60);
            let inside = dx * dx + dy * dy < 45 * 45;
            let (luma, u, v) = if inside { (150, 90 + 7 * hue, 200 - 9 * hue) } else { (16 + y, 128, 128) };
            bytes.extend([luma as u8, u as u8, luma as u8, v as u8]);
        }
    }
    bytes
}

fn fit() -> Result<Vec<u8>> {
    // Random weights stand for a checkpoint; see `fruitcore weights` for real ones.
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(96, 96);
    let graph = spec.graph()?;
    let weights = RandomWeights::new(&graph, 7);
    let network = NetworkFeaturizer::new(&graph, &weights, &Device::default())?;

    let recipe = Preset::KerasTf.recipe(96)?;
    let mut preprocessor = RecipePreprocessor::new(recipe.clone());
    let mut pca = CovariancePca::new(network.feature_len())?;
    for hue in 0..8 {
        let pixels = picture(hue);
        let frame = Frame::new(PixelFormat::Yuyv, WIDTH, HEIGHT, &pixels)?;
        let mut input = vec![0.0; 3 * 96 * 96];
        preprocessor.preprocess_into(&frame, &mut input)?;
        let data = burn::tensor::TensorData::new(input, [1, 3, 96, 96]);
        let features = network.featurize(burn::tensor::Tensor::from_data(data, &Device::default()))?;
        let features: Vec<f32> = features.into_data().iter::<f32>().collect();
        pca.partial_fit(Rows::new(&features, features.len())?)?;
    }
    let projection = pca.fit_scaled(Keep::Count(3), Scaling::Standard)?;
    Pipeline::builder(&recipe, spec, &projection)
        .weights(&weights, Storage::F16)
        .weights_id("random:7")
        .classes(&["disc".into()])
        .to_bytes()
}

fn main() -> Result<()> {
    let bytes = fit()?;
    println!("{}\n{} bytes", PipelineFile::from_bytes(&bytes)?, bytes.len());

    // On a board, the bytes are `include_bytes!` or flash; nothing below needs a file system.
    let mut pipeline = Pipeline::from_bytes(&bytes, &Device::default())?;
    let pixels = picture(5);
    let frame = Frame::new(PixelFormat::Yuyv, WIDTH, HEIGHT, &pixels)?;
    println!("components  {:?}", pipeline.transform(&frame)?);
    Ok(())
}

//! Features of one's own: anything that implements `Featurizer` takes a network's place.
//!
//! Two ways: any computation at all (here a colour histogram), or a network of one's own, defined as
//! a `Graph` and run like the built-in ones.
//!
//! `cargo run --example own_featurizer`

use burn::tensor::{Device, Tensor, TensorData};
use fruitcore::featurize::NetworkFeaturizer;
use fruitcore::featurize::network::{Activation, Conv, Graph, Op, Padding, Value};
use fruitcore::featurize::weights::RandomWeights;
use fruitcore::pca::{CovariancePca, IncrementalPca, Keep, Rows};
use fruitcore::preprocess::{Preset, RecipePreprocessor};
use fruitcore::{Error, ErrorKind, Featurizer, Frame, PixelFormat, Preprocessor, Result, Stage};

const SIDE: usize = 32;
const BINS: usize = 8;

/// How often each channel's values fall into each of eight equal bins between −2 and 2.
struct ColourHistogram;

impl Featurizer for ColourHistogram {
    fn input_shape(&self) -> [usize; 3] {
        [3, SIDE, SIDE]
    }

    fn feature_len(&self) -> usize {
        3 * BINS
    }

    fn featurize(&self, batch: Tensor<4>) -> Result<Tensor<2>> {
        let [n, c, h, w] = batch.dims();
        if [c, h, w] != self.input_shape() {
            let message = format!("expected [n, 3, {SIDE}, {SIDE}], found [{n}, {c}, {h}, {w}]");
            return Err(Error::new(ErrorKind::Shape, Stage::Featurize, message));
        }
        let device = batch.device();
        let pixels: Vec<f32> = batch.into_data().try_into_vec().map_err(|e| {
            Error::new(ErrorKind::Unsupported, Stage::Featurize, format!("pictures must be f32: {e}"))
        })?;
        let mut histograms = vec![0.0f32; n * self.feature_len()];
        for (histogram, channel) in histograms.chunks_mut(BINS).zip(pixels.chunks(h * w)) {
            for &v in channel {
                let bin = ((v + 2.0) / 4.0 * BINS as f32).clamp(0.0, BINS as f32 - 1.0);
                histogram[bin as usize] += 1.0 / (h * w) as f32;
            }
        }
        Ok(Tensor::from_data(TensorData::new(histograms, [n, self.feature_len()]), &device))
    }
}

/// One convolution and a global average, with weights drawn from a seed; a `Checkpoint` would do too.
fn own_network(device: &Device) -> Result<NetworkFeaturizer> {
    let mut graph = Graph::new([3, SIDE, SIDE]);
    let conv = Conv {
        name: "conv".into(),
        channels_in: 3,
        channels_out: 16,
        kernel: [3, 3],
        stride: [2, 2],
        padding: Padding::all(1),
        groups: 1,
        bias: true,
        norm: None,
        residual: None,
        activation: Activation::Relu,
    };
    let x = graph.push(Value::Input, Op::Conv(conv))?;
    graph.push(x, Op::GlobalAvgPool)?;
    NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 1), device)
}

/// A round fruit of one colour on white.
fn fruit(colour: [u8; 3], radius: usize) -> Vec<u8> {
    let centre = 32i32;
    let inside = |x: i32, y: i32| (x - centre).pow(2) + (y - centre).pow(2) < (radius as i32).pow(2);
    (0..64 * 64).flat_map(|i| if inside(i % 64, i / 64) { colour } else { [255; 3] }).collect()
}

/// From here on nothing knows which features these are.
fn components(featurizer: &dyn Featurizer, pictures: &Tensor<4>) -> Result<Vec<[f32; 2]>> {
    let features = featurizer.featurize(pictures.clone())?;
    let features: Vec<f32> = features.into_data().try_into_vec().expect("features are f32");
    let rows = Rows::new(&features, featurizer.feature_len())?;
    let mut pca = CovariancePca::new(featurizer.feature_len())?;
    pca.partial_fit(rows)?;
    let mut out = vec![0.0; rows.len() * 2];
    pca.fit(Keep::Count(2))?.transform_into(rows, &mut out)?;
    Ok(out.chunks_exact(2).map(|c| [c[0], c[1]]).collect())
}

fn main() -> Result<()> {
    let device = Device::default();
    let fruits = [
        ("apple", [200, 30, 40], 26),
        ("apple", [190, 40, 35], 28),
        ("lime", [90, 180, 40], 22),
        ("lime", [100, 190, 50], 24),
        ("blueberry", [50, 60, 130], 14),
    ];
    let mut preprocessor = RecipePreprocessor::new(Preset::Simple.recipe(SIDE)?);
    let len = 3 * SIDE * SIDE;
    let mut pixels = vec![0.0; fruits.len() * len];
    for ((_, colour, radius), out) in fruits.iter().zip(pixels.chunks_mut(len)) {
        let picture = fruit(*colour, *radius);
        preprocessor.preprocess_into(&Frame::new(PixelFormat::Rgb, 64, 64, &picture)?, out)?;
    }
    let pictures = Tensor::from_data(TensorData::new(pixels, [fruits.len(), 3, SIDE, SIDE]), &device);

    let network = own_network(&device)?;
    let choices: [(&str, &dyn Featurizer); 2] = [("histogram", &ColourHistogram), ("network", &network)];
    for (name, featurizer) in choices {
        println!("{name}: {} features", featurizer.feature_len());
        for ((label, ..), [a, b]) in fruits.iter().zip(components(featurizer, &pictures)?) {
            println!("  {label:10} {a:7.3} {b:7.3}");
        }
    }
    Ok(())
}

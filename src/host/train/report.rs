//! Validation: how often the averaged weights are right.

use super::{
    DataSet, TrainOptions, batches, fail,
    parameters::{Parameters, head},
};
use crate::classify::{Evaluation, best_temperature};
use crate::featurize::{Featurizer, NetworkFeaturizer, network::Graph, weights::WeightSource};
use crate::rng::Rng;
use crate::{ErrorKind, Frame, PixelFormat, Preprocessor, Result};
use alloc::{format, string::String, vec, vec::Vec};
use burn::tensor::{DType, Tensor, TensorData};
use serde::Serialize;

/// Pictures in one pass.
const BATCH: usize = 32;

/// One head on its validation pictures.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct HeadReport {
    /// The data set's name.
    pub name: String,
    /// Pictures trained on.
    pub trained: usize,
    /// Pictures validated on.
    pub pictures: usize,
    /// The share of their width and height that the head looked at.
    pub crop_pct: f32,
    /// Share of them whose class is the most probable one; `None` without pictures.
    pub accuracy: Option<f64>,
    /// Share whose class is among the five most probable.
    pub top5: Option<f64>,
    /// Mean over the classes' recalls.
    pub mean_recall: Option<f64>,
    /// Mean cross-entropy.
    pub loss: Option<f64>,
    /// Accuracy when fruit on white is pasted on other sets' validation scenes.
    pub pasted: Option<f64>,
    /// Temperature that fits the probabilities to the validation pictures (Guo et al. 2017); without any,
    /// that of the model training began with.
    pub temperature: Option<f32>,
    /// Mean cross-entropy at that temperature.
    pub calibrated_loss: Option<f64>,
    /// Accuracy of the small model, its weights rounded to 8 bits.
    pub rounded: Option<f64>,
    /// Recall by class; `None` for classes without validation pictures.
    pub recall: Vec<(String, Option<f64>)>,
    /// Rows are true classes, columns answers.
    #[serde(skip)]
    pub confusion: Vec<Vec<u64>>,
}

/// Validates every head; `whole` with everything that only the end needs.
pub(super) fn validate(
    sets: &[DataSet],
    parameters: &Parameters,
    graph: &Graph,
    options: &TrainOptions,
    whole: bool,
) -> Result<Vec<HeadReport>> {
    let device = options.device.clone().inner();
    let network = NetworkFeaturizer::new(graph, &parameters.averages(), &device)?;
    let scenes: Vec<&[u8]> = sets
        .iter()
        .flat_map(|s| &s.held)
        .filter(|p| p.image.mask.is_none() && !p.gray)
        .map(|p| p.image.pixels.as_slice())
        .collect();
    let mut all = Vec::new();
    for set in sets {
        let pictures: Vec<(&[u8], usize)> =
            set.held.iter().map(|p| (p.image.pixels.as_slice(), p.class)).collect();
        let logits = answers(set, parameters, &network, options, pictures.iter().map(|p| p.0))?;
        let truth: Vec<usize> = pictures.iter().map(|p| p.1).collect();
        let mut report = measure(set, &truth, &logits)?;
        if whole && !truth.is_empty() {
            let classes = set.classes.len();
            let labels: Vec<u32> = truth.iter().map(|&class| class as u32).collect();
            let temperature = best_temperature(&logits, classes, &labels);
            let cooled: Vec<f32> = logits.iter().map(|l| l / temperature).collect();
            report.temperature = Some(temperature);
            report.calibrated_loss = measure(set, &truth, &cooled)?.loss;
        } else if whole {
            report.temperature = options.temperatures.get(&set.name).copied();
        }
        if whole && !scenes.is_empty() {
            let mut rng = Rng::new(options.seed ^ 0x7061_7374);
            let cut = set.held.iter().filter_map(|p| Some((p, p.image.mask.as_ref()?)));
            let (made, truth): (Vec<Vec<u8>>, Vec<usize>) = cut
                .map(|(p, mask)| {
                    let scene = scenes.get(rng.below(scenes.len())).copied().unwrap_or(&p.image.pixels);
                    (paste(&p.image.pixels, mask, scene), p.class)
                })
                .unzip();
            if !made.is_empty() {
                let logits = answers(set, parameters, &network, options, made.iter().map(Vec::as_slice))?;
                report.pasted = measure(set, &truth, &logits)?.accuracy;
            }
        }
        all.push(report);
    }
    Ok(all)
}

fn paste(picture: &[u8], mask: &[u8], scene: &[u8]) -> Vec<u8> {
    picture
        .iter()
        .zip(scene)
        .enumerate()
        .map(|(i, (&p, &s))| {
            let o = u32::from(mask.get(i / 3).copied().unwrap_or(255));
            ((u32::from(p) * o + u32::from(s) * (255 - o)) / 255) as u8
        })
        .collect()
}

/// Logits, picture by picture.
fn answers<'a>(
    set: &DataSet,
    parameters: &Parameters,
    network: &NetworkFeaturizer,
    options: &TrainOptions,
    pictures: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<f32>> {
    let [h, w] = options.network.input;
    let (classes, columns) = (set.classes.len(), network.feature_len());
    let source = parameters.averages();
    let [weight_name, bias_name] = head(&set.name);
    let weight = source.tensor(&weight_name, &[classes, columns])?;
    let bias = source.tensor(&bias_name, &[classes])?;
    let mut normalizer = batches::normalizer(options)?;
    let mut logits = Vec::new();
    let pictures: Vec<&[u8]> = pictures.collect();
    for part in pictures.chunks(BATCH) {
        let mut input = vec![0.0; part.len() * 3 * h * w];
        for (rgb, out) in part.iter().zip(input.chunks_exact_mut(3 * h * w)) {
            normalizer.preprocess_into(&Frame::new(PixelFormat::Rgb, w, h, rgb)?, out)?;
        }
        let data = TensorData::new(input, [part.len(), 3, h, w]);
        let batch = Tensor::<4>::from_data(data, (network.device(), DType::F32));
        let features = features(network, batch)?;
        for row in features.chunks_exact(columns) {
            logits.extend(
                weight
                    .chunks_exact(columns)
                    .zip(bias.iter())
                    .map(|(weights, b)| b + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f32>()),
            );
        }
    }
    Ok(logits)
}

/// Features `[n, d]` of a batch on the network's device.
pub(super) fn features(network: &NetworkFeaturizer, batch: Tensor<4>) -> Result<Vec<f32>> {
    network.featurize(batch)?.into_data().try_into_vec::<f32>().map_err(|e| {
        let m = format!("the device gave no f32 features: {e:?}; choose another device");
        fail(ErrorKind::Unsupported, m)
    })
}

fn measure(set: &DataSet, truth: &[usize], logits: &[f32]) -> Result<HeadReport> {
    let classes = set.classes.len();
    let mut found = Evaluation::new(classes)?;
    let mut probabilities = vec![0.0; classes];
    for (&class, row) in truth.iter().zip(logits.chunks_exact(classes.max(1))) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        probabilities.iter_mut().zip(row).for_each(|(p, v)| *p = libm::expf(v - most));
        let sum: f32 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|p| *p /= sum);
        found.add(class as u32, &probabilities, true)?;
    }
    let mut confusion = vec![vec![0u64; classes]; classes];
    for (&(class, answer), &n) in found.confusion() {
        let cell = confusion.get_mut(class as usize).zip(answer).and_then(|(row, a)| row.get_mut(a as usize));
        if let Some(cell) = cell {
            *cell += n;
        }
    }
    let some = |v: f64| (found.rows() > 0).then_some(v);
    let recall = set.classes.iter().cloned().zip(found.classes().map(|c| c.recall())).collect();
    Ok(HeadReport {
        name: set.name.clone(),
        trained: set.train.len(),
        pictures: truth.len(),
        crop_pct: set.crop_pct,
        accuracy: some(found.accuracy()),
        top5: some(found.top(5)),
        mean_recall: some(found.balanced_accuracy()),
        loss: some(found.log_loss()),
        pasted: None,
        temperature: None,
        calibrated_loss: None,
        rounded: None,
        recall,
        confusion,
    })
}

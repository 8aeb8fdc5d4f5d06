//! Frames through preprocessing and network.

use crate::{
    Error, ErrorKind, Featurizer, Frame, Preprocessor, Result, Stage, featurize::NetworkFeaturizer, memory,
    preprocess::RecipePreprocessor,
};
use alloc::{format, vec::Vec};
use burn::tensor::{DType, Tensor, TensorData};

/// `[frames, features]`.
pub(super) fn featurize(
    preprocessor: &mut RecipePreprocessor,
    featurizer: &NetworkFeaturizer,
    frames: &[Frame<'_>],
) -> Result<Vec<f32>> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let [c, h, w] = preprocessor.output_shape();
    let mut fill = |frames: &[Frame<'_>], input: &mut [f32]| -> Result<()> {
        let mut slots = frames.iter().zip(input.chunks_exact_mut(c * h * w));
        slots.try_for_each(|(frame, input)| preprocessor.preprocess_into(frame, input))
    };
    let remedy = "give fewer frames at once";
    if let Some(slices) = featurizer.slices().filter(|_| [c, h, w] == featurizer.input_shape()) {
        // Memory for what is computed at once, however many frames there are.
        let (threads, columns) = (featurizer.threads(), featurizer.feature_len());
        let part = (slices.micro_batch() * threads).min(frames.len());
        let mut features = memory::zeros(frames.len() * columns, remedy)?;
        let mut input = memory::zeros(part * c * h * w, remedy)?;
        for (frames, features) in frames.chunks(part).zip(features.chunks_mut(part * columns)) {
            let input = &mut input[..frames.len() * c * h * w];
            fill(frames, input)?;
            slices.featurize_into(input, features, threads)?;
        }
        return Ok(features);
    }
    let mut input = memory::zeros(frames.len() * c * h * w, remedy)?;
    fill(frames, &mut input)?;
    let options = (featurizer.device(), DType::F32);
    let batch = Tensor::<4>::from_data(TensorData::new(input, [frames.len(), c, h, w]), options);
    featurizer.featurize(batch)?.into_data().try_into_vec::<f32>().map_err(|e| {
        let m = format!("the device gave features that are no f32: {e:?}; choose another device");
        Error::new(ErrorKind::Unsupported, Stage::Featurize, m)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        PixelFormat,
        featurize::{
            kernels::PlanOptions,
            network::{NetworkKind, NetworkSpec},
            weights::RandomWeights,
        },
        preprocess::Preset,
    };
    use burn::tensor::Device;

    #[test]
    fn frames_are_the_same_alone_and_together() {
        let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph().unwrap();
        let (weights, device) = (RandomWeights::new(&graph, 7), Device::default());
        let network = || NetworkFeaturizer::new(&graph, &weights, &device).unwrap();
        let pixels = |i: usize| (0..20 * 30 * 3).map(|p| (p * (i + 7) % 251) as u8).collect();
        let pixels: Vec<Vec<u8>> = (0..19).map(pixels).collect();
        let frames: Vec<_> =
            pixels.iter().map(|p| Frame::new(PixelFormat::Rgb, 20, 30, p).unwrap()).collect();
        let recipe = Preset::KerasTf.recipe(32).unwrap();
        let of = |network: &NetworkFeaturizer, frames: &[Frame<'_>]| {
            featurize(&mut RecipePreprocessor::new(recipe.clone()), network, frames).unwrap()
        };
        let alone: Vec<f32> = frames.chunks(1).flat_map(|one| of(&network(), one)).collect();
        assert_eq!(alone.len(), 19 * 1280);
        assert_eq!(of(&network(), &frames), alone);
        #[cfg(feature = "rayon")]
        for n in [1, 2, 19] {
            assert_eq!(of(&network().parallel(), &frames[..n]), alone[..n * 1280]);
        }
        // What rounds otherwise.
        let burn = NetworkFeaturizer::with_burn_operations(&graph, &weights, &device).unwrap();
        let options = PlanOptions::for_batch(1);
        let single = NetworkFeaturizer::with_options(&graph, &weights, &device, &options).unwrap();
        assert_eq!(single.plan().unwrap().micro_batch(), 1);
        let scale = alone.iter().fold(0f32, |m, v| m.max(v.abs()));
        for network in [burn, single] {
            for (a, b) in of(&network, &frames).iter().zip(&alone) {
                assert!((a - b).abs() <= 1e-5 * scale, "{a} for {b}");
            }
        }
    }
}

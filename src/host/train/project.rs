//! Scaler and PCA of what the trained network makes of the pictures it was trained on.

use super::{DataSet, TrainOptions, data::Picture, parameters::Parameters, report::features};
use crate::featurize::{NetworkFeaturizer, network::Graph};
use crate::model::{ProjectionNote, tensor};
use crate::pca::{CovariancePca, IncrementalPca, Keep, Projection, Rows, Scaling};
use crate::preprocess::RecipePreprocessor;
use crate::{Frame, PixelFormat, Preprocessor, Result};
use alloc::{vec, vec::Vec};
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;

/// Pictures in one pass.
const BATCH: usize = 32;

/// Fits as many components as are asked for and as there are pictures for; none if none are asked for.
pub(super) fn fit(
    sets: &[DataSet],
    parameters: &Parameters,
    graph: &Graph,
    options: &TrainOptions,
) -> Result<Option<Projection>> {
    let pictures: Vec<&Picture> = sets.iter().filter(|s| !s.auxiliary).flat_map(|s| &s.train).collect();
    let components = options.components.min(pictures.len().saturating_sub(1)).min(graph.feature_len());
    if components == 0 {
        return Ok(None);
    }
    let network = NetworkFeaturizer::new(graph, &parameters.averages(), &options.device.clone().inner())?;
    let mut pca = CovariancePca::new(graph.feature_len())?;
    // In order, so that sums don't depend on the threads.
    for part in pictures.chunks(BATCH * rayon::current_num_threads()) {
        let rows = part.par_chunks(BATCH).map(|part| read(&network, part, options)).collect::<Vec<_>>();
        for rows in rows {
            pca.partial_fit(Rows::new(&rows?, graph.feature_len())?)?;
        }
    }
    pca.into_fit(Keep::Count(components), Scaling::Standard).map(Some)
}

/// Features of pictures as the recipe shows them.
fn read(network: &NetworkFeaturizer, pictures: &[&Picture], options: &TrainOptions) -> Result<Vec<f32>> {
    let mut preprocessor = RecipePreprocessor::new(options.recipe.clone());
    let [c, h, w] = preprocessor.output_shape();
    let mut input = vec![0.0; pictures.len() * c * h * w];
    for (picture, out) in pictures.iter().zip(input.chunks_exact_mut(c * h * w)) {
        let image = &picture.image;
        let frame = Frame::new(PixelFormat::Rgb, image.width, image.height, &image.pixels)?;
        preprocessor.preprocess_into(&frame, out)?;
    }
    let data = TensorData::new(input, [pictures.len(), c, h, w]);
    features(network, Tensor::from_data(data, (network.device(), DType::F32)))
}

/// What a model's metadata says of it.
pub(super) fn note(projection: &Projection) -> ProjectionNote {
    ProjectionNote { rows: projection.count(), components: projection.kept() }
}

/// Its values under the names a model has for them.
pub(super) fn tensors(projection: &Projection) -> Vec<(&'static str, Vec<usize>, Vec<f32>)> {
    let parts = projection.parts();
    let (d, k) = (projection.columns(), projection.kept());
    let floats = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let scale = parts.scale.as_ref().map_or_else(|| vec![1.0; d], |scale| floats(scale));
    Vec::from([
        (tensor::MEAN, vec![d], floats(&parts.mean)),
        (tensor::SCALE, vec![d], scale),
        (tensor::COMPONENTS, vec![k, d], floats(&parts.components)),
        (tensor::VARIANCE, vec![k], floats(&parts.explained_variance)),
        (tensor::TOTAL, vec![1], floats(&[parts.total_variance])),
    ])
}

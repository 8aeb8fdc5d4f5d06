//! Where the fitted network looks, for the report.

use crate::{args::DeviceArg, failure::Failure, network};
use burn::tensor::{Tensor, TensorData};
use fruitcore::{
    Error, ErrorKind, Featurizer, Preprocessor, Result, Stage,
    classify::CentroidFit,
    host::{
        decode::Decoder,
        report::{GazeFn, Gazed, occlusion},
        rows::RowFiles,
        setup::Fitted,
    },
    pca::Rows,
    preprocess::RecipePreprocessor,
};
use std::{collections::BTreeMap, sync::Arc};

/// Scores a picture by how far its components lie towards its class, seen from the middle of all;
/// without a label, towards where the picture itself lies.
pub(crate) fn of(fitted: &Fitted, files: &RowFiles) -> core::result::Result<Arc<GazeFn>, Failure> {
    let setup = fitted.setup(None, network::device(DeviceArg::default())?)?;
    let projection = fitted.projection()?.clone();
    let towards = classes(files, projection.kept())?;
    Ok(Arc::new(move |bytes, label| {
        let mut decoder = Decoder::default();
        let frame = decoder.decode(bytes)?;
        let mut preprocessor = RecipePreprocessor::new(setup.recipe().clone());
        let [c, h, w] = preprocessor.output_shape();
        let mut picture = vec![0.0; c * h * w];
        preprocessor.preprocess_into(&frame, &mut picture)?;
        let shown = preprocessor.picture(&frame)?;
        let (rgb, width, height) = (shown.data().to_vec(), shown.width(), shown.height());
        let components = |pictures: &[f32], n: usize| -> Result<Vec<f32>> {
            let batch =
                Tensor::<4>::from_data(TensorData::new(pictures.to_vec(), [n, c, h, w]), setup.device());
            let features = setup.featurizer().featurize(batch)?.into_data();
            let features = features.as_slice::<f32>().map_err(|e| {
                Error::new(ErrorKind::Unsupported, Stage::Featurize, format!("features are no f32: {e:?}"))
            })?;
            let mut out = vec![0.0; n * projection.kept()];
            projection.transform_into(Rows::new(features, projection.columns())?, &mut out)?;
            Ok(out)
        };
        let direction = match label.and_then(|l| towards.get(l)) {
            Some(direction) => direction.clone(),
            None => components(&picture, 1)?,
        };
        let heat = occlusion(&picture, [c, h, w], |pictures, n| {
            let all = components(pictures, n)?;
            let score = |row: &[f32]| row.iter().zip(&direction).map(|(a, b)| a * b).sum();
            Ok(all.chunks_exact(direction.len().max(1)).map(score).collect())
        })?;
        Ok(Gazed { rgb, width, height, heat })
    }))
}

/// From the mean of the classes' centroids to each.
fn classes(files: &RowFiles, d: usize) -> core::result::Result<BTreeMap<String, Vec<f32>>, Failure> {
    let mut fit = CentroidFit::new(d)?;
    let mut any = false;
    files.read(&mut |table| {
        let rows = table.values().chunks_exact(d.max(1)).zip(table.labels());
        for (row, label) in rows {
            if let Some(label) = label {
                fit.partial_fit(Rows::new(row, d)?, &[label])?;
                any = true;
            }
        }
        Ok(())
    })?;
    if !any {
        return Ok(BTreeMap::new());
    }
    let centroids = fit.finish()?;
    let n = centroids.classes().len().max(1) as f32;
    let mut mean = vec![0f32; d];
    for row in centroids.centroids().chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
    }
    let from = |row: &[f32]| row.iter().zip(&mean).map(|(v, m)| v - m).collect();
    Ok(centroids.classes().iter().cloned().zip(centroids.centroids().chunks_exact(d).map(from)).collect())
}

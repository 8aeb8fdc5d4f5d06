//! Where the fitted network looks, for the report.

use crate::{args::DeviceArg, failure::Failure, network};
use burn::tensor::{Tensor, TensorData};
use fruitcore::{
    Error, ErrorKind, Featurizer, Preprocessor, Result, Stage,
    classify::CentroidFit,
    host::{
        decode::Decoder,
        report::{GazeFn, Gazed, occlusion, occlusion_passes},
        rows::RowFiles,
        setup::{ARTIFACT, Fitted},
    },
    pca::Rows,
    preprocess::RecipePreprocessor,
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Scores a picture by how far its components lie towards its class, seen from the middle of all;
/// without a label, towards where the picture itself lies.
pub(crate) fn of(files: &RowFiles) -> core::result::Result<Arc<GazeFn>, Failure> {
    let Some(bytes) = files.store().get(ARTIFACT)? else {
        let m = "the run has no artifact";
        return Err(Error::new(ErrorKind::NotFound, Stage::Artifact, m).at(files.target()).into());
    };
    let fitted = Fitted::from_bytes(bytes.to_vec())?;
    let setup = fitted.setup(None, network::device(DeviceArg::default())?)?;
    let projection = fitted.projection()?.clone();
    let towards = classes(files, projection.kept())?;
    Ok(Arc::new(move |bytes, label, deadline| {
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
        let mut clock = Clock::new(occlusion_passes([c, h, w]), deadline);
        let heat = occlusion(&picture, [c, h, w], |pictures, n| {
            let all = components(pictures, n)?;
            clock.passed(n)?;
            let score = |row: &[f32]| row.iter().zip(&direction).map(|(a, b)| a * b).sum();
            Ok(all.chunks_exact(direction.len().max(1)).map(score).collect())
        })?;
        Ok(Gazed { rgb, width, height, heat })
    }))
}

/// Tells early whether a picture will be done in time.
struct Clock {
    begun: Instant,
    deadline: Option<Instant>,
    done: usize,
    passes: usize,
}

impl Clock {
    fn new(passes: usize, deadline: Option<Instant>) -> Self {
        Self { begun: Instant::now(), deadline, done: 0, passes }
    }

    fn passed(&mut self, n: usize) -> Result<()> {
        // The first pass of a network finds memory and caches cold.
        let slack = if self.done == 0 { 0.5 } else { 1.0 };
        self.done += n;
        let Some(deadline) = self.deadline else { return Ok(()) };
        let whole = self.begun.elapsed().mul_f64(self.passes as f64 / self.done as f64);
        if self.begun + whole.mul_f64(slack) <= deadline {
            return Ok(());
        }
        let m = format!("one picture takes about {:.0} s", whole.as_secs_f64());
        Err(Error::new(ErrorKind::Limit, Stage::Featurize, m))
    }
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

//! Learning: an epoch, step by step.

use super::{
    Batch, Parameters, TrainOptions, batches, data::DataSet, fail, network::Leaves, parameters::head,
    teach::School,
};
use crate::featurize::network::Graph;
use crate::host::driver::Control;
use crate::{ErrorKind, Result};
use alloc::{format, vec::Vec};
use burn::tensor::{DType, Device, Tensor, TensorData, activation::log_softmax};

/// What every step has in common.
pub(super) struct Lesson<'a> {
    pub(super) sets: &'a [DataSet],
    pub(super) graph: &'a Graph,
    pub(super) options: &'a TrainOptions,
    /// It does autodiff.
    pub(super) device: Device,
    pub(super) school: Option<School>,
}

impl Lesson<'_> {
    /// One epoch; the mean loss and the last learning rate.
    pub(super) fn learn(
        &self,
        parameters: &mut Parameters,
        epoch: u32,
        control: &Control,
    ) -> Result<(f64, f64)> {
        let Self { sets, options, .. } = *self;
        let per_epoch = batches::order(sets, options, epoch).chunks(options.batch).len().max(1) as f64;
        let (mut sum, mut count, mut rate) = (0.0, 0usize, 0.0);
        std::thread::scope(|scope| {
            let (to, from) = std::sync::mpsc::sync_channel(3);
            scope.spawn(move || batches::send(sets, options, self.school.as_ref(), epoch, &to));
            for batch in from {
                if control.is_cancelled() {
                    let m = "stopped; start it again to go on from the last finished epoch";
                    return Err(fail(ErrorKind::Interrupted, m));
                }
                // By what is done in all, so that sets of changing size share one schedule.
                let done = f64::from(epoch - 1) + (count as f64 / per_epoch).min(1.0);
                rate = schedule(options, done);
                sum += self.step(batch?, parameters, rate)?;
                count += 1;
            }
            Ok((sum / count.max(1) as f64, rate))
        })
    }

    /// One step of learning; the loss.
    fn step(&self, batch: Batch, parameters: &mut Parameters, rate: f64) -> Result<f64> {
        let Self { sets, graph, options, ref device, .. } = *self;
        let [h, w] = options.network.input;
        let n = batch.pictures;
        let leaves = Leaves::new(parameters, device);
        let on = (device, DType::F32);
        let input = Tensor::<4>::from_data(TensorData::new(batch.input, [n, 3, h, w]), on);
        let (mut features, moments) = leaves.features(graph, input)?;
        if options.dropout > 0.0 {
            let mut rng = batches::stream(options.seed, u32::MAX, parameters.step);
            let keep = 1.0 - options.dropout;
            let len = n * graph.feature_len();
            let mask = (0..len)
                .map(|_| if (rng.unit() as f32) < keep { 1.0 / keep } else { 0.0 })
                .collect::<Vec<f32>>();
            features = features * Tensor::from_data(TensorData::new(mask, [graph.feature_len(), n]), on);
        }
        let mut loss: Option<Tensor<1>> = None;
        for (set, targets) in sets.iter().zip(batch.targets) {
            let classes = set.classes.len();
            let [weight, bias] = head(&set.name);
            let weight = leaves.leaf(&weight)?.reshape([classes, graph.feature_len()]);
            let bias = leaves.leaf(&bias)?.reshape([classes, 1]);
            let logits = (weight.matmul(features.clone()) + bias).transpose();
            let targets = Tensor::<2>::from_data(TensorData::new(targets, [n, classes]), on);
            let own = (log_softmax(logits, 1) * targets).sum() / -(n as f32);
            loss = Some(match loss {
                Some(sum) => sum + own,
                None => own,
            });
        }
        let Some(loss) = loss else { return Ok(0.0) };
        drop(features);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if !value.is_finite() {
            let m = format!(
                "the loss is {value} at step {}; the last epoch's checkpoint is kept: lower --learning-rate and start again",
                parameters.step + 1
            );
            return Err(fail(ErrorKind::NonFinite, m));
        }
        let mut grads = loss.backward();
        let gradients: Vec<Option<Vec<f32>>> = parameters
            .all
            .iter()
            .map(|p| {
                let grad = leaves.tensors.get(p.name.as_str())?.grad_remove(&mut grads)?;
                grad.into_data().try_into_vec::<f32>().ok()
            })
            .collect();
        drop(leaves);
        parameters.update(&gradients, rate, options.weight_decay, options.average)?;
        for (name, seen) in moments {
            parameters.observe(&name, &seen.mean, &seen.variance);
        }
        Ok(value)
    }
}

/// Rises in a line, falls as a cosine to 1 %.
fn schedule(options: &TrainOptions, epochs: f64) -> f64 {
    let all = f64::from(options.epochs);
    let warm = options.warm_up.min(all / 2.0);
    if epochs < warm {
        return options.learning_rate * (epochs + 0.02) / (warm + 0.02);
    }
    let through = ((epochs - warm) / (all - warm).max(1e-9)).min(1.0);
    options.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + libm::cos(core::f64::consts::PI * through)))
}

//! BatchNorm over the batch's own statistics (Ioffe & Szegedy 2015) and the activation after it, as
//! one operation. The gradient needs the input only: normalised values and the activation's slope
//! are computed again.

use super::{activate, flex, lanes};
use crate::featurize::network::Activation;
use alloc::{sync::Arc, vec, vec::Vec};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// A batch's statistics, by channel.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub(crate) mean: Vec<f32>,
    /// Unbiased, as running statistics keep it.
    pub(crate) variance: Vec<f32>,
}

#[derive(Debug)]
struct NormBackward;

#[derive(Clone, Copy, Debug)]
struct Channel {
    mean: f64,
    deviation: f64,
    scale: f32,
    shift: f32,
}

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    channels: Arc<Vec<Channel>>,
    activation: Activation,
    shape: [usize; 4],
}

impl Backward<Flex, 3> for NormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, gamma_node, beta_node] = ops.parents;
        let mut grad = flex::owned(grads.consume::<Flex>(&ops.node));
        let State { x, channels, activation, shape } = ops.state;
        let count = channels.len();
        let per = shape[1] * shape[2] * shape[3];
        let (mut gamma, mut beta) = (vec![0.0f32; count], vec![0.0f32; count]);
        grad.par_chunks_mut(per)
            .zip(flex::values(&x).par_chunks(per))
            .zip(channels.par_iter())
            .zip(gamma.par_iter_mut().zip(beta.par_iter_mut()))
            .for_each(|(((g, x), c), (gamma, beta))| {
                let (sum, product) = lanes::slopes(x, g, c.scale, c.shift, c.mean as f32, activation);
                // The lanes subtracted the rounded mean.
                let product = product - (c.mean - f64::from(c.mean as f32)) * sum;
                (*gamma, *beta) = ((product / c.deviation) as f32, sum as f32);
                if x_node.is_some() {
                    let (n, scale) = (per as f64, f64::from(c.scale));
                    let by_x = -scale * product / (n * c.deviation * c.deviation);
                    let constant = -scale * sum / n - by_x * c.mean;
                    lanes::unscale(x, g, c.scale, c.shift, by_x as f32, constant as f32, activation);
                }
            });
        drop(x);
        if let Some(node) = gamma_node {
            grads.register::<Flex>(node.id, flex::tensor(gamma, [count]));
        }
        if let Some(node) = beta_node {
            grads.register::<Flex>(node.id, flex::tensor(beta, [count]));
        }
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, flex::tensor(grad, shape));
        }
    }
}

/// `activation((x − mean) / √(variance + epsilon) · gamma + beta)` of `[c, n, h, w]`, and the statistics.
pub(crate) fn norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
    activation: Activation,
) -> (Tensor<4>, Moments) {
    let found = (flex::tracked(&x), flex::tracked(&gamma), flex::tracked(&beta));
    let (Some(xt), Some(gt), Some(bt)) = found else { return stock(x, gamma, beta, epsilon, activation) };
    let shape = x.dims();
    let per = shape[1] * shape[2] * shape[3];
    drop((x, gamma, beta));
    let nodes = [xt.node(), gt.node(), bt.node()];
    let prepared = NormBackward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    let [x, gamma, beta] = [xt, gt, bt].map(|t| flex::contiguous(t.into_primitive()));
    let mut y = vec![0.0; shape[0] * per];
    let (gammas, betas) = (flex::values(&gamma).par_iter(), flex::values(&beta).par_iter());
    let rows = y.par_chunks_mut(per).zip(flex::values(&x).par_chunks(per)).zip(gammas.zip(betas));
    let (channels, variance): (Vec<_>, Vec<_>) = rows
        .map(|((y, x), (&gamma, &beta))| {
            let (mean, variance) = lanes::moments(x);
            let deviation = libm::sqrt(variance + f64::from(epsilon));
            let scale = f64::from(gamma) / deviation;
            let (scale, shift) = (scale as f32, (f64::from(beta) - mean * scale) as f32);
            lanes::scale(x, y, scale, shift, activation);
            (Channel { mean, deviation, scale, shift }, unbiased(variance, per))
        })
        .unzip();
    let mean = channels.iter().map(|c| c.mean as f32).collect();
    let y = flex::tensor(y, shape);
    let y = flex::untracked(match prepared {
        OpsKind::Tracked(prep) => {
            prep.finish(State { x, channels: Arc::new(channels), activation, shape }, y)
        }
        OpsKind::UnTracked(prep) => prep.finish(y),
    });
    (y, Moments { mean, variance })
}

fn unbiased(variance: f64, n: usize) -> f32 {
    (variance * n as f64 / n.saturating_sub(1).max(1) as f64) as f32
}

/// The same by Burn's operations.
pub(super) fn stock(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
    activation: Activation,
) -> (Tensor<4>, Moments) {
    let [c, n, h, w] = x.dims();
    let rows = x.reshape([c, n * h * w]);
    let mean = rows.clone().mean_dim(1);
    let centred = rows - mean.clone();
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    let deviation = (variance.clone() + epsilon).sqrt();
    let y = centred / deviation * gamma.reshape([c, 1]) + beta.reshape([c, 1]);
    let read = |t: Tensor<2>| t.into_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
    let mut variance = read(variance);
    variance.iter_mut().for_each(|v| *v = unbiased(f64::from(*v), n * h * w));
    (activate(y.reshape([c, n, h, w]), activation), Moments { mean: read(mean), variance })
}

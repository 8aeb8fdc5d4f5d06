//! BatchNorm folded into the convolution before it: `w' = w·s`, `b' = β + (b − μ)·s` with
//! `s = γ / √(σ² + ε)`, in f64.

use super::network::{Conv, Linear};
use super::weights::WeightSource;
use crate::Result;
use alloc::{borrow::Cow, format, vec, vec::Vec};

/// A layer's weights with the factor and bias of each output channel, in f64 until packed.
pub(super) struct Folded<'w> {
    weight: Cow<'w, [f32]>,
    scale: Vec<f64>,
    /// `[channels_out]`.
    pub(super) bias: Vec<f64>,
    per_output: usize,
}

impl<'w> Folded<'w> {
    pub(super) fn conv(conv: &Conv, weights: &'w dyn WeightSource) -> Result<Self> {
        let out = conv.channels_out;
        let shape = [out, conv.channels_in / conv.groups, conv.kernel[0], conv.kernel[1]];
        let weight = weights.tensor(&format!("{}.weight", conv.name), &shape)?;
        let mut bias = vec![0.0; out];
        if conv.bias {
            let own = weights.tensor(&format!("{}.bias", conv.name), &[out])?;
            bias = own.iter().map(|&b| f64::from(b)).collect();
        }
        let mut scale = vec![1.0; out];
        if let Some(norm) = &conv.norm {
            let part = |p: &str| weights.tensor(&format!("{}.{p}", norm.name), &[out]);
            let (gamma, beta) = (part("weight")?, part("bias")?);
            let (mean, var) = (part("running_mean")?, part("running_var")?);
            for (i, (scale, bias)) in scale.iter_mut().zip(&mut bias).enumerate() {
                *scale = f64::from(gamma[i]) / libm::sqrt(f64::from(var[i]) + f64::from(norm.epsilon));
                *bias = f64::from(beta[i]) + (*bias - f64::from(mean[i])) * *scale;
            }
        }
        let per_output = shape[1..].iter().product();
        Ok(Self { weight, scale, bias, per_output })
    }

    pub(super) fn linear(linear: &Linear, weights: &'w dyn WeightSource) -> Result<Self> {
        let shape = [linear.features_out, linear.features_in];
        let weight = weights.tensor(&format!("{}.weight", linear.name), &shape)?;
        let bias = weights.tensor(&format!("{}.bias", linear.name), &shape[..1])?;
        let bias = bias.iter().map(|&b| f64::from(b)).collect();
        Ok(Self { weight, scale: vec![1.0; shape[0]], bias, per_output: shape[1] })
    }

    /// All weights, laid out as the source gave them.
    pub(super) fn weights(&self) -> Vec<f32> {
        let filters = self.weight.chunks_exact(self.per_output.max(1)).zip(&self.scale);
        filters.flat_map(|(filter, s)| filter.iter().map(move |&w| (f64::from(w) * s) as f32)).collect()
    }

    /// Weight `i` (row-major over input channel, row, column) of output channel `out`.
    pub(super) fn at(&self, out: usize, i: usize) -> f64 {
        f64::from(self.weight[out * self.per_output + i]) * self.scale[out]
    }
}

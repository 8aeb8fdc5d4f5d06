//! The dull twin: every operation by its definition, in f64, on planar pictures.

use super::super::super::network::{Activation, Conv, FlattenOrder, Graph, Linear, Op, Pool, Value};
use super::super::super::weights::WeightSource;
use super::super::{Precision, halves::Halves};
use super::round;
use alloc::{format, vec, vec::Vec};

/// `[n, c, h, w]` → `[n, feature_len]`; in reduced precision the operands are rounded first.
pub(super) fn run(
    graph: &Graph,
    weights: &dyn WeightSource,
    input: &[f32],
    precision: Precision,
) -> Vec<f64> {
    run_with(graph, weights, input, precision, None)
}

/// The same in bfloat16 from end to end, if values are told that lie so between layers.
pub(super) fn run_with(
    graph: &Graph,
    weights: &dyn WeightSource,
    input: &[f32],
    precision: Precision,
    halves: Option<&Halves>,
) -> Vec<f64> {
    let picture: usize = graph.input_shape().iter().product();
    input
        .chunks(picture)
        .flat_map(|x| {
            let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
            let mut values: Vec<Vec<f64>> = Vec::new();
            for (i, node) in graph.nodes().iter().enumerate() {
                let get = |v: Value| match v {
                    Value::Input => &x,
                    Value::Node(i) => &values[i],
                };
                let from = graph.shape(node.input).unwrap();
                let to = graph.shape(Value::Node(i)).unwrap();
                let src = get(node.input);
                let out = match &node.op {
                    Op::Conv(c) => {
                        // The first one is in full precision but from end to end, where it suits tiles.
                        let first = halves.is_none() || c.channels_in * c.stride[1] > 32;
                        let full = c.groups > 1 || node.input == Value::Input && first;
                        let rounded = if full { Precision::F32 } else { precision };
                        conv(c, weights, src, c.residual.map(get), (from, to), rounded)
                    }
                    Op::MaxPool(p) => max_pool(p, src, from, to),
                    Op::AdaptiveAvgPool(_) | Op::GlobalAvgPool => avg_pool(src, from, to),
                    Op::Flatten(order) => flatten(*order, src, from),
                    Op::Linear(l) => linear(l, weights, src, precision),
                };
                let kept = halves.is_some_and(|halves| halves.contains(Value::Node(i)));
                values.push(if kept { round::activations(&out, 1, true, Precision::Bf16) } else { out });
            }
            values.pop().unwrap()
        })
        .collect()
}

fn tensor(weights: &dyn WeightSource, name: &str, shape: &[usize]) -> Vec<f64> {
    weights.tensor(name, shape).unwrap().iter().map(|&v| f64::from(v)).collect()
}

fn activate(a: Activation, x: f64) -> f64 {
    match a {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

fn conv(
    c: &Conv,
    weights: &dyn WeightSource,
    src: &[f64],
    residual: Option<&Vec<f64>>,
    ([_, h, w], [oc, oh, ow]): ([usize; 3], [usize; 3]),
    precision: Precision,
) -> Vec<f64> {
    let [kh, kw] = c.kernel;
    let per_group = c.channels_in / c.groups;
    let kernel = tensor(weights, &format!("{}.weight", c.name), &[oc, per_group, kh, kw]);
    let bias = if c.bias { tensor(weights, &format!("{}.bias", c.name), &[oc]) } else { vec![0.0; oc] };
    let norm = c.norm.as_ref().map(|n| {
        let part = |p: &str| tensor(weights, &format!("{}.{p}", n.name), &[oc]);
        (part("weight"), part("bias"), part("running_mean"), part("running_var"), f64::from(n.epsilon))
    });
    if precision != Precision::F32 {
        // Weights are rounded when BatchNorm is folded into them.
        let (mut folded, mut shift) = (kernel.clone(), bias.clone());
        if let Some((gamma, beta, mean, var, eps)) = norm {
            for (o, filter) in folded.chunks_mut(kernel.len() / oc).enumerate() {
                let scale = gamma[o] / libm::sqrt(var[o] + eps);
                filter.iter_mut().for_each(|w| *w *= scale);
                shift[o] = beta[o] + (bias[o] - mean[o]) * scale;
            }
        }
        let pointwise = c.kernel == [1, 1] && c.stride == [1, 1] && c.padding == Default::default();
        let src = round::activations(src, h * w, pointwise, precision);
        let kernel = round::weights(&folded, oc, precision);
        return sums(c, (&kernel, &shift), None, &src, residual, ([h, w], [oc, oh, ow]));
    }
    sums(c, (&kernel, &bias), norm, src, residual, ([h, w], [oc, oh, ow]))
}

/// Weight, bias, mean, variance, epsilon of a BatchNorm.
type Norms = (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>, f64);

fn sums(
    c: &Conv,
    (kernel, bias): (&[f64], &[f64]),
    norm: Option<Norms>,
    src: &[f64],
    residual: Option<&Vec<f64>>,
    ([h, w], [oc, oh, ow]): ([usize; 2], [usize; 3]),
) -> Vec<f64> {
    let [kh, kw] = c.kernel;
    let per_group = c.channels_in / c.groups;
    let mut out = Vec::new();
    for o in 0..oc {
        for y in 0..oh {
            for x in 0..ow {
                let mut sum = bias[o];
                for i in 0..per_group {
                    let channel = o / (oc / c.groups) * per_group + i;
                    for ky in 0..kh {
                        let Some(iy) = (y * c.stride[0] + ky).checked_sub(c.padding.top) else { continue };
                        for kx in 0..kw {
                            let Some(ix) = (x * c.stride[1] + kx).checked_sub(c.padding.left) else {
                                continue;
                            };
                            if iy < h && ix < w {
                                sum += src[(channel * h + iy) * w + ix]
                                    * kernel[((o * per_group + i) * kh + ky) * kw + kx];
                            }
                        }
                    }
                }
                if let Some((gamma, beta, mean, var, eps)) = &norm {
                    sum = (sum - mean[o]) / libm::sqrt(var[o] + eps) * gamma[o] + beta[o];
                }
                sum += residual.map_or(0.0, |r| r[out.len()]);
                out.push(activate(c.activation, sum));
            }
        }
    }
    out
}

fn max_pool(p: &Pool, src: &[f64], [c, h, w]: [usize; 3], [_, oh, ow]: [usize; 3]) -> Vec<f64> {
    let mut out = Vec::new();
    for (ch, y, x) in positions(c, oh, ow) {
        let mut max = f64::NEG_INFINITY;
        for ky in 0..p.kernel[0] {
            for kx in 0..p.kernel[1] {
                let iy = (y * p.stride[0] + ky).wrapping_sub(p.padding.top);
                let ix = (x * p.stride[1] + kx).wrapping_sub(p.padding.left);
                if iy < h && ix < w {
                    max = max.max(src[(ch * h + iy) * w + ix]);
                }
            }
        }
        out.push(max);
    }
    out
}

fn avg_pool(src: &[f64], [c, h, w]: [usize; 3], [_, oh, ow]: [usize; 3]) -> Vec<f64> {
    let mut out = Vec::new();
    for (ch, y, x) in positions(c, oh, ow) {
        let rows = y * h / oh..((y + 1) * h).div_ceil(oh);
        let cols = x * w / ow..((x + 1) * w).div_ceil(ow);
        let count = rows.len() * cols.len();
        let sum: f64 = rows
            .flat_map(|iy| cols.clone().map(move |ix| (iy, ix)))
            .map(|(iy, ix)| src[(ch * h + iy) * w + ix])
            .sum();
        out.push(sum / count as f64);
    }
    out
}

fn flatten(order: FlattenOrder, src: &[f64], [c, h, w]: [usize; 3]) -> Vec<f64> {
    match order {
        FlattenOrder::Chw => src.to_vec(),
        FlattenOrder::Hwc => (0..h * w)
            .flat_map(|p| (0..c).map(move |ch| (ch, p)))
            .map(|(ch, p)| src[ch * h * w + p])
            .collect(),
    }
}

fn linear(l: &Linear, weights: &dyn WeightSource, src: &[f64], precision: Precision) -> Vec<f64> {
    let kernel = tensor(weights, &format!("{}.weight", l.name), &[l.features_out, l.features_in]);
    let bias = tensor(weights, &format!("{}.bias", l.name), &[l.features_out]);
    let src = &round::activations(src, 1, true, precision);
    let kernel = round::weights(&kernel, l.features_out, precision);
    kernel
        .chunks(l.features_in)
        .zip(bias)
        .map(|(row, bias)| {
            activate(l.activation, bias + row.iter().zip(src).map(|(a, b)| a * b).sum::<f64>())
        })
        .collect()
}

fn positions(c: usize, h: usize, w: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..c).flat_map(move |ch| (0..h).flat_map(move |y| (0..w).map(move |x| (ch, y, x))))
}

//! A network run the dull way: loops in f64, nothing folded, nothing fused.

use fruitcore::featurize::network::{Activation, Conv, FlattenOrder, Graph, Op, Padding, Value};
use fruitcore::featurize::weights::WeightSource;

/// A picture `[c, h, w]`.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) shape: [usize; 3],
    pub(crate) values: Vec<f64>,
}

impl Picture {
    fn from_fn(shape: [usize; 3], mut f: impl FnMut(usize, usize, usize) -> f64) -> Self {
        let [c, h, w] = shape;
        let mut values = Vec::with_capacity(c * h * w);
        for k in 0..c {
            for y in 0..h {
                for x in 0..w {
                    values.push(f(k, y, x));
                }
            }
        }
        Self { shape, values }
    }

    fn at(&self, c: usize, y: usize, x: usize) -> f64 {
        let [_, h, w] = self.shape;
        self.values[(c * h + y) * w + x]
    }

    /// The value at a padded position; `None` in the padding.
    fn padded(&self, c: usize, y: usize, x: usize, p: Padding) -> Option<f64> {
        let (y, x) = (y.checked_sub(p.top)?, x.checked_sub(p.left)?);
        (y < self.shape[1] && x < self.shape[2]).then(|| self.at(c, y, x))
    }
}

/// The features of one picture.
pub(crate) fn run(graph: &Graph, source: &dyn WeightSource, picture: &[f32]) -> Vec<f64> {
    let input =
        Picture { shape: graph.input_shape(), values: picture.iter().map(|&v| f64::from(v)).collect() };
    let mut done: Vec<Picture> = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let value = |v: Value| if let Value::Node(i) = v { done[i].clone() } else { input.clone() };
        let x = value(node.input);
        let shape = graph.shape(Value::Node(i)).unwrap();
        let [_, h, w] = x.shape;
        let out = match &node.op {
            Op::Conv(c) => conv(c, source, &x, c.residual.map(value), shape),
            Op::MaxPool(p) => Picture::from_fn(shape, |c, y, x0| {
                let window = offsets(p.kernel).filter_map(|(dy, dx)| {
                    x.padded(c, y * p.stride[0] + dy, x0 * p.stride[1] + dx, p.padding)
                });
                window.fold(f64::NEG_INFINITY, f64::max)
            }),
            Op::AdaptiveAvgPool([oh, ow]) => Picture::from_fn(shape, |c, y, x0| {
                let rows = y * h / oh..((y + 1) * h).div_ceil(*oh);
                let columns = x0 * w / ow..((x0 + 1) * w).div_ceil(*ow);
                mean(rows.flat_map(|y| columns.clone().map(move |x| (y, x))).map(|(y, x1)| x.at(c, y, x1)))
            }),
            Op::GlobalAvgPool => {
                Picture::from_fn(shape, |c, _, _| mean(offsets([h, w]).map(|(y, x0)| x.at(c, y, x0))))
            }
            Op::Flatten(FlattenOrder::Chw) => Picture { shape, values: x.values },
            Op::Flatten(FlattenOrder::Hwc) => {
                let channels = x.shape[0];
                Picture::from_fn(shape, |i, _, _| {
                    let pixel = i / channels;
                    x.at(i % channels, pixel / w, pixel % w)
                })
            }
            Op::Linear(l) => {
                let weight =
                    source.tensor(&format!("{}.weight", l.name), &[l.features_out, l.features_in]).unwrap();
                let bias = source.tensor(&format!("{}.bias", l.name), &[l.features_out]).unwrap();
                Picture::from_fn(shape, |o, _, _| {
                    let row = &weight[o * l.features_in..][..l.features_in];
                    let sum: f64 = row.iter().zip(&x.values).map(|(&w, v)| f64::from(w) * v).sum();
                    activate(sum + f64::from(bias[o]), l.activation)
                })
            }
            other => panic!("no dull twin for {other:?}"),
        };
        done.push(out);
    }
    done.pop().unwrap_or(input).values
}

fn conv(
    c: &Conv,
    source: &dyn WeightSource,
    x: &Picture,
    residual: Option<Picture>,
    shape: [usize; 3],
) -> Picture {
    let per_group = c.channels_in / c.groups;
    let [kh, kw] = c.kernel;
    let vector = |name: String| source.tensor(&name, &[c.channels_out]).unwrap();
    let weight = source.tensor(&format!("{}.weight", c.name), &[c.channels_out, per_group, kh, kw]).unwrap();
    let bias = c.bias.then(|| vector(format!("{}.bias", c.name)));
    let norm = c.norm.as_ref().map(|n| {
        let parts =
            ["weight", "bias", "running_mean", "running_var"].map(|p| vector(format!("{}.{p}", n.name)));
        (parts, f64::from(n.epsilon))
    });
    Picture::from_fn(shape, |o, y, x0| {
        let first = o / (c.channels_out / c.groups) * per_group;
        let mut sum = bias.as_ref().map_or(0.0, |b| f64::from(b[o]));
        for i in 0..per_group {
            for (dy, dx) in offsets(c.kernel) {
                let v = x.padded(first + i, y * c.stride[0] + dy, x0 * c.stride[1] + dx, c.padding);
                sum += v.unwrap_or(0.0) * f64::from(weight[((o * per_group + i) * kh + dy) * kw + dx]);
            }
        }
        if let Some((parts, epsilon)) = &norm {
            let [gamma, beta, mean, var] = parts.each_ref().map(|p| f64::from(p[o]));
            sum = (sum - mean) / (var + epsilon).sqrt() * gamma + beta;
        }
        activate(sum + residual.as_ref().map_or(0.0, |r| r.at(o, y, x0)), c.activation)
    })
}

fn activate(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

fn offsets([h, w]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..h).flat_map(move |y| (0..w).map(move |x| (y, x)))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    sum / count
}

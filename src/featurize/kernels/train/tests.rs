//! Values and gradients against Burn's own operations, and by finite differences.

use super::*;
use crate::featurize::network::Activation;
use crate::rng::Rng;
use alloc::{string::String, vec::Vec};
use burn::tensor::{DType, Device, TensorData};

fn random<const D: usize>(rng: &mut Rng, shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.unit() as f32 * 2.0 - 1.0).collect();
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values, shape), (&device, DType::F32)).require_grad()
}

fn read<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec::<f32>().unwrap()
}

fn close(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= 2e-5 * scale, "{what}[{i}]: {x} and {y}, scale {scale}");
    }
}

fn layer(channels: [usize; 2], kernel: usize, stride: usize, padding: Padding, groups: usize) -> Conv {
    Conv {
        name: String::new(),
        channels_in: channels[0],
        channels_out: channels[1],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding,
        groups,
        bias: false,
        norm: None,
        residual: None,
        activation: Activation::None,
    }
}

/// Gradients of a random linear function of `y` in `x` and `w`.
fn gradients<const D: usize>(
    y: Tensor<4>,
    weights: &Tensor<4>,
    x: &Tensor<4>,
    w: &Tensor<D>,
) -> [Vec<f32>; 3] {
    let value = y.clone();
    let grads = (y * weights.clone().detach()).sum().backward();
    [read(value.inner()), read(x.grad(&grads).unwrap()), read(w.grad(&grads).unwrap())]
}

#[test]
fn convolutions_agree_with_burns() {
    let mut rng = Rng::new(5);
    let end = Padding { top: 0, left: 0, bottom: 1, right: 1 };
    let cases = [
        (layer([5, 7], 1, 1, Padding::default(), 1), [9, 8]),
        (layer([3, 16], 3, 2, Padding::all(1), 1), [11, 12]),
        (layer([4, 6], 3, 1, Padding::all(1), 1), [5, 7]),
        (layer([4, 6], 1, 2, Padding::default(), 1), [6, 7]),
        (layer([3, 4], 7, 2, Padding::all(3), 1), [13, 12]),
        (layer([3, 4], 3, 2, end, 1), [8, 8]),
        (layer([6, 6], 3, 1, Padding::all(1), 6), [24, 24]),
        (layer([6, 6], 3, 1, Padding::all(1), 6), [3, 3]),
        (layer([6, 6], 3, 1, Padding::all(1), 6), [7, 10]),
        (layer([5, 5], 3, 2, Padding::all(1), 5), [12, 12]),
        (layer([5, 5], 3, 2, Padding::all(1), 5), [7, 9]),
        (layer([5, 5], 3, 2, end, 5), [8, 6]),
        (layer([2, 2], 5, 3, Padding::all(2), 2), [11, 9]),
        (layer([2, 2], 2, 3, Padding::default(), 2), [9, 9]),
        (layer([4, 8], 3, 1, Padding::all(1), 2), [6, 6]),
    ];
    for (c, [h, w]) in cases {
        let x = random(&mut rng, [c.channels_in, 3, h, w]);
        let weight = random(&mut rng, [c.channels_out, c.channels_in / c.groups, c.kernel[0], c.kernel[1]]);
        let y = conv2d(x.clone(), weight.clone(), &c);
        let factors = random(&mut rng, y.dims());
        let own = gradients(y, &factors, &x, &weight);
        let burns = gradients(stock(x.clone(), weight.clone(), &c), &factors, &x, &weight);
        for ((what, own), burns) in ["value", "input", "weight"].iter().zip(&own).zip(&burns) {
            close(&alloc::format!("{what} of {c:?} on {h}x{w}"), own, burns);
        }
    }
}

#[test]
fn long_products_are_cut_in_blocks() {
    let mut rng = Rng::new(6);
    let c = layer([3, 5], 1, 1, Padding::default(), 1);
    let (x, weight) = (random(&mut rng, [3, 2, 70, 71]), random(&mut rng, [5, 3, 1, 1]));
    let y = conv2d(x.clone(), weight.clone(), &c);
    let factors = random(&mut rng, y.dims());
    let own = gradients(y, &factors, &x, &weight);
    let burns = gradients(stock(x.clone(), weight.clone(), &c), &factors, &x, &weight);
    own.iter().zip(&burns).for_each(|(own, burns)| close("product", own, burns));
}

#[test]
fn norms_agree_with_burns() {
    let mut rng = Rng::new(7);
    for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
        for [c, n, h, w] in [[3, 4, 5, 5], [2, 2, 40, 41], [1, 2, 2, 1]] {
            // Beyond 6 too, and far from zero.
            let x = (random(&mut rng, [c, n, h, w]) * 4.0 + 3.0).detach().require_grad();
            let (gamma, beta) = (random(&mut rng, [c]) * 3.0, random(&mut rng, [c]) * 2.0);
            let [gamma, beta] = [gamma, beta].map(|t: Tensor<1>| t.detach().require_grad());
            let factors = random(&mut rng, [c, n, h, w]);
            let run = |own: bool| {
                let f = if own { norm } else { norm::stock };
                let (y, moments) = f(x.clone(), gamma.clone(), beta.clone(), 1e-3, activation);
                let value = read(y.clone().inner());
                let grads = (y * factors.clone().detach()).sum().backward();
                let grad = |t: &Tensor<1>| read(t.grad(&grads).unwrap());
                [
                    value,
                    read(x.grad(&grads).unwrap()),
                    grad(&gamma),
                    grad(&beta),
                    moments.mean,
                    moments.variance,
                ]
            };
            for (i, (own, burns)) in run(true).iter().zip(&run(false)).enumerate() {
                close(&alloc::format!("part {i} of {activation:?} on {:?}", [c, n, h, w]), own, burns);
            }
        }
    }
}

#[test]
fn gradients_are_slopes() {
    let mut rng = Rng::new(8);
    let c = layer([3, 3], 3, 2, Padding::all(1), 3);
    let (x, weight) = (random(&mut rng, [3, 2, 6, 6]), random(&mut rng, [3, 1, 3, 3]));
    let (gamma, beta) = (random(&mut rng, [3]), random(&mut rng, [3]));
    let factors = random(&mut rng, [3, 2, 3, 3]);
    let loss = |x: Tensor<4>| {
        let y = conv2d(x, weight.clone(), &c);
        let (y, _) = norm(y, gamma.clone(), beta.clone(), 1e-2, Activation::Relu6);
        (y * factors.clone().detach()).sum()
    };
    let grads = loss(x.clone()).backward();
    let slope = read(x.grad(&grads).unwrap());
    let values = read(x.inner());
    let at = |values: Vec<f32>| {
        let device = Device::flex().autodiff();
        f64::from(
            loss(Tensor::from_data(TensorData::new(values, [3, 2, 6, 6]), (&device, DType::F32)))
                .into_scalar::<f32>(),
        )
    };
    let mut wrong = 0;
    for i in 0..values.len() {
        let shifted = |by: f32| {
            let mut v = values.clone();
            v[i] += by;
            at(v)
        };
        let found = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
        wrong += usize::from((found - f64::from(slope[i])).abs() > 0.02 * (1.0 + found.abs()));
    }
    // A step may cross the activation's edge.
    assert!(wrong <= values.len() / 20, "{wrong} of {} slopes differ", values.len());
}

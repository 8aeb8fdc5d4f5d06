//! `NetworkFeaturizer` against a dull twin on random small networks, and what it refuses.
mod support;

use burn::tensor::{DType, Device, Tensor, TensorData};
use fruitcore::featurize::NetworkFeaturizer;
use fruitcore::featurize::network::*;
use fruitcore::featurize::weights::{RandomWeights, WeightSource};
use fruitcore::{Error, ErrorKind, Featurizer, Result, Stage};
use proptest::prelude::*;
use std::borrow::Cow;
use support::generator::Generated;
use support::naive;

#[allow(deprecated, reason = "kept working for those who already use it")]
fn devices() -> Vec<Device> {
    vec![
        #[cfg(feature = "flex")]
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ]
}

fn batch(graph: &Graph, pictures: &[Vec<f32>], device: &Device) -> Tensor<4> {
    let [c, h, w] = graph.input_shape();
    Tensor::from_data(TensorData::new(pictures.concat(), [pictures.len(), c, h, w]), device)
}

fn features(net: &NetworkFeaturizer, batch: Tensor<4>) -> Vec<f32> {
    net.featurize(batch).unwrap().into_data().try_to_vec().unwrap()
}

fn small() -> (Graph, Vec<Vec<f32>>) {
    let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 40).graph().unwrap();
    let generated = Generated::new();
    (graph, (0..3).map(|i| generated.picture(i, 32, 40)).collect())
}

#[test]
fn is_send_and_sync() {
    fn both<T: Send + Sync>() {}
    both::<NetworkFeaturizer>();
}

/// What a random convolution may be.
#[derive(Clone, Debug)]
struct Layer {
    groups: usize,
    out_per_group: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    bias: bool,
    norm: bool,
    residual: bool,
    activation: Activation,
    pool: bool,
}

fn layer() -> impl Strategy<Value = Layer> {
    let pad = || 0usize..3;
    let padding = (pad(), pad(), pad(), pad()).prop_map(|(top, left, bottom, right)| Padding {
        top,
        left,
        bottom,
        right,
    });
    let activation = prop_oneof![Just(Activation::None), Just(Activation::Relu), Just(Activation::Relu6)];
    let window = ([1usize..4, 1..4], [1usize..3, 1..3]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (1usize..4, 1usize..4, window, padding, flags, activation).prop_map(
        |(groups, out_per_group, (kernel, stride), padding, (bias, norm, residual, pool), activation)| {
            Layer { groups, out_per_group, kernel, stride, padding, bias, norm, residual, activation, pool }
        },
    )
}

/// Convolutions (with a residual wherever some earlier value fits), poolings, and one of three tails.
fn build(input: [usize; 3], layers: &[Layer], tail: usize) -> Result<Graph> {
    let mut graph = Graph::new(input);
    let mut values = vec![Value::Input];
    for (i, layer) in layers.iter().enumerate() {
        let x = values[values.len() - 1];
        let channels = graph.shape(x).unwrap_or_default()[0];
        let groups = if channels.is_multiple_of(layer.groups) { layer.groups } else { 1 };
        let mut conv = Conv {
            name: format!("conv{i}"),
            channels_in: channels,
            channels_out: groups * layer.out_per_group,
            kernel: layer.kernel,
            stride: layer.stride,
            padding: layer.padding,
            groups,
            bias: layer.bias,
            norm: layer.norm.then(|| Norm { name: format!("bn{i}"), epsilon: 1e-3 }),
            residual: None,
            activation: layer.activation,
        };
        let mut trial = graph.clone();
        let out = trial.push(x, Op::Conv(conv.clone()))?;
        if layer.residual {
            let same = |v: &&Value| trial.shape(**v) == trial.shape(out);
            conv.residual = values.iter().find(same).copied();
        }
        values.push(graph.push(x, Op::Conv(conv))?);
        if layer.pool {
            // Wider than the padding, so that each window meets the picture.
            let pool = Pool {
                kernel: [2, 2],
                stride: [1, 2],
                padding: Padding { top: 1, left: 0, bottom: 0, right: 1 },
            };
            values.push(graph.push(values[values.len() - 1], Op::MaxPool(pool))?);
        }
    }
    let x = values[values.len() - 1];
    let [c, h, w] = graph.shape(x).unwrap_or_default();
    match tail {
        0 => drop(graph.push(x, Op::GlobalAvgPool)?),
        1 => {
            let x = graph.push(x, Op::Flatten(FlattenOrder::Hwc))?;
            let (name, features_in) = ("fc".into(), c * h * w);
            let fc = Linear { name, features_in, features_out: 5, activation: Activation::Relu };
            graph.push(x, Op::Linear(fc))?;
        }
        _ => {
            let x = graph.push(x, Op::AdaptiveAvgPool([3, 2]))?;
            graph.push(x, Op::Flatten(FlattenOrder::Chw))?;
        }
    }
    Ok(graph)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn equals_the_dull_twin(
        channels in 1usize..5,
        size in [4usize..12, 4..12],
        layers in proptest::collection::vec(layer(), 1..5),
        tail in 0usize..3,
        seed in 0usize..1000,
    ) {
        let graph = build([channels, size[0], size[1]], &layers, tail);
        prop_assume!(graph.is_ok(), "the picture shrank to nothing");
        let graph = graph.unwrap();
        let source = Generated::new();
        let len = channels * size[0] * size[1];
        let pictures: Vec<Vec<f32>> =
            (0..2).map(|i| source.picture(seed + i, 1, len).split_off(2 * len)).collect();
        let dull: Vec<f64> = pictures.iter().flat_map(|p| naive::run(&graph, &source, p)).collect();
        for device in devices() {
            let net = NetworkFeaturizer::new(&graph, &source, &device).unwrap();
            let found = features(&net, batch(&graph, &pictures, &device));
            prop_assert_eq!(found.len(), dull.len());
            let scale = dull.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            for (a, b) in found.iter().zip(&dull) {
                prop_assert!((f64::from(*a) - b).abs() <= 1e-5 * scale, "{a} for {b} in {graph:?}");
            }
        }
    }
}

#[test]
fn a_depthwise_layer_adds_its_own_input() {
    let plain = Layer {
        groups: 1,
        out_per_group: 3,
        kernel: [1, 1],
        stride: [2, 2],
        padding: Padding::default(),
        bias: false,
        norm: false,
        residual: false,
        activation: Activation::None,
        pool: false,
    };
    let padding = Padding { top: 0, left: 0, bottom: 2, right: 1 };
    let own = Layer { groups: 3, out_per_group: 1, kernel: [2, 1], padding, residual: true, ..plain.clone() };
    let graph = build([1, 4, 4], &[plain, own], 0).unwrap();
    let source = Generated::new();
    let pictures = [source.picture(0, 1, 16).split_off(32)];
    let dull = naive::run(&graph, &source, &pictures[0]);
    for device in devices() {
        let net = NetworkFeaturizer::new(&graph, &source, &device).unwrap();
        for (a, b) in features(&net, batch(&graph, &pictures, &device)).iter().zip(&dull) {
            assert!((f64::from(*a) - b).abs() <= 1e-5, "{a} for {b}");
        }
    }
}

#[test]
fn a_row_depends_on_its_picture_only() {
    let (graph, pictures) = small();
    for device in devices() {
        let net = NetworkFeaturizer::new(&graph, &Generated::new(), &device).unwrap();
        let together = features(&net, batch(&graph, &pictures, &device));
        for (picture, row) in pictures.chunks(1).zip(together.chunks(net.feature_len())) {
            let alone = features(&net, batch(&graph, picture, &device));
            let error = support::goldens::relative_error(row, &alone);
            assert!(error < 1e-6, "{error}");
        }
        assert_ne!(together[..net.feature_len()], together[net.feature_len()..2 * net.feature_len()]);
    }
}

#[test]
fn serves_many_threads() {
    let (graph, pictures) = small();
    let device = Device::default();
    let net = NetworkFeaturizer::new(&graph, &Generated::new(), &device).unwrap();
    let expected = features(&net, batch(&graph, &pictures, &device));
    std::thread::scope(|scope| {
        let run = || features(&net, batch(&graph, &pictures, &device));
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), expected);
        }
    });
}

#[test]
fn random_weights_keep_activations_alive() {
    for &kind in NetworkKind::ALL {
        let graph = NetworkSpec::new(kind).tap(Tap::Pooled).input(48, 48).graph().unwrap();
        let device = Device::default();
        let net = NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 1), &device).unwrap();
        let pictures: Vec<_> = (0..2).map(|i| Generated::new().picture(i, 48, 48)).collect();
        let found = features(&net, batch(&graph, &pictures, &device));
        let (a, b) = found.split_at(net.feature_len());
        let size = (a.iter().map(|v| v * v).sum::<f32>() / a.len() as f32).sqrt();
        assert!((0.01..100.0).contains(&size), "{kind}: {size}");
        assert!(support::goldens::relative_error(a, b) > 0.05, "{kind}: features hardly differ");
    }
}

#[test]
fn half_precision_input_is_widened() {
    let (graph, pictures) = small();
    let device = Device::default();
    let net = NetworkFeaturizer::new(&graph, &Generated::new(), &device).unwrap();
    let half = batch(&graph, &pictures, &device).cast(DType::F16);
    // Multiples of 1/128 below 2 are exact in half precision.
    assert_eq!(features(&net, half), features(&net, batch(&graph, &pictures, &device)));
}

#[test]
fn another_shape_is_refused_and_forgotten() {
    let (graph, pictures) = small();
    let device = Device::default();
    let net = NetworkFeaturizer::new(&graph, &Generated::new(), &device).unwrap();
    for shape in [[1, 3, 40, 32], [1, 4, 32, 40], [2, 3, 32, 41]] {
        let e = net.featurize(Tensor::zeros(shape, &device)).expect_err("another shape");
        assert_eq!((e.kind(), e.stage()), (ErrorKind::Shape, Stage::Featurize));
        assert!(e.to_string().contains("[n, 3, 32, 40]"), "{e}");
        assert!(e.to_string().contains(&format!("{shape:?}")), "{e}");
    }
    features(&net, batch(&graph, &pictures, &device));
}

/// The generated weights with one tensor damaged.
struct Damaged<'a>(&'a str, Box<dyn Fn(Vec<f32>) -> Result<Vec<f32>>>);

impl WeightSource for Damaged<'_> {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let values = Generated::new().values(name, shape);
        Ok(Cow::Owned(if name == self.0 { self.1(values)? } else { values }))
    }
}

#[test]
fn damaged_weights_are_named() {
    let (graph, _) = small();
    let refused = |name: &'static str, damage: fn(Vec<f32>) -> Result<Vec<f32>>| {
        let found = NetworkFeaturizer::new(&graph, &Damaged(name, Box::new(damage)), &Device::default());
        let e = found.err().expect("damaged weights");
        assert_eq!((e.stage(), e.object()), (Stage::Weights, Some(name)), "{e}");
        e.kind()
    };
    let conv = "features.3.conv.0.0.weight";
    let missing = |_| {
        Err(Error::new(ErrorKind::NotFound, Stage::Weights, "not in the file")
            .at("features.3.conv.0.0.weight"))
    };
    assert_eq!(refused(conv, missing), ErrorKind::NotFound);
    assert_eq!(refused(conv, |v| Ok(v[1..].to_vec())), ErrorKind::Shape);
    assert_eq!(refused("features.18.1.bias", |_| Ok(Vec::new())), ErrorKind::Shape);
    fn with(v: Vec<f32>, x: f32) -> Result<Vec<f32>> {
        Ok(vec![x; v.len()])
    }
    assert_eq!(refused(conv, |v| with(v, f32::NAN)), ErrorKind::NonFinite);
    assert_eq!(refused("features.18.1.running_mean", |v| with(v, f32::INFINITY)), ErrorKind::NonFinite);
    assert_eq!(refused("features.18.1.running_var", |v| with(v, -1.0)), ErrorKind::NonFinite);
}

#[test]
fn presets_exist() {
    for &kind in NetworkKind::ALL {
        for &variant in Variant::ALL {
            let preset = NetworkSpec::new(kind).variant(variant).preset();
            assert!(preset.parse::<fruitcore::preprocess::Preset>().is_ok(), "{preset}");
        }
    }
}

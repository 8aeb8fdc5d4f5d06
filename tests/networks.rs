//! The networks' definitions: parameters, feature lengths, sizes, and what doesn't exist.
use fruitcore::ErrorKind;
use fruitcore::featurize::network::{
    Activation, Conv, FlattenOrder, Graph, Linear, NetworkKind, NetworkSpec, Op, Padding, Pool, Tap, Value,
    Variant,
};

fn graph(spec: NetworkSpec) -> Graph {
    spec.graph().unwrap_or_else(|e| panic!("{spec}: {e}"))
}

fn count(graph: &Graph) -> usize {
    graph.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

/// Tensors and numbers that torchvision's `state_dict` holds (without `num_batches_tracked`), less
/// the classifier.
#[test]
fn torchvision_parameter_counts() {
    let fc8 = 4096 * 1000 + 1000;
    let vgg = graph(NetworkSpec::new(NetworkKind::Vgg16));
    assert_eq!((vgg.parameters().len(), count(&vgg)), (32 - 2, 138_357_544 - fc8));
    let resnet = graph(NetworkSpec::new(NetworkKind::Resnet50));
    assert_eq!((resnet.parameters().len(), count(&resnet)), (267 - 2, 25_610_152 - 2_049_000));
    for (width, all) in [
        (0.35, 1_691_208),
        (0.5, 1_987_224),
        (0.75, 2_663_064),
        (1.0, 3_538_984),
        (1.3, 5_431_048),
        (1.4, 6_156_712),
    ] {
        let g = graph(NetworkSpec::new(NetworkKind::MobileNetV2).width(width));
        let classifier = g.feature_len() * 1000 + 1000;
        assert_eq!((g.parameters().len(), count(&g)), (262 - 2, all - classifier), "width {width}");
    }
}

#[test]
fn feature_lengths() {
    for &variant in Variant::ALL {
        for (tap, len) in [(Tap::Fc2, 4096), (Tap::Fc1, 4096), (Tap::Pooled, 512)] {
            let spec = NetworkSpec::new(NetworkKind::Vgg16).variant(variant).tap(tap);
            assert_eq!(spec.feature_len().ok(), Some(len), "{spec}");
        }
        let resnet = NetworkSpec::new(NetworkKind::Resnet50).variant(variant);
        assert_eq!(resnet.feature_len().ok(), Some(2048));
        for (width, len) in [(0.35, 1280), (1.0, 1280), (1.3, 1664), (1.4, 1792)] {
            let spec = NetworkSpec::new(NetworkKind::MobileNetV2).variant(variant).width(width);
            assert_eq!(spec.feature_len().ok(), Some(len), "{spec}");
        }
    }
}

#[test]
fn any_size_from_32() {
    for &kind in NetworkKind::ALL {
        for &variant in Variant::ALL {
            for side in 32..70 {
                graph(NetworkSpec::new(kind).variant(variant).tap(Tap::Pooled).input(side, 101 - side));
            }
        }
    }
}

/// Both references halve by rounding up in MobileNetV2: the last map has ⌈side / 32⌉ rows.
#[test]
fn mobilenet_maps_halve_rounding_up() {
    for &variant in Variant::ALL {
        for side in 32..=97usize {
            let g = graph(NetworkSpec::new(NetworkKind::MobileNetV2).variant(variant).input(side, 64));
            let last = g.nodes().last().and_then(|n| g.shape(n.input));
            assert_eq!(last, Some([1280, side.div_ceil(32), 2]), "{variant} {side}");
        }
    }
}

#[test]
fn variants_differ_where_the_references_do() {
    let strides = |variant| {
        let g = graph(NetworkSpec::new(NetworkKind::Resnet50).variant(variant));
        let found: Vec<_> = g
            .nodes()
            .iter()
            .filter_map(|n| match &n.op {
                Op::Conv(c) if c.stride == [2, 2] => Some(c.name.clone()),
                _ => None,
            })
            .collect();
        found
    };
    assert!(strides(Variant::Torchvision).contains(&"layer2.0.conv2".into()));
    assert!(strides(Variant::Keras).contains(&"layer2.0.conv1".into()));
    assert!(!strides(Variant::Keras).contains(&"layer2.0.conv2".into()));
}

#[test]
fn what_does_not_exist_is_refused_with_a_remedy() {
    let refused = |spec: NetworkSpec, part: &str| {
        let e = spec.graph().expect_err(part);
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e}");
        assert!(e.to_string().contains(part), "{e}");
    };
    let new = NetworkSpec::new;
    refused(new(NetworkKind::Resnet50).tap(Tap::Fc2), "use `pooled`");
    refused(new(NetworkKind::MobileNetV2).tap(Tap::Fc1), "use `pooled`");
    refused(new(NetworkKind::Vgg16).width(0.5), "width 1");
    refused(new(NetworkKind::MobileNetV2).width(0.2), "0.35 to 1.4");
    refused(new(NetworkKind::MobileNetV2).width(f64::NAN), "0.35 to 1.4");
    refused(new(NetworkKind::MobileNetV2).input(31, 32), "32 to 4096");
    refused(new(NetworkKind::MobileNetV2).input(32, usize::MAX), "32 to 4096");
    refused(new(NetworkKind::Vgg16).variant(Variant::Keras).input(96, 96), "224");
    graph(new(NetworkKind::Vgg16).input(96, 96));
}

#[test]
fn names_round_trip() {
    for &kind in NetworkKind::ALL {
        assert_eq!(kind.name().parse::<NetworkKind>().ok(), Some(kind));
    }
    let e = "vgg19".parse::<NetworkKind>().expect_err("unknown");
    assert!(e.to_string().contains("vgg16, resnet50, mobilenet-v2"), "{e}");
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).variant(Variant::Keras).width(0.35).input(97, 160);
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(
        json,
        r#"{"kind":"mobilenet-v2","variant":"keras","tap":"pooled","width":0.35,"input":[97,160]}"#
    );
    assert_eq!(serde_json::from_str::<NetworkSpec>(&json).unwrap(), spec);
}

/// Graphs of one's own: whatever doesn't fit is refused where it is pushed.
#[test]
fn misfits_are_refused() {
    let conv = |f: fn(&mut Conv)| {
        let mut c = Conv {
            name: "conv".into(),
            channels_in: 4,
            channels_out: 6,
            kernel: [3, 3],
            stride: [1, 1],
            padding: Padding::all(1),
            groups: 2,
            bias: false,
            norm: None,
            residual: None,
            activation: Activation::None,
        };
        f(&mut c);
        Op::Conv(c)
    };
    let pool = |kernel, stride, pad| {
        Op::MaxPool(Pool { kernel, stride, padding: Padding { top: pad, ..Padding::default() } })
    };
    let fc = |features_in, features_out| {
        Op::Linear(Linear { name: "fc".into(), features_in, features_out, activation: Activation::None })
    };
    assert!(Graph::new([4, 8, 8]).push(Value::Input, conv(|_| ())).is_ok());
    for op in [
        conv(|c| c.channels_in = 3),
        conv(|c| c.channels_out = 0),
        conv(|c| c.channels_out = 5),
        conv(|c| c.groups = 0),
        conv(|c| c.groups = 3),
        conv(|c| c.kernel = [0, 3]),
        conv(|c| c.kernel = [3, 11]),
        conv(|c| c.stride = [0, 1]),
        conv(|c| c.padding.left = usize::MAX),
        conv(|c| c.residual = Some(Value::Input)),
        conv(|c| c.residual = Some(Value::Node(0))),
        pool([2, 2], [2, 2], 2),
        pool([9, 1], [1, 1], 0),
        pool([2, 2], [0, 2], 0),
        Op::AdaptiveAvgPool([0, 7]),
        Op::AdaptiveAvgPool([usize::MAX, 7]),
        fc(256, 10),
    ] {
        let e = Graph::new([4, 8, 8]).push(Value::Input, op.clone()).expect_err(&format!("{op:?}"));
        assert_eq!(e.kind(), ErrorKind::Shape, "{op:?}: {e}");
    }
    let flat = || Op::Flatten(FlattenOrder::Chw);
    assert!(Graph::new([4, 8, 8]).push(Value::Node(0), flat()).is_err());
    assert!(Graph::new([0, 8, 8]).push(Value::Input, Op::GlobalAvgPool).is_err());
    assert!(Graph::new([3, 8, 0]).push(Value::Input, Op::GlobalAvgPool).is_err());
    assert!(Graph::new([3, 0, 8]).push(Value::Input, flat()).is_err());
    assert!(Graph::new([usize::MAX, 8, 8]).push(Value::Input, flat()).is_err());
    let mut graph = Graph::new([4, 8, 8]);
    let x = graph.push(Value::Input, flat()).unwrap();
    assert!(graph.push(x, fc(256, 0)).is_err());
    assert!(graph.push(x, fc(256, 10)).is_ok());
}

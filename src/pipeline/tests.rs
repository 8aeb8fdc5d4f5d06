use super::*;
use crate::{
    PixelFormat,
    featurize::{network::NetworkKind, weights::RandomWeights},
    pca::{CovariancePca, IncrementalPca, Keep, Scaling},
    preprocess::Preset,
};
use alloc::borrow::Cow;

struct Fitted {
    recipe: Recipe,
    spec: NetworkSpec,
    weights: RandomWeights,
    projection: Projection,
    classes: Vec<String>,
}

fn fitted() -> Fitted {
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32);
    let weights = RandomWeights::new(&spec.graph().unwrap(), 7);
    let rows: Vec<f32> = (0..6 * 1280).map(|i| (i * i % 31) as f32).collect();
    let mut pca = CovariancePca::new(1280).unwrap();
    pca.partial_fit(Rows::new(&rows, 1280).unwrap()).unwrap();
    Fitted {
        recipe: Preset::KerasTf.recipe(32).unwrap(),
        spec,
        weights,
        projection: pca.fit_scaled(Keep::Count(3), Scaling::Standard).unwrap(),
        classes: Vec::from(["apple".into(), "\"checksum\":\"pear\"".into()]),
    }
}

fn builder(f: &Fitted) -> PipelineBuilder<'_> {
    Pipeline::builder(&f.recipe, f.spec, &f.projection)
        .classes(&f.classes)
        .weights_id("random:7")
        .note("run", "a")
}

fn frame(pixels: &[u8]) -> Frame<'_> {
    Frame::new(PixelFormat::Rgb, 40, 30, pixels).unwrap()
}

fn pixels() -> Vec<u8> {
    (0..40 * 30 * 3).map(|i| (i * 7 % 256) as u8).collect()
}

#[test]
fn what_was_written_is_read_and_runs_the_same() {
    let f = fitted();
    let bytes = builder(&f).weights(&f.weights, Storage::F32).to_bytes().unwrap();
    let file = PipelineFile::from_bytes(&bytes).unwrap();
    assert_eq!(file.recipe(), &f.recipe);
    assert_eq!(file.network(), &f.spec);
    assert_eq!(file.projection(), &f.projection);
    assert_eq!(file.classes(), f.classes);
    assert_eq!((file.weights_id(), file.has_weights()), ("random:7", true));
    assert_eq!(file.notes().get("run").map(String::as_str), Some("a"));
    let shown = format!("{file}");
    assert!(shown.contains("mobilenet-v2 0.35") && shown.contains("1280 scaled features to 3"), "{shown}");

    let device = Device::default();
    let mut pipeline = file.load(&device).unwrap();
    let pixels = pixels();
    let found = pipeline.transform(&frame(&pixels)).unwrap();

    // The stages one by one, without an artifact.
    let mut input = vec![0.0; 3 * 32 * 32];
    RecipePreprocessor::new(f.recipe.clone()).preprocess_into(&frame(&pixels), &mut input).unwrap();
    let net = NetworkFeaturizer::new(&f.spec.graph().unwrap(), &f.weights, &device).unwrap();
    let batch = Tensor::<4>::from_data(TensorData::new(input, [1, 3, 32, 32]), (&device, DType::F32));
    let features = net.featurize(batch).unwrap().into_data().try_into_vec::<f32>().unwrap();
    let mut expected = vec![0.0; 3];
    f.projection.transform_into(Rows::new(&features, 1280).unwrap(), &mut expected).unwrap();
    assert_eq!(found, expected);
    assert_eq!(pipeline.features(&frame(&pixels)).unwrap(), features);
}

#[test]
fn pieces_are_the_bytes_and_writing_is_reproducible() {
    let f = fitted();
    for storage in [Storage::F32, Storage::F16] {
        let builder = builder(&f).weights(&f.weights, storage);
        let bytes = builder.to_bytes().unwrap();
        let mut pieces = Vec::new();
        builder
            .write(&mut |piece| {
                pieces.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        assert!(bytes == pieces);
    }
}

#[test]
fn aligned_weights_are_borrowed_and_half_precision_is_close() {
    let f = fitted();
    let graph = f.spec.graph().unwrap();
    let full = builder(&f).weights(&f.weights, Storage::F32).to_bytes().unwrap();
    let half = builder(&f).weights(&f.weights, Storage::F16).to_bytes().unwrap();
    assert!(half.len() < full.len() * 6 / 10);
    // Vectors of f64 start aligned; a byte further nothing is.
    let mut memory = vec![0f64; full.len().div_ceil(8) + 1];
    for shift in [0, 1] {
        let place = &mut bytemuck::cast_slice_mut::<f64, u8>(&mut memory)[shift..shift + full.len()];
        place.copy_from_slice(&full);
        let file = PipelineFile::from_bytes(place).unwrap();
        for (name, shape) in graph.parameters() {
            let values = file.tensor(&name, &shape).unwrap();
            assert_eq!(values, f.weights.tensor(&name, &shape).unwrap());
            let aligned = cfg!(target_endian = "little") && shift == 0;
            assert_eq!(matches!(values, Cow::Borrowed(_)), aligned, "{name}");
        }
    }
    let file = PipelineFile::from_bytes(&half).unwrap();
    for (name, shape) in graph.parameters() {
        let (a, b) = (file.tensor(&name, &shape).unwrap(), f.weights.tensor(&name, &shape).unwrap());
        assert!(a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() <= 1e-3 * b.abs() + 1e-7), "{name}");
    }
    assert_eq!(file.names().len(), graph.parameters().len());
}

#[test]
fn weights_may_stay_outside() {
    let f = fitted();
    let bytes = builder(&f).to_bytes().unwrap();
    assert!(bytes.len() < 100_000);
    let device = Device::default();
    let e = Pipeline::from_bytes(&bytes, &device).err().unwrap();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert!(e.message().contains("random:7"), "{e}");
    let file = PipelineFile::from_bytes(&bytes).unwrap();
    assert!(!file.has_weights());
    let mut pipeline = file.load_with(&f.weights, &device).unwrap();
    assert_eq!(pipeline.transform(&frame(&pixels())).unwrap().len(), 3);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let f = fitted();
    let other = Preset::KerasTf.recipe(64).unwrap();
    let e = Pipeline::builder(&other, f.spec, &f.projection).to_bytes().unwrap_err();
    assert_eq!((e.kind(), e.stage()), (ErrorKind::Mismatch, Stage::Artifact));
    let spec = NetworkSpec::new(NetworkKind::Resnet50).input(32, 32);
    let e = Pipeline::builder(&f.recipe, spec, &f.projection).to_bytes().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch);
    let other = RandomWeights::new(&spec.graph().unwrap(), 1);
    assert!(builder(&f).weights(&other, Storage::F32).to_bytes().is_err());
}

#[test]
fn damage_and_foreign_files_are_named() {
    let f = fitted();
    let bytes = builder(&f).to_bytes().unwrap();
    let kind = |bytes: &[u8]| PipelineFile::from_bytes(bytes).unwrap_err().kind();
    for cut in (0..bytes.len()).step_by(97) {
        assert_eq!(kind(&bytes[..cut]), ErrorKind::Corrupt, "cut at {cut}");
    }
    for at in (0..bytes.len()).step_by(61) {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        let kind = kind(&bad);
        let expected = [ErrorKind::Corrupt, ErrorKind::Checksum, ErrorKind::Unsupported];
        assert!(expected.contains(&kind), "byte {at}: {kind:?}");
        if at > bytes.len() - 1000 {
            assert_eq!(kind, ErrorKind::Checksum);
        }
    }
    let replace = |from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    assert_eq!(
        kind(&replace("\"format_version\":\"1\"", "\"format_version\":\"9\"")),
        ErrorKind::Unsupported
    );
    let e = PipelineFile::from_bytes(&replace("fruitcore-pipeline", "fruitcore-pipelane")).unwrap_err();
    assert!(e.message().contains("checkpoint"), "{e}");
    assert_eq!(kind(&replace("keras-tf", "keras-tg")), ErrorKind::Checksum);
    assert_eq!(kind(b""), ErrorKind::Corrupt);
}

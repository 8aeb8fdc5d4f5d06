use super::*;
use crate::{
    PixelFormat, Preprocessor,
    featurize::{network::NetworkKind, weights::RandomWeights},
    pca::{CovariancePca, IncrementalPca, Keep, Scaling},
    preprocess::Preset,
};
use alloc::{borrow::Cow, format};
use burn::tensor::{DType, Tensor, TensorData};

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
fn a_network_that_is_ready_serves_an_artifact_without_weights() {
    let f = fitted();
    let bytes = builder(&f).to_bytes().unwrap();
    let file = PipelineFile::from_bytes(&bytes).unwrap();
    let (device, pixels) = (Device::default(), pixels());
    let network = |spec: NetworkSpec| {
        let graph = spec.graph().unwrap();
        NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 7), &device).unwrap()
    };
    let found = file.load_network(network(f.spec)).unwrap().transform(&frame(&pixels)).unwrap();
    let expected = file.load_with(&f.weights, &device).unwrap().transform(&frame(&pixels)).unwrap();
    assert_eq!(found, expected);
    for other in [f.spec.input(32, 64), f.spec.width(1.4)] {
        let e = file.load_network(network(other)).err().unwrap();
        assert_eq!(e.kind(), ErrorKind::Shape);
        assert!(e.message().contains("1280 of [3, 32, 32]"), "{e}");
    }
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
fn a_head_sees_its_part_of_pictures() {
    let f = fitted();
    let mut fit = CentroidFit::new(3).unwrap();
    fit.partial_fit(Rows::new(&[0.0, 0.0, 0.0, 9.0, 9.0, 9.0], 3).unwrap(), &["lime", "plum"]).unwrap();
    let centroids = fit.finish().unwrap();
    let head = |name: &str, share| {
        Head::new(name, Reads::Components, centroids.clone()).unwrap().with_crop_pct(share).unwrap()
    };
    let heads = [head("all", 1.0), head("middle", 0.6)];
    let weights = builder(&f).weights(&f.weights, Storage::F32);
    let bytes = heads.iter().fold(weights, PipelineBuilder::head).to_bytes().unwrap();
    assert_eq!(PipelineFile::from_bytes(&bytes).unwrap().heads(), heads);

    let mut pipeline = Pipeline::from_bytes(&bytes, &Device::default()).unwrap();
    let net = NetworkFeaturizer::new(&f.spec.graph().unwrap(), &f.weights, &Device::default()).unwrap();
    let pixels = pixels();
    let mut expected = |head: &Head| {
        let recipe = f.recipe.with_crop_pct(head.crop_pct()).unwrap();
        let features = featurize(&mut RecipePreprocessor::new(recipe), &net, &[frame(&pixels)]).unwrap();
        let mut components = [0.0; 3];
        f.projection.transform_into(Rows::new(&features, 1280).unwrap(), &mut components).unwrap();
        head.predict(&components, 2).unwrap().probability()
    };
    let [all, middle] = [&heads[0], &heads[1]].map(&mut expected);
    assert!(all != middle);
    for (name, expected) in [("middle", middle), ("all", all)] {
        pipeline.select_head(name).unwrap();
        assert_eq!(pipeline.classify(&frame(&pixels)).unwrap().probability(), expected, "{name}");
        let both = pipeline.classify_batch(&[frame(&pixels), frame(&pixels)]).unwrap();
        assert_eq!(both[1].probability(), expected, "{name}");
    }
    for bad in [0.0, -1.0, 1.01, f32::NAN] {
        assert_eq!(heads[0].clone().with_crop_pct(bad).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
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

use crate::classify::{CentroidFit, Metric, NeighborsFit, Weighting, softmax::Softmax};

/// One head of each kind, over features and over components.
fn heads() -> Vec<Head> {
    let values = |n: usize| (0..n).map(|i| (i * i % 23) as f32 / 7.0 - 1.0).collect::<Vec<f32>>();
    let names = ["apple", "kiwi \"green\"", "lemon"];
    let mut centroids = CentroidFit::new(3).unwrap();
    centroids.partial_fit(Rows::new(&values(18), 3).unwrap(), &[names, names].concat()).unwrap();
    let mut neighbors = NeighborsFit::new(3).unwrap();
    neighbors.partial_fit(Rows::new(&values(18), 3).unwrap(), &[names, names].concat()).unwrap();
    let weights = values(3 * 1280).iter().map(|v| v / 50.0).collect();
    let softmax = Softmax::from_parts(names.map(String::from).to_vec(), weights, values(3)).unwrap();
    Vec::from([
        Head::new("means", Reads::Components, centroids.finish().unwrap()).unwrap(),
        Head::new("linear", Reads::Features, softmax).unwrap().with_temperature(1.7).unwrap(),
        Head::new(
            "near",
            Reads::Components,
            neighbors.finish(3, Metric::Cosine, Weighting::Distance).unwrap(),
        )
        .unwrap()
        .with_threshold(0.25)
        .unwrap()
        .note("fitted on", "6 pictures"),
    ])
}

#[test]
fn heads_are_read_as_written_and_classify_the_same() {
    let f = fitted();
    let single = heads();
    let half: Vec<Head> = heads().into_iter().map(|h| h.in_half_precision().unwrap()).collect();
    for heads in [&single, &half] {
        let builder = heads.iter().fold(builder(&f).weights(&f.weights, Storage::F16), PipelineBuilder::head);
        let bytes = builder.to_bytes().unwrap();
        let file = PipelineFile::from_bytes(&bytes).unwrap();
        assert_eq!(file.heads(), heads);
        assert_eq!(file.head(None).unwrap().name(), "means");
        assert!(format!("{file}").contains("near: knn over components, 3 classes"), "{file}");
        assert_eq!(file.names().len(), f.spec.graph().unwrap().parameters().len());

        let mut pipeline = file.load(&Device::default()).unwrap();
        let pixels = pixels();
        let frames = [frame(&pixels), frame(&pixels[..40 * 30 * 3])];
        let features = pipeline.features(&frames[0]).unwrap();
        let components = pipeline.transform(&frames[0]).unwrap();
        for head in heads {
            pipeline.select_head(head.name()).unwrap();
            pipeline.set_top(2);
            let row = if head.reads() == Reads::Features { &features } else { &components };
            let expected = head.predict(row, 2).unwrap();
            assert_eq!(pipeline.classify(&frames[0]).unwrap(), expected);
            assert_eq!(pipeline.classify_features(&features).unwrap(), expected);
            let batch = pipeline.classify_batch(&frames).unwrap();
            assert_eq!((batch.len(), batch[0].best()), (2, expected.best()));
        }
        let e = pipeline.select_head("far").unwrap_err();
        assert!(e.kind() == ErrorKind::NotFound && e.message().contains("`linear`"), "{e}");
        assert!(pipeline.classify_batch(&[]).unwrap().is_empty());
        assert!(pipeline.classify_features(&[]).is_err());

        // A rebuilt artifact is the same; a head of the same name takes the other's place.
        assert!(file.to_builder().to_bytes().unwrap() == bytes);
        let other = heads[0].clone().with_threshold(0.5).unwrap();
        let again = file.to_builder().head(&other).to_bytes().unwrap();
        let again = PipelineFile::from_bytes(&again).unwrap();
        assert_eq!((again.heads().len(), &again.heads()[0]), (3, &other));
    }
    let size =
        |heads: &[Head]| heads.iter().fold(builder(&f), PipelineBuilder::head).to_bytes().unwrap().len();
    let saved: usize = single.iter().zip(&half).map(|(a, b)| a.bytes() - b.bytes()).sum();
    assert_eq!(saved, 2 * (9 + 3 * 1280 + 18));
    assert!(size(&single) - size(&half) > saved - 16);
}

#[test]
fn without_a_head_nothing_is_classified_and_the_file_is_as_before() {
    let f = fitted();
    let bytes = builder(&f).weights(&f.weights, Storage::F16).to_bytes().unwrap();
    assert!(!bytes.windows(7).any(|w| w == b"\"heads\""));
    let mut pipeline = Pipeline::from_bytes(&bytes, &Device::default()).unwrap();
    let e = pipeline.classify(&frame(&pixels())).unwrap_err();
    assert!(e.kind() == ErrorKind::NotFound && e.message().contains("fit one"), "{e}");
    let file = PipelineFile::from_bytes(&bytes).unwrap();
    assert!(file.heads().is_empty() && file.head(None).is_err() && file.head(Some("a")).is_err());
}

#[test]
fn a_head_of_another_pipeline_is_refused() {
    let f = fitted();
    let rows = [1.0; 8];
    let mut fit = CentroidFit::new(4).unwrap();
    fit.partial_fit(Rows::new(&rows, 4).unwrap(), &["a", "b"]).unwrap();
    let head = Head::new("four", Reads::Components, fit.finish().unwrap()).unwrap();
    let e = builder(&f).head(&head).to_bytes().unwrap_err();
    assert!(e.kind() == ErrorKind::Mismatch && e.message().contains("4 components"), "{e}");
}

/// Changes the header's text without changing its length, and makes the checksum right again.
fn tampered(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    resealed(bytes)
}

fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let place = write::checksum_place(&bytes[..header]).unwrap();
    bytes[place.clone()].copy_from_slice(write::ZEROS.as_bytes());
    let mut sum = crate::state::Checksum::default();
    sum.update(&bytes);
    bytes[place].copy_from_slice(format!("{:016x}", sum.finish()).as_bytes());
    bytes
}

#[test]
fn a_damaged_head_is_named() {
    let f = fitted();
    let heads = heads();
    let bytes = heads.iter().fold(builder(&f), PipelineBuilder::head).to_bytes().unwrap();
    assert_eq!(PipelineFile::from_bytes(&resealed(bytes.clone())).unwrap().heads(), heads);
    for (from, to, kind, words) in [
        ("knn", "kmm", ErrorKind::Unsupported, "`kmm`"),
        ("\"heads.1.bias\"", "\"heads.1.bios\"", ErrorKind::NotFound, "heads.1.bias"),
        ("\\\"columns\\\":1280", "\\\"columns\\\":1281", ErrorKind::Shape, "heads.1.weights"),
        ("\\\"k\\\":3", "\\\"k\\\":7", ErrorKind::Corrupt, "7 neighbours of 6"),
        ("\\\"temperature\\\":1.7", "\\\"temperature\\\":-17", ErrorKind::Corrupt, "`linear` is damaged"),
        ("\\\"threshold\\\":0.25", "\\\"threshold\\\":2.25", ErrorKind::Corrupt, "`near` is damaged"),
        ("\\\"name\\\":\\\"near\\\"", "\\\"naem\\\":\\\"near\\\"", ErrorKind::Corrupt, "`heads`"),
        ("\\\"variance\\\"", "\\\"varyance\\\"", ErrorKind::Corrupt, "variance"),
        ("\\\"lemon\\\"", "\\\"apple\\\"", ErrorKind::Corrupt, "apple"),
    ] {
        let e = PipelineFile::from_bytes(&tampered(&bytes, from, to)).unwrap_err();
        assert!(e.kind() == kind && format!("{e}").contains(words), "{from} → {to}: {e:?}");
    }
    // NaN among the numbers: the last tensors are the heads'.
    let mut nan = bytes.clone();
    let n = nan.len();
    nan[n - 12..n - 8].copy_from_slice(&f32::NAN.to_le_bytes());
    let e = PipelineFile::from_bytes(&resealed(nan)).unwrap_err();
    assert!(e.kind() == ErrorKind::Corrupt && e.message().contains("damaged"), "{e}");
    // Any changed byte at all is noticed.
    for at in (0..bytes.len()).step_by(997) {
        let mut bad = bytes.clone();
        bad[at] ^= 4;
        assert!(PipelineFile::from_bytes(&bad).is_err(), "byte {at}");
    }
}

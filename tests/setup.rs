//! `host::setup`: what is asked for and what the weights say, as one network.
#![cfg(all(feature = "host", feature = "bundled", feature = "flex"))]

use burn::tensor::{Device, Tensor, TensorData};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec, Tap, Variant};
use fruitcore::featurize::weights::registry::{self, Digest};
use fruitcore::host::demo::Fruits;
use fruitcore::host::driver::Control;
use fruitcore::host::setup::{Fitted, RecipeFrom, Setup, SetupBuilder, WeightsFrom, artifact};
use fruitcore::host::weights::Cache;
use fruitcore::model::BUNDLED;
use fruitcore::pca::{Keep, Rows};
use fruitcore::pipeline::Pipeline;
use fruitcore::preprocess::Preset;
use fruitcore::{ErrorKind, Featurizer, Frame, PixelFormat};

fn small<'a>() -> SetupBuilder<'a> {
    Setup::builder().weights("random:3").width(0.35).input(32, 32)
}

fn refusal(builder: SetupBuilder<'_>) -> (ErrorKind, String) {
    let e = builder.build().err().expect("refused");
    (e.kind(), e.to_string())
}

#[test]
fn weights_decide_what_is_not_asked_for() {
    let setup = Setup::builder().build().unwrap();
    assert_eq!(setup.network().to_string(), "mobilenet-v2 0.35 (torchvision, pooled, 160x160)");
    assert_eq!((setup.recipe().name(), setup.recipe().output_shape()), ("simple", [3, 160, 160]));
    assert!(setup.weights().to_string().starts_with("sha256:"));

    // The same bytes as a file; another size keeps the preprocessing's kind.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.safetensors");
    std::fs::write(&file, BUNDLED).unwrap();
    let resolved = Setup::builder().weights(&*file).input(64, 64).resolve().unwrap();
    assert_eq!(resolved.id(), *setup.weights());
    assert_eq!((resolved.recipe().name(), resolved.network().input), ("simple", [64, 64]));
    let resolved = Setup::builder().weights(&*file).recipe(Preset::KerasTf).resolve().unwrap();
    assert_eq!((resolved.recipe().name(), resolved.network().input), ("keras-tf", [224, 224]));
    // What a model brings goes before a fallback, a fallback before a publisher's preset.
    let resolved = Setup::builder().weights(&*file).fallback_recipe("keras-tf").resolve().unwrap();
    assert_eq!(resolved.recipe().name(), "simple");
    let resolved = small().fallback_recipe("keras-caffe").resolve().unwrap();
    assert_eq!(resolved.recipe().name(), "keras-caffe");

    let keras = small().variant(Variant::Keras).resolve().unwrap();
    assert_eq!((keras.recipe().name(), keras.network().variant), ("keras-tf", Variant::Keras));
    let vgg = Setup::builder().network(NetworkKind::Vgg16).weights("random").tap(Tap::Pooled);
    assert_eq!(vgg.resolve().unwrap().network().to_string(), "vgg16 (torchvision, pooled, 224x224)");
}

#[test]
fn choices_that_make_no_sense_are_refused() {
    let (kind, text) = refusal(Setup::builder().network(NetworkKind::Resnet50));
    assert!(kind == ErrorKind::InvalidArgument && text.contains("imagenet"), "{text}");
    let (kind, text) = refusal(Setup::builder().weights("random").input(32, 48));
    assert!(kind == ErrorKind::InvalidArgument && text.contains("square"), "{text}");
    let (kind, text) = refusal(small().recipe(Preset::KerasTf.recipe(64).unwrap()));
    assert!(kind == ErrorKind::InvalidArgument && text.contains("64x64"), "{text}");
    let (kind, text) = refusal(small().recipe("keras-tff"));
    assert!(kind == ErrorKind::InvalidArgument && text.contains("keras-tf,"), "{text}");
    let (kind, text) = refusal(Setup::builder().weights("random").network(NetworkKind::Vgg16).width(0.5));
    assert!(kind == ErrorKind::InvalidArgument && text.contains("width"), "{text}");
    assert_eq!(refusal(Setup::builder().weights("random:x")).0, ErrorKind::NotFound);
    assert_eq!(refusal(Setup::builder().weights("nowhere/a.pth")).0, ErrorKind::NotFound);
    let (kind, text) = refusal(Setup::builder().weights("bundled").network(NetworkKind::Resnet50));
    assert!(kind != ErrorKind::InvalidArgument && text.contains("resnet50"), "{text}");
    // A recipe of one's own from a file.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("recipe.json");
    std::fs::write(&file, Preset::Simple.recipe(48).unwrap().to_json()).unwrap();
    let found = Setup::builder().weights("random").width(0.35).recipe(file.clone()).resolve().unwrap();
    assert_eq!(found.network().input, [48, 48]);
    std::fs::write(&file, "{").unwrap();
    assert!(RecipeFrom::File(file).recipe(None).is_err());
}

#[test]
fn published_weights_come_from_the_cache_that_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    let entry = registry::imagenet(NetworkKind::MobileNetV2, Variant::Torchvision).unwrap();
    std::fs::create_dir_all(cache.path(entry).parent().unwrap()).unwrap();
    std::fs::write(cache.path(entry), b"not what was published").unwrap();
    for weights in ["imagenet", entry.name] {
        let builder = Setup::builder().weights(weights).cache(cache.clone());
        assert_eq!(refusal(builder).0, ErrorKind::Checksum, "{weights}");
    }
}

/// A file with torchvision's names of a network's tensors, large ones with a shape of one.
fn outline(kind: NetworkKind) -> Vec<u8> {
    file_of(NetworkSpec::new(kind).graph().unwrap().parameters())
}

fn file_of(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let shape = if shape.iter().product::<usize>() > 40_000 { vec![1] } else { shape };
        let end = data + 4 * shape.iter().product::<usize>();
        let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [data, end] });
        header.insert(name, entry);
        data = end;
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &vec![0; data]].concat()
}

/// Those whose publishers state a digest are tried beside the code, without their files.
#[test]
fn published_weights_bring_their_preprocessing_wherever_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path().join("cache"));
    let mut tried = 0;
    for entry in registry::list().iter().filter(|entry| entry.digest == Digest::Unknown) {
        tried += 1;
        let recipe = |weights: WeightsFrom| {
            let builder = Setup::builder().weights(weights).cache(cache.clone());
            builder.resolve().unwrap().recipe().name().to_owned()
        };
        let held = cache.path(entry);
        std::fs::create_dir_all(held.parent().unwrap()).unwrap();
        std::fs::write(&held, outline(entry.network)).unwrap();
        assert_eq!(recipe(held.clone().into()), entry.preset, "by its place: {}", entry.name);
        let named = dir.path().join(entry.file_name());
        std::fs::copy(&held, &named).unwrap();
        assert_eq!(recipe(named.into()), entry.preset, "by its file's name: {}", entry.name);
        // By its name; this records its digest, too.
        assert_eq!(recipe(entry.name.into()), entry.preset, "{}", entry.name);
        let moved = dir.path().join("moved.safetensors");
        std::fs::copy(&held, &moved).unwrap();
        assert_eq!(recipe(moved.into()), entry.preset, "by its digest: {}", entry.name);
        std::fs::remove_dir_all(held.parent().unwrap()).unwrap();
    }
    assert_eq!(tried, 6);
    // A name that is wrong about the network in the file says nothing, nor does one with another digest.
    let file = dir.path().join("timm-resnet50-a1.safetensors");
    std::fs::write(&file, outline(NetworkKind::Vgg16)).unwrap();
    let v2 = dir.path().join("resnet50-11ad3fa6.pth");
    std::fs::write(&v2, outline(NetworkKind::Resnet50)).unwrap();
    for file in [file, v2] {
        let resolved = Setup::builder().weights(&*file).cache(cache.clone()).resolve().unwrap();
        assert_eq!(resolved.recipe().name(), "torchvision-v1", "{}", file.display());
    }
}

/// As hand-made copies of timm's weights are, without a publisher's name or digest.
#[test]
fn names_that_only_timm_uses_bring_its_preprocessing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("model.safetensors");
    let blocks = [1, 2, 3, 4, 3, 3, 1].iter().enumerate();
    let blocks = blocks.flat_map(|(i, &n)| (0..n).map(move |j| format!("blocks.{i}.{j}.conv_dw.weight")));
    let mobilenet =
        blocks.chain(["conv_stem.weight", "blocks.6.0.conv_pwl.weight"].map(String::from)).collect();
    let vgg = |head: &[&str]| {
        let features = ["features.0.weight", "features.28.weight"];
        features.iter().chain(head).map(ToString::to_string).collect()
    };
    let cases: [(Vec<String>, _, _); 3] = [
        (mobilenet, NetworkKind::MobileNetV2, "timm-ra"),
        (vgg(&["pre_logits.fc1.weight", "head.fc.weight"]), NetworkKind::Vgg16, "timm-tv"),
        (vgg(&["classifier.0.weight"]), NetworkKind::Vgg16, "torchvision-v1"),
    ];
    for (names, network, preset) in cases {
        std::fs::write(&file, file_of(names.into_iter().map(|name| (name, vec![1])))).unwrap();
        let resolved = Setup::builder().weights(&*file).cache(Cache::at(dir.path())).resolve().unwrap();
        assert_eq!((resolved.network().kind, resolved.recipe().name()), (network, preset));
    }
}

#[test]
fn a_run_and_what_it_fitted_are_the_same_network() {
    let dir = tempfile::tempdir().unwrap();
    let [pictures, out] = ["pictures", "out"].map(|name| dir.path().join(name).display().to_string());
    Fruits::new(2).write(pictures.as_ref(), 0..1).unwrap();
    let setup = small().build().unwrap();
    let mut options = setup.options().unwrap();
    options.keep = Some(Keep::Count(4));
    setup.run(&pictures, &out).unwrap().options(options.clone()).start(&Control::default()).unwrap();

    let fitted = Fitted::open(&out).unwrap();
    assert!(!fitted.is_model() && !fitted.has_weights());
    assert_eq!((fitted.network(), fitted.recipe()), (setup.network(), setup.recipe()));
    assert_eq!((fitted.projection().unwrap().kept(), fitted.weights_id()), (4, "random:3"));
    // Its weights are made again from their seed.
    let again = fitted.setup(None, Device::flex()).unwrap();
    let input = vec![0.25; 3 * 32 * 32];
    let features = |setup: &Setup| {
        let batch = Tensor::from_data(TensorData::new(input.clone(), [1, 3, 32, 32]), setup.device());
        setup.featurizer().featurize(batch).unwrap().into_data().try_into_vec::<f32>().unwrap()
    };
    assert_eq!(features(&setup), features(&again));
    let other = fitted.setup(Some(&WeightsFrom::Random(4)), Device::flex()).err().unwrap();
    assert_eq!(other.kind(), ErrorKind::Mismatch, "{other}");

    // Started again, nothing is left to do; with other weights it is another run.
    let summary = setup.run(&pictures, &out).unwrap().options(options.clone()).start(&Control::default());
    assert_eq!(summary.unwrap().images_this_start, 0);
    let other = small().weights("random:4").build().unwrap();
    let e = other.run(&pictures, &out).unwrap().start(&Control::default()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
    // Weights that are not the run's don't get into its artifact.
    options.artifact = Some(artifact(Some(WeightsFrom::Bundled)));
    options.keep = Some(Keep::Count(3));
    let e = setup.run(&pictures, &out).unwrap().options(options).start(&Control::default()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
}

#[test]
fn an_output_inside_the_input_is_none_of_its_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    Fruits::new(2).write(&pictures, 0..1).unwrap();
    let setup = small().build().unwrap();
    let mut options = setup.options().unwrap();
    options.keep = Some(Keep::Count(4));
    let start = |out: &std::path::Path| {
        let run = setup.run(&pictures.display().to_string(), &out.display().to_string()).unwrap();
        run.options(options.clone()).start(&Control::default())
    };
    let out = pictures.join("out");
    let images = start(&out).unwrap().images;
    std::fs::create_dir(out.join("figures")).unwrap();
    let picture = std::fs::read_dir(&pictures).unwrap().find_map(|kind| {
        std::fs::read_dir(kind.unwrap().path())
            .unwrap()
            .find(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "jpg"))
    });
    std::fs::copy(picture.unwrap().unwrap().path(), out.join("figures/scree.jpg")).unwrap();
    let again = start(&out).unwrap();
    assert_eq!((again.images, again.images_this_start, again.skipped), (images, 0, 0));
    let e = start(&pictures).unwrap_err();
    assert!(e.kind() == ErrorKind::InvalidArgument && e.message().contains("the input itself"), "{e}");
    assert!(!pictures.join("manifest.json").exists());
}

#[test]
fn a_model_is_a_pipeline() {
    let fitted = Fitted::open("bundled").unwrap();
    assert!(fitted.is_model() && fitted.has_weights() && fitted.classes().is_empty());
    assert_eq!(fitted.projection().unwrap().kept(), 50);
    assert_eq!(fitted.head(None).unwrap().name(), "fruit");
    assert_eq!(fitted.head(Some("stall")).unwrap_err().kind(), ErrorKind::NotFound);
    let head = fitted.head(Some("shop")).unwrap();
    assert_eq!(fitted.with_head(head).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(Fitted::is_fitted(BUNDLED) && Fitted::is_fitted(&BUNDLED[..BUNDLED.len() / 2]));
    assert!(!Fitted::is_fitted(b"") && !Fitted::is_fitted(b"PAR1"));
    for cut in [0, 7, 100, BUNDLED.len() / 2, BUNDLED.len() - 1] {
        assert!(Fitted::from_bytes(&BUNDLED[..cut]).is_err(), "{cut}");
    }

    let mut pipeline = Pipeline::bundled(&Device::flex()).unwrap();
    let pixels: Vec<u8> = (0..3 * 50 * 40).map(|i| (i % 251) as u8).collect();
    let frame = Frame::new(PixelFormat::Rgb, 50, 40, &pixels).unwrap();
    assert!(pipeline.classes().is_empty());
    let features = pipeline.features(&frame).unwrap();
    let mut components = [0.0; 50];
    let rows = Rows::new(&features, 1280).unwrap();
    pipeline.projection().unwrap().transform_into(rows, &mut components).unwrap();
    assert_eq!(pipeline.transform(&frame).unwrap(), components);
    let two = pipeline.classify_batch(&[frame, frame]).unwrap();
    assert_eq!((two.len(), two[0].best()), (2, two[1].best()));
    let best = two[0].best().to_owned();
    assert_eq!(pipeline.classify_features(&features).unwrap().best(), best);
    pipeline.select_head("shop").unwrap();
    assert!(head.classes().iter().any(|c| c == pipeline.classify(&frame).unwrap().best()));
}

/// Whatever becomes of a model's bytes, reading them is an error or a model, never a panic.
#[test]
fn damaged_models_are_errors() {
    let header = 8 + u64::from_le_bytes(*BUNDLED.first_chunk().unwrap()) as usize;
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let (mut refused, mut digits) = (0, BUNDLED.to_vec());
    for round in 0..300 {
        let mut bytes = BUNDLED.to_vec();
        for _ in 0..1 + next(3) {
            // Half of them in numbers, which shapes, offsets and settings are.
            let at = match round % 2 {
                0 => next(header),
                _ => (0..).map(|_| next(header)).find(|at| bytes[*at].is_ascii_digit()).unwrap(),
            };
            bytes[at] = if round % 2 == 0 { next(256) as u8 } else { b'0' + next(10) as u8 };
        }
        refused += usize::from(Fitted::from_bytes(bytes).is_err());
    }
    assert!(refused > 100, "{refused} of 300");
    // Weights that are no numbers are named, not computed with.
    digits[header..].fill(0xff);
    let e = Fitted::from_bytes(digits).and_then(|f| f.setup(None, Device::flex()).map(|_| ())).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NonFinite, "{e}");
}

//! Training on a handful of drawn pictures: what it writes, going on after a stop, and bad input.
#![cfg(feature = "train")]

use burn::tensor::Device;
use bytes::Bytes;
use fruitcore::classify::{Head, Model};
use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
use fruitcore::featurize::weights::{Checkpoint, RandomWeights};
use fruitcore::host::driver::Control;
use fruitcore::host::run::{OutputStore, open_output};
use fruitcore::host::train::{self, Blend, DataSpec, Teachers, TrainOptions, TrainReport};
use fruitcore::model::ModelFile;
use fruitcore::pipeline::Pipeline;
use fruitcore::preprocess::Preset;
use fruitcore::{Error, ErrorKind, Frame, PixelFormat, Stage};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const SIDE: u32 = 32;

/// Discs of one colour a class on white, or stripes that fill the picture.
fn picture(class: u32, number: u32, scene: bool) -> Vec<u8> {
    let colours = [[200u8, 30, 20], [30, 160, 40], [40, 60, 190]];
    let image = image::RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (dx, dy) = (x as i32 - 16 - (number % 3) as i32, y as i32 - 16 + (number % 5) as i32 - 2);
        let inside = if scene { (x + number) % (4 + class * 4) < 3 } else { dx * dx + dy * dy < 100 };
        let shade = (number * 3 % 20) as u8;
        match (inside, scene) {
            (true, _) => image::Rgb(colours[class as usize].map(|c| c.saturating_add(shade))),
            (false, true) => image::Rgb([90, 80, 70]),
            (false, false) => image::Rgb([255; 3]),
        }
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn data(root: &Path, name: &str, scene: bool) -> DataSpec {
    for class in 0..3 {
        let folder = root.join(name).join(["apple", "lime", "plum"][class as usize]);
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..12 {
            std::fs::write(folder.join(format!("{number}_100.png")), picture(class, number, scene)).unwrap();
        }
    }
    format!("{name}={}", root.join(name).display()).parse().unwrap()
}

fn options(epochs: u32) -> TrainOptions {
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32);
    let mut options = TrainOptions::new(spec, Preset::Simple.recipe(32).unwrap(), Device::flex());
    options.epochs = epochs;
    options.batch = 9;
    options.seed = 3;
    options.average = 0.5;
    options.mixup = 0.3;
    options
}

/// Enough epochs, of pictures changed little enough, to learn three classes.
fn learnable() -> TrainOptions {
    let mut options = options(12);
    options.mixup = 0.0;
    options.augment.jitter = 0.1;
    options
}

fn run(data: &[DataSpec], options: &TrainOptions, out: &Path) -> Result<TrainReport, Error> {
    let store = open_output(&out.display().to_string())?;
    train::train(data, options, None, &*store, &Control::default(), &mut |_| {})
}

fn store(out: &Path) -> Arc<dyn OutputStore> {
    open_output(&out.display().to_string()).unwrap()
}

#[test]
fn a_stopped_training_goes_on_to_the_same_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut sets = [data(dir.path(), "turntable", false), data(dir.path(), "shop", true)];
    sets[1].auxiliary = true;
    let [whole, parts] = ["whole", "parts"].map(|name| dir.path().join(name));
    let mut losses = Vec::new();
    let report = train::train(&sets, &options(3), None, &*store(&whole), &Control::default(), &mut |e| {
        losses.push(e.loss);
    })
    .unwrap();
    assert_eq!(losses.len(), 3);
    assert!(losses.iter().all(|l| l.is_finite()), "{losses:?}");
    assert_eq!(report.heads.len(), 2);
    assert!(report.heads[0].pasted.is_some() && report.heads[1].pasted.is_none());
    assert_eq!((report.heads[0].trained, report.heads[0].pictures), (30, 6));

    let mut first = options(3);
    first.stop_after = Some(1);
    run(&sets, &first, &parts).unwrap();
    // A process that is killed in an epoch leaves the one before.
    let control = Control::default();
    let e = train::train(&sets, &options(3), None, &*store(&parts), &control, &mut |e| {
        if e.epoch == 2 {
            control.cancel();
        }
    });
    assert_eq!(e.unwrap_err().kind(), ErrorKind::Interrupted);
    run(&sets, &options(3), &parts).unwrap();
    for file in ["model.safetensors", "model-int8.safetensors", "confusion-turntable.csv"] {
        let [a, b] = [&whole, &parts].map(|d| std::fs::read(d.join(file)).unwrap());
        assert!(a == b, "{file} differs");
    }
    let metrics = std::fs::read_to_string(parts.join("metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 4, "{metrics}");

    // Another configuration doesn't go on from there.
    let e = run(&sets, &options(4), &parts).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");

    // Both models run, with the head that was to be kept; they answer alike.
    let pixels = [120; 40 * 30 * 3];
    let frame = Frame::new(PixelFormat::Rgb, 40, 30, &pixels).unwrap();
    let mut answers = Vec::new();
    for file in ["model.safetensors", "model-int8.safetensors"] {
        let bytes = std::fs::read(whole.join(file)).unwrap();
        let read = ModelFile::from_bytes(&bytes).unwrap();
        Checkpoint::from_bytes(&bytes).unwrap().check(read.network()).unwrap();
        let mut model = read.load(&Device::flex()).unwrap();
        assert_eq!(model.heads().iter().map(|h| h.name()).collect::<Vec<_>>(), ["turntable"]);
        assert_eq!(model.heads()[0].classes(), ["apple", "lime", "plum"]);
        assert_eq!(model.select_head("shop").unwrap_err().kind(), ErrorKind::NotFound);
        // One fewer than the pictures that the kept head was trained on.
        assert_eq!(model.transform(&frame).unwrap().len(), 29);
        answers.push(model.classify(&frame).unwrap().probability());
    }
    assert!((answers[0] - answers[1]).abs() < 0.1, "{answers:?}");
    assert!(Pipeline::from_bytes(b"", &Device::flex()).is_err());
    assert_eq!(ModelFile::from_bytes(b"").err().unwrap().kind(), ErrorKind::Unsupported);

    // Its probabilities are those of the temperature that validation found.
    let bytes = std::fs::read(whole.join("model.safetensors")).unwrap();
    let read = ModelFile::from_bytes(&bytes).unwrap();
    let found = report.heads[0].temperature.unwrap();
    assert_eq!(read.temperatures().iter().collect::<Vec<_>>(), [(&"turntable".to_string(), &found)]);
    assert_eq!(read.heads().unwrap()[0].temperature(), found);
    let [before, after] = [report.heads[0].loss, report.heads[0].calibrated_loss].map(Option::unwrap);
    assert!(after <= before, "{after} and {before}");
}

/// A folder on a disk that is full after some files.
struct Full {
    inner: Arc<dyn OutputStore>,
    left: AtomicUsize,
}

impl OutputStore for Full {
    fn put(&self, name: &str, bytes: &[u8]) -> fruitcore::Result<()> {
        if self.left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_err() {
            return Err(Error::new(ErrorKind::Io, Stage::Sink, "no space left on device").at(name));
        }
        self.inner.put(name, bytes)
    }
    fn get(&self, name: &str) -> fruitcore::Result<Option<Bytes>> {
        self.inner.get(name)
    }
    fn size(&self, name: &str) -> fruitcore::Result<Option<u64>> {
        self.inner.size(name)
    }
    fn entries(&self, folder: &str) -> fruitcore::Result<Vec<String>> {
        self.inner.entries(folder)
    }
    fn remove(&self, name: &str) -> fruitcore::Result<()> {
        self.inner.remove(name)
    }
    fn lock(&self, owner: &str) -> fruitcore::Result<Box<dyn std::any::Any + Send>> {
        self.inner.lock(owner)
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[test]
fn a_full_disk_keeps_the_last_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [data(dir.path(), "set", false)];
    let [whole, full] = ["whole", "full"].map(|name| dir.path().join(name));
    run(&sets, &options(2), &whole).unwrap();
    // Whichever file of the second epoch or of the end is the first that has no room.
    for files in 3..8 {
        let disk = Full { inner: store(&full), left: AtomicUsize::new(files) };
        let e = train::train(&sets, &options(2), None, &disk, &Control::default(), &mut |_| {}).unwrap_err();
        assert_eq!((e.kind(), e.object().is_some()), (ErrorKind::Io, true), "{e}");
        // What there is can be used, and is gone on from when there is room.
        let model = std::fs::read(full.join("model.safetensors")).unwrap();
        Pipeline::from_bytes(&model, &Device::flex()).unwrap();
        let mut epochs = Vec::new();
        train::train(&sets, &options(2), None, &*store(&full), &Control::default(), &mut |e| {
            epochs.push(e.epoch);
        })
        .unwrap();
        assert_eq!(epochs, if files < 6 { vec![2] } else { vec![] }, "{files} files");
        for file in ["model.safetensors", "model-int8.safetensors", "metrics.csv"] {
            let [a, b] = [&whole, &full].map(|d| std::fs::read(d.join(file)).unwrap());
            assert!(a == b || file == "metrics.csv" && a.len().abs_diff(b.len()) < 20, "{file} differs");
        }
        std::fs::remove_dir_all(&full).unwrap();
    }
}

#[test]
fn it_learns_and_fine_tunes() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [data(dir.path(), "turntable", false)];
    let long = learnable();
    let out = dir.path().join("long");
    let report = run(&sets, &long, &out).unwrap();
    assert!(report.heads[0].accuracy.unwrap() > 0.8, "{:?}", report.heads[0]);

    // From there, with the first layers frozen: they stay, later ones don't.
    let bytes = std::fs::read(out.join("model.safetensors")).unwrap();
    let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
    let mut tune = options(1);
    tune.freeze = 4;
    let tuned = dir.path().join("tuned");
    train::train(&sets, &tune, Some(&checkpoint), &*store(&tuned), &Control::default(), &mut |_| {}).unwrap();
    let after = std::fs::read(tuned.join("model.safetensors")).unwrap();
    let after = Checkpoint::from_bytes(&after).unwrap();
    let graph = tune.network.graph().unwrap();
    use fruitcore::featurize::weights::WeightSource;
    let same = |(name, shape): &(String, Vec<usize>)| {
        checkpoint.tensor(name, shape).unwrap() == after.tensor(name, shape).unwrap()
    };
    let parameters = graph.parameters();
    assert!(same(&parameters[0]) && same(&parameters[3]));
    assert!(!same(parameters.last().unwrap()));

    // Another network's weights are refused.
    let other = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.5).input(32, 32).graph().unwrap();
    let wrong = RandomWeights::new(&other, 1);
    let out = store(&dir.path().join("wrong"));
    let e = train::train(&sets, &tune, Some(&wrong), &*out, &Control::default(), &mut |_| {}).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape, "{e}");
}

#[test]
fn a_model_gives_components() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [data(dir.path(), "set", false)];
    let out = dir.path().join("out");
    let mut options = options(1);
    options.components = 4;
    run(&sets, &options, &out).unwrap();
    let [whole, small] =
        ["model.safetensors", "model-int8.safetensors"].map(|name| std::fs::read(out.join(name)).unwrap());
    let [whole, small] = [&whole, &small].map(|bytes| {
        let projection = ModelFile::from_bytes(bytes).unwrap().projection().unwrap().clone();
        assert_eq!((projection.columns(), projection.kept()), (1280, 4));
        assert!(projection.explained_variance_ratio().iter().sum::<f64>() <= 1.0 + 1e-6);
        // Of the pictures themselves: their mean lies in the middle.
        let mut pipeline = Pipeline::from_bytes(bytes, &Device::flex()).unwrap();
        let pixels = [90; 40 * 40 * 3];
        let frame = Frame::new(PixelFormat::Rgb, 40, 40, &pixels).unwrap();
        assert_eq!(pipeline.transform(&frame).unwrap().len(), 4);
        projection
    });
    assert!(whole.angle(&small).unwrap() < 0.3, "{:?}", whole.angle(&small));

    options.components = 0;
    run(&sets, &options, &out).unwrap();
    let bytes = std::fs::read(out.join("model.safetensors")).unwrap();
    assert!(ModelFile::from_bytes(&bytes).unwrap().projection().is_none());
    let mut pipeline = Pipeline::from_bytes(&bytes, &Device::flex()).unwrap();
    let frame = Frame::new(PixelFormat::Rgb, 1, 1, &[9; 3]).unwrap();
    assert_eq!(pipeline.transform(&frame).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_blend_lies_between_two_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [data(dir.path(), "set", false)];
    let out = dir.path().join("out");
    let model = || std::fs::read(out.join("model.safetensors")).unwrap();
    let mut first = options(2);
    first.stop_after = Some(1);
    run(&sets, &first, &out).unwrap();
    let early = model();
    run(&sets, &options(2), &out).unwrap();
    let late = model();
    // Nothing is left to learn: only the end is done again, each time from the state.
    let mut blended = options(2);
    for share in [0.25, 1.0] {
        blended.blend = Some(Blend::new(early.clone(), share).unwrap());
        run(&sets, &blended, &out).unwrap();
        let mixed = model();
        let [early, late, mixed] =
            [&early, &late, &mixed].map(|bytes| ModelFile::from_bytes(bytes).unwrap().heads().unwrap());
        let weights = |heads: &[Head]| match heads[0].model() {
            Model::Softmax(m) => m.weights().to_vec(),
            _ => unreachable!(),
        };
        let [early, late, mixed] = [&early, &late, &mixed].map(|heads| weights(heads));
        assert!(early != late);
        for ((e, l), m) in early.iter().zip(&late).zip(&mixed) {
            assert!((l + share as f32 * (e - l) - m).abs() < 1e-6, "{e} {l} {m}");
        }
    }

    // Whatever its head looks at can be tried as cheaply.
    let mut middle = sets.clone();
    middle[0].crop_pct = 0.6;
    let report = run(&middle, &options(2), &out).unwrap();
    assert_eq!(report.heads[0].crop_pct, 0.6);
    assert_eq!(ModelFile::from_bytes(&model()).unwrap().heads().unwrap()[0].crop_pct(), 0.6);
    middle[0].crop_pct = 0.0;
    assert_eq!(run(&middle, &options(2), &out).unwrap_err().kind(), ErrorKind::InvalidArgument);

    // One that was trained on larger pictures is as good.
    let mut large = options(1);
    (large.network, large.recipe) = (large.network.input(40, 40), Preset::Simple.recipe(40).unwrap());
    large.blend = blended.blend.clone();
    run(&sets, &large, &dir.path().join("large")).unwrap();

    // One of another training is refused before anything is learned.
    let other = [data(dir.path(), "other", true)];
    let e = run(&other, &blended, &dir.path().join("refused")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
    assert!(e.to_string().contains("`other`"), "{e}");
    assert_eq!(Blend::new(&b"none"[..], 0.5).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// What a teacher holds of pictures counts, not what their folders say.
#[test]
fn a_student_learns_from_a_teacher() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [data(dir.path(), "set", false)];
    let mut long = learnable();
    // After a third of them some instruction sets' students are still half way to their teacher.
    long.epochs = 36;
    run(&sets, &long, &dir.path().join("teacher")).unwrap();
    let model = std::fs::read(dir.path().join("teacher/model.safetensors")).unwrap();
    // Every folder gets the name of the next.
    let folder = |name: &str| dir.path().join("set").join(name);
    for (from, to) in [("apple", "x"), ("lime", "apple"), ("plum", "lime"), ("x", "plum")] {
        std::fs::rename(folder(from), folder(to)).unwrap();
    }
    let from = Checkpoint::from_bytes(&model).unwrap();
    let out = dir.path().join("student");
    let by_names = |options: &TrainOptions| {
        let (store, control) = (store(&out), Control::default());
        store.remove("state.safetensors").unwrap();
        let report = train::train(&sets, options, Some(&from), &*store, &control, &mut |_| {}).unwrap();
        report.heads[0].accuracy.unwrap()
    };
    let misled = by_names(&long);
    let mut student = long.clone();
    student.teachers = Some(Teachers::new([model.clone()], 1.0).unwrap());
    let taught = by_names(&student);
    assert!(misled > 0.6 && taught < 0.2, "{misled} {taught}");

    // Another share is another training; so is none.
    for other in [Some(Teachers::new([model.clone()], 0.5).unwrap()), None] {
        student.teachers = other;
        let e = train::train(&sets, &student, Some(&from), &*store(&out), &Control::default(), &mut |_| {});
        assert_eq!(e.unwrap_err().kind(), ErrorKind::Mismatch);
    }
    // Teachers that can't teach this are refused before anything is learned.
    let refused = |sets: &[DataSpec], options: &TrainOptions, what: &str| {
        let e = run(sets, options, &dir.path().join("refused")).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Mismatch, "{e}");
        assert!(e.to_string().contains(what), "{e}");
    };
    let teachers = Some(Teachers::new([model.clone()], 0.5).unwrap());
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(64, 64);
    let mut large = TrainOptions::new(spec, Preset::Simple.recipe(64).unwrap(), Device::flex());
    large.teachers = teachers.clone();
    refused(&sets, &large, "--input-size");
    let mut other = options(1);
    other.teachers = teachers;
    refused(&[data(dir.path(), "shop", true)], &other, "(shop)");
    let e = Teachers::new([&b"none"[..]], 0.5).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(Teachers::new(Vec::<Vec<u8>>::new(), 0.5).is_err());
}

#[test]
fn bad_input_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let set = data(dir.path(), "set", false);
    // A damaged picture is passed over and told of; a class with one picture is not validated.
    std::fs::write(dir.path().join("set/apple/13_100.png"), b"no picture").unwrap();
    std::fs::create_dir(dir.path().join("set/single")).unwrap();
    std::fs::write(dir.path().join("set/single/0_100.png"), picture(0, 0, true)).unwrap();
    let report = run(std::slice::from_ref(&set), &options(1), &dir.path().join("out")).unwrap();
    assert_eq!(report.rejected.len(), 1);
    assert!(report.rejected[0].contains("13_100.png"), "{:?}", report.rejected);
    assert!(report.notes[0].contains("1 of 4 classes"), "{:?}", report.notes);

    let kind = |sets: &[DataSpec], options: &TrainOptions| {
        run(sets, options, &dir.path().join("bad")).unwrap_err().kind()
    };
    let mut rate = options(1);
    rate.learning_rate = f64::NAN;
    assert_eq!(kind(std::slice::from_ref(&set), &rate), ErrorKind::InvalidArgument);
    assert_eq!(kind(&[], &options(1)), ErrorKind::InvalidArgument);
    assert_eq!(kind(&[set.clone(), set.clone()], &options(1)), ErrorKind::InvalidArgument);
    let mut frozen = options(1);
    frozen.freeze = 1000;
    assert_eq!(kind(std::slice::from_ref(&set), &frozen), ErrorKind::InvalidArgument);
    let mut small = options(1);
    small.cache_bytes = 1000;
    assert_eq!(kind(std::slice::from_ref(&set), &small), ErrorKind::Limit);
    let one: DataSpec = dir.path().join("set/apple").display().to_string().parse().unwrap();
    assert_eq!(kind(&[one], &options(1)), ErrorKind::Insufficient);
    assert!("a b=x".parse::<DataSpec>().is_err());
}

#[test]
fn a_loss_that_is_no_number_stops_and_keeps_the_last_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let sets = [data(dir.path(), "set", false)];
    let out = dir.path().join("out");
    let mut first = options(2);
    first.stop_after = Some(1);
    run(&sets, &first, &out).unwrap();
    let before = std::fs::read(out.join("model.safetensors")).unwrap();
    // The state as a step that went wrong would leave it.
    let mut state = std::fs::read(out.join("state.safetensors")).unwrap();
    let header = u64::from_le_bytes(state[..8].try_into().unwrap()) as usize + 8;
    state[header..].chunks_exact_mut(4).for_each(|v| v.copy_from_slice(&f32::NAN.to_le_bytes()));
    std::fs::write(out.join("state.safetensors"), state).unwrap();
    let e = run(&sets, &options(2), &out).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NonFinite, "{e}");
    assert!(before == std::fs::read(out.join("model.safetensors")).unwrap());
}

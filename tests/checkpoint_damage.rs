//! Checkpoints that are cut, altered, or none at all: an error that says so, never a panic.
#![cfg(feature = "checkpoints")]

mod support;

use burn::tensor::Device;
use fruitcore::featurize::NetworkFeaturizer;
use fruitcore::featurize::network::{NetworkKind, NetworkSpec, Variant};
use fruitcore::featurize::weights::{Checkpoint, WeightSource};
use fruitcore::{Error, ErrorKind};
use proptest::prelude::*;
use safetensors::{SafeTensors, tensor::TensorView};
use std::sync::LazyLock;
use support::bundle;

/// One small file of each format.
static FILES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let torch = bundle::read("torch-mobilenet_v2");
    let keras = bundle::read("keras-mobilenet_v2");
    let take =
        |files: &[(String, Vec<u8>)], name: &str| files.iter().find(|(n, _)| n == name).unwrap().1.clone();
    vec![
        ("safetensors", take(&torch, "0.35-f16.safetensors")),
        ("pth", take(&torch, "0.35-training.pth")),
        ("legacy pth", take(&torch, "torchvision-legacy.pth")),
        ("h5", take(&keras, "transfer-0.35.h5")),
        ("weights.h5", take(&keras, "transfer-0.35.weights.h5")),
        ("keras", take(&keras, "0.35.keras")),
    ]
});

/// Opens the bytes and reads whatever they claim to hold.
fn read_all(bytes: &[u8]) -> Result<(), fruitcore::Error> {
    let checkpoint = Checkpoint::from_bytes(bytes)?;
    let inspection = checkpoint.inspect();
    assert!(!inspection.to_string().is_empty());
    for spec in NetworkKind::ALL.iter().map(|&k| NetworkSpec::new(k).input(96, 96)) {
        let _ = checkpoint.check(&spec);
    }
    for tensor in &inspection.tensors {
        let name = tensor.network_name.as_ref().unwrap_or(&tensor.name);
        let elements = tensor.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if elements.is_some_and(|n| n <= 1 << 24) {
            let _ = checkpoint.tensor(name, &tensor.shape);
        }
    }
    Ok(())
}

fn check_cut(name: &str, bytes: &[u8], at: usize) {
    let error = read_all(&bytes[..at]).expect_err(&format!("{name} cut at {at}"));
    assert!(
        matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported),
        "{name} cut at {at}: {error}"
    );
    assert!(at < 600 || error.kind() == ErrorKind::Corrupt, "{name} cut at {at}: {error}");
}

#[test]
fn every_cut_is_an_error() {
    for (name, bytes) in FILES.iter() {
        let n = bytes.len();
        for at in (0..64).chain((64..n).step_by(n / 60)).chain(n - 40..n) {
            check_cut(name, bytes, at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_cuts_are_errors(file in 0usize..6, at in 0.0f64..1.0) {
        let (name, bytes) = &FILES[file];
        check_cut(name, bytes, (bytes.len() as f64 * at) as usize);
    }

    /// Altered bytes may still read (a value changed), but nothing panics or allocates without end.
    #[test]
    fn altered_bytes_never_panic(
        file in 0usize..6,
        changes in prop::collection::vec((0.0f64..1.0, any::<u8>(), any::<bool>()), 1..24),
    ) {
        let mut bytes = FILES[file].1.clone();
        let n = bytes.len();
        for (at, value, from_end) in changes {
            // Directories are at the beginning or the end.
            let near = (at * at * at * n as f64) as usize;
            let at = if from_end { n - 1 - near } else { near };
            bytes[at] = value;
        }
        let _ = read_all(&bytes);
    }

    #[test]
    fn any_bytes_behind_any_signature(signature in 0usize..6, tail in prop::collection::vec(any::<u8>(), 0..600)) {
        let signatures: [&[u8]; 6] =
            [b"", b"PK\x03\x04", b"\x80\x02", b"\x89HDF\r\n\x1a\n", b"\x40\0\0\0\0\0\0\0{", b"PK\x05\x06"];
        let bytes = [signatures[signature], &tail].concat();
        prop_assert!(read_all(&bytes).is_err());
    }
}

#[test]
fn what_is_no_checkpoint_is_named() {
    for (bytes, expected) in [
        (&b""[..], "an empty file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a git-LFS pointer"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a JPEG picture"),
        (b"apples,12\npears,7\n", "a text file beginning with `apples,12`"),
        (b"\x80\x04]\x94(K\x01K\x02e.", "a Python pickle that torch.save did not write"),
    ] {
        let error = Checkpoint::from_bytes(bytes).err().expect(expected);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(expected), "{error}");
    }
    let mut tar = vec![0u8; 1024];
    tar[0] = b'x';
    tar[257..262].copy_from_slice(b"ustar");
    assert!(Checkpoint::from_bytes(tar).err().unwrap().message().contains("tar archive"));
}

/// A depthwise convolution of every file.
const LAYER: &str = "features.3.conv.1.0.weight";

/// What a message about `file` calls it.
fn looks(file: &str) -> &'static str {
    match file {
        "safetensors" => "is a safetensors file of mobilenet-v2 (torchvision names, with top), 31",
        "pth" => "is a PyTorch .pth of mobilenet-v2 (torchvision names, with top), 314 tensors",
        "legacy pth" => {
            "is a PyTorch .pth (format before 1.6) of mobilenet-v2 (torchvision names, with top), 314"
        }
        "h5" => "is a Keras .h5 model of mobilenet-v2 (notop), 105 layers",
        "weights.h5" => "is a Keras .weights.h5 of mobilenet-v2 (notop), 105 layers",
        _ => "is a Keras .keras archive of mobilenet-v2 (with top), 105 layers",
    }
}

/// What the network of `file` says about altered bytes; the check and the build agree.
fn refusal(file: &str, bytes: Vec<u8>) -> Error {
    let variant =
        if file.contains("pth") || file == "safetensors" { Variant::Torchvision } else { Variant::Keras };
    let width = if file == "legacy pth" { 1.0 } else { 0.35 };
    let spec = NetworkSpec::new(NetworkKind::MobileNetV2).variant(variant).width(width);
    let checkpoint = Checkpoint::from_bytes(bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
    let error = checkpoint.check(&spec).expect_err(file);
    let built = NetworkFeaturizer::new(&spec.graph().unwrap(), &checkpoint, &Device::default());
    assert_eq!(built.err().expect(file).to_string(), error.to_string(), "{file}");
    error
}

/// The file with other bytes, as many, wherever `from` is.
fn altered(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = bytes.to_vec();
    let places: Vec<usize> = (0..=out.len() - from.len()).filter(|&i| out[i..].starts_with(from)).collect();
    assert!(!places.is_empty(), "nothing to alter");
    places.into_iter().for_each(|at| out[at..at + to.len()].copy_from_slice(to));
    out
}

/// The file, saved again after `edit` of its tensors.
fn saved(bytes: &[u8], edit: impl Fn(&mut Vec<(String, TensorView<'_>)>)) -> Vec<u8> {
    let mut tensors = SafeTensors::deserialize(bytes).unwrap().tensors();
    edit(&mut tensors);
    safetensors::serialize(tensors, None).unwrap()
}

fn says(file: &str, error: &Error, kind: ErrorKind, object: &str, parts: &[&str]) {
    assert_eq!((error.kind(), error.object()), (kind, Some(object)), "{file}: {error}");
    for part in parts.iter().chain([&looks(file)]) {
        assert!(error.message().contains(part), "{file}: `{part}` is not in: {error}");
    }
}

#[test]
fn a_file_that_lacks_a_tensor_says_which() {
    for (file, bytes) in FILES.iter() {
        let without = match *file {
            "safetensors" => saved(bytes, |all| all.retain(|(name, _)| name != LAYER)),
            // Under a name that no network knows.
            "pth" | "legacy pth" => {
                altered(bytes, LAYER.as_bytes(), LAYER.replace("weight", "weighs").as_bytes())
            }
            _ => altered(bytes, b"block_2_depthwise", b"block_2_depthwisf"),
        };
        let expected =
            if *file == "legacy pth" { "expected [144, 1, 3, 3]" } else { "expected [48, 1, 3, 3]" };
        let error = refusal(file, without);
        says(file, &error, ErrorKind::NotFound, LAYER, &[expected, "it is not in the file"]);
    }
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    for (file, bytes) in FILES.iter() {
        let (bytes, object, parts) = match *file {
            "safetensors" => {
                let halved = saved(bytes, |all| {
                    let (_, view) = all.iter_mut().find(|(name, _)| name == LAYER).unwrap();
                    let half = &view.data()[..view.data().len() / 2];
                    *view = TensorView::new(view.dtype(), vec![24, 1, 3, 3], half).unwrap();
                });
                (halved, LAYER, vec!["expected [48, 1, 3, 3]", "found [24, 1, 3, 3]"])
            }
            "pth" | "legacy pth" => {
                // In the pickle, behind the name: BININT1 of each axis between MARK and TUPLE.
                let outputs = if *file == "pth" { 48 } else { 144 };
                let name = bytes.windows(LAYER.len()).position(|w| w == LAYER.as_bytes()).unwrap();
                let (before, behind) = bytes.split_at(name);
                let size = [b'(', b'K', outputs, b'K', 1, b'K', 3, b'K', 3, b't'];
                let at = behind.windows(size.len()).position(|w| w == size).unwrap();
                let mut behind = behind.to_vec();
                behind[at + 2] = 24;
                let expected =
                    if *file == "pth" { "expected [48, 1, 3, 3]" } else { "expected [144, 1, 3, 3]" };
                ([before, &behind].concat(), LAYER, vec![expected, "found [24, 1, 3, 3]"])
            }
            _ => {
                // The first convolution's dataspace, the only one of this shape.
                let shape = |out: u64| [3, 3, 3, out].map(u64::to_le_bytes).concat();
                let halved = altered(bytes, &shape(16), &shape(8));
                (
                    halved,
                    "features.0.0.weight",
                    vec!["expected [16, 3, 3, 3]", "found [8, 3, 3, 3]", "[3, 3, 3, 8] in the file"],
                )
            }
        };
        says(file, &refusal(file, bytes), ErrorKind::Shape, object, &parts);
    }
}

#[test]
fn a_pickled_object_is_named_and_not_run() {
    let name = std::env::temp_dir().join(format!("fruitcore-must-not-exist-{}", std::process::id()));
    let pickle = format!("cos\nmkdir\n(S'{}'\ntR.", name.display());
    // A zip archive as torch.save writes it, with this pickle.
    let zip = stored_zip(&[("x/data.pkl", pickle.as_bytes()), ("x/version", b"3\n")]);
    let error = Checkpoint::from_bytes(zip).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("os.mkdir"), "{error}");
    assert!(!name.exists());
}

/// A zip archive without compression (its checksums, which PyTorch does not check either, are zero).
fn stored_zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in files {
        let at = out.len() as u32;
        let sizes = [(data.len() as u32).to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        let lengths = [(name.len() as u16).to_le_bytes(), [0; 2]].concat();
        out.extend([b"PK\x03\x04", &[0; 14][..], &sizes, &lengths, name.as_bytes(), data].concat());
        directory.extend(
            [b"PK\x01\x02", &[0; 16][..], &sizes, &lengths, &[0; 10], &at.to_le_bytes(), name.as_bytes()]
                .concat(),
        );
    }
    let (at, length, n) = (out.len() as u32, directory.len() as u32, files.len() as u16);
    out.extend(directory);
    out.extend(
        [
            b"PK\x05\x06",
            &[0; 4][..],
            &n.to_le_bytes(),
            &n.to_le_bytes(),
            &length.to_le_bytes(),
            &at.to_le_bytes(),
            &[0; 2],
        ]
        .concat(),
    );
    out
}

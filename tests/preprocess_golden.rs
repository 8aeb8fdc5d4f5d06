//! The steps and presets against what Pillow, OpenCV, torchvision, timm, TensorFlow and Keras make of
//! the same pictures (`tests/golden/preprocess/make_*.py`).

#[path = "common/pictures.rs"]
mod pictures;

use fruitcore::preprocess::{Preset, Recipe, RecipePreprocessor};
use fruitcore::{Frame, PixelFormat, Preprocessor};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::OnceLock,
};

fn golden(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/golden/preprocess", name].iter().collect();
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn index(name: &str) -> Value {
    serde_json::from_slice(&golden(name)).unwrap()
}

fn number(v: &Value) -> usize {
    v.as_u64().unwrap() as usize
}

/// A picture of the list, with what is needed to make a frame of it.
struct Picture {
    format: PixelFormat,
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Picture {
    fn all(peers: &Value) -> &'static [Self] {
        static PICTURES: OnceLock<Vec<Picture>> = OnceLock::new();
        PICTURES.get_or_init(|| Self::make(peers))
    }

    fn make(peers: &Value) -> Vec<Self> {
        peers["pictures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                let (width, height) = (number(&p[1]), number(&p[2]));
                let (bytes, gray) =
                    pictures::picture(p[0].as_str().unwrap(), width, height, number(&p[3]) as u32);
                let format = if gray { PixelFormat::Gray } else { PixelFormat::Rgb };
                Self { format, width, height, bytes }
            })
            .collect()
    }

    fn frame(&self) -> Frame<'_> {
        Frame::new(self.format, self.width, self.height, &self.bytes).unwrap()
    }
}

/// The steps of a case, with a normalisation that changes nothing.
fn recipe(steps: &Value) -> Recipe {
    let mut steps = steps.as_array().unwrap().clone();
    let identity = json!({"custom": {"divisor": 1.0, "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}});
    steps.push(json!({"step": "normalize", "method": identity}));
    Recipe::from_json(&json!({"version": 1, "steps": steps}).to_string()).unwrap()
}

fn crc32(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = core::array::from_fn(|i| {
        (0..8).fold(i as u32, |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 })
    });
    !bytes.iter().fold(!0, |c, &b| table[(c as u8 ^ b) as usize] ^ (c >> 8))
}

/// Every so-many-th value, as `pictures.spread`.
fn spread<T: Copy>(values: &[T], count: usize) -> Vec<T> {
    values.iter().copied().step_by(values.len().div_ceil(count).max(1)).collect()
}

fn floats(blob: &[u8], case: &Value) -> Vec<f32> {
    let (offset, count) = (number(&case["offset"]), number(&case["count"]));
    blob[offset..offset + 4 * count]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Largest |a − b| / |b|.
fn relative(found: &[f32], want: &[f32]) -> f32 {
    assert_eq!(found.len(), want.len());
    let ratio = |(&a, &b): (&f32, &f32)| if a == b { 0.0 } else { (a - b).abs() / b.abs() };
    found.iter().zip(want).map(ratio).fold(0.0, f32::max)
}

#[test]
fn steps_give_the_bytes_of_opencv_and_pillow() {
    let peers = index("peers.json");
    let pictures = Picture::all(&peers);
    assert!(pictures.len() >= 30);
    let mut wrong = Vec::new();
    for case in peers["bytes"].as_array().unwrap() {
        let picture = &pictures[number(&case["picture"])];
        let mut preprocessor = RecipePreprocessor::new(recipe(&case["steps"]));
        let out = preprocessor.picture(&picture.frame()).unwrap();
        if u64::from(crc32(out.data())) != case["crc32"].as_u64().unwrap() {
            let (steps, found) = (&case["steps"], spread(out.data(), 12));
            let (w, h) = (picture.width, picture.height);
            wrong.push(format!("{w}x{h} {steps}: found {found:?}, expected {}", case["samples"]));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn torch_antialias_gives_the_levels_of_torchvision() {
    let (peers, blob) = (index("peers.json"), golden("torch.bin"));
    let pictures = Picture::all(&peers);
    let (mut total, mut off_by_one) = (0, 0);
    for case in peers["torch"].as_array().unwrap() {
        let picture = &pictures[number(&case["picture"])];
        let mut preprocessor = RecipePreprocessor::new(recipe(&case["steps"]));
        let out = preprocessor.picture(&picture.frame()).unwrap();
        let (offset, count) = (number(&case["offset"]), number(&case["count"]));
        let (found, want) = (spread(out.data(), 3000), &blob[offset..offset + count]);
        assert_eq!(found.len(), want.len());
        for (&a, &b) in found.iter().zip(want) {
            let (w, h) = (picture.width, picture.height);
            assert!(a.abs_diff(b) <= 1, "{w}x{h} {}: {a} for {b}", case["steps"]);
            off_by_one += usize::from(a != b);
        }
        total += count;
    }
    println!("torch-antialias: {off_by_one} of {total} samples differ by one level");
    assert!(off_by_one * 1000 <= total, "{off_by_one} of {total} differ");
}

#[test]
fn presets_give_the_floats_of_their_peers() {
    let (peers, keras) = (index("peers.json"), index("keras.json"));
    let pictures = Picture::all(&peers);
    let mut worst = 0.0f32;
    let mut seen: BTreeMap<(String, usize), BTreeSet<usize>> = BTreeMap::new();
    for (cases, blob) in [(&peers["presets"], "presets.bin"), (&keras["cases"], "keras.bin")] {
        let blob = golden(blob);
        for case in cases.as_array().unwrap().iter().filter(|c| c.get("preset").is_some()) {
            let preset: Preset = case["preset"].as_str().unwrap().parse().unwrap();
            let (picture, size) = (number(&case["picture"]), number(&case["size"]));
            seen.entry((preset.to_string(), size)).or_default().insert(picture);
            let picture = &pictures[picture];
            let mut preprocessor = RecipePreprocessor::new(preset.recipe(size).unwrap());
            let mut out = vec![f32::NAN; preprocessor.output_shape().iter().product()];
            preprocessor.preprocess_into(&picture.frame(), &mut out).unwrap();
            let error = relative(&spread(&out, 400), &floats(&blob, case));
            let (w, h) = (picture.width, picture.height);
            assert!(error <= 1e-5, "{preset} at {size} of {w}x{h}: relative error {error}");
            worst = worst.max(error);
            // The sum knows every byte that the peer normalised, the floats only some.
            let levels = preprocessor.picture(&picture.frame()).unwrap();
            let want = case["crc32"].as_u64().unwrap();
            assert_eq!(u64::from(crc32(levels.data())), want, "{preset} at {size} of {w}x{h}: other bytes");
        }
    }
    println!("presets: largest relative difference {worst:e}");
    for preset in Preset::ALL {
        let mut sizes = seen.iter().filter(|((name, _), _)| *name == preset.to_string()).peekable();
        assert!(sizes.peek().is_some(), "no vectors for {preset}");
        for ((_, size), of) in sizes {
            assert!(of.len() >= 30, "{preset} at {size}: {} pictures", of.len());
            for extreme in [(1, 1), (4000, 3000)] {
                let there = of.iter().any(|&i| (pictures[i].width, pictures[i].height) == extreme);
                assert!(there, "{preset} at {size}: none of {extreme:?}");
            }
        }
    }
}

#[test]
fn tf_bilinear_gives_the_floats_of_tensorflow() {
    let (peers, keras, blob) = (index("peers.json"), index("keras.json"), golden("keras.bin"));
    let pictures = Picture::all(&peers);
    let mut worst = 0.0f32;
    for case in keras["cases"].as_array().unwrap().iter().filter(|c| c.get("preset").is_none()) {
        let to = json!({"exact": {"height": case["height"], "width": case["width"]}});
        let steps = json!([{"step": "resize", "filter": "tf-bilinear", "to": to}]);
        let picture = &pictures[number(&case["picture"])];
        let mut preprocessor = RecipePreprocessor::new(recipe(&steps));
        let mut out = vec![f32::NAN; preprocessor.output_shape().iter().product()];
        preprocessor.preprocess_into(&picture.frame(), &mut out).unwrap();
        let error = relative(&spread(&out, 1000), &floats(&blob, case));
        assert!(error <= 1e-5, "{}x{}: relative error {error}", picture.width, picture.height);
        worst = worst.max(error);
    }
    println!("tf-bilinear: largest relative difference {worst:e}");
}

#[test]
fn formats_give_the_bytes_of_opencv() {
    for case in index("peers.json")["formats"].as_array().unwrap() {
        let format = match case["format"].as_str().unwrap() {
            "yuyv" => PixelFormat::Yuyv,
            "nv12" => PixelFormat::Nv12,
            "bayer-rggb" => PixelFormat::BayerRggb,
            "bayer-bggr" => PixelFormat::BayerBggr,
            "bayer-grbg" => PixelFormat::BayerGrbg,
            "bayer-gbrg" => PixelFormat::BayerGbrg,
            "rgba" => PixelFormat::Rgba,
            "bgr" => PixelFormat::Bgr,
            "gray" => PixelFormat::Gray,
            other => panic!("unknown format {other}"),
        };
        let (width, height) = (number(&case["width"]), number(&case["height"]));
        let raw = pictures::noise(77, number(&case["bytes"]));
        let want = case["crc32"].as_u64().unwrap();

        // Padded rows give the same picture.
        let row = format.row_bytes(width);
        let padded: Vec<u8> = raw.chunks(row).flat_map(|r| r.iter().copied().chain([0xAA; 5])).collect();
        let frames = [
            Frame::new(format, width, height, &raw).unwrap(),
            Frame::with_stride(format, width, height, row + 5, &padded).unwrap(),
        ];
        for frame in frames {
            let mut rgb = vec![0; width * height * 3];
            frame.write_rgb(&mut rgb).unwrap();
            assert_eq!(u64::from(crc32(&rgb)), want, "{format:?} {width}x{height}");

            // A recipe sees the same picture.
            let whole = json!([{"step": "center-crop", "height": height, "width": width}]);
            let mut preprocessor = RecipePreprocessor::new(recipe(&whole));
            assert_eq!(preprocessor.picture(&frame).unwrap().data(), rgb, "{format:?} {width}x{height}");
        }
    }
}

//! Every frame format, step, filter and preset, on one core.
//!
//! `cargo bench --bench preprocess`; with `--features host` also JPEG decoding and the notebooks'
//! recipe together.

#[path = "../tests/common/pictures.rs"]
mod pictures;

use core::hint::black_box;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fruitcore::preprocess::{
    Normalization, Preset, Recipe, RecipePreprocessor, ResizeFilter, ResizeTo, Step,
};
use fruitcore::{Frame, PixelFormat, Preprocessor};

const SIZE: usize = 224;

fn frames(c: &mut Criterion) {
    let (w, h) = (640, 480);
    let mut group = c.benchmark_group("frame 640x480");
    group.throughput(Throughput::Elements((w * h) as u64));
    for format in [
        PixelFormat::Rgb,
        PixelFormat::Bgr,
        PixelFormat::Rgba,
        PixelFormat::Gray,
        PixelFormat::Yuyv,
        PixelFormat::Nv12,
        PixelFormat::BayerRggb,
    ] {
        let rows = if format == PixelFormat::Nv12 { h * 3 / 2 } else { h };
        let raw = pictures::noise(1, format.row_bytes(w) * rows);
        let frame = Frame::new(format, w, h, &raw).unwrap();
        let mut rgb = vec![0; w * h * 3];
        group.bench_function(format!("{format:?}"), |b| {
            b.iter(|| frame.write_rgb(black_box(&mut rgb)).unwrap())
        });
    }
}

fn run(c: &mut Criterion, group: &str, name: &str, recipe: Recipe, frame: &Frame<'_>) {
    let mut preprocessor = RecipePreprocessor::new(recipe);
    let mut out = vec![0.0; preprocessor.output_shape().iter().product()];
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |b| {
        b.iter(|| preprocessor.preprocess_into(frame, black_box(&mut out)).unwrap());
    });
}

fn steps(c: &mut Criterion) {
    let bytes = pictures::smooth(3, 100, 100);
    let frame = Frame::new(PixelFormat::Rgb, 100, 100, &bytes).unwrap();
    let whole = Step::CenterCrop { height: 100, width: 100 };
    let normalize = Step::Normalize { method: Normalization::Torchvision };
    for (name, step) in [
        ("crop only", whole),
        ("gaussian", Step::Gaussian3x3 {}),
        ("median", Step::Median3x3 {}),
        ("equalize", Step::Equalize {}),
        ("clahe", Step::Clahe { clip_limit: 2.0, tiles: [8, 8] }),
    ] {
        let recipe = Recipe::new("", [step, whole, normalize]).unwrap();
        run(c, "step 100x100, then normalize", name, recipe, &frame);
    }
}

fn filters(c: &mut Criterion) {
    let to = ResizeTo::Exact { height: SIZE, width: SIZE };
    let normalize = Step::Normalize { method: Normalization::Torchvision };
    for side in [100, 348, 1500] {
        let bytes = pictures::smooth(3, side, side);
        let frame = Frame::new(PixelFormat::Rgb, side, side, &bytes).unwrap();
        for (name, filter) in [
            ("pillow-nearest", ResizeFilter::PillowNearest),
            ("pillow-bilinear", ResizeFilter::PillowBilinear),
            ("pillow-bicubic", ResizeFilter::PillowBicubic),
            ("opencv-linear", ResizeFilter::OpencvLinear),
            ("tf-bilinear", ResizeFilter::TfBilinear),
            ("torch-antialias", ResizeFilter::TorchAntialias),
        ] {
            let recipe = Recipe::new("", [Step::Resize { filter, to }, normalize]).unwrap();
            run(c, &format!("resize {side} to {SIZE}, then normalize"), name, recipe, &frame);
        }
    }
}

fn presets(c: &mut Criterion) {
    for side in [100, 348] {
        let bytes = pictures::smooth(3, side, side);
        let frame = Frame::new(PixelFormat::Rgb, side, side, &bytes).unwrap();
        for preset in Preset::ALL {
            let recipe = preset.recipe(SIZE).unwrap();
            run(c, &format!("preset {side} to {SIZE}"), preset.name(), recipe, &frame);
        }
    }
    let bytes = pictures::smooth(3, 100, 100);
    let gray: Vec<u8> = bytes.iter().copied().step_by(3).collect();
    let frame = Frame::new(PixelFormat::Gray, 100, 100, &gray).unwrap();
    run(c, "preset, gray 100 to 224", "notebook-tf", Preset::NotebookTf.recipe(SIZE).unwrap(), &frame);
    let camera = pictures::noise(1, 320 * 240 * 3 / 2);
    let frame = Frame::new(PixelFormat::Nv12, 320, 240, &camera).unwrap();
    run(c, "preset, NV12 320x240 to 96", "simple", Preset::Simple.recipe(96).unwrap(), &frame);
}

#[cfg(feature = "host")]
fn decode(c: &mut Criterion) {
    use image::codecs::jpeg::JpegEncoder;
    use zune_jpeg::{JpegDecoder, zune_core::bytestream::ZCursor};

    let bytes = pictures::smooth(3, 100, 100);
    let mut jpeg = Vec::new();
    let rgb = image::ExtendedColorType::Rgb8;
    JpegEncoder::new_with_quality(&mut jpeg, 90).encode(&bytes, 100, 100, rgb).unwrap();
    let mut pixels = vec![0; 100 * 100 * 3];
    let mut group = c.benchmark_group("JPEG 100x100");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |b| {
        b.iter(|| JpegDecoder::new(ZCursor::new(&jpeg)).decode_into(black_box(&mut pixels)).unwrap());
    });
    let mut preprocessor = RecipePreprocessor::new(Preset::NotebookTf.recipe(SIZE).unwrap());
    let mut out = vec![0.0; 3 * SIZE * SIZE];
    group.bench_function("decode and notebook-tf", |b| {
        b.iter(|| {
            JpegDecoder::new(ZCursor::new(&jpeg)).decode_into(&mut pixels).unwrap();
            let frame = Frame::new(PixelFormat::Rgb, 100, 100, &pixels).unwrap();
            preprocessor.preprocess_into(&frame, black_box(&mut out)).unwrap();
        });
    });
}

#[cfg(not(feature = "host"))]
fn decode(_: &mut Criterion) {}

criterion_group!(benches, frames, steps, filters, presets, decode);
criterion_main!(benches);

//! Decoding 100×100 JPEGs, alone and with preprocessing to 224×224×3 floats, on one core.
//!
//! `cargo bench --bench decode --features host`. Uses the pictures of `../shared/data` where they are,
//! else drawn ones.
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fruitcore::{
    Preprocessor,
    host::decode::Decoder,
    preprocess::{Preset, RecipePreprocessor},
};
use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};
use std::{fs, hint::black_box, path::Path};
use zune_jpeg::{JpegDecoder, zune_core::bytestream::ZCursor};

/// Encoded pictures and where they are from.
fn pictures() -> (&'static str, Vec<Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fruits360-131x9");
    let real: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|class| fs::read_dir(class.path()).ok()?.flatten().next())
        .filter_map(|file| fs::read(file.path()).ok())
        .collect();
    if real.is_empty() { ("drawn", (0..32).map(drawn).collect()) } else { ("fruits-360", real) }
}

/// A shaded ball on white, as JPEG.
fn drawn(seed: u32) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(100 * 100 * 3);
    for y in 0..100i32 {
        for x in 0..100i32 {
            let (dx, dy) = (x - 50, y - 50);
            let inside = dx * dx + dy * dy < 45 * 45;
            let shade = (255 - (dx * dx + (dy + 20) * (dy + 20)) / 25).clamp(30, 255) as u8;
            let tint = (seed * 37) as u8;
            rgb.extend(if inside { [shade, (shade / 2) ^ (tint & 31), tint / 2] } else { [255; 3] });
        }
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 75)
        .encode(&rgb, 100, 100, ExtendedColorType::Rgb8)
        .expect("a JPEG");
    jpeg
}

fn decode(c: &mut Criterion) {
    let (from, pictures) = pictures();
    let mut group = c.benchmark_group(format!("decode/{from}"));
    group.throughput(Throughput::Elements(pictures.len() as u64));
    let mut decoder = Decoder::default();
    group.bench_function("jpeg-100x100", |b| {
        b.iter(|| {
            for picture in &pictures {
                black_box(decoder.decode(picture).expect("a picture").data());
            }
        });
    });
    // What the decoder underneath takes, without limits, checks and a buffer of ours.
    group.bench_function("zune-jpeg-100x100", |b| {
        b.iter(|| {
            for picture in &pictures {
                black_box(JpegDecoder::new(ZCursor::new(picture)).decode().expect("a picture"));
            }
        });
    });
    for preset in [Preset::NotebookCaffe, Preset::KerasTf, Preset::TorchvisionV1] {
        let recipe = preset.recipe(224).expect("a recipe");
        let mut preprocessor = RecipePreprocessor::new(recipe);
        let mut out = vec![0.0; preprocessor.output_shape().iter().product()];
        group.bench_function(format!("jpeg-100x100+{}", preset.name()), |b| {
            b.iter(|| {
                for picture in &pictures {
                    let frame = decoder.decode(picture).expect("a picture");
                    preprocessor.preprocess_into(&frame, &mut out).expect("a tensor");
                    black_box(&out);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);

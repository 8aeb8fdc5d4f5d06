//! Any bytes as a frame of any format, size and stride, through any preset or recipe.
#![no_main]

use fruitcore::preprocess::{Preset, Recipe, RecipePreprocessor, ResizeTo, Step};
use fruitcore::{Frame, PixelFormat, Preprocessor};
use libfuzzer_sys::fuzz_target;

const FORMATS: [PixelFormat; 10] = [
    PixelFormat::Rgb,
    PixelFormat::Bgr,
    PixelFormat::Rgba,
    PixelFormat::Gray,
    PixelFormat::Yuyv,
    PixelFormat::Nv12,
    PixelFormat::BayerRggb,
    PixelFormat::BayerBggr,
    PixelFormat::BayerGrbg,
    PixelFormat::BayerGbrg,
];

/// Whether a step stays within the memory of a fuzzing run.
fn is_small(step: &Step) -> bool {
    match *step {
        Step::Resize { to: ResizeTo::Exact { height, width }, .. } => height.max(width) <= 1024,
        Step::Resize { .. } => false,
        Step::CenterCrop { height, width } => height.max(width) <= 1024,
        _ => true,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((header, data)) = data.split_first_chunk::<8>() else { return };
    let [format, preset, w0, w1, h0, h1, pad, size] = *header;
    let format = FORMATS[usize::from(format) % FORMATS.len()];
    let width = usize::from(u16::from_le_bytes([w0, w1]));
    let height = usize::from(u16::from_le_bytes([h0, h1]));
    let stride = format.row_bytes(width) + usize::from(pad);
    // The first line may be a recipe, the rest are pixels.
    let line = data.iter().position(|&b| b == b'\n').unwrap_or(0);
    let recipe = core::str::from_utf8(&data[..line]).ok().and_then(|json| Recipe::from_json(json).ok());
    let recipe = recipe.filter(|r| r.steps().iter().all(is_small));
    let preset = Preset::ALL[usize::from(preset) % Preset::ALL.len()];
    let Some(recipe) = recipe.or_else(|| preset.recipe(usize::from(size)).ok()) else { return };
    let Ok(frame) = Frame::with_stride(format, width, height, stride, &data[line..]) else { return };
    let mut preprocessor = RecipePreprocessor::new(recipe);
    let mut out = vec![f32::NAN; preprocessor.output_shape().iter().product()];
    if preprocessor.preprocess_into(&frame, &mut out).is_ok() {
        assert!(out.iter().all(|v| v.is_finite()));
        preprocessor.picture(&frame).unwrap();
        let mut rgb = vec![0; width * height * 3];
        frame.write_rgb(&mut rgb).unwrap();
    }
});

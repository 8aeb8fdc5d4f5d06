//! After the first frame of a size, preprocessing allocates nothing.
#![allow(unsafe_code)]

use fruitcore::preprocess::{Preset, Recipe, RecipePreprocessor};
use fruitcore::{Frame, PixelFormat, Preprocessor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn the_second_frame_of_a_size_allocates_nothing() {
    let everything = r#"{"version": 1, "steps": [
        {"step": "median-3x3"}, {"step": "equalize"}, {"step": "center-crop", "height": 70, "width": 90},
        {"step": "clahe", "clip-limit": 2, "tiles": [8, 8]}, {"step": "gaussian-3x3"},
        {"step": "resize", "filter": "torch-antialias", "to": {"shorter": 50}},
        {"step": "resize", "filter": "pillow-bicubic", "to": {"shorter": 40}},
        {"step": "center-crop", "height": 32, "width": 32},
        {"step": "normalize", "method": {"custom": {"divisor": 200, "mean": [0, 1, 2], "std": [3, 4, 5]}}}]}"#;
    let tf = r#"{"version": 1, "steps": [
        {"step": "resize", "filter": "tf-bilinear", "to": {"exact": {"height": 32, "width": 32}}},
        {"step": "normalize", "method": "keras-tf"}]}"#;
    let mut recipes: Vec<Recipe> = Preset::ALL.iter().map(|p| p.recipe(32).unwrap()).collect();
    recipes.extend([everything, tf].map(|json| Recipe::from_json(json).unwrap()));
    let bytes: Vec<u8> = (0..400 * 400 * 4).map(|i| (i * 7 % 251) as u8).collect();
    let frames: Vec<Frame<'_>> = [
        (PixelFormat::Rgb, 100, 100),
        (PixelFormat::Gray, 61, 200),
        (PixelFormat::Nv12, 320, 240),
        (PixelFormat::BayerGbrg, 33, 31),
        (PixelFormat::Rgba, 100, 100),
        (PixelFormat::Yuyv, 2, 300),
    ]
    .map(|(format, w, h)| Frame::new(format, w, h, &bytes).unwrap())
    .to_vec();
    let mut out = vec![0.0; 3 * 32 * 32];
    for recipe in recipes {
        let mut preprocessor = RecipePreprocessor::new(recipe);
        for frame in &frames {
            preprocessor.preprocess_into(frame, &mut out).unwrap();
            preprocessor.picture(frame).unwrap();
        }
        let before = COUNT.get();
        for frame in &frames {
            preprocessor.preprocess_into(frame, &mut out).unwrap();
            preprocessor.picture(frame).unwrap();
        }
        assert_eq!(COUNT.get() - before, 0, "{:?}", preprocessor.recipe());
    }
    assert!(COUNT.get() > 0);
}

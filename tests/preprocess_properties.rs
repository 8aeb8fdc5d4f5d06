//! The steps against naive twins on any size, and what every recipe must hold to.

use fruitcore::preprocess::{
    Normalization, Preset, Recipe, RecipePreprocessor, ResizeFilter, ResizeTo, Step,
};
use fruitcore::{ErrorKind, Frame, PixelFormat, Preprocessor, Stage};
use proptest::prelude::*;

/// Interleaved RGB.
#[derive(Clone, Debug)]
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    fn frame(&self) -> Frame<'_> {
        Frame::new(PixelFormat::Rgb, self.width, self.height, &self.rgb).unwrap()
    }

    fn at(&self, x: usize, y: usize, c: usize) -> i32 {
        i32::from(self.rgb[(y * self.width + x) * 3 + c])
    }

    /// A picture of which `sample` says each value.
    fn of(width: usize, height: usize, sample: impl Fn(usize, usize, usize) -> i32) -> Self {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                for c in 0..3 {
                    rgb.push(u8::try_from(sample(x, y, c)).unwrap());
                }
            }
        }
        Self { width, height, rgb }
    }
}

fn picture() -> impl Strategy<Value = Picture> {
    (1usize..40, 1usize..40).prop_flat_map(|(width, height)| {
        proptest::collection::vec(any::<u8>(), width * height * 3).prop_map(move |rgb| Picture {
            width,
            height,
            rgb,
        })
    })
}

const NORMALIZE: Step = Step::Normalize { method: Normalization::Torchvision };

fn run(steps: &[Step], picture: &Picture) -> Vec<u8> {
    let steps = [steps, &[NORMALIZE]].concat();
    let mut preprocessor = RecipePreprocessor::new(Recipe::new("", steps).unwrap());
    preprocessor.picture(&picture.frame()).unwrap().data().to_vec()
}

fn exact(width: usize, height: usize) -> ResizeTo {
    ResizeTo::Exact { height, width }
}

/// Reflection without repeating the edge.
fn reflect(i: isize, n: usize) -> usize {
    let n = n as isize;
    if n == 1 {
        0
    } else {
        (if i < 0 {
            -i
        } else if i >= n {
            2 * n - 2 - i
        } else {
            i
        }) as usize
    }
}

fn filters() -> impl Strategy<Value = ResizeFilter> {
    prop::sample::select(vec![
        ResizeFilter::PillowNearest,
        ResizeFilter::PillowBilinear,
        ResizeFilter::PillowBicubic,
        ResizeFilter::OpencvLinear,
        ResizeFilter::TfBilinear,
        ResizeFilter::TorchAntialias,
    ])
}

/// The first row kept lies on a sample, the second needs a sample before it.
#[test]
fn a_crop_may_begin_on_a_sample() {
    let p = Picture::of(29, 7, |x, y, c| ((x * 31 + y * 67 + c * 11) % 256) as i32);
    let resize = Step::Resize { filter: ResizeFilter::PillowBicubic, to: exact(40, 33) };
    let resized = Picture { width: 40, height: 33, rgb: run(&[resize], &p) };
    let crop = Step::CenterCrop { height: 2, width: 26 };
    assert_eq!(run(&[resize, crop], &p), run(&[crop], &resized));
}

proptest! {
    #[test]
    fn gaussian_is_the_convolution(p in picture()) {
        let want = Picture::of(p.width, p.height, |x, y, c| {
            let mut sum = 8;
            for (dy, ky) in [(-1, 1), (0, 2), (1, 1)] {
                for (dx, kx) in [(-1, 1), (0, 2), (1, 1)] {
                    let (x, y) = (reflect(x as isize + dx, p.width), reflect(y as isize + dy, p.height));
                    sum += kx * ky * p.at(x, y, c);
                }
            }
            sum / 16
        });
        let whole = Step::CenterCrop { height: p.height, width: p.width };
        prop_assert_eq!(run(&[Step::Gaussian3x3 {}, whole], &p), want.rgb);
    }

    #[test]
    fn median_is_the_fifth_of_nine(p in picture()) {
        let want = Picture::of(p.width, p.height, |x, y, c| {
            let near = |i: usize, d: usize, n: usize| (i + d).saturating_sub(1).min(n - 1);
            let mut nine: Vec<i32> = (0..9)
                .map(|i| p.at(near(x, i % 3, p.width), near(y, i / 3, p.height), c))
                .collect();
            nine.sort_unstable();
            nine[4]
        });
        let whole = Step::CenterCrop { height: p.height, width: p.width };
        prop_assert_eq!(run(&[Step::Median3x3 {}, whole], &p), want.rgb);
    }

    #[test]
    fn opencv_linear_is_bilinear(p in picture(), w in 1usize..60, h in 1usize..60) {
        // In f64, so within one level.
        let side = |i: usize, from: usize, to: usize| {
            let position = ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, (from - 1) as f64);
            let first = position.floor() as usize;
            (first, (first + 1).min(from - 1), position - position.floor())
        };
        let found = run(&[Step::Resize { filter: ResizeFilter::OpencvLinear, to: exact(w, h) }], &p);
        let mut found = found.iter();
        for y in 0..h {
            for x in 0..w {
                for c in 0..3 {
                    let ((x0, x1, fx), (y0, y1, fy)) = (side(x, p.width, w), side(y, p.height, h));
                    let mix = |a: i32, b: i32, t: f64| f64::from(a) + (f64::from(b) - f64::from(a)) * t;
                    let (top, bottom) = (mix(p.at(x0, y0, c), p.at(x1, y0, c), fx), mix(p.at(x0, y1, c), p.at(x1, y1, c), fx));
                    let want = top + (bottom - top) * fy;
                    prop_assert!((f64::from(*found.next().unwrap()) - want).abs() < 1.0);
                }
            }
        }
    }

    #[test]
    fn resizing_keeps_flat_pictures_flat(
        filter in filters(), value: u8, w in 1usize..50, h in 1usize..50, to_w in 1usize..50, to_h in 1usize..50,
    ) {
        let p = Picture::of(w, h, |_, _, c| i32::from(value) * i32::from(c != 1));
        let want = Picture::of(to_w, to_h, |_, _, c| i32::from(value) * i32::from(c != 1));
        prop_assert_eq!(run(&[Step::Resize { filter, to: exact(to_w, to_h) }], &p), want.rgb);
    }

    /// The crop that is folded into the resize keeps the bytes of a resize and a crop.
    #[test]
    fn a_fused_crop_is_a_crop(
        filter in filters(), p in picture(), w in 1usize..50, h in 1usize..50, cw in 1usize..60, ch in 1usize..60,
    ) {
        let resize = Step::Resize { filter, to: exact(w, h) };
        let resized = Picture { width: w, height: h, rgb: run(&[resize], &p) };
        let crop = Step::CenterCrop { height: ch, width: cw };
        prop_assert_eq!(run(&[resize, crop], &p), run(&[crop], &resized));
    }

    /// The picture is what is normalised, and earlier frames leave no trace.
    #[test]
    fn floats_are_the_normalised_picture(p in picture(), before in picture(), preset in prop::sample::select(Preset::ALL)) {
        let size = 32;
        let recipe = preset.recipe(size).unwrap();
        let mut preprocessor = RecipePreprocessor::new(recipe.clone());
        let mut out = vec![f32::NAN; 3 * size * size];
        preprocessor.preprocess_into(&before.frame(), &mut out).unwrap();
        preprocessor.picture(&before.frame()).unwrap();
        out.fill(f32::NAN);
        preprocessor.preprocess_into(&p.frame(), &mut out).unwrap();
        let rgb = RecipePreprocessor::new(recipe.clone()).picture(&p.frame()).unwrap().data().to_vec();
        let (divisor, mean, std, swap) = match recipe.steps().last() {
            Some(Step::Normalize { method: Normalization::KerasCaffe }) =>
                (1.0, [103.939, 116.779, 123.68], [1.0; 3], true),
            Some(Step::Normalize { method: Normalization::KerasTf }) => (127.5, [1.0; 3], [1.0; 3], false),
            _ => (255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], false),
        };
        for (i, &v) in out.iter().enumerate() {
            let (c, pixel) = (i / (size * size), i % (size * size));
            let byte = rgb[3 * pixel + if swap { 2 - c } else { c }];
            let want: f32 = (f32::from(byte) / divisor - mean[c]) / std[c];
            prop_assert!((v - want).abs() <= 1e-6 * want.abs(), "{v} for {want}");
        }
    }

    /// A gray frame is an RGB frame of equal channels; BGR and RGBA are RGB in another order.
    #[test]
    fn formats_agree(p in picture(), preset in prop::sample::select(Preset::ALL)) {
        let mut preprocessor = RecipePreprocessor::new(preset.recipe(32).unwrap());
        let mut run = |format, bytes: &[u8]| {
            let frame = Frame::new(format, p.width, p.height, bytes).unwrap();
            let mut out = vec![0.0; 3 * 32 * 32];
            preprocessor.preprocess_into(&frame, &mut out).unwrap();
            out
        };
        let rgb = run(PixelFormat::Rgb, &p.rgb);
        let bgr: Vec<u8> = p.rgb.chunks(3).flat_map(|c| [c[2], c[1], c[0]]).collect();
        let rgba: Vec<u8> = p.rgb.chunks(3).flat_map(|c| [c[0], c[1], c[2], 9]).collect();
        prop_assert_eq!(&rgb, &run(PixelFormat::Bgr, &bgr));
        prop_assert_eq!(&rgb, &run(PixelFormat::Rgba, &rgba));
        let gray: Vec<u8> = p.rgb.iter().copied().step_by(3).collect();
        let repeated: Vec<u8> = gray.iter().flat_map(|&g| [g; 3]).collect();
        prop_assert_eq!(run(PixelFormat::Gray, &gray), run(PixelFormat::Rgb, &repeated));
    }

    #[test]
    fn any_text_is_a_recipe_or_an_error(text in ".{0,80}") {
        if let Err(e) = Recipe::from_json(&text) {
            prop_assert_eq!(e.stage(), Stage::Preprocess);
        }
    }
}

#[test]
fn equalising_gray_through_rgb_changes_nothing_but_luma() {
    let ramp: Vec<u8> = (0..=255).flat_map(|v: u8| [v / 2; 3]).collect();
    let p = Picture { width: 16, height: 16, rgb: ramp };
    let whole = Step::CenterCrop { height: 16, width: 16 };
    let out = run(&[Step::Equalize {}, whole], &p);
    assert_eq!((out[0], out[255 * 3]), (0, 255));
    assert!(out.chunks(3).all(|c| c[0] == c[1] && c[1] == c[2]));
}

/// Mean and std are those of the output's channels, whatever colour they are.
#[test]
fn channel_order_is_the_order_of_the_planes() {
    let custom = r#"{"custom": {"divisor": 2, "mean": [1, 2, 3], "std": [1, 2, 4]}}"#;
    let method = |x: f32, c: usize| (x / 2.0 - [1.0, 2.0, 3.0][c]) / [1.0, 2.0, 4.0][c];
    let pixels: [u8; 12] = [10, 20, 30, 11, 22, 33, 0, 128, 255, 7, 5, 3];
    for filter in ["pillow-nearest", "tf-bilinear"] {
        for (format, channels) in [(PixelFormat::Rgb, 3), (PixelFormat::Bgr, 3), (PixelFormat::Gray, 1)] {
            let frame = Frame::new(format, 2, 2, &pixels[..4 * channels]).unwrap();
            for (order, planes) in [("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])] {
                let recipe = format!(
                    r#"{{"version": 1, "steps": [
                        {{"step": "resize", "filter": "{filter}", "to": {{"exact": {{"height": 2, "width": 2}}}}}},
                        {{"step": "channel-order", "order": "{order}"}}, {{"step": "normalize", "method": {custom}}}
                    ]}}"#
                );
                let mut out = [f32::NAN; 12];
                let recipe = Recipe::from_json(&recipe).unwrap();
                RecipePreprocessor::new(recipe).preprocess_into(&frame, &mut out).unwrap();
                let want: [f32; 12] = core::array::from_fn(|i| {
                    let (c, pixel) = (i / 4, i % 4);
                    let colour = if format == PixelFormat::Bgr { 2 - planes[c] } else { planes[c] };
                    method(f32::from(pixels[pixel * channels + colour.min(channels - 1)]), c)
                });
                assert_eq!(out, want, "{filter} {format:?} {order}");
            }
        }
    }
}

#[test]
fn presets_survive_json() {
    for preset in Preset::ALL {
        let recipe = preset.recipe(preset.default_size()).unwrap();
        assert_eq!(Recipe::from_json(&recipe.to_json()).unwrap(), recipe);
    }
}

#[test]
fn bad_recipes_say_what_is_wrong() {
    let steps = |steps: &str| format!(r#"{{"version": 1, "steps": [{steps}]}}"#);
    let resize =
        r#"{"step": "resize", "filter": "pillow-bilinear", "to": {"exact": {"height": 8, "width": 8}}}"#;
    let tf = resize.replace("pillow-bilinear", "tf-bilinear");
    let norm = r#"{"step": "normalize", "method": "keras-tf"}"#;
    let bgr = r#"{"step": "channel-order", "order": "bgr"}"#;
    for (json, part) in [
        (String::from("{"), "line 1"),
        (r#"{"version": 2, "steps": []}"#.into(), "version 2"),
        (r#"{"version": 1, "steps": [], "extra": 1}"#.into(), "unknown field `extra`"),
        (steps(""), "ends with a normalize"),
        (steps(resize), "ends with a normalize"),
        (steps(norm), "depends on the picture"),
        (steps(&format!("{norm}, {resize}")), "nothing follows"),
        (steps(&format!("{resize}, {norm}, {norm}")), "nothing follows"),
        (steps(&format!("{bgr}, {resize}, {norm}")), "only normalize follows channel-order"),
        (steps(&format!("{tf}, {{\"step\": \"median-3x3\"}}, {norm}")), "leaves fractions"),
        (
            steps(&format!("{resize}, {bgr}, {}", norm.replace("keras-tf", "keras-caffe"))),
            "remove channel-order",
        ),
        (steps(&format!("{}, {norm}", resize.replace("8", "0"))), "1 to 65535"),
        (steps(&format!("{}, {norm}", resize.replace("8", "65536"))), "1 to 65535"),
        (steps(&format!("{}, {norm}", resize.replace("8", "65535"))), "exceeds 268435456 pixels"),
        (steps(&format!("{}, {norm}", resize.replace("8", "-8"))), "invalid value"),
        (steps(r#"{"step": "sharpen"}"#), "unknown variant `sharpen`"),
        (steps(r#"{"step": "gaussian-3x3", "sigma": 2}"#), "unknown field `sigma`"),
        (steps(r#"{"step": "clahe", "clip-limit": -1, "tiles": [8, 8]}"#), "clip-limit"),
        (steps(r#"{"step": "clahe", "clip-limit": 1, "tiles": [0, 8]}"#), "tiles"),
        (
            steps(&format!(
                "{resize}, {}",
                r#"{"step": "normalize", "method": {"custom": {"divisor": 0, "mean": [0,0,0], "std": [1,1,1]}}}"#
            )),
            "divisor",
        ),
    ] {
        let error = Recipe::from_json(&json).unwrap_err();
        assert!(error.to_string().contains(part), "{json}: {error}");
    }
    let error = "keras".parse::<Preset>().unwrap_err();
    assert!(error.to_string().contains("keras-caffe"), "{error}");
}

#[test]
fn frames_and_outputs_that_dont_fit_are_errors() {
    let mut preprocessor = RecipePreprocessor::new(Preset::TorchvisionV1.recipe(32).unwrap());
    let pixel = Frame::new(PixelFormat::Gray, 1, 1, &[0]).unwrap();
    let error = preprocessor.preprocess_into(&pixel, &mut [0.0; 7]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);

    // 1:65,535 resized to a shorter side of 36 would be 2.4 million long.
    let line = vec![0; 65_535];
    let mut out = vec![0.0; 3 * 32 * 32];
    let frame = Frame::new(PixelFormat::Gray, 1, 65_535, &line).unwrap();
    assert_eq!(preprocessor.preprocess_into(&frame, &mut out).unwrap_err().kind(), ErrorKind::Limit);
    let mut exact = RecipePreprocessor::new(Preset::Simple.recipe(32).unwrap());
    exact.preprocess_into(&frame, &mut out).unwrap();
    exact.preprocess_into(&Frame::new(PixelFormat::Gray, 65_535, 1, &line).unwrap(), &mut out).unwrap();

    let long = vec![0; 65_536];
    let frame = Frame::new(PixelFormat::Gray, 65_536, 1, &long).unwrap();
    assert_eq!(exact.preprocess_into(&frame, &mut out).unwrap_err().kind(), ErrorKind::Limit);
    let mosaic = Frame::new(PixelFormat::BayerRggb, 2, 2, &[0; 4]).unwrap();
    assert_eq!(exact.preprocess_into(&mosaic, &mut out).unwrap_err().kind(), ErrorKind::Shape);

    // After errors it still works.
    preprocessor.preprocess_into(&pixel, &mut out).unwrap();
    assert!(out.iter().all(|v| v.is_finite()));
}

#[test]
fn impossible_frames_are_errors() {
    use PixelFormat::{Gray, Nv12, Rgb, Yuyv};
    for (format, width, height, stride, len) in [
        (Rgb, 0, 1, 0, 0),
        (Rgb, 1, 0, 3, 0),
        (Rgb, 2, 2, 6, 11),
        (Rgb, 2, 2, 5, 12),
        (Yuyv, 3, 2, 6, 12),
        (Nv12, 2, 3, 2, 9),
        (Nv12, 2, usize::MAX - 1, 2, 9),
        (Gray, 1, usize::MAX, usize::MAX, 9),
        (Rgb, usize::MAX, 1, usize::MAX, 9),
    ] {
        let bytes = vec![0; len];
        let error = Frame::with_stride(format, width, height, stride, &bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape, "{format:?} {width}x{height}");
    }
}

#[test]
fn the_middle_of_a_picture_is_a_recipe_too() {
    let v1 = Preset::TorchvisionV1.recipe(224).unwrap().with_crop_pct(0.5).unwrap();
    let shorter = v1.steps().iter().find_map(|s| match s {
        Step::Resize { to: ResizeTo::Shorter(n), .. } => Some(*n),
        _ => None,
    });
    assert_eq!(shorter, Some(512));
    assert_eq!(v1.steps().iter().filter(|s| matches!(s, Step::CenterCrop { .. })).count(), 1);
    for &preset in Preset::ALL {
        let whole = preset.recipe(64).unwrap();
        assert_eq!(whole.with_crop_pct(1.0).unwrap(), whole);
        let middle = whole.with_crop_pct(0.8).unwrap();
        assert_eq!(middle.output_shape(), whole.output_shape(), "{}", preset.name());

        // A white surround that the middle doesn't show.
        let inside = |i: usize| (50..250).contains(&(i % 300)) && (50..250).contains(&(i / 300));
        let pixels: Vec<u8> = (0..300 * 300).flat_map(|i| [if inside(i) { 0 } else { 255 }; 3]).collect();
        let frame = Frame::new(PixelFormat::Rgb, 300, 300, &pixels).unwrap();
        let spread = |recipe: &Recipe| {
            let mut preprocessor = RecipePreprocessor::new(recipe.clone());
            let picture = preprocessor.picture(&frame).unwrap();
            picture.data().iter().max().unwrap() - picture.data().iter().min().unwrap()
        };
        assert_eq!(spread(&whole), 255, "{}", preset.name());
        assert!(spread(&whole.with_crop_pct(0.5).unwrap()) < 8, "{}", preset.name());
    }
    for bad in [0.0, 1.5, f32::NAN] {
        let e = v1.with_crop_pct(bad).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e}");
    }
    let crop =
        [Step::CenterCrop { height: 32, width: 32 }, Step::Normalize { method: Normalization::KerasTf }];
    let e = Recipe::new("", crop).unwrap().with_crop_pct(0.9).unwrap_err();
    assert!(e.message().contains("resize"), "{e}");
}

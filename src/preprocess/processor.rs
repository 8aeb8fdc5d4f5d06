//! [`RecipePreprocessor`]: a recipe made ready to run.

use super::{
    Normalization, Preprocessor, Recipe, Step,
    crop::Window,
    denoise::Denoise,
    equalize::{self, Clahe},
    fail,
    normalize::ChannelMap,
    planes::{Planes, grow},
    recipe::ChannelOrder,
    resize::Resizer,
    simd::Isa,
    source::{Source, frame_to_planes},
};
use crate::{ErrorKind, Frame, PixelFormat, Result};
use alloc::{boxed::Box, format, vec::Vec};

/// Runs a [`Recipe`]: the [`Preprocessor`] of a pipeline.
///
/// Works on planes and fuses the last resize with its crop and the normalisation, so that each
/// output row is resized and normalised while it is in the cache. Resize weights are kept for the
/// sizes seen last (16 a step and direction), all memory is kept from frame to frame. One per
/// thread: cloning is cheap.
///
/// ```
/// use fruitcore::preprocess::{Preset, RecipePreprocessor};
/// use fruitcore::{Frame, PixelFormat, Preprocessor};
/// let mut preprocessor = RecipePreprocessor::new(Preset::KerasTf.recipe(32)?);
/// let pixels = [255; 10 * 10 * 3];
/// let frame = Frame::new(PixelFormat::Rgb, 10, 10, &pixels)?;
/// let mut input = vec![0.0; 3 * 32 * 32];
/// preprocessor.preprocess_into(&frame, &mut input)?;
/// assert!(input.iter().all(|&v| v == 1.0));
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecipePreprocessor {
    recipe: Recipe,
    shape: [usize; 3],
    isa: Isa,
    steps: Vec<Work>,
    /// Output channel that red, green and blue become.
    target: [usize; 3],
    /// By output channel.
    maps: [ChannelMap; 3],
    scratch: Scratch,
    picture: Vec<u8>,
}

/// Memory kept between frames.
#[derive(Clone, Debug, Default)]
struct Scratch {
    front: Planes,
    back: Planes,
    denoise: Denoise,
    row: Vec<u8>,
    float_row: Vec<f32>,
}

/// A pixel step made ready.
#[derive(Clone, Debug)]
enum Work {
    Gaussian,
    Median,
    Equalize,
    Clahe(Clahe),
    Resize(Box<Resizer>),
    /// Height, width; a crop after a resize is part of the resize instead.
    Crop([usize; 2]),
}

impl RecipePreprocessor {
    /// Prepares a recipe. Takes no memory for pictures yet.
    pub fn new(recipe: Recipe) -> Self {
        let mut steps: Vec<Work> = Vec::new();
        let mut swap = false;
        let mut method = Normalization::Torchvision;
        let mut previous_resizes = false;
        for (i, step) in recipe.steps().iter().enumerate() {
            match *step {
                Step::Gaussian3x3 {} => steps.push(Work::Gaussian),
                Step::Median3x3 {} => steps.push(Work::Median),
                Step::Equalize {} => steps.push(Work::Equalize),
                Step::Clahe { clip_limit, tiles } => steps.push(Work::Clahe(Clahe::new(clip_limit, tiles))),
                Step::Resize { filter, to } => {
                    let crop = match recipe.steps().get(i + 1) {
                        Some(&Step::CenterCrop { height, width }) => Some([height, width]),
                        _ => None,
                    };
                    steps.push(Work::Resize(Box::new(Resizer::new(filter, to, crop))));
                }
                Step::CenterCrop { .. } if previous_resizes => {}
                Step::CenterCrop { height, width } => steps.push(Work::Crop([height, width])),
                Step::ChannelOrder { order } => swap = order == ChannelOrder::Bgr,
                Step::Normalize { method: m } => method = m,
            }
            previous_resizes = matches!(step, Step::Resize { .. });
        }
        swap |= method == Normalization::KerasCaffe;
        Self {
            shape: recipe.output_shape(),
            recipe,
            isa: Isa::detect(),
            steps,
            target: if swap { [2, 1, 0] } else { [0, 1, 2] },
            maps: core::array::from_fn(|c| ChannelMap::new(method, c)),
            scratch: Scratch::default(),
            picture: Vec::new(),
        }
    }

    /// What it runs.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The preprocessed picture: RGB after every step but channel order and normalisation. Floats of
    /// `tf-bilinear` are rounded half to even.
    ///
    /// ```
    /// use fruitcore::preprocess::{Preset, RecipePreprocessor};
    /// use fruitcore::{Frame, PixelFormat};
    /// let mut preprocessor = RecipePreprocessor::new(Preset::KerasCaffe.recipe(4)?);
    /// let frame = Frame::new(PixelFormat::Gray, 2, 2, &[7; 4])?;
    /// let picture = preprocessor.picture(&frame)?;
    /// assert_eq!(picture.data(), [7; 4 * 4 * 3]);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Preprocessor::preprocess_into`].
    pub fn picture(&mut self, frame: &Frame<'_>) -> Result<Frame<'_>> {
        let [_, height, width] = self.shape;
        self.run(frame)?;
        let isa = self.isa;
        grow(&mut self.picture, 3 * width * height)?;
        grow(&mut self.scratch.row, 3 * width)?;
        let (row, rest) = self.scratch.row.split_at_mut(width);
        let (green, blue) = rest.split_at_mut(width);
        let mut rows = [row, green, &mut blue[..width]];
        let mut last = Last::of(&mut self.steps, &self.scratch.front);
        let channels = last.channels();
        for (y, out) in self.picture.chunks_exact_mut(3 * width).take(height).enumerate() {
            for (c, row) in rows.iter_mut().enumerate().take(channels) {
                last.row(isa, c, y, row, &mut self.scratch.float_row);
            }
            let [r, g, b] = &rows;
            if channels == 1 { isa.interleave(r, r, r, out) } else { isa.interleave(r, g, b, out) }
        }
        Frame::new(PixelFormat::Rgb, width, height, &self.picture[..3 * width * height])
    }

    /// Runs all pixel steps; the last resize stays half done, for its rows to be made where they are
    /// used.
    fn run(&mut self, frame: &Frame<'_>) -> Result<()> {
        frame.check_convertible()?;
        let (isa, count) = (self.isa, self.steps.len());
        let Scratch { front, back, denoise, row: _, float_row } = &mut self.scratch;
        grow(float_row, self.shape[2])?;
        let mut on_frame = true;
        for (i, work) in self.steps.iter_mut().enumerate() {
            if let Work::Resize(resizer) = work {
                let source = if on_frame { Source::Frame(frame) } else { Source::Planes(front) };
                resizer.begin(isa, source)?;
                if i + 1 < count {
                    materialize(resizer, isa, front)?;
                    on_frame = false;
                }
                continue;
            }
            if on_frame {
                frame_to_planes(frame, isa, front)?;
                on_frame = false;
            }
            let (channels, width, height) = (front.channels, front.width, front.height);
            match work {
                Work::Equalize => equalize::equalize(isa, front),
                Work::Clahe(clahe) => clahe.apply(isa, front)?,
                Work::Gaussian | Work::Median => {
                    back.reshape(channels, width, height)?;
                    for c in 0..channels {
                        let (src, dst) = (front.plane(c), back.plane_mut(c));
                        match work {
                            Work::Gaussian => denoise.gaussian(isa, src, dst, width)?,
                            _ => denoise.median(isa, src, dst, width)?,
                        }
                    }
                    core::mem::swap(front, back);
                }
                Work::Crop([h, w]) => {
                    let window = Window::center(width, height, *w, *h);
                    back.reshape(channels, *w, *h)?;
                    for c in 0..channels {
                        for (y, out) in back.plane_mut(c).chunks_exact_mut(*w).enumerate() {
                            let inner = place(&window, y, out);
                            if let Some((y, out)) = inner {
                                out.copy_from_slice(&front.row(c, window.y + y)[window.x..][..window.width]);
                            }
                        }
                    }
                    core::mem::swap(front, back);
                }
                Work::Resize(_) => {}
            }
        }
        Ok(())
    }
}

impl Preprocessor for RecipePreprocessor {
    fn output_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn preprocess_into(&mut self, frame: &Frame<'_>, out: &mut [f32]) -> Result<()> {
        let [channels, height, width] = self.shape;
        if out.len() != channels * height * width {
            let (shape, found) = (self.shape, out.len());
            let message = format!("output of shape {shape:?} needs their product in elements, found {found}");
            return Err(fail(ErrorKind::Shape, message));
        }
        self.run(frame)?;
        let isa = self.isa;
        grow(&mut self.scratch.row, width)?;
        let mut last = Last::of(&mut self.steps, &self.scratch.front);
        let (is_float, inputs) = (last.is_float(), last.channels());
        let (row, floats) = (&mut self.scratch.row[..width], &mut self.scratch.float_row);
        for c in 0..inputs {
            // Gray feeds all three outputs.
            let fed = if inputs == 1 { &self.target[..] } else { &self.target[c..=c] };
            for y in 0..height {
                if is_float {
                    last.row_floats(isa, c, y, &mut floats[..width]);
                } else {
                    last.row(isa, c, y, row, floats);
                }
                for &target in fed {
                    let dst = &mut out[(target * height + y) * width..][..width];
                    if is_float {
                        self.maps[target].floats(&floats[..width], dst);
                    } else {
                        self.maps[target].bytes(isa, row, dst);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The finished picture, in memory or made row by row.
enum Last<'a> {
    Planes(&'a Planes),
    Resize(&'a mut Resizer),
}

impl<'a> Last<'a> {
    fn of(steps: &'a mut [Work], front: &'a Planes) -> Self {
        match steps.last_mut() {
            Some(Work::Resize(resizer)) => Self::Resize(resizer),
            _ => Self::Planes(front),
        }
    }

    fn channels(&self) -> usize {
        match self {
            Self::Planes(p) => p.channels,
            Self::Resize(r) => r.channels(),
        }
    }

    fn is_float(&self) -> bool {
        matches!(self, Self::Resize(r) if r.is_float())
    }

    /// Row `y` as bytes.
    fn row(&mut self, isa: Isa, channel: usize, y: usize, out: &mut [u8], floats: &mut [f32]) {
        match self {
            Self::Planes(p) => out.copy_from_slice(p.row(channel, y)),
            Self::Resize(r) if r.is_float() => {
                let width = out.len();
                self.row_floats(isa, channel, y, &mut floats[..width]);
                out.iter_mut().zip(floats).for_each(|(o, v)| *o = libm::rintf(*v) as u8);
            }
            Self::Resize(r) => {
                if let Some((y, out)) = place(&r.window(), y, out) {
                    r.row_bytes(isa, channel, y, out);
                }
            }
        }
    }

    /// Row `y` as floats; only if [`Last::is_float`].
    fn row_floats(&mut self, isa: Isa, channel: usize, y: usize, out: &mut [f32]) {
        if let Self::Resize(r) = self
            && let Some((y, out)) = place(&r.window(), y, out)
        {
            r.row_floats(isa, channel, y, out);
        }
    }
}

/// Zeroes the padding of output row `y`; what is left is row `.0` of the window's content.
fn place<'a, T: Copy + Default>(window: &Window, y: usize, out: &'a mut [T]) -> Option<(usize, &'a mut [T])> {
    let Some(inner) = y.checked_sub(window.pad_y).filter(|&y| y < window.height) else {
        out.fill(T::default());
        return None;
    };
    if window.width == out.len() {
        return Some((inner, out));
    }
    let (left, rest) = out.split_at_mut(window.pad_x);
    let (middle, right) = rest.split_at_mut(window.width);
    left.fill(T::default());
    right.fill(T::default());
    Some((inner, middle))
}

/// Finishes a resize that further steps follow.
fn materialize(resizer: &mut Resizer, isa: Isa, out: &mut Planes) -> Result<()> {
    let window = resizer.window();
    out.reshape(resizer.channels(), window.out_width, window.out_height)?;
    for c in 0..out.channels {
        for (y, row) in out.plane_mut(c).chunks_exact_mut(window.out_width).enumerate() {
            if let Some((y, row)) = place(&window, y, row) {
                resizer.row_bytes(isa, c, y, row);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::{Preset, ResizeFilter, ResizeTo};
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        /// Both compilations of every kernel give the same bits.
        #[test]
        fn wide_kernels_equal_plain_ones(
            width in 1usize..70, height in 1usize..70, seed: u32, format in 0usize..6, pick in 0usize..24,
        ) {
            let formats = [
                PixelFormat::Rgb, PixelFormat::Bgr, PixelFormat::Rgba, PixelFormat::Yuyv, PixelFormat::Nv12,
                PixelFormat::BayerRggb,
            ];
            let (width, height) = (2 * width + 2, 2 * height + 2);
            let bytes: Vec<u8> =
                (0..width * height * 4).map(|i| (seed.wrapping_mul(i as u32 | 1) >> 11) as u8).collect();
            let frame = Frame::new(formats[format], width, height, &bytes)?;
            let recipe = match Preset::ALL.get(pick) {
                Some(preset) => preset.recipe(40)?,
                None => {
                    let filters = [
                        ResizeFilter::TfBilinear, ResizeFilter::TorchAntialias, ResizeFilter::PillowBicubic,
                        ResizeFilter::OpencvLinear, ResizeFilter::PillowBilinear,
                    ];
                    let to = ResizeTo::Exact { height: 9, width: 31 };
                    let clahe = Step::Clahe { clip_limit: 3.0, tiles: [3, 2] };
                    let last = Step::Resize { filter: filters[pick % filters.len()], to };
                    let normalize = Step::Normalize { method: Normalization::KerasTf };
                    Recipe::new("", vec![Step::Median3x3 {}, clahe, Step::Equalize {}, last, normalize])?
                }
            };
            let mut best = RecipePreprocessor::new(recipe);
            let mut plain = best.clone();
            plain.isa = Isa::plain();
            let mut outs = [(); 2].map(|()| vec![0.0; best.shape.iter().product()]);
            best.preprocess_into(&frame, &mut outs[0])?;
            plain.preprocess_into(&frame, &mut outs[1])?;
            prop_assert_eq!(&outs[0], &outs[1]);
            prop_assert_eq!(best.picture(&frame)?.data(), plain.picture(&frame)?.data());
        }
    }
}

//! A camera frame to principal components and to a label without an operating system.
//!
//! The functions have C names and take slices' parts, so that everything they use is compiled and
//! linked into the archive, and firmware in any language could call them.
#![no_std]
extern crate alloc;

use alloc::{boxed::Box, vec, vec::Vec};
use burn::tensor::{Device, Tensor, TensorData};
use embedded_alloc::LlffHeap;
use fruitcore::{
    Featurizer, Frame, PixelFormat, Preprocessor, Result,
    featurize::{
        NetworkFeaturizer,
        kernels::{Plan, PlanOptions},
        network::{NetworkKind, NetworkSpec},
        weights::{Checkpoint, RandomWeights},
    },
    pca::{CovariancePca, IncrementalPca, Keep, Projection, Rows},
    pipeline::{Pipeline, PipelineFile},
    preprocess::{Preset, RecipePreprocessor},
};
use panic_halt as _;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

const SIDE: usize = 96;
const HEAP_BYTES: usize = 8 << 20;

/// Everything one frame goes through.
pub struct Robot {
    preprocessor: Box<dyn Preprocessor>,
    featurizer: Box<dyn Featurizer>,
    pca: CovariancePca,
    projection: Option<Projection>,
}

impl Robot {
    /// From a checkpoint's bytes; without any, with weights drawn from a seed.
    fn new(checkpoint: &[u8]) -> Result<Self> {
        let spec = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(SIDE, SIDE);
        let graph = spec.graph()?;
        let device = Device::flex();
        let network = if checkpoint.is_empty() {
            NetworkFeaturizer::new(&graph, &RandomWeights::new(&graph, 1), &device)?
        } else {
            NetworkFeaturizer::new(&graph, &Checkpoint::from_bytes(checkpoint)?, &device)?
        };
        let pca = CovariancePca::new(network.feature_len())?;
        Ok(Self {
            preprocessor: Box::new(RecipePreprocessor::new(Preset::Simple.recipe(SIDE)?)),
            featurizer: Box::new(network),
            pca,
            projection: None,
        })
    }

    /// One frame to its feature vector.
    fn features(&mut self, frame: &Frame<'_>) -> Result<Vec<f32>> {
        let [c, h, w] = self.preprocessor.output_shape();
        let mut picture = vec![0.0; c * h * w];
        self.preprocessor.preprocess_into(frame, &mut picture)?;
        let batch = Tensor::from_data(TensorData::new(picture, [1, c, h, w]), &Device::flex());
        let features = self.featurizer.featurize(batch)?.into_data();
        Ok(features.as_slice::<f32>().map(<[f32]>::to_vec).unwrap_or_default())
    }

    /// Learns from a frame.
    fn learn(&mut self, frame: &Frame<'_>) -> Result<()> {
        let row = self.features(frame)?;
        self.pca.partial_fit(Rows::new(&row, row.len())?)
    }

    fn fit(&mut self, components: usize) -> Result<()> {
        let state = CovariancePca::from_bytes(&self.pca.to_bytes())?;
        self.projection = Some(state.fit(Keep::Count(components))?);
        Ok(())
    }

    fn components(&mut self, frame: &Frame<'_>, out: &mut [f32]) -> Result<()> {
        let row = self.features(frame)?;
        match &self.projection {
            Some(projection) => projection.transform_into(Rows::new(&row, row.len())?, out),
            None => Ok(()),
        }
    }
}

/// Gives the allocator its memory.
///
/// # Safety
/// To be called once, before all others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_start() {
    static mut MEMORY: [u8; HEAP_BYTES] = [0; HEAP_BYTES];
    // SAFETY: called once, and nothing else refers to MEMORY.
    unsafe { HEAP.init(&raw mut MEMORY as usize, HEAP_BYTES) };
}

/// A robot with the weights of a checkpoint, or with random ones if `length` is 0; null if it failed.
///
/// # Safety
/// `checkpoint` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_robot(checkpoint: *const u8, length: usize) -> *mut Robot {
    // SAFETY: the caller's promise.
    let robot = Robot::new(unsafe { slice(checkpoint, length) });
    robot.map_or(core::ptr::null_mut(), |robot| Box::into_raw(Box::new(robot)))
}

/// A pipeline that was fitted elsewhere; null if the bytes are none.
///
/// # Safety
/// `artifact` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_pipeline(artifact: *const u8, length: usize) -> *mut Pipeline {
    // SAFETY: the caller's promise.
    let pipeline = Pipeline::from_bytes(unsafe { slice(artifact, length) }, &Device::flex());
    pipeline.map_or(core::ptr::null_mut(), |pipeline| Box::into_raw(Box::new(pipeline)))
}

/// The same with weights that stay where they are; null if one of both is damaged or for another network.
///
/// # Safety
/// `artifact` points to `length` bytes, `plan` to `plan_length` bytes that nobody ever changes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_flash(
    artifact: *const u8,
    length: usize,
    plan: *const u8,
    plan_length: usize,
) -> *mut Pipeline {
    // SAFETY: the caller's promise.
    let (artifact, plan) = unsafe { (slice(artifact, length), slice(plan, plan_length)) };
    let pipeline = PipelineFile::from_bytes(artifact).and_then(|file| {
        let mut options = PlanOptions::default();
        options.micro_batch = 1;
        let plan = Plan::from_bytes(&file.network().graph()?, plan, &options)?;
        file.load_network(NetworkFeaturizer::from_plan(plan, &Device::flex()))
    });
    pipeline.map_or(core::ptr::null_mut(), |pipeline| Box::into_raw(Box::new(pipeline)))
}

/// Writes the components of a YUYV camera frame to `out`; 0 on success.
///
/// # Safety
/// `pipeline` comes from [`fruitcore_pipeline`], `pixels` points to `2 · width · height` bytes and
/// `out` to `components` floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_camera(
    pipeline: *mut Pipeline,
    pixels: *const u8,
    width: usize,
    height: usize,
    out: *mut f32,
    components: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let (pipeline, pixels, out) = unsafe {
        (&mut *pipeline, slice(pixels, 2 * width * height), core::slice::from_raw_parts_mut(out, components))
    };
    let found =
        Frame::new(PixelFormat::Yuyv, width, height, pixels).and_then(|frame| pipeline.transform(&frame));
    status(found.map(|found| out.iter_mut().zip(found).for_each(|(o, v)| *o = v)))
}

/// Writes the class of a YUYV camera frame, as its number among the head's classes, and its
/// probability; the class is -1 for "unknown". 0 on success.
///
/// # Safety
/// `pipeline` comes from [`fruitcore_pipeline`], `pixels` points to `2 · width · height` bytes, `class`
/// and `probability` to one value each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_classify(
    pipeline: *mut Pipeline,
    pixels: *const u8,
    width: usize,
    height: usize,
    class: *mut i32,
    probability: *mut f32,
) -> i32 {
    // SAFETY: the caller's promise.
    let (pipeline, pixels, class, probability) =
        unsafe { (&mut *pipeline, slice(pixels, 2 * width * height), &mut *class, &mut *probability) };
    let frame = Frame::new(PixelFormat::Yuyv, width, height, pixels);
    let found = frame.and_then(|frame| {
        let prediction = pipeline.classify(&frame)?;
        *class = prediction.class().map_or(-1, |class| class as i32);
        *probability = prediction.probability();
        Ok(())
    });
    status(found)
}

/// # Safety
/// `start` points to `length` bytes, unless `length` is 0.
unsafe fn slice<'a>(start: *const u8, length: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    if length == 0 { &[] } else { unsafe { core::slice::from_raw_parts(start, length) } }
}

/// Learns from an RGB frame; 0 on success.
///
/// # Safety
/// `robot` comes from [`fruitcore_robot`], `pixels` points to `3 · width · height` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_learn(
    robot: *mut Robot,
    pixels: *const u8,
    width: usize,
    height: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let (robot, pixels) = unsafe { (&mut *robot, core::slice::from_raw_parts(pixels, 3 * width * height)) };
    status(Frame::new(PixelFormat::Rgb, width, height, pixels).and_then(|frame| robot.learn(&frame)))
}

/// Fits `components` principal components to what was learnt; 0 on success.
///
/// # Safety
/// `robot` comes from [`fruitcore_robot`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_fit(robot: *mut Robot, components: usize) -> i32 {
    // SAFETY: the caller's promise.
    status(unsafe { &mut *robot }.fit(components))
}

/// Writes the components of an RGB frame to `out`; 0 on success.
///
/// # Safety
/// As [`fruitcore_learn`], and `out` points to `components` floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fruitcore_components(
    robot: *mut Robot,
    pixels: *const u8,
    width: usize,
    height: usize,
    out: *mut f32,
    components: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    let (robot, pixels, out) = unsafe {
        (
            &mut *robot,
            core::slice::from_raw_parts(pixels, 3 * width * height),
            core::slice::from_raw_parts_mut(out, components),
        )
    };
    status(
        Frame::new(PixelFormat::Rgb, width, height, pixels).and_then(|frame| robot.components(&frame, out)),
    )
}

fn status(done: Result<()>) -> i32 {
    done.map_or_else(|e| e.kind() as i32 + 1, |()| 0)
}

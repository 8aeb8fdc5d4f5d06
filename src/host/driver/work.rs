//! Workers: each carries a micro-batch from bytes to features on its own core, or on those that are idle, too.

use super::{Control, Driver, Message, Reject, Shared, feed, internal};
use crate::{
    Error, ErrorKind, Featurizer, Frame, Preprocessor, Result, Stage,
    host::{
        decode::{DecodeOptions, Decoder},
        run::OutputStore,
        sink::picture::PictureFormat,
        source::Object,
    },
    memory,
    preprocess::{Recipe, RecipePreprocessor},
};
use alloc::{boxed::Box, format, string::String, string::ToString, sync::Arc, vec::Vec};
use burn::tensor::{Device, Tensor, TensorData};
use bytes::Bytes;
use core::{cell::Cell, panic::AssertUnwindSafe};
use std::{panic::catch_unwind, sync::Mutex, sync::mpsc, time::Instant};

/// Encoded bytes to a frame.
///
/// # Contract
/// - The result depends on the bytes and the decoder's configuration only; `&mut self` is for the
///   memory that holds the pixels.
/// - After an error the decoder can be used again.
pub trait Decode {
    /// Decodes one picture.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt), [`Unsupported`](ErrorKind::Unsupported) or
    /// [`Limit`](ErrorKind::Limit); the picture becomes a reject with the message as reason.
    fn decode(&mut self, encoded: &[u8]) -> Result<Frame<'_>>;
}

/// Makes one decoder for each worker.
pub type DecoderFn = dyn Fn() -> Result<Box<dyn Decode + Send>> + Send + Sync;

/// Makes one preprocessor for each worker.
pub type PreprocessorFn = dyn Fn() -> Result<Box<dyn Preprocessor + Send>> + Send + Sync;

/// Sees each usable picture's path and decoded frame, for instance to save it; its error rejects
/// the picture.
pub type Watcher = dyn FnMut(&str, &Frame<'_>) -> Result<()> + Send;

/// Makes one watcher for each worker.
pub type WatcherFn = dyn Fn() -> Result<Box<Watcher>> + Send + Sync;

/// What is done to a picture.
#[derive(Clone)]
#[non_exhaustive]
pub struct Stages {
    /// Encoded bytes to a frame.
    pub decoder: Arc<DecoderFn>,
    /// Frame to normalised floats; must write what the featurizer reads.
    pub preprocessor: Arc<PreprocessorFn>,
    /// Floats to features.
    pub featurizer: Arc<dyn Featurizer + Send + Sync>,
    /// Where batches are created.
    pub device: Device,
    /// Called for each usable picture, if set.
    pub watcher: Option<Arc<WatcherFn>>,
}

impl Stages {
    /// Stages of any kind on `device`.
    pub fn new(
        decoder: Arc<DecoderFn>,
        preprocessor: Arc<PreprocessorFn>,
        featurizer: Arc<dyn Featurizer + Send + Sync>,
        device: Device,
    ) -> Self {
        Self { decoder, preprocessor, featurizer, device, watcher: None }
    }

    /// Picture files, prepared by a recipe.
    pub fn pictures(
        decode: DecodeOptions,
        recipe: Recipe,
        featurizer: Arc<dyn Featurizer + Send + Sync>,
        device: Device,
    ) -> Self {
        Self::new(
            Arc::new(move || Ok(Box::new(Decoder::new(decode)))),
            Arc::new(move || Ok(Box::new(RecipePreprocessor::new(recipe.clone())))),
            featurizer,
            device,
        )
    }

    /// Also saves each usable picture as `recipe` leaves it before normalisation, under the
    /// picture's own path below `output`. Costs a second pass through the recipe.
    #[must_use]
    pub fn save_pictures(
        mut self,
        recipe: Recipe,
        format: PictureFormat,
        output: Arc<dyn OutputStore>,
    ) -> Self {
        self.watcher = Some(Arc::new(move || {
            let mut preprocessor = RecipePreprocessor::new(recipe.clone());
            let output = Arc::clone(&output);
            Ok(Box::new(move |path: &str, frame: &Frame<'_>| {
                let picture = preprocessor.picture(frame)?;
                let file = format.encode(picture.data(), picture.width(), picture.height())?;
                output.put_copy(&format.file_name(path), &file)
            }))
        }));
        self
    }
}

/// Rows and rejects of one micro-batch.
pub(super) struct Output {
    pub part: u32,
    /// Position of its first picture within the part.
    pub start: usize,
    /// Pictures, usable or not.
    pub pictures: usize,
    pub names: Vec<(String, Option<String>)>,
    /// `[names.len(), feature_len]`.
    pub values: Vec<f32>,
    pub rejects: Vec<Reject>,
    pub seconds: [f64; 4],
}

/// Where a micro-batch has no room.
const REMEDY: &str = "use a smaller --batch, fewer --workers or smaller pictures";

/// Names of `Output::seconds`.
pub(super) const SECONDS: [&str; 4] = ["source", "decode", "preprocess", "featurize"];

pub(super) struct Worker<'a> {
    pub driver: &'a Driver,
    pub shared: &'a Shared,
    pub control: &'a Control,
    pub queue: Arc<Mutex<tokio::sync::mpsc::Receiver<feed::Batch>>>,
    pub messages: mpsc::Sender<Message>,
}

impl Worker<'_> {
    /// Takes batches until there are no more.
    pub(super) fn run(self) {
        // Parallel code further down (a CPU backend) stays on this worker's core.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .thread_name(|n| format!("fruitcore-compute-{n}"))
            .build();
        let done = match pool {
            Ok(pool) => pool.install(|| self.work()),
            Err(e) => Err(Error::new(ErrorKind::Io, Stage::Run, format!("no thread: {e}")).because(e)),
        };
        if let Err(e) = done {
            self.shared.fail(e);
        }
    }

    fn work(&self) -> Result<()> {
        let mut tools = Tools::new(&self.driver.stages)?;
        let mut input = Vec::new();
        while !self.shared.failed() {
            let batch = self.queue.lock().unwrap_or_else(|e| e.into_inner()).blocking_recv();
            let Some(batch) = batch else { break };
            let first = batch.items.first().map(|(o, _)| o.path.clone()).unwrap_or_default();
            let output = catch_unwind(AssertUnwindSafe(|| self.batch(batch, &mut tools, &mut input)))
                .unwrap_or_else(|_| {
                    Err(internal("the network panicked in the batch starting here").at(first))
                })?;
            self.control.images(output.pictures as u64, output.rejects.len() as u64);
            if let Some(reject) = output.rejects.first().filter(|_| self.driver.strict) {
                return Err(reject.to_error());
            }
            if self.messages.send(Message::Batch(output)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Carries out a micro-batch. `input` is kept from one to the next where no tensor takes it.
    fn batch(&self, batch: feed::Batch, tools: &mut Tools, input: &mut Vec<f32>) -> Result<Output> {
        let stages = &self.driver.stages;
        let [c, h, w] = tools.preprocessor.output_shape();
        let size = c * h * w;
        let mut output = Output {
            part: batch.part,
            start: batch.start,
            pictures: batch.items.len(),
            names: Vec::with_capacity(batch.items.len()),
            values: Vec::new(),
            rejects: Vec::new(),
            seconds: [batch.seconds, 0.0, 0.0, 0.0],
        };
        memory::grow(input, batch.items.len() * size, REMEDY)?;
        for (object, bytes) in batch.items {
            let at = output.names.len() * size;
            let Some(slot) = input.get_mut(at..at + size) else { break };
            match self.picture(&object, bytes, tools, slot, &mut output.seconds) {
                Ok(()) => output.names.push((object.path, object.label)),
                Err(e) if !feed::is_local(&e) => return Err(e.at(object.path)),
                Err(e) => output.rejects.push(Reject::new(&object.path, &e)),
            }
        }
        // The encoded bytes are gone: others may be fetched meanwhile.
        drop(batch.charged);
        let n = output.names.len();
        if n > 0 {
            (output.values, output.seconds[3]) = self.features(input, n, [c, h, w])?;
            keep_finite(&mut output, stages.featurizer.feature_len());
        }
        drop(batch.under_way);
        Ok(output)
    }

    /// Features of the first `n` pictures of `input`, and the seconds they took.
    fn features(&self, input: &mut Vec<f32>, n: usize, [c, h, w]: [usize; 3]) -> Result<(Vec<f32>, f64)> {
        let (stages, size) = (&self.driver.stages, c * h * w);
        let network = &*stages.featurizer;
        if let Some(slices) = network.slices().filter(|_| self.shared.gpu.is_none()) {
            let mut values = memory::zeros(n * network.feature_len(), REMEDY)?;
            let start = Instant::now();
            slices.featurize_into(input.get(..n * size).unwrap_or_default(), &mut values, self.threads())?;
            return Ok((values, start.elapsed().as_secs_f64()));
        }
        let mut input = core::mem::take(input);
        input.truncate(n * size);
        let seconds = Cell::new(0.0);
        let compute = |input: Vec<f32>| {
            let start = Instant::now();
            let shape = [input.len() / size, c, h, w];
            let values = features(network, TensorData::new(input, shape), &stages.device);
            values.inspect(|_| seconds.set(seconds.get() + start.elapsed().as_secs_f64()))
        };
        let values = match &self.shared.gpu {
            None => compute(input)?,
            Some(gpu) => gpu.features(input, size, compute, || stages.device.memory_cleanup())?,
        };
        Ok((values, seconds.get()))
    }

    /// Threads for the micro-batch at hand: where fewer are under way than there are workers, those of idle ones, too.
    fn threads(&self) -> usize {
        (self.driver.limits.threads() / self.shared.under_way.count().max(1)).max(1)
    }

    /// One picture, from its bytes to its place in the batch.
    fn picture(
        &self,
        object: &Object,
        bytes: Result<Bytes>,
        tools: &mut Tools,
        slot: &mut [f32],
        seconds: &mut [f64; 4],
    ) -> Result<()> {
        let bytes = bytes?;
        let stages = &self.driver.stages;
        let start = Instant::now();
        let mut decoded = start;
        let done = catch_unwind(AssertUnwindSafe(|| {
            let frame = tools.decoder.decode(&bytes)?;
            decoded = Instant::now();
            tools.preprocessor.preprocess_into(&frame, slot)?;
            tools.watcher.as_mut().map_or(Ok(()), |watch| watch(&object.path, &frame))
        }));
        let end = Instant::now();
        let decoded = if decoded == start { end } else { decoded };
        seconds[1] += (decoded - start).as_secs_f64();
        seconds[2] += (end - decoded).as_secs_f64();
        done.unwrap_or_else(|_| {
            // Their memory may be half written.
            *tools = Tools::new(stages)?;
            let m = "decoding panicked on this picture; please report it with the picture";
            Err(Error::new(ErrorKind::Corrupt, Stage::Decode, m))
        })
    }
}

/// What a worker has for itself.
struct Tools {
    decoder: Box<dyn Decode + Send>,
    preprocessor: Box<dyn Preprocessor + Send>,
    watcher: Option<Box<Watcher>>,
}

impl Tools {
    fn new(stages: &Stages) -> Result<Self> {
        Ok(Self {
            decoder: (stages.decoder)()?,
            preprocessor: (stages.preprocessor)()?,
            watcher: stages.watcher.as_ref().map(|make| make()).transpose()?,
        })
    }
}

fn features(network: &dyn Featurizer, input: TensorData, device: &Device) -> Result<Vec<f32>> {
    let n = input.shape().first().copied().unwrap_or_default();
    let output = network.featurize(Tensor::<4>::from_data(input, device))?;
    let [rows, columns] = output.dims();
    if rows != n || columns != network.feature_len() {
        let m = format!("expected {n} rows of {} features, found {rows} of {columns}", network.feature_len());
        return Err(Error::new(ErrorKind::Shape, Stage::Featurize, m));
    }
    output.try_into_vec_as::<f32>().map_err(|e| {
        let why = e.to_string();
        // All that failed after it is listed before the cause.
        let cause =
            why.rsplit("Caused by:").flat_map(str::lines).map(str::trim).find(|line| !line.is_empty());
        let pictures = if n == 1 { String::from("one picture") } else { format!("{n} pictures at once") };
        let m = format!("the device can't compute {pictures}: {}", cause.unwrap_or("no reason given"));
        Error::new(ErrorKind::Io, Stage::Featurize, format!("{m}; use a smaller --batch or --device flex"))
    })
}

/// Moves pictures whose features aren't all finite to the rejects.
fn keep_finite(output: &mut Output, columns: usize) {
    if output.values.iter().all(|v| v.is_finite()) {
        return;
    }
    let values = core::mem::take(&mut output.values);
    let names = core::mem::take(&mut output.names);
    for (name, row) in names.into_iter().zip(values.chunks_exact(columns.max(1))) {
        match row.iter().position(|v| !v.is_finite()) {
            None => {
                output.values.extend_from_slice(row);
                output.names.push(name);
            }
            Some(i) => output.rejects.push(Reject {
                path: name.0,
                stage: Stage::Featurize,
                kind: ErrorKind::NonFinite,
                reason: format!("feature {i} is {}; are the weights those of this network?", row[i])
                    .to_string(),
            }),
        }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, encoded: &[u8]) -> Result<Frame<'_>> {
        Self::decode(self, encoded)
    }
}

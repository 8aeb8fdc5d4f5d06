//! Reading an artifact from bytes.

use super::{
    FORMAT, Pipeline, PipelineBuilder, ProjectionNote, Storage, VERSION, fail, heads, key, tensor, write,
};
use crate::{
    Error, ErrorKind, Featurizer, Result,
    classify::{Head, Reads},
    featurize::{NetworkFeaturizer, kernels::PlanOptions, network::NetworkSpec, weights::WeightSource},
    pca::{Parts, Projection},
    preprocess::Recipe,
    state::Checksum,
};
use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use burn::tensor::Device;
use core::fmt;
use safetensors::{
    SafeTensors,
    tensor::{Dtype, Metadata},
};

/// A pipeline artifact, checked and understood, over the bytes it was read from.
///
/// Weights stay in those bytes and are borrowed from there where they lie aligned (they do if the
/// slice starts at a multiple of 4). It is a [`WeightSource`], so any executor can take them.
///
/// ```no_run
/// use fruitcore::pipeline::PipelineFile;
/// # fn read(_: &str) -> Vec<u8> { Vec::new() }
/// let bytes = read("pipeline.safetensors");
/// let file = PipelineFile::from_bytes(&bytes)?;
/// println!("{file}");
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PipelineFile<'a> {
    bytes: &'a [u8],
    /// Start of the tensors' bytes.
    data: usize,
    metadata: Metadata,
    recipe: Recipe,
    network: NetworkSpec,
    projection: Projection,
    classes: Vec<String>,
    heads: Vec<Head>,
    notes: BTreeMap<String, String>,
    weights: Weights,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Weights {
    /// So many values.
    Inside(usize, Storage),
    Outside,
}

impl<'a> PipelineFile<'a> {
    /// Reads and checks everything but the weights' values.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the bytes are truncated, damaged or no artifact,
    /// [`ErrorKind::Unsupported`] for another format version, [`ErrorKind::Checksum`] if they are not
    /// those that were written, [`ErrorKind::NotFound`] naming a missing tensor,
    /// [`ErrorKind::Mismatch`] if recipe, network, projection and heads don't fit.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
            let m = format!("no readable safetensors file: {e}; copy it again from where it was made");
            fail(ErrorKind::Corrupt, m)
        })?;
        let text = |name: &str| metadata.metadata().as_ref().and_then(|m| m.get(name)).map(String::as_str);
        if text(key::FORMAT) != Some(FORMAT) {
            let m = "a safetensors file, but no pipeline: perhaps a checkpoint; give the pipeline.safetensors of a run";
            return Err(fail(ErrorKind::Corrupt, m));
        }
        if text(key::VERSION) != Some(VERSION) {
            let m = format!(
                "the pipeline has format version {}, this build reads {VERSION}; it was written by fruitcore {}",
                text(key::VERSION).unwrap_or("none"),
                text(key::CRATE).unwrap_or("of an unknown version")
            );
            return Err(fail(ErrorKind::Unsupported, m));
        }
        let data = header + 8;
        verify(bytes, data, text(key::CHECKSUM))?;
        let need = |name: &str| {
            text(name).ok_or_else(|| {
                fail(ErrorKind::Corrupt, format!("the pipeline lacks `{name}`; write it again"))
            })
        };
        let recipe = Recipe::from_json(need(key::RECIPE)?)?;
        let network: NetworkSpec = parse(key::NETWORK, need(key::NETWORK)?)?;
        let note: ProjectionNote = parse(key::PROJECTION, need(key::PROJECTION)?)?;
        let classes = parse(key::CLASSES, need(key::CLASSES)?)?;
        let notes = parse(key::NOTES, need(key::NOTES)?)?;

        let (d, k) = (note.columns, note.components);
        let f64s = |name: &str, shape: &[usize]| -> Result<Vec<f64>> {
            let values = find(bytes, data, &metadata, name, shape, &[Dtype::F64])?.1;
            Ok(values.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
        };
        let scale = metadata.info(tensor::SCALE).map(|_| f64s(tensor::SCALE, &[d])).transpose()?;
        let projection = Projection::new(Parts {
            count: note.rows,
            mean: f64s(tensor::MEAN, &[d])?,
            scale,
            components: f64s(tensor::COMPONENTS, &[k, d])?,
            explained_variance: f64s(tensor::VARIANCE, &[k])?,
            total_variance: f64s(tensor::TOTAL, &[1])?.first().copied().unwrap_or(0.0),
            whiten: note.whitened,
        })?;

        let graph = network.graph()?;
        write::fits(&recipe, &network, graph.input_shape(), graph.feature_len(), &projection)?;
        let parameters = graph.parameters();
        let inside = parameters.iter().any(|(name, _)| metadata.info(name).is_some());
        let (mut count, mut storage) = (0, Storage::F32);
        for (name, shape) in parameters.iter().filter(|_| inside) {
            if find(bytes, data, &metadata, name, shape, &[Dtype::F32, Dtype::F16])?.0 == Dtype::F16 {
                storage = Storage::F16;
            }
            count += shape.iter().product::<usize>();
        }
        let weights = if inside { Weights::Inside(count, storage) } else { Weights::Outside };

        let stated: Vec<heads::HeadNote> =
            text(key::HEADS).map(|text| parse(key::HEADS, text)).transpose()?.unwrap_or_default();
        let mut heads: Vec<Head> = Vec::with_capacity(stated.len());
        for (i, note) in stated.into_iter().enumerate() {
            let head =
                note.read(i, &|name, shape, accepted| find(bytes, data, &metadata, name, shape, accepted))?;
            heads::fits(&head, d, k)?;
            if heads.iter().any(|other| other.name() == head.name()) {
                let m = format!("the pipeline has two heads called `{}`; write it again", head.name());
                return Err(fail(ErrorKind::Corrupt, m));
            }
            heads.push(head);
        }
        Ok(Self { bytes, data, metadata, recipe, network, projection, classes, heads, notes, weights })
    }

    /// Makes it ready to run on a device.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the weights are not inside; then use
    /// [`load_with`](Self::load_with). What the network refuses about the weights.
    pub fn load(&self, device: &Device) -> Result<Pipeline> {
        self.planned(device, &PlanOptions::default())
    }

    pub(super) fn planned(&self, device: &Device, options: &PlanOptions) -> Result<Pipeline> {
        if self.weights == Weights::Outside {
            let m = format!(
                "the pipeline does not hold its network's weights; give those it was fitted with: {}",
                self.weights_id()
            );
            return Err(fail(ErrorKind::NotFound, m));
        }
        let pipeline = Pipeline::assemble(&self.recipe, self.network, self, device, options)?;
        self.fill(pipeline)
    }

    /// Makes it ready to run on a device with weights from elsewhere. They must be those of
    /// [`weights_id`](Self::weights_id), which only the caller can know.
    ///
    /// # Errors
    /// What the network refuses about the weights.
    pub fn load_with(&self, weights: &dyn WeightSource, device: &Device) -> Result<Pipeline> {
        let options = PlanOptions::default();
        let pipeline = Pipeline::assemble(&self.recipe, self.network, weights, device, &options)?;
        self.fill(pipeline)
    }

    /// Makes it ready to run with a network that is ready already: one whose packed weights lie in
    /// flash ([`Plan::from_bytes`](crate::featurize::kernels::Plan::from_bytes)), so that the artifact
    /// need not hold them. It must be the network the artifact was fitted with, which only the caller
    /// can know.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use fruitcore::featurize::{NetworkFeaturizer, kernels::{Plan, PlanOptions}};
    /// use fruitcore::pipeline::{Pipeline, PipelineFile};
    /// # fn robot(artifact: &[u8], flash: &'static [u8]) -> fruitcore::Result<Pipeline> {
    /// let file = PipelineFile::from_bytes(artifact)?;
    /// let plan = Plan::from_bytes(&file.network().graph()?, flash, &PlanOptions::default())?;
    /// file.load_network(NetworkFeaturizer::from_plan(plan, &Device::default()))
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if it takes other pictures or gives another number of features.
    pub fn load_network(&self, network: NetworkFeaturizer) -> Result<Pipeline> {
        let graph = self.network.graph()?;
        let found = (network.input_shape(), network.feature_len());
        let expected = (graph.input_shape(), graph.feature_len());
        if found != expected {
            let m = format!(
                "this network makes {} features of {:?}, the artifact's {} of {:?}; give the one it was fitted with",
                found.1, found.0, expected.1, expected.0
            );
            return Err(fail(ErrorKind::Shape, m));
        }
        self.fill(Pipeline::around(&self.recipe, self.network, network))
    }

    /// What was fitted, behind the network.
    fn fill(&self, pipeline: Pipeline) -> Result<Pipeline> {
        let fitted =
            Pipeline { projection: Some(self.projection.clone()), classes: self.classes.clone(), ..pipeline };
        fitted.with_heads(self.heads.clone())
    }

    /// Starts writing this artifact anew, to add or replace a head or a note. Weights inside are
    /// taken over as they are stored.
    ///
    /// ```no_run
    /// # use fruitcore::{classify::Head, pipeline::PipelineFile};
    /// # fn with_head(bytes: &[u8], head: &Head) -> fruitcore::Result<Vec<u8>> {
    /// PipelineFile::from_bytes(bytes)?.to_builder().head(head).to_bytes()
    /// # }
    /// ```
    pub fn to_builder(&self) -> PipelineBuilder<'_> {
        let mut builder = Pipeline::builder(&self.recipe, self.network, &self.projection)
            .classes(&self.classes)
            .weights_id(self.weights_id());
        if let Weights::Inside(_, storage) = self.weights {
            builder = builder.weights(self, storage);
        }
        builder = self.heads.iter().fold(builder, PipelineBuilder::head);
        self.notes.iter().fold(builder, |builder, (name, text)| builder.note(name, text))
    }

    /// Frames to the network's input.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The network.
    pub fn network(&self) -> &NetworkSpec {
        &self.network
    }

    /// Features to components.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The labels the run met.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Its classifiers; the first is the one that is used unless another is named.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The head called `name`; the first one for `None`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] listing those that are there.
    pub fn head(&self, name: Option<&str>) -> Result<&Head> {
        heads::named(&self.heads, name)
    }

    /// What was kept with the pipeline.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.notes
    }

    /// Which weights the run used, in the writer's words; may be empty.
    pub fn weights_id(&self) -> &str {
        self.text(key::WEIGHTS)
    }

    /// Whether the network's weights are in the file.
    pub fn has_weights(&self) -> bool {
        self.weights != Weights::Outside
    }

    /// The version of this crate that wrote it.
    pub fn written_by(&self) -> &str {
        self.text(key::CRATE)
    }

    fn text(&self, name: &str) -> &str {
        self.metadata.metadata().as_ref().and_then(|m| m.get(name)).map_or("", String::as_str)
    }
}

impl WeightSource for PipelineFile<'_> {
    fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.retain(|name| !name.starts_with("projection.") && !name.starts_with(heads::PREFIX));
        names
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let accepted = &[Dtype::F32, Dtype::F16];
        let (dtype, bytes) = find(self.bytes, self.data, &self.metadata, name, shape, accepted)?;
        if dtype == Dtype::F16 {
            let halves = bytes.as_chunks::<2>().0.iter();
            return Ok(Cow::Owned(halves.map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()));
        }
        #[cfg(target_endian = "little")]
        if let Ok(values) = bytemuck::try_cast_slice(bytes) {
            return Ok(Cow::Borrowed(values));
        }
        Ok(Cow::Owned(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
    }
}

/// What it is, for people.
impl fmt::Display for PipelineFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = &self.projection;
        let explained: f64 = p.explained_variance_ratio().iter().sum();
        let name = if self.recipe.name().is_empty() { "unnamed" } else { self.recipe.name() };
        writeln!(f, "pipeline    format {VERSION}, written by fruitcore {}", self.written_by())?;
        writeln!(
            f,
            "recipe      {name}, {} steps to {:?}",
            self.recipe.steps().len(),
            self.recipe.output_shape()
        )?;
        writeln!(f, "network     {}", self.network)?;
        match self.weights {
            Weights::Inside(n, _) => write!(f, "weights     {n} values inside")?,
            Weights::Outside => f.write_str("weights     not inside")?,
        }
        match self.weights_id() {
            "" => writeln!(f)?,
            id => writeln!(f, " ({id})")?,
        }
        let scaled = if p.scale().is_some() { "scaled" } else { "centred" };
        let whitened = if p.is_whitened() { ", whitened" } else { "" };
        writeln!(f, "projection  {} {scaled} features to {} components{whitened}", p.columns(), p.kept())?;
        writeln!(f, "            fitted on {} rows, {:.1} % of variance", p.count(), 100.0 * explained)?;
        write!(f, "classes     {}", self.classes.len())?;
        for head in &self.heads {
            let reads = if head.reads() == Reads::Features { "features" } else { "components" };
            let (name, kind, classes) = (head.name(), head.model().kind(), head.classes().len());
            write!(
                f,
                "\nhead        {name}: {kind} over {reads}, {classes} classes, {} bytes",
                head.bytes()
            )?;
        }
        self.notes.iter().try_for_each(|(name, text)| write!(f, "\n{name:<11} {text}"))
    }
}

/// A tensor's type and bytes, if it has this shape and one of these types.
fn find<'b>(
    bytes: &'b [u8],
    data: usize,
    metadata: &Metadata,
    name: &str,
    shape: &[usize],
    accepted: &[Dtype],
) -> Result<(Dtype, &'b [u8])> {
    let Some(info) = metadata.info(name) else {
        return Err(fail(ErrorKind::NotFound, "the pipeline lacks this tensor; write it again").at(name));
    };
    if info.shape != shape || !accepted.contains(&info.dtype) {
        let m = format!(
            "expected {accepted:?} {shape:?}, found {:?} {:?}; write the pipeline again",
            info.dtype, info.shape
        );
        return Err(fail(ErrorKind::Shape, m).at(name));
    }
    let (from, to) = info.data_offsets;
    let range = from.checked_add(data).zip(to.checked_add(data)).and_then(|(from, to)| bytes.get(from..to));
    match range {
        Some(found) => Ok((info.dtype, found)),
        None => Err(fail(ErrorKind::Corrupt, "the file ends before this tensor; copy it again").at(name)),
    }
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        let m = format!("the pipeline's `{name}` is not understood: {e}; write it again with this version");
        fail(ErrorKind::Corrupt, m)
    })
}

/// Whether the bytes are those that were written.
fn verify(bytes: &[u8], data: usize, stated: Option<&str>) -> Result<()> {
    let differs = || -> Error {
        let m = "the checksum differs: the file was damaged or changed; copy it again from where it was made";
        fail(ErrorKind::Checksum, m)
    };
    let (header, values) = bytes.split_at_checked(data).ok_or_else(differs)?;
    let mut header = header.to_vec();
    let place = write::checksum_place(&header).and_then(|place| header.get_mut(place)).ok_or_else(differs)?;
    place.copy_from_slice(write::ZEROS.as_bytes());
    let mut sum = Checksum::default();
    sum.update(&header);
    sum.update(values);
    if stated == Some(format!("{:016x}", sum.finish()).to_string().as_str()) {
        Ok(())
    } else {
        Err(differs())
    }
}

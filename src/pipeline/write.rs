//! Writing an artifact, one tensor in memory at a time.

use super::{FORMAT, ProjectionNote, VERSION, fail, heads, key, tensor};
use crate::{
    ErrorKind, Result,
    classify::Head,
    featurize::{network::NetworkSpec, weights::WeightSource},
    pca::Projection,
    preprocess::Recipe,
    state::Checksum,
};
use alloc::{borrow::Cow, collections::BTreeMap, format, string::String, vec::Vec};
use serde_json::{Map, Value, json};

/// How weights are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Storage {
    /// As they are.
    #[default]
    F32,
    /// Convolution and linear weights rounded to half precision: half the size, features that differ
    /// by about 1e-3 relative. Biases and BatchNorm stay `f32`.
    F16,
}

/// Collects what an artifact holds and writes it.
///
/// See [`Pipeline::builder`](super::Pipeline::builder) for an example.
#[derive(Clone)]
pub struct PipelineBuilder<'a> {
    recipe: &'a Recipe,
    network: NetworkSpec,
    projection: &'a Projection,
    weights: Option<(&'a dyn WeightSource, Storage)>,
    weights_id: &'a str,
    classes: &'a [String],
    heads: Vec<&'a Head>,
    notes: BTreeMap<String, String>,
}

/// A tensor to write.
pub(super) struct Entry<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values<'a>,
}

pub(super) enum Values<'a> {
    F64(&'a [f64]),
    U32(&'a [u32]),
    Floats(&'a [f32], Storage),
    Weights(&'a dyn WeightSource, Storage),
}

impl<'a> PipelineBuilder<'a> {
    pub(super) fn new(recipe: &'a Recipe, network: NetworkSpec, projection: &'a Projection) -> Self {
        Self {
            recipe,
            network,
            projection,
            weights: None,
            weights_id: "",
            classes: &[],
            heads: Vec::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Includes the network's weights. Without them the artifact needs them again when it is loaded.
    #[must_use]
    pub fn weights(self, source: &'a dyn WeightSource, storage: Storage) -> Self {
        Self { weights: Some((source, storage)), ..self }
    }

    /// Says which weights the run used (a digest, a registry name): shown by
    /// [`PipelineFile::weights_id`](super::PipelineFile::weights_id).
    #[must_use]
    pub fn weights_id(self, id: &'a str) -> Self {
        Self { weights_id: id, ..self }
    }

    /// The labels the run met, sorted.
    #[must_use]
    pub fn classes(self, classes: &'a [String]) -> Self {
        Self { classes, ..self }
    }

    /// Adds a classifier; one of the same name is replaced. The first is the one that
    /// [`Pipeline::classify`](super::Pipeline::classify) uses unless another is selected.
    #[must_use]
    pub fn head(mut self, head: &'a Head) -> Self {
        match self.heads.iter_mut().find(|h| h.name() == head.name()) {
            Some(place) => *place = head,
            None => self.heads.push(head),
        }
        self
    }

    /// Something to keep with the pipeline, for people and programs.
    #[must_use]
    pub fn note(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.notes.insert(name.into(), text.into());
        self
    }

    /// The artifact as bytes. Beside them, one tensor is in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] if recipe, network, projection and heads don't fit one another;
    /// [`ErrorKind::NonFinite`] for a weight beyond half precision; what the weights answer.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let entries = self.entries()?;
        let mut header = self.header(&entries)?;
        let size: usize = entries.iter().map(Entry::bytes).sum();
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(header.len().saturating_add(size)).is_err() {
            return Err(fail(
                ErrorKind::Limit,
                format!("no memory for an artifact of {size} bytes; use write"),
            ));
        }
        bytes.extend_from_slice(&header);
        let mut sum = Checksum::default();
        sum.update(&header);
        for entry in &entries {
            entry.write(&mut |piece| {
                sum.update(piece);
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
        }
        seal(&mut header, sum)?;
        bytes.iter_mut().zip(&header).for_each(|(b, h)| *b = *h);
        Ok(bytes)
    }

    /// Writes the artifact piece by piece, reading every weight twice: once for the checksum, which
    /// comes first in the file.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), and what `sink` answers.
    pub fn write(&self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let entries = self.entries()?;
        let mut header = self.header(&entries)?;
        let mut sum = Checksum::default();
        sum.update(&header);
        for entry in &entries {
            entry.write(&mut |piece| {
                sum.update(piece);
                Ok(())
            })?;
        }
        seal(&mut header, sum)?;
        sink(&header)?;
        entries.iter().try_for_each(|entry| entry.write(sink))
    }

    /// All tensors, by descending alignment so that each lies aligned.
    fn entries(&self) -> Result<Vec<Entry<'a>>> {
        let graph = self.network.graph()?;
        fits(self.recipe, &self.network, graph.input_shape(), graph.feature_len(), self.projection)?;
        let parts = self.projection.parts();
        let (d, k) = (self.projection.columns(), self.projection.kept());
        let f64s = |name: &'static str, shape: &[usize], values| Entry {
            name: Cow::Borrowed(name),
            shape: shape.to_vec(),
            values: Values::F64(values),
        };
        let mut entries = Vec::from([
            f64s(tensor::MEAN, &[d], &parts.mean),
            f64s(tensor::COMPONENTS, &[k, d], &parts.components),
            f64s(tensor::VARIANCE, &[k], &parts.explained_variance),
            f64s(tensor::TOTAL, &[1], core::slice::from_ref(&parts.total_variance)),
        ]);
        entries.extend(parts.scale.as_ref().map(|scale| f64s(tensor::SCALE, &[d], scale)));
        for (i, head) in self.heads.iter().enumerate() {
            heads::fits(head, d, k)?;
            entries.extend(heads::entries(i, head));
        }
        if let Some((source, storage)) = self.weights {
            for (name, shape) in graph.parameters() {
                let storage = if shape.len() > 1 { storage } else { Storage::F32 };
                let values = Values::Weights(source, storage);
                entries.push(Entry { name: name.into(), shape, values });
            }
        }
        entries.sort_by_key(|entry| core::cmp::Reverse(entry.values.size()));
        Ok(entries)
    }

    /// Length, JSON and padding to 8 bytes, with a checksum of zeros.
    fn header(&self, entries: &[Entry<'_>]) -> Result<Vec<u8>> {
        let text = |value: Value| -> Value { Value::String(format!("{value}")) };
        let network = serde_json::to_value(self.network);
        let network = network.map_err(|e| fail(ErrorKind::InvalidArgument, format!("network: {e}")))?;
        let note = ProjectionNote {
            rows: self.projection.count(),
            columns: self.projection.columns(),
            components: self.projection.kept(),
            whitened: self.projection.is_whitened(),
        };
        let note = serde_json::to_value(note);
        let note = note.map_err(|e| fail(ErrorKind::InvalidArgument, format!("projection: {e}")))?;
        let mut metadata = json!({
            key::FORMAT: FORMAT,
            key::VERSION: VERSION,
            key::CRATE: env!("CARGO_PKG_VERSION"),
            key::RECIPE: self.recipe.to_json(),
            key::NETWORK: text(network),
            key::PROJECTION: text(note),
            key::CLASSES: text(json!(self.classes)),
            key::WEIGHTS: self.weights_id,
            key::NOTES: text(json!(self.notes)),
            key::CHECKSUM: ZEROS,
        });
        if !self.heads.is_empty() {
            let notes: Vec<_> = self.heads.iter().map(|head| heads::HeadNote::of(head)).collect();
            let notes = serde_json::to_string(&notes);
            metadata[key::HEADS] =
                notes.map_err(|e| fail(ErrorKind::InvalidArgument, format!("heads: {e}")))?.into();
        }
        let mut header = Map::new();
        header.insert(String::from("__metadata__"), metadata);
        let mut at = 0usize;
        for entry in entries {
            let end = at.saturating_add(entry.bytes());
            let tensor = json!({
                "dtype": entry.values.dtype(), "shape": entry.shape, "data_offsets": [at, end],
            });
            header.insert(entry.name.clone().into_owned(), tensor);
            at = end;
        }
        let mut json = format!("{}", Value::Object(header)).into_bytes();
        json.resize(json.len().next_multiple_of(8), b' ');
        let mut bytes = Vec::with_capacity(json.len() + 8);
        bytes.extend_from_slice(&(json.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }
}

impl Values<'_> {
    fn dtype(&self) -> &'static str {
        match self {
            Values::F64(_) => "F64",
            Values::U32(_) => "U32",
            Values::Floats(_, Storage::F32) | Values::Weights(_, Storage::F32) => "F32",
            Values::Floats(_, Storage::F16) | Values::Weights(_, Storage::F16) => "F16",
        }
    }

    /// Bytes a value.
    fn size(&self) -> usize {
        match self {
            Values::F64(_) => 8,
            Values::U32(_) | Values::Floats(_, Storage::F32) | Values::Weights(_, Storage::F32) => 4,
            Values::Floats(_, Storage::F16) | Values::Weights(_, Storage::F16) => 2,
        }
    }
}

impl Entry<'_> {
    fn bytes(&self) -> usize {
        self.shape.iter().fold(self.values.size(), |n: usize, s| n.saturating_mul(*s))
    }

    /// The values' little-endian bytes, in pieces.
    fn write(&self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self.values {
            Values::F64(values) => pieces(values, f64::to_le_bytes, sink),
            Values::U32(values) => pieces(values, u32::to_le_bytes, sink),
            Values::Floats(values, storage) => self.floats(values, storage, sink),
            Values::Weights(source, storage) => {
                let values = source.tensor(&self.name, &self.shape)?;
                let expected: usize = self.shape.iter().product();
                if values.len() != expected {
                    let m =
                        format!("{:?} needs {expected} values, the source gave {}", self.shape, values.len());
                    return Err(fail(ErrorKind::Shape, m).at(self.name.clone()));
                }
                self.floats(&values, storage, sink)
            }
        }
    }

    fn floats(
        &self,
        values: &[f32],
        storage: Storage,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if storage == Storage::F32 {
            return pieces(values, f32::to_le_bytes, sink);
        }
        if values.iter().any(|v| !half::f16::from_f32(*v).is_finite()) {
            let m = "a weight is beyond half precision; store f32";
            return Err(fail(ErrorKind::NonFinite, m).at(self.name.clone()));
        }
        pieces(values, |v| half::f16::from_f32(v).to_le_bytes(), sink)
    }
}

/// Values as bytes, some thousand at a time.
fn pieces<T: Copy, const N: usize>(
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    const PIECE: usize = 8192;
    let mut piece = Vec::with_capacity(N * PIECE.min(values.len()));
    for values in values.chunks(PIECE) {
        piece.clear();
        piece.extend(values.iter().flat_map(|v| to_bytes(*v)));
        sink(&piece)?;
    }
    Ok(())
}

/// Stands for the checksum while it is computed.
pub(super) const ZEROS: &str = "0000000000000000";

/// Where the checksum's digits are in the header.
pub(super) fn checksum_place(header: &[u8]) -> Option<core::ops::Range<usize>> {
    // Quotes inside of strings are escaped, so nothing else looks like this.
    let mark = format!("\"{}\":\"", key::CHECKSUM);
    let at = header.windows(mark.len()).position(|w| w == mark.as_bytes())? + mark.len();
    (header.get(at + ZEROS.len()) == Some(&b'"')).then_some(at..at + ZEROS.len())
}

/// Puts the checksum into the header.
fn seal(header: &mut [u8], sum: Checksum) -> Result<()> {
    let digits = format!("{:016x}", sum.finish());
    match checksum_place(header).and_then(|place| header.get_mut(place)) {
        Some(place) => place.copy_from_slice(digits.as_bytes()),
        None => return Err(fail(ErrorKind::InvalidArgument, "the header has no place for a checksum")),
    }
    Ok(())
}

/// Whether recipe, network and projection are of one pipeline.
pub(super) fn fits(
    recipe: &Recipe,
    network: &NetworkSpec,
    input: [usize; 3],
    features: usize,
    projection: &Projection,
) -> Result<()> {
    if recipe.output_shape() != input {
        let m = format!("the recipe makes {:?}, {network} takes {input:?}", recipe.output_shape());
        return Err(fail(ErrorKind::Mismatch, m));
    }
    if features != projection.columns() {
        let m = format!(
            "{network} gives {features} features, the projection was fitted on {}",
            projection.columns()
        );
        return Err(fail(ErrorKind::Mismatch, m));
    }
    Ok(())
}

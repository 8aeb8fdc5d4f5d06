//! [`Checkpoint`]: a file of any known format as a [`WeightSource`].

use super::WeightSource;
use super::identify::{self, Identity};
use super::inspect::{Format, Inspection, TensorInfo};
#[cfg(feature = "checkpoints")]
use super::keras::KerasFile;
use super::sniff::{Container, sniff};
use super::stored::{DType, Stored, corrupt, elements, unsupported};
use super::{safetensors, torch};
use crate::featurize::network::{NetworkKind, NetworkSpec, Tap};
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{borrow::Cow, collections::BTreeMap, format, string::String, vec::Vec};

/// A checkpoint file: PyTorch's `.pth`, `.safetensors`, and with the feature `checkpoints` Keras'
/// `.h5`, `.weights.h5` and `.keras`, told apart by content.
///
/// Reading executes nothing: of a pickle only the description of tensors is understood. Values stay
/// in the file's bytes until a tensor is asked for; little-endian `f32` tensors are then borrowed.
///
/// ```
/// use fruitcore::featurize::weights::{Checkpoint, WeightSource};
///
/// let header = br#"{"fc.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#;
/// let mut file = (header.len() as u64).to_le_bytes().to_vec();
/// file.extend_from_slice(header);
/// file.extend([1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()));
///
/// let checkpoint = Checkpoint::from_bytes(&file)?;
/// assert_eq!(checkpoint.names(), ["fc.weight"]);
/// assert_eq!(*checkpoint.tensor("fc.weight", &[1, 2])?, [1.5, -2.0]);
/// let error = checkpoint.tensor("conv1.weight", &[64, 3, 7, 7]).unwrap_err();
/// assert_eq!(error.object(), Some("conv1.weight"));
/// # Ok::<(), fruitcore::Error>(())
/// ```
pub struct Checkpoint<'a> {
    data: Data<'a>,
    format: Format,
    identity: Identity,
    width: Option<f64>,
    tensors: Vec<Stored>,
    by_name: BTreeMap<String, usize>,
    label: Option<String>,
}

enum Data<'a> {
    Bytes(Cow<'a, [u8]>),
    #[cfg(feature = "checkpoints")]
    Keras(alloc::boxed::Box<KerasFile>),
}

impl Data<'_> {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            #[cfg(feature = "checkpoints")]
            Self::Keras(_) => None,
        }
    }
}

impl<'a> Checkpoint<'a> {
    /// Reads the directory of a whole file's bytes, owned or borrowed. (HDF5 files that are borrowed
    /// are copied once.)
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) if the bytes are no checkpoint, or one this build
    /// can't read: the message says what they look like. [`Corrupt`](ErrorKind::Corrupt) if they end
    /// early or are damaged.
    pub fn from_bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        let container = sniff(&bytes).map_err(|looks_like| {
            unsupported(format!(
                "not a checkpoint but {looks_like}; expected .pth, .safetensors, .h5 or .weights.h5"
            ))
        })?;
        let (format, tensors) = match container {
            Container::Safetensors => (Format::Safetensors, safetensors::read(&bytes)?),
            Container::Pickle => (Format::TorchLegacy, torch::read_legacy(&bytes)?),
            Container::Zip => match torch::read_zip(&bytes)? {
                torch::Archive::Torch(tensors) => (Format::TorchZip, tensors),
                torch::Archive::Keras(range) => {
                    let inner = bytes.get(range).unwrap_or_default().to_vec();
                    drop(bytes);
                    return keras(inner, Some(Format::KerasArchive));
                }
            },
            Container::Hdf5 => return keras(bytes.into_owned(), None),
        };
        if tensors.is_empty() {
            return Err(corrupt("a checkpoint without a single tensor; save it again".into()));
        }
        let mut tensors = tensors;
        let identity = identify::rename(&mut tensors);
        Ok(Self::assemble(Data::Bytes(bytes), format, identity, tensors))
    }

    /// Names the file in messages.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What the file holds.
    pub fn inspect(&self) -> Inspection {
        let known = self.identity.kind.is_some();
        let tensors = self
            .tensors
            .iter()
            .map(|t| TensorInfo {
                name: t.file_name.clone(),
                // Values outside the network (optimizer state, counters) keep their file name.
                network_name: (known && (t.name != t.file_name || t.dtype.is_float()))
                    .then(|| t.name.clone()),
                dtype: t.dtype,
                shape: t.shape.clone(),
            })
            .collect();
        Inspection::new(self.format, &self.identity, self.width, tensors)
    }

    /// Checks that the file has every tensor `spec` needs, in the right shape, and was made for its
    /// variant. Names alone don't show the latter: MobileNetV2's are the same in both.
    ///
    /// # Errors
    /// [`Mismatch`](ErrorKind::Mismatch) for another network or variant;
    /// [`NotFound`](ErrorKind::NotFound) and [`Shape`](ErrorKind::Shape) naming the first tensor that
    /// is missing or differs.
    pub fn check(&self, spec: &NetworkSpec) -> Result<()> {
        if let (Some(kind), Some(variant)) = (self.identity.kind, self.identity.variant)
            && (kind != spec.kind || variant != spec.variant)
        {
            return Err(Error::new(
                ErrorKind::Mismatch,
                Stage::Weights,
                format!(
                    "asked for {} ({}), but the file is {}; choose network {kind} and variant {variant}, or \
                     other weights",
                    spec.kind,
                    spec.variant,
                    self.summary()
                ),
            ));
        }
        for (name, shape) in spec.graph()?.parameters() {
            self.find(&name, &shape)?;
        }
        Ok(())
    }

    /// An HDF5 file opened elsewhere (on disk), whose values are read when asked for.
    #[cfg(feature = "host")]
    pub(crate) fn from_hdf5(file: hdf5_reader::Hdf5File) -> Result<Self> {
        Ok(Self::from_keras(KerasFile::new(file)?, None))
    }

    #[cfg(feature = "checkpoints")]
    fn from_keras(mut file: KerasFile, format: Option<Format>) -> Self {
        let tensors = core::mem::take(&mut file.tensors);
        let (format, identity) = (format.unwrap_or(file.format), file.identity.clone());
        Self::assemble(Data::Keras(file.into()), format, identity, tensors)
    }

    fn assemble(data: Data<'a>, format: Format, identity: Identity, tensors: Vec<Stored>) -> Self {
        let by_name = tensors.iter().enumerate().map(|(i, t)| (t.name.clone(), i)).collect();
        let mut new = Self { data, format, identity, width: None, tensors, by_name, label: None };
        new.width = new.find_width();
        new
    }

    /// The width multiplier at which all shapes fit.
    fn find_width(&self) -> Option<f64> {
        let spec = NetworkSpec::new(self.identity.kind?).variant(self.identity.variant?).tap(Tap::Pooled);
        let fits = |width: f64| {
            let graph = spec.width(width).graph().ok()?;
            graph.parameters().iter().all(|(n, s)| self.find(n, s).is_ok()).then_some(width)
        };
        if spec.kind != NetworkKind::MobileNetV2 {
            return fits(1.0);
        }
        [1.0, 0.35, 0.5, 0.75, 1.3, 1.4].into_iter().find_map(fits)
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<&Stored> {
        let Some(stored) = self.by_name.get(name).and_then(|&i| self.tensors.get(i)) else {
            let remedy = match (self.identity.kind, self.identity.variant) {
                (Some(kind), Some(variant)) => {
                    format!("use it with network {kind} and variant {variant}, or use other weights")
                }
                _ => "use weights of this network".into(),
            };
            return Err(Error::new(
                ErrorKind::NotFound,
                Stage::Weights,
                format!(
                    "expected {shape:?}, but it is not in the file, which is {}; {remedy}",
                    self.summary()
                ),
            )
            .at(name));
        };
        if stored.fits(shape) {
            return Ok(stored);
        }
        let found = stored.layout.network_shape(&stored.shape).unwrap_or_else(|| stored.shape.clone());
        let in_file = if stored.file_name == stored.name && found == stored.shape {
            String::new()
        } else {
            format!(" (`{}` is {:?} in the file)", stored.file_name, stored.shape)
        };
        Err(Error::new(
            ErrorKind::Shape,
            Stage::Weights,
            format!(
                "expected {shape:?}, found {found:?}{in_file}; the file is {}: choose the network, width and \
                 variant it was made for",
                self.summary()
            ),
        )
        .at(name))
    }

    /// An `i8` tensor times its `NAME.scale`, one `f32` for each row: what training's small model
    /// holds.
    fn dequantized(&self, stored: &Stored, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let rows = shape.first().copied().unwrap_or(1);
        let scale = format!("{name}.scale");
        if self.find(&scale, &[rows])?.dtype == DType::I8 {
            return Err(corrupt("its scale is in 8 bits, too; save it in floating point".into()).at(scale));
        }
        let scales = self.tensor(&scale, &[rows])?;
        let Some(bytes) = self.data.bytes() else {
            return Err(unsupported("its integers have no floating point scale".into()).at(name));
        };
        let whole = stored.bytes(bytes).map_err(|e| e.at(name))?;
        if rows == 0 || whole.len() != elements(shape).map_err(|e| e.at(name))? {
            return Err(corrupt(format!("{} values found for shape {shape:?}", whole.len())).at(name));
        }
        let row = (whole.len() / rows).max(1);
        let values = whole.chunks_exact(row).zip(scales.iter());
        Ok(values.flat_map(|(row, &scale)| row.iter().map(move |&b| f32::from(b as i8) * scale)).collect())
    }

    fn summary(&self) -> String {
        let inspection = self.inspect();
        match &self.label {
            Some(label) => format!("`{label}`, {inspection}"),
            None => format!("{inspection}"),
        }
    }
}

impl WeightSource for Checkpoint<'_> {
    fn names(&self) -> Vec<String> {
        self.tensors.iter().map(|t| t.name.clone()).collect()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        let stored = self.find(name, shape)?;
        if stored.dtype == DType::I8 {
            return self.dequantized(stored, name, shape);
        }
        let values = match &self.data {
            Data::Bytes(bytes) => stored.read(bytes),
            #[cfg(feature = "checkpoints")]
            Data::Keras(file) => file.read(stored),
        }
        .map_err(|e| e.at(name))?;
        if values.len() != elements(shape).map_err(|e| e.at(name))? {
            let message = format!("{} values found for shape {shape:?}; fetch the file again", values.len());
            return Err(corrupt(message).at(name));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::new(
                ErrorKind::NonFinite,
                Stage::Weights,
                format!(
                    "value {at} is {}; the file, {}, has no valid weights here: use another one, or a tap \
                     before this layer",
                    values.get(at).copied().unwrap_or(f32::NAN),
                    self.summary()
                ),
            )
            .at(name));
        }
        Ok(stored.layout.reorder(values, &stored.shape))
    }
}

#[cfg(feature = "checkpoints")]
fn keras<'a>(bytes: Vec<u8>, format: Option<Format>) -> Result<Checkpoint<'a>> {
    Ok(Checkpoint::from_keras(KerasFile::from_vec(bytes)?, format))
}

#[cfg(not(feature = "checkpoints"))]
fn keras<'a>(_: Vec<u8>, _: Option<Format>) -> Result<Checkpoint<'a>> {
    Err(unsupported(
        "a Keras HDF5 file, which needs the feature `checkpoints`; or convert it to .safetensors".into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::weights::stored::Place;

    fn checkpoint(tensors: Vec<Stored>) -> Checkpoint<'static> {
        let identity = Identity {
            kind: None,
            variant: None,
            text: String::new(),
            timm: false,
            head: false,
            layers: None,
        };
        Checkpoint::assemble(Data::Bytes(alloc::vec![3; 64].into()), Format::Safetensors, identity, tensors)
    }

    #[test]
    fn a_scale_of_a_scale_is_refused() {
        let mut name = String::from("w");
        let mut tensors = Vec::new();
        for _ in 0..40 {
            let next = format!("{name}.scale");
            tensors.push(Stored::new(name, DType::I8, alloc::vec![2], Place::Bytes(0..2)));
            name = next;
        }
        let e = checkpoint(tensors).tensor("w", &[2]).unwrap_err();
        assert_eq!((e.kind(), e.object()), (ErrorKind::Corrupt, Some("w.scale")), "{e}");
    }

    #[test]
    fn shapes_that_no_number_counts_are_refused() {
        let large = 1 << (usize::BITS - 2);
        for shape in [alloc::vec![large, 4, 0], alloc::vec![0, large, 4], alloc::vec![large, 4]] {
            for dtype in [DType::F32, DType::I8] {
                let scale =
                    Stored::new("w.scale".into(), DType::F32, shape[..1].to_vec(), Place::Bytes(0..0));
                let tensor = Stored::new("w".into(), dtype, shape.clone(), Place::Bytes(0..0));
                let e = checkpoint(alloc::vec![tensor, scale]).tensor("w", &shape).unwrap_err();
                assert_eq!(e.kind(), ErrorKind::Corrupt, "{shape:?}: {e}");
            }
        }
    }
}

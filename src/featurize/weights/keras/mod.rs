//! Keras' HDF5 files: the model `.h5`, the older weights-only `.h5`, and Keras 3's `.weights.h5`
//! (alone or within a `.keras` archive).
//!
//! Formats: `keras/src/legacy/saving/legacy_h5_format.py` and `keras/src/saving/saving_lib.py`.

mod names;

use super::identify::Identity;
use super::inspect::Format;
use super::stored::{DType, Layout, Place, Stored, corrupt, unsupported};
use crate::featurize::network::{NetworkKind, Variant};
use crate::{Error, Result};
use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use hdf5_reader::{Dataset, Datatype, Hdf5File, group::Group};

/// Groups nested deeper than any saved model's.
const MAX_DEPTH: usize = 16;
/// Groups and data sets looked at.
const MAX_OBJECTS: usize = 100_000;

/// Most that deflate, the best compression HDF5 has built in, can shrink values.
const MAX_RATIO: u64 = 1032;

/// An opened Keras file.
pub(super) struct KerasFile {
    file: Hdf5File,
    pub(super) format: Format,
    pub(super) identity: Identity,
    pub(super) tensors: Vec<Stored>,
}

impl KerasFile {
    /// Takes the bytes of a whole file.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) for a cut or damaged file,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for HDF5 that Keras did not write.
    pub(super) fn from_vec(bytes: Vec<u8>) -> Result<Self> {
        let found = bytes.len();
        match Hdf5File::from_vec(bytes) {
            Ok(file) => Self::new(file),
            Err(e) => {
                Err(corrupt(format!("damaged or truncated HDF5 file of {found} bytes: {e}; fetch it again")))
            }
        }
    }

    /// Takes an opened file.
    ///
    /// # Errors
    /// As [`KerasFile::from_vec`].
    pub(super) fn new(file: Hdf5File) -> Result<Self> {
        let found = file.storage().len();
        let expected = file.superblock().eof_address;
        if found < expected {
            return Err(corrupt(format!(
                "truncated HDF5 file (Keras .h5): {expected} bytes expected, {found} found; fetch it again"
            )));
        }
        let root = file.root_group().map_err(|e| hdf5(&e))?;
        let mut layers = Layers::default();
        let format = if let Ok(weights) = root.group("model_weights") {
            layers.legacy(&weights, "model_weights")?;
            Format::KerasModel
        } else if root.attribute("layer_names").is_ok() || root.attribute("layer_names0").is_ok() {
            layers.legacy(&root, "")?;
            Format::KerasWeights
        } else {
            layers.walk(&root, "", 0)?;
            Format::KerasV3
        };
        if layers.all.is_empty() {
            let (groups, datasets) = root.member_names().map_err(|e| hdf5(&e))?;
            let inside: Vec<String> = groups.into_iter().chain(datasets).take(6).collect();
            return Err(unsupported(format!(
                "an HDF5 file without Keras weights (it holds: {}); save them with `model.save_weights`",
                inside.join(", ")
            )));
        }
        let (identity, tensors) = name_layers(layers.all);
        Ok(Self { file, format, identity, tensors })
    }

    /// Values of a stored tensor in the file's order.
    pub(super) fn read(&self, stored: &Stored) -> Result<Cow<'static, [f32]>> {
        let size = stored.elements().saturating_mul(stored.dtype.size()) as u64;
        if size > self.file.storage().len().saturating_mul(MAX_RATIO) {
            let message =
                format!("shape {:?} can't lie in a file of this size; fetch it again", stored.shape);
            return Err(corrupt(message));
        }
        let dataset = self.file.dataset(&stored.file_name).map_err(|e| hdf5(&e))?;
        let values = match stored.dtype {
            DType::F32 => {
                let mut values = vec![0f32; stored.elements()];
                dataset.read_into(&mut values).map_err(|e| hdf5(&e))?;
                values
            }
            DType::F64 => {
                let mut values = vec![0f64; stored.elements()];
                dataset.read_into(&mut values).map_err(|e| hdf5(&e))?;
                values.into_iter().map(|v| v as f32).collect()
            }
            DType::F16 => {
                let bytes = dataset.read_native_bytes().map_err(|e| hdf5(&e))?;
                let (words, _) = bytes.as_chunks::<2>();
                words.iter().map(|&b| half::f16::from_ne_bytes(b).to_f32()).collect()
            }
            other => {
                return Err(unsupported(format!("it holds {other} values; weights must be floating point")));
            }
        };
        Ok(Cow::Owned(values))
    }
}

/// One layer's data sets in Keras' order of its weights.
struct Layer {
    /// Names it may go by, the most telling first.
    names: Vec<String>,
    /// Class and number in files without layer names: `conv2d_12` is `("conv2d", 12)`.
    counted: Option<(String, usize)>,
    weights: Vec<Weight>,
}

struct Weight {
    path: String,
    dtype: DType,
    shape: Vec<usize>,
}

#[derive(Default)]
struct Layers {
    all: Vec<Layer>,
    objects: usize,
}

impl Layers {
    /// The layout of Keras 1 and 2: a group per layer, its attribute `weight_names` naming the data
    /// sets in order. A nested model is one group with the weights of all its layers.
    fn legacy(&mut self, group: &Group, path: &str) -> Result<()> {
        for layer in group.groups().map_err(|e| hdf5(&e))? {
            let top = layer.name().to_string();
            let at = join(path, &top);
            let mut found = Vec::new();
            self.datasets(&layer, &at, 0, &mut found)?;
            let order =
                layer.attribute("weight_names").ok().and_then(|a| a.read_strings().ok()).unwrap_or_default();
            let rank: BTreeMap<String, usize> =
                order.iter().enumerate().map(|(i, name)| (join(&at, name), i)).collect();
            found.sort_by_key(|w| rank.get(&w.path).copied().unwrap_or(usize::MAX));
            // Data sets of one parent belong to one layer.
            let mut parents: Vec<(String, Vec<Weight>)> = Vec::new();
            for weight in found {
                let parent = weight.path.rsplit_once('/').map_or("", |(p, _)| p).to_string();
                match parents.iter_mut().find(|(p, _)| *p == parent) {
                    Some((_, weights)) => weights.push(weight),
                    None => parents.push((parent, vec![weight])),
                }
            }
            for (parent, weights) in parents {
                let last = parent.rsplit('/').next().unwrap_or_default().to_string();
                self.all.push(Layer { names: vec![top.clone(), last], counted: None, weights });
            }
        }
        Ok(())
    }

    fn datasets(&mut self, group: &Group, path: &str, depth: usize, out: &mut Vec<Weight>) -> Result<()> {
        self.count(depth, path)?;
        let (groups, datasets) = group.members().map_err(|e| hdf5(&e))?;
        for d in &datasets {
            self.count(depth, path)?;
            out.push(weight(d, join(path, d.name())));
        }
        for g in &groups {
            self.datasets(g, &join(path, g.name()), depth + 1, out)?;
        }
        Ok(())
    }

    /// Keras 3's layout: anywhere below, a group `vars` with data sets `0`, `1`, … is a layer's; its
    /// attribute `name` (since 3.4) is the layer's name.
    fn walk(&mut self, group: &Group, path: &str, depth: usize) -> Result<()> {
        self.count(depth, path)?;
        for child in group.groups().map_err(|e| hdf5(&e))? {
            let at = join(path, child.name());
            if child.name() != "vars" {
                // Optimizer state has variables of the same shapes.
                if depth > 0 || child.name() != "optimizer" {
                    self.walk(&child, &at, depth + 1)?;
                }
                continue;
            }
            let mut weights: Vec<Weight> = child
                .datasets()
                .map_err(|e| hdf5(&e))?
                .iter()
                .map(|d| weight(d, join(&at, d.name())))
                .collect();
            if weights.is_empty() {
                continue;
            }
            weights.sort_by_key(|w| w.path.rsplit('/').next().and_then(names::number));
            let names: Vec<String> =
                child.attribute("name").ok().and_then(|a| a.read_string().ok()).into_iter().collect();
            let counted = if names.is_empty() { path.rsplit('/').next().map(class_and_number) } else { None };
            self.all.push(Layer { names, counted, weights });
        }
        Ok(())
    }

    fn count(&mut self, depth: usize, path: &str) -> Result<()> {
        self.objects += 1;
        if depth > MAX_DEPTH || self.objects > MAX_OBJECTS {
            return Err(Error::new(
                crate::ErrorKind::Limit,
                crate::Stage::Weights,
                format!(
                    "HDF5 group `{path}` is nested deeper, or the file holds more objects, than a Keras model"
                ),
            ));
        }
        Ok(())
    }
}

fn class_and_number(name: &str) -> (String, usize) {
    match name.rsplit_once('_').and_then(|(class, n)| Some((class, names::number(n)?))) {
        Some((class, n)) => (class.into(), n),
        None => (name.into(), 0),
    }
}

fn weight(dataset: &Dataset, path: String) -> Weight {
    let dtype = match dataset.dtype() {
        Datatype::FloatingPoint { size: 8, .. } => DType::F64,
        Datatype::FloatingPoint { size: 4, .. } => DType::F32,
        Datatype::FloatingPoint { size: 2, .. } => DType::F16,
        Datatype::FixedPoint { size, signed, .. } => match (size, signed) {
            (8, true) => DType::I64,
            (8, false) => DType::U64,
            (4, true) => DType::I32,
            (4, false) => DType::U32,
            (2, true) => DType::I16,
            (2, false) => DType::U16,
            (1, true) => DType::I8,
            (1, false) => DType::U8,
            _ => DType::Other,
        },
        _ => DType::Other,
    };
    let shape = dataset.shape().iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
    Weight { path, dtype, shape }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}/{name}") }
}

fn hdf5(e: &hdf5_reader::error::Error) -> Error {
    corrupt(format!("damaged HDF5 file (Keras .h5): {e}; fetch it again"))
}

/// Finds the network whose layers these are, and the network's name of every weight.
fn name_layers(layers: Vec<Layer>) -> (Identity, Vec<Stored>) {
    // Names tell networks apart; counted classes alone only do by how many layers are left over.
    let score = |kind: NetworkKind| {
        let known = layers.iter().filter(|l| prefix(kind, l).is_some());
        let (named, counted): (Vec<&Layer>, Vec<&Layer>) = known.partition(|l| l.counted.is_none());
        let all: usize = ["conv2d", "depthwise_conv2d", "batch_normalization"]
            .map(|c| names::in_order(kind, c).len())
            .iter()
            .sum();
        (named.len(), counted.len().cast_signed() * 2 - all.cast_signed(), named.len() + counted.len())
    };
    let best = NetworkKind::ALL.iter().map(|&k| (score(k), k)).max_by_key(|&(s, _)| s);
    let kind =
        best.filter(|&((_, _, n), _)| n > 1).map(|(_, kind)| kind).filter(|&kind| !has_others(kind, &layers));
    let mut head = false;
    let mut tensors = Vec::new();
    let count = layers.len();
    for layer in layers {
        let prefix = kind.and_then(|kind| prefix(kind, &layer));
        head |= prefix.as_deref().is_some_and(|p| matches!(p, "fc" | "classifier.1" | "classifier.6"));
        for (role, w) in roles(&layer.weights).into_iter().zip(layer.weights) {
            let named = prefix.as_ref().and_then(|p| Some((p, role?)));
            let (name, layout) = match named {
                Some((prefix, (leaf, layout))) => (format!("{prefix}.{leaf}"), layout),
                None => (w.path.clone(), Layout::Same),
            };
            tensors.push(Stored {
                file_name: w.path,
                name,
                dtype: w.dtype,
                shape: w.shape,
                layout,
                place: Place::Dataset,
            });
        }
    }
    let text = match kind {
        Some(_) => String::new(),
        None => "an unknown Keras network".into(),
    };
    (Identity { kind, variant: Some(Variant::Keras), text, timm: false, head, layers: Some(count) }, tensors)
}

/// Whether the layers are those of a relative with the same names and more: VGG19, ResNet101.
fn has_others(kind: NetworkKind, layers: &[Layer]) -> bool {
    let is = |name: &str| layers.iter().any(|l| l.names.iter().any(|n| n == name));
    match kind {
        NetworkKind::Vgg16 => is("block3_conv4"),
        NetworkKind::Resnet50 => {
            is("conv4_block7_1_conv") || is("conv3_block5_1_conv") || is("conv2_block1_preact_bn")
        }
        NetworkKind::MobileNetV2 => false,
    }
}

fn prefix(kind: NetworkKind, layer: &Layer) -> Option<String> {
    let exact = layer.names.iter().find_map(|name| names::prefix(kind, name));
    exact
        .or_else(|| {
            // TensorFlow 1 made a name unique by `_1`, `_2`, ….
            layer.names.iter().find_map(|name| {
                let (stem, n) = name.rsplit_once('_')?;
                names::number(n)?;
                names::prefix(kind, stem)
            })
        })
        .or_else(|| {
            let (class, number) = layer.counted.as_ref()?;
            names::prefix(kind, names::in_order(kind, class).get(*number)?)
        })
}

/// What each weight of a layer is, by Keras' order: gamma, beta, moving mean, moving variance of a
/// BatchNorm; kernel and bias of the others.
fn roles(weights: &[Weight]) -> Vec<Option<(&'static str, Layout)>> {
    if weights.len() == 4 && weights.iter().all(|w| w.shape.len() == 1) {
        return ["weight", "bias", "running_mean", "running_var"]
            .map(|leaf| Some((leaf, Layout::Same)))
            .to_vec();
    }
    weights
        .iter()
        .enumerate()
        .map(|(i, w)| match (i, w.shape.as_slice()) {
            // A depthwise kernel's last axis is the multiplier, 1 in these networks, whose
            // ordinary convolutions all have more outputs.
            (0, [_, _, _, 1]) => Some(("weight", Layout::Hwcm)),
            (0, [_, _, _, _]) => Some(("weight", Layout::Hwio)),
            (0, [_, _]) => Some(("weight", Layout::InOut)),
            (1, [_]) => Some(("bias", Layout::Same)),
            _ => None,
        })
        .collect()
}

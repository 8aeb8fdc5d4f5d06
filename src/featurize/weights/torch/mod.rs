//! PyTorch's `.pth`: the zip archive written since 1.6 and the stream of pickles before it.
//!
//! Formats: `torch/serialization.py` (`_save`, `_legacy_save`) and `torch/_utils.py`.

mod pickle;
mod state_dict;
mod zip;

use super::stored::{DType, Place, Stored, corrupt, unsupported};
use crate::Result;
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::ops::Range;
use pickle::{Node, Pickle};

/// 0x1950a86a20f9469cfc6c, the first pickle of a legacy file.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The second one.
const PROTOCOL: usize = 1001;
/// Largest pickle of a zip archive that is read.
const MAX_PICKLE: usize = 64 << 20;

/// What a zip archive holds.
pub(super) enum Archive {
    /// A PyTorch state dict.
    Torch(Vec<Stored>),
    /// A Keras archive: the bytes of its `model.weights.h5`.
    Keras(Range<usize>),
}

/// Reads a zip archive.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) for a cut or damaged archive,
/// [`Unsupported`](crate::ErrorKind::Unsupported) for one that holds something else.
pub(super) fn read_zip(file: &[u8]) -> Result<Archive> {
    let entries = zip::entries(file)?;
    if let Some(weights) = entries.iter().find(|e| e.name == "model.weights.h5") {
        return Ok(Archive::Keras(weights.bytes.clone()));
    }
    let Some((root, pickle)) =
        entries.iter().find_map(|e| Some((e.name.strip_suffix("data.pkl")?, e.bytes.clone())))
    else {
        let names: Vec<&str> = entries.iter().map(|e| e.name.as_str()).take(5).collect();
        return Err(unsupported(format!(
            "a zip archive that is no PyTorch checkpoint (no data.pkl; it holds {}); unpack it first",
            names.join(", ")
        )));
    };
    let named = |name: &str| entries.iter().find(|e| e.name.strip_prefix(root) == Some(name));
    if named("constants.pkl").is_some() {
        return Err(unsupported(
            "a TorchScript archive; load it in Python and save `model.state_dict()` with torch.save".into(),
        ));
    }
    if let Some(order) = named("byteorder")
        && file.get(order.bytes.clone()) == Some(b"big")
    {
        return Err(unsupported("a big-endian checkpoint; save it again on a little-endian machine".into()));
    }
    let data = format!("{root}data/");
    let storages: BTreeMap<&str, Range<usize>> =
        entries.iter().filter_map(|e| Some((e.name.strip_prefix(data.as_str())?, e.bytes.clone()))).collect();
    let bytes = file.get(pickle).unwrap_or_default();
    if bytes.len() > MAX_PICKLE {
        return Err(corrupt(format!("data.pkl of {} bytes; at most {MAX_PICKLE} are read", bytes.len())));
    }
    let pickle = Pickle::parse(bytes).map_err(|e| e.at("data.pkl"))?;
    place(state_dict::entries(&pickle)?, &storages).map(Archive::Torch)
}

/// Reads the stream of pickles and storages that PyTorch wrote before 1.6 (and torchvision's older
/// files still are): magic number, protocol, platform, object, storage keys, then each storage.
///
/// # Errors
/// As [`read_zip`].
pub(super) fn read_legacy(file: &[u8]) -> Result<Vec<Stored>> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::parse(file.get(at..).unwrap_or_default())?;
        at += pickle.length;
        Ok((pickle, at))
    };
    let (magic, _) = next()?;
    if !matches!(magic.node(magic.root), Node::Long(bytes) if *bytes == MAGIC) {
        return Err(unsupported(
            "a Python pickle that torch.save did not write; save `model.state_dict()` with torch.save".into(),
        ));
    }
    let (protocol, _) = next()?;
    if protocol.index(protocol.root) != Some(PROTOCOL) {
        return Err(unsupported(format!(
            "a PyTorch file of another protocol than {PROTOCOL}; save it again"
        )));
    }
    let (platform, _) = next()?;
    let big = platform.items(platform.root).unwrap_or_default().iter().any(|&(k, v)| {
        platform.str(k) == Some("little_endian") && matches!(platform.node(v), Node::Bool(false))
    });
    if big {
        return Err(unsupported("a big-endian checkpoint; save it again on a little-endian machine".into()));
    }
    let (object, _) = next()?;
    let (keys, mut at) = next()?;

    let declared: BTreeMap<&str, DType> = object
        .persistent()
        .filter_map(|id| state_dict::storage(&object, id))
        .map(|s| (s.key, s.dtype))
        .collect();
    let mut storages = BTreeMap::new();
    for &key in keys.elements(keys.root).unwrap_or_default() {
        let Some(key) = keys.str(key) else { continue };
        let Some(size) = declared.get(key).map(|d| d.size()).filter(|&s| s > 0) else {
            return Err(unsupported(format!("storage `{key}` has an element type that weights never have")));
        };
        let head = at.checked_add(8).and_then(|stop| file.get(at..stop)).and_then(|b| b.first_chunk::<8>());
        let range = head.and_then(|head| {
            let len = usize::try_from(u64::from_le_bytes(*head)).ok()?;
            let start = at + 8;
            Some(start..start.checked_add(len.checked_mul(size)?)?)
        });
        let Some(range) = range.filter(|r| r.end <= file.len()) else {
            return Err(corrupt(format!(
                "truncated PyTorch file: storage {} of {} is cut after {} bytes; fetch the file again",
                storages.len() + 1,
                declared.len(),
                file.len()
            )));
        };
        at = range.end;
        storages.insert(key, range);
    }
    place(state_dict::entries(&object)?, &storages)
}

/// Finds each tensor's bytes and checks that they are there.
fn place(
    entries: Vec<state_dict::Entry<'_>>,
    storages: &BTreeMap<&str, Range<usize>>,
) -> Result<Vec<Stored>> {
    entries.into_iter().map(|e| locate(&e, storages).map_err(|error| error.at(e.name))).collect()
}

fn locate(e: &state_dict::Entry<'_>, storages: &BTreeMap<&str, Range<usize>>) -> Result<Stored> {
    let Some(storage) = storages.get(e.storage.key) else {
        return Err(corrupt(format!("its storage `{}` is not in the file; save it again", e.storage.key)));
    };
    let size = e.storage.dtype.size();
    // One past the last element the tensor touches.
    let end = if e.shape.contains(&0) {
        Some(0)
    } else {
        let last = e
            .shape
            .iter()
            .zip(&e.strides)
            .try_fold(e.offset, |at, (&n, &s)| (n - 1).checked_mul(s).and_then(|d| at.checked_add(d)));
        last.and_then(|last| last.checked_add(1))
    };
    let need = end.and_then(|end| end.checked_mul(size));
    if need.is_none_or(|need| need > storage.len()) {
        return Err(corrupt(format!(
            "shape {:?} with strides {:?} at element {} needs more than its storage's {} bytes; fetch the \
             file again",
            e.shape,
            e.strides,
            e.offset,
            storage.len()
        )));
    }
    let start = storage.start + e.offset.saturating_mul(size).min(storage.len());
    let elements = e.shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
    let place = if contiguous(&e.shape, &e.strides) {
        Place::Bytes(start..start.saturating_add(elements.saturating_mul(size)))
    } else {
        let whole = storage.len().checked_div(size).unwrap_or(0) * size;
        Place::Strided {
            storage: storage.start..storage.start + whole,
            offset: e.offset,
            strides: e.strides.clone(),
        }
    };
    Ok(Stored::new(String::from(e.name), e.storage.dtype, e.shape.clone(), place))
}

fn contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    for (&n, &s) in shape.iter().zip(strides).rev() {
        if n != 1 && s != expected {
            return false;
        }
        expected = expected.saturating_mul(n);
    }
    true
}

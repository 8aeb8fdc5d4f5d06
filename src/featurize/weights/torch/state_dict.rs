//! A PyTorch state dict out of a parsed pickle: names, shapes and storages.

use super::pickle::{Id, Node, Pickle};
use crate::Result;
use crate::featurize::weights::stored::{DType, unsupported};
use alloc::{format, string::String, vec::Vec};

/// A storage as a pickle refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) dtype: DType,
    /// Number of elements.
    pub(super) len: usize,
    /// First element of a view on another storage (files before PyTorch 0.4).
    pub(super) view: usize,
}

/// A tensor of a state dict; lengths in elements.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// Keys under which training scripts nest the state dict, the averaged weights last.
const NESTED: [&str; 6] = ["state_dict", "model_state_dict", "model", "net", "weights", "state_dict_ema"];
const MAX_NESTING: usize = 3;

/// The tensors of the pickle's state dict, found at its root or nested under a usual key.
///
/// # Errors
/// [`Unsupported`](crate::ErrorKind::Unsupported) if the pickle holds something else; the message
/// says what.
pub(super) fn entries<'a>(pickle: &Pickle<'a>) -> Result<Vec<Entry<'a>>> {
    let mut dict = pickle.root;
    for _ in 0..=MAX_NESTING {
        let Some(items) = pickle.items(dict) else { break };
        let found: Vec<Entry<'a>> = items.iter().filter_map(|&(k, v)| entry(pickle, k, v)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let nested = NESTED.iter().find_map(|&key| {
            items.iter().find(|&&(k, v)| pickle.str(k) == Some(key) && pickle.items(v).is_some())
        });
        match nested {
            Some(&(_, v)) => dict = v,
            None => break,
        }
    }
    Err(unsupported(format!("{}; save `model.state_dict()` with torch.save", describe(pickle, dict))))
}

/// The storage a persistent reference names:
/// `("storage", torch.FloatStorage, key, device, elements[, (view key, offset, elements)])`.
pub(super) fn storage<'a>(pickle: &Pickle<'a>, reference: Id) -> Option<Storage<'a>> {
    let parts = pickle.elements(reference)?;
    let &[kind, class, key, _, len, ..] = parts else { return None };
    if pickle.str(kind)? != "storage" {
        return None;
    }
    let (_, class) = pickle.global(class)?;
    let view =
        parts.get(5).and_then(|&v| pickle.elements(v)).and_then(|v| pickle.index(*v.get(1)?)).unwrap_or(0);
    Some(Storage { key: pickle.str(key)?, dtype: dtype(class), len: pickle.index(len)?, view })
}

fn entry<'a>(pickle: &Pickle<'a>, key: Id, value: Id) -> Option<Entry<'a>> {
    let name = pickle.str(key)?;
    let mut call = pickle.call(value)?;
    // Parameter(tensor, …): what is wrapped counts. A pickle may nest without end.
    for _ in 0..MAX_NESTING {
        match call.0 {
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
            | ("torch.nn.parameter", "Parameter" | "Buffer")
            | ("torch.autograd.variable", "Variable") => call = pickle.call(*call.1.first()?)?,
            _ => break,
        }
    }
    let (("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3"), arguments) = call
    else {
        return None;
    };
    let &[reference, offset, shape, strides, ..] = arguments else { return None };
    let Node::Persistent(reference) = pickle.node(reference) else { return None };
    let indices = |id| pickle.elements(id)?.iter().map(|&i| pickle.index(i)).collect::<Option<Vec<_>>>();
    let (shape, strides) = (indices(shape)?, indices(strides)?);
    let storage = storage(pickle, *reference)?;
    let offset = pickle.index(offset)?.checked_add(storage.view)?;
    (shape.len() == strides.len()).then_some(Entry { name, storage, offset, shape, strides })
}

fn dtype(class: &str) -> DType {
    match class {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool,
        _ => DType::Other,
    }
}

fn describe(pickle: &Pickle<'_>, id: Id) -> String {
    if let Some(items) = pickle.items(id) {
        let keys: Vec<&str> = items.iter().filter_map(|&(k, _)| pickle.str(k)).take(8).collect();
        return format!(
            "a pickled dict of {} entries without tensors (keys: {})",
            items.len(),
            keys.join(", ")
        );
    }
    match pickle.node(id) {
        Node::Call { function, .. } => match pickle.global(*function) {
            Some((module, name)) => {
                format!("a pickled `{module}.{name}` object, whose code would have to run (it never is)")
            }
            None => "a pickled object".into(),
        },
        Node::List(items) | Node::Tuple(items) => format!("a pickled list of {} values", items.len()),
        _ => "a pickle of a single value".into(),
    }
}

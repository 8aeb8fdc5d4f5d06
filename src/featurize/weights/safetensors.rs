//! The safetensors container: 8 bytes of length, a JSON header, then the values.

use super::stored::{DType, Place, Stored, corrupt};
use crate::Result;
use ::safetensors::{SafeTensors, tensor::Dtype};
use alloc::{format, string::ToString, vec::Vec};

/// The tensors, in the order of their values.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) if the header is not valid or the file has another length
/// than it says.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Stored>> {
    let (header, metadata) = match SafeTensors::read_metadata(bytes) {
        Ok(found) => found,
        Err(e) => return Err(damaged(bytes, &e.to_string())),
    };
    let start = header + 8;
    let mut tensors = Vec::with_capacity(metadata.offset_keys().len());
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let (from, to) = info.data_offsets;
        let place = Place::Bytes(start + from..start + to);
        tensors.push(Stored::new(name, dtype(info.dtype), info.shape.clone(), place));
    }
    Ok(tensors)
}

/// Whether the bytes begin as a safetensors file does.
pub(super) fn matches(bytes: &[u8]) -> bool {
    declared_header(bytes).is_some_and(|n| n > 1 && n <= 100_000_000) && bytes.get(8) == Some(&b'{')
}

fn declared_header(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
}

fn damaged(bytes: &[u8], why: &str) -> crate::Error {
    let found = bytes.len();
    let header = declared_header(bytes).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let Some(text) = bytes.get(8..8usize.saturating_add(header)) else {
        return corrupt(format!(
            "truncated safetensors file: the header alone ends at byte {}, the file has {found}; fetch it again",
            header.saturating_add(8)
        ));
    };
    match serde_json::from_slice::<::safetensors::tensor::Metadata>(text) {
        Ok(m) => {
            let expected = m.data_len().saturating_add(header).saturating_add(8);
            let what =
                if found < expected { "truncated safetensors file" } else { "safetensors file too long" };
            corrupt(format!("{what}: {expected} bytes expected, {found} found; fetch it again"))
        }
        Err(_) => corrupt(format!("damaged safetensors header: {why}; fetch the file again")),
    }
}

fn dtype(stored: Dtype) -> DType {
    match stored {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        _ => DType::Other,
    }
}

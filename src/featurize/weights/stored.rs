//! One tensor as a file stores it, and its way to row-major `f32` in the network's layout.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::{borrow::Cow, format, string::String, vec, vec::Vec};
use core::{fmt, ops::Range};

/// Element type of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum DType {
    F64,
    F32,
    F16,
    /// bfloat16: the upper half of an `F32`.
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    /// Complex, 8-bit float, quantised…: listed, never read.
    Other,
}

impl DType {
    /// Bytes per element; 0 for [`DType::Other`].
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::Other => 0,
        }
    }

    /// Whether it can be read as `f32`.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::Bool => "bool",
            Self::Other => "other",
        })
    }
}

/// How a stored tensor's axes are ordered, next to the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "checkpoints"), allow(dead_code))]
pub(super) enum Layout {
    /// As the network's, or the same row-major order under another shape.
    Same,
    /// Keras convolution: rows, columns, in, out.
    Hwio,
    /// Keras depthwise convolution: rows, columns, channels, multiplier.
    Hwcm,
    /// Keras dense layer: in, out.
    InOut,
}

impl Layout {
    /// The shape in the network's order; `None` if the layout has another number of axes.
    pub(super) fn network_shape(self, shape: &[usize]) -> Option<Vec<usize>> {
        match (self, shape) {
            (Self::Same, _) => Some(shape.to_vec()),
            (Self::Hwio, &[h, w, i, o]) => Some(vec![o, i, h, w]),
            (Self::Hwcm, &[h, w, c, m]) => Some(vec![c.checked_mul(m)?, 1, h, w]),
            (Self::InOut, &[i, o]) => Some(vec![o, i]),
            _ => None,
        }
    }

    /// Reorders values of `shape` into the network's order.
    pub(super) fn reorder<'a>(self, values: Cow<'a, [f32]>, shape: &[usize]) -> Cow<'a, [f32]> {
        match (self, shape) {
            (Self::Hwio, &[h, w, i, o]) => Cow::Owned(reversed(&values, h * w, i, o)),
            (Self::Hwcm, &[h, w, c, m]) => Cow::Owned(reversed(&values, h * w, 1, c * m)),
            (Self::InOut, &[i, o]) => Cow::Owned(reversed(&values, 1, i, o)),
            _ => values,
        }
    }
}

/// `[k, i, o]` → `[o, i, k]`, in tiles so that neither side strides far.
fn reversed(values: &[f32], k: usize, i: usize, o: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; values.len()];
    for i0 in (0..i).step_by(TILE) {
        for o0 in (0..o).step_by(TILE) {
            for kk in 0..k {
                for ii in i0..(i0 + TILE).min(i) {
                    let row = (kk * i + ii) * o;
                    for oo in o0..(o0 + TILE).min(o) {
                        if let (Some(to), Some(from)) =
                            (out.get_mut((oo * i + ii) * k + kk), values.get(row + oo))
                        {
                            *to = *from;
                        }
                    }
                }
            }
        }
    }
    out
}

/// Where a tensor's values lie.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Little-endian, row-major, at these bytes of the file.
    Bytes(Range<usize>),
    /// Little-endian elements of a storage at these bytes, first element and strides in elements.
    Strided {
        /// Bytes of the whole storage.
        storage: Range<usize>,
        /// Index of the tensor's first element.
        offset: usize,
        /// Elements from one index to the next, per axis.
        strides: Vec<usize>,
    },
    /// A data set of an HDF5 file.
    #[cfg_attr(not(feature = "checkpoints"), allow(dead_code))]
    Dataset,
}

/// One tensor of a file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Name in the file.
    pub(super) file_name: String,
    /// The network's name for it; the file's if it has none.
    pub(super) name: String,
    /// Element type.
    pub(super) dtype: DType,
    /// Shape in the file.
    pub(super) shape: Vec<usize>,
    /// Order of the axes in the file.
    pub(super) layout: Layout,
    /// Where the values are.
    pub(super) place: Place,
}

impl Stored {
    /// A tensor under its own name in the network's layout.
    pub(super) fn new(name: String, dtype: DType, shape: Vec<usize>, place: Place) -> Self {
        Self { file_name: name.clone(), name, dtype, shape, layout: Layout::Same, place }
    }

    /// Number of elements; saturates, for shapes no file can hold.
    #[cfg(feature = "checkpoints")]
    pub(super) fn elements(&self) -> usize {
        self.shape.iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }

    /// Whether its values can serve for `shape`: the same, or (a fully connected layer stored as a
    /// convolution) the same row-major values.
    pub(super) fn fits(&self, shape: &[usize]) -> bool {
        let Some(found) = self.layout.network_shape(&self.shape) else { return false };
        found == shape
            || match (self.layout, found.as_slice(), shape) {
                (Layout::Same, &[o, i, h, w], &[out, inputs]) => {
                    o == out && i.checked_mul(h).and_then(|n| n.checked_mul(w)) == Some(inputs)
                }
                _ => false,
            }
    }

    /// The values from the file's bytes, in the file's order.
    pub(super) fn read<'a>(&self, file: &'a [u8]) -> Result<Cow<'a, [f32]>> {
        let cut = |range: &Range<usize>| cut(file, range);
        match &self.place {
            Place::Bytes(range) => to_f32(cut(range)?, self.dtype),
            Place::Strided { storage, offset, strides } => {
                gather(&to_f32(cut(storage)?, self.dtype)?, *offset, &self.shape, strides).map(Cow::Owned)
            }
            Place::Dataset => Err(corrupt("its values are not part of these bytes".into())),
        }
    }

    /// The stored bytes of a tensor that lies in one piece.
    pub(super) fn bytes<'a>(&self, file: &'a [u8]) -> Result<&'a [u8]> {
        match &self.place {
            Place::Bytes(range) => cut(file, range),
            _ => Err(corrupt("its values don't lie in one piece; save the file again".into())),
        }
    }
}

fn cut<'a>(file: &'a [u8], range: &Range<usize>) -> Result<&'a [u8]> {
    file.get(range.clone()).ok_or_else(|| {
        corrupt(format!(
            "its values end at byte {} but the file has {} bytes; fetch the file again",
            range.end,
            file.len()
        ))
    })
}

/// Elements of a shape from a file; with a zero in it, too, the other sides must make a number.
pub(super) fn elements(shape: &[usize]) -> Result<usize> {
    match shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side.max(1))) {
        Some(_) => Ok(shape.iter().product()),
        None => Err(corrupt(format!("no file holds values of shape {shape:?}; fetch it again"))),
    }
}

pub(super) fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, Stage::Weights, message)
}

pub(super) fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::Unsupported, Stage::Weights, message)
}

/// Little-endian bytes as `f32`, borrowed if they are and lie aligned.
pub(super) fn to_f32(bytes: &[u8], dtype: DType) -> Result<Cow<'_, [f32]>> {
    let size = dtype.size();
    if size == 0 || !bytes.len().is_multiple_of(size) {
        return Err(corrupt(format!("{} bytes are no whole number of {dtype} values", bytes.len())));
    }
    let words = |f: fn(u16) -> f32| {
        bytes.as_chunks::<2>().0.iter().map(|&b| f(u16::from_le_bytes(b))).collect::<Vec<f32>>()
    };
    Ok(match dtype {
        DType::F32 => {
            #[cfg(target_endian = "little")]
            if let Ok(values) = bytemuck::try_cast_slice(bytes) {
                return Ok(Cow::Borrowed(values));
            }
            Cow::Owned(bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
        }
        DType::F64 => {
            Cow::Owned(bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect())
        }
        DType::F16 => Cow::Owned(words(|w| half::f16::from_bits(w).to_f32())),
        DType::BF16 => Cow::Owned(words(|w| f32::from_bits(u32::from(w) << 16))),
        other => {
            return Err(unsupported(format!("it holds {other} values; weights must be floating point")));
        }
    })
}

/// Row-major copy of a strided view.
fn gather(storage: &[f32], offset: usize, shape: &[usize], strides: &[usize]) -> Result<Vec<f32>> {
    let total = shape.iter().fold(1usize, |n, &d| n.saturating_mul(d));
    if total > storage.len() {
        let message = format!(
            "a view that repeats {} stored values as shape {shape:?}; save it again with `.contiguous()`",
            storage.len()
        );
        return Err(Error::new(ErrorKind::Limit, Stage::Weights, message));
    }
    let mut out = Vec::with_capacity(total);
    let mut index = vec![0usize; shape.len()];
    for _ in 0..total {
        let at = index
            .iter()
            .zip(strides)
            .try_fold(offset, |at, (&i, &s)| i.checked_mul(s).and_then(|d| at.checked_add(d)));
        match at.and_then(|at| storage.get(at)) {
            Some(&v) => out.push(v),
            None => return Err(corrupt("its strides point outside its storage; save the file again".into())),
        }
        for (i, &n) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precisions_and_doubles_become_the_same_values() {
        let values = [0.0f32, 1.0, -2.5, 0.15625, 65504.0, -6.103_515_6e-5];
        let f16: Vec<u8> = values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
        let f64: Vec<u8> = values.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
        let bf16: Vec<u8> = values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect();
        assert_eq!(to_f32(&f16, DType::F16).unwrap(), &values[..]);
        assert_eq!(to_f32(&f64, DType::F64).unwrap(), &values[..]);
        let rounded: Vec<f32> = values.iter().map(|&v| half::bf16::from_f32(v).to_f32()).collect();
        assert_eq!(to_f32(&bf16, DType::BF16).unwrap(), rounded);
    }

    #[test]
    fn f32_is_borrowed_when_aligned_and_copied_when_not() {
        let values = [1.5f32, -2.0, 3.25];
        let mut bytes = [0u8; 16];
        let start = bytes.as_ptr().align_offset(4);
        for shift in [0, 1] {
            bytes[start + shift..start + shift + 12]
                .copy_from_slice(&values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()[..12]);
            let read = to_f32(&bytes[start + shift..start + shift + 12], DType::F32).unwrap();
            assert_eq!(read, &values[..]);
            if cfg!(target_endian = "little") {
                assert_eq!(matches!(read, Cow::Borrowed(_)), shift == 0);
            }
            if start + 13 > bytes.len() {
                break;
            }
        }
    }

    #[test]
    fn reordering_agrees_with_indexing() {
        for [h, w, i, o] in [[3, 2, 5, 7], [1, 1, 40, 70], [7, 7, 3, 64], [1, 1, 1, 1]] {
            let n = h * w * i * o;
            let values: Vec<f32> = (0..n).map(|v| v as f32).collect();
            let got = Layout::Hwio.reorder(Cow::Borrowed(&values), &[h, w, i, o]);
            for (at, &v) in got.iter().enumerate() {
                let (x, y, ii, oo) = (at % w, at / w % h, at / (w * h) % i, at / (w * h * i));
                assert_eq!(v as usize, ((y * w + x) * i + ii) * o + oo);
            }
            let depthwise = Layout::Hwcm.reorder(Cow::Borrowed(&values), &[h, w, i, o]);
            for (at, &v) in depthwise.iter().enumerate() {
                assert_eq!(v as usize, at % (h * w) * i * o + at / (h * w));
            }
            let dense = Layout::InOut.reorder(Cow::Borrowed(&values), &[h * w * i, o]);
            for (at, &v) in dense.iter().enumerate() {
                assert_eq!(v as usize, at % (h * w * i) * o + at / (h * w * i));
            }
        }
    }

    #[test]
    fn strided_views_are_gathered_and_checked() {
        let storage: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let view = gather(&storage, 6, &[3, 3], &[6, 2]).unwrap();
        assert_eq!(view, [6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0]);
        assert_eq!(gather(&storage, 23, &[], &[]).unwrap(), [23.0]);
        assert_eq!(gather(&storage, 12, &[3, 3], &[6, 2]).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(gather(&storage, 0, &[usize::MAX / 4], &[0]).unwrap_err().kind(), ErrorKind::Limit);
        assert_eq!(gather(&storage, usize::MAX, &[2], &[1]).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

//! Bytes to normalised floats.

use super::{fail, simd::Isa};
use crate::{ErrorKind, Result};
use alloc::{boxed::Box, format};
use serde::{Deserialize, Serialize};

/// What a network's weights expect of the input values.
///
/// Every variant computes `(x / divisor - mean) / std` per channel in `f32`, in that order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Normalization {
    /// Keras `preprocess_input(mode="caffe")`: RGB→BGR, minus [103.939, 116.779, 123.68].
    KerasCaffe,
    /// Keras `preprocess_input(mode="tf")`: `x / 127.5 - 1`, RGB.
    KerasTf,
    /// torchvision: `/ 255`, mean [0.485, 0.456, 0.406], std [0.229, 0.224, 0.225], RGB.
    Torchvision,
    /// Own values, per channel in the order of the output.
    Custom {
        /// Divides the 0–255 value first; 255 gives 0–1.
        divisor: f32,
        /// Subtracted after the division.
        mean: [f32; 3],
        /// Divides last.
        std: [f32; 3],
    },
}

impl Normalization {
    /// Divisor, mean, std.
    fn parts(self) -> (f32, [f32; 3], [f32; 3]) {
        match self {
            Self::KerasCaffe => (1.0, [103.939, 116.779, 123.68], [1.0; 3]),
            Self::KerasTf => (127.5, [1.0; 3], [1.0; 3]),
            Self::Torchvision => (255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            Self::Custom { divisor, mean, std } => (divisor, mean, std),
        }
    }

    /// Refuses values that would make infinite or undefined output.
    pub(super) fn validate(self) -> Result<()> {
        let (divisor, mean, std) = self.parts();
        let finite = (0..3).all(|c| {
            [0.0, 255.0f32].iter().all(|x| ((x / divisor - mean[c]) / std[c]).is_finite())
                && std[c] > 0.0
                && divisor > 0.0
        });
        if finite {
            return Ok(());
        }
        let message = format!(
            "normalization needs finite means and positive finite divisor and std, \
             found divisor {divisor}, mean {mean:?}, std {std:?}"
        );
        Err(fail(ErrorKind::InvalidArgument, message))
    }
}

/// A [`Normalization`] prepared for one output channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelMap {
    divisor: f32,
    mean: f32,
    std: f32,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// `((x·scale)·(1 + tail) - mean) · inverse`: vectorises, and was checked against the table.
    Affine(Affine),
    /// All 256 values.
    Table(Box<[f32; 256]>),
}

/// See [`Kind::Affine`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    scale: f32,
    tail: f32,
    mean: f32,
    inverse: f32,
}

impl ChannelMap {
    pub(super) fn new(normalization: Normalization, channel: usize) -> Self {
        let (divisor, mean, std) = normalization.parts();
        let (mean, std) = (mean[channel], std[channel]);
        let mut table = [0.0; 256];
        for (x, v) in table.iter_mut().enumerate() {
            *v = exact(x as f32, divisor, mean, std);
        }
        // x·65,793 has at most 24 bits, and 65,793·2⁻²⁴·(1 + 2⁻²⁴) is 1/255 nearly enough that
        // multiplying twice rounds to the same float as dividing, for every byte.
        let (scale, tail) = match divisor {
            255.0 => (65_793.0 / 16_777_216.0, 1.0 / 16_777_216.0),
            127.5 => (65_793.0 / 8_388_608.0, 1.0 / 16_777_216.0),
            d => (1.0 / d, 0.0),
        };
        let affine = Affine { scale, tail, mean, inverse: 1.0 / std };
        let close = table.iter().enumerate().all(|(x, &want)| {
            let found = affine.apply(x as u8);
            (found - want).abs() <= 4e-7 * want.abs()
        });
        let kind = if close { Kind::Affine(affine) } else { Kind::Table(Box::new(table)) };
        Self { divisor, mean, std, kind }
    }

    /// Normalises a row of bytes.
    pub(super) fn bytes(&self, isa: Isa, src: &[u8], dst: &mut [f32]) {
        match &self.kind {
            Kind::Affine(affine) => isa.affine_row(src, affine, dst),
            Kind::Table(table) => {
                src.iter().zip(dst).for_each(|(&s, d)| *d = table[usize::from(s)]);
            }
        }
    }

    /// Normalises a row of floats on the 0–255 scale.
    pub(super) fn floats(&self, src: &[f32], dst: &mut [f32]) {
        src.iter().zip(dst).for_each(|(&s, d)| *d = exact(s, self.divisor, self.mean, self.std));
    }
}

/// The peers' arithmetic.
fn exact(x: f32, divisor: f32, mean: f32, std: f32) -> f32 {
    (x / divisor - mean) / std
}

impl Affine {
    #[inline(always)]
    fn apply(self, x: u8) -> f32 {
        let q = f32::from(x) * self.scale;
        (q + q * self.tail - self.mean) * self.inverse
    }
}

#[inline(always)]
pub(super) fn affine_row(src: &[u8], affine: &Affine, dst: &mut [f32]) {
    let affine = *affine;
    src.iter().zip(dst).for_each(|(&s, d)| *d = affine.apply(s));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_take_the_vector_path() {
        for n in [Normalization::KerasCaffe, Normalization::KerasTf, Normalization::Torchvision] {
            for c in 0..3 {
                assert!(matches!(ChannelMap::new(n, c).kind, Kind::Affine(_)), "{n:?} {c}");
            }
        }
    }

    #[test]
    fn odd_divisors_fall_back_to_the_table() {
        let n = Normalization::Custom { divisor: 253.7, mean: [0.485; 3], std: [0.229; 3] };
        let map = ChannelMap::new(n, 0);
        let mut out = [0.0; 256];
        let bytes: [u8; 256] = core::array::from_fn(|i| i as u8);
        map.bytes(Isa::detect(), &bytes, &mut out);
        for (x, v) in out.iter().enumerate() {
            let want = exact(x as f32, 253.7, 0.485, 0.229);
            assert!((v - want).abs() <= 4e-7 * want.abs());
        }
    }
}

//! What a network computes in.

use crate::{Error, ErrorKind, Result, Stage};
use alloc::format;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The number format that a network's products are computed in.
///
/// On the CPU it is about the 1 × 1 and dense convolutions and the linear layers: nearly all of the work.
/// The first convolution, depthwise filters, sums, pooling and what lies between layers stay `f32`, but in
/// [`Bf16`](Self::Bf16) on AMX. Which instructions compute it is the processor's matter; results agree on all of
/// them within rounding of the `f32` parts, with that one exception within bfloat16's. A GPU computes all of a
/// network in [`F16`](Self::F16), if in anything but `f32`.
///
/// ```
/// use fruitcore::featurize::Precision;
/// use fruitcore::featurize::kernels::{Plan, PlanOptions};
/// use fruitcore::featurize::network::{NetworkKind, NetworkSpec};
/// use fruitcore::featurize::weights::RandomWeights;
///
/// let graph = NetworkSpec::new(NetworkKind::MobileNetV2).width(0.35).input(32, 32).graph()?;
/// let mut options = PlanOptions::default();
/// options.precision = "int8".parse()?;
/// let plan = Plan::new(&graph, &RandomWeights::new(&graph, 7), &options)?;
/// assert_eq!(plan.precision(), Precision::Int8);
/// println!("{} by {}", plan.precision(), plan.arithmetic());
/// # Ok::<(), fruitcore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Precision {
    /// IEEE single precision.
    #[default]
    F32,
    /// Weights and activations rounded to bfloat16 (8 bits of significand, to nearest even), sums in
    /// `f32`. On AMX values are rounded between layers, too, residual sums among them, and the first convolution's
    /// operands. Measured on photographs that hardly adds to the error: the weights' rounding is larger.
    Bf16,
    /// Weights in 8 bits with a scale for each output channel, symmetric. Activations in 8 bits with a
    /// scale and a zero point, measured on the spot and so without calibration: for each pixel before a
    /// 1 × 1 convolution or linear layer, for each picture before other convolutions. Sums in 32-bit
    /// integers, exact. Jacob et al., "Quantization and Training of Neural Networks for Efficient
    /// Integer-Arithmetic-Only Inference", 2018.
    Int8,
    /// IEEE half precision, for GPUs: weights, activations and features (11 bits of significand, numbers
    /// up to 65,504). A picture whose activations exceed that has features that are no numbers.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::F32, Self::Bf16, Self::Int8, Self::F16];

    /// Those of the CPU devices, the finest first.
    pub const CPU: &'static [Self] = &[Self::F32, Self::Bf16, Self::Int8];

    /// Whether it is `f32`.
    pub fn is_full(&self) -> bool {
        *self == Self::F32
    }

    /// `f32`, `bf16`, `int8`, `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::F16 => "f16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|p| p.name() == s).ok_or_else(|| {
            let m = format!("there is no precision {s:?}; use f32, bf16, int8 or f16");
            Error::new(ErrorKind::InvalidArgument, Stage::Config, m)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_are_read_back() {
        for &p in Precision::ALL {
            assert_eq!(serde_json::to_string(&p).unwrap(), alloc::format!("\"{p}\""));
            assert_eq!(p.to_string().parse::<Precision>().unwrap(), p);
        }
        let e = "fp64".parse::<Precision>().unwrap_err();
        assert!(e.to_string().contains("f32, bf16, int8 or f16"), "{e}");
    }
}

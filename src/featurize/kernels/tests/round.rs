//! The dull twin of reduced precision: operands as the nearest values there are, in f64.

use super::Precision;
use alloc::{vec, vec::Vec};

/// Bits after the leading one that bfloat16 keeps.
const BF16_BITS: i32 = 7;

fn bf16(x: f64) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    let unit = libm::exp2(f64::from(libm::ilogb(x) - BF16_BITS));
    libm::rint(x / unit) * unit
}

/// Planar `[c, plane]`: in 8 bits each pixel has a level of its own, or all have one.
pub(super) fn activations(src: &[f64], plane: usize, each: bool, precision: Precision) -> Vec<f64> {
    match precision {
        Precision::F32 => src.to_vec(),
        Precision::F16 => unreachable!("no plan is built in it"),
        Precision::Bf16 => src.iter().map(|&x| bf16(x)).collect(),
        Precision::Int8 => {
            let mut out = vec![0.0; src.len()];
            let groups: Vec<Vec<usize>> = if each {
                (0..plane).map(|p| (p..src.len()).step_by(plane).collect()).collect()
            } else {
                vec![(0..src.len()).collect()]
            };
            for group in groups {
                let lo = group.iter().map(|&i| src[i]).fold(0.0, f64::min) as f32;
                let hi = group.iter().map(|&i| src[i]).fold(0.0, f64::max) as f32;
                if lo == hi {
                    continue;
                }
                let scale = (hi - lo) / 255.0;
                let zero = (-lo * (255.0 / (hi - lo))).round_ties_even();
                for i in group {
                    let q = (src[i] as f32 * (1.0 / scale) + zero).round_ties_even().clamp(0.0, 255.0);
                    out[i] = f64::from(scale) * f64::from(q - zero);
                }
            }
            out
        }
    }
}

/// `[out, …]`: in 8 bits each output channel has a scale.
pub(super) fn weights(kernel: &[f64], out: usize, precision: Precision) -> Vec<f64> {
    match precision {
        Precision::F32 => kernel.to_vec(),
        Precision::F16 => unreachable!("no plan is built in it"),
        Precision::Bf16 => kernel.iter().map(|&w| bf16(w)).collect(),
        Precision::Int8 => kernel
            .chunks(kernel.len() / out)
            .flat_map(|filter| {
                let scale = filter.iter().map(|w| w.abs()).fold(0.0, f64::max) / 127.0;
                let scale = if scale == 0.0 { 1.0 } else { scale };
                filter.iter().map(move |w| libm::rint(w / scale) * scale)
            })
            .collect(),
    }
}

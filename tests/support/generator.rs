//! Weights and pictures for tests, the same in Rust and in Python; `tests/golden/networks/generator.py`
//! says how they are made and why.

use fruitcore::Result;
use fruitcore::featurize::weights::WeightSource;
use std::borrow::Cow;

/// Period of the table.
const P: usize = 4093;

/// A source that has every tensor.
pub(crate) struct Generated {
    table: Vec<f32>,
}

impl Generated {
    pub(crate) fn new() -> Self {
        let mut state = 0x6672_7569_7463_6f72_u64;
        let mut half = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (2 * (z >> 57) as i32 + 1 - 128) as f32 / 128.0
        };
        let mut table: Vec<f32> = (0..P / 2).map(|_| half()).collect();
        table.push(0.0);
        table.extend_from_within(..P / 2);
        table[P / 2 + 1..].reverse();
        table[P / 2 + 1..].iter_mut().for_each(|v| *v = -*v);
        Self { table }
    }

    fn at(&self, index: usize) -> f32 {
        self.table[index % P]
    }

    /// The values of one tensor in torchvision's layout.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        let start = offset(name);
        if let [len] = *shape {
            let damped = name.ends_with(".bn3.weight") || name.ends_with(".conv.3.weight");
            let (constant, factor) = match name.rsplit('.').next() {
                Some("weight") => (if damped { 0.5 } else { 1.0 }, 0.125),
                Some("bias" | "running_mean") => (0.0, 0.25),
                Some("running_var") => (1.0, 0.5),
                _ => panic!("{name} is no parameter of these networks"),
            };
            return (0..len).map(|o| constant + factor * self.at(start + o)).collect();
        }
        let fan_in: usize = shape[1..].iter().product();
        let mut scale = 1.0;
        let mut bound = 12;
        while bound < fan_in {
            bound *= 4;
            scale /= 2.0;
        }
        let mut out = Vec::with_capacity(shape[0] * fan_in);
        for o in 0..shape[0] {
            let mut i = (start + o) % P;
            out.extend((0..fan_in).map(|_| {
                let v = self.table[i] * scale;
                i = (i + 1597) % P;
                v
            }));
        }
        out
    }

    /// A picture, planar `[3, height, width]`.
    pub(crate) fn picture(&self, index: usize, height: usize, width: usize) -> Vec<f32> {
        let start = offset(&format!("picture.{index}"));
        let mut out = Vec::with_capacity(3 * height * width);
        for c in 0..3 {
            for y in 0..height {
                for x in 0..width {
                    let tile = self.at(start + 1013 * c + 37 * (y / 16) + x / 16);
                    let noise = self.at(start + 1013 * c + 211 * y + x);
                    out.push(tile * 1.5 + noise * 0.5);
                }
            }
        }
        out
    }
}

impl WeightSource for Generated {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>> {
        Ok(Cow::Owned(self.values(name, shape)))
    }
}

/// FNV-1a of the name, within the table.
fn offset(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (hash % P as u64) as usize
}

/// CRC-32 (IEEE) of the values' little-endian bytes, bit by bit.
pub(crate) fn crc32(values: &[f32]) -> u32 {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    !bytes.fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}

//! Distances of a row to sixteen centres at once: a register holds one column of several centres.

use alloc::vec::Vec;
use pulp::{Simd, WithSimd};

/// Centres of a group.
pub(super) const GROUP: usize = 16;

/// Centres in groups of [`GROUP`]; places that are left are infinitely far from everything.
pub(super) struct Packed {
    columns: usize,
    /// Lanes of a register.
    lanes: usize,
    /// `[groups, GROUP / lanes, columns, lanes]`.
    values: Vec<f32>,
}

impl Packed {
    /// `[k, columns]` centres for the registers of this processor.
    pub(super) fn new(centres: &[f32], columns: usize) -> Self {
        let lanes = pulp::Arch::new().dispatch(Lanes);
        let groups = centres.len().div_ceil(columns * GROUP);
        let values = alloc::vec![f32::INFINITY; groups * GROUP * columns];
        let mut packed = Self { columns, lanes, values };
        packed.set(centres);
        packed
    }

    /// Puts other centres in, as many.
    pub(super) fn set(&mut self, centres: &[f32]) {
        let (d, lanes) = (self.columns, self.lanes);
        for (i, centre) in centres.chunks_exact(d).enumerate() {
            let register = &mut self.values[i / lanes * lanes * d..][..lanes * d];
            for (place, v) in register.iter_mut().skip(i % lanes).step_by(lanes).zip(centre) {
                *place = *v;
            }
        }
    }

    pub(super) fn groups(&self) -> usize {
        self.values.len() / (self.columns * GROUP)
    }

    /// ‖row − c‖² for the first `used` centres of a group, by differences; the other places of `out`
    /// are infinite or as they were. To be called with the best `simd` there is.
    #[inline(always)]
    pub(super) fn squared<S: Simd>(
        &self,
        simd: S,
        row: &[f32],
        group: usize,
        used: usize,
        out: &mut [f32; GROUP],
    ) {
        debug_assert_eq!(self.lanes, S::F32_LANES);
        let size = self.columns * GROUP;
        let (centres, _) = S::as_simd_f32s(&self.values[group * size..(group + 1) * size]);
        let (out, _) = S::as_mut_simd_f32s(out);
        let (four, rest) = row.as_chunks::<4>();
        let registers = used.div_ceil(S::F32_LANES);
        for (out, register) in out.iter_mut().zip(centres.chunks_exact(self.columns)).take(registers) {
            // Four sums, because one would wait for itself.
            let mut sums = [simd.splat_f32s(0.0); 4];
            let (centres4, centres_rest) = register.as_chunks::<4>();
            for (x, c) in four.iter().zip(centres4) {
                for i in 0..4 {
                    let difference = simd.sub_f32s(simd.splat_f32s(x[i]), c[i]);
                    sums[i] = simd.mul_add_e_f32s(difference, difference, sums[i]);
                }
            }
            for (x, c) in rest.iter().zip(centres_rest) {
                let difference = simd.sub_f32s(simd.splat_f32s(*x), *c);
                sums[0] = simd.mul_add_e_f32s(difference, difference, sums[0]);
            }
            *out = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
        }
    }
}

/// How many lanes a register has.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES.min(GROUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{classify::distance::squared, rng::Rng};
    use alloc::vec;

    struct All<'a>(&'a Packed, &'a [f32], usize);

    impl WithSimd for All<'_> {
        type Output = Vec<f32>;

        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let mut all = vec![];
            for group in 0..self.0.groups() {
                let mut out = [f32::INFINITY; GROUP];
                self.0.squared(simd, self.1, group, self.2, &mut out);
                all.extend(out);
            }
            all
        }
    }

    #[test]
    fn equals_plain_loops() {
        let mut rng = Rng::new(7);
        for (k, d) in [(1, 1), (3, 5), (16, 4), (17, 50), (131, 23)] {
            let mut draw = |m: usize| (0..m).map(|_| rng.unit() as f32 - 0.5).collect::<Vec<_>>();
            let (row, centres, others) = (draw(d), draw(k * d), draw(k * d));
            let mut packed = Packed::new(&others, d);
            packed.set(&centres);
            let found = pulp::Arch::new().dispatch(All(&packed, &row, GROUP));
            assert!(found.len() >= k && found[k..].iter().all(|v| *v == f32::INFINITY));
            for (found, centre) in found.iter().zip(centres.chunks(d)) {
                assert!((found - squared(&row, centre)).abs() < 1e-5, "{k} {d}");
            }
            let one = pulp::Arch::new().dispatch(All(&packed, &row, 1));
            assert_eq!(one[0], found[0]);
        }
    }
}

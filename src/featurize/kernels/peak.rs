//! What a core can do at most: multiply-adds on registers alone, no memory.

use super::isa::kernels;
use super::plan::unsupported;
use super::simd::{Isa, LANES, Simd};
use crate::Result;
use alloc::format;
use core::hint::black_box;

/// `rounds`, a factor and a summand to the sum of what the chains end in.
pub(super) type LoopFn = unsafe fn(u64, f32, f32) -> f32;

/// Multiply-adds in each of `N` independent chains of 16 lanes, `rounds` times: chain `i` begins at `i`
/// and goes from `x` to `factor · x + summand`. The sum of all lanes, so that none can be left out.
///
/// # Safety
/// The value proves the instruction set; nothing else is asked.
#[inline(always)]
pub(super) unsafe fn chains<S: Simd, const N: usize>(simd: S, rounds: u64, factor: f32, summand: f32) -> f32 {
    let (a, b) = (simd.splat(factor), simd.splat(summand));
    let mut all = [simd.splat(0.0); N];
    for (i, x) in all.iter_mut().enumerate() {
        *x = simd.splat(i as f32);
    }
    for _ in 0..rounds {
        for x in &mut all {
            *x = simd.fma(*x, a, b);
        }
    }
    let mut lanes = [0.0; LANES];
    let mut sum = 0.0;
    for x in all {
        // SAFETY: an array of 16 floats is written.
        unsafe { simd.store(lanes.as_mut_ptr(), x) };
        sum += lanes.iter().sum::<f32>();
    }
    sum
}

impl Isa {
    /// Multiplies and adds on registers alone, `rounds` times in as many chains as keep a core's units
    /// busy; the floating-point operations that were done. Over the time it took, that is the most any
    /// kernel of this instruction set can reach on one core; on [`Isa::Plain`], what the compiler makes
    /// of the portable loop.
    ///
    /// ```
    /// use fruitcore::featurize::kernels::Isa;
    /// let start = std::time::Instant::now();
    /// let operations = Isa::best().multiply_add(100_000)?;
    /// let rate = operations as f64 / start.elapsed().as_secs_f64();
    /// println!("{} peak: {:.0} GFLOP/s", Isa::best().name(), rate / 1e9);
    /// # Ok::<(), fruitcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if this processor or build lacks it.
    pub fn multiply_add(self, rounds: u64) -> Result<u64> {
        let Some(kernels) = kernels(self) else {
            return Err(unsupported(format!(
                "this processor or build has no {}; use Isa::best()",
                self.name()
            )));
        };
        // Converges to 1, so neither infinity nor subnormal numbers slow it.
        // SAFETY: `kernels()` has checked the instruction set, all that the loop asks.
        black_box(unsafe { (kernels.peak)(rounds, black_box(0.999), black_box(0.001)) });
        Ok(rounds * (2 * LANES * kernels.chains) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every instruction set computes the chains it is timed on, as f64 does.
    #[test]
    fn chains_are_computed() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
            let kernels = kernels(isa).unwrap();
            for rounds in [0, 1, 7, 1000] {
                // SAFETY: `kernels()` has checked the instruction set.
                let found = unsafe { (kernels.peak)(rounds, 0.99, 0.02) };
                let chain = |i: usize| (0..rounds).fold(i as f64, |x, _| 0.99 * x + 0.02);
                let expected = LANES as f64 * (0..kernels.chains).map(chain).sum::<f64>();
                let error = (f64::from(found) - expected).abs();
                assert!(error <= 1e-4 * expected.abs(), "{isa:?} {rounds}: {found} {expected}");
            }
            assert_eq!(isa.multiply_add(3).unwrap(), 3 * 2 * (LANES * kernels.chains) as u64);
        }
        for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_supported()) {
            assert_eq!(isa.multiply_add(1).unwrap_err().kind(), crate::ErrorKind::Unsupported);
        }
    }
}

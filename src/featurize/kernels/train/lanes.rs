//! Loops over long rows, compiled for the processor's vectors. The sums have sixteen partial sums
//! whatever the vectors' length, so that every instruction set gives the same bits.

use super::super::simd::Isa;
use crate::featurize::network::Activation;

/// Elements summed in f32 before they go into an f64.
const RUN: usize = 2048;
const LANES: usize = 16;

/// Compiles a function for every instruction set and calls the best one.
macro_rules! vectorized {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn plain($($arg: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($arg: $type),*) $(-> $out)? { plain($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            #[allow(clippy::too_many_arguments)]
            fn avx512($($arg: $type),*) $(-> $out)? { plain($($arg),*) }
            match Isa::best() {
                // SAFETY: `Isa::best` asked the processor for these instructions.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => plain($($arg),*),
            }
        }
    };
}
pub(super) use vectorized;

/// Sums of `f` over the row in sixteen lanes.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for l in 0..LANES {
            lanes[l] += f(chunk[l]);
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane += f(v);
    }
    lanes.iter().sum()
}

vectorized! {
    /// Mean and biased variance; runs are merged as in Chan, Golub & LeVeque 1979.
    pub(super) fn moments(row: &[f32]) -> (f64, f64) {
        let (mut count, mut mean, mut square) = (0.0f64, 0.0f64, 0.0f64);
        for run in row.chunks(RUN) {
            let n = run.len() as f64;
            let centre = sum(run, |v| v) / run.len() as f32;
            let (off, spread) = (sum(run, |v| v - centre), sum(run, |v| (v - centre) * (v - centre)));
            let centre = f64::from(centre) + f64::from(off) / n;
            let spread = f64::from(spread) - f64::from(off) * f64::from(off) / n;
            let delta = centre - mean;
            mean += delta * n / (count + n);
            square += spread + delta * delta * count * n / (count + n);
            count += n;
        }
        (mean, square.max(0.0) / count.max(1.0))
    }
}

#[inline(always)]
fn apply(x: f32, activation: Activation) -> f32 {
    match activation {
        Activation::None => x,
        Activation::Relu => {
            if x > 0.0 {
                x
            } else {
                0.0
            }
        }
        Activation::Relu6 => {
            let x = if x > 0.0 { x } else { 0.0 };
            if x < 6.0 { x } else { 6.0 }
        }
    }
}

/// Whether the activation's slope is 1 there.
#[inline(always)]
fn slope(x: f32, activation: Activation) -> bool {
    match activation {
        Activation::None => true,
        Activation::Relu => x > 0.0,
        Activation::Relu6 => (x > 0.0) & (x < 6.0),
    }
}

/// One body for each activation, so that loops have no branch.
macro_rules! for_each_activation {
    ($activation:expr, |$a:ident| $body:expr) => {
        match $activation {
            Activation::None => {
                const $a: Activation = Activation::None;
                $body
            }
            Activation::Relu => {
                const $a: Activation = Activation::Relu;
                $body
            }
            Activation::Relu6 => {
                const $a: Activation = Activation::Relu6;
                $body
            }
        }
    };
}

vectorized! {
    /// `activation(x · scale + shift)`.
    pub(super) fn scale(x: &[f32], out: &mut [f32], scale: f32, shift: f32, activation: Activation) {
        for_each_activation!(activation, |A| {
            out.iter_mut().zip(x).for_each(|(y, &x)| *y = apply(x * scale + shift, A));
        });
    }
}

vectorized! {
    /// Σ g and Σ g·(x − mean) over the places where the activation's slope is 1.
    pub(super) fn slopes(x: &[f32], g: &[f32], scale: f32, shift: f32, mean: f32, activation: Activation) -> (f64, f64) {
        let (mut sum, mut product) = (0.0f64, 0.0f64);
        for_each_activation!(activation, |A| {
            for (x, g) in x.chunks(RUN).zip(g.chunks(RUN)) {
                let (mut a, mut b) = ([0.0f32; LANES], [0.0f32; LANES]);
                let (xs, gs) = (x.chunks_exact(LANES), g.chunks_exact(LANES));
                let (rest_x, rest_g) = (xs.remainder(), gs.remainder());
                for (x, g) in xs.zip(gs) {
                    for l in 0..LANES {
                        let g = if slope(x[l] * scale + shift, A) { g[l] } else { 0.0 };
                        a[l] += g;
                        b[l] += g * (x[l] - mean);
                    }
                }
                for (l, (&x, &g)) in rest_x.iter().zip(rest_g).enumerate() {
                    let g = if slope(x * scale + shift, A) { g } else { 0.0 };
                    a[l] += g;
                    b[l] += g * (x - mean);
                }
                sum += f64::from(a.iter().sum::<f32>());
                product += f64::from(b.iter().sum::<f32>());
            }
        });
        (sum, product)
    }
}

vectorized! {
    /// `g ← scale · g·slope + x · by_x + constant`: BatchNorm's gradient in its input.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn unscale(x: &[f32], g: &mut [f32], scale: f32, shift: f32, by_x: f32, constant: f32, activation: Activation) {
        for_each_activation!(activation, |A| {
            g.iter_mut().zip(x).for_each(|(g, &x)| {
                let through = if slope(x * scale + shift, A) { *g } else { 0.0 };
                *g = scale * through + x * by_x + constant;
            });
        });
    }
}

//! Sixteen f32 lanes, whatever the processor's registers are.
//!
//! Every kernel is written once over [`Simd`]; an instruction set is a type implementing it. A value
//! of such a type proves that the processor supports the set, so its arithmetic is safe to call.

#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use plain::Plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm::Simd128;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Lanes of a vector: channels that activations are blocked by.
pub(super) const LANES: usize = 16;

/// Sixteen f32 lanes.
///
/// # Safety
/// Implementations may execute their instruction set's instructions in every method, so a value may
/// only be constructed where the processor supports them.
pub(super) unsafe trait Simd: Copy {
    /// Sixteen lanes.
    type V: Copy;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// `a · b + c`, fused where the set has it.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger of each lane; `x` where it is NaN.
    fn max(self, bound: f32, x: Self::V) -> Self::V;
    /// The smaller of each lane; `x` where it is NaN.
    fn min(self, bound: f32, x: Self::V) -> Self::V;
    /// The larger of each lane; `b` where either is NaN.
    fn max_v(self, a: Self::V, b: Self::V) -> Self::V;

    /// Sixteen floats from `p`.
    ///
    /// # Safety
    /// `p` is valid for reading 16 floats.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Sixteen floats to `p`.
    ///
    /// # Safety
    /// `p` is valid for writing 16 floats.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Sixteen pairs of bfloat16 from `p`, the first of each and the second of each.
    ///
    /// # Safety
    /// `p` is valid for reading 16 words.
    unsafe fn load_bf16(self, p: *const u32) -> [Self::V; 2];
    /// The same to `p`, of values that are bfloat16.
    ///
    /// # Safety
    /// `p` is valid for writing 16 words.
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u32, pairs: [Self::V; 2]) {
        let [low, high] = pairs.map(|v| {
            let mut lanes = [0.0f32; LANES];
            // SAFETY: an array of 16 floats is written.
            unsafe { self.store(lanes.as_mut_ptr(), v) }
            lanes.map(f32::to_bits)
        });
        let words: [u32; LANES] = core::array::from_fn(|i| low[i] >> 16 | high[i] & 0xffff_0000);
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[u32; LANES]>().write_unaligned(words) }
    }
    /// The largest lane; any of them where one is NaN.
    #[inline(always)]
    fn largest(self, v: Self::V) -> f32 {
        // By halves: sixteen in a row would wait for each other.
        self.halve(v, |a, b| if a > b { a } else { b })
    }
    /// The lanes' sum.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        self.halve(v, |a, b| a + b)
    }
    /// Joins lanes `i` and `i + 8`, then `i` and `i + 4`, and so on.
    #[inline(always)]
    fn halve(self, v: Self::V, join: impl Fn(f32, f32) -> f32) -> f32 {
        let mut lanes = [0.0; LANES];
        // SAFETY: an array of 16 floats is written.
        unsafe { self.store(lanes.as_mut_ptr(), v) }
        let mut half = LANES / 2;
        while half > 0 {
            let (low, high) = lanes.split_at_mut(half);
            low.iter_mut().zip(high).for_each(|(low, high)| *low = join(*low, *high));
            half /= 2;
        }
        lanes[0]
    }
    /// Brings the cache line at `p` into the second-level cache; any address is allowed.
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        let _ = p;
    }
}

/// An instruction set the kernels are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Portable Rust, vectorised by the compiler for the build's target.
    Plain,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512F, AVX2 and FMA.
    Avx512,
    /// AArch64 Advanced SIMD.
    Neon,
    /// WebAssembly's 128-bit SIMD.
    Simd128,
}

impl Isa {
    /// Whether its kernels can bring data nearer before they need it.
    pub(super) const fn prefetches(self) -> bool {
        matches!(self, Self::Avx2 | Self::Avx512)
    }

    /// Whether registers hold 32 vectors of 16 lanes.
    pub(super) const fn has_32_vectors(self) -> bool {
        matches!(self, Self::Avx512)
    }

    /// Every instruction set, slowest first.
    pub const ALL: [Self; 5] = [Self::Plain, Self::Simd128, Self::Neon, Self::Avx2, Self::Avx512];

    /// The fastest instruction set this processor supports.
    ///
    /// With feature `std` the processor is asked; without it the build's target features decide.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_supported()).unwrap_or(Self::Plain)
    }

    /// Whether this processor (without feature `std`: this build) has the instruction set.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Plain => true,
            Self::Simd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
            Self::Neon => cfg!(all(target_arch = "aarch64", target_feature = "neon")),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Self::Avx2 => std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma"),
            // The compiler takes it to bring the others along; a virtual machine may show it without them.
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            Self::Avx512 => Self::Avx2.is_supported() && std::is_x86_feature_detected!("avx512f"),
            #[cfg(not(all(target_arch = "x86_64", feature = "std")))]
            Self::Avx2 => {
                cfg!(all(target_arch = "x86_64", target_feature = "avx2", target_feature = "fma"))
            }
            #[cfg(not(all(target_arch = "x86_64", feature = "std")))]
            Self::Avx512 => Self::Avx2.is_supported() && cfg!(target_feature = "avx512f"),
        }
    }

    /// Its usual name: `plain`, `simd128`, `neon`, `avx2`, `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Simd128 => "simd128",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

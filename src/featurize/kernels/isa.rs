//! The kernels of each instruction set, behind function pointers.

use super::simd::Isa;
use super::{depthwise, gemm, peak, pool, simd, winograd};

/// Everything that is compiled once per instruction set.
pub(super) struct Kernels {
    pub(super) isa: Isa,
    /// Pixels in the largest GEMM tile.
    pub(super) mr: usize,
    /// Output channel blocks in the widest GEMM tile.
    pub(super) nb: usize,
    /// GEMM tiles on blocked input, at `(blocks − 1) · mr + pixels − 1`.
    pub(super) blocked: &'static [gemm::TileFn],
    /// The same that bring pixels nearer on the way, where the instruction set can.
    pub(super) distant: &'static [gemm::TileFn],
    /// The same for pixels that lie apart.
    pub(super) apart: &'static [gemm::TileFn],
    /// GEMM tiles on planar input, likewise.
    pub(super) planar: &'static [gemm::TileFn],
    /// Depthwise rows: 3 × 3 stride 1, 3 × 3 stride 2, any.
    pub(super) depthwise: [depthwise::RowFn; 3],
    /// Max pooling of `f32` and of bfloat16.
    pub(super) max_pool: [pool::RowFn; 2],
    /// At [`winograd::kernel`].
    pub(super) winograd_input: [winograd::InputFn; 10],
    pub(super) winograd_output: [winograd::OutputFn; 10],
    /// Where the instruction set has registers for it.
    pub(super) winograd_few: Option<winograd::few::FewFn>,
    /// Multiply-adds on registers, in so many chains of 16 lanes.
    pub(super) peak: peak::LoopFn,
    pub(super) chains: usize,
}

/// The kernels of `isa`; `None` if the processor or the build lacks it.
pub(super) fn kernels(isa: Isa) -> Option<&'static Kernels> {
    if !isa.is_supported() {
        return None;
    }
    match isa {
        Isa::Plain => Some(&plain::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some(&avx2::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Some(&avx512::KERNELS),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Some(&neon::KERNELS),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Isa::Simd128 => Some(&wasm::KERNELS),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

/// A module with [`Kernels`] whose functions are compiled with `$feature`; `$token`, evaluated inside
/// them, proves it.
macro_rules! kernels {
    ($module:ident, $isa:expr, [$($mr:literal)+], [$($nb:literal)+], $chains:literal, $token:expr $(, $feature:literal)?) => {
        mod $module {
            use super::{Isa, Kernels, depthwise, gemm, peak, pool, simd, winograd};

            $(#[target_feature(enable = $feature)])?
            unsafe fn tile<const MR: usize, const NB: usize, const PIXELS: u8>(t: &gemm::Tile) {
                // SAFETY: reached through `kernels()` only, which checks the instruction set; the
                // caller vouches for the pointers.
                unsafe { gemm::tile::<_, MR, NB, PIXELS>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn depthwise<const K: usize, const STRIDE: usize>(r: &depthwise::Row) {
                // SAFETY: as for `tile`.
                unsafe { depthwise::row::<_, K, STRIDE>($token, r) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn depthwise_any(r: &depthwise::Row) {
                // SAFETY: as for `tile`.
                unsafe { depthwise::row_any($token, r) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn max_pool<const HALVES: bool>(r: &pool::Row) {
                // SAFETY: as for `tile`.
                unsafe { pool::row::<_, HALVES>($token, r) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn winograd_input<const ROWS: usize, const COLUMNS: usize>(t: &winograd::Input) {
                // SAFETY: as for `tile`.
                unsafe { winograd::input::<_, ROWS, COLUMNS>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn winograd_output<const ROWS: usize, const COLUMNS: usize>(t: &winograd::Output) {
                // SAFETY: as for `tile`.
                unsafe { winograd::output::<_, ROWS, COLUMNS>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn winograd_few(f: &winograd::few::Few<'_>) {
                // SAFETY: as for `tile`.
                unsafe { winograd::few::few($token, f) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn peak(rounds: u64, factor: f32, summand: f32) -> f32 {
                // SAFETY: as for `tile`.
                unsafe { peak::chains::<_, $chains>($token, rounds, factor, summand) }
            }

            const MR: usize = [$($mr),+].len();
            const NB: usize = [$($nb),+].len();
            const _: () = assert!(MR <= gemm::MOST);
            kernels!(@table BLOCKED, [$($mr)+], [$($nb)+]);
            kernels!(@table DISTANT, [$($mr)+], [$($nb)+]);
            kernels!(@table APART, [$($mr)+], [$($nb)+]);
            kernels!(@table PLANAR, [$($mr)+], [$($nb)+]);

            pub(super) static KERNELS: Kernels = Kernels {
                isa: $isa,
                mr: MR,
                nb: NB,
                blocked: BLOCKED.as_flattened(),
                distant: if $isa.prefetches() { DISTANT.as_flattened() } else { BLOCKED.as_flattened() },
                apart: APART.as_flattened(),
                planar: PLANAR.as_flattened(),
                depthwise: [depthwise::<3, 1>, depthwise::<3, 2>, depthwise_any],
                max_pool: [max_pool::<false>, max_pool::<true>],
                winograd_input: kernels!(@lines winograd_input),
                winograd_output: kernels!(@lines winograd_output),
                winograd_few: if $isa.has_32_vectors() { Some(winograd_few) } else { None },
                peak,
                chains: $chains,
            };
        }
    };
    (@table $name:ident, $mr:tt, [$($nb:literal)+]) => {
        static $name: [[gemm::TileFn; MR]; NB] = [$(kernels!(@row $name, $nb, $mr)),+];
    };
    (@lines $f:ident) => {
        [
            $f::<0, 0>, $f::<1, 1>, $f::<1, 2>, $f::<1, 3>, $f::<2, 1>, $f::<2, 2>, $f::<2, 3>, $f::<3, 1>, $f::<3, 2>,
            $f::<3, 3>,
        ]
    };
    (@row $name:ident, $nb:literal, [$($mr:literal)+]) => {
        [$(tile::<$mr, $nb, { gemm::$name }>),+]
    };
}

// Chains: latency times units, as far as the registers go.
kernels!(plain, Isa::Plain, [1 2 3 4], [1], 3, simd::Plain);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Isa::Avx2, [1 2 3 4 5 6], [1], 5, simd::Avx2::new(), "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512, Isa::Avx512, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [1 2], 12, simd::Avx512::new(), "avx512f");
#[cfg(target_arch = "aarch64")]
kernels!(neon, Isa::Neon, [1 2 3 4 5 6], [1], 6, simd::Neon::new(), "neon");
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernels!(wasm, Isa::Simd128, [1 2], [1], 3, simd::Simd128);

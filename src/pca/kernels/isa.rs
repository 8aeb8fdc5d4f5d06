//! The loops of each instruction set, behind function pointers.

use super::{blocks, chase, gram, panels, reflect, sturm, sweep};
use crate::featurize::kernels::{Isa, Plain};

/// Everything that is compiled once per instruction set.
pub(in super::super) struct Kernels {
    /// Rows and columns of a product's tile in registers.
    pub(super) tile: [usize; 2],
    /// Columns of the left and of the right operand's panels: a tile's rows, and its columns or a multiple.
    pub(super) widths: [usize; 2],
    /// Tiles of 1, 2 and more registers' rows, as far as a tile is high.
    pub(super) product: &'static [unsafe fn(&gram::Tile)],
    pub(super) centre: unsafe fn(&panels::Centre),
    /// Sums, additions.
    pub(super) sweeps: [unsafe fn(&mut sweep::Sweep); 2],
    pub(super) tall: unsafe fn(&blocks::Tall),
    pub(super) across: unsafe fn(&blocks::Across),
    pub(super) pass: unsafe fn(&mut reflect::Rows),
    pub(super) turn: unsafe fn(&reflect::Turn),
    pub(super) chase: unsafe fn(&mut chase::Step),
    pub(super) count: unsafe fn(&mut sturm::Counts),
}

impl Kernels {
    /// Values of a register.
    pub(super) const fn lanes(&self) -> usize {
        self.tile[0] / self.product.len()
    }
}

/// The kernels of the fastest instruction set this processor supports.
pub(in super::super) fn best() -> &'static Kernels {
    let supported = Isa::ALL.into_iter().rev().find_map(kernels);
    supported.unwrap_or(&plain::KERNELS)
}

/// The kernels of `isa`; `None` if the processor or the build lacks it.
pub(in super::super) fn kernels(isa: Isa) -> Option<&'static Kernels> {
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
/// them, proves it. A tile is up to so many (`$mv`) registers by `$nr` columns, out of panels of `$right`.
macro_rules! kernels {
    ($module:ident, $token:expr, $set:ty, [$($mv:literal)+], $nr:literal, $right:literal $(, $feature:literal)?) => {
        mod $module {
            use super::*;
            use super::super::simd::Doubles;

            const MV: usize = [$($mv),+].len();
            const ROWS: usize = MV * <$set as Doubles>::LANES;
            /// Registers of a row of panels.
            const ROW: usize = panels::WIDTH / <$set as Doubles>::LANES;

            $(#[target_feature(enable = $feature)])?
            unsafe fn product<const MV: usize>(t: &gram::Tile) {
                // SAFETY: reached through `kernels()` only, which checks the instruction set; the
                // caller vouches for the pointers.
                unsafe { gram::tile::<_, MV, $nr, ROWS, $right>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn centre(c: &panels::Centre) {
                // SAFETY: as for `product`.
                unsafe { panels::centre::<_, ROWS, $right>($token, c) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn sweep<const SUM: bool>(s: &mut sweep::Sweep) {
                // SAFETY: as for `product`.
                unsafe { sweep::sweep::<_, SUM>($token, s) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn tall(t: &blocks::Tall) {
                // SAFETY: as for `product`.
                unsafe { blocks::tall::<_, MV, $nr>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn across(t: &blocks::Across) {
                // SAFETY: as for `product`.
                unsafe { blocks::across::<_, MV, $nr>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn pass(t: &mut reflect::Rows) {
                // SAFETY: as for `product`.
                unsafe { reflect::pass::<_, ROW>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn turn(t: &reflect::Turn) {
                // SAFETY: as for `product`.
                unsafe { reflect::turn::<_, ROW>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn chase(t: &mut chase::Step) {
                // SAFETY: as for `product`.
                unsafe { chase::chase::<_, ROW>($token, t) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn count(t: &mut sturm::Counts) {
                sturm::count(t)
            }

            pub(super) static KERNELS: Kernels = Kernels {
                tile: [ROWS, $nr],
                widths: [ROWS, $right],
                product: &[$(product::<$mv>),+],
                centre,
                sweeps: [sweep::<true>, sweep::<false>],
                tall,
                across,
                pass,
                turn,
                chase,
                count,
            };
        }
    };
}

kernels!(plain, Plain, Plain, [1], 4, 4);
#[cfg(target_arch = "x86_64")]
use crate::featurize::kernels::{Avx2, Avx512};
#[cfg(target_arch = "x86_64")]
// 3 × 4 registers of a tile, 3 and 1 of its operands are all sixteen: compilers then spill a sum, and the
// FMAs wait for it to come back from memory.
kernels!(avx2, Avx2::new(), Avx2, [1 2], 6, 6, "avx2,fma");
#[cfg(target_arch = "x86_64")]
// Eight columns of a row are a whole cache line of it: one operand serves as both.
kernels!(avx512, Avx512::new(), Avx512, [1 2 3], 8, 24, "avx512f");
#[cfg(target_arch = "aarch64")]
use crate::featurize::kernels::Neon;
#[cfg(target_arch = "aarch64")]
kernels!(neon, Neon::new(), Neon, [1 2 3 4], 6, 6, "neon");
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::featurize::kernels::Simd128;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernels!(wasm, Simd128, Simd128, [1 2], 4, 4);

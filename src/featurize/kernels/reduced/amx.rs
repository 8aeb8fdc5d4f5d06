//! Intel AMX: tiles in registers of 1 KB. "Intel 64 and IA-32 Architectures Software Developer's Manual",
//! volume 1, chapter 18.

use super::super::simd::LANES;
use super::access::{Amx, Shown};
use super::dot::Tile;
use super::tiles::{self, Tiles};
use super::x86::{Bf16Dot, Vnni};
use core::arch::{asm, x86_64::*};
use core::sync::atomic::{AtomicU8, Ordering};

/// What `ldtilecfg` reads: every tile is 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIG: Config = Config {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Makes the tiles ready on this thread.
///
/// # Safety
/// [`permitted`] has said so.
pub(super) unsafe fn begin() {
    // SAFETY: the instruction exists and is permitted; it reads 64 bytes of a valid configuration.
    // The compiler itself uses no tiles.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIG, options(nostack, readonly, preserves_flags)) }
}

/// Lets the system save 8 KB less when it switches threads.
///
/// # Safety
/// As [`begin`].
pub(super) unsafe fn end() {
    // SAFETY: the instruction exists and is permitted.
    unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
}

macro_rules! unit {
    ($unit:ident, $instruction:literal, $tile:ident, $dot:ty, $features:literal, $load:expr) => {
        /// The processor's tiles.
        struct $unit(());

        // SAFETY: the type is private; it is made between `begin` and `end` only.
        unsafe impl Tiles for $unit {
            #[inline(always)]
            fn prefetch(&self, p: *const u32) {
                // SAFETY: a prefetch never faults; SSE is part of x86-64.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
            }
            #[inline(always)]
            fn zero<const T: usize>(&mut self) {
                // SAFETY: the instruction is permitted. The compiler itself uses no tiles.
                unsafe { asm!("tilezero tmm{t}", t = const T, options(nostack, nomem, preserves_flags)) }
            }
            #[inline(always)]
            unsafe fn load<const T: usize>(&mut self, p: *const u32, stride: usize) {
                // SAFETY: the instruction is permitted, the memory the caller's.
                unsafe {
                    asm!("tileloadd tmm{t}, [{p} + {stride}]", t = const T, p = in(reg) p,
                        stride = in(reg) stride, options(nostack, readonly, preserves_flags));
                }
            }
            #[inline(always)]
            unsafe fn store<const T: usize>(&mut self, p: *mut u32) {
                // SAFETY: the instruction is permitted, the memory the caller's.
                unsafe {
                    asm!("tilestored [{p} + {stride}], tmm{t}", t = const T, p = in(reg) p,
                        stride = in(reg) 4 * LANES, options(nostack, preserves_flags));
                }
            }
            #[inline(always)]
            fn multiply<const C: usize, const A: usize, const B: usize>(&mut self) {
                // SAFETY: the instruction is permitted.
                unsafe {
                    asm!(concat!($instruction, " tmm{c}, tmm{a}, tmm{b}"), c = const C, a = const A,
                        b = const B, options(nostack, nomem, preserves_flags));
                }
            }
        }

        /// [`tile`](tiles::tile) on the processor's tiles.
        ///
        /// # Safety
        /// As there; between [`begin`] and [`end`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $tile(t: &Tile) {
            // SAFETY: the caller's promise. Finishing needs no more than these features of the type.
            unsafe { tiles::tile(&mut $unit(()), <$dot>::new(), t, $load) }
        }
    };
}

unit!(Bf16, "tdpbf16ps", tile_bf16, Bf16Dot, "avx512f,avx512bf16", |p| _mm512_load_ps(p.cast()));
// Activations are the unsigned operand, the first.
unit!(Int8, "tdpbusd", tile_int8, Vnni, "avx512f", |p| _mm512_load_si512(p.cast()));

/// Not asked yet, refused, permitted.
static STATE: AtomicU8 = AtomicU8::new(0);

/// What this process may use tiles for: products of bfloat16, of 8 bits.
///
/// The processor must have them, the system must save them, and Linux wants to be asked: tiles make a
/// thread's state 8 KB larger. A container or a virtual machine may hide them.
pub(super) fn permitted() -> (Amx, [bool; 2]) {
    let shown = if cfg!(miri) { Shown::default() } else { shown() };
    shown.decide(|| {
        let state = match STATE.load(Ordering::Relaxed) {
            0 => {
                let state = 1 + u8::from(ask());
                STATE.store(state, Ordering::Relaxed);
                state
            }
            state => state,
        };
        state == 2
    })
}

fn shown() -> Shown {
    let (most, _) = __get_cpuid_max(0);
    if most < 7 {
        return Shown::default();
    }
    let leaf = __cpuid_count(7, 0).edx;
    let has = |bit: u32| leaf >> bit & 1 == 1;
    let lanes = std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512bw");
    // AVX512_BF16 converts what tiles multiply; no processor has them without it.
    let converts = std::is_x86_feature_detected!("avx512bf16");
    Shown { tiles: has(24), saved: lanes && saves(), products: [has(22) && converts, has(25)] }
}

/// Whether the system saves tiles and their configuration when it switches threads.
fn saves() -> bool {
    // OSXSAVE: the instruction below exists.
    if __cpuid(1).ecx >> 27 & 1 == 0 {
        return false;
    }
    let low: u32;
    // SAFETY: OSXSAVE says that the instruction exists.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nostack, nomem, preserves_flags))
    }
    low >> 17 & 3 == 3
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`: for all threads of the process.
fn ask() -> bool {
    const ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let refused: usize;
    // SAFETY: the call takes two numbers and touches no memory of ours; an older kernel refuses.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => refused,
            in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    refused == 0
}

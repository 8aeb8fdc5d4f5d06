//! Which instructions compute a reduced precision.

use super::super::Precision;
use super::super::simd::{self, Isa};
use super::dot::{self, Tile};
use super::rows::{self, Form, Level, Rows};

/// One way to compute products in a reduced precision; compiled once per instruction set.
pub(in super::super) struct Engine {
    pub(in super::super) name: &'static str,
    pub(in super::super) form: Form,
    /// Words of activations a step takes.
    pub(in super::super) words: usize,
    /// Channels of weights in a word.
    pub(in super::super) weights: usize,
    /// Whether the last group of channels is filled up with zeros.
    pub(in super::super) whole: bool,
    /// Pixels in the largest tile; as many may be read beyond the last.
    pub(in super::super) mr: usize,
    /// Output channel blocks in the widest tile.
    pub(in super::super) nb: usize,
    pub(super) tile: unsafe fn(&Tile),
    pub(super) pack: unsafe fn(&Rows),
    /// The level of each pixel.
    pub(super) measure: unsafe fn(&Rows),
    /// The level of all pixels.
    pub(super) range: unsafe fn(&Rows) -> Level,
    /// Where the first convolution is computed so too, and values lie in bfloat16 between layers: what rounds and
    /// interleaves a row of a picture.
    pub(in super::super) end_to_end: Option<InterleaveFn>,
    /// Before and after tiles on a thread.
    pub(super) around: Option<[unsafe fn(); 2]>,
}

/// Rounds and interleaves a row: its first value, floats between planes, channels, where to.
pub(in super::super) type InterleaveFn = unsafe fn(*const f32, usize, usize, &mut [u16]);

impl Engine {
    pub(in super::super) fn precision(&self) -> Precision {
        if self.form.is_integer() { Precision::Int8 } else { Precision::Bf16 }
    }
}

/// The fastest way an instruction set has, if this processor supports it; `None` in full precision.
pub(in super::super) fn choose(isa: Isa, precision: Precision, amx: bool) -> Option<&'static Engine> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "std"))]
    let tiles = if amx && !precision.is_full() { super::amx::permitted().1 } else { [false; 2] };
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", feature = "std")))]
    let tiles = {
        let _ = amx;
        [false; 2]
    };
    choose_of(isa, precision, tiles)
}

/// The same where AMX's products of bfloat16 and of 8 bits may be used or not.
pub(super) fn choose_of(isa: Isa, precision: Precision, tiles: [bool; 2]) -> Option<&'static Engine> {
    let halves = match precision {
        Precision::F32 | Precision::F16 => return None,
        Precision::Bf16 => true,
        Precision::Int8 => false,
    };
    let pick = |bf16, int8| Some(if halves { bf16 } else { int8 });
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux", feature = "std")))]
    let _ = tiles;
    match isa {
        Isa::Plain => pick(&plain_bf16::ENGINE, &plain_int8::ENGINE),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => pick(&neon_bf16::ENGINE, &neon_int8::ENGINE),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Isa::Simd128 => pick(&wasm_bf16::ENGINE, &wasm_int8::ENGINE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => pick(&avx2_bf16::ENGINE, &avx2_int8::ENGINE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            #[cfg(all(target_os = "linux", feature = "std"))]
            match (halves, tiles) {
                (true, [true, _]) => return Some(&amx_bf16::ENGINE),
                (false, [_, true]) => return Some(&amx_int8::ENGINE),
                _ => {}
            }
            // The compiler takes AVX512_BF16 to bring AVX-512BW along.
            let words = has!("avx512bw");
            let has = [words && has!("avx512bf16"), has!("avx512vnni"), words];
            Some(match (halves, has) {
                (true, [true, ..]) if super::x86::pairs_are_faster() => &avx512_dot_bf16::ENGINE,
                (true, _) => &avx512_bf16::ENGINE,
                (false, [_, true, _]) => &avx512_vnni_int8::ENGINE,
                (false, [.., true]) => &avx512_int8::ENGINE,
                // `Isa::is_supported` asks for both.
                (false, _) => &avx2_int8::ENGINE,
            })
        }
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

/// Whether the processor (without feature `std`: the build) has a feature.
#[cfg(target_arch = "x86_64")]
macro_rules! has {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        let has = std::is_x86_feature_detected!($feature);
        #[cfg(not(feature = "std"))]
        let has = cfg!(target_feature = $feature);
        has
    }};
}
#[cfg(target_arch = "x86_64")]
use has;

/// For tests: every way this processor can compute, chosen or not, and with plain Rust models of what it may
/// lack.
#[cfg(test)]
pub(in super::super) fn all(isa: Isa, precision: Precision) -> alloc::vec::Vec<&'static Engine> {
    let halves = precision == Precision::Bf16;
    match isa {
        Isa::Plain if halves => alloc::vec![&model_words_bf16::ENGINE, &model_tiles_bf16::ENGINE],
        Isa::Plain => alloc::vec![&model_words_int8::ENGINE, &model_tiles_int8::ENGINE],
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            let words = has!("avx512bw");
            let ways: [(bool, &'static Engine); 2] = if halves {
                [(words && has!("avx512bf16"), &avx512_dot_bf16::ENGINE), (true, &avx512_bf16::ENGINE)]
            } else {
                [(has!("avx512vnni"), &avx512_vnni_int8::ENGINE), (words, &avx512_int8::ENGINE)]
            };
            ways.into_iter().filter_map(|(has, engine)| has.then_some(engine)).collect()
        }
        _ => alloc::vec![],
    }
}

/// A module with an [`Engine`] whose functions are compiled with `$feature`; `$simd` and `$dot`,
/// evaluated inside them, prove it.
macro_rules! engine {
    (@pack $form:ident, [$($feature:literal)?]) => {
        $(#[target_feature(enable = $feature)])?
        unsafe fn pack(r: &Rows) {
            // SAFETY: the caller vouches for the pointers.
            unsafe { rows::pack(Form::$form, r) }
        }
        const PACK: unsafe fn(&Rows) = pack;
    };
    (@pack $form:ident, [$($feature:literal)?], $own:path) => {
        const PACK: unsafe fn(&Rows) = $own;
    };
    (@rows $simd:expr $(, $feature:literal)?) => {
        $(#[target_feature(enable = $feature)])?
        unsafe fn measure(r: &Rows) {
            // SAFETY: reached through `choose` only, which checks the instruction set; the caller vouches
            // for the pointers.
            unsafe { rows::measure($simd, r) }
        }
        $(#[target_feature(enable = $feature)])?
        unsafe fn range(r: &Rows) -> Level {
            // SAFETY: as for `measure`.
            unsafe { rows::range($simd, r) }
        }
    };
    ($module:ident, $name:literal, $form:ident, $words:literal, $weights:literal, [$($mr:literal)+],
     [$($nb:literal)+], $simd:expr, $dot:expr $(, $feature:literal $(, $pack:path)?)?) => {
        mod $module {
            use super::{Engine, Form, Level, Rows, Tile, dot, rows, simd};

            type TileFn = unsafe fn(&Tile);
            const MR: usize = [$($mr),+].len();
            const NB: usize = [$($nb),+].len();

            $(#[target_feature(enable = $feature)])?
            unsafe fn exact<const M: usize, const N: usize>(t: &Tile) {
                // SAFETY: reached through `choose` only, which checks the instruction set; the caller
                // vouches for the pointers.
                unsafe { dot::tile::<_, M, N>($dot, t) }
            }
            engine!(@table [$($mr)+], [$($nb)+]);
            unsafe fn tile(t: &Tile) {
                // SAFETY: as for `exact`.
                unsafe { TILES[t.blocks - 1][t.pixels - 1](t) }
            }
            engine!(@rows $simd $(, $feature)?);
            engine!(@pack $form, [$($feature)?] $($(, $pack)?)?);

            pub(super) static ENGINE: Engine = Engine {
                name: $name,
                form: Form::$form,
                words: $words,
                weights: $weights,
                whole: false,
                mr: MR,
                nb: NB,
                tile,
                pack: PACK,
                measure,
                range,
                end_to_end: None,
                around: None,
            };
        }
    };
    (@table $mr:tt, [$($nb:literal)+]) => {
        static TILES: [[TileFn; MR]; NB] = [$(engine!(@row $nb, $mr)),+];
    };
    (@row $nb:literal, [$($mr:literal)+]) => { [$(exact::<$mr, $nb>),+] };
    (@tiles $module:ident, $name:literal, $form:ident, $weights:literal, $tile:path, $interleave:expr, $around:expr,
     $simd:expr $(, $feature:literal $(, $pack:path)?)?) => {
        mod $module {
            use super::super::tiles;
            use super::{Engine, Form, Level, Rows, rows, simd};

            engine!(@rows $simd $(, $feature)?);
            engine!(@pack $form, [$($feature)?] $($(, $pack)?)?);

            pub(super) static ENGINE: Engine = Engine {
                name: $name,
                form: Form::$form,
                words: 1,
                weights: $weights,
                whole: true,
                mr: tiles::PIXELS,
                nb: 2,
                tile: $tile,
                pack: PACK,
                measure,
                range,
                end_to_end: $interleave,
                around: $around,
            };
        }
    };
}

engine!(plain_bf16, "bf16 on plain f32", Rounded, 2, 2, [1 2 3 4], [1],
    simd::Plain, super::super::portable::Halves(simd::Plain));
engine!(plain_int8, "int8 on plain integers", I16, 1, 2, [1 2 3 4], [1],
    simd::Plain, super::super::portable::Pairs(simd::Plain));
#[cfg(target_arch = "aarch64")]
engine!(neon_bf16, "bf16 on NEON f32", Rounded, 2, 2, [1 2 3 4 5 6], [1],
    simd::Neon::new(), super::super::portable::Halves(simd::Neon::new()), "neon");
#[cfg(target_arch = "aarch64")]
engine!(neon_int8, "int8 on NEON integers", I16, 1, 2, [1 2 3 4], [1],
    simd::Neon::new(), super::super::portable::Pairs(simd::Neon::new()), "neon");
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
engine!(wasm_bf16, "bf16 on SIMD128 f32", Rounded, 2, 2, [1 2], [1],
    simd::Simd128, super::super::portable::Halves(simd::Simd128));
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
engine!(wasm_int8, "int8 on SIMD128 integers", I16, 1, 2, [1 2], [1],
    simd::Simd128, super::super::portable::Pairs(simd::Simd128));
#[cfg(target_arch = "x86_64")]
engine!(avx2_bf16, "bf16 on AVX2 f32", Rounded, 2, 2, [1 2 3 4 5 6], [1],
    simd::Avx2::new(), super::super::portable::Halves(simd::Avx2::new()), "avx2,fma");
#[cfg(target_arch = "x86_64")]
engine!(avx2_int8, "int8 on AVX2 vpmaddwd", I16, 1, 2, [1 2 3 4 5 6], [1],
    simd::Avx2::new(), super::super::x86::Pairs256::new(), "avx2,fma");
#[cfg(target_arch = "x86_64")]
engine!(avx512_bf16, "bf16 on AVX-512 f32", Rounded, 2, 2, [1 2 3 4 5 6 7 8 9 10 11 12], [1 2],
    simd::Avx512::new(), super::super::portable::Halves(simd::Avx512::new()), "avx512f");
#[cfg(target_arch = "x86_64")]
engine!(avx512_dot_bf16, "bf16 on AVX512_BF16", Bf16, 1, 2, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [1 2],
    simd::Avx512::new(), super::super::x86::Bf16Dot::new(), "avx512f,avx512bf16", super::super::x86::pack_bf16);
#[cfg(target_arch = "x86_64")]
engine!(avx512_int8, "int8 on AVX-512 vpmaddwd", I16, 1, 2, [1 2 3 4 5 6 7 8 9 10 11 12], [1 2],
    simd::Avx512::new(), super::super::x86::Pairs512::new(), "avx512f,avx512bw");
#[cfg(target_arch = "x86_64")]
engine!(avx512_vnni_int8, "int8 on AVX512_VNNI", U8, 1, 4, [1 2 3 4 5 6 7 8 9 10 11 12 13 14], [1 2],
    simd::Avx512::new(), super::super::x86::Vnni::new(), "avx512f,avx512vnni");
#[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "std"))]
engine!(@tiles amx_bf16, "bf16 on AMX", Bf16, 2, super::super::amx::tile_bf16,
    Some(super::super::interleave::interleave_avx512), Some([super::super::amx::begin, super::super::amx::end]), simd::Avx512::new(), "avx512f,avx512bw",
    super::super::x86::pack_bf16);
#[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "std"))]
engine!(@tiles amx_int8, "int8 on AMX", U8, 4, super::super::amx::tile_int8,
    None, Some([super::super::amx::begin, super::super::amx::end]), simd::Avx512::new(), "avx512f,avx512bw");
#[cfg(test)]
engine!(model_words_bf16, "bf16 on modelled words", Bf16, 1, 2, [1 2 3 4 5], [1 2],
    simd::Plain, super::super::model::Halves);
#[cfg(test)]
engine!(model_words_int8, "int8 on modelled words", U8, 1, 4, [1 2 3 4 5], [1 2],
    simd::Plain, super::super::model::Quads);
#[cfg(test)]
engine!(@tiles model_tiles_bf16, "bf16 on modelled tiles", Bf16, 2, super::super::model::tile_bf16,
    Some(super::super::interleave::interleave), None, simd::Plain);
#[cfg(test)]
engine!(@tiles model_tiles_int8, "int8 on modelled tiles", U8, 4, super::super::model::tile_int8, None, None, simd::Plain);

//! Whether this process may use AMX.

/// What there is of AMX for this process, and if it may not be used, who keeps it back.
///
/// Reduced precision computes the same without it (in bfloat16 within its rounding), by AVX-512's products.
///
/// ```
/// use fruitcore::featurize::kernels::Amx;
/// if let Some(note) = Amx::here().note() {
///     println!("{note}");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Amx {
    /// The processor doesn't show it: it has none, or a virtual machine hides it.
    Absent,
    /// The processor shows it, the system doesn't save its registers: an older kernel or a hypervisor.
    Disabled,
    /// Processor and system have it; this process asked for it in vain, as behind a container's filter of
    /// system calls.
    Refused,
    /// It is used.
    Permitted,
}

impl Amx {
    /// Asks processor and system; [`Amx::Absent`] wherever this build has no kernels for it.
    pub fn here() -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux", feature = "std"))]
        return super::amx::permitted().0;
        #[cfg(not(all(target_arch = "x86_64", target_os = "linux", feature = "std")))]
        Self::Absent
    }

    /// For people: why a processor that has it doesn't use it.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::Permitted => None,
            Self::Disabled => Some(
                "this processor has AMX, but the system doesn't offer it (Linux from 5.16 on does, unless a \
                 hypervisor hides a part): computed without",
            ),
            Self::Refused => Some(
                "this processor has AMX, but the system refused it to this process (a container that filters \
                 system calls must allow arch_prctl): computed without",
            ),
        }
    }
}

/// What processor and system show.
#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux", feature = "std")))]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    /// Tiles.
    pub(super) tiles: bool,
    /// That their registers are saved, and the vectors that the kernels use beside them.
    pub(super) saved: bool,
    /// Products of bfloat16, of 8 bits.
    pub(super) products: [bool; 2],
}

#[cfg(any(test, all(target_arch = "x86_64", target_os = "linux", feature = "std")))]
impl Shown {
    /// What may be used of it: products of bfloat16, of 8 bits. Asks for permission only where it would help.
    pub(super) fn decide(self, ask: impl FnOnce() -> bool) -> (Amx, [bool; 2]) {
        let access = match self {
            Self { tiles: false, .. } | Self { products: [false, false], .. } => Amx::Absent,
            Self { saved: false, .. } => Amx::Disabled,
            _ if ask() => Amx::Permitted,
            _ => Amx::Refused,
        };
        (access, if access == Amx::Permitted { self.products } else { [false; 2] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Shown = Shown { tiles: true, saved: true, products: [true; 2] };

    #[test]
    fn tiles_are_used_where_all_agree() {
        assert_eq!(ALL.decide(|| true), (Amx::Permitted, [true; 2]));
        assert_eq!(ALL.decide(|| false), (Amx::Refused, [false; 2]));
        let bytes = Shown { products: [false, true], ..ALL };
        assert_eq!(bytes.decide(|| true), (Amx::Permitted, [false, true]));
        let unasked = || unreachable!("there is nothing to ask for");
        assert_eq!(Shown { saved: false, ..ALL }.decide(unasked), (Amx::Disabled, [false; 2]));
        for shown in [Shown { tiles: false, ..ALL }, Shown { products: [false; 2], ..ALL }, Shown::default()]
        {
            assert_eq!(shown.decide(unasked), (Amx::Absent, [false; 2]));
        }
    }

    #[test]
    fn what_is_kept_back_is_told() {
        assert!(Amx::Refused.note().is_some_and(|note| note.contains("arch_prctl")));
        assert!(Amx::Disabled.note().is_some_and(|note| note.contains("hypervisor")));
        assert_eq!((Amx::Absent.note(), Amx::Permitted.note()), (None, None));
    }

    /// Products go to what there is besides, with the same features as on a processor without tiles.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn refused_tiles_fall_back() {
        use super::super::engine::choose_of;
        use crate::featurize::{Precision, kernels::Isa};
        for precision in [Precision::Bf16, Precision::Int8] {
            let name = |tiles| choose_of(Isa::Avx512, precision, tiles).map(|engine| engine.name);
            let [refused, absent] = [ALL, Shown::default()].map(|shown| name(shown.decide(|| false).1));
            assert!(refused.is_some_and(|name| !name.contains("AMX")), "{refused:?}");
            assert_eq!(refused, absent);
            #[cfg(all(target_os = "linux", feature = "std"))]
            assert!(name(ALL.decide(|| true).1).is_some_and(|name| name.contains("AMX")));
        }
    }
}

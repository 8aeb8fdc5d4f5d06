//! Memory in large pages.
//!
//! A network's weights and a co-moment are read in strides of many pages; with pages of 4 KB the processor
//! looks up an address for every few cache lines, in a virtual machine through two levels of tables. Pages of
//! 2 MB make ResNet50 a quarter faster (`docs/performance/kernels.md`).

use alloc::vec::Vec;

/// From here on large pages are asked for; below, rounding up to them would take more than it gives.
const WORTH: usize = 2 << 20;

/// An empty vector with room for `n` values in large pages.
pub(crate) fn with_capacity<T>(n: usize) -> Vec<T> {
    let mut memory = Vec::with_capacity(n);
    prefer(&mut memory);
    memory
}

/// Asks the system to back `memory`'s unused capacity by large pages as it is first written. Systems that have
/// none, or don't hand them out, go on as before.
pub(crate) fn prefer<T>(memory: &mut Vec<T>) {
    let spare = memory.spare_capacity_mut();
    let bytes = size_of_val(spare);
    if bytes >= WORTH {
        advise(spare.as_mut_ptr().cast(), bytes);
    }
}

#[cfg(all(target_os = "linux", feature = "std", not(miri)))]
fn advise(start: *mut u8, bytes: usize) {
    // A multiple of every page size that Linux has; what lies outside whole ones may be others' memory.
    const PAGE: usize = 1 << 16;
    let before = start.align_offset(PAGE);
    let inside = bytes.saturating_sub(before) / PAGE * PAGE;
    if inside > 0 {
        // SAFETY: the range lies in one allocation of the caller's; this advice changes no contents. That the
        // kernel may refuse it is all it can answer.
        unsafe { libc::madvise(start.wrapping_add(before).cast(), inside, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(all(target_os = "linux", feature = "std", not(miri))))]
fn advise(_: *mut u8, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_the_callers() {
        for bytes in [0, 1, WORTH - 1, WORTH, 3 * WORTH + 7] {
            let mut memory = Vec::<u8>::with_capacity(bytes);
            prefer(&mut memory);
            memory.resize(bytes, 7);
            memory.extend([1, 2, 3]);
            prefer(&mut memory);
            assert!(memory[..bytes].iter().all(|b| *b == 7) && memory[bytes..] == [1, 2, 3]);
        }
    }
}

//! Search: which slot of a node covers an index.
//!
//! It is the number of pivots below the index. [`search`] makes few comparisons, in two steps, of
//! which the second waits for the first. [`search_wide`] compares all pivots, eight at once, in
//! programs compiled for processors that can (AVX-512). Lookups that do not wait for each other so
//! take a quarter less time; one that waits for another takes a fifth more, because the outcome has
//! to come out of the vector unit. So single lookups are wide, and what walks step by step is not.
//!
//! # Safety
//!
//! The vector loads read whole groups of a slice.
#![cfg_attr(
    target_feature = "avx512f",
    expect(unsafe_code, reason = "loads eight pivots at once")
)]

/// The slot that covers `index`: the number of pivots below it. At most the last used slot, if
/// `index` is within the node.
///
/// Without branches that depend on data: the last pivots of all groups of four are compared at
/// once, then those of the one group that is left.
#[inline]
pub(crate) fn search(pivots: &[u64], index: u64) -> usize {
    let (groups, []) = pivots.as_chunks::<4>() else {
        return count_below(&pivots[..pivots.len() - 1], index);
    };
    let (_, but_last) = groups.split_last().expect("a node has slots");
    let group = but_last
        .iter()
        .map(|group| usize::from(group[3] < index))
        .sum::<usize>();
    4 * group + count_below(&groups[group][..3], index)
}

#[inline]
fn count_below(pivots: &[u64], index: u64) -> usize {
    pivots.iter().map(|pivot| usize::from(*pivot < index)).sum()
}

/// The same for one index among many: all pivots at once, where the processor can.
#[inline]
pub(crate) fn search_wide(pivots: &[u64], index: u64) -> usize {
    #[cfg(target_feature = "avx512f")]
    if let (groups, []) = pivots.as_chunks::<8>() {
        // SAFETY: The program is compiled for processors that have the feature.
        return unsafe { by_eights(groups, index) };
    }
    search(pivots, index)
}

#[cfg(target_feature = "avx512f")]
#[inline]
#[target_feature(enable = "avx512f")]
fn by_eights(groups: &[[u64; 8]], index: u64) -> usize {
    use core::arch::x86_64::{_mm512_cmplt_epu64_mask, _mm512_loadu_epi64, _mm512_set1_epi64};
    let index = _mm512_set1_epi64(index.cast_signed());
    let nr_below = groups.iter().map(|group| {
        // SAFETY: Reads the eight words of a group.
        let group = unsafe { _mm512_loadu_epi64(group.as_ptr().cast()) };
        _mm512_cmplt_epu64_mask(group, index).count_ones()
    });
    let slot = nr_below.sum::<u32>() as usize;
    // The compiler is to know that it is a slot.
    slot.min(8 * groups.len() - 1)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Every number of used slots, and indices at, below and above each pivot.
    fn check<const N: usize>() {
        for len in 1..=N {
            for scale in [10, u64::MAX / 100] {
                let mut pivots = [u64::MAX; N];
                for (slot, pivot) in pivots[..len].iter_mut().enumerate() {
                    *pivot = (slot as u64 + 1) * scale;
                }
                for slot in 0..len {
                    for index in [slot as u64 * scale + 1, pivots[slot] - 1, pivots[slot]] {
                        assert_eq!(search(&pivots, index), slot, "{index} in {pivots:?}");
                        assert_eq!(search_wide(&pivots, index), slot, "{index} in {pivots:?}");
                    }
                }
                let beyond = search_wide(&pivots, u64::MAX);
                assert_eq!(beyond, len.min(N - 1), "beyond {pivots:?}");
                assert_eq!(search(&pivots, u64::MAX), beyond);
            }
        }
    }

    #[test]
    fn both_find_the_slot_in_nodes_of_every_width() {
        check::<3>();
        check::<4>();
        check::<8>();
        check::<16>();
        check::<24>();
        check::<64>();
    }
}

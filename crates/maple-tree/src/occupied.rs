//! Which slots of a node are used, and which promise a longer gap than some length, as sets of bits.
//!
//! The processor compares sixteen words with null in a handful of instructions, and gathers
//! comparisons of numbers by two for each. But the compiler reads atomics one at a time, and gathers
//! by four. On x86-64 this file says it in assembly; elsewhere it is a loop.
//!
//! # Safety
//!
//! The assembly reads the words of a slice, and writes nothing.
#![cfg_attr(
    all(
        target_arch = "x86_64",
        target_feature = "sse2",
        not(any(loom, shuttle))
    ),
    expect(unsafe_code, reason = "reads sixteen slots at once")
)]

use crate::node::{Slot, SlotSet};
use vmaple_sync::atomic::{AtomicU64, Ordering};
use vmaple_sync::planted;

/// The slots that are not null: a guess that saves branches, to be confirmed by a load of the
/// slot before what it holds is followed.
#[inline]
pub(crate) fn occupied(slots: &[Slot]) -> SlotSet {
    let (groups, rest) = slots.as_chunks::<16>();
    let set = one_by_one(rest);
    let groups = groups.iter().rev();
    groups.fold(set, |set, group| set << 16 | SlotSet::from(sixteen(group)))
}

fn one_by_one(slots: &[Slot]) -> SlotSet {
    slots.iter().enumerate().fold(0, |set, (slot, word)| {
        // Relaxed: nothing is read through it.
        let is_used = !word.load(Ordering::Relaxed).is_null();
        set | SlotSet::from(is_used) << slot
    })
}

#[cfg(not(all(
    target_arch = "x86_64",
    target_feature = "sse2",
    not(any(loom, shuttle))
)))]
#[inline]
fn sixteen(slots: &[Slot; 16]) -> u16 {
    one_by_one(slots) as u16
}

/// Packing with saturation halves the width of each lane, and only zero becomes zero: after three
/// steps there is one byte for each slot.
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "sse2",
    not(any(loom, shuttle))
))]
#[inline]
fn sixteen(slots: &[Slot; 16]) -> u16 {
    const { assert!(align_of::<Slot>() == 8 && size_of::<Slot>() == 8) };
    let empty: u32;
    // SAFETY: Reads the 128 bytes that `slots` lends, and changes nothing but the named registers.
    // As a read beside a writer it is sixteen relaxed loads: no load here is of less than a whole
    // slot, and aligned words are read whole on this processor.
    unsafe {
        core::arch::asm!(
            "movdqu {a}, [{slots}]",
            "movdqu {b}, [{slots} + 32]",
            "movdqu {c}, [{slots} + 64]",
            "movdqu {d}, [{slots} + 96]",
            "movdqu {e}, [{slots} + 16]",
            "packssdw {a}, {e}",
            "movdqu {e}, [{slots} + 48]",
            "packssdw {b}, {e}",
            "movdqu {e}, [{slots} + 80]",
            "packssdw {c}, {e}",
            "movdqu {e}, [{slots} + 112]",
            "packssdw {d}, {e}",
            "packsswb {a}, {b}",
            "packsswb {c}, {d}",
            "packsswb {a}, {c}",
            "pxor {e}, {e}",
            "pcmpeqb {a}, {e}",
            "pmovmskb {empty:e}, {a}",
            slots = in(reg) slots,
            empty = lateout(reg) empty,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            e = out(xmm_reg) _,
            options(nostack, readonly, preserves_flags),
        );
    }
    !empty as u16
}

/// How hints are looked at.
#[inline]
fn hint_order() -> Ordering {
    if planted!("hint_relaxed") {
        // Relaxed: the bug.
        Ordering::Relaxed
    } else {
        // Acquire: pairs with the Release in `write::publish`: who sees a lowered hint sees the write
        // that used the gap up. Witness: `tests/loom.rs::a_lowered_hint_comes_after_its_cause`.
        Ordering::Acquire
    }
}

/// The slots with a hint above `limit`.
#[inline]
pub(crate) fn above(hints: &[AtomicU64], limit: u64) -> SlotSet {
    let (groups, rest) = hints.as_chunks::<16>();
    let set = above_one_by_one(rest, limit);
    let groups = groups.iter().rev();
    groups.fold(set, |set, group| {
        set << 16 | SlotSet::from(sixteen_above(group, limit))
    })
}

/// Whether a hint is above `limit`.
#[inline]
pub(crate) fn is_above(hint: &AtomicU64, limit: u64) -> bool {
    hint.load(hint_order()) > limit
}

fn above_one_by_one(hints: &[AtomicU64], limit: u64) -> SlotSet {
    hints.iter().enumerate().fold(0, |set, (slot, hint)| {
        set | SlotSet::from(is_above(hint, limit)) << slot
    })
}

#[cfg(not(all(
    target_arch = "x86_64",
    target_feature = "sse2",
    not(any(loom, shuttle))
)))]
#[inline]
fn sixteen_above(hints: &[AtomicU64; 16], limit: u64) -> u16 {
    above_one_by_one(hints, limit) as u16
}

/// A comparison leaves its outcome in the carry, and an addition of a register to itself shifts it
/// in; the last slots come first. Two halves, so that none waits for all.
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "sse2",
    not(any(loom, shuttle))
))]
#[inline]
fn sixteen_above(hints: &[AtomicU64; 16], limit: u64) -> u16 {
    let set: u32;
    // SAFETY: Reads the 128 bytes that `hints` lends, and changes nothing but the named registers.
    // Beside a writer it is sixteen acquiring loads: whole aligned words, which this processor does
    // not let later reads overtake; nor does the compiler, which must take it that memory changes.
    unsafe {
        core::arch::asm!(
            "xor {low:e}, {low:e}",
            "xor {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 56]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 120]",
            "adc {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 48]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 112]",
            "adc {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 40]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 104]",
            "adc {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 32]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 96]",
            "adc {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 24]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 88]",
            "adc {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 16]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 80]",
            "adc {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 8]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 72]",
            "adc {high:e}, {high:e}",
            "cmp {limit}, [{hints} + 0]",
            "adc {low:e}, {low:e}",
            "cmp {limit}, [{hints} + 64]",
            "adc {high:e}, {high:e}",
            "shl {high:e}, 8",
            "or {low:e}, {high:e}",
            hints = in(reg) hints,
            limit = in(reg) limit,
            low = out(reg) set,
            high = out(reg) _,
            options(nostack),
        );
    }
    set as u16
}

/// The slots that are longer than `limit`, but for slot 0: those whose pivot is more than that above
/// the one before.
#[inline]
pub(crate) fn longer(pivots: &[u64], limit: u64) -> SlotSet {
    #[cfg(all(
        target_arch = "x86_64",
        target_feature = "sse2",
        not(any(loom, shuttle))
    ))]
    if let Ok(pivots) = pivots.try_into()
        && limit.cast_signed() >= 0
    {
        // SAFETY: The program is compiled for processors that have the feature.
        return SlotSet::from(unsafe { sixteen_longer(pivots, limit.cast_signed()) });
    }
    // From the last slot down, so that a comparison's outcome is shifted in by one addition.
    let ends = pivots.iter().zip(&pivots[1..]).rev();
    let set = ends.fold(0, |set: SlotSet, (before, last)| {
        set + set + SlotSet::from(last.wrapping_sub(*before) > limit)
    });
    set << 1
}

/// There is no comparison of numbers of 64 bits, but their highest bits can be gathered: a length is
/// above a limit that has none if it has one itself, or if the limit less the length has.
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "sse2",
    not(any(loom, shuttle))
))]
#[inline]
#[target_feature(enable = "sse2")]
fn sixteen_longer(pivots: &[u64; 16], limit: i64) -> u16 {
    use core::arch::x86_64::{
        __m128i, _mm_castps_si128, _mm_castsi128_ps, _mm_movemask_epi8, _mm_or_si128,
        _mm_packs_epi16, _mm_packs_epi32, _mm_set_epi64x, _mm_set1_epi64x, _mm_shuffle_ps,
        _mm_sub_epi64,
    };
    let limit = _mm_set1_epi64x(limit);
    let two_at = |slot: usize| -> __m128i {
        let (low, high) = (pivots[slot], pivots[slot + 1]);
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    };
    // The highest bit of each lane is that of the slot.
    let two = |slot: usize| {
        let before = if slot == 0 {
            _mm_set_epi64x(pivots[0].cast_signed(), 0)
        } else {
            two_at(slot - 1)
        };
        let length = _mm_sub_epi64(two_at(slot), before);
        _mm_castsi128_ps(_mm_or_si128(_mm_sub_epi64(limit, length), length))
    };
    let four =
        |slot: usize| _mm_castps_si128(_mm_shuffle_ps::<0b11_01_11_01>(two(slot), two(slot + 2)));
    let low = _mm_packs_epi32(four(0), four(4));
    let high = _mm_packs_epi32(four(8), four(12));
    (_mm_movemask_epi8(_mm_packs_epi16(low, high)) & !1) as u16
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use core::ptr;

    fn slots<const N: usize>(words: [usize; N]) -> [Slot; N] {
        words.map(|word| Slot::new(ptr::without_provenance_mut(word)))
    }

    #[test]
    fn one_bit_of_a_word_is_enough() {
        for slot in 0..16 {
            for bit in 0..usize::BITS {
                let mut words = [0; 16];
                words[slot] = 1 << bit;
                assert_eq!(
                    occupied(&slots(words)),
                    1 << slot,
                    "bit {bit} of slot {slot}"
                );
                assert_eq!(occupied(&slots(words.map(|word| !word))), 0xffff);
            }
        }
    }

    #[test]
    fn hints_above_a_limit() {
        let edges = [
            0,
            1,
            9,
            10,
            1 << 31,
            u64::MAX >> 1,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ];
        for limit in edges {
            for (at, edge) in edges.into_iter().enumerate() {
                for slot in 0..20 {
                    let mut hints = [at as u64 % 2 * limit; 20];
                    hints[slot] = edge;
                    let expected = (0..20).filter(|slot| hints[*slot] > limit);
                    let expected = expected.fold(0, |set, slot| set | 1 << slot);
                    let hints = hints.map(AtomicU64::new);
                    assert_eq!(above(&hints, limit), expected, "{edge} in {slot}, {limit}");
                }
            }
        }
    }

    #[test]
    fn every_set_of_every_width() {
        for set in 0..1 << 16 {
            let words = core::array::from_fn(|slot| (set >> slot & 1) << 40);
            assert_eq!(occupied(&slots::<16>(words)), set as SlotSet);
        }
        let odd = |slot: usize| (slot % 2) << 8;
        assert_eq!(
            occupied(&slots(core::array::from_fn::<_, 3, _>(odd))),
            0b010
        );
        assert_eq!(
            occupied(&slots(core::array::from_fn::<_, 40, _>(odd))),
            0xaa_aaaa_aaaa
        );
        assert_eq!(
            occupied(&slots(core::array::from_fn::<_, 64, _>(odd))),
            0xaaaa_aaaa_aaaa_aaaa
        );
    }
}

//! Moves within a slice of atomic pointers that the caller has to itself.
//!
//! # Safety
//!
//! `&mut` means that nobody else looks, so the pointers may be moved as plain memory.
#![cfg_attr(
    not(any(loom, shuttle)),
    expect(unsafe_code, reason = "sees atomic pointers as plain ones")
)]

use crate::atomic::AtomicPtr;
use crate::names::{Name, named};
use core::ops::Range;

static SLOT: Name = Name::new("slot");

/// Copies the pointers in `from` to the slots that begin at `to`; the two may overlap.
///
/// # Panics
///
/// When a slot is not in the slice.
///
/// # Examples
///
/// ```
/// use std::ptr::{null_mut, without_provenance_mut};
/// use vmaple_sync::atomic::{AtomicPtr, Ordering};
/// use vmaple_sync::slots;
///
/// let mut row = [1, 2, 3, 0].map(|word| AtomicPtr::<()>::new(without_provenance_mut(word)));
/// slots::copy_within(&mut row, 1..3, 2);
/// let words = row.map(|slot| slot.into_inner().addr());
/// assert_eq!(words, [1, 2, 2, 3]);
/// ```
#[inline]
pub fn copy_within<T>(slots: &mut [AtomicPtr<T>], from: Range<usize>, to: usize) {
    #[cfg(not(any(loom, shuttle)))]
    plain(slots).copy_within(from, to);
    #[cfg(any(loom, shuttle))]
    one_by_one(slots, from, to);
}

/// A copy of slots that nobody else writes meanwhile.
///
/// # Examples
///
/// ```
/// use std::ptr::without_provenance_mut;
/// use vmaple_sync::atomic::AtomicPtr;
/// use vmaple_sync::slots;
///
/// let row = [1, 2].map(|word| AtomicPtr::<()>::new(without_provenance_mut(word)));
/// let copy = slots::copy_of(&row).map(|slot| slot.into_inner().addr());
/// assert_eq!(copy, [1, 2]);
/// ```
#[inline]
pub fn copy_of<T, const N: usize>(slots: &[AtomicPtr<T>; N]) -> [AtomicPtr<T>; N] {
    use crate::atomic::Ordering;
    // Relaxed: read by the one who wrote them, or after whoever wrote them.
    core::array::from_fn(|slot| named(&SLOT, AtomicPtr::new(slots[slot].load(Ordering::Relaxed))))
}

/// Empties the slots in `range`.
///
/// # Panics
///
/// When a slot is not in the slice.
#[inline]
pub fn clear<T>(slots: &mut [AtomicPtr<T>], range: Range<usize>) {
    for slot in &mut slots[range] {
        *slot = named(&SLOT, AtomicPtr::new(core::ptr::null_mut()));
    }
}

#[cfg(not(any(loom, shuttle)))]
#[inline]
fn plain<T>(slots: &mut [AtomicPtr<T>]) -> &mut [*mut T] {
    let row: *mut [AtomicPtr<T>] = slots;
    // SAFETY: An `AtomicPtr<T>` has the size and bit validity of a `*mut T`, and on every target
    // with atomic pointers its alignment; the borrow is unique and passes on its lifetime.
    unsafe { &mut *(row as *mut [*mut T]) }
}

#[cfg(any(loom, shuttle))]
fn one_by_one<T>(slots: &mut [AtomicPtr<T>], from: Range<usize>, to: usize) {
    use crate::atomic::Ordering;
    let move_one = |at: usize| {
        // Relaxed: `&mut`: nobody else looks.
        let word = slots[from.start + at].load(Ordering::Relaxed);
        slots[to + at].store(word, Ordering::Relaxed);
    };
    if to <= from.start {
        (0..from.len()).for_each(move_one);
    } else {
        (0..from.len()).rev().for_each(move_one);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use core::ptr::without_provenance_mut;

    fn row(words: [usize; 5]) -> [AtomicPtr<()>; 5] {
        words.map(|word| AtomicPtr::new(without_provenance_mut(word)))
    }

    fn words(row: [AtomicPtr<()>; 5]) -> [usize; 5] {
        row.map(|slot| slot.into_inner().addr())
    }

    #[test]
    fn moves_overlap_in_both_directions() {
        let mut up = row([1, 2, 3, 4, 5]);
        copy_within(&mut up, 0..3, 1);
        assert_eq!(words(up), [1, 1, 2, 3, 5]);
        let mut down = row([1, 2, 3, 4, 5]);
        copy_within(&mut down, 2..5, 1);
        assert_eq!(words(down), [1, 3, 4, 5, 5]);
    }

    #[test]
    fn cleared_slots_are_null() {
        let mut slots = row([1, 2, 3, 4, 5]);
        clear(&mut slots, 1..3);
        assert_eq!(words(slots), [1, 0, 0, 4, 5]);
    }
}

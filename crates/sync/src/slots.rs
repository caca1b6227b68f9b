//! Moves within a slice of atomic pointers that the caller has to itself.
//!
//! # Safety
//!
//! `&mut` means that nobody else looks, so the pointers may be moved as plain memory.
#![expect(unsafe_code, reason = "sees atomic pointers as plain ones")]

use crate::atomic::AtomicPtr;
use crate::names::{Name, named};
use core::hint;
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

/// Moves the pointers from slot `from` on up by `BY` slots: the last `BY` drop out, and `from` and
/// what follows keeps what was there. As [`move_up`] does it, without a guess.
///
/// # Examples
///
/// ```
/// use std::ptr::without_provenance_mut;
/// use vmaple_sync::atomic::AtomicPtr;
/// use vmaple_sync::slots;
///
/// let mut row = [1, 2, 3, 4, 5].map(|word| AtomicPtr::<()>::new(without_provenance_mut(word)));
/// slots::move_slots_up::<2, ()>(&mut row, 1);
/// assert_eq!(row.map(|slot| slot.into_inner().addr()), [1, 2, 3, 2, 3]);
/// ```
#[inline(always)]
pub fn move_slots_up<const BY: usize, T>(slots: &mut [AtomicPtr<T>], from: usize) {
    #[cfg(not(any(loom, shuttle)))]
    move_up::<BY, _>(plain(slots), from);
    #[cfg(any(loom, shuttle))]
    {
        let end = slots.len() - BY;
        one_by_one(slots, from..end.max(from), from + BY);
    }
}

/// Moves the pointers from slot `to + BY` on down by `BY` slots, and empties the last `BY`. As
/// [`move_down`] does it.
///
/// # Examples
///
/// ```
/// use std::ptr::without_provenance_mut;
/// use vmaple_sync::atomic::AtomicPtr;
/// use vmaple_sync::slots;
///
/// let mut row = [1, 2, 3, 4, 5].map(|word| AtomicPtr::<()>::new(without_provenance_mut(word)));
/// slots::move_slots_down::<2, ()>(&mut row, 1);
/// assert_eq!(row.map(|slot| slot.into_inner().addr()), [1, 4, 5, 0, 0]);
/// ```
#[inline(always)]
pub fn move_slots_down<const BY: usize, T>(slots: &mut [AtomicPtr<T>], to: usize) {
    #[cfg(not(any(loom, shuttle)))]
    move_down::<BY, _>(plain(slots), to, core::ptr::null_mut());
    #[cfg(any(loom, shuttle))]
    {
        let len = slots.len();
        one_by_one(slots, to + BY..len, to);
        clear(slots, len - BY..len);
    }
}

/// Moves what is in a short row from `from` on up by `BY`; the last `BY` drop out, and `from` and
/// what follows keeps what was there.
///
/// All of the row is written, each place with what it had or with what moves there. So how much
/// moves, which cannot be predicted, decides no branch.
///
/// # Examples
///
/// ```
/// let mut row = [1, 2, 3, 4, 5];
/// vmaple_sync::slots::move_up::<1, _>(&mut row, 2);
/// assert_eq!(row, [1, 2, 3, 3, 4]);
/// ```
#[inline(always)]
pub fn move_up<const BY: usize, T: Copy>(row: &mut [T], from: usize) {
    for at in (BY..row.len()).rev() {
        row[at] = hint::select_unpredictable(at >= from + BY, row[at - BY], row[at]);
    }
}

/// Moves what is in a short row from `to + BY` on down by `BY`, and puts `filler` into the last
/// `BY`; without a guess, as [`move_up`].
///
/// # Panics
///
/// When the row is shorter than `BY`.
///
/// # Examples
///
/// ```
/// let mut row = [1, 2, 3, 4, 5];
/// vmaple_sync::slots::move_down::<1, _>(&mut row, 2, 9);
/// assert_eq!(row, [1, 2, 4, 5, 9]);
/// ```
#[inline(always)]
pub fn move_down<const BY: usize, T: Copy>(row: &mut [T], to: usize, filler: T) {
    let end = row.len() - BY;
    for at in 0..end {
        row[at] = hint::select_unpredictable(at >= to, row[at + BY], row[at]);
    }
    row[end..].fill(filler);
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

/// Copies the pointers of `from` over those of `to`.
///
/// # Safety
///
/// Nobody writes to `from` meanwhile.
///
/// # Panics
///
/// When the two are not equally long.
///
/// # Examples
///
/// ```
/// use std::ptr::without_provenance_mut;
/// use vmaple_sync::atomic::AtomicPtr;
/// use vmaple_sync::slots;
///
/// let old = [1, 2, 3].map(|word| AtomicPtr::<()>::new(without_provenance_mut(word)));
/// let mut row = [7, 8, 9].map(|word| AtomicPtr::<()>::new(without_provenance_mut(word)));
/// // SAFETY: Nobody else knows `old`.
/// unsafe { slots::copy_from(&mut row[1..], &old[..2]) };
/// assert_eq!(row.map(|slot| slot.into_inner().addr()), [7, 1, 2]);
/// ```
#[inline]
pub unsafe fn copy_from<T>(to: &mut [AtomicPtr<T>], from: &[AtomicPtr<T>]) {
    #[cfg(not(any(loom, shuttle)))]
    {
        let row: *const [AtomicPtr<T>] = from;
        // SAFETY: As in `plain`; by the contract above nobody writes during the borrow.
        let row = unsafe { &*(row as *const [*mut T]) };
        plain(to).copy_from_slice(row);
    }
    #[cfg(any(loom, shuttle))]
    {
        use crate::atomic::Ordering;
        assert_eq!(to.len(), from.len(), "equally long");
        for (to, from) in to.iter().zip(from) {
            // Relaxed: nobody writes the one, by the contract above, nor looks at the other.
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
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
    fn moves_of_all_lengths_are_those_of_copies() {
        for from in 0..=5 {
            let mut moved = row([1, 2, 3, 4, 5]);
            let mut copied = row([1, 2, 3, 4, 5]);
            move_slots_up::<2, ()>(&mut moved, from);
            if from < 3 {
                copy_within(&mut copied, from..3, from + 2);
            }
            assert_eq!(words(moved), words(copied), "up from {from}");
        }
        for to in 0..=3 {
            let mut moved = row([1, 2, 3, 4, 5]);
            let mut copied = row([1, 2, 3, 4, 5]);
            move_slots_down::<2, ()>(&mut moved, to);
            copy_within(&mut copied, to + 2..5, to);
            clear(&mut copied, 3..5);
            assert_eq!(words(moved), words(copied), "down to {to}");
        }
    }

    #[test]
    fn cleared_slots_are_null() {
        let mut slots = row([1, 2, 3, 4, 5]);
        clear(&mut slots, 1..3);
        assert_eq!(words(slots), [1, 0, 0, 4, 5]);
    }
}

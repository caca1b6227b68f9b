//! A short vector on the stack, for paths: one element per level.
//!
//! # Safety
//!
//! The first `len` elements are initialized; every access is checked against `len`.
#![expect(unsafe_code, reason = "keeps unused elements uninitialized")]

use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut, Range};

/// Up to `N` elements that need no drop.
#[derive(Clone, Copy)]
pub(crate) struct FixedVec<T: Copy, const N: usize> {
    len: usize,
    elements: [MaybeUninit<T>; N],
}

impl<T: Copy, const N: usize> FixedVec<T, N> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            len: 0,
            elements: [const { MaybeUninit::uninit() }; N],
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Becomes a copy of `elements`; panics if there is not the room.
    #[inline]
    pub(crate) fn set(&mut self, elements: &[T]) {
        self.elements[..elements.len()].write_copy_of_slice(elements);
        self.len = elements.len();
    }

    /// Appends; panics when full.
    #[inline]
    pub(crate) fn push(&mut self, element: T) {
        self.elements[self.len].write(element);
        self.len += 1;
    }

    /// Appends what `make` makes of each of `from`; panics if there is not the room.
    #[inline]
    pub(crate) fn append<U>(&mut self, from: &[U], make: impl Fn(&U) -> T) {
        let end = self.len + from.len();
        for (element, from) in self.elements[self.len..end].iter_mut().zip(from) {
            element.write(make(from));
        }
        self.len = end;
    }

    /// Puts what `make` makes of each of `from` in the place of the elements in `old`; panics if
    /// they are not there, or if there is not the room.
    #[inline]
    pub(crate) fn splice<U>(&mut self, old: Range<usize>, from: &[U], make: impl Fn(&U) -> T) {
        assert!(old.start <= old.end, "a range that is not inverted");
        let tail = old.start + from.len();
        self.elements.copy_within(old.end..self.len, tail);
        for (element, from) in self.elements[old.start..tail].iter_mut().zip(from) {
            element.write(make(from));
        }
        self.len = tail + self.len - old.end;
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: It was below the old length, hence initialized.
        Some(unsafe { self.elements[self.len].assume_init() })
    }
}

impl<T: Copy, const N: usize> Deref for FixedVec<T, N> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: The first `len` elements are initialized.
        unsafe { self.elements[..self.len].assume_init_ref() }
    }
}

impl<T: Copy, const N: usize> DerefMut for FixedVec<T, N> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: The first `len` elements are initialized.
        unsafe { self.elements[..self.len].assume_init_mut() }
    }
}

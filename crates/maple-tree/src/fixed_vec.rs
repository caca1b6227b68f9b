//! A short vector on the stack, for paths: one element per level.
//!
//! # Safety
//!
//! The first `len` elements are initialized; every access is checked against `len`.
#![expect(unsafe_code, reason = "keeps unused elements uninitialized")]

use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};

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

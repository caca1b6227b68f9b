//! Memory that several handles own jointly; the last one frees it.
//!
//! Like `Arc`, with two differences that trees need: making one can fail without ending the
//! program, and a model checker sees the counting.
//!
//! # Safety
//!
//! The memory is live while its count is not 0, and every handle stands for 1 of the count.
#![expect(unsafe_code, reason = "counts the owners of a piece of memory")]

use crate::atomic::{AtomicUsize, Ordering, fence};
use crate::names::{Name, named};
use crate::planted;
use alloc::alloc::{Layout, alloc, dealloc};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

static NR_OWNERS: Name = Name::new("owners");

struct Counted<T> {
    nr_owners: AtomicUsize,
    value: T,
}

/// One of the owners of a value.
pub struct Joint<T> {
    /// # Invariants
    ///
    /// Live: this handle is counted.
    counted: NonNull<Counted<T>>,
    owns: PhantomData<Counted<T>>,
}

// SAFETY: Sending a handle shares the value with whoever has another, and the last one drops it.
unsafe impl<T: Send + Sync> Send for Joint<T> {}
// SAFETY: As for `Send`: from `&Joint` a handle of one's own can be made.
unsafe impl<T: Send + Sync> Sync for Joint<T> {}

impl<T> Joint<T> {
    /// The first owner.
    ///
    /// # Errors
    ///
    /// Without memory the value comes back.
    ///
    /// ```
    /// use vmaple_sync::joint::Joint;
    /// let one = Joint::try_new(7).expect("memory");
    /// let other = one.clone();
    /// assert!(*other == 7 && Joint::is_same(&one, &other) && !one.is_only());
    /// ```
    pub fn try_new(value: T) -> Result<Self, T> {
        // SAFETY: The count makes the size more than zero.
        let memory = unsafe { alloc(Layout::new::<Counted<T>>()) };
        let Some(counted) = NonNull::new(memory.cast::<Counted<T>>()) else {
            return Err(value);
        };
        let nr_owners = named(&NR_OWNERS, AtomicUsize::new(1));
        // SAFETY: Fresh memory of that layout.
        unsafe { counted.write(Counted { nr_owners, value }) };
        // INVARIANT: The count of 1 is this handle.
        Ok(Self {
            counted,
            owns: PhantomData,
        })
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: By the invariant.
        unsafe { self.counted.as_ref() }
    }
}

impl<T> Joint<T> {
    /// Whether this is the only handle. It stays so while the caller makes no other: only from a
    /// handle comes a handle.
    #[inline]
    #[must_use]
    pub fn is_only(&self) -> bool {
        // Acquire: pairs with the Release in `drop`: what the other owners did comes before what
        // this one does alone. It has no witness: a checker would have to let a read take the value
        // of a store that comes after it, which loom does not.
        self.counted().nr_owners.load(Ordering::Acquire) == 1
    }

    /// Whether two handles own the same value.
    #[inline]
    #[must_use]
    pub fn is_same(one: &Self, other: &Self) -> bool {
        one.counted == other.counted
    }
}

impl<T> Clone for Joint<T> {
    fn clone(&self) -> Self {
        // Relaxed: this handle keeps the value meanwhile, and passing the new one to another
        // thread orders it.
        let nr_before = self.counted().nr_owners.fetch_add(1, Ordering::Relaxed);
        assert!(nr_before < isize::MAX as usize, "handles were leaked");
        // INVARIANT: Counted just now.
        Self { ..*self }
    }
}

impl<T: fmt::Debug> fmt::Debug for Joint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Deref for Joint<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Drop for Joint<T> {
    fn drop(&mut self) {
        let order = if planted!("last_handle_relaxed") {
            // Relaxed: the bug.
            Ordering::Relaxed
        } else {
            // See below. Witness: as there.
            Ordering::Release
        };
        // Release: pairs with the Acquire fence below. What this owner did comes before the drop.
        // Witness: `tests/loom.rs::the_last_handle_frees`.
        if self.counted().nr_owners.fetch_sub(1, order) != 1 {
            return;
        }
        // Acquire: pairs with the Release above, of every other owner.
        // Witness: `tests/loom.rs::the_last_handle_frees`.
        fence(Ordering::Acquire);
        // SAFETY: The count is 0: no handle is left, and this one is not used again.
        unsafe { self.counted.drop_in_place() };
        // SAFETY: Allocated in `try_new` with this layout.
        unsafe { dealloc(self.counted.as_ptr().cast(), Layout::new::<Counted<T>>()) };
    }
}

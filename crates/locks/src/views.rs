//! A VMA as its holders see it: borrowed under `mmap_lock`, read-locked, write-locked.
//!
//! # Safety
//!
//! Each of the three proves one of the rules in [`crate::slot`]: [`VmaRef`] and [`VmaWrite`] borrow
//! the tree that the slot is attached to, [`VmaRead`] holds the slot's read lock and borrows what
//! keeps the slab.
#![expect(unsafe_code, reason = "lends values by the locks that the views prove")]

use crate::env::Environment;
#[cfg(feature = "std")]
use crate::env::Host;
use crate::level::{self, Held};
use crate::lockdep::Note;
use crate::slot::VmaSlot;
use crate::vma_lock::Hold;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut, Range};
use maple_tree::Span;
use vmaple_sync::planted;

/// The addresses of a span, `start..end`.
#[inline]
pub(crate) fn addresses(span: Span) -> Range<u64> {
    // Every span was made from a range, whose end is not above the last address.
    span.first..span.last + 1
}

/// A VMA of a borrowed tree, that is, under `mmap_lock`: nobody changes it.
pub struct VmaRef<'t, V> {
    slot: &'t VmaSlot<V>,
}

impl<V> Clone for VmaRef<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for VmaRef<'_, V> {}

impl<'t, V> VmaRef<'t, V> {
    /// # Safety
    ///
    /// The slot is attached to a tree that is borrowed for `'t`.
    #[inline]
    pub(crate) unsafe fn new(slot: &'t VmaSlot<V>) -> Self {
        Self { slot }
    }

    pub(crate) fn slot(self) -> &'t VmaSlot<V> {
        self.slot
    }

    /// Its addresses, in bytes.
    #[inline]
    #[must_use]
    pub fn range(self) -> Range<u64> {
        addresses(self.slot.span())
    }

    /// What the embedder keeps in it.
    #[inline]
    #[must_use]
    pub fn get(self) -> &'t V {
        // SAFETY: By `new`, for 't; an attached slot has a value.
        unsafe { self.slot.value() }
    }

    /// Whether it is in a tree: always, but a walker of old pointers may want to see.
    #[must_use]
    #[doc(alias = "vma_assert_attached")]
    pub fn is_attached(self) -> bool {
        self.slot.lock().is_attached()
    }

    /// The word `vm_refcnt`: a report.
    #[must_use]
    #[doc(alias = "vm_refcnt")]
    pub fn refcnt(self) -> u32 {
        self.slot.lock().refcnt_value()
    }
}

impl<V> Deref for VmaRef<'_, V> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        self.get()
    }
}

impl<V: fmt::Debug> fmt::Debug for VmaRef<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VmaRef")
            .field(&self.range())
            .field(self.get())
            .finish()
    }
}

/// A read-locked VMA: it stays what and where it is until the guard is dropped. Stays on its
/// thread.
#[must_use = "the lock is given back where the guard is dropped"]
#[doc(alias = "vma_end_read")]
pub struct VmaRead<
    'l,
    V,
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    slot: &'l VmaSlot<V>,
    hold: Hold<E::Readers>,
    held: Held<level::VmaRead>,
    note: Note<level::VmaRead>,
}

impl<'l, V, E: Environment> VmaRead<'l, V, E> {
    /// # Safety
    ///
    /// The slot's read lock is held as `hold` says, and given to this guard. During `'l` the slab
    /// exists, whatever happens to the tree.
    #[inline]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(crate) unsafe fn new(slot: &'l VmaSlot<V>, hold: Hold<E::Readers>) -> Self {
        Self {
            slot,
            hold,
            held: Held::assume(),
            note: Note::new(slot.lock().place()),
        }
    }

    /// Its addresses, in bytes.
    #[inline]
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        addresses(self.span())
    }

    #[inline]
    pub(crate) fn span(&self) -> Span {
        self.slot.span()
    }

    /// What the embedder keeps in it, and what locks taken under this one borrow.
    pub fn parts(&mut self) -> (&V, &mut Held<level::VmaRead>) {
        // SAFETY: The read lock is held as long as the guard; a slot that gives one has a value.
        (unsafe { self.slot.value() }, &mut self.held)
    }

    /// Gives the lock back, as dropping does.
    #[doc(alias = "vma_end_read")]
    pub fn end_read(self) {}
}

impl<V, E: Environment> Deref for VmaRead<'_, V, E> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        // SAFETY: As in `parts`.
        unsafe { self.slot.value() }
    }
}

impl<V, E: Environment> Drop for VmaRead<'_, V, E> {
    #[inline]
    fn drop(&mut self) {
        self.note.forget();
        self.slot.lock().end_read::<E::Readers, E::Wait>(self.hold);
    }
}

impl<V: fmt::Debug, E: Environment> fmt::Debug for VmaRead<'_, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VmaRead")
            .field(&self.range())
            .field(&**self)
            .finish()
    }
}

/// A write-locked VMA. It may be changed through this; when this is dropped it stays write-locked
/// until the write section ends.
///
/// What the VMA publishes of its value ([`VmaTree::publishing`](crate::VmaTree::publishing)) is
/// brought up to date when this is dropped.
pub struct VmaWrite<'t, V> {
    slot: &'t VmaSlot<V>,
    facts: fn(&V) -> u64,
    bound: PhantomData<&'t mut V>,
}

impl<'t, V> VmaWrite<'t, V> {
    /// # Safety
    ///
    /// The slot is attached to a tree that is borrowed by `&mut` for `'t`, and write-locked in its
    /// open section.
    #[inline]
    pub(crate) unsafe fn new(slot: &'t VmaSlot<V>, facts: fn(&V) -> u64) -> Self {
        Self {
            slot,
            facts,
            bound: PhantomData,
        }
    }

    pub(crate) fn slot(&self) -> &'t VmaSlot<V> {
        self.slot
    }

    /// Its addresses, in bytes. They are changed through the tree.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        addresses(self.slot.span())
    }

    /// What the embedder keeps in it, for as long as the tree's borrow. The VMA publishes nothing
    /// of it until it is written again.
    #[must_use]
    pub fn into_mut(self) -> &'t mut V {
        let this = ManuallyDrop::new(self);
        this.slot.published.set_facts(0);
        // SAFETY: By `new`; this was the only view.
        unsafe { this.slot.value_mut() }
    }
}

impl<V> Deref for VmaWrite<'_, V> {
    type Target = V;

    fn deref(&self) -> &V {
        // SAFETY: By `new`; the borrow of `self` forbids `deref_mut` meanwhile.
        unsafe { self.slot.value() }
    }
}

impl<V> DerefMut for VmaWrite<'_, V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut V {
        // Nothing is said of it until it is as it will be.
        if !planted!("facts_kept") {
            self.slot.published.set_facts(0);
        }
        // SAFETY: By `new`; `&mut self` is its only use.
        unsafe { self.slot.value_mut() }
    }
}

impl<V> Drop for VmaWrite<'_, V> {
    #[inline]
    fn drop(&mut self) {
        let published = &self.slot.published;
        if published.facts() == 0 {
            published.set_facts((self.facts)(self));
        }
    }
}

impl<V: fmt::Debug> fmt::Debug for VmaWrite<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VmaWrite")
            .field(&self.range())
            .field(&**self)
            .finish()
    }
}

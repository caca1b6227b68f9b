//! The place of one VMA in memory: lock words that outlive it, and the VMA while there is one.
//!
//! # Safety
//!
//! A slot never moves and is never freed while somebody can reach it (see [`crate::slab`]). The
//! value in its cell may be
//!
//! 1. read by whoever holds the slot's read lock, or borrows the tree that it is attached to;
//! 2. written by whoever borrows that tree by `&mut` and holds the slot's write lock, or owns the
//!    slot while it is detached.
//!
//! The value is initialized from [`VmaSlot::fill`] to [`VmaSlot::take`], which the owner calls in
//! turn while the slot is detached.
#![expect(
    unsafe_code,
    reason = "lends the content of a cell to holders of the lock"
)]

use crate::cancel::{Cancel, Cancelled};
use crate::prefetch;
use crate::published::Published;
use crate::scheme::ReadScheme;
use crate::sequence::Section;
use crate::vma_lock::{Taken, VmaLock};
use core::fmt;
use core::mem::{MaybeUninit, offset_of};
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use maple_tree::{AllocError, Entry, Span};
use vmaple_sync::cell::UnsafeCell;
use vmaple_sync::names::{Name, named};
use vmaple_sync::wait::Wait;

static CONTENT: Name = Name::new("the VMA");

/// Names a tree: no two that exist at once have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeId(pub(crate) NonZeroUsize);

/// A VMA and its lock. On cache lines of its own, so that readers of neighbours do not meet.
#[repr(C)]
pub(crate) struct VmaSlot<V> {
    pub(crate) published: Published,
    lock: VmaLock,
    /// What the lock protects, besides the range.
    value: UnsafeCell<MaybeUninit<V>>,
}

// SAFETY: The value goes from thread to thread as rules 1 and 2 say, by shared reference (`Sync`)
// and by value (`Send`).
unsafe impl<V: Send + Sync> Sync for VmaSlot<V> {}
// SAFETY: As above.
unsafe impl<V: Send + Sync> Send for VmaSlot<V> {}

impl<V> VmaSlot<V> {
    /// A detached slot without a value.
    pub(crate) fn empty() -> Self {
        Self {
            published: Published::new(),
            lock: VmaLock::new(),
            value: named(&CONTENT, UnsafeCell::new(MaybeUninit::uninit())),
        }
    }

    /// Asks the processor for the lock, to be written, and for what follows it, before it is locked:
    /// whoever waits for the reader need not wait for its memory too, and a reader that loses its
    /// processor while it waits for memory has not locked it yet.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let lock = core::ptr::from_ref(&self.lock).cast::<u8>();
        prefetch::to_write(lock);
        for line in 1..(size_of::<Self>() - offset_of!(Self, lock)).div_ceil(64) {
            prefetch::to_read(lock.wrapping_add(64 * line));
        }
    }

    /// Asks the processor for what a look without a lock reads.
    #[inline]
    pub(crate) fn prefetch_published(&self) {
        prefetch::to_read(core::ptr::from_ref(&self.published).cast());
    }

    /// The lock, for readers.
    #[inline]
    pub(crate) fn lock(&self) -> &VmaLock {
        &self.lock
    }

    /// Write-locks it until the section ends, waiting for its readers.
    ///
    /// # Errors
    ///
    /// When `cancel` ends the wait: the lock is as it was.
    #[inline]
    pub(crate) fn start_write<S: ReadScheme, W: Wait>(
        &self,
        section: Section,
        cancel: Option<&Cancel<W>>,
    ) -> Result<(), Cancelled> {
        // Its readers may have the line; it comes while the lock is taken.
        prefetch::to_write(core::ptr::from_ref(&self.published).cast());
        if self.lock.start_write::<S, W>(section, cancel)? == Taken::Now {
            self.published.claim(section);
        }
        Ok(())
    }

    /// Makes it visible, as write-locked. For the owner of a detached slot that was filled.
    #[inline]
    pub(crate) fn attach(&self, section: Section) {
        self.published.open(section);
        self.lock.attach(section);
    }

    /// Takes it out of sight for good, and waits for those who have not found out. It is
    /// write-locked; afterwards it belongs to the caller alone.
    pub(crate) fn detach<W: Wait>(&self, section: Section) {
        self.published.close();
        self.lock.detach::<W>(section);
    }

    /// Puts a value into a detached slot, and what `facts` makes of it. Should `value` panic, the
    /// slot has none.
    ///
    /// # Safety
    ///
    /// The caller owns the slot, which is detached and has no value.
    #[inline]
    pub(crate) unsafe fn fill(
        &self,
        tree: TreeId,
        span: Span,
        facts: fn(&V) -> u64,
        value: impl FnOnce() -> V,
    ) {
        // SAFETY: Rule 2, by the caller's promise.
        let cell = self.value.with_mut(|cell| unsafe { &mut *cell });
        // No value is overwritten, by the caller's promise.
        let value = cell.write(value());
        self.published.fill(tree, span, facts(value));
    }

    /// Takes the value out of a detached slot.
    ///
    /// # Safety
    ///
    /// The caller owns the slot, which is detached and has a value.
    pub(crate) unsafe fn take(&self) -> (Span, V) {
        // SAFETY: Rule 2, by the caller's promise.
        let value = self.value.with_mut(|cell| unsafe { &*cell });
        // SAFETY: There is a value, by the caller's promise, and it is not used again.
        (self.span(), unsafe { value.assume_init_read() })
    }

    /// Drops the value of a detached slot.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    #[inline]
    pub(crate) unsafe fn clear(&self) {
        // SAFETY: Rule 2, by the caller's promise.
        let value = self.value.with_mut(|cell| unsafe { &mut *cell });
        // SAFETY: There is a value, by the caller's promise, and it is not used again.
        unsafe { value.assume_init_drop() };
    }

    /// The range. It stays so for whoever may read the value.
    #[inline]
    pub(crate) fn span(&self) -> Span {
        self.published.span()
    }

    /// Changes the range. For whoever may write the value.
    #[inline]
    pub(crate) fn set_span(&self, span: Span) {
        self.published.set_span(span);
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// The slot has a value, and rule 1 during `'v`.
    #[inline]
    pub(crate) unsafe fn value<'v>(&self) -> &'v V {
        // SAFETY: By the caller's promise.
        let value = self.value.with(|cell| unsafe { &*cell });
        // SAFETY: As above.
        unsafe { value.assume_init_ref() }
    }

    /// The value, to be written.
    ///
    /// # Safety
    ///
    /// The slot has a value, and rule 2 during `'v`, with no other reference to it.
    #[inline]
    pub(crate) unsafe fn value_mut<'v>(&self) -> &'v mut V {
        // SAFETY: By the caller's promise.
        let value = self.value.with_mut(|cell| unsafe { &mut *cell });
        // SAFETY: As above.
        unsafe { value.assume_init_mut() }
    }
}

impl<V> fmt::Debug for VmaSlot<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmaSlot")
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

/// A slot as the tree holds it: a pointer that owns nothing, because slots are type-stable.
pub(crate) struct Handle<V>(NonNull<VmaSlot<V>>);

impl<V> Clone for Handle<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Handle<V> {}

// SAFETY: A handle is a shared reference to a slot.
unsafe impl<V: Send + Sync> Send for Handle<V> {}
// SAFETY: As above.
unsafe impl<V: Send + Sync> Sync for Handle<V> {}

impl<V> Handle<V> {
    /// # Safety
    ///
    /// The slot is never freed while a copy of this handle is used.
    pub(crate) unsafe fn new(slot: NonNull<VmaSlot<V>>) -> Self {
        Self(slot)
    }

    pub(crate) fn of(slot: &VmaSlot<V>) -> Self {
        Self(NonNull::from(slot))
    }

    /// The slot.
    ///
    /// # Safety
    ///
    /// The slab that it is in exists during `'s`.
    pub(crate) unsafe fn slot<'s>(self) -> &'s VmaSlot<V> {
        // SAFETY: By the caller's promise; slots are only shared, and change inside cells.
        unsafe { self.0.as_ref() }
    }
}

// SAFETY: 1: the word is the pointer. 2: handles are copied, and nothing is ever taken.
unsafe impl<V> Entry for Handle<V> {
    type Ref<'g>
        = &'g VmaSlot<V>
    where
        Self: 'g;

    #[inline]
    fn into_raw(self) -> NonNull<()> {
        self.0.cast()
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }

    #[inline]
    unsafe fn borrow<'g>(raw: NonNull<()>) -> &'g VmaSlot<V>
    where
        Self: 'g,
    {
        // SAFETY: Slots are type-stable: whoever can read a tree keeps its slab.
        unsafe { raw.cast::<VmaSlot<V>>().as_ref() }
    }

    unsafe fn try_duplicate(raw: NonNull<()>) -> Result<Self, AllocError> {
        Ok(Self(raw.cast()))
    }
}

//! The place of one VMA in memory: lock words that outlive it, and the VMA while there is one.
//!
//! # Safety
//!
//! A slot never moves and is never freed while somebody can reach it (see [`crate::slab`]). What
//! is in its cell may be
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

use crate::vma_lock::VmaLock;
use core::fmt;
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use maple_tree::{AllocError, Entry, Span};
use vmaple_sync::atomic::{AtomicUsize, Ordering};
use vmaple_sync::cell::UnsafeCell;
use vmaple_sync::names::{Name, named};

static OWNER: Name = Name::new("the VMA's tree");
static CONTENT: Name = Name::new("the VMA");

/// Names a tree: no two that exist at once have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeId(pub(crate) NonZeroUsize);

/// A VMA and its lock. On cache lines of its own, so that readers of neighbours do not meet.
#[repr(C, align(64))]
pub(crate) struct VmaSlot<V> {
    pub(crate) lock: VmaLock,
    /// Which tree it is in, as a [`TreeId`]: to be trusted while the slot cannot be recycled.
    owner: AtomicUsize,
    content: UnsafeCell<Content<V>>,
}

/// What the lock protects.
struct Content<V> {
    span: Span,
    value: MaybeUninit<V>,
}

// SAFETY: The content goes from thread to thread as rules 1 and 2 say, by shared reference (`Sync`)
// and by value (`Send`).
unsafe impl<V: Send + Sync> Sync for VmaSlot<V> {}
// SAFETY: As above.
unsafe impl<V: Send + Sync> Send for VmaSlot<V> {}

impl<V> VmaSlot<V> {
    /// A detached slot without a value.
    pub(crate) fn empty() -> Self {
        Self {
            lock: VmaLock::new(),
            owner: named(&OWNER, AtomicUsize::new(0)),
            content: named(
                &CONTENT,
                UnsafeCell::new(Content {
                    span: Span::new(0, 0),
                    value: MaybeUninit::uninit(),
                }),
            ),
        }
    }

    /// Asks the processor for the lock, to be written, and for what follows it, before it is locked:
    /// whoever waits for the reader need not wait for its memory too, and a reader that loses its
    /// processor while it waits for memory has not locked it yet.
    #[inline]
    pub(crate) fn prefetch(&self) {
        #[cfg(all(target_arch = "x86_64", not(any(loom, shuttle))))]
        {
            use core::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
            let address = core::ptr::from_ref(self).cast::<i8>();
            // SAFETY: Every x86-64 processor takes it, and it reads nothing: any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(address) };
            for line in 1..size_of::<Self>().div_ceil(64) {
                // SAFETY: As above.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(address.wrapping_add(64 * line)) };
            }
        }
    }

    /// Whether it is in that tree. The caller has a reference, or a spot that a writer heeds.
    #[inline]
    pub(crate) fn is_in(&self, tree: TreeId) -> bool {
        // Relaxed: written before the slot was attached, which the caller's reference has acquired.
        self.owner.load(Ordering::Relaxed) == tree.0.get()
    }

    /// Puts a value into a detached slot.
    ///
    /// # Safety
    ///
    /// The caller owns the slot, which is detached and has no value.
    #[inline]
    pub(crate) unsafe fn fill(&self, tree: TreeId, span: Span, value: V) {
        // Relaxed: attaching publishes it.
        self.owner.store(tree.0.get(), Ordering::Relaxed);
        // SAFETY: Rule 2, by the caller's promise.
        let content = self.content.with_mut(|cell| unsafe { &mut *cell });
        content.span = span;
        // No value is overwritten, by the caller's promise.
        content.value.write(value);
    }

    /// Takes the value out of a detached slot.
    ///
    /// # Safety
    ///
    /// The caller owns the slot, which is detached and has a value.
    pub(crate) unsafe fn take(&self) -> (Span, V) {
        // SAFETY: Rule 2, by the caller's promise.
        let content = self.content.with_mut(|cell| unsafe { &*cell });
        // SAFETY: There is a value, by the caller's promise, and it is not used again.
        (content.span, unsafe { content.value.assume_init_read() })
    }

    /// Drops the value of a detached slot.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    #[inline]
    pub(crate) unsafe fn clear(&self) {
        // SAFETY: Rule 2, by the caller's promise.
        let content = self.content.with_mut(|cell| unsafe { &mut *cell });
        // SAFETY: There is a value, by the caller's promise, and it is not used again.
        unsafe { content.value.assume_init_drop() };
    }

    /// The range.
    ///
    /// # Safety
    ///
    /// Rule 1 for the time of the call.
    #[inline]
    pub(crate) unsafe fn span(&self) -> Span {
        // SAFETY: By the caller's promise.
        self.content.with(|cell| unsafe { (*cell).span })
    }

    /// Changes the range.
    ///
    /// # Safety
    ///
    /// Rule 2 for the time of the call.
    pub(crate) unsafe fn set_span(&self, span: Span) {
        // SAFETY: By the caller's promise.
        self.content.with_mut(|cell| unsafe { (*cell).span = span });
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// The slot has a value, and rule 1 during `'v`.
    #[inline]
    pub(crate) unsafe fn value<'v>(&self) -> &'v V {
        // SAFETY: By the caller's promise.
        let value = self.content.with(|cell| unsafe { &(*cell).value });
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
        let value = self.content.with_mut(|cell| unsafe { &mut (*cell).value });
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

//! Where slots come from: memory that holds slots and nothing else as long as the slab exists.
//!
//! A slot that is given back is given out again at once, without a grace period, perhaps to
//! another address space. A reader with an old pointer finds a lock word there in any case, and
//! what it must not touch it does not: its reference is refused (detached), or the identity check
//! after it fails.
//!
//! # Safety
//!
//! Chunks of slots are allocated by the slab and freed with it. A slot is free (listed here), or
//! owned by whoever took it.
#![expect(unsafe_code, reason = "hands out pointers into its chunks")]

use crate::slot::{Handle, VmaSlot};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;
use maple_tree::AllocError;
use vmaple_sync::mutex::Mutex;
use vmaple_sync::wait::{DefaultWait, Wait};

/// Slots in the first chunk; each further one doubles, up to [`MAX_CHUNK`].
const FIRST_CHUNK: usize = if cfg!(any(loom, shuttle)) { 2 } else { 16 };
/// Slots in the largest chunk.
const MAX_CHUNK: usize = 512;

/// Memory for VMAs, shared by any number of address spaces. Clones share it.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "std")] {
/// use vmaple_locks::{Slab, VmaTree};
///
/// let slab = Slab::new();
/// let mut parent: VmaTree<&str> = VmaTree::new_in(&slab);
/// let child: VmaTree<&str> = VmaTree::new_in(&slab);
/// parent.insert(0x1000..0x2000, "text").expect("memory");
/// drop((parent, child));
/// assert!(slab.nr_slots() > 0, "kept for the next");
/// # }
/// ```
#[doc(alias = "SLAB_TYPESAFE_BY_RCU")]
#[doc(alias = "vm_area_cachep")]
pub struct Slab<V, W: Wait = DefaultWait> {
    inner: Arc<Mutex<Inner<V>, W>>,
}

struct Inner<V> {
    /// Never shrink or grow: slots stay where they are.
    chunks: Vec<Vec<VmaSlot<V>>>,
    /// Has room for every slot, so that giving one back needs no memory.
    free: Vec<NonNull<VmaSlot<V>>>,
    nr_slots: usize,
}

// SAFETY: The pointers are to slots that the slab owns.
unsafe impl<V: Send + Sync> Send for Inner<V> {}

impl<V, W: Wait> Clone for Slab<V, W> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<V, W: Wait> Default for Slab<V, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V, W: Wait> fmt::Debug for Slab<V, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").finish_non_exhaustive()
    }
}

impl<V, W: Wait> Slab<V, W> {
    /// Without memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                chunks: Vec::new(),
                free: Vec::new(),
                nr_slots: 0,
            })),
        }
    }

    /// How many VMAs its memory has room for.
    #[must_use]
    pub fn nr_slots(&self) -> usize {
        self.inner.lock().nr_slots
    }

    /// How many of them are neither in a tree nor in a tree's own store.
    #[must_use]
    pub fn nr_free(&self) -> usize {
        self.inner.lock().free.len()
    }

    /// Moves up to `wanted` free slots, and at least one, to `store`, which has room for them.
    pub(crate) fn take(&self, store: &mut Vec<Handle<V>>, wanted: usize) -> Result<(), AllocError> {
        let mut inner = self.inner.lock();
        if inner.free.is_empty() {
            inner.grow()?;
        }
        let from = inner.free.len().saturating_sub(wanted);
        let taken = inner.free.drain(from..);
        // SAFETY: A free slot of this slab; whoever uses the handle keeps the slab.
        store.extend(taken.map(|slot| unsafe { Handle::new(slot) }));
        Ok(())
    }

    /// Takes slots back, which are detached and without value.
    ///
    /// # Safety
    ///
    /// They came from this slab, and nobody owns them any more.
    pub(crate) unsafe fn give_back(&self, slots: impl Iterator<Item = Handle<V>>) {
        let mut inner = self.inner.lock();
        for handle in slots {
            debug_assert!(inner.free.len() < inner.nr_slots);
            inner.free.push(NonNull::from(
                // SAFETY: It is of this slab, which exists.
                unsafe { handle.slot() },
            ));
        }
    }
}

impl<V> Inner<V> {
    #[cold]
    fn grow(&mut self) -> Result<(), AllocError> {
        let len = (FIRST_CHUNK << self.chunks.len().min(8)).min(MAX_CHUNK);
        let mut chunk = Vec::new();
        self.chunks.try_reserve(1).map_err(|_| AllocError)?;
        chunk.try_reserve_exact(len).map_err(|_| AllocError)?;
        self.free
            .try_reserve(self.nr_slots + len - self.free.len())
            .map_err(|_| AllocError)?;
        chunk.extend((0..len).map(|_| VmaSlot::empty()));
        let first: *mut VmaSlot<V> = chunk.as_mut_ptr();
        for index in (0..len).rev() {
            // SAFETY: Inside the chunk.
            let slot = unsafe { first.add(index) };
            // SAFETY: A pointer into an allocation.
            self.free.push(unsafe { NonNull::new_unchecked(slot) });
        }
        self.chunks.push(chunk);
        self.nr_slots += len;
        Ok(())
    }
}

//! What changes of the set need before they are made: free slots at hand, and room for what they
//! meet.
//!
//! # Safety
//!
//! Slots at hand come from the tree's slab, are detached and empty, and are owned by the tree.
#![expect(unsafe_code, reason = "gives slots back to their slab")]

use super::VmaTree;
use super::changes::ChangeError;
use crate::env::Environment;
use crate::slot::Handle;
use core::ops::Range;

/// How many free slots a tree keeps at hand.
const STORE: usize = if cfg!(any(loom, shuttle)) { 1 } else { 16 };

impl<V, E: Environment> VmaTree<V, E> {
    /// Makes sure that the next `nr` changes within `range` cannot fail for want of memory, so
    /// that several that belong together are all made or none: each call that puts a VMA in,
    /// splits one, gives one a range, or frees a range counts as one. O(`nr` + VMAs in the range).
    ///
    /// # Errors
    ///
    /// [`ChangeError::OutOfMemory`]; the VMAs are unchanged.
    pub fn reserve_over(&mut self, range: Range<u64>, nr: usize) -> Result<(), ChangeError> {
        let mut nr_met = nr;
        let reader = self.index.reader();
        let mut from = range.start;
        // One walk for each, as in `meet`.
        while from < range.end
            && let Some((span, _)) = reader.find(from)
            && span.first < range.end
        {
            nr_met += 1;
            from = span.last + 1;
        }
        self.met
            .try_reserve(nr_met)
            .map_err(|_| ChangeError::OutOfMemory)?;
        self.reserve(nr)?;
        Ok(self.index.reserve(nr)?)
    }

    /// Makes sure that the next `nr` VMAs that come into being need no memory for themselves.
    /// The index may still need some.
    ///
    /// # Errors
    ///
    /// [`ChangeError::OutOfMemory`].
    pub fn reserve(&mut self, nr: usize) -> Result<(), ChangeError> {
        if self.store.len() < nr {
            self.make_room()?;
        }
        while self.store.len() < nr {
            let missing = nr - self.store.len();
            self.store
                .try_reserve(missing)
                .map_err(|_| ChangeError::OutOfMemory)?;
            self.shared.slab.take(&mut self.store, missing)?;
        }
        Ok(())
    }

    #[cold]
    fn make_room(&mut self) -> Result<(), ChangeError> {
        // Room for as many again, so that slots can be taken back without memory.
        self.store
            .try_reserve(2 * STORE)
            .map_err(|_| ChangeError::OutOfMemory)
    }

    pub(super) fn take_slot(&mut self) -> Result<Handle<V>, ChangeError> {
        if let Some(handle) = self.store.pop() {
            return Ok(handle);
        }
        self.make_room()?;
        self.shared.slab.take(&mut self.store, STORE)?;
        self.store.pop().ok_or(ChangeError::OutOfMemory)
    }

    /// Takes a slot back that is detached and empty.
    pub(super) fn free_slot(&mut self, handle: Handle<V>) {
        if self.store.len() == self.store.capacity() || self.store.len() >= 2 * STORE {
            let from = self.store.len().saturating_sub(STORE);
            // SAFETY: They came from this slab, and are owned by this tree alone.
            unsafe { self.shared.slab.give_back(self.store.drain(from..)) };
        }
        if self.store.len() < self.store.capacity() {
            self.store.push(handle);
        } else {
            // SAFETY: As above.
            unsafe { self.shared.slab.give_back([handle].into_iter()) };
        }
    }
}

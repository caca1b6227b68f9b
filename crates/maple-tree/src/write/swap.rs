//! Swap: another entry over the very range of one, by a cursor that is near.
//!
//! No bounds change, and no gap: all there is to do is to store a word.
//!
//! # Safety
//!
//! As for every write: there is one writer, and what it displaces is freed later.
#![expect(unsafe_code, reason = "reads the tree as its only writer")]

use super::{Way, Writer};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::StoreError;
use crate::node::{Node, first_of, search};
use crate::span::Span;
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;

impl<E: Entry, C: Config> Writer<'_, E, C> {
    /// As [`store`](Self::store), where most likely there is an entry over just that range.
    #[inline]
    pub(crate) fn store_in_place_of_one(
        &mut self,
        span: Span,
        entry: E,
    ) -> Result<(), StoreError<E>> {
        let raw = entry.into_raw();
        if span.is_valid() && self.swap(span, raw) {
            return Ok(());
        }
        // SAFETY: The word was not stored: it is still ours.
        self.store(span, unsafe { E::from_raw(raw) })
    }

    /// Puts `new` in the place of the entry over `span`. False: there is no entry over just that,
    /// or no memory for the log, and nothing was done.
    #[inline]
    fn swap(&mut self, span: Span, new: NonNull<()>) -> bool {
        // SAFETY: One writer; nodes are freed only after this function.
        let top = unsafe { self.root.load::<C>() };
        let (Some(finger), Some(top)) = (&mut self.finger, top) else {
            return false;
        };
        let (leaf, bounds) = finger.reach(top, span.first);
        let pivots = leaf.pivots();
        let slot = search(pivots, span.first);
        if first_of(pivots, slot, bounds.first) != span.first || pivots[slot] != span.last {
            return false;
        }
        let word = &leaf.slots()[slot];
        // Relaxed: read by the writer, who wrote it.
        let Some(old) = NonNull::new(word.load(Ordering::Relaxed)) else {
            return false;
        };
        if !self.is_alone {
            if self.nodes.reserve_logs(0).is_err() {
                return false;
            }
            self.publish_entry(&Way::new(), word, new.as_ptr(), None);
            return true;
        }
        if self.nodes.reserve_entries(1).is_err() {
            return false;
        }
        if core::mem::needs_drop::<E>() && !cfg!(planted = "swap_leak") {
            self.nodes.retire_entry(old);
        }
        // Relaxed: nobody else looks.
        word.store(new.as_ptr(), Ordering::Relaxed);
        true
    }
}

//! What a walk has seen of the index and not come to yet.
//!
//! A walk reads several entries of the index at once, and looks at their VMAs one by one later. The
//! index may change in between, so each entry says from where on the addresses below it were free
//! when it was seen: only a walk that has come at least so far may go on with it.

use crate::slot::VmaSlot;
use maple_tree::Span;
use vmaple_sync::planted;

/// How many entries are read at once: as many as a leaf often has.
const NR_AHEAD: usize = if cfg!(any(loom, shuttle)) { 3 } else { 16 };

/// An entry of the index.
#[derive(Debug)]
pub(crate) struct Seen<'l, V> {
    /// From here to its first address nothing was mapped.
    pub(crate) free_from: u64,
    /// The addresses that the index had for it.
    pub(crate) span: Span,
    pub(crate) slot: &'l VmaSlot<V>,
}

impl<V> Clone for Seen<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Seen<'_, V> {}

/// Entries in ascending order.
pub(crate) struct Ahead<'l, V> {
    seen: [Option<Seen<'l, V>>; NR_AHEAD],
    /// The first one that the walk has not come to.
    at: usize,
}

impl<V> Default for Ahead<'_, V> {
    fn default() -> Self {
        Self {
            seen: [None; NR_AHEAD],
            at: NR_AHEAD,
        }
    }
}

impl<'l, V> Ahead<'l, V> {
    /// The entry that contains `from`, or the first one above it, if that is known.
    #[inline]
    pub(crate) fn next(&mut self, from: u64) -> Option<Seen<'l, V>> {
        loop {
            let seen = (*self.seen.get(self.at)?)?;
            if seen.free_from > from && !planted!("ahead_of_a_change") {
                // The VMA before it has lost addresses since; somebody else may have them.
                return None;
            }
            self.at += 1;
            if seen.span.last >= from {
                return Some(seen);
            }
        }
    }

    /// Takes entries that were seen from `from` on.
    pub(crate) fn refill(
        &mut self,
        from: u64,
        entries: impl Iterator<Item = (Span, &'l VmaSlot<V>)>,
    ) {
        self.clear();
        let mut free_from = from;
        for (place, (span, slot)) in self.seen.iter_mut().zip(entries) {
            *place = Some(Seen {
                free_from,
                span,
                slot,
            });
            free_from = span.last.saturating_add(1);
        }
        self.at = 0;
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

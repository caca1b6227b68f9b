//! Whole trees: copied, taken apart, put together, filtered, cut in two.
//!
//! # Safety
//!
//! Takes entries out of a tree that it owns, or duplicates entries of a tree it has borrowed.
#![expect(unsafe_code, reason = "moves entries out of slots")]

use crate::config::Config;
use crate::core_tree::CoreTree;
use crate::entry::Entry;
use crate::error::{AllocError, WriteError};
use crate::node::{Node, first_of, len};
use crate::reader::Reader;
use crate::span::Span;
use crate::tree::MapleTree;
use core::fmt;
use core::iter::FusedIterator;
use core::ptr;
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;

impl<E: Entry, C: Config> Clone for MapleTree<E, C> {
    /// As [`duplicate`](Self::duplicate); without memory it ends the program as `Vec` does.
    fn clone(&self) -> Self {
        self.duplicate().unwrap_or_else(|AllocError| {
            alloc::alloc::handle_alloc_error(alloc::alloc::Layout::new::<C::Leaf>())
        })
    }
}

impl<E: Entry, C: Config, R: Into<Span>> Extend<(R, E)> for MapleTree<E, C> {
    /// Stores each in turn: later ones overwrite earlier ones. Ascending ranges are appended,
    /// without a walk for each.
    ///
    /// # Panics
    ///
    /// For an inverted range, and without memory. Use [`try_extend`](Self::try_extend) to be told
    /// instead.
    fn extend<I: IntoIterator<Item = (R, E)>>(&mut self, ranges: I) {
        if let Err(refused) = self.try_extend(ranges) {
            panic!("cannot extend the tree: {refused}");
        }
    }
}

impl<E: Entry, C: Config, R: Into<Span>> FromIterator<(R, E)> for MapleTree<E, C> {
    /// Stores each in turn. Of ascending ranges it builds full leaves, in O(n).
    ///
    /// # Panics
    ///
    /// As [`extend`](Self::extend).
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::MapleTree;
    ///
    /// let tree: MapleTree<u32> = [(0..=9, 1), (20..=29, 2), (5..=7, 3)].into_iter().collect();
    /// let back: Vec<_> = tree.into_iter().map(|(span, value)| (span.first, value)).collect();
    /// assert_eq!(back, [(0, 1), (5, 3), (8, 1), (20, 2)]);
    /// ```
    fn from_iter<I: IntoIterator<Item = (R, E)>>(ranges: I) -> Self {
        let mut tree = Self::new();
        tree.extend(ranges);
        tree
    }
}

/// The entries of a tree that is taken apart, in ascending order. O(log n) each.
pub struct IntoIter<E: Entry, C: Config> {
    /// # Invariants
    ///
    /// Slots of what was handed out are null: what is left is dropped with the tree.
    core: CoreTree<E, C>,
    /// Where to look for the next; `None` at the end.
    next: Option<u64>,
}

// SAFETY: It owns its entries; sending it sends them.
unsafe impl<E: Entry + Send, C: Config> Send for IntoIter<E, C> {}
// SAFETY: `&self` gives nothing away.
unsafe impl<E: Entry + Sync, C: Config> Sync for IntoIter<E, C> {}

impl<E: Entry, C: Config> IntoIterator for MapleTree<E, C> {
    type Item = (Span, E);
    type IntoIter = IntoIter<E, C>;

    fn into_iter(self) -> IntoIter<E, C> {
        IntoIter {
            core: self.into_core(),
            next: Some(0),
        }
    }
}

impl<E: Entry, C: Config> Iterator for IntoIter<E, C> {
    type Item = (Span, E);

    fn next(&mut self) -> Option<(Span, E)> {
        // SAFETY: The tree is ours, and nothing of it is freed while the reader is used.
        let reader: Reader<'_, E, C> = unsafe { Reader::new(&self.core.root) };
        loop {
            let (span, slot) = reader.slot_at(self.next?)?;
            self.next = span.last.checked_add(1);
            // Relaxed: nobody else looks.
            if let Some(raw) = NonNull::new(slot.load(Ordering::Relaxed)) {
                if !cfg!(planted = "taken_twice") {
                    // Relaxed: as above.
                    slot.store(ptr::null_mut(), Ordering::Relaxed);
                }
                // SAFETY: The tree owned the entry, and its slot does not hold it any more.
                return Some((span, unsafe { E::from_raw(raw) }));
            }
        }
    }
}

impl<E: Entry, C: Config> FusedIterator for IntoIter<E, C> {}

impl<E: Entry, C: Config> fmt::Debug for IntoIter<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<E: Entry, C: Config> MapleTree<E, C> {
    /// Removes every entry that `keep` refuses. O(n + removed × log n).
    ///
    /// # Errors
    ///
    /// Without memory; entries before the one that could not be removed have been judged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::MapleTree;
    ///
    /// let mut tree: MapleTree<u32> = (0..9).map(|i| (10 * i..=10 * i + 4, i as u32)).collect();
    /// tree.retain(|_, value| value % 3 == 0)?;
    /// assert_eq!(tree.iter().map(|(_, value)| value).collect::<Vec<_>>(), [0, 3, 6]);
    /// # Ok::<(), maple_tree::AllocError>(())
    /// ```
    pub fn retain(
        &mut self,
        mut keep: impl FnMut(Span, E::Ref<'_>) -> bool,
    ) -> Result<(), AllocError> {
        let mut next = Some(0);
        while let Some(from) = next {
            let refused = self
                .iter_from(from)
                .find(|(span, entry)| !keep(*span, *entry));
            let Some((span, _)) = refused else {
                return Ok(());
            };
            self.erase(span.first)?;
            next = span.last.checked_add(1);
        }
        Ok(())
    }

    /// Takes every entry out, in ascending order, and leaves the tree empty.
    pub(crate) fn take_each(&mut self, mut each: impl FnMut(Span, NonNull<()>)) {
        let taken = core::mem::take(self).into_core();
        // SAFETY: The tree is ours, and nothing of it is freed while the reader is used.
        let reader: Reader<'_, E, C> = unsafe { Reader::new(&taken.root) };
        let mut next = Some(0);
        while let Some((leaf, ends)) = next.and_then(|index| reader.leaf_at(index)) {
            let bounds = ends.span();
            let nr_used = len(leaf.pivots(), bounds.last);
            for slot in 0..nr_used {
                let word = &leaf.slots()[slot];
                // Relaxed, here and below: nobody else looks.
                if let Some(raw) = NonNull::new(word.load(Ordering::Relaxed)) {
                    // Relaxed: as above.
                    word.store(ptr::null_mut(), Ordering::Relaxed);
                    let first = first_of(leaf.pivots(), slot, bounds.first);
                    each(Span::new(first, leaf.pivots()[slot]), raw);
                }
            }
            next = bounds.last.checked_add(1);
        }
    }

    /// Cuts the tree before `index`: what lies at or after it is returned as a tree of its own.
    /// An entry on both sides of the cut is duplicated. O(entries moved).
    ///
    /// # Errors
    ///
    /// Without memory; the tree is unchanged.
    ///
    /// # Examples
    ///
    /// ```
    /// use maple_tree::{MapleTree, Span};
    ///
    /// let mut low: MapleTree<u32> = [(0..=9, 1), (20..=29, 2)].into_iter().collect();
    /// let high = low.split_off(25)?;
    /// assert_eq!(low.load(22), Some((Span::new(20, 24), 2)));
    /// assert_eq!(high.iter().collect::<Vec<_>>(), [(Span::new(25, 29), 2)]);
    /// # Ok::<(), maple_tree::AllocError>(())
    /// ```
    pub fn split_off(&mut self, index: u64) -> Result<Self, AllocError> {
        let mut upper = Self::new();
        let mut appender = upper.appender();
        let mut next = Some(index);
        while let Some(from) = next {
            let (span, raw) = self.reader().walk(from);
            if let Some(raw) = NonNull::new(raw) {
                // SAFETY: This tree owns the entry in that slot.
                let entry = unsafe { E::try_duplicate(raw) }?;
                let moved = Span::new(
                    if cfg!(planted = "cut_overlaps") {
                        span.first
                    } else {
                        span.first.max(index)
                    },
                    span.last,
                );
                appender.push(moved, entry).map_err(|_| AllocError)?;
            }
            next = span.last.checked_add(1);
        }
        drop(appender);
        match self.clear(index..=u64::MAX) {
            Ok(()) => Ok(upper),
            Err(WriteError::Alloc(error)) => Err(error),
            Err(_) => unreachable!("the range ends where indices do"),
        }
    }
}

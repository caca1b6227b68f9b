//! Reading near where a writer will be wanted: no walk from the top, as long as it stays in one leaf.
//!
//! Whoever changes a tree mostly looks around first. [`TreeWriter::seek`] remembers the way to a
//! leaf; looks and writes in that leaf then use it, until a write changes more than this leaf.

use crate::config::Config;
#[cfg(feature = "std")]
use crate::config::Gaps;
use crate::entry::Entry;
use crate::handles::{State, TreeWriter};
use crate::node::{Node, first_of, search};
use crate::reader::Reader;
use crate::span::Span;
use crate::write::{Finger, Writer};
use core::fmt;
use core::ops::ControlFlow;
use vmaple_rcu::Backend;
use vmaple_sync::atomic::Ordering;

/// # Near one place
impl<E: Entry, C: Config, B: Backend, S: ?Sized> TreeWriter<E, C, B, S> {
    /// Says that looks by [`near`](Self::near), and writes, around `index` are next: they take no
    /// walk as long as they stay in its leaf. Where it is wrong they cost what they always cost.
    ///
    /// O(log n), O(1) if the last `seek` or write was in that leaf.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{Span, TreeWriter};
    ///
    /// let mut writer: TreeWriter<u32> = TreeWriter::new();
    /// writer.store(10..=19, 1)?;
    /// writer.seek(20);
    /// let (gap, entry) = writer.near().range_at(20);
    /// assert_eq!((gap, entry), (Span::new(20, u64::MAX), None));
    /// assert_eq!(writer.near().get(19), Some(1));
    /// writer.insert(20..=29, 2)?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seek(&mut self, index: u64) {
        let (root, State { nodes, finger, .. }) = self.parts_mut();
        if finger.is_near(index) {
            return;
        }
        if let Some(top) = Writer::beside_readers(root, nodes).reader().top() {
            finger.reach(top, index);
        }
    }

    /// The reading half, which knows the leaf of the last [`seek`](Self::seek) or write.
    #[inline]
    #[must_use]
    pub fn near(&self) -> NearReader<'_, E, C> {
        NearReader {
            reader: self.reader(),
            finger: &self.state().finger,
        }
    }
}

/// A view of a tree by its writer, quick near where that will be wanted; see [`TreeWriter::near`].
pub struct NearReader<
    'g,
    E: Entry,
    #[cfg(feature = "std")] C: Config = Gaps,
    #[cfg(not(feature = "std"))] C: Config,
> {
    reader: Reader<'g, E, C>,
    finger: &'g Finger,
}

impl<E: Entry, C: Config> Clone for NearReader<'_, E, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Entry, C: Config> Copy for NearReader<'_, E, C> {}

impl<E: Entry, C: Config> fmt::Debug for NearReader<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NearReader").field(self.finger).finish()
    }
}

impl<'g, E: Entry, C: Config> NearReader<'g, E, C> {
    /// The leaf of `index` and its bounds, if the writer knows it.
    #[inline]
    fn leaf(self, index: u64) -> Option<(&'g C::Leaf, Span)> {
        self.finger.look::<C>(index)
    }

    /// The entry at `index`.
    #[inline]
    #[must_use]
    pub fn get(self, index: u64) -> Option<E::Ref<'g>> {
        let Some((leaf, _)) = self.leaf(index) else {
            return self.reader.get(index);
        };
        let slot = search(leaf.pivots(), index);
        // Relaxed: read by the writer, who wrote it.
        self.reader
            .entry(leaf.slots()[slot].load(Ordering::Relaxed))
    }

    /// The range at `index`, of an entry or of the gap there.
    #[inline]
    #[must_use]
    pub fn range_at(self, index: u64) -> (Span, Option<E::Ref<'g>>) {
        let Some((leaf, bounds)) = self.leaf(index) else {
            return self.reader.range_at(index);
        };
        let pivots = leaf.pivots();
        let slot = search(pivots, index);
        let span = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
        // Relaxed: read by the writer, who wrote it.
        let raw = leaf.slots()[slot].load(Ordering::Relaxed);
        (span, self.reader.entry(raw))
    }

    /// Shows the entries that meet `span` to `visit`, ascending, until that breaks off.
    ///
    /// For the few entries that a change meets; to run through many, an [`Iter`](crate::Iter) is
    /// faster.
    #[inline]
    pub fn try_for_each<R>(
        self,
        span: Span,
        mut visit: impl FnMut(Span, E::Ref<'g>) -> ControlFlow<R>,
    ) -> ControlFlow<R> {
        let mut from = span.first;
        if let Some((leaf, bounds)) = self.leaf(from) {
            let pivots = leaf.pivots();
            let mut slot = search(pivots, from);
            let mut first = first_of(pivots, slot, bounds.first);
            while first <= span.last {
                let last = pivots[slot];
                // Relaxed: read by the writer, who wrote it.
                let raw = leaf.slots()[slot].load(Ordering::Relaxed);
                if let Some(entry) = self.reader.entry(raw) {
                    visit(Span::new(first, last), entry)?;
                }
                if last >= bounds.last {
                    break;
                }
                (slot, first) = (slot + 1, last + 1);
            }
            if span.last <= bounds.last {
                return ControlFlow::Continue(());
            }
            from = bounds.last + 1;
        }
        // A walk for each.
        while let Some((held, entry)) = self.reader.find(from)
            && held.first <= span.last
        {
            visit(held, entry)?;
            if held.last >= span.last {
                break;
            }
            from = held.last + 1;
        }
        ControlFlow::Continue(())
    }

    /// The first entry whose range ends at or after `index`: the one at `index`, or the next.
    #[inline]
    #[must_use]
    pub fn find(self, index: u64) -> Option<(Span, E::Ref<'g>)> {
        let Some((leaf, bounds)) = self.leaf(index) else {
            return self.reader.find(index);
        };
        let pivots = leaf.pivots();
        let mut slot = search(pivots, index);
        loop {
            // Relaxed: read by the writer, who wrote it.
            let raw = leaf.slots()[slot].load(Ordering::Relaxed);
            if let Some(entry) = self.reader.entry(raw) {
                let first = first_of(pivots, slot, bounds.first);
                return Some((Span::new(first, pivots[slot]), entry));
            }
            if pivots[slot] >= bounds.last {
                return self.reader.find(bounds.last.checked_add(1)?);
            }
            slot += 1;
        }
    }
}

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
    #[inline]
    pub fn seek(&mut self, index: u64) {
        if !self.state().finger.is_near(index) {
            self.seek_afar(index);
        }
    }

    /// The same, where that is in another leaf.
    #[inline(never)]
    fn seek_afar(&mut self, index: u64) {
        let (root, _, State { nodes, finger, .. }) = self.parts_mut();
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

/// What is at an index, and what touches that; see [`NearReader::place_at`].
pub struct Place<
    'g,
    E: Entry,
    #[cfg(feature = "std")] C: Config = Gaps,
    #[cfg(not(feature = "std"))] C: Config,
> {
    reader: Reader<'g, E, C>,
    /// The leaf, the slot in it, and where the leaf ends, if the writer knows it.
    near: Option<(&'g C::Leaf, usize, u64)>,
    span: Span,
    entry: Option<E::Ref<'g>>,
}

impl<E: Entry, C: Config> fmt::Debug for Place<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.span).finish()
    }
}

impl<'g, E: Entry, C: Config> Place<'g, E, C> {
    /// The range of the entry, or of the gap.
    #[inline]
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The entry, if it is no gap.
    #[inline]
    #[must_use]
    pub fn entry(&self) -> Option<E::Ref<'g>> {
        self.entry
    }

    /// The entry that ends just below it. O(1) within the leaf, else O(log n).
    #[inline]
    #[must_use]
    pub fn below(&self) -> Option<E::Ref<'g>> {
        match self.near {
            // Relaxed: read by the writer, who wrote it.
            Some((leaf, slot, _)) if slot > 0 => self
                .reader
                .entry(leaf.slots()[slot - 1].load(Ordering::Relaxed)),
            _ => self.reader.get(self.span.first.checked_sub(1)?),
        }
    }

    /// The entry that begins just above it. O(1) within the leaf, else O(log n).
    #[inline]
    #[must_use]
    pub fn above(&self) -> Option<E::Ref<'g>> {
        match self.near {
            // Relaxed: read by the writer, who wrote it.
            Some((leaf, slot, last)) if self.span.last < last => self
                .reader
                .entry(leaf.slots()[slot + 1].load(Ordering::Relaxed)),
            _ => self.reader.get(self.span.last.checked_add(1)?),
        }
    }
}

impl<'g, E: Entry, C: Config> NearReader<'g, E, C> {
    /// The leaf of `index` and its bounds, if the writer knows it.
    #[inline]
    fn leaf(self, index: u64) -> Option<(&'g C::Leaf, Span)> {
        self.finger.look::<C>(index)
    }

    /// The entry at `index`.
    #[inline(always)]
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
    #[inline(always)]
    #[must_use]
    pub fn range_at(self, index: u64) -> (Span, Option<E::Ref<'g>>) {
        let Place { span, entry, .. } = self.place_at(index);
        (span, entry)
    }

    /// What is at `index`, an entry or a gap, from where what touches it is near too.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use maple_tree::{Span, TreeWriter};
    ///
    /// let mut writer: TreeWriter<u32> = TreeWriter::new();
    /// writer.store(10..=19, 1)?;
    /// writer.store(20..=29, 2)?;
    /// writer.seek(20);
    /// let place = writer.near().place_at(25);
    /// assert_eq!((place.span(), place.entry()), (Span::new(20, 29), Some(2)));
    /// assert_eq!((place.below(), place.above()), (Some(1), None));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn place_at(self, index: u64) -> Place<'g, E, C> {
        let reader = self.reader;
        let Some((leaf, bounds)) = self.leaf(index) else {
            let (span, entry) = reader.range_at(index);
            let near = None;
            return Place {
                reader,
                near,
                span,
                entry,
            };
        };
        let pivots = leaf.pivots();
        let slot = search(pivots, index);
        // Relaxed: read by the writer, who wrote it.
        let raw = leaf.slots()[slot].load(Ordering::Relaxed);
        Place {
            reader,
            near: Some((leaf, slot, bounds.last)),
            span: Span::new(first_of(pivots, slot, bounds.first), pivots[slot]),
            entry: reader.entry(raw),
        }
    }

    /// Shows the entries that meet `span` to `visit`, ascending, until that breaks off.
    ///
    /// For the few entries that a change meets; to run through many, an [`Iter`](crate::Iter) is
    /// faster.
    #[inline(always)]
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
        self.try_for_each_afar(from, span, visit)
    }

    /// The same from `from` on, by a walk for each.
    #[cold]
    fn try_for_each_afar<R>(
        self,
        mut from: u64,
        span: Span,
        mut visit: impl FnMut(Span, E::Ref<'g>) -> ControlFlow<R>,
    ) -> ControlFlow<R> {
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

//! Reading: walks from the root, without locks and without writing.
//!
//! # Safety
//!
//! A [`Reader<'g>`] is made only where nothing that it can reach is freed during `'g`: from a
//! tree borrowed for `'g`, whose writer needs `&mut`, or from a shared tree and a read section
//! both borrowed for `'g`. Entries were put in by `Entry::into_raw` of the tree's own type.
#![expect(unsafe_code, reason = "turns words into nodes and entries")]

use crate::config::{Config, TracksGaps};
use crate::ends::Ends;
use crate::entry::Entry;
use crate::gap::{self, Limits};
use crate::iter::{Iter, IterRev};
use crate::link::{Kind, NodeRef, Root};
use crate::node::{Node, Slot, search, search_wide};
use crate::span::Span;
use crate::version::Version;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;
use vmaple_sync::planted;

/// A view of a tree that stays readable for `'g`.
///
/// Every lookup starts at the root and answers with an entry and its bounds as they were at one
/// moment during the call, whatever a writer does meanwhile. `find` and the gap searches may
/// look at several leaves; each leaf is seen at one moment.
///
/// Complexity: O(log n) each, gap searches with an alignment excepted.
pub struct Reader<'g, E: Entry, C: Config> {
    root: &'g Root,
    /// None where no cursor is needed.
    version: Option<&'g Version>,
    entries: PhantomData<&'g E>,
    shape: PhantomData<fn() -> C>,
}

impl<E: Entry, C: Config> Clone for Reader<'_, E, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Entry, C: Config> Copy for Reader<'_, E, C> {}

impl<E: Entry, C: Config> fmt::Debug for Reader<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(span, _)| span))
            .finish()
    }
}

impl<'g, E: Entry, C: Config> Reader<'g, E, C> {
    /// # Safety
    ///
    /// No node or entry reachable from `root` during `'g` is freed before `'g` ends.
    pub(crate) unsafe fn new(root: &'g Root) -> Self {
        Self {
            root,
            version: None,
            entries: PhantomData,
            shape: PhantomData,
        }
    }

    /// The same for a tree with a version.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new), and `version` is that tree's: a write to it that begins after 'g
    /// has begun counts before it frees what it displaces.
    #[inline]
    pub(crate) unsafe fn with_version(root: &'g Root, version: &'g Version) -> Self {
        Self {
            root,
            version: Some(version),
            entries: PhantomData,
            shape: PhantomData,
        }
    }

    /// The version of the tree.
    #[inline]
    pub(crate) fn version(self) -> Option<&'g Version> {
        self.version
    }

    #[inline]
    pub(crate) fn top(self) -> Option<NodeRef<'g, C>> {
        // SAFETY: By the type's promise.
        unsafe { self.root.load() }
    }

    /// The entry behind a leaf slot's word.
    #[inline]
    pub(crate) fn entry(self, raw: *mut ()) -> Option<E::Ref<'g>> {
        // SAFETY: A word found in a leaf during 'g is an entry that is not freed before its end.
        NonNull::new(raw).map(|raw| unsafe { E::borrow(raw) })
    }

    /// Whether there is no entry.
    #[must_use]
    #[doc(alias = "mtree_empty")]
    pub fn is_empty(self) -> bool {
        self.root.is_empty()
    }

    /// The entry at `index`.
    #[inline]
    #[must_use]
    #[doc(alias = "mtree_load")]
    pub fn get(self, index: u64) -> Option<E::Ref<'g>> {
        let mut node = self.top()?;
        loop {
            match node.kind() {
                Kind::Branch(branch) => {
                    node = branch.child(search_wide(branch.pivots(), index));
                }
                Kind::Leaf(leaf) => {
                    let slot = search_wide(leaf.pivots(), index);
                    // Acquire: pairs with the Release in `write::publish`.
                    // Witness: `tests/loom.rs::exact_fit_then_load`.
                    return self.entry(leaf.slots()[slot].load(Ordering::Acquire));
                }
            }
        }
    }

    /// The range at `index`, of an entry or of the gap there.
    #[inline]
    #[must_use]
    #[doc(alias = "mas_walk")]
    pub fn range_at(self, index: u64) -> (Span, Option<E::Ref<'g>>) {
        let (span, raw) = self.walk(index);
        (span, self.entry(raw))
    }

    /// The leaf at `index`, and where its ends are.
    #[inline]
    pub(crate) fn leaf_at(self, index: u64) -> Option<(&'g C::Leaf, Ends<'g>)> {
        let mut node = self.top()?;
        let mut ends = Ends::all();
        loop {
            match node.kind() {
                Kind::Leaf(leaf) => return Some((leaf, ends)),
                Kind::Branch(branch) => {
                    let pivots = branch.pivots();
                    let slot = search_wide(pivots, index);
                    ends = ends.of_slot(pivots, slot);
                    node = branch.child(slot);
                }
            }
        }
    }

    /// The slot at `index` and its bounds, for an owner who takes the entry out.
    pub(crate) fn slot_at(self, index: u64) -> Option<(Span, &'g Slot)> {
        let (leaf, ends) = self.leaf_at(index)?;
        let pivots = leaf.pivots();
        let slot = search(pivots, index);
        Some((ends.of_slot(pivots, slot).span(), &leaf.slots()[slot]))
    }

    /// The slot at `index`: its bounds and its word.
    #[expect(
        clippy::inline_always,
        reason = "what it answers with would go through memory"
    )]
    #[inline(always)]
    pub(crate) fn walk(self, index: u64) -> (Span, *mut ()) {
        let Some((leaf, ends)) = self.leaf_at(index) else {
            return (Span::ALL, core::ptr::null_mut());
        };
        let pivots = leaf.pivots();
        let slot = search_wide(pivots, index);
        // Acquire: pairs with the Release in `write::publish`.
        // Witness: `tests/loom.rs::exact_fit_then_load`.
        let raw = leaf.slots()[slot].load(Ordering::Acquire);
        (ends.of_slot(pivots, slot).span(), raw)
    }

    /// The entry at `index`, with its whole range.
    #[expect(
        clippy::inline_always,
        reason = "what it answers with would go through memory"
    )]
    #[inline(always)]
    #[must_use]
    #[doc(alias = "mas_walk")]
    pub fn load(self, index: u64) -> Option<(Span, E::Ref<'g>)> {
        let (span, raw) = self.walk(index);
        Some((span, self.entry(raw)?))
    }

    /// The first entry whose range ends at or after `index`: the one at `index`, or the next.
    #[inline]
    #[must_use]
    #[doc(alias = "mas_find")]
    #[doc(alias = "mt_find")]
    #[doc(alias = "find_vma")]
    pub fn find(self, index: u64) -> Option<(Span, E::Ref<'g>)> {
        let (mut leaf, mut ends) = self.leaf_at(index)?;
        let mut slot = search_wide(leaf.pivots(), index);
        loop {
            let of_slot = ends.of_slot(leaf.pivots(), slot);
            // Acquire: pairs with the Release in `write::publish`.
            // Witness: `tests/loom.rs::exact_fit_then_load`.
            if let Some(entry) = self.entry(leaf.slots()[slot].load(Ordering::Acquire)) {
                return Some((of_slot.span(), entry));
            }
            slot += 1;
            if of_slot.last() >= ends.last() {
                (leaf, ends) = self.leaf_at(ends.last().checked_add(1)?)?;
                slot = 0;
                // The leaf at that index may begin before it by now.
                let next = of_slot.last() + 1;
                if ends.first() < next && !planted!("find_in_old_place") {
                    slot = search(leaf.pivots(), next);
                }
            }
        }
    }

    /// The last entry whose range begins at or before `index`: the one at `index`, or the one
    /// before.
    #[inline]
    #[must_use]
    #[doc(alias = "mas_find_rev")]
    pub fn find_rev(self, mut index: u64) -> Option<(Span, E::Ref<'g>)> {
        loop {
            let (span, raw) = self.walk(index);
            if let Some(entry) = self.entry(raw) {
                return Some((span, entry));
            }
            index = span.first.checked_sub(1)?;
        }
    }

    /// The first entry after `span`.
    #[must_use]
    #[doc(alias = "mas_next")]
    #[doc(alias = "mt_next")]
    pub fn next(self, span: Span) -> Option<(Span, E::Ref<'g>)> {
        self.find(span.last.checked_add(1)?)
    }

    /// The last entry before `span`.
    #[must_use]
    #[doc(alias = "mas_prev")]
    #[doc(alias = "mt_prev")]
    pub fn prev(self, span: Span) -> Option<(Span, E::Ref<'g>)> {
        self.find_rev(span.first.checked_sub(1)?)
    }

    /// All entries in ascending order.
    #[must_use]
    #[doc(alias = "mas_for_each")]
    #[doc(alias = "mt_for_each")]
    pub fn iter(self) -> Iter<'g, E, C> {
        Iter::new(self, Span::ALL)
    }

    /// The entries that meet `index..`, ascending.
    #[must_use]
    pub fn iter_from(self, index: u64) -> Iter<'g, E, C> {
        Iter::new(self, Span::new(index, u64::MAX))
    }

    /// The entries that meet a range, ascending, each with its whole range.
    #[must_use]
    pub fn range(self, range: impl Into<Span>) -> Iter<'g, E, C> {
        Iter::new(self, range.into())
    }

    /// The entries that meet `..=index`, descending.
    #[must_use]
    #[doc(alias = "mas_for_each_rev")]
    pub fn iter_rev_from(self, index: u64) -> IterRev<'g, E, C> {
        IterRev::new(self, index)
    }

    /// All entries in descending order.
    #[must_use]
    pub fn iter_rev(self) -> IterRev<'g, E, C> {
        IterRev::new(self, u64::MAX)
    }
}

impl<E: Entry, C: TracksGaps> Reader<'_, E, C> {
    /// The lowest index, a multiple of `align`, at which `size` empty indices begin that all lie
    /// in `limits`. `None` also for a size of 0, an alignment that is no power of two, or
    /// inverted limits.
    ///
    /// O(log n) for an alignment of 1; with a larger one, gaps that are long enough but not
    /// aligned are looked at one by one.
    #[must_use]
    #[doc(alias = "mas_empty_area")]
    pub fn lowest_gap(self, size: u64, align: u64, limits: impl Into<Span>) -> Option<u64> {
        gap::lowest(self.top(), Limits::new(size, align, limits.into())?)
    }

    /// The highest index, a multiple of `align`, at which `size` empty indices begin that all
    /// lie in `limits`. `None` as for [`lowest_gap`](Self::lowest_gap).
    #[must_use]
    #[doc(alias = "mas_empty_area_rev")]
    pub fn highest_gap(self, size: u64, align: u64, limits: impl Into<Span>) -> Option<u64> {
        gap::highest(self.top(), Limits::new(size, align, limits.into())?)
    }
}

//! Edit: a write that stays within one leaf of a tree that nobody reads, made in place.
//!
//! The leaf's tail moves up or down, the items go into the hole, and the gaps above follow: no
//! node is allocated and none is retired. A leaf without room shares with its neighbour or is split
//! (`overflow`). What does not fit otherwise (the write spans leaves, the leaf keeps too little, an
//! emptied range merges with one in the next leaf) is left to the general way, which builds new
//! nodes.
//!
//! ```text
//!   store [20, 24]      | 9 | 40 | max |                 | 9 | 19 | 24 | 40 | max |
//!   into                | a | b  | -   |        =>       | a | b  | N  | b' | -   |
//! ```
//!
//! # Safety
//!
//! Used only by a writer that is alone: it came from a `&mut` tree, so no reader exists, and the
//! one reference to the leaf is made after the last look through others.
#![expect(unsafe_code, reason = "writes to a leaf in place")]

use super::Writer;
use super::build::{Item, Items};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, Kind, MAX_HEIGHT, NodeRef};
use crate::node::{Node, first_of, len, longest_gap, search};
use crate::span::Span;
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;
use vmaple_sync::slots;

/// A branch on the way to the leaf, and the slot taken.
pub(super) struct Turn<'w, C: Config> {
    pub(super) node: NodeRef<'w, C>,
    pub(super) branch: BranchRef<'w, C>,
    pub(super) slot: usize,
}

impl<C: Config> Clone for Turn<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for Turn<'_, C> {}

pub(super) type Way<'w, C> = FixedVec<Turn<'w, C>, MAX_HEIGHT>;

/// The leaf of a write.
pub(super) struct LeafAt<'w, C: Config> {
    pub(super) node: NodeRef<'w, C>,
    pub(super) leaf: &'w C::Leaf,
    pub(super) bounds: Span,
}

/// The slots that a write replaces.
pub(super) struct Cut {
    pub(super) from: usize,
    /// The last of them.
    pub(super) to: usize,
    /// What is emptied or filled, widened for an erasure.
    span: Span,
    /// Where slot `from` begins.
    first: u64,
    /// Where slot `to` ends.
    last: u64,
}

#[inline]
fn walk<'w, C: Config>(way: &mut Way<'w, C>, top: NodeRef<'w, C>, index: u64) -> LeafAt<'w, C> {
    let mut node = top;
    let mut bounds = Span::ALL;
    loop {
        match node.kind() {
            Kind::Leaf(leaf) => return LeafAt { node, leaf, bounds },
            Kind::Branch(branch) => {
                let pivots = branch.pivots();
                let slot = search(pivots, index);
                way.push(Turn { node, branch, slot });
                bounds = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
                node = branch.child(slot);
            }
        }
    }
}

impl<C: Config> LeafAt<'_, C> {
    #[inline]
    fn raw(&self, slot: usize) -> *mut () {
        // Relaxed: read by the writer, who wrote it.
        self.leaf.slots()[slot].load(Ordering::Relaxed)
    }

    #[inline]
    fn cut(&self, span: Span) -> Cut {
        let pivots = self.leaf.pivots();
        let from = search(pivots, span.first);
        let to = search(pivots, span.last);
        Cut {
            from,
            to,
            span,
            first: first_of(pivots, from, self.bounds.first),
            last: pivots[to],
        }
    }

    /// The longest empty slot among `from..=to`, the first of which begins at `first`.
    #[inline]
    fn widest_empty(&self, from: usize, to: usize, mut first: u64) -> u64 {
        let mut widest = 0;
        for slot in from..=to {
            let last = self.leaf.pivots()[slot];
            if self.raw(slot).is_null() {
                widest = widest.max(last - first + 1);
            }
            first = last.wrapping_add(1);
        }
        widest
    }
}

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Makes the write in place if it stays within one leaf and leaves that well filled. `None`:
    /// it does not, and nothing was done.
    #[inline]
    pub(super) fn edit(
        &mut self,
        top: NodeRef<'w, C>,
        span: Span,
        new: *mut (),
    ) -> Option<Result<(), AllocError>> {
        debug_assert!(self.is_alone);
        let mut way = Way::new();
        let at = walk(&mut way, top, span.first);
        if span.last > at.bounds.last {
            return None;
        }
        let mut cut = at.cut(span);
        if new.is_null() {
            self.widen(&at, &mut cut)?;
        }
        let has_before = cut.first < cut.span.first;
        let has_after = cut.span.last < cut.last;
        let nr_old = cut.to - cut.from + 1;
        let nr_new = 1 + usize::from(has_before) + usize::from(has_after);
        let nr_used = len(at.leaf.pivots(), at.bounds.last);
        let nr_left = nr_used + nr_new - nr_old;
        let is_last = at.bounds.last == u64::MAX;
        let may_be_empty = new.is_null() && nr_left == 1;
        if may_be_empty || (nr_left < C::Leaf::MIN && !is_last && !cfg!(planted = "edit_underfull"))
        {
            return None;
        }
        if nr_left > C::Leaf::SLOTS {
            return self.overflow(&way, &at, &cut, new);
        }
        if new.is_null() && nr_old == 1 && nr_new == 1 && at.raw(cut.from).is_null() {
            return Some(Ok(()));
        }
        Some(self.apply(&way, &at, &cut, new))
    }

    /// Widens an erasure over the empty slots at and beside its ends. `None` if there is one in
    /// another leaf.
    #[inline]
    fn widen(&self, at: &LeafAt<'w, C>, cut: &mut Cut) -> Option<()> {
        let pivots = at.leaf.pivots();
        if at.raw(cut.from).is_null() {
            cut.span.first = cut.first;
        } else if cut.first == cut.span.first {
            if cut.from > 0 {
                if at.raw(cut.from - 1).is_null() && !cfg!(planted = "edit_null_run") {
                    cut.from -= 1;
                    cut.first = first_of(pivots, cut.from, at.bounds.first);
                    cut.span.first = cut.first;
                }
            } else if cut.first > 0 && self.is_empty_at(cut.first - 1) {
                return None;
            }
        }
        if at.raw(cut.to).is_null() {
            cut.span.last = cut.last;
        } else if cut.last == cut.span.last {
            if cut.last < at.bounds.last {
                if at.raw(cut.to + 1).is_null() {
                    cut.to += 1;
                    cut.last = pivots[cut.to];
                    cut.span.last = cut.last;
                }
            } else if cut.last < u64::MAX
                && self.is_empty_at(cut.last + 1)
                && !cfg!(planted = "edit_null_beside")
            {
                return None;
            }
        }
        Some(())
    }

    fn is_empty_at(&self, index: u64) -> bool {
        self.reader().walk(index).1.is_null()
    }

    /// Replaces the slots of `cut`.
    #[inline]
    fn apply(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: *mut (),
    ) -> Result<(), AllocError> {
        let items = self.prepare(at, cut, new)?;
        self.retire_cut(at, cut);
        let gap = C::TRACKS_GAPS.then(|| {
            let removed = at.widest_empty(cut.from, cut.to, cut.first);
            (removed, widest_empty_item(&items, cut.first))
        });
        let nr_used = len(at.leaf.pivots(), at.bounds.last);
        // SAFETY: The writer is alone, and `at.leaf` is not looked at until the edit is over.
        let leaf = unsafe { at.node.leaf_mut() };
        splice(leaf, nr_used, cut, &items);
        if let Some((removed, added)) = gap {
            self.settle(way, at.node, at.bounds, removed, added);
        }
        Ok(())
    }

    /// Does what may fail: makes the items, and room in the log for what they displace.
    #[inline]
    pub(super) fn prepare(
        &mut self,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: *mut (),
    ) -> Result<Items, AllocError> {
        self.nodes.reserve_entries(cut.to - cut.from + 1)?;
        self.edit_items(at, cut, new)
    }

    /// What goes into the hole: left remainder, new entry, right remainder.
    #[inline]
    fn edit_items(&self, at: &LeafAt<'w, C>, cut: &Cut, new: *mut ()) -> Result<Items, AllocError> {
        let mut items = Items::new();
        let has_before = cut.first < cut.span.first;
        if has_before {
            items.push(Item::slot(at.raw(cut.from), cut.span.first - 1));
        }
        items.push(Item::slot(new, cut.span.last));
        if cut.span.last < cut.last {
            let mut raw = at.raw(cut.to);
            if let Some(entry) = NonNull::new(raw)
                && has_before
                && cut.from == cut.to
            {
                // SAFETY: The tree owns the entry in that slot.
                raw = unsafe { E::try_duplicate(entry) }?.into_raw().as_ptr();
            }
            items.push(Item::slot(raw, cut.last));
        }
        Ok(items)
    }

    /// Logs the entries of which nothing remains.
    #[inline]
    fn retire_cut(&mut self, at: &LeafAt<'w, C>, cut: &Cut) {
        if !core::mem::needs_drop::<E>() || cfg!(planted = "edit_leak") {
            return;
        }
        for slot in cut.from..=cut.to {
            let remains = (slot == cut.from && cut.first < cut.span.first)
                || (slot == cut.to && cut.span.last < cut.last);
            if let Some(entry) = NonNull::new(at.raw(slot))
                && !remains
            {
                self.nodes.retire_entry(entry);
            }
        }
    }

    /// Makes the gaps above the edited leaf exact, given the longest that was removed from it and
    /// the longest that was added.
    #[inline]
    fn settle(
        &self,
        way: &Way<'w, C>,
        node: NodeRef<'w, C>,
        bounds: Span,
        removed: u64,
        added: u64,
    ) {
        let Some(parent) = way.last() else {
            return;
        };
        // Relaxed, here and below: nobody else looks.
        let old = parent.branch.node.gaps()[parent.slot].load(Ordering::Relaxed);
        let mut gap = old.max(added);
        if removed == old && added < old && !cfg!(planted = "edit_gap") {
            let Kind::Leaf(leaf) = node.kind() else {
                unreachable!("the way ends in a leaf")
            };
            let at = LeafAt { node, leaf, bounds };
            gap = at.widest_empty(0, len(leaf.pivots(), bounds.last) - 1, bounds.first);
        }
        settle_above(way, gap);
    }
}

/// Notes in the branches from the last of `way` up that the longest gap below it is `gap`.
#[inline]
pub(super) fn settle_above<C: Config>(way: &[Turn<'_, C>], mut gap: u64) {
    for turn in way.iter().rev() {
        let gaps = turn.branch.node.gaps();
        // Relaxed, here and below: nobody else looks.
        if gaps[turn.slot].load(Ordering::Relaxed) == gap {
            return;
        }
        // Relaxed: as above.
        gaps[turn.slot].store(gap, Ordering::Relaxed);
        gap = longest_gap(gaps, gaps.len());
    }
}

/// The longest empty item; the first begins at `first`.
#[inline]
pub(super) fn widest_empty_item(items: &[Item], mut first: u64) -> u64 {
    let mut widest = 0;
    for item in items.iter() {
        if item.raw.is_null() {
            widest = widest.max(item.last - first + 1);
        }
        first = item.last.wrapping_add(1);
    }
    widest
}

/// Puts `items` in place of the slots of `cut`.
#[inline]
fn splice<N: Node>(leaf: &mut N, nr_used: usize, cut: &Cut, items: &Items) {
    let (pivots, words) = leaf.parts_mut();
    let tail = cut.to + 1;
    let new_tail = cut.from + items.len();
    if new_tail != tail {
        pivots.copy_within(tail..nr_used, new_tail);
        slots::copy_within(words, tail..nr_used, new_tail);
        let nr_left = new_tail + (nr_used - tail);
        if nr_left < nr_used {
            pivots[nr_left..nr_used].fill(u64::MAX);
            slots::clear(words, nr_left..nr_used);
        }
    }
    for (slot, item) in (cut.from..).zip(items.iter()) {
        pivots[slot] = item.last;
        // Relaxed: nobody else looks.
        words[slot].store(item.raw, Ordering::Relaxed);
    }
}

//! Edit: a write that stays within one leaf, or within two leaves side by side.
//!
//! Most writes change one leaf. What to do is decided the same way whether or not others may look:
//! the slots that the range touches are cut out and up to three items take their place. A writer
//! that is alone then changes the leaf itself; one beside readers changes a copy (`copy`). A leaf
//! that would hold too much or too little, or a range that goes on in the next leaf, is a matter of
//! two leaves (`pair`). The rest (the write spans more, or the parent has no room) is left to the
//! general way, which builds new nodes from the leaves up.
//!
//! ```text
//!   store [20, 24]      | 9 | 40 | max |                 | 9 | 19 | 24 | 40 | max |
//!   into                | a | b  | -   |        =>       | a | b  | N  | b' | -   |
//! ```
//!
//! # Safety
//!
//! A leaf is changed only by a writer that is alone: it came from a `&mut` tree, so no reader
//! exists, and the one reference to the leaf is made after the last look through others.
#![expect(unsafe_code, reason = "writes to a leaf in place")]

use super::build::{Item, Items};
use super::pair::Mates;
use super::publish::settle_gaps;
use super::{Fill, Way, Writer};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::link::{Kind, NodeRef};
use crate::node::{Node, Slot, first_of, len, search};
use crate::span::Span;
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;
use vmaple_sync::slots;

/// The leaf of a write.
pub(crate) struct LeafAt<'w, C: Config> {
    pub(super) node: NodeRef<'w, C>,
    pub(super) leaf: &'w C::Leaf,
    pub(super) bounds: Span,
}

impl<C: Config> Clone for LeafAt<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for LeafAt<'_, C> {}

/// A slot of a leaf.
#[derive(Clone, Copy)]
pub(crate) struct SlotAt {
    pub(super) slot: usize,
    /// What it covers.
    pub(crate) span: Span,
    /// Its word.
    pub(crate) raw: *mut (),
}

/// The slots that a write replaces.
pub(super) struct Cut {
    pub(super) from: usize,
    /// The last of them.
    pub(super) to: usize,
    /// What is emptied or filled, widened for an erasure.
    pub(super) span: Span,
    /// Where slot `from` begins.
    pub(super) first: u64,
    /// Where slot `to` ends.
    pub(super) last: u64,
}

impl Cut {
    /// One slot and all of it.
    fn slot(slot: usize, span: Span) -> Self {
        Self {
            from: slot,
            to: slot,
            span,
            first: span.first,
            last: span.last,
        }
    }

    /// Whether something of slot `from` remains.
    #[inline]
    pub(super) fn keeps_before(&self) -> bool {
        self.first < self.span.first
    }

    /// Whether something of slot `to` remains.
    #[inline]
    pub(super) fn keeps_after(&self) -> bool {
        self.span.last < self.last
    }

    /// How many slots it replaces.
    #[inline]
    pub(super) fn nr_old(&self) -> usize {
        self.to - self.from + 1
    }

    /// How many items take their place.
    #[inline]
    pub(super) fn nr_new(&self, new: Fill) -> usize {
        new.nr_slots() + usize::from(self.keeps_before()) + usize::from(self.keeps_after())
    }

    /// Whether it is one slot and all of it.
    #[inline]
    pub(super) fn is_one_slot(&self) -> bool {
        self.from == self.to && !self.keeps_before() && !self.keeps_after()
    }

    /// The slots of whose entries nothing remains: `from..to`, empty if `to` is not above `from`.
    #[inline]
    pub(super) fn dying(&self) -> (usize, usize) {
        (
            self.from + usize::from(self.keeps_before()),
            self.to + usize::from(!self.keeps_after()),
        )
    }
}

/// Walks from the top to the leaf of `index`, telling the way to `note`.
#[inline]
pub(super) fn walk<'w, C: Config>(
    top: NodeRef<'w, C>,
    index: u64,
    mut note: impl FnMut(NodeRef<'w, C>, usize),
) -> LeafAt<'w, C> {
    let mut node = top;
    let mut bounds = Span::ALL;
    loop {
        match node.kind() {
            Kind::Leaf(leaf) => return LeafAt { node, leaf, bounds },
            Kind::Branch(branch) => {
                let pivots = branch.pivots();
                let slot = search(pivots, index);
                note(node, slot);
                bounds = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
                node = branch.child(slot);
            }
        }
    }
}

impl<C: Config> LeafAt<'_, C> {
    #[inline]
    pub(super) fn raw(&self, slot: usize) -> *mut () {
        // Relaxed: read by the writer, who wrote it.
        self.leaf.slots()[slot].load(Ordering::Relaxed)
    }

    /// How many slots the leaf uses.
    #[inline]
    pub(super) fn nr_used(&self) -> usize {
        len(self.leaf.pivots(), self.bounds.last)
    }

    /// Whether the leaf uses at most so many slots, and not none.
    #[inline]
    fn uses_at_most(&self, nr: usize) -> bool {
        let last = self.leaf.pivots().get(nr - 1);
        last.is_none_or(|last| *last >= self.bounds.last)
    }

    /// The slot of `index`.
    #[inline]
    pub(crate) fn slot_of(&self, index: u64) -> SlotAt {
        let pivots = self.leaf.pivots();
        let slot = search(pivots, index);
        let first = first_of(pivots, slot, self.bounds.first);
        SlotAt {
            slot,
            span: Span::new(first, pivots[slot]),
            raw: self.raw(slot),
        }
    }

    /// The slots that `span` touches, the first of which is `from`.
    #[inline]
    fn cut(&self, from: SlotAt, span: Span) -> Cut {
        let (slot, held) = (from.slot, from.span);
        // Mostly the same slot, which is cheaper to see than to find again.
        let (to, last) = if span.last <= held.last {
            (slot, held.last)
        } else {
            let pivots = self.leaf.pivots();
            let to = search(pivots, span.last);
            (to, pivots[to])
        };
        Cut {
            from: slot,
            to,
            span,
            first: held.first,
            last,
        }
    }

    /// All of the first slot, as what a write replaces.
    pub(super) fn first_slot(&self) -> Cut {
        let span = Span::new(self.bounds.first, self.leaf.pivots()[0]);
        Cut::slot(0, span)
    }

    /// The same of the last one, of those that are used.
    pub(super) fn last_slot(&self, nr_used: usize) -> Cut {
        let slot = nr_used - 1;
        let first = first_of(self.leaf.pivots(), slot, self.bounds.first);
        Cut::slot(slot, Span::new(first, self.bounds.last))
    }

    /// The longest empty slot among `from..to`, of those that are used, or the first that is not
    /// shorter than `enough`. The first of them begins at `first`.
    #[inline]
    fn widest_empty(&self, (from, to): (usize, usize), mut first: u64, enough: u64) -> u64 {
        let mut widest = 0;
        let pivots = &self.leaf.pivots()[from..to];
        for (last, word) in pivots.iter().zip(&self.leaf.slots()[from..to]) {
            let len = last.wrapping_sub(first).wrapping_add(1);
            // Relaxed: read by the writer, who wrote it.
            if word.load(Ordering::Relaxed).is_null() && len > widest {
                widest = len;
                if widest >= enough {
                    break;
                }
            }
            if *last == self.bounds.last {
                break;
            }
            first = last.wrapping_add(1);
        }
        widest
    }

    /// The longest empty part of what takes the place of the slots of `cut`.
    #[inline]
    fn added_gap(&self, cut: &Cut, new: Fill) -> u64 {
        let mut widest = new.widest_empty(cut.span);
        if cut.keeps_before() && self.raw(cut.from).is_null() {
            widest = widest.max(cut.span.first - cut.first);
        }
        if cut.keeps_after() && self.raw(cut.to).is_null() {
            widest = widest.max(cut.last - cut.span.last);
        }
        widest
    }

    /// The longest gap once something whose longest is `added` has taken the place of `cut`. `old`
    /// is what it was before.
    #[inline(always)]
    pub(super) fn gap_after(&self, cut: &Cut, added: u64, old: u64) -> u64 {
        if added >= old || cfg!(planted = "edit_gap") {
            return old.max(added);
        }
        // Mostly at the ends of the tree: what is beside has not the room for a longer one.
        let beside = (cut.first - self.bounds.first).max(self.bounds.last - cut.last);
        if added >= beside {
            return added;
        }
        let is_full = cut.from == cut.to && !self.raw(cut.from).is_null();
        if is_full || self.widest_empty((cut.from, cut.to + 1), cut.first, old) < old {
            return old;
        }
        self.gap_beside(cut, added, old)
    }

    /// The same, where a gap as long as any goes.
    fn gap_beside(&self, cut: &Cut, added: u64, old: u64) -> u64 {
        let before = self.widest_empty((0, cut.from), self.bounds.first, old);
        if before >= old || cut.last == self.bounds.last {
            return added.max(before);
        }
        let behind = (cut.to + 1, C::Leaf::SLOTS);
        let after = self.widest_empty(behind, cut.last.wrapping_add(1), old);
        added.max(before).max(after)
    }
}

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Makes the write if one leaf or two are enough. `None`: they are not, and nothing was done.
    #[inline]
    pub(super) fn edit(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        from: SlotAt,
        span: Span,
        new: Fill,
    ) -> Option<Result<(), AllocError>> {
        if span.last > at.bounds.last {
            return self.edit_pair(way, at, Mates::After, span, new);
        }
        let mut cut = at.cut(from, span);
        if new.is_erasure()
            && let Some(mates) = self.widen(at, &mut cut)
        {
            if mates == Mates::Both {
                return None;
            }
            let done = self.edit_border(way, at, &cut, mates);
            return done.or_else(|| self.edit_pair(way, at, mates, span, new));
        }
        let (nr_old, nr_new) = (cut.nr_old(), cut.nr_new(new));
        if nr_new > nr_old {
            if !at.uses_at_most(C::Leaf::SLOTS - (nr_new - nr_old)) {
                let mates = self.overflow_mates(way, at, &cut, new)?;
                return self.edit_pair(way, at, mates, span, new);
            }
        } else {
            let nr_less = nr_old - nr_new;
            if new.is_erasure() && at.uses_at_most(nr_less + 1) {
                // Nothing would be left but emptiness.
                return None;
            }
            let is_underfull = nr_less > 0 && at.uses_at_most(nr_less + C::Leaf::MIN - 1);
            let is_last = at.bounds.last == u64::MAX;
            if is_underfull && !is_last && !cfg!(planted = "edit_underfull") {
                return self.edit_pair(way, at, Mates::Either, span, new);
            }
        }
        if let Some(finger) = &mut self.finger {
            // What follows leaves every branch on the way as it is, but for the leaf's slot.
            finger.keep(way, at);
        }
        if new.is_erasure() && cut.is_one_slot() && at.raw(cut.from).is_null() {
            return Some(Ok(()));
        }
        Some(if self.is_alone {
            self.edit_in_place(way, at, &cut, new)
        } else {
            self.edit_copy(way, at, &cut, new)
        })
    }

    /// Widens an erasure over the empty slots at and beside its ends. If there is one in another
    /// leaf, the leaf on that side has to come in.
    #[inline]
    fn widen(&self, at: &LeafAt<'w, C>, cut: &mut Cut) -> Option<Mates> {
        let pivots = at.leaf.pivots();
        let mut mates = None;
        if at.raw(cut.from).is_null() {
            cut.span.first = cut.first;
        } else if !cut.keeps_before() {
            if cut.from > 0 {
                if at.raw(cut.from - 1).is_null() && !cfg!(planted = "edit_null_run") {
                    cut.from -= 1;
                    cut.first = first_of(pivots, cut.from, at.bounds.first);
                    cut.span.first = cut.first;
                }
            } else if cut.first > 0 && self.is_empty_at(cut.first - 1) {
                mates = Some(Mates::Before);
            }
        }
        if at.raw(cut.to).is_null() {
            cut.span.last = cut.last;
        } else if !cut.keeps_after() {
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
                let both = mates.map(|_| Mates::Both);
                return both.or(Some(Mates::After));
            }
        }
        mates
    }

    pub(super) fn is_empty_at(&self, index: u64) -> bool {
        self.reader().walk(index).1.is_null()
    }

    /// Replaces the slots of `cut` in the leaf itself.
    #[inline]
    fn edit_in_place(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: Fill,
    ) -> Result<(), AllocError> {
        debug_assert!(self.is_alone);
        self.nodes.reserve_entries(cut.nr_old())?;
        let mut items = Items::new();
        self.put_items(&mut items, cut, (at.raw(cut.from), at.raw(cut.to)), new)?;
        if core::mem::needs_drop::<E>() && !cfg!(planted = "edit_leak") {
            let (from, to) = cut.dying();
            for entry in (from..to).filter_map(|slot| NonNull::new(at.raw(slot))) {
                self.nodes.retire_entry(entry);
            }
        }
        let gap = longest_after(way, at, cut, new);
        // SAFETY: The writer is alone, and `at.leaf` is not looked at until the edit is over.
        let leaf = unsafe { at.node.leaf_mut() };
        splice(leaf, cut, &items);
        if let Some((old, gap)) = gap
            && gap != old
        {
            settle_gaps(way.whole().up(), gap);
        }
        Ok(())
    }

    /// What takes the place of the slots of `cut`, the outer ones of which hold `before` and
    /// `after`: left remainder, new entry, right remainder.
    #[inline(always)]
    pub(super) fn put_items(
        &self,
        items: &mut Items,
        cut: &Cut,
        (before, after): (*mut (), *mut ()),
        new: Fill,
    ) -> Result<(), AllocError> {
        if cut.keeps_before() {
            items.push(Item::slot(before, cut.span.first - 1));
        }
        new.put(items, cut.span.last);
        if cut.keeps_after() {
            let mut raw = after;
            if let Some(entry) = NonNull::new(raw)
                && cut.keeps_before()
                && cut.from == cut.to
                && !cfg!(planted = "no_duplicate")
            {
                // SAFETY: The tree owns the entry in that slot, the one that the write splits.
                raw = unsafe { self.nodes.duplicate(entry) }?.into_raw().as_ptr();
            }
            items.push(Item::slot(raw, cut.last));
        }
        Ok(())
    }
}

/// The longest gap of the leaf before and after a write, if anybody above wants to know.
#[inline]
pub(super) fn longest_after<C: Config>(
    way: &Way<'_, C>,
    at: &LeafAt<'_, C>,
    cut: &Cut,
    new: Fill,
) -> Option<(u64, u64)> {
    if !C::TRACKS_GAPS {
        return None;
    }
    let parent = way.whole().last()?;
    // Relaxed: read by the writer, who wrote it.
    let old = parent.branch.node.gaps()[parent.slot].load(Ordering::Relaxed);
    Some((old, at.gap_after(cut, at.added_gap(cut, new), old)))
}

/// Puts `items` in place of the slots of `cut`, in a leaf that has the room.
#[inline(always)]
pub(super) fn splice<N: Node>(leaf: &mut N, cut: &Cut, items: &Items) {
    let (pivots, words) = leaf.parts_mut();
    let tail = cut.to + 1;
    let new_tail = cut.from + items.len();
    // Unused slots move with the tail. One item more or less, or two, is what most writes make.
    match new_tail.wrapping_sub(tail).cast_signed() {
        0 => {}
        1 => open::<1>(pivots, words, tail),
        2 => open::<2>(pivots, words, tail),
        -1 => close::<1>(pivots, words, new_tail),
        -2 => close::<2>(pivots, words, new_tail),
        _ => {
            pivots.copy_within(tail..N::SLOTS, new_tail);
            slots::copy_within(words, tail..N::SLOTS, new_tail);
            let end = N::SLOTS - (tail - new_tail);
            pivots[end..N::SLOTS].fill(u64::MAX);
            slots::clear(words, end..N::SLOTS);
        }
    }
    put(pivots, words, cut.from, items);
}

/// Puts `items` into the slots from `from` on.
#[inline(always)]
pub(super) fn put(pivots: &mut [u64], words: &mut [Slot], from: usize, items: &Items) {
    for (slot, item) in (from..).zip(items.iter()) {
        pivots[slot] = item.last;
        // Relaxed: nobody else looks.
        words[slot].store(item.raw, Ordering::Relaxed);
    }
}

/// Makes room for `BY` slots before slot `tail`.
#[inline(always)]
fn open<const BY: usize>(pivots: &mut [u64], words: &mut [Slot], tail: usize) {
    slots::move_up::<BY, _>(pivots, tail);
    slots::move_slots_up::<BY, _>(words, tail);
}

/// Takes `BY` slots out, from slot `at` on.
#[inline(always)]
fn close<const BY: usize>(pivots: &mut [u64], words: &mut [Slot], at: usize) {
    slots::move_down::<BY, _>(pivots, at, u64::MAX);
    slots::move_slots_down::<BY, _>(words, at);
}

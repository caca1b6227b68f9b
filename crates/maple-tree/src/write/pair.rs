//! Pair: a write for which one leaf is too little: two neighbours under one parent take it
//! together.
//!
//! Their slots are laid in a row, the write is made there, and what comes out is dealt to one leaf
//! or two. That shares the slots of a leaf that overflows with its neighbour, so that leaves stay
//! well filled under stores in random order, splits it if the neighbour is full too, merges leaves
//! with too little, joins an emptied range with one that ends the leaf before, and makes stores
//! that reach into the next leaf. Where the parent has no room for another child, or would keep too
//! few, the write is left to the general way.
//!
//! ```text
//!     [ . | L | R | . ]                 [ . | L' | R' | . ]'
//!          /   \             =>              /    \
//!   [a b c -]  [- d e]                 [a b]'     [N d e]'      N over c and both gaps
//! ```
//!
//! A writer that is alone changes the leaves and the parent themselves. Beside readers all three
//! are made anew and the new parent takes the old one's place by one store.
//!
//! # Safety
//!
//! Slots are gathered through shared references first. Unique references are made after the last
//! use of those, one per node, to nodes that nobody else can see.
#![expect(unsafe_code, reason = "writes to nodes in place")]

use super::build::{Items, sizes};
use super::edit::{Cut, LeafAt};
use super::publish::settle_gaps;
use super::row::{Part, Row};
use super::way::{Stretch, Turn};
use super::{Fill, Way, Writer};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::link::{Kind, NodeRef};
use crate::node::{Node, first_of, len, longest_gap};
use crate::span::Span;
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;
use vmaple_sync::planted;
use vmaple_sync::slots;

/// Which leaf takes part beside the one at the write's first index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mates {
    Before,
    After,
    /// The one before, if there is one.
    Either,
    /// None: the leaf is split.
    None,
    /// Those on both sides, which is too much.
    Both,
}

/// One leaf, or two side by side.
struct Window<'w, C: Config> {
    left: LeafAt<'w, C>,
    right: Option<LeafAt<'w, C>>,
    /// The left one's slot in the parent.
    slot: usize,
    /// How many slots the left one uses.
    nr_left: usize,
}

/// The nodes that hold the outcome.
struct Outcome<'w, C: Config> {
    left: NodeRef<'w, C>,
    right: Option<NodeRef<'w, C>>,
    parent: NodeRef<'w, C>,
}

impl<'w, C: Config> Window<'w, C> {
    fn bounds(&self) -> Span {
        let last = self.right.as_ref().unwrap_or(&self.left).bounds.last;
        Span::new(self.left.bounds.first, last)
    }
}

/// The first index of the node to which `way` leads.
fn first_below<C: Config>(way: Stretch<'_, '_, C>) -> u64 {
    let turn = way.up().find(|turn| turn.slot > 0);
    turn.map_or(0, |turn| first_of(turn.branch.pivots(), turn.slot, 0))
}

/// The leaf at `slot` of the branch to which `above` and then `parent` lead, if there is one.
pub(super) fn leaf_at<'w, C: Config>(
    above: Stretch<'_, 'w, C>,
    parent: &Turn<'w, C>,
    slot: usize,
) -> Option<LeafAt<'w, C>> {
    let word = parent.branch.node.slots().get(slot)?;
    // Relaxed: read by the writer, who wrote it.
    if word.load(Ordering::Relaxed).is_null() {
        return None;
    }
    let node = parent.branch.child(slot);
    let Kind::Leaf(leaf) = node.kind() else {
        unreachable!("the parent of a leaf has leaves")
    };
    let pivots = parent.branch.pivots();
    let first = first_of(pivots, slot, first_below(above));
    let bounds = Span::new(first, pivots[slot]);
    Some(LeafAt { node, leaf, bounds })
}

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Which leaf shares with one that has no room for a write; `None`: there is none with room in
    /// the parent either.
    #[inline(never)]
    pub(super) fn overflow_mates(
        &self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: Fill,
    ) -> Option<Mates> {
        let parent = way.whole().last()?;
        let nr_used = at.nr_used();
        let is_append = cut.to + 1 == nr_used && at.bounds.last == u64::MAX;
        let nr_left = nr_used + cut.nr_new(new) - cut.nr_old();
        let room = (2 * C::Leaf::SLOTS).saturating_sub(nr_left);
        let used_by = |slot| {
            let mate = leaf_at(Stretch::none(), &parent, slot)?;
            let nr_used = len(mate.leaf.pivots(), mate.bounds.last);
            (nr_used <= room).then_some(nr_used)
        };
        // Ascending stores leave full leaves behind: nobody there has room.
        if !is_append {
            let before = parent.slot.checked_sub(1).and_then(used_by);
            let after = used_by(parent.slot + 1);
            // The emptier one, so that it is not full again at once.
            match (before, after) {
                (Some(before), Some(after)) if after < before => return Some(Mates::After),
                (Some(_), _) => return Some(Mates::Before),
                (None, Some(_)) => return Some(Mates::After),
                (None, None) => {}
            }
        }
        let last_slot = &parent.branch.node.slots()[C::Branch::SLOTS - 1];
        // Relaxed: read by the writer, who wrote it.
        let is_full = !last_slot.load(Ordering::Relaxed).is_null();
        (!is_full).then_some(Mates::None)
    }

    /// Makes a write in the leaf `at` and a neighbour. `None`: there is no such neighbour under the
    /// same parent, or they are not enough, and nothing was done.
    #[inline(never)]
    pub(super) fn edit_pair(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        mates: Mates,
        span: Span,
        new: Fill,
    ) -> Option<Result<(), AllocError>> {
        let (parent, above) = way.whole().split_last()?;
        let window = self.window(above, &parent, at, mates)?;
        let mut row = Row::new();
        row.gather(&window.left, window.nr_left);
        if let Some(right) = &window.right {
            row.gather(right, right.nr_used());
        }
        if span.last > window.bounds().last {
            return None;
        }
        let mut cut = row.cut(window.bounds().first, span);
        if new.is_erasure() {
            self.widen_row(&row, window.bounds(), &mut cut)?;
        }
        let nr_after = row.len() + cut.nr_new(new) - cut.nr_old();
        if new.is_erasure() && nr_after == 1 {
            return None;
        }
        let nr_leaves = Self::nr_leaves(&parent, above.is_empty(), &window, nr_after)?;
        Some(self.rewrite(way, &window, nr_leaves, &mut row, &cut, new))
    }

    fn window(
        &self,
        above: Stretch<'_, 'w, C>,
        parent: &Turn<'w, C>,
        at: &LeafAt<'w, C>,
        mates: Mates,
    ) -> Option<Window<'w, C>> {
        let before = match mates {
            Mates::Before | Mates::Either => parent.slot.checked_sub(1),
            Mates::After | Mates::None | Mates::Both => None,
        };
        let (left, right, slot) = if let Some(slot) = before {
            (leaf_at(above, parent, slot)?, Some(*at), slot)
        } else if mates == Mates::None {
            (*at, None, parent.slot)
        } else if matches!(mates, Mates::Before | Mates::Both) {
            return None;
        } else {
            let right = leaf_at(above, parent, parent.slot + 1)?;
            (*at, Some(right), parent.slot)
        };
        let nr_left = left.nr_used();
        Some(Window {
            left,
            right,
            slot,
            nr_left,
        })
    }

    /// Widens an erasure over the empty slots at and beside its ends. `None` if there is one outside
    /// the row.
    fn widen_row(&self, row: &Row, bounds: Span, cut: &mut Cut) -> Option<()> {
        if row.word(cut.from).is_null() {
            cut.span.first = cut.first;
        } else if !cut.keeps_before() {
            if cut.from > 0 {
                if row.word(cut.from - 1).is_null() {
                    cut.from -= 1;
                    cut.first = match cut.from.checked_sub(1) {
                        Some(before) => row.last(before) + 1,
                        None => bounds.first,
                    };
                    cut.span.first = cut.first;
                }
            } else if cut.first > 0 && self.is_empty_at(cut.first - 1) {
                return None;
            }
        }
        if row.word(cut.to).is_null() {
            cut.span.last = cut.last;
        } else if !cut.keeps_after() {
            if cut.last < bounds.last {
                if row.word(cut.to + 1).is_null() {
                    cut.to += 1;
                    cut.last = row.last(cut.to);
                    cut.span.last = cut.last;
                }
            } else if cut.last < u64::MAX && self.is_empty_at(cut.last + 1) {
                return None;
            }
        }
        Some(())
    }

    /// How many leaves are to hold `nr_slots` slots: one or two. `None` if neither fits, or the
    /// parent has no room for two or would keep too few children.
    fn nr_leaves(
        parent: &Turn<'w, C>,
        is_root: bool,
        window: &Window<'w, C>,
        nr_slots: usize,
    ) -> Option<usize> {
        let is_last = window.bounds().last == u64::MAX;
        if nr_slots <= C::Leaf::SLOTS {
            let slots = parent.branch.node.slots().iter();
            // Relaxed: read by the writer, who wrote it.
            let used = slots.take_while(|slot| !slot.load(Ordering::Relaxed).is_null());
            let nr_children = used.count() - usize::from(window.right.is_some());
            let fewest = if is_root { 2 } else { C::Branch::MIN };
            let is_enough = nr_slots >= C::Leaf::MIN || is_last;
            return (is_enough && nr_children >= fewest).then_some(1);
        }
        if nr_slots > 2 * C::Leaf::SLOTS {
            return None;
        }
        let last_slot = &parent.branch.node.slots()[C::Branch::SLOTS - 1];
        // Relaxed: read by the writer, who wrote it.
        let is_full = !last_slot.load(Ordering::Relaxed).is_null();
        (window.right.is_some() || !is_full).then_some(2)
    }

    /// Makes the write: `row` with `cut` replaced, in `nr_leaves` leaves.
    fn rewrite(
        &mut self,
        way: &Way<'w, C>,
        window: &Window<'w, C>,
        nr_leaves: usize,
        row: &mut Row,
        cut: &Cut,
        new: Fill,
    ) -> Result<(), AllocError> {
        let (parent, above) = way.whole().split_last().expect("the leaves have a parent");
        let made = self
            .outcome(&parent, window, nr_leaves, cut)
            .and_then(|to| {
                let mut items = Items::new();
                let words = (row.word(cut.from), row.word(cut.to));
                self.put_items(&mut items, cut, words, new)?;
                Ok((to, items))
            });
        let (to, items) = match made {
            Ok(made) => made,
            Err(error) => {
                // SAFETY: Nothing new is published, nor used again.
                unsafe { self.nodes.abandon() };
                return Err(error);
            }
        };
        self.nodes.keep_fresh();
        self.retire_window(&parent, window, nr_leaves, row, cut);
        let nr_kept = (cut.from, row.len() - 1 - cut.to);
        row.replace(cut, &items);
        let nr_low = match (nr_leaves, &window.right) {
            (1, _) => row.len(),
            (_, Some(_)) => row.len() / 2,
            (_, None) => {
                let is_last = window.bounds().last == u64::MAX;
                sizes::<C::Leaf>(row.len(), nr_kept.0, nr_kept.1, is_last)[0]
            }
        };
        let gap = deal(&to, window, row.split_at(nr_low));
        if self.is_alone {
            if C::TRACKS_GAPS {
                settle_gaps(above.up(), gap);
            }
        } else {
            let word = to.parent.as_ptr().as_ptr();
            let gap = C::TRACKS_GAPS.then_some(gap);
            self.publish_below(above, word, parent.node.level() + 1, gap);
        }
        Ok(())
    }

    /// The nodes for the outcome: those there are, or new ones where readers may be.
    fn outcome(
        &mut self,
        parent: &Turn<'w, C>,
        window: &Window<'w, C>,
        nr_leaves: usize,
        cut: &Cut,
    ) -> Result<Outcome<'w, C>, AllocError> {
        self.nodes.reserve_logs(1)?;
        self.nodes.reserve_entries(cut.nr_old() + 1)?;
        let is_alone = self.is_alone;
        let left = if is_alone {
            window.left.node
        } else {
            self.new_leaf()?
        };
        let right = match &window.right {
            _ if nr_leaves == 1 => None,
            Some(right) if is_alone => Some(right.node),
            _ => Some(self.new_leaf()?),
        };
        let parent = if is_alone || planted!("pair_two_stores") {
            parent.node
        } else {
            self.copy_of(parent.branch.node, parent.node.level())?
        };
        Ok(Outcome {
            left,
            right,
            parent,
        })
    }

    fn new_leaf(&mut self) -> Result<NodeRef<'w, C>, AllocError> {
        let word = self.nodes.make::<C::Leaf>(0)?.as_word();
        let node = NonNull::new(word).expect("a node was made");
        // SAFETY: Just made, of level 0, and about to belong to the tree.
        Ok(unsafe { NodeRef::new(node, 0) })
    }

    /// Logs what the write displaces.
    fn retire_window(
        &mut self,
        parent: &Turn<'w, C>,
        window: &Window<'w, C>,
        nr_leaves: usize,
        row: &Row,
        cut: &Cut,
    ) {
        let (from, to) = cut.dying();
        let nr_left = window.nr_left;
        if !self.is_alone {
            self.nodes.retire(parent.node, (0, 0));
            let dying = (from.min(nr_left), to.min(nr_left));
            self.nodes.retire(window.left.node, dying);
            if let Some(right) = &window.right {
                let to = if cfg!(planted = "pair_leak") { 0 } else { to };
                let dying = (from.max(nr_left) - nr_left, to.max(nr_left) - nr_left);
                self.nodes.retire(right.node, dying);
            }
            return;
        }
        if core::mem::needs_drop::<E>() && from < to && !cfg!(planted = "edit_leak") {
            for entry in row
                .words(from, to)
                .iter()
                .filter_map(|word| NonNull::new(*word))
            {
                self.nodes.retire_entry(entry);
            }
        }
        if nr_leaves == 1
            && let Some(right) = &window.right
        {
            self.nodes.retire(right.node, (0, 0));
        }
    }
}

/// Deals the slots to the leaves and corrects their parent; returns its longest gap.
fn deal<C: Config>(
    to: &Outcome<'_, C>,
    window: &Window<'_, C>,
    (low, high): (Part<'_>, Part<'_>),
) -> u64 {
    let boundary = low.lasts[low.lasts.len() - 1];
    let slot = window.slot;
    // SAFETY: The writer is alone with these nodes; no other reference to this leaf is used any
    // more.
    let gap_low = fill(unsafe { to.left.leaf_mut() }, low, window.bounds().first);
    let high = to.right.map(|right| {
        // SAFETY: As above; it is another leaf.
        let gap = fill(unsafe { right.leaf_mut() }, high, boundary.wrapping_add(1));
        (right, gap)
    });
    // SAFETY: As above; the path's own reference to the parent is not used again.
    let branch = unsafe { to.parent.branch_mut() };
    match (&window.right, high) {
        (None, Some(_)) => insert_child(branch, slot),
        (Some(_), None) => remove_child(branch, slot),
        _ => {}
    }
    let (pivots, words) = branch.parts_mut();
    // Relaxed, here and below: published later, or nobody else looks.
    words[slot].store(to.left.as_ptr().as_ptr(), Ordering::Relaxed);
    if !cfg!(planted = "overflow_boundary") {
        pivots[slot] = boundary;
    }
    if let Some((right, _)) = high {
        // Relaxed: as above.
        words[slot + 1].store(right.as_ptr().as_ptr(), Ordering::Relaxed);
    }
    if !C::TRACKS_GAPS {
        return 0;
    }
    let gaps = branch.gaps();
    // Relaxed: as above.
    gaps[slot].store(gap_low, Ordering::Relaxed);
    if let Some((_, gap)) = high {
        let gap = if cfg!(planted = "split_gap") { 0 } else { gap };
        // Relaxed: as above.
        gaps[slot + 1].store(gap, Ordering::Relaxed);
    }
    longest_gap(gaps, gaps.len())
}

/// Makes `leaf` hold `part` and nothing else; returns its longest gap.
#[inline]
fn fill<N: Node>(leaf: &mut N, part: Part<'_>, first: u64) -> u64 {
    let (pivots, words) = leaf.parts_mut();
    let nr = part.lasts.len();
    pivots[..nr].copy_from_slice(part.lasts);
    pivots[nr..].fill(u64::MAX);
    for (word, raw) in words.iter().zip(part.words) {
        // Relaxed: nobody else looks.
        word.store(*raw, Ordering::Relaxed);
    }
    let end = words.len();
    slots::clear(words, nr..end);
    part.widest_empty(first)
}

/// Makes room for a child behind slot `slot`, with the pivot that slot had.
fn insert_child<N: Node>(branch: &mut N, slot: usize) {
    let (pivots, words) = branch.parts_mut();
    let end = pivots.len() - 1;
    pivots.copy_within(slot..end, slot + 1);
    slots::copy_within(words, slot + 1..end, slot + 2);
    let gaps = branch.gaps();
    if !gaps.is_empty() {
        for at in (slot + 1..end).rev() {
            // Relaxed: nobody else looks.
            gaps[at + 1].store(gaps[at].load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Takes out the child behind slot `slot`, which takes over its pivot.
fn remove_child<N: Node>(branch: &mut N, slot: usize) {
    let (pivots, words) = branch.parts_mut();
    let end = pivots.len();
    pivots.copy_within(slot + 1..end, slot);
    pivots[end - 1] = u64::MAX;
    slots::copy_within(words, slot + 2..end, slot + 1);
    slots::clear(words, end - 1..end);
    let gaps = branch.gaps();
    if let Some(last) = gaps.last() {
        for at in slot + 1..end - 1 {
            // Relaxed: nobody else looks.
            gaps[at].store(gaps[at + 1].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // Relaxed: as above.
        last.store(0, Ordering::Relaxed);
    }
}

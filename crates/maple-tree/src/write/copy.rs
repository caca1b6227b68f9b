//! Copy: a write that stays within one leaf of a tree that others may read.
//!
//! Where no bounds change (one slot gets another entry, or is emptied between two entries) the
//! write is one store into that slot. Else the leaf is copied, the copy is changed as a leaf would
//! be that nobody reads, and takes the leaf's place by one store.
//!
//! ```text
//!          [ . * . ]            [ . * . ]  one store
//!              |                    \
//!              |          =>         \
//!   [ a | b | - | c ]     [ a | N | c ]'     the old leaf waits for its readers
//! ```
//!
//! # Safety
//!
//! The copy is changed before anybody else can see it. What it is made of is read as only the tree's
//! one writer may, who alone has a [`LeafAt`].
#![expect(
    unsafe_code,
    reason = "gives up a copy that nobody has seen, and reads slots as their writer"
)]

use super::build::Items;
use super::edit::{Cut, LeafAt, longest_after, put};
use super::{Fill, Way, Writer};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::node::{Node, Slot};
use vmaple_sync::slots;

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Replaces the slots of `cut` for readers too.
    #[inline]
    pub(super) fn edit_copy(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: Fill,
    ) -> Result<(), AllocError> {
        self.nodes.reserve_logs(0)?;
        if cut.is_one_slot() {
            self.edit_slot(way, at, cut, new);
            return Ok(());
        }
        let mut copy = self.nodes.make_copy::<C::Leaf>(at.leaf, 0)?;
        let mut items = Items::new();
        let words = (at.raw(cut.from), at.raw(cut.to));
        if let Err(error) = self.put_items(&mut items, cut, words, new) {
            // SAFETY: The copy is not published, nor used again.
            unsafe { self.nodes.abandon() };
            return Err(error);
        }
        self.nodes.keep_fresh();
        let gap = longest_after(way, at, cut, new);
        splice_from(&mut *copy, at, cut, &items);
        let dying = if cfg!(planted = "copy_leak") {
            (0, 0)
        } else {
            cut.dying()
        };
        self.nodes.retire(at.node, dying);
        self.publish_below(way.whole(), copy.as_word(), 1, gap.map(|(_, gap)| gap));
        if let Some(finger) = &mut self.finger {
            finger.follow(copy.as_word());
        }
        Ok(())
    }

    /// Stores into the one slot of `cut`, whose bounds stay.
    fn edit_slot(&mut self, way: &Way<'w, C>, at: &LeafAt<'w, C>, cut: &Cut, new: Fill) {
        let mut items = Items::new();
        new.put(&mut items, cut.last);
        let gap = longest_after(way, at, cut, new).map(|(_, gap)| gap);
        self.publish_entry(way, &at.leaf.slots()[cut.from], items[0].raw, gap);
    }
}

/// Puts `items` in place of the slots of `cut` in `copy`, which is one of the leaf `at` and has the
/// room.
///
/// The tail comes from the leaf and not from the copy: so it need not wait for that.
#[inline(always)]
fn splice_from<C: Config>(copy: &mut C::Leaf, at: &LeafAt<'_, C>, cut: &Cut, items: &Items) {
    let old = at.leaf;
    let (pivots, words) = copy.parts_mut();
    let tail = cut.to + 1;
    let new_tail = cut.from + items.len();
    let nr_moved = C::Leaf::SLOTS - tail.max(new_tail);
    let end = new_tail + nr_moved;
    if new_tail != tail {
        // Unused slots move with the tail, as many as there is room for.
        pivots[new_tail..end].copy_from_slice(&old.pivots()[tail..tail + nr_moved]);
        let words = &mut words[new_tail..end];
        // SAFETY: Slots are written by the tree's one writer only, who is here.
        unsafe { slots::copy_from(words, &old.slots()[tail..tail + nr_moved]) };
    }
    match C::Leaf::SLOTS - end {
        _ if cfg!(planted = "copy_unemptied") => {}
        0 => {}
        1 => empty::<1>(pivots, words),
        2 => empty::<2>(pivots, words),
        nr => {
            pivots[end..].fill(u64::MAX);
            slots::clear(words, end..end + nr);
        }
    }
    put(pivots, words, cut.from, items);
}

/// Empties the last `NR` slots, mostly so few that no loop is needed.
#[inline(always)]
fn empty<const NR: usize>(pivots: &mut [u64], words: &mut [Slot]) {
    let end = pivots.len() - NR;
    pivots[end..].copy_from_slice(&[u64::MAX; NR]);
    slots::clear(words, end..end + NR);
}

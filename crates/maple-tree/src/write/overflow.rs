//! Overflow: an edit in place whose leaf has no room for it.
//!
//! A neighbour under the same parent takes part of the slots if it has room to spare, so that
//! leaves stay well filled under stores in random order; or else the leaf is split, and the parent
//! takes the new leaf in place. A full parent is left to the general way.
//!
//! # Safety
//!
//! As in `edit`: the writer is alone. Slots are gathered through shared references first; unique
//! ones are made after the last use of those, one per node.
#![expect(unsafe_code, reason = "writes to nodes in place")]

use super::Writer;
use super::build::{Item, sizes};
use super::edit::{Cut, LeafAt, Turn, Way, settle_above, widest_empty_item};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::fixed_vec::FixedVec;
use crate::link::{Kind, NodeRef};
use crate::node::{Node, first_of, len};
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;
use vmaple_sync::slots;

/// The slots of two leaves and what a write adds.
type Slots = FixedVec<Item, { 2 * 64 + 2 }>;

/// A neighbour that takes part of an overflowing leaf's slots.
struct Mate<'w, C: Config> {
    node: NodeRef<'w, C>,
    leaf: &'w C::Leaf,
    nr_used: usize,
    /// Its slot in the parent.
    slot: usize,
}

/// Two leaves side by side, and where the left one hangs.
struct Pair<'w, C: Config> {
    left: NodeRef<'w, C>,
    right: NodeRef<'w, C>,
    /// Whether the right one is new: the parent does not know it.
    is_right_new: bool,
    /// The left one's slot in the parent, and its first index.
    slot: usize,
    first: u64,
}

/// How many slots two leaves may use together after sharing: full ones would overflow again soon.
const fn most_shared<N: Node>() -> usize {
    2 * N::SLOTS - N::SLOTS / 8 - 1
}

fn gather<C: Config>(slots: &mut Slots, leaf: &C::Leaf, from: usize, to: usize) {
    let pivots = &leaf.pivots()[from..to];
    for (last, word) in pivots.iter().zip(&leaf.slots()[from..to]) {
        // Relaxed: read by the writer, who wrote it.
        slots.push(Item::slot(word.load(Ordering::Relaxed), *last));
    }
}

/// The leaf at `slot` of the parent, if there is one that uses at most `room` slots.
fn mate<'w, C: Config>(parent: &Turn<'w, C>, slot: usize, room: usize) -> Option<Mate<'w, C>> {
    let word = parent.branch.node.slots().get(slot)?;
    // Relaxed: read by the writer, who wrote it.
    if word.load(Ordering::Relaxed).is_null() {
        return None;
    }
    let node = parent.branch.child(slot);
    let Kind::Leaf(leaf) = node.kind() else {
        unreachable!("the parent of a leaf has leaves")
    };
    let nr_used = len(leaf.pivots(), parent.branch.pivots()[slot]);
    (nr_used <= room).then_some(Mate {
        node,
        leaf,
        nr_used,
        slot,
    })
}

/// The first index of the node to which `way` leads.
fn first_below<C: Config>(way: &[Turn<'_, C>]) -> u64 {
    let turn = way.iter().rev().find(|turn| turn.slot > 0);
    turn.map_or(0, |turn| first_of(turn.branch.pivots(), turn.slot, 0))
}

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Makes a write in place for which its leaf has no room. `None`: there is none in the parent
    /// either, and nothing was done.
    #[inline(never)]
    pub(super) fn overflow(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: *mut (),
    ) -> Option<Result<(), AllocError>> {
        let parent = way.last()?;
        let nr_used = len(at.leaf.pivots(), at.bounds.last);
        let is_append = cut.to + 1 == nr_used && at.bounds.last == u64::MAX;
        // The write leaves up to three slots for those it replaces.
        let nr_left = nr_used + 3 - (cut.to - cut.from + 1);
        let room = most_shared::<C::Leaf>().saturating_sub(nr_left);
        // Ascending stores leave full leaves behind: nobody there has room.
        let is_shared = !is_append;
        let lower = parent.slot.checked_sub(1).filter(|_| is_shared);
        let mate = lower
            .and_then(|slot| mate(parent, slot, room))
            .or_else(|| mate(parent, parent.slot + 1, room).filter(|_| is_shared));
        let last_slot = &parent.branch.node.slots()[C::Branch::SLOTS - 1];
        // Relaxed: read by the writer, who wrote it.
        if mate.is_none() && !last_slot.load(Ordering::Relaxed).is_null() {
            return None;
        }
        Some(self.share(way, at, cut, new, mate.as_ref()))
    }

    /// Distributes the leaf's slots and the write's over it and `mate`, or over it and a new leaf.
    fn share(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        new: *mut (),
        mate: Option<&Mate<'w, C>>,
    ) -> Result<(), AllocError> {
        let pair = self.pair(way, at, mate)?;
        let items = match self.prepare(at, cut, new) {
            Ok(items) => items,
            Err(error) => {
                // SAFETY: A new leaf of the pair is not published, nor is the pair used again.
                unsafe { self.nodes.abandon() };
                return Err(error);
            }
        };
        self.nodes.keep_fresh();
        let nr_used = len(at.leaf.pivots(), at.bounds.last);
        let nr_after = nr_used - 1 - cut.to;
        let mut slots = Slots::new();
        let lower = mate.filter(|mate| mate.slot == pair.slot && !pair.is_right_new);
        let upper = mate.filter(|mate| mate.slot != pair.slot);
        if let Some(mate) = lower {
            gather::<C>(&mut slots, mate.leaf, 0, mate.nr_used);
        }
        gather::<C>(&mut slots, at.leaf, 0, cut.from);
        items.iter().for_each(|item| slots.push(*item));
        gather::<C>(&mut slots, at.leaf, cut.to + 1, nr_used);
        if let Some(mate) = upper {
            gather::<C>(&mut slots, mate.leaf, 0, mate.nr_used);
        }
        let nr_low = if pair.is_right_new {
            let is_last = at.bounds.last == u64::MAX;
            sizes::<C::Leaf>(slots.len(), cut.from, nr_after, is_last)[0]
        } else {
            slots.len() / 2
        };
        // Nothing dies: a write that adds slots leaves a rest of every entry it touches.
        spread(way, &pair, slots.split_at(nr_low));
        Ok(())
    }

    /// The two leaves: the overflowing one and `mate`, or a new one to its right.
    fn pair(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        mate: Option<&Mate<'w, C>>,
    ) -> Result<Pair<'w, C>, AllocError> {
        let (parent, above) = way.split_last().expect("the leaf has a parent");
        let (right, is_right_new) = match mate {
            Some(mate) if mate.slot < parent.slot => {
                let min = first_below(above);
                return Ok(Pair {
                    left: mate.node,
                    right: at.node,
                    is_right_new: false,
                    slot: mate.slot,
                    first: first_of(parent.branch.pivots(), mate.slot, min),
                });
            }
            Some(mate) => (mate.node, false),
            None => {
                self.nodes.reserve_logs(0)?;
                let word = self.nodes.make::<C::Leaf>(0)?.as_word();
                let node = NonNull::new(word).expect("a node was made");
                // SAFETY: Just made, of level 0, and about to belong to the tree.
                (unsafe { NodeRef::new(node, 0) }, true)
            }
        };
        Ok(Pair {
            left: at.node,
            right,
            is_right_new,
            slot: parent.slot,
            first: at.bounds.first,
        })
    }
}

/// Distributes the slots over both leaves and corrects the parent and the gaps above.
fn spread<C: Config>(way: &Way<'_, C>, pair: &Pair<'_, C>, (low, high): (&[Item], &[Item])) {
    let (parent, above) = way.split_last().expect("the leaves have a parent");
    let boundary = low[low.len() - 1].last;
    // SAFETY: The writer is alone, and no other reference to this leaf is used any more.
    let gap_low = fill(unsafe { pair.left.leaf_mut() }, low, pair.first);
    // SAFETY: As above; it is another leaf.
    let gap_high = fill(unsafe { pair.right.leaf_mut() }, high, boundary + 1);
    let slot = pair.slot;
    // SAFETY: The writer is alone, and the path's own reference to the parent is not used again.
    let branch = unsafe { parent.node.branch_mut() };
    if pair.is_right_new {
        insert_child(branch, slot, pair.right.as_ptr().as_ptr());
    }
    if !cfg!(planted = "overflow_boundary") {
        branch.pivots_mut()[slot] = boundary;
    }
    if C::TRACKS_GAPS {
        let gaps = branch.gaps();
        // Relaxed: nobody else looks.
        gaps[slot].store(gap_low, Ordering::Relaxed);
        let gap_high = if cfg!(planted = "split_gap") {
            0
        } else {
            gap_high
        };
        // Relaxed: as above.
        gaps[slot + 1].store(gap_high, Ordering::Relaxed);
        settle_above(above, crate::node::longest_gap(gaps, gaps.len()));
    }
}

/// Makes `leaf` hold `items` and nothing else; returns its longest gap.
fn fill<N: Node>(leaf: &mut N, items: &[Item], first: u64) -> u64 {
    let (pivots, words) = leaf.parts_mut();
    for ((pivot, word), item) in pivots.iter_mut().zip(&*words).zip(items) {
        *pivot = item.last;
        // Relaxed: nobody else looks.
        word.store(item.raw, Ordering::Relaxed);
    }
    pivots[items.len()..].fill(u64::MAX);
    let end = words.len();
    slots::clear(words, items.len()..end);
    widest_empty_item(items, first)
}

/// Hangs `child` behind slot `slot`; its pivot is the one that slot had.
fn insert_child<N: Node>(branch: &mut N, slot: usize, child: *mut ()) {
    let (pivots, words) = branch.parts_mut();
    let end = pivots.len() - 1;
    pivots.copy_within(slot..end, slot + 1);
    slots::copy_within(words, slot + 1..end, slot + 2);
    // Relaxed, here and below: nobody else looks.
    words[slot + 1].store(child, Ordering::Relaxed);
    let gaps = branch.gaps();
    if !gaps.is_empty() {
        for at in (slot + 1..end).rev() {
            // Relaxed: as above.
            gaps[at + 1].store(gaps[at].load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

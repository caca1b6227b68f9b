//! The leaves of a tree in order, by the path from the root.
//!
//! The branches on the path are kept. A writer may replace them meanwhile: they stay readable
//! until the read section ends, and what they lead to is the tree as it was then. So leaves come in
//! order, none overlaps the one before, and there is no gap between them: an iteration never goes
//! backwards, never repeats, and never misses an entry that was there throughout. An entry stored
//! or erased meanwhile may or may not be seen.

use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, Kind, MAX_HEIGHT, NodeRef};
use crate::node::{Node, SlotSet, first_of, slots_from, slots_to};
use crate::occupied::occupied;
use crate::span::Span;
use vmaple_sync::atomic::Ordering;

/// A branch on the path, and the slot the path takes.
pub(crate) struct Turn<'g, C: Config> {
    branch: BranchRef<'g, C>,
    slot: usize,
    /// The branch's own bounds.
    bounds: Span,
}

impl<C: Config> Clone for Turn<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for Turn<'_, C> {}

/// A leaf with its bounds.
pub(crate) struct LeafAt<'g, C: Config> {
    pub(crate) leaf: &'g C::Leaf,
    pub(crate) bounds: Span,
}

impl<C: Config> Clone for LeafAt<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for LeafAt<'_, C> {}

/// The branches above the one that a leaf hangs from, from the top.
pub(crate) type Above<'g, C> = FixedVec<Turn<'g, C>, MAX_HEIGHT>;

/// A leaf, and the branch from which it hangs: none if the leaf is the whole tree.
pub(crate) type Found<'g, C> = (LeafAt<'g, C>, Option<Turn<'g, C>>);

/// Which way to go through leaves and slots.
pub(crate) trait Direction {
    /// Takes the slot to be looked at first out of a set that is not empty.
    fn take(set: &mut SlotSet) -> usize;
    /// The slots behind `slot`.
    fn behind(slot: usize) -> SlotSet;
    /// The index just beyond `bounds`, if there is one.
    fn beyond(bounds: Span) -> Option<u64>;
    /// The leaf of `index`, which is just beyond the one that `turn` leads to, if it hangs from
    /// the same branch.
    fn beside<'g, C: Config>(turn: &mut Turn<'g, C>, index: u64) -> Option<LeafAt<'g, C>>;
    /// The turn into the next slot of a branch.
    fn onward<C: Config>(turn: Turn<'_, C>) -> Turn<'_, C>;
}

/// Towards higher indices.
#[derive(Debug)]
pub(crate) struct Up;

/// Towards lower indices.
#[derive(Debug)]
pub(crate) struct Down;

impl Direction for Up {
    #[inline]
    fn take(set: &mut SlotSet) -> usize {
        let slot = set.trailing_zeros();
        *set &= *set - 1;
        slot as usize
    }

    #[inline]
    fn behind(slot: usize) -> SlotSet {
        slots_from(slot) & !(1 << slot)
    }

    #[inline]
    fn beyond(bounds: Span) -> Option<u64> {
        bounds.last.checked_add(1)
    }

    #[inline]
    fn beside<'g, C: Config>(turn: &mut Turn<'g, C>, index: u64) -> Option<LeafAt<'g, C>> {
        (index <= turn.bounds.last).then(|| {
            turn.slot += 1;
            let last = turn.branch.pivots()[turn.slot];
            turn.leaf_within(Span::new(index, last))
        })
    }

    fn onward<C: Config>(turn: Turn<'_, C>) -> Turn<'_, C> {
        Turn {
            slot: turn.slot + 1,
            ..turn
        }
    }
}

impl Direction for Down {
    #[inline]
    fn take(set: &mut SlotSet) -> usize {
        let slot = set.ilog2();
        *set ^= 1 << slot;
        slot as usize
    }

    #[inline]
    fn behind(slot: usize) -> SlotSet {
        slots_to(slot) & !(1 << slot)
    }

    #[inline]
    fn beyond(bounds: Span) -> Option<u64> {
        bounds.first.checked_sub(1)
    }

    #[inline]
    fn beside<'g, C: Config>(turn: &mut Turn<'g, C>, index: u64) -> Option<LeafAt<'g, C>> {
        (turn.bounds.first <= index).then(|| {
            turn.slot -= 1;
            let first = first_of(turn.branch.pivots(), turn.slot, turn.bounds.first);
            turn.leaf_within(Span::new(first, index))
        })
    }

    fn onward<C: Config>(turn: Turn<'_, C>) -> Turn<'_, C> {
        Turn {
            slot: turn.slot - 1,
            ..turn
        }
    }
}

/// The leaf of `index`, which is just beyond the one that hangs from `parent`. `above` is the way
/// to `parent`, which becomes the branch that this leaf hangs from.
#[inline]
pub(crate) fn turn<'g, C: Config, D: Direction>(
    parent: &mut Option<Turn<'g, C>>,
    above: &mut Above<'g, C>,
    index: u64,
) -> Option<LeafAt<'g, C>> {
    if let Some(leaf) = D::beside(parent.as_mut()?, index) {
        return Some(leaf);
    }
    let (leaf, new_parent) = climb::<C, D>(above, index)?;
    *parent = new_parent;
    Some(leaf)
}

/// Finds the leaf of `index`, which hangs from another branch than the current one.
#[cold]
#[inline(never)]
fn climb<'g, C: Config, D: Direction>(
    above: &mut Above<'g, C>,
    index: u64,
) -> Option<Found<'g, C>> {
    loop {
        let turn = above.pop()?;
        if turn.bounds.contains(index) {
            let turn = D::onward(turn);
            let bounds = turn.slot_bounds();
            let child = turn.branch.child(turn.slot);
            return Some(descend(above, Some(turn), child, bounds, index));
        }
    }
}

/// Walks from the top to the leaf of `index`, noting the way in `above`.
pub(crate) fn find<'g, C: Config>(
    above: &mut Above<'g, C>,
    top: NodeRef<'g, C>,
    index: u64,
) -> Found<'g, C> {
    descend(above, None, top, Span::ALL, index)
}

/// Walks on from `node`, which hangs from `parent`, to the leaf of `index`.
fn descend<'g, C: Config>(
    above: &mut Above<'g, C>,
    mut parent: Option<Turn<'g, C>>,
    mut node: NodeRef<'g, C>,
    mut bounds: Span,
    index: u64,
) -> Found<'g, C> {
    loop {
        match node.kind() {
            Kind::Leaf(leaf) => return (LeafAt { leaf, bounds }, parent),
            Kind::Branch(branch) => {
                if let Some(turn) = parent {
                    above.push(turn);
                }
                let (slot, child) = branch.descend(index);
                let turn = Turn {
                    branch,
                    slot,
                    bounds,
                };
                bounds = turn.slot_bounds();
                parent = Some(turn);
                node = child;
            }
        }
    }
}

impl<'g, C: Config> Turn<'g, C> {
    /// What the slot covers.
    fn slot_bounds(&self) -> Span {
        let pivots = self.branch.pivots();
        Span::new(
            first_of(pivots, self.slot, self.bounds.first),
            pivots[self.slot],
        )
    }

    /// The leaf in the slot, which covers `bounds`.
    #[inline]
    fn leaf_within(&self, bounds: Span) -> LeafAt<'g, C> {
        match self.branch.child(self.slot).kind() {
            Kind::Leaf(leaf) => LeafAt { leaf, bounds },
            Kind::Branch(_) => unreachable!("leaves hang from the lowest branch"),
        }
    }
}

impl<C: Config> LeafAt<'_, C> {
    /// The slots that are used, most likely.
    #[inline]
    pub(crate) fn used(&self) -> SlotSet {
        occupied(self.leaf.slots())
    }

    /// What `slot` covers, and the word in it.
    #[inline]
    pub(crate) fn look_at(&self, slot: usize) -> (Span, *mut ()) {
        // A remainder that the compiler turns into nothing, and takes as proof of the bounds.
        let slots = C::Leaf::SLOTS;
        let (slot, before) = (slot % slots, slot.wrapping_sub(1) % slots);
        let pivots = self.leaf.pivots();
        let after = pivots[before].wrapping_add(1);
        let first = core::hint::select_unpredictable(slot == 0, self.bounds.first, after);
        // Acquire: pairs with the Release in `write::publish`.
        // Witness: `tests/loom.rs::exact_fit_then_load`.
        let raw = self.leaf.slots()[slot].load(Ordering::Acquire);
        (Span::new(first, pivots[slot]), raw)
    }
}

//! Iteration in both directions, by the path from the root.
//!
//! An iterator keeps the branches it came through. A writer may replace them meanwhile: they
//! stay readable until the read section ends, and what they lead to is the tree as it was then.
//! So an iteration never goes backwards, never repeats, and never misses an entry that was there
//! throughout; an entry stored or erased meanwhile may or may not be seen.
//!
//! Which slots are empty cannot be predicted, so a leaf's used slots are noted as a set of bits on
//! entering it, and each is looked at again when its turn comes.

use crate::config::Config;
use crate::entry::Entry;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, Kind, MAX_HEIGHT, NodeRef};
use crate::node::{Node, SlotSet, first_of, occupied, search, slots_from, slots_to};
use crate::reader::Reader;
use crate::span::Span;
use core::fmt;
use core::iter::FusedIterator;
use vmaple_sync::atomic::Ordering;

/// A branch on the path, and the slot the path takes.
struct Turn<'g, C: Config> {
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

/// The path to a leaf.
struct Path<'g, C: Config> {
    turns: FixedVec<Turn<'g, C>, MAX_HEIGHT>,
}

/// A leaf with its bounds.
struct LeafAt<'g, C: Config> {
    leaf: &'g C::Leaf,
    bounds: Span,
}

impl<C: Config> Clone for LeafAt<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for LeafAt<'_, C> {}

impl<'g, C: Config> Path<'g, C> {
    fn new() -> Self {
        Self {
            turns: FixedVec::new(),
        }
    }

    /// Walks on from `node` to the leaf of `index`.
    fn descend(&mut self, mut node: NodeRef<'g, C>, mut bounds: Span, index: u64) -> LeafAt<'g, C> {
        loop {
            match node.kind() {
                Kind::Leaf(leaf) => return LeafAt { leaf, bounds },
                Kind::Branch(branch) => {
                    let (slot, child) = branch.descend(index);
                    self.turns.push(Turn {
                        branch,
                        slot,
                        bounds,
                    });
                    bounds = slot_bounds(branch, slot, bounds);
                    node = child;
                }
            }
        }
    }

    /// The leaf that begins at `first`, just after the current one.
    #[inline(never)]
    fn next_leaf(&mut self, first: u64) -> Option<LeafAt<'g, C>> {
        loop {
            let turn = self.turns.pop()?;
            if first <= turn.bounds.last {
                return Some(self.retake(turn, turn.slot + 1, first));
            }
        }
    }

    /// The leaf that ends at `last`, just before the current one.
    #[inline(never)]
    fn prev_leaf(&mut self, last: u64) -> Option<LeafAt<'g, C>> {
        loop {
            let turn = self.turns.pop()?;
            if turn.bounds.first <= last {
                return Some(self.retake(turn, turn.slot - 1, last));
            }
        }
    }

    fn retake(&mut self, turn: Turn<'g, C>, slot: usize, index: u64) -> LeafAt<'g, C> {
        self.turns.push(Turn { slot, ..turn });
        let bounds = slot_bounds(turn.branch, slot, turn.bounds);
        self.descend(turn.branch.child(slot), bounds, index)
    }
}

fn slot_bounds<C: Config>(branch: BranchRef<'_, C>, slot: usize, bounds: Span) -> Span {
    let pivots = branch.pivots();
    Span::new(first_of(pivots, slot, bounds.first), pivots[slot])
}

/// Entries in ascending order: made by [`Reader::iter`] and its like.
pub struct Iter<'g, E: Entry, C: Config> {
    reader: Reader<'g, E, C>,
    path: Path<'g, C>,
    leaf: Option<LeafAt<'g, C>>,
    /// The slots of the leaf that are still to be looked at.
    rest: SlotSet,
    /// Entries that begin after this are not wanted.
    last: u64,
}

impl<'g, E: Entry, C: Config> Iter<'g, E, C> {
    pub(crate) fn new(reader: Reader<'g, E, C>, range: Span) -> Self {
        let mut path = Path::new();
        let leaf = reader
            .top()
            .filter(|_| range.is_valid())
            .map(|top| path.descend(top, Span::ALL, range.first));
        let rest = leaf.as_ref().map_or(0, |at| {
            occupied(at.leaf.slots()) & slots_from(search(at.leaf.pivots(), range.first))
        });
        Self {
            reader,
            path,
            leaf,
            rest,
            last: range.last,
        }
    }

    /// Goes on to the next leaf, if there is one that is wanted. Inlined, so that only the path
    /// has to live in memory.
    #[inline]
    fn turn_leaf(&mut self) {
        let last = self.leaf.take().map_or(u64::MAX, |at| at.bounds.last);
        if last < self.last {
            self.leaf = self.path.next_leaf(last + 1);
            self.rest = self.leaf.as_ref().map_or(0, |at| occupied(at.leaf.slots()));
        }
    }
}

impl<'g, E: Entry, C: Config> Iterator for Iter<'g, E, C> {
    type Item = (Span, E::Ref<'g>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.leaf.as_ref()?;
            if self.rest == 0 {
                self.turn_leaf();
                continue;
            }
            let slot = self.rest.trailing_zeros() as usize;
            self.rest &= self.rest - 1;
            let pivots = at.leaf.pivots();
            let span = Span::new(first_of(pivots, slot, at.bounds.first), pivots[slot]);
            if span.first > self.last {
                self.leaf = None;
                return None;
            }
            // Acquire: pairs with the Release in `write::publish`.
            // Witness: `tests/loom.rs::exact_fit_then_load`.
            let raw = at.leaf.slots()[slot].load(Ordering::Acquire);
            if let Some(entry) = self.reader.entry(raw) {
                return Some((span, entry));
            }
        }
    }

    /// Leaf by leaf, with what belongs to a leaf in registers.
    #[inline]
    fn fold<T, F: FnMut(T, Self::Item) -> T>(mut self, init: T, mut each: F) -> T {
        let mut folded = init;
        while let Some(LeafAt { leaf, bounds }) = self.leaf {
            let (pivots, slots) = (leaf.pivots(), leaf.slots());
            let mut rest = self.rest;
            while rest != 0 {
                let slot = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let span = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
                if span.first > self.last {
                    return folded;
                }
                // Acquire: pairs with the Release in `write::publish`.
                // Witness: `tests/loom.rs::exact_fit_then_load`.
                if let Some(entry) = self.reader.entry(slots[slot].load(Ordering::Acquire)) {
                    folded = each(folded, (span, entry));
                }
            }
            self.turn_leaf();
        }
        folded
    }
}

impl<E: Entry, C: Config> FusedIterator for Iter<'_, E, C> {}

impl<E: Entry, C: Config> fmt::Debug for Iter<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("leaf", &self.leaf.as_ref().map(|at| at.bounds))
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

/// Entries in descending order: made by [`Reader::iter_rev`] and its like.
pub struct IterRev<'g, E: Entry, C: Config> {
    reader: Reader<'g, E, C>,
    path: Path<'g, C>,
    leaf: Option<LeafAt<'g, C>>,
    /// The slots of the leaf that are still to be looked at.
    rest: SlotSet,
}

impl<'g, E: Entry, C: Config> IterRev<'g, E, C> {
    pub(crate) fn new(reader: Reader<'g, E, C>, index: u64) -> Self {
        let mut path = Path::new();
        let leaf = reader.top().map(|top| path.descend(top, Span::ALL, index));
        let rest = leaf.as_ref().map_or(0, |at| {
            occupied(at.leaf.slots()) & slots_to(search(at.leaf.pivots(), index))
        });
        Self {
            reader,
            path,
            leaf,
            rest,
        }
    }

    /// Goes on to the leaf before, if there is one.
    #[inline]
    fn turn_leaf(&mut self) {
        let first = self.leaf.take().map_or(0, |at| at.bounds.first);
        if let Some(last) = first.checked_sub(1) {
            self.leaf = self.path.prev_leaf(last);
            self.rest = self.leaf.as_ref().map_or(0, |at| occupied(at.leaf.slots()));
        }
    }
}

impl<'g, E: Entry, C: Config> Iterator for IterRev<'g, E, C> {
    type Item = (Span, E::Ref<'g>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.leaf.as_ref()?;
            let Some(slot) = self.rest.checked_ilog2() else {
                self.turn_leaf();
                continue;
            };
            self.rest ^= 1 << slot;
            let (pivots, slot) = (at.leaf.pivots(), slot as usize);
            let span = Span::new(first_of(pivots, slot, at.bounds.first), pivots[slot]);
            // Acquire: pairs with the Release in `write::publish`.
            // Witness: `tests/loom.rs::exact_fit_then_load`.
            let raw = at.leaf.slots()[slot].load(Ordering::Acquire);
            if let Some(entry) = self.reader.entry(raw) {
                return Some((span, entry));
            }
        }
    }
}

impl<E: Entry, C: Config> FusedIterator for IterRev<'_, E, C> {}

impl<E: Entry, C: Config> fmt::Debug for IterRev<'_, E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IterRev")
            .field("leaf", &self.leaf.as_ref().map(|at| at.bounds))
            .finish_non_exhaustive()
    }
}

//! Border: an emptied range that ends its leaf and joins a gap in the next one, or the one before.
//!
//! Gaps do not stop at leaves. The leaf that has the gap already takes the whole of it: the border
//! between the two moves, and with it what the other leaf had there goes.
//!
//! ```text
//!     [ . |  L  |  R  | . ]               [ . | L | R | . ]
//!           /       \           =>             /     \
//!   [a - b ERASED]  [- c d]            [a - b]     [   -   c d]
//! ```
//!
//! # Safety
//!
//! A node is changed by a writer that is alone, or is a copy that nobody has seen; the unique
//! references are made after the last look through others, one per node.
#![expect(unsafe_code, reason = "writes to nodes in place")]

use super::edit::{Cut, LeafAt};
use super::pair::{Mates, leaf_at};
use super::publish::settle_gaps;
use super::{Way, Writer};
use crate::config::Config;
use crate::entry::Entry;
use crate::error::AllocError;
use crate::link::NodeRef;
use crate::node::{Node, first_of, longest_gap};
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;
use vmaple_sync::slots;

/// What becomes of two leaves and their parent.
struct Shift<'w, C: Config> {
    left: LeafAt<'w, C>,
    right: LeafAt<'w, C>,
    /// The left one's slot in the parent.
    slot: usize,
    /// Where the left one ends from now on.
    boundary: u64,
    /// The longest gaps of both.
    gaps: (u64, u64),
    /// How many slots of the left one stay, of those it has.
    left_stay: (usize, usize),
    /// How many slots go from the front of the right one, of those it has.
    right_go: (usize, usize),
}

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Empties the slots of `cut`, which reach the end of the leaf `at` where the gap goes on.
    /// `None`: there is no leaf under the same parent on that side, or too little would be left.
    #[inline(never)]
    pub(super) fn edit_border(
        &mut self,
        way: &Way<'w, C>,
        at: &LeafAt<'w, C>,
        cut: &Cut,
        mates: Mates,
    ) -> Option<Result<(), AllocError>> {
        let (parent, above) = way.whole().split_last()?;
        let hints = parent.branch.node.gaps();
        let hint = |slot: usize| {
            // Relaxed: read by the writer, who wrote it.
            C::TRACKS_GAPS.then(|| hints[slot].load(Ordering::Relaxed))
        };
        let rest = |slot| hint(slot).map_or(0, |old| at.gap_after(cut, 0, old));
        let nr_used = at.nr_used();
        let shift = if mates == Mates::After {
            let right = leaf_at(above, &parent, parent.slot + 1)?;
            let nr_stay = cut.from + usize::from(cut.keeps_before());
            if nr_stay < C::Leaf::MIN {
                return None;
            }
            let boundary = cut.span.first - 1;
            let gap = right.leaf.pivots()[0] - boundary;
            Shift {
                left: *at,
                right,
                slot: parent.slot,
                boundary,
                gaps: (
                    rest(parent.slot),
                    hint(parent.slot + 1).unwrap_or(0).max(gap),
                ),
                left_stay: (nr_stay, nr_used),
                right_go: (0, 0),
            }
        } else {
            let slot = parent.slot.checked_sub(1)?;
            let left = leaf_at(above, &parent, slot)?;
            let nr_go = cut.to + usize::from(!cut.keeps_after());
            let fewest = if at.bounds.last == u64::MAX {
                1
            } else {
                C::Leaf::MIN
            };
            if nr_used - nr_go < fewest {
                return None;
            }
            let last = left.nr_used() - 1;
            let boundary = cut.span.last;
            let gap = boundary - first_of(left.leaf.pivots(), last, left.bounds.first) + 1;
            Shift {
                left,
                right: *at,
                slot,
                boundary,
                gaps: (hint(slot).unwrap_or(0).max(gap), rest(parent.slot)),
                left_stay: (last + 1, last + 1),
                right_go: (nr_go, nr_used),
            }
        };
        Some(self.shift(way, &shift, cut, at))
    }

    fn shift(
        &mut self,
        way: &Way<'w, C>,
        shift: &Shift<'w, C>,
        cut: &Cut,
        at: &LeafAt<'w, C>,
    ) -> Result<(), AllocError> {
        let (parent, above) = way.whole().split_last().expect("the leaves have a parent");
        self.nodes.reserve_logs(1)?;
        self.nodes.reserve_entries(cut.nr_old())?;
        let is_right_changed = shift.right_go.0 > 0;
        let [left, right, top] = if self.is_alone {
            [shift.left.node, shift.right.node, parent.node]
        } else {
            let made = self.copies(shift, parent.node, parent.branch.node, is_right_changed);
            // SAFETY: None of the copies is published, nor used again.
            made.inspect_err(|_| unsafe { self.nodes.abandon() })?
        };
        self.nodes.keep_fresh();
        self.retire_shifted(shift, parent.node, cut, at);
        // SAFETY: The writer is alone with this leaf, and no other reference to it is used again.
        let leaf = unsafe { left.leaf_mut() };
        truncate(leaf, shift.left_stay);
        leaf.pivots_mut()[shift.left_stay.0 - 1] = shift.boundary;
        if is_right_changed {
            // SAFETY: As above; it is another leaf.
            drop_front(unsafe { right.leaf_mut() }, shift.right_go);
        }
        // SAFETY: As above; the path's own reference to the parent is not used again.
        let branch = unsafe { top.branch_mut() };
        let (pivots, words) = branch.parts_mut();
        if !cfg!(planted = "border_stays") {
            pivots[shift.slot] = shift.boundary;
        }
        // Relaxed, here and below: published later, or nobody else looks.
        words[shift.slot].store(left.as_ptr().as_ptr(), Ordering::Relaxed);
        // Relaxed: as above.
        words[shift.slot + 1].store(right.as_ptr().as_ptr(), Ordering::Relaxed);
        let gap = C::TRACKS_GAPS.then(|| {
            let hints = branch.gaps();
            // Relaxed: as above.
            hints[shift.slot].store(shift.gaps.0, Ordering::Relaxed);
            // Relaxed: as above.
            hints[shift.slot + 1].store(shift.gaps.1, Ordering::Relaxed);
            longest_gap(hints, hints.len())
        });
        if !self.is_alone {
            let word = top.as_ptr().as_ptr();
            self.publish_below(above, word, parent.node.level() + 1, gap);
        } else if let Some(gap) = gap {
            settle_gaps(above.up(), gap);
        }
        Ok(())
    }

    /// Copies of both leaves and their parent; of the right one only if it changes.
    fn copies(
        &mut self,
        shift: &Shift<'w, C>,
        parent: NodeRef<'w, C>,
        branch: &C::Branch,
        is_right_changed: bool,
    ) -> Result<[NodeRef<'w, C>; 3], AllocError> {
        let left = self.copy_of(shift.left.leaf, 0)?;
        let right = if is_right_changed {
            self.copy_of(shift.right.leaf, 0)?
        } else {
            shift.right.node
        };
        Ok([left, right, self.copy_of(branch, parent.level())?])
    }

    /// A copy that nobody else knows.
    pub(super) fn copy_of<N: Node>(
        &mut self,
        node: &N,
        level: usize,
    ) -> Result<NodeRef<'w, C>, AllocError> {
        let word = self.nodes.make_copy(node, level)?.as_word();
        let node = NonNull::new(word).expect("a node was made");
        // SAFETY: Just made, of this level, and about to belong to the tree.
        Ok(unsafe { NodeRef::new(node, level) })
    }

    /// Logs what the write displaces.
    fn retire_shifted(
        &mut self,
        shift: &Shift<'w, C>,
        parent: NodeRef<'w, C>,
        cut: &Cut,
        at: &LeafAt<'w, C>,
    ) {
        let (from, to) = cut.dying();
        if self.is_alone {
            if core::mem::needs_drop::<E>() {
                for entry in (from..to).filter_map(|slot| NonNull::new(at.raw(slot))) {
                    self.nodes.retire_entry(entry);
                }
            }
            return;
        }
        self.nodes.retire(parent, (0, 0));
        if shift.right_go.0 == 0 {
            self.nodes.retire(shift.left.node, (from, to));
        } else {
            self.nodes.retire(shift.left.node, (0, 0));
            self.nodes.retire(shift.right.node, (from, to));
        }
    }
}

/// Keeps the first `nr_stay` slots.
fn truncate<N: Node>(leaf: &mut N, (nr_stay, nr_used): (usize, usize)) {
    let (pivots, words) = leaf.parts_mut();
    pivots[nr_stay..nr_used].fill(u64::MAX);
    slots::clear(words, nr_stay..nr_used);
}

/// Takes out the first `nr_go` slots.
fn drop_front<N: Node>(leaf: &mut N, (nr_go, nr_used): (usize, usize)) {
    let (pivots, words) = leaf.parts_mut();
    pivots.copy_within(nr_go..nr_used, 0);
    slots::copy_within(words, nr_go..nr_used, 0);
    truncate(leaf, (nr_used - nr_go, nr_used));
}

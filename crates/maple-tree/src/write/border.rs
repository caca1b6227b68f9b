//! Border: an emptied range that ends its leaf and joins a gap in the next one, or the one before.
//!
//! Gaps do not stop at leaves: one of the two leaves takes the whole of it, and the border between
//! them moves. It is the one that has more room then, because what is emptied is often filled
//! again: going back and forth over a border would else fill a leaf beyond its end.
//!
//! ```text
//!     [ . |  L  |  R  | . ]               [ . | L | R | . ]
//!           /       \           =>             /     \
//!   [a - b ERASED]  [- c d e]               [a - b -]  [c d e]
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
use crate::span::Span;
use core::ptr::{self, NonNull};
use vmaple_sync::atomic::Ordering;
use vmaple_sync::slots;

/// What becomes of two leaves and their parent.
struct Shift<'w, C: Config> {
    left: LeafAt<'w, C>,
    right: LeafAt<'w, C>,
    /// The left one's slot in the parent.
    slot: usize,
    /// All of the gap.
    gap: Span,
    /// Whether the left one takes it.
    goes_left: bool,
    /// The longest gaps of both.
    gaps: (u64, u64),
    /// How many slots the left one keeps, of those it has.
    left_keeps: (usize, usize),
    /// How many slots go from the front of the right one, of those it has.
    right_loses: (usize, usize),
}

impl<C: Config> Shift<'_, C> {
    /// Where the left one ends from now on.
    fn boundary(&self) -> u64 {
        if self.goes_left {
            self.gap.last
        } else {
            self.gap.first - 1
        }
    }

    /// Whether the right one changes. Where it begins its parent knows.
    fn is_right_changed(&self) -> bool {
        let is_new_gap = !self.goes_left && !self.right.raw(0).is_null();
        self.right_loses.0 > 0 || is_new_gap
    }
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
        let is_after = mates == Mates::After;
        let slot = if is_after {
            parent.slot
        } else {
            parent.slot.checked_sub(1)?
        };
        let beside = leaf_at(above, &parent, if is_after { slot + 1 } else { slot })?;
        let (left, right) = if is_after {
            (*at, beside)
        } else {
            (beside, *at)
        };
        let (left_used, right_used) = (left.nr_used(), right.nr_used());
        // What each has but for the gap, which the other one's outermost slot is part of.
        let (nr_left, nr_right, gap) = if is_after {
            let nr_left = cut.from + usize::from(cut.keeps_before());
            let gap = Span::new(cut.span.first, right.leaf.pivots()[0]);
            (nr_left, right_used - 1, gap)
        } else {
            let nr_right = right_used - cut.to - usize::from(!cut.keeps_after());
            let first = first_of(left.leaf.pivots(), left_used - 1, left.bounds.first);
            (left_used - 1, nr_right, Span::new(first, cut.span.last))
        };
        let fewest = if right.bounds.last == u64::MAX {
            1
        } else {
            C::Leaf::MIN
        };
        let can_go_left = nr_left < left_used && nr_left + 1 >= C::Leaf::MIN && nr_right >= fewest;
        let can_go_right =
            nr_right < right_used && nr_left >= C::Leaf::MIN && nr_right + 1 >= fewest;
        let goes_left = can_go_left && (!can_go_right || nr_left <= nr_right);
        if !goes_left && !can_go_right {
            return None;
        }
        let gaps = if C::TRACKS_GAPS {
            let hints = parent.branch.node.gaps();
            // Relaxed, here and below: read by the writer, who wrote it.
            let old_left = hints[slot].load(Ordering::Relaxed);
            // Relaxed: as above.
            let old_right = hints[slot + 1].load(Ordering::Relaxed);
            let len = gap.len_less_one() + 1;
            let added = if goes_left { (len, 0) } else { (0, len) };
            let (cut_left, cut_right) = if is_after {
                (None, Some(right.first_slot()))
            } else {
                (Some(left.last_slot(left_used)), None)
            };
            (
                left.gap_after(cut_left.as_ref().unwrap_or(cut), added.0, old_left),
                right.gap_after(cut_right.as_ref().unwrap_or(cut), added.1, old_right),
            )
        } else {
            (0, 0)
        };
        let shift = Shift {
            left,
            right,
            slot,
            gap,
            goes_left,
            gaps,
            left_keeps: (nr_left + usize::from(goes_left), left_used),
            right_loses: (right_used - nr_right - usize::from(!goes_left), right_used),
        };
        Some(self.shift(way, &shift, cut, is_after))
    }

    fn shift(
        &mut self,
        way: &Way<'w, C>,
        shift: &Shift<'w, C>,
        cut: &Cut,
        is_after: bool,
    ) -> Result<(), AllocError> {
        let (parent, above) = way.whole().split_last().expect("the leaves have a parent");
        self.nodes.reserve_logs(1)?;
        self.nodes.reserve_entries(cut.nr_old())?;
        let is_right_changed = shift.is_right_changed();
        let boundary = shift.boundary();
        let [left, right, top] = if self.is_alone {
            [shift.left.node, shift.right.node, parent.node]
        } else {
            let made = self.copies(shift, parent.node, parent.branch.node, is_right_changed);
            // SAFETY: None of the copies is published, nor used again.
            made.inspect_err(|_| unsafe { self.nodes.abandon() })?
        };
        self.nodes.keep_fresh();
        self.retire_shifted(shift, parent.node, cut, is_after);
        // SAFETY: The writer is alone with this leaf, and no other reference to it is used again.
        let leaf = unsafe { left.leaf_mut() };
        truncate(leaf, shift.left_keeps);
        let end = shift.left_keeps.0 - 1;
        if shift.goes_left && end > 0 && !cfg!(planted = "border_untrimmed") {
            // Something of an entry may remain before it.
            leaf.pivots_mut()[end - 1] = shift.gap.first - 1;
        }
        leaf.pivots_mut()[end] = boundary;
        if shift.goes_left {
            // Relaxed: published later, or nobody else looks.
            leaf.slots()[end].store(ptr::null_mut(), Ordering::Relaxed);
        }
        if is_right_changed {
            // SAFETY: As above; it is another leaf.
            let leaf = unsafe { right.leaf_mut() };
            drop_front(leaf, shift.right_loses);
            if !shift.goes_left {
                leaf.pivots_mut()[0] = shift.gap.last;
                // Relaxed: as above.
                leaf.slots()[0].store(ptr::null_mut(), Ordering::Relaxed);
            }
        }
        // SAFETY: As above; the path's own reference to the parent is not used again.
        let branch = unsafe { top.branch_mut() };
        let (pivots, words) = branch.parts_mut();
        if !cfg!(planted = "border_stays") {
            pivots[shift.slot] = boundary;
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
        is_after: bool,
    ) {
        let (from, to) = cut.dying();
        if self.is_alone {
            if core::mem::needs_drop::<E>() {
                let at = if is_after { &shift.left } else { &shift.right };
                for entry in (from..to).filter_map(|slot| NonNull::new(at.raw(slot))) {
                    self.nodes.retire_entry(entry);
                }
            }
            return;
        }
        self.nodes.retire(parent, (0, 0));
        let left = if is_after { (from, to) } else { (0, 0) };
        self.nodes.retire(shift.left.node, left);
        if shift.is_right_changed() {
            let right = if is_after { (0, 0) } else { (from, to) };
            self.nodes.retire(shift.right.node, right);
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

//! Publish: the one store that makes a write visible, and the gaps above it.
//!
//! Gaps are hints for gap search, and a search that finds less than the hint promised looks
//! further. So that it never misses a gap that is there throughout, a hint that grows is raised
//! before the write is published, and one that shrinks is lowered after: at no time is a hint
//! below the truth.

use super::build::Item;
use super::plan::{Plan, Step};
use super::way::{Stretch, Turn};
use super::{Way, Writer};
use crate::config::Config;
use crate::entry::Entry;
use crate::link::NodeRef;
use crate::node::{Node, Slot, first_of, longest_gap};
use core::ptr::NonNull;
use vmaple_sync::atomic::{AtomicU64, Ordering};
use vmaple_sync::planted;

/// The order of the store that publishes.
#[inline]
fn publish_order() -> Ordering {
    if planted!("publish_relaxed") {
        // Relaxed: the bug.
        Ordering::Relaxed
    } else {
        // Release: pairs with the Acquire in `BranchRef::child` and in the readers' loads of
        // entries. A reader who sees the word sees the nodes and the entry behind it.
        // Witness: `tests/loom.rs::replace_then_walk`, `exact_fit_then_load`.
        Ordering::Release
    }
}

impl<'w, E: Entry, C: Config> Writer<'w, E, C> {
    /// Replaces the one slot that both edges take at `depth` by `item`.
    #[inline]
    pub(super) fn publish_slot(&mut self, plan: &Plan<'w, C>, depth: usize, item: &Item) {
        let step = &plan.left[depth];
        let slot = &step.node.slots()[step.slot];
        // The gap that changes: the item's own, or that of the leaf the item goes into.
        let is_leaf = step.node.level() == 0;
        let gap = if !C::TRACKS_GAPS {
            0
        } else if is_leaf {
            leaf_gap(step.node, step.len, step.span.first, step.slot, item.raw)
        } else {
            item.gap
        };
        let above = if !C::TRACKS_GAPS {
            &[]
        } else if is_leaf {
            &plan.left[..depth]
        } else {
            &plan.left[..=depth]
        };
        raise_gaps(above.iter().rev(), gap);
        if is_leaf {
            // Relaxed: read by the writer, who wrote it.
            if let Some(old) = NonNull::new(slot.load(Ordering::Relaxed)) {
                self.nodes.retire_entry(old);
            }
        }
        slot.store(item.raw, publish_order());
        settle_gaps(above.iter().rev(), gap);
    }

    /// Makes `node`, the top of `height` levels, what `way` leads to. `gap` is the longest below
    /// it, if branches know theirs.
    #[inline]
    pub(super) fn publish_below(
        &self,
        way: Stretch<'_, 'w, C>,
        node: *mut (),
        height: usize,
        gap: Option<u64>,
    ) {
        let Some(parent) = way.last() else {
            self.root.publish(node, height);
            return;
        };
        if let Some(gap) = gap
            && !planted!("hint_late")
        {
            raise_gaps(way.up(), gap);
        }
        parent.branch.node.slots()[parent.slot].store(node, publish_order());
        if let Some(gap) = gap {
            settle_gaps(way.up(), gap);
        }
    }

    /// Makes `new` the entry in a slot of the leaf to which `way` leads. `gap` is the longest in
    /// that leaf then, if branches know theirs.
    #[inline]
    pub(super) fn publish_entry(
        &mut self,
        way: &Way<'w, C>,
        slot: &Slot,
        new: *mut (),
        gap: Option<u64>,
    ) {
        if let Some(gap) = gap {
            raise_gaps(way.whole().up(), gap);
        }
        // Relaxed: read by the writer, who wrote it.
        if let Some(old) = NonNull::new(slot.load(Ordering::Relaxed)) {
            self.nodes.retire_entry(old);
        }
        slot.store(new, publish_order());
        if let Some(gap) = gap {
            settle_gaps(way.whole().up(), gap);
        }
    }
}

/// The longest gap of a leaf once `raw` is in `slot`.
fn leaf_gap<C: Config>(
    leaf: NodeRef<'_, C>,
    len: usize,
    min: u64,
    changed: usize,
    raw: *mut (),
) -> u64 {
    let (pivots, slots) = (leaf.pivots(), leaf.slots());
    (0..len)
        .filter(|slot| {
            if *slot == changed {
                raw.is_null()
            } else {
                // Relaxed: read by the writer, who wrote it.
                slots[*slot].load(Ordering::Relaxed).is_null()
            }
        })
        .map(|slot| pivots[slot] - first_of(pivots, slot, min) + 1)
        .max()
        .unwrap_or(0)
}

/// A branch on the way from the root to a write.
pub(super) trait Above<'w> {
    /// The branch's hints.
    fn gaps(&self) -> &'w [AtomicU64];
    /// The slot that the way takes.
    fn slot(&self) -> usize;
}

impl<'w, C: Config> Above<'w> for Turn<'w, C> {
    #[inline]
    fn gaps(&self) -> &'w [AtomicU64] {
        self.branch.node.gaps()
    }

    #[inline]
    fn slot(&self) -> usize {
        self.slot
    }
}

impl<'w, C: Config> Above<'w> for &Step<'w, C> {
    fn gaps(&self) -> &'w [AtomicU64] {
        self.node.gaps()
    }

    fn slot(&self) -> usize {
        self.slot
    }
}

/// Raises the hints on the way up to at least `gap`.
#[inline]
pub(super) fn raise_gaps<'w>(way: impl Iterator<Item = impl Above<'w>>, gap: u64) {
    for above in way {
        let hint = &above.gaps()[above.slot()];
        // Relaxed: read by the writer, who wrote it.
        if hint.load(Ordering::Relaxed) >= gap {
            return;
        }
        // Relaxed: the Release that publishes comes after; a search that sees the new gap's leaf
        // by way of it sees this too.
        // Witness: `tests/loom.rs::a_gap_seen_to_grow_within_a_leaf_is_found`.
        hint.store(gap, Ordering::Relaxed);
    }
}

/// How hints are lowered.
#[inline]
fn settle_order() -> Ordering {
    if planted!("settle_relaxed") {
        // Relaxed: the bug.
        Ordering::Relaxed
    } else {
        // Release: pairs with the Acquire in gap search; a search that sees the lowered hint sees the
        // write that used the gap up. Witness: `tests/loom.rs::a_lowered_hint_comes_after_its_cause`.
        Ordering::Release
    }
}

/// Makes the hints on the way up exact, the lowest being `gap`. Beside readers, none is below its
/// new value.
#[inline]
pub(super) fn settle_gaps<'w>(way: impl Iterator<Item = impl Above<'w>>, mut gap: u64) {
    // Of the level below: its hints, and the one among them that changed, as it was.
    let mut below: Option<(&[AtomicU64], u64)> = None;
    for above in way {
        let gaps = above.gaps();
        let hint = &gaps[above.slot()];
        // Relaxed: read by the writer, who wrote it.
        let old = hint.load(Ordering::Relaxed);
        if let Some((gaps, changed)) = below {
            // Longer than each of those, or than all but the one that is shorter now.
            if gap <= old && changed < old {
                return;
            }
            if gap < changed {
                gap = longest_gap(gaps, gaps.len());
            }
        }
        if old == gap {
            // What was raised was raised to the exact value, and above it nothing changes.
            return;
        }
        hint.store(gap, settle_order());
        below = Some((gaps, old));
    }
}

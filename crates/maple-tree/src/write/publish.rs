//! Publish: the one store that makes a write visible, and the gaps above it.
//!
//! Gaps are hints for gap search, and a search that finds less than the hint promised looks
//! further. So that it never misses a gap that is there throughout, a hint that grows is raised
//! before the write is published, and one that shrinks is lowered after: at no time is a hint
//! below the truth.

use super::Writer;
use super::build::Item;
use super::plan::Plan;
use crate::config::Config;
use crate::entry::Entry;
use crate::link::NodeRef;
use crate::node::{first_of, longest_gap};
use core::ptr::NonNull;
use vmaple_sync::atomic::Ordering;

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
        let gaps_from = if is_leaf {
            depth.checked_sub(1)
        } else {
            Some(depth)
        };
        let gaps_from = gaps_from.filter(|_| C::TRACKS_GAPS);
        if let Some(top) = gaps_from {
            raise_gaps(plan, top, gap);
        }
        if is_leaf {
            // Relaxed: read by the writer, who wrote it.
            if let Some(old) = NonNull::new(slot.load(Ordering::Relaxed)) {
                self.nodes.retire_entry(old);
            }
        }
        let order = if cfg!(planted = "publish_relaxed") {
            // Relaxed: the bug.
            Ordering::Relaxed
        } else {
            // See below. Witness: as there.
            Ordering::Release
        };
        // Release: pairs with the Acquire in `BranchRef::child` and in the readers' loads of
        // entries. A reader who sees the word sees the nodes and the entry behind it.
        // Witness: `tests/loom.rs::replace_then_walk`, `exact_fit_then_load`.
        slot.store(item.raw, order);
        if let Some(top) = gaps_from {
            settle_gaps(plan, top, gap);
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

/// Raises the hints from `depth` up to at least `gap`.
fn raise_gaps<C: Config>(plan: &Plan<'_, C>, depth: usize, gap: u64) {
    for step in plan.left[..=depth].iter().rev() {
        let hint = &step.node.gaps()[step.slot];
        // Relaxed: read by the writer, who wrote it.
        if hint.load(Ordering::Relaxed) >= gap {
            return;
        }
        // Relaxed: the Release that publishes comes after; a search that sees the new gap's leaf
        // by way of it sees this too. Loom has no witness: its trees are too low for this path.
        hint.store(gap, Ordering::Relaxed);
    }
}

/// Makes the hints from `depth` up exact, the lowest being `gap`. None is below its new value.
fn settle_gaps<C: Config>(plan: &Plan<'_, C>, depth: usize, mut gap: u64) {
    for step in plan.left[..=depth].iter().rev() {
        let hint = &step.node.gaps()[step.slot];
        // Relaxed: read by the writer, who wrote it.
        if hint.load(Ordering::Relaxed) == gap {
            // What was raised was raised to the exact value, and above it nothing changes.
            return;
        }
        // Release: pairs with the Acquire in gap search; a search that sees the lowered hint sees
        // the write that used the gap up.
        // Loom has no witness: its trees are too low for this path.
        hint.store(gap, Ordering::Release);
        gap = longest_gap(step.node.gaps(), step.len);
    }
}

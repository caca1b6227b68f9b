//! Gap search: the lowest or highest run of empty indices of a size within limits.
//!
//! A branch knows the longest gap below each child, so the search enters only children that may
//! hold one, and goes on to the next child when the limits, the alignment or a writer have left
//! less than the hint promised.

use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, Kind, MAX_HEIGHT, NodeRef};
use crate::node::{Node, first_of, search};
use crate::span::Span;
use vmaple_sync::atomic::Ordering;

/// What is looked for; valid by construction.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Size less one.
    extra: u64,
    align: u64,
    span: Span,
}

impl Limits {
    pub(crate) fn new(size: u64, align: u64, span: Span) -> Option<Self> {
        let extra = size.checked_sub(1)?;
        (align.is_power_of_two() && span.is_valid() && span.len_less_one() >= extra)
            .then_some(Self { extra, align, span })
    }

    /// The part of `gap` within the limits.
    fn clip(&self, gap: Span) -> Option<Span> {
        let clipped = Span::new(gap.first.max(self.span.first), gap.last.min(self.span.last));
        clipped.is_valid().then_some(clipped)
    }

    /// The lowest aligned place in `gap`.
    fn lowest_in(&self, gap: Span) -> Option<u64> {
        let gap = self.clip(gap)?;
        let first = gap.first.checked_add(self.align - 1)? & !(self.align - 1);
        let last = first.checked_add(self.extra)?;
        (last <= gap.last).then_some(first)
    }

    /// The highest aligned place in `gap`.
    fn highest_in(&self, gap: Span) -> Option<u64> {
        let gap = self.clip(gap)?;
        let first = gap.last.checked_sub(self.extra)? & !(self.align - 1);
        (first >= gap.first).then_some(first)
    }

    /// Whether a child may hold such a gap, by its hint.
    fn may_be_below<C: Config>(&self, branch: BranchRef<'_, C>, slot: usize) -> bool {
        // Acquire: pairs with the Release in `write::publish`: who sees a lowered hint sees the
        // write that used the gap up. Loom has no witness, see there.
        branch.node.gaps()[slot].load(Ordering::Acquire) > self.extra
    }
}

/// A branch on the way, the next slot to look at, and the branch's bounds.
struct Rest<'g, C: Config> {
    branch: BranchRef<'g, C>,
    slot: usize,
    bounds: Span,
}

impl<C: Config> Clone for Rest<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for Rest<'_, C> {}

type Way<'g, C> = FixedVec<Rest<'g, C>, MAX_HEIGHT>;

/// The lowest place.
pub(crate) fn lowest<C: Config>(top: Option<NodeRef<'_, C>>, limits: Limits) -> Option<u64> {
    let Some(mut node) = top else {
        return limits.lowest_in(Span::ALL);
    };
    let mut way = Way::new();
    let mut bounds = Span::ALL;
    loop {
        match node.kind() {
            Kind::Leaf(leaf) => {
                if let Some(found) = lowest_in_leaf(leaf, bounds, &limits) {
                    return Some(found);
                }
            }
            Kind::Branch(branch) => way.push(Rest {
                branch,
                slot: search(branch.pivots(), limits.span.first.max(bounds.first)),
                bounds,
            }),
        }
        (node, bounds) = next_child(&mut way, &limits)?;
    }
}

/// The next child upwards that may hold the gap.
fn next_child<'g, C: Config>(
    way: &mut Way<'g, C>,
    limits: &Limits,
) -> Option<(NodeRef<'g, C>, Span)> {
    while let Some(rest) = way.pop() {
        let pivots = rest.branch.pivots();
        let mut first = first_of(pivots, rest.slot, rest.bounds.first);
        for (slot, last) in pivots.iter().copied().enumerate().skip(rest.slot) {
            if first > limits.span.last {
                return None;
            }
            let is_end = last >= rest.bounds.last;
            if limits.may_be_below(rest.branch, slot) {
                if !is_end {
                    way.push(Rest {
                        slot: slot + 1,
                        ..rest
                    });
                }
                return Some((rest.branch.child(slot), Span::new(first, last)));
            }
            if is_end {
                break;
            }
            first = last + 1;
        }
    }
    None
}

fn lowest_in_leaf(leaf: &impl Node, bounds: Span, limits: &Limits) -> Option<u64> {
    let pivots = leaf.pivots();
    let mut slot = search(pivots, limits.span.first.max(bounds.first));
    let mut first = first_of(pivots, slot, bounds.first);
    loop {
        let last = pivots[slot];
        // Acquire: pairs with the Release in `write::publish`. There is no witness: only whether
        // the word is null matters, and nothing is read through it.
        if leaf.slots()[slot].load(Ordering::Acquire).is_null()
            && let Some(found) = limits.lowest_in(Span::new(first, last))
        {
            return Some(found);
        }
        if last >= bounds.last || last >= limits.span.last {
            return None;
        }
        first = last + 1;
        slot += 1;
    }
}

/// The highest place.
pub(crate) fn highest<C: Config>(top: Option<NodeRef<'_, C>>, limits: Limits) -> Option<u64> {
    let Some(mut node) = top else {
        return limits.highest_in(Span::ALL);
    };
    let mut way = Way::new();
    let mut bounds = Span::ALL;
    loop {
        match node.kind() {
            Kind::Leaf(leaf) => {
                if let Some(found) = highest_in_leaf(leaf, bounds, &limits) {
                    return Some(found);
                }
            }
            Kind::Branch(branch) => way.push(Rest {
                branch,
                slot: search(branch.pivots(), limits.span.last.min(bounds.last)),
                bounds,
            }),
        }
        (node, bounds) = prev_child(&mut way, &limits)?;
    }
}

/// The next child downwards that may hold the gap.
fn prev_child<'g, C: Config>(
    way: &mut Way<'g, C>,
    limits: &Limits,
) -> Option<(NodeRef<'g, C>, Span)> {
    while let Some(rest) = way.pop() {
        let pivots = rest.branch.pivots();
        for slot in (0..=rest.slot).rev() {
            let last = pivots[slot];
            if last < limits.span.first {
                return None;
            }
            if limits.may_be_below(rest.branch, slot) {
                let first = first_of(pivots, slot, rest.bounds.first);
                if slot > 0 {
                    way.push(Rest {
                        slot: slot - 1,
                        ..rest
                    });
                }
                return Some((rest.branch.child(slot), Span::new(first, last)));
            }
        }
    }
    None
}

fn highest_in_leaf(leaf: &impl Node, bounds: Span, limits: &Limits) -> Option<u64> {
    let pivots = leaf.pivots();
    let top = search(pivots, limits.span.last.min(bounds.last));
    for slot in (0..=top).rev() {
        let last = pivots[slot];
        if last < limits.span.first {
            return None;
        }
        // Acquire: pairs with the Release in `write::publish`. There is no witness: only whether
        // the word is null matters, and nothing is read through it.
        if leaf.slots()[slot].load(Ordering::Acquire).is_null() {
            let first = first_of(pivots, slot, bounds.first);
            if let Some(found) = limits.highest_in(Span::new(first, last)) {
                return Some(found);
            }
        }
    }
    None
}

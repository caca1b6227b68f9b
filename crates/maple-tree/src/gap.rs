//! Gap search: the lowest or highest run of empty indices of a size within limits.
//!
//! A branch knows the longest gap below each child, so the search enters only children that may
//! hold one, and goes on to the next child when the limits, the alignment or a writer have left
//! less than the hint promised.

use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, Kind, MAX_HEIGHT, NodeRef};
use crate::node::{Node, SlotSet, first_of, len, search_wide, slots_from, slots_to};
use crate::occupied::{above, occupied};
use crate::span::Span;

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
        (last <= gap.last || cfg!(planted = "gap_high_unchecked")).then_some(first)
    }

    /// The highest aligned place in `gap`.
    fn highest_in(&self, gap: Span) -> Option<u64> {
        let gap = self.clip(gap)?;
        let first = gap.last.checked_sub(self.extra)? & !(self.align - 1);
        (first >= gap.first || cfg!(planted = "gap_low_unchecked")).then_some(first)
    }

    /// The children that may hold such a gap, by their hints. No unused slot has one.
    #[inline]
    fn hopeful<C: Config>(&self, branch: BranchRef<'_, C>) -> SlotSet {
        let is_exact_lost = cfg!(planted = "hint_exact");
        let extra = self.extra.saturating_add(u64::from(is_exact_lost));
        above(branch.node.gaps(), extra)
    }

    /// The slots of a leaf that are long enough, used or not.
    #[inline]
    fn long_enough(&self, pivots: &[u64], bounds: Span) -> SlotSet {
        // From the last slot down, so that a comparison's outcome is shifted in by one addition.
        let ends = pivots.iter().zip(&pivots[1..]).rev();
        let set = ends.fold(0, |set: u64, (before, last)| {
            set + set + u64::from(last.wrapping_sub(*before) > self.extra)
        });
        set + set + u64::from(pivots[0] - bounds.first >= self.extra)
    }

    /// The empty slots of a leaf that are long enough, among `used` ones.
    #[inline]
    fn candidates(&self, leaf: &impl Node, bounds: Span, used: SlotSet) -> SlotSet {
        let used = if cfg!(planted = "gap_in_padding") {
            SlotSet::MAX
        } else {
            used
        };
        self.long_enough(leaf.pivots(), bounds) & used & !occupied(leaf.slots())
    }
}

/// A branch on the way, the children still to be looked at, and the branch's bounds.
struct Rest<'g, C: Config> {
    branch: BranchRef<'g, C>,
    hopeful: SlotSet,
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
            Kind::Branch(branch) => {
                let from = search_wide(branch.pivots(), limits.span.first.max(bounds.first));
                way.push(Rest {
                    branch,
                    hopeful: limits.hopeful(branch) & slots_from(from),
                    bounds,
                });
            }
        }
        (node, bounds) = next_child(&mut way, &limits)?;
    }
}

/// The next child upwards that may hold the gap.
fn next_child<'g, C: Config>(
    way: &mut Way<'g, C>,
    limits: &Limits,
) -> Option<(NodeRef<'g, C>, Span)> {
    loop {
        let rest = way.last_mut()?;
        if rest.hopeful == 0 {
            way.pop();
            continue;
        }
        let slot = rest.hopeful.trailing_zeros() as usize;
        rest.hopeful &= rest.hopeful - 1;
        let pivots = rest.branch.pivots();
        let below = Span::new(first_of(pivots, slot, rest.bounds.first), pivots[slot]);
        if below.first > limits.span.last {
            return None;
        }
        return Some((rest.branch.child(slot), below));
    }
}

#[inline]
fn lowest_in_leaf(leaf: &impl Node, bounds: Span, limits: &Limits) -> Option<u64> {
    let pivots = leaf.pivots();
    let mut used = slots_to(len(pivots, bounds.last) - 1);
    if bounds.first < limits.span.first {
        used &= slots_from(search_wide(pivots, limits.span.first));
    }
    let mut rest = limits.candidates(leaf, bounds, used);
    while rest != 0 {
        let slot = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        let gap = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
        if let Some(found) = limits.lowest_in(gap) {
            return Some(found);
        }
    }
    None
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
            Kind::Branch(branch) => {
                let to = search_wide(branch.pivots(), limits.span.last.min(bounds.last));
                way.push(Rest {
                    branch,
                    hopeful: limits.hopeful(branch) & slots_to(to),
                    bounds,
                });
            }
        }
        (node, bounds) = prev_child(&mut way, &limits)?;
    }
}

/// The next child downwards that may hold the gap.
fn prev_child<'g, C: Config>(
    way: &mut Way<'g, C>,
    limits: &Limits,
) -> Option<(NodeRef<'g, C>, Span)> {
    loop {
        let rest = way.last_mut()?;
        let Some(slot) = rest.hopeful.checked_ilog2() else {
            way.pop();
            continue;
        };
        rest.hopeful ^= 1 << slot;
        let (pivots, slot) = (rest.branch.pivots(), slot as usize);
        let below = Span::new(first_of(pivots, slot, rest.bounds.first), pivots[slot]);
        if below.last < limits.span.first {
            return None;
        }
        return Some((rest.branch.child(slot), below));
    }
}

#[inline]
fn highest_in_leaf(leaf: &impl Node, bounds: Span, limits: &Limits) -> Option<u64> {
    let pivots = leaf.pivots();
    let to = search_wide(pivots, limits.span.last.min(bounds.last));
    let mut rest = limits.candidates(leaf, bounds, slots_to(to));
    while let Some(slot) = rest.checked_ilog2() {
        rest ^= 1 << slot;
        let slot = slot as usize;
        let gap = Span::new(first_of(pivots, slot, bounds.first), pivots[slot]);
        if let Some(found) = limits.highest_in(gap) {
            return Some(found);
        }
    }
    None
}

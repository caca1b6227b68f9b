//! Gap search: the lowest or highest run of empty indices of a size within limits.
//!
//! A branch knows the longest gap below each child, so the search enters only children that may
//! hold one, and goes on to the next child when the limits, the alignment or a writer have left
//! less than the hint promised.

use crate::config::Config;
use crate::fixed_vec::FixedVec;
use crate::link::{BranchRef, Kind, MAX_HEIGHT, NodeRef};
use crate::node::{Node, SlotSet, search_wide, slots_from, slots_to};
use crate::occupied::{above, is_above, longer, occupied};
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
        above(branch.node.gaps(), self.too_short())
    }

    /// Whether one child may hold such a gap, by its hint.
    #[inline]
    fn is_hopeful<C: Config>(&self, branch: BranchRef<'_, C>, slot: usize) -> bool {
        is_above(
            &branch.node.gaps()[slot % C::Branch::SLOTS],
            self.too_short(),
        )
    }

    /// The longest gap that is too short.
    #[inline]
    fn too_short(&self) -> u64 {
        let is_exact_lost = cfg!(planted = "hint_exact");
        self.extra.saturating_add(u64::from(is_exact_lost))
    }

    /// The empty slots of a leaf that are long enough. The first unused slot may be among them: to
    /// the eye it is a gap that begins where the leaf ends.
    #[inline]
    fn candidates(&self, leaf: &impl Node, bounds: Span) -> SlotSet {
        let pivots = leaf.pivots();
        let first = pivots[0] - bounds.first >= self.extra;
        (longer(pivots, self.extra) | SlotSet::from(first)) & !occupied(leaf.slots())
    }
}

/// From which end to look.
trait From {
    /// The index beyond which no slot is of use: it is that of the place's far end, if the place
    /// could not be better.
    fn reach(limits: &Limits) -> u64;
    /// The slots from `slot` on.
    fn onward(slot: usize) -> SlotSet;
    /// The slot to look at first.
    fn best(set: SlotSet) -> Option<usize>;
    /// Whether nothing in `bounds`, nor behind, is within the limits.
    fn is_over(bounds: Span, limits: &Limits) -> bool;
    /// The best place in a gap.
    fn place_in(gap: Span, limits: &Limits) -> Option<u64>;
}

struct Below;

struct Above;

impl From for Below {
    #[inline]
    fn reach(limits: &Limits) -> u64 {
        limits.span.first + limits.extra
    }

    #[inline]
    fn onward(slot: usize) -> SlotSet {
        slots_from(slot)
    }

    #[inline]
    fn best(set: SlotSet) -> Option<usize> {
        (set != 0).then(|| set.trailing_zeros() as usize)
    }

    #[inline]
    fn is_over(bounds: Span, limits: &Limits) -> bool {
        bounds.first > limits.span.last
    }

    #[inline]
    fn place_in(gap: Span, limits: &Limits) -> Option<u64> {
        limits.lowest_in(gap)
    }
}

impl From for Above {
    #[inline]
    fn reach(limits: &Limits) -> u64 {
        limits.span.last - limits.extra
    }

    #[inline]
    fn onward(slot: usize) -> SlotSet {
        slots_to(slot)
    }

    #[inline]
    fn best(set: SlotSet) -> Option<usize> {
        set.checked_ilog2().map(|slot| slot as usize)
    }

    #[inline]
    fn is_over(bounds: Span, limits: &Limits) -> bool {
        bounds.last < limits.span.first
    }

    #[inline]
    fn place_in(gap: Span, limits: &Limits) -> Option<u64> {
        limits.highest_in(gap)
    }
}

/// A branch on the way, its first index, and the children that have not been looked at.
struct Rest<'g, C: Config> {
    branch: BranchRef<'g, C>,
    first: u64,
    slots: SlotSet,
}

impl<C: Config> Clone for Rest<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Config> Copy for Rest<'_, C> {}

impl<C: Config> Rest<'_, C> {
    /// Whether the first child most likely has such a gap, so that the others need not be looked at
    /// before it has failed. Further down nobody knows.
    #[inline]
    fn is_high(&self) -> bool {
        self.branch.level() > 2
    }
}

type Way<'g, C> = FixedVec<Rest<'g, C>, MAX_HEIGHT>;

/// The lowest place.
pub(crate) fn lowest<C: Config>(top: Option<NodeRef<'_, C>>, limits: Limits) -> Option<u64> {
    search_from::<C, Below>(top, &limits)
}

/// The highest place.
pub(crate) fn highest<C: Config>(top: Option<NodeRef<'_, C>>, limits: Limits) -> Option<u64> {
    search_from::<C, Above>(top, &limits)
}

#[inline]
fn search_from<C: Config, F: From>(top: Option<NodeRef<'_, C>>, limits: &Limits) -> Option<u64> {
    let Some(mut node) = top else {
        return F::place_in(Span::ALL, limits);
    };
    let reach = F::reach(limits);
    let mut way = Way::new();
    let mut bounds = Span::ALL;
    loop {
        let (rest, slot) = match node.kind() {
            Kind::Leaf(leaf) => {
                if let Some(found) = in_leaf::<F>(leaf, bounds, limits, reach) {
                    return Some(found);
                }
                next_child::<C, F>(&mut way, limits)?
            }
            Kind::Branch(branch) => {
                let slot = search_wide(branch.pivots(), reach);
                let mut rest = Rest {
                    branch,
                    first: bounds.first,
                    slots: F::onward(slot),
                };
                if rest.is_high() && limits.is_hopeful(branch, slot) {
                    (rest, slot)
                } else {
                    rest.slots &= limits.hopeful(branch);
                    match F::best(rest.slots) {
                        Some(slot) => (rest, slot),
                        None => next_child::<C, F>(&mut way, limits)?,
                    }
                }
            }
        };
        bounds = span_of(rest.branch.node, slot, rest.first);
        if F::is_over(bounds, limits) {
            return None;
        }
        node = rest.branch.child(slot);
        way.push(Rest {
            slots: rest.slots ^ 1 << slot,
            ..rest
        });
    }
}

/// The next child that may hold such a gap, of the branches on the way.
#[inline]
fn next_child<'g, C: Config, F: From>(
    way: &mut Way<'g, C>,
    limits: &Limits,
) -> Option<(Rest<'g, C>, usize)> {
    loop {
        let mut rest = way.pop()?;
        if rest.is_high() {
            rest.slots &= limits.hopeful(rest.branch);
        }
        if let Some(slot) = F::best(rest.slots) {
            return Some((rest, slot));
        }
    }
}

#[inline]
fn in_leaf<F: From>(leaf: &impl Node, bounds: Span, limits: &Limits, reach: u64) -> Option<u64> {
    let slot = search_wide(leaf.pivots(), reach);
    let mut rest = limits.candidates(leaf, bounds) & F::onward(slot);
    while let Some(slot) = F::best(rest) {
        rest ^= 1 << slot;
        let gap = span_of(leaf, slot, bounds.first);
        let is_used = gap.first <= bounds.last || cfg!(planted = "gap_in_padding");
        if is_used && let Some(found) = F::place_in(gap, limits) {
            return Some(found);
        }
    }
    None
}

/// What a slot covers, in a node that begins at `min`.
#[inline]
fn span_of<N: Node>(node: &N, slot: usize, min: u64) -> Span {
    let pivots = node.pivots();
    // A remainder that the compiler turns into nothing, and takes as proof of the bounds.
    let (slot, before) = (slot % N::SLOTS, slot.wrapping_sub(1) % N::SLOTS);
    let after = pivots[before].wrapping_add(1);
    let first = core::hint::select_unpredictable(slot == 0, min, after);
    Span::new(first, pivots[slot])
}

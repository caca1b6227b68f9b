//! Which VMAs may become one: pure decisions on values.
//!
//! A range can join its left neighbour (prev), its right one (next), or both. The conditions are
//! those that the kernel documents for VMAs: equal flags, equal backing, offsets that continue,
//! equal userfaultfd registration and name, and anonymous pages that can share one reverse
//! mapping. Checked against a running 6.18 by `crates/judge`.

use crate::accounting::COUNTED;
use crate::addr::AddrRange;
use crate::flags::VmFlags;
use crate::vma::{AnonVma, Backing, UffdId, Vma};
use alloc::sync::Arc;

/// Flags in which two VMAs may differ and still become one; the result has them if either had.
pub(crate) const STICKY: VmFlags = VmFlags::SOFTDIRTY.union(VmFlags::MAYBE_GUARD);
// VMAs that become one count alike.
const _: () = assert!(!STICKY.intersects(COUNTED));

/// A range with the properties it is to have.
#[derive(Clone, Debug)]
#[doc(alias = "vma_merge_struct")]
pub(crate) struct Proposal<'a> {
    pub(crate) range: AddrRange,
    pub(crate) flags: VmFlags,
    /// Page number of the range's start.
    pub(crate) pgoff: u64,
    pub(crate) backing: &'a Backing,
    /// That of the VMA whose part the range is or whose copy it is to be.
    pub(crate) anon_vma: Option<AnonVma>,
    pub(crate) anon_name: Option<&'a Arc<str>>,
    pub(crate) uffd: Option<UffdId>,
    pub(crate) page_shift: u32,
}

/// How far a new range may reach out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// To both neighbours.
    BothSides,
    /// To the left one only: the heap grows this way.
    LeftOnly,
    /// To none: the heap begins this way.
    Nowhere,
}

/// What becomes of a new range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NewMerge {
    None,
    Left,
    Right,
    Both,
}

/// What becomes of a range of an existing VMA whose properties change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ExistingMerge {
    None,
    /// The whole VMA joins prev.
    WholeLeft,
    /// The whole VMA joins next.
    WholeRight,
    /// prev, the VMA and next become one.
    WholeBoth,
    /// The lower part joins prev; the VMA begins later.
    PartLeft,
    /// The upper part joins next; the VMA ends earlier.
    PartRight,
}

/// Whether a VMA with anon_vma `target` can take in pages of one with `source`.
#[doc(alias = "is_mergeable_anon_vma")]
#[inline]
fn anon_vmas_fit(target: Option<AnonVma>, source: Option<AnonVma>) -> bool {
    match (target, source) {
        (None, None) => true,
        (Some(one), None) | (None, Some(one)) => {
            !one.inherited || cfg!(planted = "fork_child_merges")
        }
        (Some(ours), Some(theirs)) => ours.id == theirs.id,
    }
}

/// Everything but the offsets and the anon_vma.
#[doc(alias = "is_mergeable_vma")]
#[inline]
fn properties_fit(vma: &Vma, proposal: &Proposal<'_>) -> bool {
    (vma.flags ^ proposal.flags).difference(STICKY).is_empty()
        && vma.backing.is_same(proposal.backing)
        && (vma.uffd == proposal.uffd || cfg!(planted = "contexts_merge"))
        && vma.anon_name.as_ref() == proposal.anon_name
}

/// Whether the range may be added at the end of `prev`.
#[doc(alias = "can_vma_merge_after")]
#[inline]
fn fits_after(prev: &Vma, proposal: &Proposal<'_>) -> bool {
    prev.end == proposal.range.start
        && properties_fit(prev, proposal)
        && anon_vmas_fit(prev.anon_vma, proposal.anon_vma)
        && prev.pgoff_at(prev.end, proposal.page_shift) == proposal.pgoff
}

/// Whether the range may be added at the start of `next`.
#[doc(alias = "can_vma_merge_before")]
#[inline]
fn fits_before(next: &Vma, proposal: &Proposal<'_>) -> bool {
    let pages = proposal.range.len() >> proposal.page_shift;
    next.start == proposal.range.end
        && properties_fit(next, proposal)
        && anon_vmas_fit(next.anon_vma, proposal.anon_vma)
        && proposal.pgoff.wrapping_add(pages) == next.pgoff
}

/// Whether next may be joined, given whether prev is: both have to go together too.
#[inline]
fn fits_right(prev: Option<&Vma>, next: &Vma, proposal: &Proposal<'_>) -> bool {
    if !fits_before(next, proposal) {
        return false;
    }
    let Some(prev) = prev else { return true };
    match (prev.anon_vma, next.anon_vma) {
        (Some(left), Some(right)) => left.id == right.id,
        _ => true,
    }
}

/// Decides about a range in which nothing is mapped.
#[doc(alias = "vma_merge_new_range")]
pub(crate) fn decide_new(
    prev: Option<&Vma>,
    next: Option<&Vma>,
    proposal: &Proposal<'_>,
    reach: Reach,
) -> NewMerge {
    if proposal.flags.intersects(VmFlags::SPECIAL) {
        return NewMerge::None;
    }
    let left = prev.filter(|prev| reach != Reach::Nowhere && fits_after(prev, proposal));
    let right = next.filter(|next| reach == Reach::BothSides && fits_right(left, next, proposal));
    match (left, right) {
        (Some(_), Some(_)) if cfg!(planted = "new_both_as_left") => NewMerge::Left,
        (Some(_), Some(_)) if cfg!(planted = "new_both_as_right") => NewMerge::Right,
        (Some(_), None) if cfg!(planted = "new_left_as_none") => NewMerge::None,
        (None, Some(_)) if cfg!(planted = "new_right_as_none") => NewMerge::None,
        (Some(_), Some(next)) if next.backing.closes() => NewMerge::Left,
        (Some(_), Some(_)) => NewMerge::Both,
        (Some(_), None) => NewMerge::Left,
        (None, Some(_)) => NewMerge::Right,
        (None, None) => NewMerge::None,
    }
}

/// Decides about the part `proposal.range` of `middle`, which is to get the proposed properties.
#[doc(alias = "vma_merge_existing_range")]
#[inline]
pub(crate) fn decide_existing(
    prev: Option<&Vma>,
    middle: &Vma,
    next: Option<&Vma>,
    proposal: &Proposal<'_>,
) -> ExistingMerge {
    let at_start = proposal.range.start == middle.start;
    let at_end = proposal.range.end == middle.end;
    if proposal.flags.intersects(VmFlags::SPECIAL) || !(at_start || at_end) {
        return ExistingMerge::None;
    }
    let left = prev.filter(|prev| at_start && fits_after(prev, proposal));
    let right = next.filter(|next| at_end && fits_right(left, next, proposal));
    let whole = at_start && at_end;
    if whole && middle.backing.closes() {
        return ExistingMerge::None;
    }
    match (left, right) {
        (None, None) => ExistingMerge::None,
        (Some(_), Some(_)) if cfg!(planted = "whole_both_as_left") => ExistingMerge::WholeLeft,
        (Some(_), Some(_)) if cfg!(planted = "whole_both_as_right") => ExistingMerge::WholeRight,
        (Some(_), None) if whole && cfg!(planted = "whole_left_as_none") => ExistingMerge::None,
        (None, Some(_)) if whole && cfg!(planted = "whole_right_as_none") => ExistingMerge::None,
        (Some(_), None) if !whole && cfg!(planted = "part_left_as_none") => ExistingMerge::None,
        (None, Some(_)) if !whole && cfg!(planted = "part_right_as_none") => ExistingMerge::None,
        (Some(_), Some(next)) if next.backing.closes() => ExistingMerge::WholeLeft,
        (Some(_), Some(_)) => ExistingMerge::WholeBoth,
        (Some(_), None) if whole => ExistingMerge::WholeLeft,
        (Some(_), None) => ExistingMerge::PartLeft,
        (None, Some(_)) if whole => ExistingMerge::WholeRight,
        (None, Some(_)) => ExistingMerge::PartRight,
    }
}

/// What a VMA becomes that takes in a range, and maybe its other neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Merged {
    pub(crate) range: AddrRange,
    /// Page number of the range's start.
    pub(crate) pgoff: u64,
    pub(crate) flags: VmFlags,
    pub(crate) anon_vma: Option<AnonVma>,
}

/// `target` made to cover `range`, with what it gains from the others that go into it.
///
/// `pgoff` is that of the range's start.
pub(crate) fn absorb(
    target: &Vma,
    range: AddrRange,
    pgoff: u64,
    proposal: &Proposal<'_>,
    other: Option<&Vma>,
) -> Merged {
    let from_other = other.map_or(VmFlags::empty(), |other| other.flags);
    let sticky = if cfg!(planted = "sticky_lost") {
        VmFlags::empty()
    } else {
        STICKY
    };
    let from_proposal = proposal
        .anon_vma
        .filter(|_| !cfg!(planted = "anon_vma_not_taken"));
    Merged {
        range,
        pgoff,
        flags: target.flags | ((proposal.flags | from_other) & sticky),
        anon_vma: target
            .anon_vma
            .or_else(|| other.and_then(|other| other.anon_vma))
            .or(from_proposal),
    }
}

/// Whether `neighbour` may share its anon_vma with `vma`, which has none yet.
///
/// They must touch, and differ in nothing but the access flags, since one could become part of
/// the other later.
#[doc(alias = "anon_vma_compatible")]
pub(crate) fn may_reuse_anon_vma(below: &Vma, above: &Vma, page_shift: u32) -> bool {
    let ignored = VmFlags::ACCESS | STICKY;
    below.end == above.start
        && (below.flags ^ above.flags).difference(ignored).is_empty()
        && below.backing.is_same(&above.backing)
        && below.pgoff_at(below.end, page_shift) == above.pgoff
}

#[cfg(test)]
mod tests;

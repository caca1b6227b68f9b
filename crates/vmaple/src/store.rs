//! The primitives through which every operation changes the map, with the counters in step.

use crate::accounting::count_vma;
use crate::addr::AddrRange;
use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::merge::{ExistingMerge, NewMerge, Proposal, Reach, absorb, decide_existing, decide_new};
use crate::mm::Mm;
use crate::split::split_at;
use crate::vma::{UffdId, Vma};
use alloc::sync::Arc;

/// Whether cutting a VMA may exceed max_map_count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SplitLimit {
    /// Refuse at the limit.
    #[doc(alias = "split_vma")]
    Enforced,
    /// Do not ask: one more VMA is gone soon.
    #[doc(alias = "__split_vma")]
    Ignored,
}

/// New properties for part of a VMA.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) flags: VmFlags,
    pub(crate) anon_name: Option<Arc<str>>,
    pub(crate) uffd: Option<UffdId>,
}

impl Change {
    /// Other flags, the rest as in `vma`.
    pub(crate) fn flags(vma: &Vma, flags: VmFlags) -> Change {
        Change {
            flags,
            anon_name: vma.anon_name.clone(),
            uffd: vma.uffd,
        }
    }
}

impl Mm {
    /// Puts in a VMA where nothing is.
    pub(crate) fn store_new(&mut self, vma: Vma) {
        count_vma(&mut self.counters, &vma, self.config.page_shift(), 1);
        self.tree.insert(vma);
        self.counters.inserts += 1;
        self.counters.peak_vmas = self.counters.peak_vmas.max(self.tree.len());
    }

    /// Takes out the VMA that contains `addr`.
    pub(crate) fn take_out(&mut self, addr: u64) -> Option<Vma> {
        let vma = self.tree.remove(addr)?;
        count_vma(&mut self.counters, &vma, self.config.page_shift(), -1);
        Some(vma)
    }

    /// Puts `vma` in the place of the one that contains `addr`.
    pub(crate) fn put_back(&mut self, addr: u64, vma: Vma) {
        let shift = self.config.page_shift();
        count_vma(&mut self.counters, &vma, shift, 1);
        if let Some(old) = self.tree.at(addr) {
            count_vma(&mut self.counters, old, shift, -1);
        }
        self.tree.replace(addr, vma);
    }

    /// Changes the flags of a whole VMA without looking at its neighbours.
    pub(crate) fn set_flags(&mut self, addr: u64, flags: VmFlags) {
        let shift = self.config.page_shift();
        let counters = &mut self.counters;
        self.tree.update(addr, |vma| {
            count_vma(counters, vma, shift, -1);
            vma.flags = flags;
            count_vma(counters, vma, shift, 1);
        });
    }

    /// Cuts the VMA that contains `addr` at `addr`.
    ///
    /// # Errors
    /// EINVAL if the backing cannot be cut, ENOMEM at the limit of VMAs.
    pub(crate) fn split(&mut self, addr: u64, limit: SplitLimit) -> Result<(), Errno> {
        let Some(vma) = self.tree.at(addr).filter(|vma| vma.start < addr) else {
            return Ok(());
        };
        if limit == SplitLimit::Enforced && self.tree.len() >= self.config.max_map_count {
            return Err(Errno::ENOMEM);
        }
        if !vma.backing.may_split() {
            return Err(Errno::EINVAL);
        }
        let (below, above) = split_at(vma, addr, self.config.page_shift());
        self.tree.replace(below.start, below);
        self.tree.insert(above);
        self.counters.splits += 1;
        self.counters.peak_vmas = self.counters.peak_vmas.max(self.tree.len());
        Ok(())
    }

    /// Puts `vma` where nothing is, as part of a neighbour if one fits.
    ///
    /// Returns the range of the VMA that now holds it.
    pub(crate) fn insert_merging(&mut self, vma: Vma, reach: Reach) -> AddrRange {
        let proposal = Proposal {
            range: vma.range(),
            flags: vma.flags,
            pgoff: vma.pgoff,
            backing: &vma.backing,
            anon_vma: vma.anon_vma,
            anon_name: vma.anon_name.as_ref(),
            uffd: vma.uffd,
            page_shift: self.config.page_shift(),
        };
        let prev = self.tree.ending_at(vma.start);
        let next = self.tree.starting_at(vma.end);
        let decision = decide_new(prev, next, &proposal, reach);
        let merged = match (decision, prev, next) {
            (NewMerge::Both, Some(prev), Some(next)) => {
                let whole = AddrRange::new(prev.start, next.end);
                absorb(prev, whole, prev.pgoff, &proposal, Some(next))
            }
            (NewMerge::Left, Some(prev), _) => absorb(
                prev,
                AddrRange::new(prev.start, vma.end),
                prev.pgoff,
                &proposal,
                None,
            ),
            (NewMerge::Right, _, Some(next)) => absorb(
                next,
                AddrRange::new(vma.start, next.end),
                vma.pgoff,
                &proposal,
                None,
            ),
            _ => {
                let range = vma.range();
                self.store_new(vma);
                return range;
            }
        };
        let merges = &mut self.counters.merges;
        let target = match decision {
            NewMerge::Both => {
                merges.new_both += 1;
                self.take_out(vma.end);
                merged.start
            }
            NewMerge::Left => {
                merges.new_left += 1;
                merged.start
            }
            NewMerge::Right | NewMerge::None => {
                merges.new_right += 1;
                vma.end
            }
        };
        let range = merged.range();
        self.put_back(target, merged);
        range
    }

    /// Gives the part `range` of `vma` new properties: merged with neighbours that fit, else cut
    /// out. Returns the range of the VMA that then holds it.
    ///
    /// # Errors
    /// Those of [`Mm::split`]. A first cut stays when the second one fails, as in Linux.
    #[doc(alias = "vma_modify")]
    pub(crate) fn modify(
        &mut self,
        vma: &Vma,
        range: AddrRange,
        change: &Change,
    ) -> Result<AddrRange, Errno> {
        if let Some(merged) = self.merge_part(vma, range, change) {
            return Ok(merged);
        }
        if range.start > vma.start {
            self.split(range.start, SplitLimit::Enforced)?;
        }
        if range.end < vma.end {
            self.split(range.end, SplitLimit::Enforced)?;
        }
        let shift = self.config.page_shift();
        let counters = &mut self.counters;
        self.tree.update(range.start, |vma| {
            count_vma(counters, vma, shift, -1);
            vma.flags = change.flags;
            vma.anon_name.clone_from(&change.anon_name);
            vma.uffd = change.uffd;
            count_vma(counters, vma, shift, 1);
        });
        Ok(range)
    }

    /// The merging half of [`Mm::modify`].
    fn merge_part(&mut self, vma: &Vma, range: AddrRange, change: &Change) -> Option<AddrRange> {
        let shift = self.config.page_shift();
        let proposal = Proposal {
            range,
            flags: change.flags,
            pgoff: vma.pgoff_at(range.start, shift),
            backing: &vma.backing,
            anon_vma: vma.anon_vma,
            anon_name: change.anon_name.as_ref(),
            uffd: change.uffd,
            page_shift: shift,
        };
        let prev = self.tree.ending_at(vma.start);
        let next = self.tree.starting_at(vma.end);
        let decision = decide_existing(prev, vma, next, &proposal);
        let to = |start, end| AddrRange::new(start, end);
        let merged = match (decision, prev, next) {
            (ExistingMerge::WholeBoth, Some(prev), Some(next)) => absorb(
                prev,
                to(prev.start, next.end),
                prev.pgoff,
                &proposal,
                Some(next),
            ),
            (ExistingMerge::WholeLeft | ExistingMerge::PartLeft, Some(prev), _) => {
                absorb(prev, to(prev.start, range.end), prev.pgoff, &proposal, None)
            }
            (ExistingMerge::WholeRight | ExistingMerge::PartRight, _, Some(next)) => absorb(
                next,
                to(range.start, next.end),
                proposal.pgoff,
                &proposal,
                None,
            ),
            _ => return None,
        };
        self.apply_merge(vma, merged.clone(), decision);
        Some(merged.range())
    }

    /// Carries out a decision about `middle`: `merged` takes the place of its target.
    fn apply_merge(&mut self, middle: &Vma, merged: Vma, decision: ExistingMerge) {
        let shift = self.config.page_shift();
        let merges = &mut self.counters.merges;
        match decision {
            ExistingMerge::None => {}
            ExistingMerge::WholeBoth => {
                merges.whole_both += 1;
                self.take_out(middle.start);
                self.take_out(middle.end);
                self.put_back(merged.start, merged);
            }
            ExistingMerge::WholeLeft => {
                merges.whole_left += 1;
                self.take_out(middle.start);
                self.put_back(merged.start, merged);
            }
            ExistingMerge::WholeRight => {
                merges.whole_right += 1;
                self.take_out(middle.start);
                self.put_back(middle.end, merged);
            }
            ExistingMerge::PartLeft => {
                merges.part_left += 1;
                let mut rest = middle.clone();
                rest.start = merged.end;
                rest.pgoff = middle.pgoff_at(merged.end, shift);
                self.put_back(middle.start, rest);
                self.put_back(merged.start, merged);
            }
            ExistingMerge::PartRight => {
                merges.part_right += 1;
                let mut rest = middle.clone();
                rest.end = merged.start;
                self.put_back(middle.start, rest);
                self.put_back(middle.end, merged);
            }
        }
    }
}

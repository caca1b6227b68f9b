//! The primitives through which every operation changes the map, with the counters in step.

use crate::accounting::{count_pages, recount_pages};
use crate::addr::AddrRange;
use crate::counters::Counters;
use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::merge::{
    ExistingMerge, Merged, NewMerge, Proposal, Reach, absorb, decide_existing, decide_new,
};
use crate::mm::Mm;
use crate::vma::{Backing, UffdId, Vma};
use crate::vma_tree::{Cleared, FreeRange, Freed, Gain, Place};
use alloc::sync::Arc;
use vmaple_locks::{Environment, VmaRef};

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

/// A part of a VMA that is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Below,
    Above,
}

/// New properties for part of a VMA. What is none stays as it is.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) flags: VmFlags,
    pub(crate) anon_name: Option<Option<Arc<str>>>,
    pub(crate) uffd: Option<Option<UffdId>>,
}

impl Change {
    /// Other flags.
    #[inline]
    pub(crate) const fn flags(flags: VmFlags) -> Change {
        Change {
            flags,
            anon_name: None,
            uffd: None,
        }
    }

    /// The name that part of `vma` gets.
    #[inline]
    fn anon_name<'a>(&'a self, vma: &'a Vma) -> Option<&'a Arc<str>> {
        self.anon_name.as_ref().unwrap_or(&vma.anon_name).as_ref()
    }

    #[inline]
    fn apply(&self, vma: &mut Vma) {
        vma.flags = self.flags;
        if let Some(name) = &self.anon_name {
            vma.anon_name.clone_from(name);
        }
        if let Some(uffd) = self.uffd {
            vma.uffd = uffd;
        }
    }
}

/// What becomes of a range that gets new properties.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Decided {
    /// A neighbour takes it in.
    Merge {
        case: ExistingMerge,
        /// An address of the neighbour.
        target: u64,
        /// What the neighbour becomes.
        merged: Merged,
        /// The flags the range has.
        was: VmFlags,
    },
    /// It becomes a VMA of its own.
    Cut {
        /// What it is part of.
        whole: AddrRange,
        /// The flags it has.
        was: VmFlags,
        /// Whether a driver wants to hear of cuts.
        is_heard: bool,
        /// Whether it cannot be cut at all.
        is_one: bool,
    },
}

/// What a change makes of the sizes: summed up, since the VMAs of a change mostly share their
/// flags.
struct Tally {
    flags: VmFlags,
    bytes: i64,
    page_shift: u32,
}

impl Tally {
    fn new(page_shift: u32) -> Tally {
        Tally {
            flags: VmFlags::empty(),
            bytes: 0,
            page_shift,
        }
    }

    fn add(&mut self, counters: &mut Counters, gain: Gain) {
        if gain.flags != self.flags {
            self.settle(counters);
            self.flags = gain.flags;
        }
        self.bytes += gain.bytes;
    }

    fn settle(&mut self, counters: &mut Counters) {
        if self.bytes != 0 {
            count_pages(counters, self.flags, self.bytes >> self.page_shift);
            self.bytes = 0;
        }
    }
}

/// Counts what happened to a VMA whose addresses were freed; what there is more then.
#[inline]
fn counted(change: Cleared<'_>, counters: &mut Counters) -> Gain {
    counters.removals += 1;
    match change {
        Cleared::Gone(vma) => {
            vma.closed();
            Gain::loss_of(vma)
        }
        Cleared::Trimmed(gain) => {
            counters.splits += 1;
            gain
        }
        Cleared::Punched(gain) => {
            counters.splits += 2;
            gain
        }
    }
}

impl<E: Environment> Mm<E> {
    /// Puts in a VMA where nothing is.
    #[inline(always)]
    pub(crate) fn store_new(&mut self, vma: Vma) -> Result<(), Errno> {
        let (flags, pages) = (vma.flags, self.pages(vma.len()).cast_signed());
        self.tree.insert(vma)?;
        count_pages(&mut self.counters, flags, pages);
        self.counters.inserts += 1;
        self.note_number();
        Ok(())
    }

    /// Takes out all VMAs of `range`; those that reach out of it, on one side each, are cut.
    pub(crate) fn take_out(&mut self, range: AddrRange, freed: Freed) -> Result<(), Errno> {
        let (counters, shift) = (&mut self.counters, self.config.page_shift());
        let mut tally = Tally::new(shift);
        let outcome = self.tree.clear(range, shift, freed, |change| {
            let gain = counted(change, counters);
            tally.add(counters, gain);
        });
        tally.settle(counters);
        outcome
    }

    /// Unmaps `range`, wherever it lies, if `ask` agrees to that for every VMA in it. Answers
    /// whether it did.
    #[inline]
    pub(crate) fn take_out_if(
        &mut self,
        range: AddrRange,
        freed: Freed,
        ask: impl FnMut(&Vma) -> bool,
    ) -> Result<bool, Errno> {
        let (counters, shift) = (&mut self.counters, self.config.page_shift());
        let outcome = self.tree.unmap(range, shift, freed, ask, |change| {
            let gain = counted(change, counters);
            count_pages(counters, gain.flags, gain.bytes >> shift);
        });
        self.note_number();
        outcome
    }

    /// Makes the VMA that contains `addr` cover all of `range`, where nothing else is.
    pub(crate) fn expand(
        &mut self,
        addr: u64,
        range: AddrRange,
        change: impl FnOnce(&mut Vma),
    ) -> Result<(), Errno> {
        let (counters, shift) = (&mut self.counters, self.config.page_shift());
        self.tree.expand(addr, range, shift, |vma| {
            let gained = range.len() - vma.len();
            count_pages(counters, vma.flags, (gained >> shift).cast_signed());
            change(vma);
        })
    }

    /// Carries out a merge: the VMA that contains `addr` becomes `merged`.
    ///
    /// VMAs that become one count alike, so all that the sizes change by is what the range they
    /// take in does: the caller counts that.
    #[inline]
    fn become_merged(&mut self, addr: u64, merged: Merged) -> Result<(), Errno> {
        let shift = self.config.page_shift();
        self.tree.expand(addr, merged.range, shift, |vma| {
            vma.pgoff = merged.pgoff;
            vma.flags = merged.flags;
            vma.anon_vma = merged.anon_vma;
        })
    }

    /// Counts the pages of a range that had the flags `was` under the flags `is`.
    #[inline]
    fn recount(&mut self, range: AddrRange, was: VmFlags, is: VmFlags) {
        let pages = self.pages(range.len()).cast_signed();
        recount_pages(&mut self.counters, was, is, pages);
    }

    /// Changes the flags of a whole VMA without looking at its neighbours.
    pub(crate) fn set_flags(&mut self, addr: u64, flags: VmFlags) {
        let (counters, shift) = (&mut self.counters, self.config.page_shift());
        self.tree.update(addr, |vma| {
            let pages = (vma.len() >> shift).cast_signed();
            recount_pages(counters, vma.flags, flags, pages);
            vma.flags = flags;
        });
    }

    /// Keeps the highest number of VMAs there has been.
    fn note_number(&mut self) {
        let Counters { peak_vmas, .. } = &mut self.counters;
        *peak_vmas = self.tree.len().max(*peak_vmas);
    }

    /// Cuts the VMA that contains `addr` at `addr`; `new` says which part counts as new.
    ///
    /// # Errors
    /// EINVAL if the backing cannot be cut, ENOMEM at the limit of VMAs.
    pub(crate) fn split(&mut self, addr: u64, limit: SplitLimit, new: Part) -> Result<(), Errno> {
        let Some(vma) = self.tree.at(addr).filter(|vma| vma.start < addr) else {
            return Ok(());
        };
        if limit == SplitLimit::Enforced && self.tree.len() >= self.config.max_map_count {
            return Err(Errno::ENOMEM);
        }
        vma.may_split(addr)?;
        self.tree.cut(addr, self.config.page_shift())?;
        self.counters.splits += 1;
        self.note_number();
        let part = match new {
            Part::Below => self.tree.ending_at(addr),
            Part::Above => self.tree.at(addr),
        };
        if let Some(part) = part {
            part.opened();
        }
        Ok(())
    }

    /// Puts `vma` where nothing is, as part of a neighbour if one fits.
    ///
    /// Returns the range of the VMA that now holds it.
    ///
    /// # Errors
    /// ENOMEM without memory; nothing has changed.
    pub(crate) fn insert_merging(&mut self, vma: Vma, reach: Reach) -> Result<AddrRange, Errno> {
        let free = self.tree.free(vma.range());
        self.insert_merging_at(vma, free, reach)
    }

    /// As [`insert_merging`](Self::insert_merging), at what [`VmaTree::free`] has answered for its
    /// range.
    ///
    /// [`VmaTree::free`]: crate::vma_tree::VmaTree::free
    pub(crate) fn insert_merging_at(
        &mut self,
        vma: Vma,
        free: Option<FreeRange>,
        reach: Reach,
    ) -> Result<AddrRange, Errno> {
        let Some(free) = free else {
            debug_assert!(false, "something is there");
            return Err(Errno::ENOMEM);
        };
        let Some((case, target, merged)) = self.merge_of_new(&vma, &free, reach) else {
            let range = vma.range();
            self.store_new(vma)?;
            return Ok(range);
        };
        let (flags, pages) = (vma.flags, self.pages(vma.len()).cast_signed());
        self.become_merged(target, merged)?;
        count_pages(&mut self.counters, flags, pages);
        self.counters.merges.count_new(case);
        Ok(merged.range)
    }

    /// The merging half of [`Mm::insert_merging_at`]: the case, an address of the neighbour that
    /// takes `vma` in, and what that becomes.
    fn merge_of_new(
        &self,
        vma: &Vma,
        free: &FreeRange,
        reach: Reach,
    ) -> Option<(NewMerge, u64, Merged)> {
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
        let (prev, next) = self.tree.neighbours(free);
        let decision = decide_new(prev, next, &proposal, reach);
        let (target, merged) = match (decision, prev, next) {
            (NewMerge::Both, Some(prev), Some(next)) => {
                let whole = AddrRange::new(prev.start, next.end);
                let merged = absorb(prev, whole, prev.pgoff, &proposal, Some(next));
                (prev.start, merged)
            }
            (NewMerge::Left, Some(prev), _) => {
                let range = AddrRange::new(prev.start, vma.end);
                (prev.start, absorb(prev, range, prev.pgoff, &proposal, None))
            }
            (NewMerge::Right, _, Some(next)) => {
                let range = AddrRange::new(vma.start, next.end);
                (next.start, absorb(next, range, vma.pgoff, &proposal, None))
            }
            _ => return None,
        };
        Some((decision, target, merged))
    }

    /// Gives `range`, which lies in one VMA, new properties: merged with neighbours that fit, else
    /// cut out. Returns the range of the VMA that then holds it.
    ///
    /// # Errors
    /// Those of [`Mm::split`]. A first cut stays when the second one fails, as in Linux.
    #[doc(alias = "vma_modify")]
    pub(crate) fn modify(&mut self, range: AddrRange, change: &Change) -> Result<AddrRange, Errno> {
        let place = self.tree.place(range.start);
        let Some(vma) = place.vma().map(VmaRef::get) else {
            debug_assert!(false, "a change of nothing");
            return Err(Errno::ENOMEM);
        };
        let decided = self.decide_change(&place, vma, range, change);
        self.carry_out(range, change, decided)
    }

    /// What becomes of `range`, part of `vma`, the one at `place`, when it gets new properties.
    #[inline]
    pub(crate) fn decide_change(
        &self,
        place: &Place<'_, E>,
        vma: &Vma,
        range: AddrRange,
        change: &Change,
    ) -> Decided {
        let reaches_end = range.end == vma.end && !cfg!(planted = "end_unseen");
        let reaches_an_end = range.start == vma.start || reaches_end;
        if reaches_an_end
            && let Some((case, target, merged)) = self.merge_of_part(place, vma, range, change)
        {
            let was = vma.flags;
            return Decided::Merge {
                case,
                target,
                merged,
                was,
            };
        }
        Decided::Cut {
            whole: vma.range(),
            was: vma.flags,
            is_heard: vma.operations().is_some(),
            is_one: matches!(&vma.backing, Backing::Special(special) if !special.may_split),
        }
    }

    /// Makes the change as decided a moment ago; see [`Mm::modify`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub(crate) fn carry_out(
        &mut self,
        range: AddrRange,
        change: &Change,
        decided: Decided,
    ) -> Result<AddrRange, Errno> {
        let (whole, was, is_heard, is_one) = match decided {
            Decided::Merge {
                case,
                target,
                merged,
                was,
            } => {
                let done = self.become_merged(target, merged);
                if !cfg!(planted = "merge_failure_is_no_merge") || done.is_ok() {
                    done?;
                    self.recount(range, was, change.flags);
                    self.counters.merges.count(case);
                    return Ok(merged.range);
                }
                let vma = self.tree.at(range.start);
                let whole = vma.map_or(range, Vma::range);
                (
                    whole,
                    vma.map_or(change.flags, |vma| vma.flags),
                    false,
                    false,
                )
            }
            Decided::Cut {
                whole,
                was,
                is_heard,
                is_one,
            } => (whole, was, is_heard, is_one),
        };
        let cuts = usize::from(range.start > whole.start) + usize::from(range.end < whole.end);
        let room = self.config.max_map_count.saturating_sub(self.tree.len());
        if cuts > room {
            if room > 0 && !cfg!(planted = "split_undone") {
                self.split(range.start, SplitLimit::Enforced, Part::Below)?;
            }
            return Err(Errno::ENOMEM);
        }
        let (mut rest, mut nr_silent) = (whole, 0);
        if cuts > 0 && is_heard {
            // Whoever listens hears of each cut by itself, and may object to the second.
            if range.start > whole.start {
                self.split(range.start, SplitLimit::Enforced, Part::Below)?;
            }
            if range.end < whole.end {
                self.split(range.end, SplitLimit::Enforced, Part::Above)?;
            }
            rest = range;
        } else if cuts > 0 {
            if is_one {
                return Err(Errno::EINVAL);
            }
            nr_silent = cuts as u64;
        }
        let shift = self.config.page_shift();
        self.tree
            .carve(rest, range, shift, |vma| change.apply(vma))?;
        self.recount(range, was, change.flags);
        self.counters.splits += nr_silent;
        self.note_number();
        Ok(range)
    }

    /// The merging half of [`Mm::modify`]: the case, an address of the VMA that takes the range in,
    /// and what that becomes.
    fn merge_of_part(
        &self,
        place: &Place<'_, E>,
        vma: &Vma,
        range: AddrRange,
        change: &Change,
    ) -> Option<(ExistingMerge, u64, Merged)> {
        let shift = self.config.page_shift();
        let proposal = Proposal {
            range,
            flags: change.flags,
            pgoff: vma.pgoff_at(range.start, shift),
            backing: &vma.backing,
            anon_vma: vma.anon_vma,
            anon_name: change.anon_name(vma),
            uffd: change.uffd.unwrap_or(vma.uffd),
            page_shift: shift,
        };
        let (at_start, at_end) = (range.start == vma.start, range.end == vma.end);
        let prev = at_start.then(|| place.below().map(VmaRef::get)).flatten();
        let next = at_end.then(|| place.above().map(VmaRef::get)).flatten();
        let decision = decide_existing(prev, vma, next, &proposal);
        let to = |start, end| AddrRange::new(start, end);
        let (target, merged) = match (decision, prev, next) {
            (ExistingMerge::WholeBoth, Some(prev), Some(next)) => {
                let whole = to(prev.start, next.end);
                let merged = absorb(prev, whole, prev.pgoff, &proposal, Some(next));
                (prev.start, merged)
            }
            (ExistingMerge::WholeLeft | ExistingMerge::PartLeft, Some(prev), _) => {
                let grown = to(prev.start, range.end);
                (prev.start, absorb(prev, grown, prev.pgoff, &proposal, None))
            }
            (ExistingMerge::WholeRight | ExistingMerge::PartRight, _, Some(next)) => {
                let grown = to(range.start, next.end);
                let merged = absorb(next, grown, proposal.pgoff, &proposal, None);
                (next.start, merged)
            }
            _ => return None,
        };
        Some((decision, target, merged))
    }
}

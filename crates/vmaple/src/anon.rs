//! Which VMAs hold anonymous pages of their own: the part of page faults that merging depends on.

use crate::addr::AddrRange;
use crate::errno::Unmodelled;
use crate::flags::VmFlags;
use crate::merge::may_reuse_anon_vma;
use crate::mm::Mm;
use crate::vma::{AnonVma, AnonVmaId, Vma};
use alloc::vec::Vec;
use vmaple_locks::Environment;

/// How an attempt to fault in a range ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Populated {
    /// All of it.
    Fully,
    /// A page cannot be had: no access, a hole, or beyond the end of the file.
    Fault,
}

/// The first address of `part` that one of the ascending `guards` has.
pub(crate) fn first_within(guards: &[AddrRange], part: AddrRange) -> Option<u64> {
    let reached = guards.partition_point(|guard| guard.end <= part.start);
    let guard = guards.get(reached)?;
    guard.overlaps(part).then(|| guard.start.max(part.start))
}

impl<E: Environment> Mm<E> {
    /// A number no VMA has yet.
    pub(crate) fn fresh_anon_id(&mut self) -> AnonVmaId {
        let id = AnonVmaId(self.next_anon);
        self.next_anon += 1;
        id
    }

    /// Tells that the VMA at `addr` got its first private page through a write fault.
    ///
    /// It then shares the reverse mapping of its next or else previous neighbour, if that differs
    /// in access rights only and did not come through a fork; otherwise it has one of its own.
    /// Does nothing where there is no private VMA, or where it has had such a fault before.
    #[doc(alias = "anon_vma_prepare")]
    pub fn note_faulted(&mut self, addr: u64) {
        let Some(vma) = self.tree.at(addr) else {
            return;
        };
        if !vma.lacks_anon_vma() {
            return;
        }
        let shift = self.config.page_shift();
        let lend = |neighbour: &Vma| neighbour.anon_vma.filter(|anon| !anon.inherited);
        let from_next = self
            .tree
            .starting_at(vma.end)
            .filter(|next| may_reuse_anon_vma(vma, next, shift))
            .and_then(lend);
        let from_prev = || {
            self.tree
                .ending_at(vma.start)
                .filter(|prev| may_reuse_anon_vma(prev, vma, shift))
                .and_then(lend)
        };
        let anon = from_next.or_else(from_prev).unwrap_or_else(|| AnonVma {
            id: self.fresh_anon_id(),
            inherited: false,
        });
        self.tree.update(addr, |vma| vma.anon_vma = Some(anon));
    }

    /// Collects the private VMAs without anonymous pages, so far as this address space knows,
    /// that overlap `range` or lie up to two VMAs to either side of it: those on which a merge
    /// decision about `range` may depend. `out` is cleared first; ascending order.
    pub fn unfaulted_near(&self, range: AddrRange, out: &mut Vec<AddrRange>) {
        const SIDE: usize = 2;
        out.clear();
        let mut start = range.start;
        for _ in 0..SIDE {
            let Some(prev) = self.tree.prev(start) else {
                break;
            };
            start = prev.start;
        }
        let mut beyond = 0;
        let mut addr = start;
        while let Some(vma) = self.tree.find(addr) {
            if vma.start >= range.end {
                beyond += 1;
            }
            if beyond > SIDE {
                break;
            }
            if vma.lacks_anon_vma() {
                out.push(vma.range());
            }
            addr = vma.end;
        }
    }

    /// Tells where the guard pages are (MADV_GUARD_INSTALL) in what the next `mlock`, `mlock2`,
    /// `mlockall` or populating `madvise` brings in: ascending, not overlapping.
    ///
    /// Guards are a matter of pages, which the embedder has. A call that has to know of them, and
    /// was not told, is [`Unmodelled`].
    ///
    /// ```
    /// use vmaple::{AddrRange, Errno, Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x3000, 3, 0x22)).unwrap();
    /// let (guard_install, populate_read) = (102, 22);
    /// mm.madvise(addr + 0x2000, 0x1000, guard_install).unwrap();
    /// mm.note_guards(vec![AddrRange::new(addr + 0x2000, addr + 0x3000)]);
    /// assert_eq!(mm.madvise(addr, 0x3000, populate_read), Err(Errno::EFAULT.into()));
    /// ```
    pub fn note_guards(&mut self, guards: Vec<AddrRange>) {
        self.guards = Some(guards);
    }

    /// The guards in `range`, which a call brings in that took what was `told` when it began.
    ///
    /// # Errors
    /// [`Unmodelled`]: nothing was told, and there may be guards.
    pub(crate) fn guards_within(
        &self,
        range: AddrRange,
        told: Option<Vec<AddrRange>>,
    ) -> Result<Vec<AddrRange>, Unmodelled> {
        let may_hold = |vma: &Vma| vma.flags.contains(VmFlags::MAYBE_GUARD);
        match told {
            Some(guards) => Ok(guards),
            None if self.overlapping(range).any(may_hold) => {
                Err(Unmodelled("bringing in what may hold guard pages"))
            }
            None => Ok(Vec::new()),
        }
    }

    /// Faults in `range` as far as anon_vmas are concerned; the VMAs are visited in order.
    ///
    /// Stops at the first VMA whose pages cannot be had when `strict`, else goes on.
    #[doc(alias = "__mm_populate")]
    pub(crate) fn populate(&mut self, range: AddrRange, strict: bool) -> Populated {
        self.populate_around(range, strict, &[])
    }

    /// The same in memory with guard pages, which cannot be had.
    pub(crate) fn populate_around(
        &mut self,
        range: AddrRange,
        strict: bool,
        guards: &[AddrRange],
    ) -> Populated {
        let mut result = Populated::Fully;
        let mut addr = range.start;
        while addr < range.end {
            let Some(vma) = self.tree.find(addr).filter(|vma| vma.start < range.end) else {
                break;
            };
            let part = vma.range().intersection(AddrRange::new(addr, range.end));
            addr = part.end;
            if vma
                .flags
                .intersects(VmFlags::IO | VmFlags::PFNMAP | VmFlags::LOCKONFAULT)
            {
                continue;
            }
            let guard = first_within(guards, part);
            let faults = self.faults_in(vma, part) || guard.is_some();
            if vma.flags.is_private_writable() && guard != Some(part.start) {
                self.note_faulted(part.start);
            }
            if faults {
                result = Populated::Fault;
                if strict {
                    break;
                }
            }
        }
        result
    }

    /// Whether touching all of `part` of `vma` fails somewhere.
    pub(crate) fn faults_in(&self, vma: &Vma, part: AddrRange) -> bool {
        if !vma.flags.is_accessible() {
            return true;
        }
        let Some(len) = vma.backing.file().and_then(|file| file.len_hint()) else {
            return false;
        };
        let last_page = vma.pgoff_at(part.end, self.config.page_shift());
        !vma.is_anonymous() && last_page > self.pages(self.config.page_ceil(len))
    }
}

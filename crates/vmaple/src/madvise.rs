//! `madvise`: advice that changes flags, and validation of the advice that does not.

use crate::addr::AddrRange;
use crate::anon::first_within;
use crate::errno::{CallError, Errno, Unmodelled};
use crate::file::FileKind;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::store::Change;
use crate::vma::{Backing, Vma};
use crate::walk::Coverage;
use alloc::vec::Vec;
use vmaple_locks::Environment;

/// The advice values of x86-64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Advice {
    Normal,
    Random,
    Sequential,
    WillNeed,
    DontNeed,
    Free,
    Remove,
    DontFork,
    DoFork,
    Mergeable,
    Unmergeable,
    HugePage,
    NoHugePage,
    DontDump,
    DoDump,
    WipeOnFork,
    KeepOnFork,
    Cold,
    PageOut,
    PopulateRead,
    PopulateWrite,
    DontNeedLocked,
    Collapse,
    Poison,
    GuardInstall,
    GuardRemove,
}

impl Advice {
    const fn from_raw(raw: i32) -> Option<Advice> {
        Some(match raw {
            0 => Advice::Normal,
            1 => Advice::Random,
            2 => Advice::Sequential,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            8 => Advice::Free,
            9 => Advice::Remove,
            10 => Advice::DontFork,
            11 => Advice::DoFork,
            12 => Advice::Mergeable,
            13 => Advice::Unmergeable,
            14 => Advice::HugePage,
            15 => Advice::NoHugePage,
            16 => Advice::DontDump,
            17 => Advice::DoDump,
            18 => Advice::WipeOnFork,
            19 => Advice::KeepOnFork,
            20 => Advice::Cold,
            21 => Advice::PageOut,
            22 => Advice::PopulateRead,
            23 => Advice::PopulateWrite,
            24 => Advice::DontNeedLocked,
            25 => Advice::Collapse,
            100 | 101 => Advice::Poison,
            102 => Advice::GuardInstall,
            103 => Advice::GuardRemove,
            _ => return None,
        })
    }

    /// Whether contents may be lost.
    const fn discards(self) -> bool {
        matches!(
            self,
            Advice::Free
                | Advice::DontNeed
                | Advice::DontNeedLocked
                | Advice::Remove
                | Advice::DontFork
                | Advice::WipeOnFork
                | Advice::GuardInstall
        )
    }
}

impl<E: Environment> Mm<E> {
    /// Gives advice about `addr..addr + len`.
    ///
    /// # Errors
    /// EINVAL: unknown or unsuitable advice, misaligned. ENOMEM: a hole; all mapped parts have
    /// been advised then. EAGAIN: too many VMAs. EPERM: sealed. EBADF, EACCES, EFAULT as in
    /// Linux. VMAs below the one that fails have been advised.
    /// [`Unmodelled`]: MADV_COLLAPSE, memory failure injection, and populating what may hold guard
    /// pages while [`Mm::note_guards`] has not told.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs, VmFlags};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x3000, 3, 0x22)).unwrap();
    /// let dont_fork = 10;
    /// mm.madvise(addr, 0x1000, dont_fork).unwrap();
    /// assert!(mm.vma_at(addr).unwrap().flags.contains(VmFlags::DONTCOPY));
    /// assert_eq!(mm.len(), 2);
    /// ```
    #[doc(alias = "do_madvise")]
    pub fn madvise(&mut self, addr: u64, len: u64, advice: i32) -> Result<(), CallError> {
        let told = self.guards.take();
        let advice = self.known_advice(advice)?;
        let range = self.checked_range(addr, len)?;
        if advice == Advice::Poison {
            if !self.config.capabilities.sys_admin {
                return Err(Errno::EPERM.into());
            }
            return Err(Unmodelled("madvise of memory failure").into());
        }
        let Some(range) = range else { return Ok(()) };
        if matches!(advice, Advice::PopulateRead | Advice::PopulateWrite) {
            return self.advise_populate(range, advice == Advice::PopulateWrite, told);
        }
        if advice == Advice::Collapse {
            return Err(Unmodelled("MADV_COLLAPSE").into());
        }
        match self.walk_parts(range, |mm, vma, part| mm.advise_vma(vma, part, advice))? {
            Coverage::Whole => Ok(()),
            Coverage::Holes => Err(Errno::ENOMEM.into()),
        }
    }

    fn known_advice(&self, raw: i32) -> Result<Advice, Errno> {
        let features = &self.config.features;
        let advice = Advice::from_raw(raw).ok_or(Errno::EINVAL)?;
        let compiled_in = match advice {
            Advice::Mergeable | Advice::Unmergeable => features.ksm,
            Advice::HugePage | Advice::NoHugePage | Advice::Collapse => features.thp,
            Advice::Poison => features.memory_failure,
            _ => true,
        };
        if compiled_in {
            Ok(advice)
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Advises part of one VMA; returns the end of the VMA that then holds it.
    #[doc(alias = "madvise_vma_behavior")]
    fn advise_vma(&mut self, vma: &Vma, part: AddrRange, advice: Advice) -> Result<u64, CallError> {
        if advice.discards() && is_protected_by_seal(vma) {
            return Err(Errno::EPERM.into());
        }
        if let Some(flags) = advised_flags(vma, advice)? {
            if flags == vma.flags {
                return Ok(part.end);
            }
            let change = Change::flags(flags);
            return match self.modify(part, &change) {
                Ok(held) => Ok(held.end),
                Err(Errno::ENOMEM) => Err(Errno::EAGAIN.into()),
                Err(errno) => Err(errno.into()),
            };
        }
        check_advice(vma, advice)?;
        if advice == Advice::Remove {
            check_punched(vma, part, self.config.page_shift())?;
        }
        if advice == Advice::GuardInstall {
            if vma.is_anonymous() {
                self.note_faulted(part.start);
            }
            if self.config.features.maybe_guard {
                self.set_flags(part.start, vma.flags | VmFlags::MAYBE_GUARD);
            }
        }
        Ok(part.end)
    }

    /// MADV_POPULATE_READ and MADV_POPULATE_WRITE.
    #[doc(alias = "madvise_populate")]
    fn advise_populate(
        &mut self,
        range: AddrRange,
        write: bool,
        told: Option<Vec<AddrRange>>,
    ) -> Result<(), CallError> {
        let guards = self.guards_within(range, told)?;
        let mut at = range.start;
        while at < range.end {
            let vma = self.tree.at(at).ok_or(Errno::ENOMEM)?;
            let needed = if write { VmFlags::WRITE } else { VmFlags::READ };
            let device = vma.flags.intersects(VmFlags::IO | VmFlags::PFNMAP);
            if device || !vma.flags.contains(needed) {
                return Err(Errno::EINVAL.into());
            }
            let part = AddrRange::new(at, vma.end.min(range.end));
            let guard = first_within(&guards, part);
            let faults = self.faults_in(vma, part) || guard.is_some();
            at = part.end;
            if write && guard != Some(part.start) {
                self.note_faulted(part.start);
            }
            if faults {
                return Err(Errno::EFAULT.into());
            }
        }
        Ok(())
    }
}

/// The flags advice gives a VMA; `None` for advice that is not about flags.
fn advised_flags(vma: &Vma, advice: Advice) -> Result<Option<VmFlags>, Errno> {
    let flags = vma.flags;
    let special = flags.intersects(VmFlags::SPECIAL);
    let droppable = flags.contains(VmFlags::DROPPABLE);
    let new = match advice {
        Advice::Normal => flags - VmFlags::RAND_READ - VmFlags::SEQ_READ,
        Advice::Sequential => (flags - VmFlags::RAND_READ) | VmFlags::SEQ_READ,
        Advice::Random => (flags - VmFlags::SEQ_READ) | VmFlags::RAND_READ,
        Advice::DontFork => flags | VmFlags::DONTCOPY,
        Advice::DoFork if flags.contains(VmFlags::IO) => return Err(Errno::EINVAL),
        Advice::DoFork => flags - VmFlags::DONTCOPY,
        Advice::WipeOnFork => {
            if vma.backing.file().is_some() || flags.contains(VmFlags::SHARED) {
                return Err(Errno::EINVAL);
            }
            flags | VmFlags::WIPEONFORK
        }
        Advice::KeepOnFork if droppable => return Err(Errno::EINVAL),
        Advice::KeepOnFork => flags - VmFlags::WIPEONFORK,
        Advice::DontDump => flags | VmFlags::DONTDUMP,
        Advice::DoDump if special || droppable => return Err(Errno::EINVAL),
        Advice::DoDump => flags - VmFlags::DONTDUMP,
        Advice::Mergeable if is_page_mergeable(vma) => flags | VmFlags::MERGEABLE,
        Advice::Mergeable => flags,
        Advice::Unmergeable => flags - VmFlags::MERGEABLE,
        Advice::HugePage => (flags - VmFlags::NOHUGEPAGE) | VmFlags::HUGEPAGE,
        Advice::NoHugePage => (flags - VmFlags::HUGEPAGE) | VmFlags::NOHUGEPAGE,
        _ => return Ok(None),
    };
    Ok(Some(new))
}

/// Whether same-page merging can be asked for.
#[doc(alias = "vma_ksm_compatible")]
fn is_page_mergeable(vma: &Vma) -> bool {
    let unsuitable = VmFlags::SHARED
        | VmFlags::MAYSHARE
        | VmFlags::SPECIAL
        | VmFlags::HUGETLB
        | VmFlags::DROPPABLE;
    !vma.flags.intersects(unsuitable)
}

/// Sealed anonymous memory whose contents the process could not change by writing.
#[doc(alias = "can_madvise_modify")]
fn is_protected_by_seal(vma: &Vma) -> bool {
    vma.flags.contains(VmFlags::SEALED)
        && !vma.flags.intersects(VmFlags::SHARED | VmFlags::WRITE)
        && vma.is_anonymous()
}

/// Whether advice that leaves the flags alone suits the VMA.
fn check_advice(vma: &Vma, advice: Advice) -> Result<(), Errno> {
    let forbid = |flags: VmFlags| {
        if vma.flags.intersects(flags) {
            Err(Errno::EINVAL)
        } else {
            Ok(())
        }
    };
    match advice {
        Advice::DontNeed => forbid(VmFlags::LOCKED | VmFlags::PFNMAP),
        Advice::DontNeedLocked => forbid(VmFlags::PFNMAP),
        Advice::Free => {
            forbid(VmFlags::LOCKED | VmFlags::PFNMAP)?;
            if vma.is_anonymous() {
                Ok(())
            } else {
                Err(Errno::EINVAL)
            }
        }
        Advice::Remove => check_remove(vma),
        Advice::Cold | Advice::PageOut => {
            forbid(VmFlags::LOCKED | VmFlags::PFNMAP | VmFlags::HUGETLB)
        }
        Advice::GuardInstall => forbid(VmFlags::SPECIAL | VmFlags::HUGETLB | VmFlags::LOCKED),
        Advice::GuardRemove => forbid(VmFlags::SPECIAL | VmFlags::HUGETLB),
        _ => Ok(()),
    }
}

/// MADV_REMOVE punches a hole into a file that is mapped shared and may be written to.
fn check_remove(vma: &Vma) -> Result<(), Errno> {
    if vma.flags.contains(VmFlags::LOCKED) {
        return Err(Errno::EINVAL);
    }
    let Backing::File(file) = &vma.backing else {
        return Err(Errno::EINVAL);
    };
    if !vma.flags.contains(VmFlags::SHARED | VmFlags::MAYWRITE) {
        return Err(Errno::EACCES);
    }
    match file.kind() {
        FileKind::Device { .. } | FileKind::DevZero => Err(Errno::EOPNOTSUPP),
        _ => Ok(()),
    }
}

/// The hole must lie where the file could have bytes: an offset is a signed number.
fn check_punched(vma: &Vma, part: AddrRange, page_shift: u32) -> Result<(), Errno> {
    let offset = vma.pgoff_at(part.start, page_shift) << page_shift;
    if offset > i64::MAX as u64 {
        return Err(Errno::EINVAL);
    }
    let most = vma.backing.file().map_or(0, |file| file.max_held());
    match offset.checked_add(part.len()) {
        Some(end) if end <= most => Ok(()),
        _ => Err(Errno::EFBIG),
    }
}

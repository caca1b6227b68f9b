//! `mlock`, `mlock2`, `munlock`, `mlockall`, `munlockall`.

use crate::addr::AddrRange;
use crate::anon::Populated;
use crate::errno::{CallError, Errno};
use crate::file::FileKind;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::store::Change;
use crate::vma::Vma;
use alloc::vec::Vec;
use vmaple_locks::Environment;

const MLOCK_ONFAULT: u64 = 1;
const MCL_CURRENT: u64 = 1;
const MCL_FUTURE: u64 = 2;
const MCL_ONFAULT: u64 = 4;

impl<E: Environment> Mm<E> {
    /// Locks the pages that `addr..addr + len` touches.
    ///
    /// # Errors
    /// EPERM: locking is not permitted at all. ENOMEM: the limit, a hole (VMAs below it are
    /// locked), or pages that cannot be had (all VMAs are locked then).
    /// [`Unmodelled`](crate::Unmodelled): part of the range may hold guard pages, and
    /// [`Mm::note_guards`] has not told.
    ///
    /// ```
    /// use vmaple::{Errno, Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x3000, 3, 0x22)).unwrap();
    /// mm.mlock(addr + 1, 1).unwrap();
    /// assert_eq!(mm.counters().locked_vm, 1);
    /// assert_eq!(mm.mlock(0x1000, 1), Err(Errno::ENOMEM.into()));
    /// ```
    #[doc(alias = "do_mlock")]
    pub fn mlock(&mut self, addr: u64, len: u64) -> Result<(), CallError> {
        self.lock_range(addr, len, VmFlags::LOCKED)
    }

    /// [`Mm::mlock`] with flags: 1 locks pages as they are faulted in.
    ///
    /// # Errors
    /// As [`Mm::mlock`], and EINVAL for unknown flags.
    pub fn mlock2(&mut self, addr: u64, len: u64, flags: u64) -> Result<(), CallError> {
        match flags {
            0 => self.lock_range(addr, len, VmFlags::LOCKED),
            MLOCK_ONFAULT => self.lock_range(addr, len, VmFlags::LOCKED_MASK),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// Unlocks the pages that `addr..addr + len` touches.
    ///
    /// # Errors
    /// ENOMEM: a hole (VMAs below it are unlocked). EINVAL: the range wraps around.
    pub fn munlock(&mut self, addr: u64, len: u64) -> Result<(), CallError> {
        let range = self.touched(addr, len)?;
        self.apply_lock(range, VmFlags::empty())?;
        Ok(())
    }

    /// Locks everything there is (1), and everything to come (2), optionally on fault (4).
    ///
    /// # Errors
    /// EINVAL, EPERM, or ENOMEM for the limit.
    pub fn mlockall(&mut self, flags: u64) -> Result<(), CallError> {
        // Errors of pages are passed over here, and so are guards that nobody told of.
        let guards = self.guards.take().unwrap_or_default();
        let known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
        if flags == 0 || flags & !known != 0 || flags == MCL_ONFAULT {
            return Err(Errno::EINVAL.into());
        }
        if !self.can_lock() {
            return Err(Errno::EPERM.into());
        }
        let current = flags & MCL_CURRENT != 0;
        let limit = self.pages(self.config.limits.memlock_bytes);
        let exempt = self.config.capabilities.ipc_lock;
        if current && self.counters.total_vm > limit && !exempt {
            return Err(Errno::ENOMEM.into());
        }
        let on_fault = flags & MCL_ONFAULT != 0;
        let locked = if on_fault {
            VmFlags::LOCKED_MASK
        } else {
            VmFlags::LOCKED
        };
        self.def_flags -= VmFlags::LOCKED_MASK;
        if flags & MCL_FUTURE != 0 {
            self.def_flags |= locked;
        }
        if current {
            self.apply_lock_to_all(locked);
            let all = AddrRange::new(0, self.config.task_size);
            self.populate_around(all, false, &guards);
        }
        Ok(())
    }

    /// Unlocks everything, and ends the locking of new mappings.
    pub fn munlockall(&mut self) {
        self.def_flags -= VmFlags::LOCKED_MASK;
        self.apply_lock_to_all(VmFlags::empty());
    }

    /// The whole pages that a byte range touches.
    fn touched(&self, addr: u64, len: u64) -> Result<AddrRange, Errno> {
        let config = &self.config;
        let start = config.page_floor(addr);
        let len = config.page_ceil(len.wrapping_add(addr - start));
        let end = start.wrapping_add(len);
        if end < start {
            Err(Errno::EINVAL)
        } else {
            Ok(AddrRange::new(start, end))
        }
    }

    fn lock_range(&mut self, addr: u64, len: u64, flags: VmFlags) -> Result<(), CallError> {
        let told = self.guards.take();
        if !self.can_lock() {
            return Err(Errno::EPERM.into());
        }
        let start = self.config.page_floor(addr);
        let bytes = self.config.page_ceil(len.wrapping_add(addr - start));
        self.check_lock_limit(start, bytes)?;
        let range = self.touched(addr, len)?;
        let guards = self.guards_within(range, told)?;
        self.apply_lock(range, flags)?;
        match self.populate_around(range, true, &guards) {
            Populated::Fully => Ok(()),
            Populated::Fault => Err(Errno::ENOMEM.into()),
        }
    }

    /// RLIMIT_MEMLOCK; pages of the range that are locked already count once.
    fn check_lock_limit(&self, start: u64, bytes: u64) -> Result<(), Errno> {
        if self.config.capabilities.ipc_lock {
            return Ok(());
        }
        let limit = self.pages(self.config.limits.memlock_bytes);
        let mut wanted = self.counters.locked_vm + self.pages(bytes);
        if wanted > limit {
            let range = AddrRange::new(start, start.saturating_add(bytes));
            let locked = |vma: &&Vma| vma.flags.contains(VmFlags::LOCKED);
            let already = self.overlapping(range).filter(locked);
            wanted -= already
                .map(|vma| self.pages(vma.range().intersection(range).len()))
                .sum::<u64>();
        }
        if wanted > limit {
            Err(Errno::ENOMEM)
        } else {
            Ok(())
        }
    }

    /// Sets the lock flags of a range without holes.
    #[doc(alias = "apply_vma_lock_flags")]
    fn apply_lock(&mut self, range: AddrRange, locked: VmFlags) -> Result<(), Errno> {
        if range.is_empty() {
            return Ok(());
        }
        let mut addr = range.start;
        while addr < range.end {
            let Some(vma) = self.tree.at(addr).cloned() else {
                return Err(Errno::ENOMEM);
            };
            let part = AddrRange::new(addr, vma.end.min(range.end));
            addr = self.lock_vma(&vma, part, locked)?.max(part.end);
        }
        Ok(())
    }

    /// The same for every VMA; failures to cut are passed over, as nothing is cut.
    fn apply_lock_to_all(&mut self, locked: VmFlags) {
        let starts: Vec<u64> = self.iter().map(|vma| vma.start).collect();
        for start in starts {
            if let Some(vma) = self.tree.starting_at(start).cloned() {
                // Whole VMAs are never cut, so this cannot fail.
                let _ = self.lock_vma(&vma, vma.range(), locked);
            }
        }
    }

    /// Linux counts the pages of a change of locks in 32 bits: 16 TiB and more are miscounted.
    fn count_as_linux(&mut self, vma: &Vma, part: AddrRange, locked: VmFlags) {
        let pages = self.pages(part.len()).cast_signed();
        let lost = pages - i64::from(pages as i32);
        let was_locked = vma.flags.contains(VmFlags::LOCKED);
        let counter = &mut self.counters.locked_vm;
        *counter = match (was_locked, locked.contains(VmFlags::LOCKED)) {
            (false, true) => counter.wrapping_add_signed(-lost),
            (true, false) => counter.wrapping_add_signed(lost),
            _ => *counter,
        };
    }

    /// Sets the lock flags of part of a VMA; returns the end of the VMA that then holds it.
    #[doc(alias = "mlock_fixup")]
    fn lock_vma(&mut self, vma: &Vma, part: AddrRange, locked: VmFlags) -> Result<u64, Errno> {
        let flags = (vma.flags - VmFlags::LOCKED_MASK) | locked;
        if flags == vma.flags || !is_lockable(vma) {
            return Ok(part.end);
        }
        let held = self.modify(part, &Change::flags(flags))?;
        self.count_as_linux(vma, part, locked);
        Ok(held.end)
    }
}

/// Whether lock flags are kept for this VMA at all.
fn is_lockable(vma: &Vma) -> bool {
    let exempt = VmFlags::SPECIAL | VmFlags::HUGETLB | VmFlags::DROPPABLE;
    let device = vma
        .backing
        .file()
        .is_some_and(|file| file.kind() == FileKind::Hugetlb);
    !vma.flags.intersects(exempt) && !device
}

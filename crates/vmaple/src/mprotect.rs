//! `mprotect` and `pkey_mprotect`.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno, Unmodelled};
use crate::flags::{Prot, VmFlags};
use crate::mm::Mm;
use crate::mmap::access_flags;
use crate::store::Change;
use crate::vma::Vma;
use vmaple_locks::{Environment, VmaRef};

impl<E: Environment> Mm<E> {
    /// Changes the access of `len` bytes, rounded up to pages, from `addr`.
    ///
    /// # Errors
    /// EINVAL, ENOMEM (a hole, or a limit), EACCES (the mapping does not permit it), EPERM
    /// (sealed). VMAs below the one that fails have been changed.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x3000, 3, 0x22)).unwrap();
    /// mm.mprotect(addr + 0x1000, 0x1000, 1).unwrap();
    /// assert_eq!(mm.len(), 3);
    /// mm.mprotect(addr + 0x1000, 0x1000, 3).unwrap();
    /// assert_eq!(mm.len(), 1);
    /// ```
    #[doc(alias = "do_mprotect_pkey")]
    pub fn mprotect(&mut self, addr: u64, len: u64, prot: u64) -> Result<(), CallError> {
        self.pkey_mprotect(addr, len, prot, -1)
    }

    /// The same, and sets protection key `pkey` (-1: leave it).
    ///
    /// # Errors
    /// As [`Mm::mprotect`]; EINVAL for a key where the processor has none.
    /// [`Unmodelled`]: keys, where the processor has them, since which are allocated is unknown.
    #[inline]
    pub fn pkey_mprotect(
        &mut self,
        addr: u64,
        len: u64,
        prot: u64,
        pkey: i32,
    ) -> Result<(), CallError> {
        let prot = Prot::from_bits_retain(prot);
        let grows = prot & (Prot::GROWSDOWN | Prot::GROWSUP);
        let prot = prot - grows;
        if grows == Prot::GROWSDOWN | Prot::GROWSUP || !self.config.is_aligned(addr) {
            return Err(Errno::EINVAL.into());
        }
        if len == 0 {
            return Ok(());
        }
        let len = self.config.page_ceil(len);
        let end = addr.wrapping_add(len);
        if end <= addr {
            return Err(Errno::ENOMEM.into());
        }
        let known = Prot::READ | Prot::WRITE | Prot::EXEC | Prot::SEM;
        if !(prot - known).is_empty() {
            return Err(Errno::EINVAL.into());
        }
        if self.config.features.pkeys && (pkey > 0 || prot == Prot::EXEC) {
            return Err(Unmodelled("protection keys").into());
        }
        if pkey != -1 && !(pkey == 0 && self.config.features.pkeys) {
            return Err(Errno::EINVAL.into());
        }
        self.tree.seek(addr);
        let mut range = AddrRange::new(addr, end);
        if !grows.is_empty() {
            range = self.grown_range(range, grows)?;
        }
        self.protect_range(range, prot)
    }

    /// The range that PROT_GROWSDOWN makes of it.
    fn grown_range(&self, range: AddrRange, grows: Prot) -> Result<AddrRange, Errno> {
        let vma = self.find(range.start).ok_or(Errno::ENOMEM)?;
        if grows == Prot::GROWSDOWN {
            if vma.start >= range.end {
                return Err(Errno::ENOMEM);
            }
            if !vma.flags.contains(VmFlags::GROWSDOWN) {
                return Err(Errno::EINVAL);
            }
            return Ok(AddrRange::new(vma.start, range.end));
        }
        if vma.start > range.start {
            return Err(Errno::ENOMEM);
        }
        // No mapping grows upwards on the machines this crate knows.
        Err(Errno::EINVAL)
    }

    fn protect_range(&mut self, range: AddrRange, prot: Prot) -> Result<(), CallError> {
        let mut addr = range.start;
        while addr < range.end {
            let place = self.tree.place(addr);
            let Some(vma) = place.vma().map(VmaRef::get) else {
                return Err(Errno::ENOMEM.into());
            };
            let part = AddrRange::new(addr, vma.end.min(range.end));
            let mut wanted = prot;
            let may_exec = vma.flags.contains(VmFlags::MAYEXEC);
            if prot.contains(Prot::READ) && self.config.read_implies_exec && may_exec {
                wanted |= Prot::EXEC;
            }
            let flags = (vma.flags - VmFlags::ACCESS) | access_flags(wanted);
            if !flags.contains(flags.access_as_may()) {
                return Err(Errno::EACCES.into());
            }
            addr = part.end;
            let was = vma.flags;
            let flags = self.protected_flags(vma, part, flags)?;
            if flags == was {
                continue;
            }
            let change = Change::flags(flags);
            let decided = self.decide_change(&place, vma, part, &change);
            addr = addr.max(self.carry_out(part, &change, decided)?.end);
            let lock_bits = VmFlags::WRITE | VmFlags::SHARED | VmFlags::LOCKED;
            let was_locked_unwritable = was & lock_bits == VmFlags::LOCKED;
            if was_locked_unwritable && flags.contains(VmFlags::WRITE) {
                self.populate(part, false);
            }
        }
        Ok(())
    }

    /// The flags that part of a VMA gets which is to have the access in `flags`: what is counted
    /// against the commit limit depends on it.
    #[doc(alias = "mprotect_fixup")]
    #[inline]
    fn protected_flags(
        &self,
        vma: &Vma,
        part: AddrRange,
        mut flags: VmFlags,
    ) -> Result<VmFlags, Errno> {
        if vma.flags.contains(VmFlags::SEALED) {
            return Err(Errno::EPERM);
        }
        if flags == vma.flags {
            return Ok(flags);
        }
        let pages = self.pages(part.len());
        if flags.contains(VmFlags::WRITE) {
            if !self.may_expand(flags, pages) && self.may_expand(vma.flags, pages) {
                return Err(Errno::ENOMEM);
            }
            let counted_or_exempt = VmFlags::ACCOUNT
                | VmFlags::WRITE
                | VmFlags::HUGETLB
                | VmFlags::SHARED
                | VmFlags::NORESERVE;
            if !vma.flags.intersects(counted_or_exempt) {
                self.enough_memory(pages)?;
                flags |= VmFlags::ACCOUNT;
            }
        } else if vma.is_anonymous() && vma.anon_vma.is_none() {
            flags -= VmFlags::ACCOUNT;
        }
        Ok(flags)
    }
}

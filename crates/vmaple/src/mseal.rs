//! `mseal`: mappings that can no longer be changed.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno};
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::store::Change;
use vmaple_locks::Environment;

impl<E: Environment> Mm<E> {
    /// Seals every mapping of `addr..addr + len`; there is no way back.
    ///
    /// # Errors
    /// EINVAL: flags, misaligned address, overflow. ENOMEM: a hole (nothing is sealed), or too
    /// many VMAs. ENOSYS: the kernel has no mseal.
    ///
    /// ```
    /// use vmaple::{Errno, Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x2000, 3, 0x22)).unwrap();
    /// mm.mseal(addr, 0x1000, 0).unwrap();
    /// assert_eq!(mm.munmap(addr, 0x2000), Err(Errno::EPERM.into()));
    /// assert_eq!(mm.munmap(addr + 0x1000, 0x1000), Ok(()));
    /// ```
    pub fn mseal(&mut self, addr: u64, len: u64, flags: u64) -> Result<(), CallError> {
        if !self.config.features.mseal {
            return Err(Errno::ENOSYS.into());
        }
        if flags != 0 {
            return Err(Errno::EINVAL.into());
        }
        let Some(range) = self.checked_range(addr, len)? else {
            return Ok(());
        };
        if self.has_hole(range) {
            return Err(Errno::ENOMEM.into());
        }
        let mut at = range.start;
        while at < range.end {
            let Some(vma) = self.tree.at(at).cloned() else {
                break;
            };
            let part = AddrRange::new(at, vma.end.min(range.end));
            at = part.end;
            if vma.flags.contains(VmFlags::SEALED) {
                continue;
            }
            let flags = vma.flags | VmFlags::SEALED;
            at = self.modify(part, &Change::flags(flags))?.end.max(part.end);
        }
        Ok(())
    }

    /// The range of a call that wants a page-aligned start; `None` if it is empty.
    pub(crate) fn checked_range(&self, addr: u64, len: u64) -> Result<Option<AddrRange>, Errno> {
        let rounded = self.config.page_ceil(len);
        if !self.config.is_aligned(addr) || (len != 0 && rounded == 0) {
            return Err(Errno::EINVAL);
        }
        let end = addr.wrapping_add(rounded);
        if end < addr {
            return Err(Errno::EINVAL);
        }
        Ok((end != addr).then(|| AddrRange::new(addr, end)))
    }

    /// Whether part of the range is not mapped.
    pub(crate) fn has_hole(&self, range: AddrRange) -> bool {
        let mut at = range.start;
        for vma in self.overlapping(range) {
            if vma.start > at {
                return true;
            }
            at = vma.end;
        }
        at < range.end
    }
}

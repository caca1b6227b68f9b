//! `msync` and `mincore`: calls that only check the map.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno};
use crate::flags::VmFlags;
use crate::mm::Mm;
use vmaple_locks::Environment;

const MS_ASYNC: u64 = 1;
const MS_INVALIDATE: u64 = 2;
const MS_SYNC: u64 = 4;

impl<E: Environment> Mm<E> {
    /// The checks of `msync`; writing back is the embedder's.
    ///
    /// # Errors
    /// EINVAL: flags, misaligned. ENOMEM: a hole. EBUSY: MS_INVALIDATE on locked memory.
    pub fn msync(&self, addr: u64, len: u64, flags: u64) -> Result<(), CallError> {
        let known = MS_ASYNC | MS_INVALIDATE | MS_SYNC;
        let both = flags & MS_ASYNC != 0 && flags & MS_SYNC != 0;
        if flags & !known != 0 || !self.config.is_aligned(addr) || both {
            return Err(Errno::EINVAL.into());
        }
        let end = addr.wrapping_add(self.config.page_ceil(len));
        if end < addr {
            return Err(Errno::ENOMEM.into());
        }
        let mut hole = false;
        let mut at = addr;
        while at < end {
            let vma = self.find(at).ok_or(Errno::ENOMEM)?;
            if vma.start > at {
                if flags == MS_ASYNC {
                    return Err(Errno::ENOMEM.into());
                }
                hole = true;
                if vma.start >= end {
                    break;
                }
            }
            if flags & MS_INVALIDATE != 0 && vma.flags.contains(VmFlags::LOCKED) {
                return Err(Errno::EBUSY.into());
            }
            at = vma.end;
        }
        if hole {
            Err(Errno::ENOMEM.into())
        } else {
            Ok(())
        }
    }

    /// The checks of `mincore`; the answer about pages is the embedder's.
    ///
    /// # Errors
    /// EINVAL: misaligned. ENOMEM: a hole, or beyond user memory.
    pub fn mincore(&self, addr: u64, len: u64) -> Result<(), CallError> {
        if !self.config.is_aligned(addr) {
            return Err(Errno::EINVAL.into());
        }
        if addr > self.config.task_size || len > self.config.task_size - addr {
            return Err(Errno::ENOMEM.into());
        }
        let range = AddrRange::new(addr, addr + self.config.page_ceil(len));
        if !range.is_empty() && self.has_hole(range) {
            return Err(Errno::ENOMEM.into());
        }
        Ok(())
    }
}

//! Huge pages asked for by name (MAP_HUGETLB), where none are set aside: the refusal.
//!
//! Who asks for them mostly probes: a database that finds none goes on with small pages. So the
//! refusal is exact, with what it leaves behind at a fixed address; mappings that come about are
//! not modelled.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno, Unmodelled};
use crate::flags::{MapFlags, Prot, VmFlags};
use crate::mm::Mm;
use crate::mmap::{MmapArgs, access_flags};
use crate::munmap::Occupancy;
use crate::placement::Wish;
use crate::vma_tree::Freed;
use vmaple_locks::Environment;

/// The huge pages of a machine, by size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HugePools {
    /// Bytes of a huge page where the call names no size.
    pub default_size: u64,
    /// All sizes, in any order.
    pub pools: [HugePool; 4],
}

/// The huge pages of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HugePool {
    /// Bytes of a page; 0 where this is no pool.
    pub page_size: u64,
    /// Pages that are free, or may be made on demand.
    pub available_pages: u64,
}

impl Default for HugePools {
    /// 2 MiB and 1 GiB, as x86-64 has them, and none set aside.
    fn default() -> Self {
        let empty = |page_size| HugePool {
            page_size,
            available_pages: 0,
        };
        HugePools {
            default_size: 2 << 20,
            pools: [empty(2 << 20), empty(1 << 30), empty(0), empty(0)],
        }
    }
}

/// Where mmap's flags hold the logarithm of a size.
const SIZE_SHIFT: u32 = 26;

impl HugePools {
    /// The pool that mmap's flags ask for.
    fn asked_for(&self, flags: u64) -> Option<HugePool> {
        let size = match flags >> SIZE_SHIFT & 0x3f {
            0 => self.default_size,
            log => 1 << log,
        };
        let mut pools = self.pools.into_iter();
        pools.find(|pool| pool.page_size == size && size != 0)
    }
}

impl<E: Environment> Mm<E> {
    /// What a call answers that asks for huge pages without a file: always an error.
    #[doc(alias = "hugetlb_file_setup")]
    pub(crate) fn refuse_huge_pages(&mut self, args: &MmapArgs) -> CallError {
        let Some(pool) = self.config.huge_pages.asked_for(args.flags) else {
            return Errno::EINVAL.into();
        };
        let flags = MapFlags::from_bits_retain(args.flags);
        if flags.contains(MapFlags::NORESERVE) || pool.available_pages > 0 {
            return Unmodelled("mmap of anonymous huge pages (MAP_HUGETLB)").into();
        }
        // Pages are set aside in the end, and there are none.
        match self.huge_mapping(args, pool.page_size) {
            Ok(()) => Errno::ENOMEM.into(),
            Err(errno) => errno.into(),
        }
    }

    /// All that comes before the pages are set aside; then the range is free.
    fn huge_mapping(&mut self, args: &MmapArgs, huge: u64) -> Result<(), Errno> {
        let len = args.len.wrapping_add(huge - 1) & !(huge - 1);
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let pgoff = self.pages(args.offset);
        if pgoff.checked_add(self.pages(len)).is_none() {
            return Err(Errno::EOVERFLOW);
        }
        if self.len() > self.config.max_map_count {
            return Err(Errno::ENOMEM);
        }
        let mut flags = MapFlags::from_bits_retain(args.flags);
        if flags.contains(MapFlags::FIXED_NOREPLACE) {
            flags |= MapFlags::FIXED;
        }
        let fixed = flags.contains(MapFlags::FIXED);
        let wish = Wish {
            addr: args.addr,
            len,
            pgoff,
            flags,
            file: None,
            drawn: args.drawn,
        };
        let addr = self.huge_place(&wish, huge)?;
        let planned = self.huge_flags(args, flags, len)?;
        if args
            .offset
            .checked_add(len)
            .is_none_or(|end| end > i64::MAX as u64)
        {
            return Err(Errno::EOVERFLOW);
        }
        if fixed {
            self.free_for_huge(AddrRange::new(addr, addr + len), planned)?;
        } else if !self.may_expand(planned, self.pages(len)) {
            return Err(Errno::ENOMEM);
        }
        if args.offset & (huge - 1) != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// The address; without FIXED one that proves that there is room.
    #[doc(alias = "hugetlb_get_unmapped_area")]
    fn huge_place(&self, wish: &Wish<'_>, huge: u64) -> Result<u64, Errno> {
        if wish.len > self.config.task_size {
            return Err(Errno::ENOMEM);
        }
        if wish.flags.contains(MapFlags::FIXED) {
            if wish.addr & (huge - 1) != 0 {
                return Err(Errno::EINVAL);
            }
            return self.place(wish);
        }
        // Within its page a hint says nothing; then it is rounded up.
        let hint = wish.addr & !(self.config.page_size - 1);
        let hint = hint.wrapping_add(huge - 1) & !(huge - 1);
        if hint != 0
            && self.place(&Wish {
                addr: hint,
                ..*wish
            }) == Ok(hint)
        {
            return Ok(hint);
        }
        // The search wants room for any start within a huge page.
        let len = wish.len.saturating_add(huge - self.config.page_size);
        self.place(&Wish {
            addr: 0,
            len,
            ..*wish
        })
    }

    /// The checks of flags, with the flags that limits are held against.
    fn huge_flags(&self, args: &MmapArgs, flags: MapFlags, len: u64) -> Result<VmFlags, Errno> {
        let prot = Prot::from_bits_retain(args.prot);
        let planned = self.initial_flags(prot, flags) | access_flags(prot);
        if flags.contains(MapFlags::LOCKED) && !self.can_lock() {
            return Err(Errno::EPERM);
        }
        if !self.lock_limit_permits(planned, len) {
            return Err(Errno::EAGAIN);
        }
        let sharing = match flags.map_type() {
            2 => VmFlags::empty(),
            3 if flags.contains(MapFlags::SYNC) => return Err(Errno::EOPNOTSUPP),
            1 | 3 => VmFlags::SHARED | VmFlags::MAYSHARE,
            _ => return Err(Errno::EINVAL),
        };
        if flags.contains(MapFlags::GROWSDOWN) {
            return Err(Errno::EINVAL);
        }
        Ok(planned | sharing)
    }

    /// Takes away what is in the range.
    fn free_for_huge(&mut self, range: AddrRange, planned: VmFlags) -> Result<(), Errno> {
        if self.tree.first_in(range).is_some() {
            self.tree.reserve(range, 3)?;
        }
        let occupancy = self.isolate(range)?;
        let old_pages: u64 = self
            .overlapping(range)
            .map(|old| self.pages(old.len()))
            .sum();
        if !self.may_expand(planned, self.pages(range.len()) - old_pages) {
            return Err(Errno::ENOMEM);
        }
        if occupancy == Occupancy::Taken {
            self.take_out(range, Freed::ToBeMapped)?;
        }
        Ok(())
    }
}

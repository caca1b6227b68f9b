//! `brk`: the heap.

use crate::addr::AddrRange;
use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::merge::Reach;
use crate::mm::Mm;
use crate::vma::{Backing, Vma};
use crate::vma_tree::Freed;
use vmaple_locks::Environment;

impl<E: Environment> Mm<E> {
    /// Moves the break to `addr` (any byte); returns the new break, or the old one if refused.
    ///
    /// ```
    /// use vmaple::{BrkArea, Mm, MmConfig};
    /// let heap = BrkArea { start_brk: 0x5000, brk: 0x5000, ..BrkArea::default() };
    /// let mut mm = Mm::seed(MmConfig::x86_64(), heap, [], None).unwrap();
    /// assert_eq!(mm.brk(0), 0x5000);
    /// assert_eq!(mm.brk(0x7001), 0x7001);
    /// assert_eq!(mm.vma_at(0x7000).unwrap().end, 0x8000);
    /// ```
    #[doc(alias = "sys_brk")]
    pub fn brk(&mut self, addr: u64) -> u64 {
        let old = self.areas.brk;
        if addr < self.areas.start_brk || !self.data_limit_permits(addr) {
            return old;
        }
        let new_end = self.config.page_ceil(addr);
        let old_end = self.config.page_ceil(old);
        let moved = if new_end == old_end {
            Ok(())
        } else if addr <= old {
            self.shrink_heap(AddrRange::new(new_end, old_end))
        } else {
            self.grow_heap(AddrRange::new(old_end, new_end))
        };
        if moved.is_ok() {
            self.areas.brk = addr;
        }
        self.areas.brk
    }

    /// RLIMIT_DATA against heap and initialised data.
    #[doc(alias = "check_data_rlimit")]
    fn data_limit_permits(&self, addr: u64) -> bool {
        let limit = self.config.limits.data_bytes;
        let data = self.areas.end_data.wrapping_sub(self.areas.start_data);
        let heap = addr.wrapping_sub(self.areas.start_brk);
        limit == u64::MAX || heap.wrapping_add(data) <= limit
    }

    /// Unmaps the top of the heap; refused if nothing is mapped there.
    fn shrink_heap(&mut self, top: AddrRange) -> Result<(), Errno> {
        if self.overlapping(top).next().is_none() {
            return Err(Errno::EINVAL);
        }
        self.unmap(top, Freed::ForGood)
    }

    /// Maps more heap, if it is free and leaves a page and guard gaps to the next mapping.
    fn grow_heap(&mut self, more: AddrRange) -> Result<(), Errno> {
        let len = more.end.checked_sub(more.start).ok_or(Errno::ENOMEM)?;
        self.fixed_area(more.start, len)?;
        if !self.lock_limit_permits(self.def_flags, len) {
            return Err(Errno::EAGAIN);
        }
        let end_with_page = more.end + self.config.page_size;
        if let Some(next) = self.find(more.start)
            && end_with_page > next.start_with_gap(self.config.guard_gap())
        {
            return Err(Errno::ENOMEM);
        }
        self.map_heap(more)?;
        if self.def_flags.contains(VmFlags::LOCKED) {
            self.populate(more, false);
        }
        Ok(())
    }

    #[doc(alias = "do_brk_flags")]
    fn map_heap(&mut self, more: AddrRange) -> Result<(), Errno> {
        let exec = if self.config.read_implies_exec {
            VmFlags::EXEC
        } else {
            VmFlags::empty()
        };
        let dirty = if self.config.features.soft_dirty {
            VmFlags::SOFTDIRTY
        } else {
            VmFlags::empty()
        };
        let flags = VmFlags::READ
            | VmFlags::WRITE
            | VmFlags::MAY_ACCESS
            | VmFlags::ACCOUNT
            | exec
            | dirty
            | self.def_flags;
        let pages = self.pages(more.len());
        if !self.may_expand(flags, pages) || self.len() > self.config.max_map_count {
            return Err(Errno::ENOMEM);
        }
        self.enough_memory(pages)?;
        let pgoff = self.pages(more.start);
        let vma = Vma::new(more, flags, pgoff, Backing::Anonymous);
        // What ends where the heap begins is no part of it, even if it looks the same.
        let heap = self.tree.ending_at(more.start);
        let reach = match heap.filter(|below| below.end > self.areas.start_brk) {
            Some(_) => Reach::LeftOnly,
            None => Reach::Nowhere,
        };
        self.insert_merging(vma, reach)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use crate::{BrkArea, Mm, MmConfig, MmapArgs};

    const HEAP: u64 = 0x5555_5555_b000;

    /// A program's data, right up to where its heap will begin, as without randomisation.
    fn data_and_no_heap() -> Mm {
        let areas = BrkArea {
            start_brk: HEAP,
            brk: HEAP,
            ..BrkArea::default()
        };
        let mut mm = Mm::seed(MmConfig::x86_64(), areas, [], None).unwrap();
        map(&mut mm, HEAP - 0x2000, 0x2000);
        mm
    }

    fn map(mm: &mut Mm, at: u64, len: u64) {
        mm.mmap(&MmapArgs::anonymous(at, len, 3, 0x32)).unwrap();
    }

    fn ends(mm: &Mm) -> Vec<u64> {
        mm.iter().map(|vma| vma.end - HEAP).collect()
    }

    /// Measured on Linux 6.18: the heap grows as one mapping, but does not begin as a part of
    /// the data before it. A change of permissions there and back makes them one.
    #[test]
    fn a_heap_begins_on_its_own() {
        let mut mm = data_and_no_heap();
        mm.brk(HEAP + 0x3000);
        assert_eq!(ends(&mm), [0, 0x3000]);
        mm.brk(HEAP + 0x4000);
        assert_eq!(ends(&mm), [0, 0x4000]);
        mm.brk(HEAP);
        mm.brk(HEAP + 0x1000);
        assert_eq!(ends(&mm), [0, 0x1000]);
        mm.mprotect(HEAP - 0x1000, 0x1000, 1).unwrap();
        mm.mprotect(HEAP - 0x1000, 0x1000, 3).unwrap();
        assert_eq!(ends(&mm), [0x1000]);
    }

    /// Measured on Linux 6.18: a mapping of the program's own that reaches across the
    /// beginning of the heap goes on as heap.
    #[test]
    fn a_mapping_across_the_beginning_grows_with_the_heap() {
        let mut mm = data_and_no_heap();
        mm.brk(HEAP + 0x123);
        mm.munmap(HEAP, 0x1000).unwrap();
        map(&mut mm, HEAP - 0x1000, 0x2000);
        mm.brk(HEAP + 0x3000);
        assert_eq!(ends(&mm), [0x3000]);
    }
}

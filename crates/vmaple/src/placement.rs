//! Where a new mapping goes: hints, gap search, guard gaps, huge-page alignment.

use crate::config::{AnonAlignment, LayoutKind, MmConfig};
use crate::errno::Errno;
use crate::file::{FileKind, FileRef};
use crate::flags::MapFlags;
use crate::mm::Mm;
use crate::vma::Vma;
use vmaple_locks::Environment;

/// A wish for an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// Hint or, with FIXED, the address; 0 for none.
    pub(crate) addr: u64,
    /// Bytes, page aligned, not 0.
    pub(crate) len: u64,
    /// Page number in the file.
    pub(crate) pgoff: u64,
    /// FIXED, SHARED, BIT32 and ABOVE4G matter.
    pub(crate) flags: MapFlags,
    /// The file, if any.
    pub(crate) file: Option<&'a FileRef>,
    /// The address a random choice of the kernel fell on.
    pub(crate) drawn: Option<u64>,
}

/// Limits of a search and the alignment of its result.
#[derive(Clone, Copy, Debug)]
struct Search {
    low: u64,
    high: u64,
    len: u64,
}

const BIT32_LOW: u64 = 0x4000_0000;
const BIT32_HIGH: u64 = 0x8000_0000;
const FOUR_GIB: u64 = 1 << 32;

impl<E: Environment> Mm<E> {
    /// The address that a mapping gets which is not fixed.
    ///
    /// # Errors
    /// ENOMEM: no room, or beyond the end of user memory.
    #[doc(alias = "__get_unmapped_area")]
    pub(crate) fn unmapped_area(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        if wish.len > self.config.task_size {
            return Err(Errno::ENOMEM);
        }
        let addr = self.area_by_kind(wish)?;
        self.checked_area(addr, wish.len)
    }

    /// The address of a fixed mapping.
    ///
    /// # Errors
    /// As [`checked_area`](Self::checked_area).
    #[inline]
    pub(crate) fn fixed_area(&self, addr: u64, len: u64) -> Result<u64, Errno> {
        if len > self.config.task_size {
            return Err(Errno::ENOMEM);
        }
        self.checked_area(addr, len)
    }

    /// `addr`, if that is an address for `len` bytes, at most as many as user memory has.
    ///
    /// # Errors
    /// ENOMEM: beyond the end of user memory. EINVAL: not page aligned. EPERM: below mmap_min_addr
    /// without the capability.
    #[inline]
    fn checked_area(&self, addr: u64, len: u64) -> Result<u64, Errno> {
        let config = &self.config;
        if addr > config.task_size - len {
            return Err(Errno::ENOMEM);
        }
        if !config.is_aligned(addr) {
            return Err(Errno::EINVAL);
        }
        if addr < config.mmap_min_addr && !config.capabilities.sys_rawio {
            return Err(Errno::EPERM);
        }
        Ok(addr)
    }

    /// The address of a mapping that is not fixed, by the alignment rule of its kind.
    fn area_by_kind(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        let shared = wish.flags.contains(MapFlags::SHARED);
        let Some(file) = wish.file else {
            let is_huge = wish.addr == 0 && is_aligned_anonymous(&self.config, wish.len);
            if !shared && !is_huge {
                return self.area_plain(wish);
            }
            // Page numbers of anonymous memory do not count.
            let wish = &Wish { pgoff: 0, ..*wish };
            return if shared {
                self.area_in_shared_memory(wish)
            } else {
                self.area_huge(wish)
            };
        };
        match file.kind() {
            FileKind::SharedMemory | FileKind::SystemV => self.area_in_shared_memory(wish),
            FileKind::DevZero if shared => self.area_in_shared_memory(wish),
            FileKind::DevZero => self.area_huge(wish),
            _ if self.config.thp.files && file.prefers_huge_alignment() => self.area_huge(wish),
            _ => self.area_plain(wish),
        }
    }

    /// Aligns to huge pages where the mapping can hold one and there is room for it.
    #[doc(alias = "thp_get_unmapped_area")]
    fn area_huge(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        match self.area_padded(wish) {
            Some(addr) => Ok(addr),
            None => self.area_plain(wish),
        }
    }

    /// Looks for room for the mapping plus one huge page, and picks the place in it at which
    /// addresses and file offsets agree modulo the huge page size.
    fn area_padded(&self, wish: &Wish<'_>) -> Option<u64> {
        let size = self.config.thp.pmd_size;
        let offset = wish.pgoff << self.config.page_shift();
        let offset_end = offset.wrapping_add(wish.len);
        // Offsets are signed numbers; near the largest one this wraps, in Linux too.
        let first_huge = offset.wrapping_add(size - 1) & !(size - 1);
        let whole_huge_pages = offset_end.cast_signed() > first_huge.cast_signed()
            && offset_end.wrapping_sub(first_huge) >= size;
        if !whole_huge_pages {
            return None;
        }
        let padded = wish.len.checked_add(size)?;
        offset.checked_add(padded)?;
        let found = self
            .area_plain(&Wish {
                len: padded,
                ..*wish
            })
            .ok()?;
        if found == wish.addr {
            return Some(found);
        }
        let shift = offset.wrapping_sub(found) & (size - 1);
        if shift == 0 && self.config.layout == LayoutKind::TopDown {
            return Some(found + size);
        }
        Some(found + shift)
    }

    /// Shared memory aligns only where the kernel is set to use huge pages for it.
    #[doc(alias = "shmem_get_unmapped_area")]
    fn area_in_shared_memory(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        let addr = self.area_plain(wish)?;
        let Some(size) = self.config.thp.shared_memory else {
            return Ok(addr);
        };
        let out_of_reach = addr > self.config.task_size.saturating_sub(wish.len);
        let as_hinted = addr == wish.addr;
        if wish.len < self.config.thp.pmd_size || out_of_reach || as_hinted {
            return Ok(addr);
        }
        let offset = (wish.pgoff << self.config.page_shift()) & (size - 1);
        if (offset != 0 && offset + wish.len < 2 * size) || addr & (size - 1) == offset {
            return Ok(addr);
        }
        let inflated = Wish {
            len: wish.len + size - self.config.page_size,
            pgoff: 0,
            file: None,
            ..*wish
        };
        let Ok(roomy) = self.area_plain(&inflated) else {
            return Ok(addr);
        };
        let wanted = (roomy & !(size - 1)) + offset;
        let wanted = if roomy & (size - 1) > offset {
            wanted + size
        } else {
            wanted
        };
        let fits = wanted <= self.config.task_size - wish.len;
        Ok(if fits { wanted } else { addr })
    }

    /// Hint, then search in the layout's direction.
    #[doc(alias = "arch_get_unmapped_area_topdown")]
    fn area_plain(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        let config = &self.config;
        let bit32 = wish.flags.contains(MapFlags::BIT32);
        if bit32 || config.layout == LayoutKind::BottomUp {
            return self.area_bottom_up(wish);
        }
        if wish.len > config.task_size {
            return Err(Errno::ENOMEM);
        }
        if wish.addr != 0 {
            let addr = config.page_floor(wish.addr);
            if addr <= config.task_size - wish.len && self.is_free(addr, wish.len) {
                return Ok(addr);
            }
        }
        let above4g = wish.flags.contains(MapFlags::ABOVE4G);
        let low = if above4g { FOUR_GIB } else { config.page_size };
        let search = Search {
            low: low.max(config.lowest_addr()),
            high: config.mmap_base,
            len: wish.len,
        };
        match self.search_down(search) {
            Some(addr) => Ok(addr),
            None => self.area_bottom_up(wish),
        }
    }

    /// The search from below: legacy layout, MAP_32BIT, and what top-down could not place.
    #[doc(alias = "arch_get_unmapped_area")]
    fn area_bottom_up(&self, wish: &Wish<'_>) -> Result<u64, Errno> {
        let config = &self.config;
        let bit32 = wish.flags.contains(MapFlags::BIT32);
        let (low, high) = if bit32 {
            (BIT32_LOW, BIT32_HIGH)
        } else {
            (config.legacy_base, config.task_size)
        };
        if wish.len > high {
            return Err(Errno::ENOMEM);
        }
        if wish.addr != 0 {
            let addr = config.page_ceil(wish.addr);
            if high - wish.len >= addr && self.is_free(addr, wish.len) {
                return Ok(addr);
            }
        }
        if let Some(drawn) = wish.drawn.filter(|_| bit32 && config.randomize) {
            let legal = drawn >= low && drawn <= high - wish.len && config.is_aligned(drawn);
            if legal && self.is_free(drawn, wish.len) {
                return Ok(drawn);
            }
        }
        let above4g = wish.flags.contains(MapFlags::ABOVE4G);
        let low = if above4g { low.max(FOUR_GIB) } else { low };
        let search = Search {
            low: low.max(config.lowest_addr()),
            high,
            len: wish.len,
        };
        self.search_up(search).ok_or(Errno::ENOMEM)
    }

    /// Whether nothing is at `addr..addr + len`, nor so near above that a guard gap is cut.
    fn is_free(&self, addr: u64, len: u64) -> bool {
        match self.tree.find(addr) {
            Some(next) => addr + len <= next.start_with_gap(self.config.guard_gap()),
            None => true,
        }
    }

    /// The highest place in the limits that respects guard gaps.
    #[doc(alias = "vm_unmapped_area")]
    fn search_down(&self, search: Search) -> Option<u64> {
        let mut high = search.high;
        loop {
            let start = self.tree.highest_gap(search.low, high, search.len)?;
            let end = start + search.len;
            // Mostly what is found lies just below a VMA.
            let next = self.tree.at(end).or_else(|| self.tree.find(end));
            match next.map(|next| next.start_with_gap(self.config.guard_gap())) {
                Some(limit) if limit < end => high = limit,
                _ => return Some(start),
            }
        }
    }

    /// The lowest place in the limits that respects guard gaps.
    fn search_up(&self, search: Search) -> Option<u64> {
        let mut low = search.low;
        loop {
            let start = self.tree.lowest_gap(low, search.high, search.len)?;
            let cuts_gap =
                |next: &&Vma| next.start_with_gap(self.config.guard_gap()) < start + search.len;
            match self.tree.find(start).filter(cuts_gap) {
                Some(next) => low = next.end,
                None => return Some(start),
            }
        }
    }
}

/// Whether an anonymous mapping of `len` bytes is to be aligned to huge pages.
fn is_aligned_anonymous(config: &MmConfig, len: u64) -> bool {
    match config.thp.anonymous {
        AnonAlignment::Never => false,
        AnonAlignment::AtLeastPmd => true,
        AnonAlignment::MultipleOfPmd => len.is_multiple_of(config.thp.pmd_size),
    }
}

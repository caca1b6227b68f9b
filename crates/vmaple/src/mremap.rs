//! `mremap`: shrink, grow in place, move, duplicate.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno};
use crate::file::FileKind;
use crate::flags::{MapFlags, MremapFlags, VmFlags};
use crate::merge::Reach;
use crate::mm::Mm;
use crate::placement::Wish;
use crate::uffd::features_of;
use crate::vma::{Backing, Vma};
use crate::vma_tree::Freed;
use vmaple_locks::Environment;

/// The arguments, lengths rounded up to pages.
#[derive(Clone, Copy, Debug)]
struct Remap {
    addr: u64,
    old_len: u64,
    new_len: u64,
    flags: MremapFlags,
    new_addr: u64,
}

impl Remap {
    /// Whether the caller says where to.
    const fn names_place(&self) -> bool {
        self.flags
            .intersects(MremapFlags::FIXED.union(MremapFlags::DONTUNMAP))
    }

    const fn keeps_source(&self) -> bool {
        self.flags.contains(MremapFlags::DONTUNMAP)
    }
}

impl<E: Environment> Mm<E> {
    /// Resizes or moves a mapping; returns its address.
    ///
    /// With FIXED and unchanged length the range may hold several mappings and holes.
    ///
    /// # Errors
    /// As in Linux. What lay at a fixed new address may be gone after an error, the part beyond
    /// the new length too, and of several mappings those below the failing one have moved.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs, Errno};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x4000, 3, 0x22)).unwrap();
    /// assert_eq!(mm.mremap(addr, 0x4000, 0x1000, 0, 0), Ok(addr));
    /// assert_eq!(mm.mremap(addr, 0x1000, 0x4000, 0, 0), Ok(addr));
    /// assert_eq!(mm.mremap(addr, 0x1000, 0, 0, 0), Err(Errno::EINVAL.into()));
    /// ```
    #[doc(alias = "sys_mremap")]
    pub fn mremap(
        &mut self,
        old_addr: u64,
        old_len: u64,
        new_len: u64,
        flags: u64,
        new_addr: u64,
    ) -> Result<u64, CallError> {
        let remap = Remap {
            addr: old_addr,
            old_len: self.config.page_ceil(old_len),
            new_len: self.config.page_ceil(new_len),
            flags: MremapFlags::from_bits_retain(flags),
            new_addr,
        };
        self.check_remap(&remap)?;
        let fixed = remap.flags.contains(MremapFlags::FIXED);
        if fixed && remap.old_len == remap.new_len {
            return self.move_each(&remap);
        }
        let vma = self.check_source(&remap)?;
        if remap.names_place() {
            self.remap_to(remap)
        } else {
            self.remap_at(remap, &vma)
        }
    }

    /// The checks of the arguments alone.
    #[doc(alias = "check_mremap_params")]
    fn check_remap(&self, remap: &Remap) -> Result<(), Errno> {
        let config = &self.config;
        let known = MremapFlags::MAYMOVE | MremapFlags::FIXED | MremapFlags::DONTUNMAP;
        let unknown = !(remap.flags - known).is_empty();
        if unknown || !config.is_aligned(remap.addr) {
            return Err(Errno::EINVAL);
        }
        if remap.new_len == 0 || remap.new_len > config.task_size {
            return Err(Errno::EINVAL);
        }
        if !remap.names_place() {
            return Ok(());
        }
        if remap.new_addr > config.task_size - remap.new_len
            || !config.is_aligned(remap.new_addr)
            || !remap.flags.contains(MremapFlags::MAYMOVE)
            || (remap.keeps_source() && remap.old_len != remap.new_len)
        {
            return Err(Errno::EINVAL);
        }
        let old_end = remap.addr.wrapping_add(remap.old_len);
        if old_end > remap.new_addr && remap.new_addr + remap.new_len > remap.addr {
            return Err(Errno::EINVAL);
        }
        if self.len() + 5 >= config.max_map_count {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// The checks of the mapping at the old address.
    #[doc(alias = "check_prep_vma")]
    fn check_source(&self, remap: &Remap) -> Result<Vma, CallError> {
        let vma = self.vma_at(remap.addr).ok_or(Errno::EFAULT)?;
        if vma.flags.contains(VmFlags::SEALED) {
            return Err(Errno::EPERM.into());
        }
        let expands = remap.new_len > remap.old_len;
        if !expands && !remap.names_place() {
            return Ok(vma.clone());
        }
        let shared = VmFlags::SHARED | VmFlags::MAYSHARE;
        if remap.old_len == 0 && !vma.flags.intersects(shared) {
            return Err(Errno::EINVAL.into());
        }
        let rigid = VmFlags::DONTEXPAND | VmFlags::PFNMAP;
        if remap.keeps_source() && vma.flags.intersects(rigid) {
            return Err(Errno::EINVAL.into());
        }
        // A shrinking move cuts the tail off first, so only what remains must be one mapping.
        if remap.old_len.min(remap.new_len) > vma.end - remap.addr {
            return Err(Errno::EFAULT.into());
        }
        if !expands {
            return Ok(vma.clone());
        }
        let pgoff = vma.pgoff_at(remap.addr, self.config.page_shift());
        if pgoff.checked_add(self.pages(remap.new_len)).is_none() {
            return Err(Errno::EINVAL.into());
        }
        if vma.flags.intersects(rigid) {
            return Err(Errno::EFAULT.into());
        }
        let delta = remap.new_len - remap.old_len;
        if !self.lock_limit_permits(vma.flags, delta) {
            return Err(Errno::EAGAIN.into());
        }
        if !self.may_expand(vma.flags, self.pages(delta)) {
            return Err(Errno::ENOMEM.into());
        }
        Ok(vma.clone())
    }

    /// Moves every mapping of the range, keeping the distances between them.
    #[doc(alias = "remap_move")]
    fn move_each(&mut self, remap: &Remap) -> Result<u64, CallError> {
        let end = remap.addr.wrapping_add(remap.old_len);
        let mut target = remap.new_addr;
        let mut last_end = remap.addr;
        let mut first_result = None;
        while last_end < end {
            let Some(vma) = self.find(last_end).filter(|vma| vma.start < end) else {
                break;
            };
            let vma_range = vma.range();
            let start = vma_range.start.max(remap.addr);
            if first_result.is_none() && start > remap.addr {
                return Err(Errno::EFAULT.into());
            }
            let alone = !moves_in_company(vma);
            if alone && (first_result.is_some() || vma_range.end < end) {
                return Err(Errno::EFAULT.into());
            }
            if first_result.is_some() {
                target += start - last_end;
            }
            last_end = vma_range.end;
            let len = vma_range.end.min(end) - start;
            let one = Remap {
                addr: start,
                old_len: len,
                new_len: len,
                new_addr: target,
                ..*remap
            };
            self.check_source(&one)?;
            let moved = self.remap_to(one)?;
            first_result.get_or_insert(moved);
            target = moved + len;
        }
        first_result.ok_or(Errno::EFAULT.into())
    }

    /// To a place the caller names.
    #[doc(alias = "mremap_to")]
    fn remap_to(&mut self, mut remap: Remap) -> Result<u64, CallError> {
        if remap.flags.contains(MremapFlags::FIXED) {
            let len = remap.new_len;
            let target = AddrRange::new(remap.new_addr, remap.new_addr + len);
            self.unmap(target, Freed::ToBeMapped)?;
        }
        if remap.new_len < remap.old_len {
            self.cut_tail(&remap)?;
            remap.old_len = remap.new_len;
        }
        let vma = self.vma_at(remap.addr).ok_or(Errno::EFAULT)?.clone();
        if remap.keeps_source() && !self.may_expand(vma.flags, self.pages(remap.old_len)) {
            return Err(Errno::ENOMEM.into());
        }
        let target = self.area_for_move(&remap, &vma)?;
        self.move_vma(
            &Remap {
                new_addr: target,
                ..remap
            },
            &vma,
        )
    }

    /// To wherever there is room, in place if possible.
    #[doc(alias = "mremap_at")]
    fn remap_at(&mut self, remap: Remap, vma: &Vma) -> Result<u64, CallError> {
        if remap.new_len == remap.old_len {
            return Ok(remap.addr);
        }
        if remap.new_len < remap.old_len {
            self.cut_tail(&remap)?;
            return Ok(remap.addr);
        }
        let delta = remap.new_len - remap.old_len;
        if vma.end - remap.addr == remap.old_len && self.has_room_above(vma, delta) {
            self.extend(vma, delta)?;
            return Ok(remap.addr);
        }
        if !remap.flags.contains(MremapFlags::MAYMOVE) {
            return Err(Errno::ENOMEM.into());
        }
        let target = self.area_for_move(&remap, vma)?;
        self.move_vma(
            &Remap {
                new_addr: target,
                ..remap
            },
            vma,
        )
    }

    /// Unmaps what lies beyond the new length.
    #[doc(alias = "shrink_vma")]
    fn cut_tail(&mut self, remap: &Remap) -> Result<(), CallError> {
        let start = remap.addr + remap.new_len;
        self.munmap(start, remap.old_len - remap.new_len)
    }

    /// Whether the VMA can grow upwards by `delta`.
    #[doc(alias = "vma_expandable")]
    fn has_room_above(&self, vma: &Vma, delta: u64) -> bool {
        let Some(end) = vma.end.checked_add(delta) else {
            return false;
        };
        if self.find(vma.end).is_some_and(|next| next.start < end) {
            return false;
        }
        self.fixed_area(vma.start, end - vma.start).is_ok()
    }

    /// Grows `vma` upwards in place, joining the next one if that fits.
    #[doc(alias = "vma_merge_extend")]
    fn extend(&mut self, vma: &Vma, delta: u64) -> Result<(), CallError> {
        if vma.flags.contains(VmFlags::ACCOUNT) {
            self.enough_memory(self.pages(delta))?;
        }
        let more = AddrRange::new(vma.end, vma.end + delta);
        let mut part = vma.clone();
        part.start = more.start;
        part.end = more.end;
        part.pgoff = vma.pgoff_at(vma.end, self.config.page_shift());
        // What is added holds no page of a parent's.
        if let Some(anon) = &mut part.anon_vma
            && !cfg!(planted = "extended_as_copied")
        {
            anon.inherited = false;
        }
        if vma.flags.intersects(VmFlags::SPECIAL) {
            return Err(Errno::ENOMEM.into());
        }
        self.insert_merging(part, Reach::BothSides)?;
        if vma.flags.contains(VmFlags::LOCKED) {
            self.populate(more, false);
        }
        Ok(())
    }

    /// Finds the new place.
    #[doc(alias = "vrm_set_new_addr")]
    fn area_for_move(&self, remap: &Remap, vma: &Vma) -> Result<u64, CallError> {
        if remap.flags.contains(MremapFlags::FIXED) {
            return Ok(self.fixed_area(remap.new_addr, remap.new_len)?);
        }
        let mut flags = MapFlags::empty();
        flags.set(MapFlags::SHARED, vma.flags.contains(VmFlags::MAYSHARE));
        let wish = Wish {
            addr: if remap.names_place() {
                remap.new_addr
            } else {
                0
            },
            len: remap.new_len,
            pgoff: vma.pgoff_at(remap.addr, self.config.page_shift()),
            flags,
            file: vma.backing.file(),
            drawn: None,
        };
        Ok(self.unmapped_area(&wish)?)
    }

    /// Puts a copy at `remap.new_addr` and removes, or empties, the source.
    fn move_vma(&mut self, remap: &Remap, vma: &Vma) -> Result<u64, CallError> {
        if self.len() + 3 >= self.config.max_map_count {
            return Err(Errno::ENOMEM.into());
        }
        let source = AddrRange::new(remap.addr, remap.addr + remap.old_len);
        let whole = source == vma.range();
        if !whole {
            let at = if source.start > vma.start {
                source.start
            } else {
                source.end
            };
            vma.may_split(at)?;
        }
        if vma.flags.contains(VmFlags::ACCOUNT) {
            let kept = if remap.keeps_source() {
                0
            } else {
                remap.old_len
            };
            self.enough_memory(self.pages(remap.new_len - kept))?;
        }
        let target = AddrRange::new(remap.new_addr, remap.new_addr + remap.new_len);
        // The copy, and the source's removal with two cuts: all or nothing.
        self.tree.reserve(source, 4)?;
        let copy = self.copy_for_move(vma, source.start, target);
        let held = self.insert_merging(copy, Reach::BothSides)?;
        if held == target
            && let Some(made) = self.vma_at(target.start)
        {
            made.opened();
        }
        self.announce_move(target)?;
        self.leave_registration(held);
        if remap.keeps_source() {
            self.empty_source(source, held);
        } else if !source.is_empty() {
            self.unmap(source, Freed::ForGood)?;
        }
        let grown = AddrRange::new(target.start + remap.old_len, target.end);
        if vma.flags.contains(VmFlags::LOCKED) && !grown.is_empty() {
            self.populate(grown, false);
        }
        Ok(target.start)
    }

    /// Asks whoever stands behind the copy at `target`; takes the copy back on an objection.
    fn announce_move(&mut self, target: AddrRange) -> Result<(), CallError> {
        let copy = self.vma_at(target.start);
        let answer = copy.and_then(|vma| Some(vma.operations()?.mremap(vma)));
        if let Some(Err(errno)) = answer {
            self.unmap(target, Freed::ForGood)?;
            return Err(errno.into());
        }
        Ok(())
    }

    /// The VMA a move makes: memory not yet faulted in counts its pages from the new place.
    #[doc(alias = "copy_vma")]
    fn copy_for_move(&self, vma: &Vma, from: u64, target: AddrRange) -> Vma {
        let mut copy = vma.clone();
        copy.pgoff = vma.pgoff_at(from, self.config.page_shift());
        if vma.is_anonymous() && vma.anon_vma.is_none() {
            copy.pgoff = self.pages(target.start);
        }
        if let Some(anon) = &mut copy.anon_vma
            && cfg!(planted = "copied_as_extended")
        {
            anon.inherited = false;
        }
        copy.start = target.start;
        copy.end = target.end;
        if cfg!(planted = "unregistered_first") {
            copy.uffd = None;
            copy.flags -= VmFlags::UFFD_MASK;
        }
        copy
    }

    /// Ends the registration of what was moved, with a context that does not follow. The copy has
    /// joined its neighbours by then, and all of that loses it.
    #[doc(alias = "mremap_userfaultfd_prep")]
    fn leave_registration(&mut self, held: AddrRange) {
        let context = self.vma_at(held.start).and_then(|vma| vma.uffd);
        let follows = |uffd| features_of(&self.uffd_features, uffd).event_remap;
        if context.is_some_and(|uffd| !follows(uffd)) {
            self.end_registration(held.start);
        }
    }

    /// What DONTUNMAP leaves: no locks, and no anonymous pages if all of the VMA moved.
    #[doc(alias = "dontunmap_complete")]
    fn empty_source(&mut self, source: AddrRange, held: AddrRange) {
        let Some(vma) = self.vma_at(source.start) else {
            return;
        };
        let flags = vma.flags - VmFlags::LOCKED_MASK;
        let range = vma.range();
        // Linux does not take the source off its count of locked pages.
        let locked = self.counters.locked_vm;
        self.set_flags(source.start, flags);
        self.counters.locked_vm = locked;
        if range == source && range != held {
            self.tree.update(source.start, |vma| vma.anon_vma = None);
        }
    }
}

/// Whether the VMA may be one of several that move in one call.
#[doc(alias = "vma_multi_allowed")]
fn moves_in_company(vma: &Vma) -> bool {
    if vma.uffd.is_some() {
        return false;
    }
    match &vma.backing {
        Backing::Anonymous | Backing::Special(_) => true,
        Backing::File(file) => !matches!(
            file.kind(),
            FileKind::Device { .. } | FileKind::SystemV | FileKind::DevZero
        ),
    }
}

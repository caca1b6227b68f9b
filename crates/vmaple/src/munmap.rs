//! `munmap`, and the two steps that other calls share with it: isolate a range, discard it.

use crate::addr::AddrRange;
use crate::errno::{CallError, Errno};
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::store::{Part, SplitLimit};
use crate::vma::{Backing, Vma};
use crate::vma_tree::Freed;
use vmaple_locks::Environment;

/// Whether anything is mapped in a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Occupancy {
    Free,
    Taken,
}

/// Whether `vma` can be taken out, or cut at the ends of `range`, and nobody wants to hear of cuts.
#[inline]
fn is_plain(vma: &Vma, range: AddrRange) -> bool {
    let is_cut = vma.start < range.start || vma.end > range.end;
    let is_whole = matches!(&vma.backing, Backing::Special(_)) && is_cut;
    let is_sealed = vma.flags.contains(VmFlags::SEALED) && !cfg!(planted = "sealed_unmapped");
    let is_heard = vma.operations().is_some() && !cfg!(planted = "cut_unheard");
    !is_sealed && !is_heard && !is_whole
}

impl<E: Environment> Mm<E> {
    /// Unmaps `len` bytes, rounded up to pages, from `addr`. Holes in the range are no error.
    ///
    /// # Errors
    /// EINVAL: `addr` not page aligned, length 0, beyond user memory, or part of a mapping that
    /// cannot be cut. EPERM: part of the range is sealed. ENOMEM: it would leave more than
    /// max_map_count VMAs.
    ///
    /// ```
    /// use vmaple::{Errno, Mm, MmConfig};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// assert_eq!(mm.munmap(0x1000, 0x1000), Ok(()));
    /// assert_eq!(mm.munmap(0x1001, 0x1000), Err(Errno::EINVAL.into()));
    /// ```
    #[doc(alias = "do_vmi_munmap")]
    pub fn munmap(&mut self, addr: u64, len: u64) -> Result<(), CallError> {
        let config = &self.config;
        let misaligned = !config.is_aligned(addr);
        if misaligned || addr > config.task_size || len > config.task_size - addr {
            return Err(Errno::EINVAL.into());
        }
        let end = addr + config.page_ceil(len);
        if end == addr {
            return Err(Errno::EINVAL.into());
        }
        self.unmap(AddrRange::new(addr, end), Freed::ForGood)?;
        Ok(())
    }

    /// Unmaps everything, sealed mappings too, as the end of a process does.
    #[doc(alias = "exit_mmap")]
    ///
    /// # Errors
    /// ENOMEM without memory; everything is still mapped.
    pub fn exit(&mut self) -> Result<(), CallError> {
        let everything = AddrRange::new(0, self.config.task_size);
        Ok(self.take_out(everything, Freed::ForGood)?)
    }

    /// Unmaps a page-aligned range.
    pub(crate) fn unmap(&mut self, range: AddrRange, freed: Freed) -> Result<(), Errno> {
        let is_full = self.len() >= self.config.max_map_count;
        let mut is_too_many = false;
        let done = self.take_out_if(range, freed, |vma| {
            is_too_many = is_full && vma.start < range.start && range.end < vma.end;
            !is_too_many && is_plain(vma, range)
        })?;
        if is_too_many {
            return Err(Errno::ENOMEM);
        }
        if !done && self.isolate(range)? == Occupancy::Taken {
            self.take_out(range, freed)?;
        }
        Ok(())
    }

    /// The checks before `vma`, which begins below `range`, is cut there.
    fn check_cut(&self, vma: &Vma, range: AddrRange) -> Result<(), Errno> {
        let is_hole = vma.end > range.end;
        if is_hole && self.len() >= self.config.max_map_count {
            return Err(Errno::ENOMEM);
        }
        if vma.flags.contains(VmFlags::SEALED) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// Cuts the VMAs that reach out of `range` at its ends, so that whole VMAs lie in it.
    ///
    /// # Errors
    /// As for `munmap`. Cuts made before the error stay.
    #[doc(alias = "vms_gather_munmap_vmas")]
    pub(crate) fn isolate(&mut self, range: AddrRange) -> Result<Occupancy, Errno> {
        let Some(first) = self.tree.first_in(range) else {
            return Ok(Occupancy::Free);
        };
        let (mut end, mut is_sealed) = (first.end, first.flags.contains(VmFlags::SEALED));
        if first.start < range.start {
            self.check_cut(first, range)?;
            self.split(range.start, SplitLimit::Ignored, Part::Below)?;
        }
        while end < range.end
            && !is_sealed
            && let Some(vma) = self.tree.first_in(AddrRange::new(end, range.end))
        {
            (end, is_sealed) = (vma.end, vma.flags.contains(VmFlags::SEALED));
        }
        if is_sealed {
            return Err(Errno::EPERM);
        }
        if end > range.end {
            self.split(range.end, SplitLimit::Ignored, Part::Above)?;
        }
        Ok(Occupancy::Taken)
    }
}

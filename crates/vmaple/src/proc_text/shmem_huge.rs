//! Which shared memory the kernel may put huge pages into (`shmem_enabled`).
//!
//! There is one setting for all, and one for each size of page, which may say that the first one
//! decides. What was seen of Linux 6.18, for every size that fits into the mapping and the file:
//!
//! | memory | all | its size | eligible |
//! |---|---|---|---|
//! | any | deny | any | no |
//! | System V | always, force | not looked at | yes, at the size of a whole huge page |
//! | System V | within_size, advise | not looked at | as below, at that size |
//! | any other | force | not never | yes, at that size alone |
//! | any other | | always | yes |
//! | any other | | within_size | if the page lies within the file's length |
//! | any other | | advise | with MADV_HUGEPAGE |
//! | a file on a mounted tmpfs | | inherit | no: the mount's own `huge=`, never by default |
//! | memfd, shared anonymous | always | inherit | yes |
//! | memfd, shared anonymous | within_size | inherit | if a whole huge page lies within the file's length, or with MADV_HUGEPAGE |
//! | memfd, shared anonymous | advise | inherit | with MADV_HUGEPAGE |

use super::smaps::fits_huge_page;
use crate::file::{FileKind, MappedFile};
use crate::flags::VmFlags;
use crate::vma::Vma;

/// `/sys/kernel/mm/transparent_hugepage/shmem_enabled`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ShmemEnabled {
    /// Nowhere, unless a size says otherwise.
    #[default]
    Never,
    /// Everywhere.
    Always,
    /// Where a huge page lies within the file's length, or MADV_HUGEPAGE asked for them.
    WithinSize,
    /// Where MADV_HUGEPAGE asked for them.
    Advise,
    /// Nowhere, whatever a size or a mount says.
    Deny,
    /// Everywhere, whatever a mount says.
    Force,
}

/// The same file in the folder of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ShmemSizeEnabled {
    /// Not in this size.
    #[default]
    Never,
    /// Everywhere.
    Always,
    /// As the setting for all sizes says.
    Inherit,
    /// Where such a page lies within the file's length.
    WithinSize,
    /// Where MADV_HUGEPAGE asked for them.
    Advise,
}

/// Both settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShmemHuge {
    /// For all sizes.
    pub enabled: ShmemEnabled,
    /// For pages of `1 << index` base pages, up to that of a whole huge page.
    pub by_order: [ShmemSizeEnabled; 16],
}

impl Default for ShmemHuge {
    /// As x86-64 starts: never, and 2 MiB inherit that.
    fn default() -> Self {
        ShmemHuge::of(ShmemEnabled::Never)
    }
}

impl ShmemHuge {
    /// One setting for all, which 2 MiB on pages of 4 KiB inherit; no other sizes.
    #[must_use]
    pub const fn of(enabled: ShmemEnabled) -> ShmemHuge {
        let mut by_order = [ShmemSizeEnabled::Never; 16];
        by_order[9] = ShmemSizeEnabled::Inherit;
        ShmemHuge { enabled, by_order }
    }

    /// Whether a page of any size may be put into a mapping of `file`. `huge` is the size of a
    /// whole huge page in bytes.
    pub(super) fn permits(
        &self,
        vma: &Vma,
        file: &dyn MappedFile,
        huge: u64,
        page_size: u64,
    ) -> bool {
        let shift = page_size.trailing_zeros();
        let whole = huge.trailing_zeros() - shift;
        let fits = |order: u32| fits_huge_page(vma, page_size << order, page_size);
        let within = |order: u32| {
            let len = file.len_hint().map(|bytes| bytes.div_ceil(page_size));
            let end = (vma.pgoff + 1).checked_next_multiple_of(1 << order);
            len.is_none_or(|len| end.is_some_and(|end| end <= len))
        };
        let advised = vma.flags.contains(VmFlags::HUGEPAGE);
        let by_all = match self.enabled {
            ShmemEnabled::Never | ShmemEnabled::Deny => false,
            ShmemEnabled::Always | ShmemEnabled::Force => true,
            ShmemEnabled::WithinSize => within(whole) || advised,
            ShmemEnabled::Advise => advised,
        };
        if self.enabled == ShmemEnabled::Deny {
            return false;
        }
        if file.kind() == FileKind::SystemV {
            return fits(whole) && by_all;
        }
        let sizes = (0..).zip(self.by_order).take(whole as usize + 1).skip(1);
        let mut sizes = sizes.filter(|(order, _)| fits(*order));
        if self.enabled == ShmemEnabled::Force {
            return sizes.any(|(order, mode)| order == whole && mode != ShmemSizeEnabled::Never);
        }
        sizes.any(|(order, mode)| match mode {
            ShmemSizeEnabled::Never => false,
            ShmemSizeEnabled::Always => true,
            ShmemSizeEnabled::Inherit => !file.is_on_mount() && by_all,
            ShmemSizeEnabled::WithinSize => within(order),
            ShmemSizeEnabled::Advise => advised,
        })
    }
}

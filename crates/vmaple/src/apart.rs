//! Why two VMAs side by side are not one.

use crate::flags::VmFlags;
use crate::merge::STICKY;
use crate::vma::Vma;
use core::fmt;

/// What keeps two VMAs apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Apart {
    /// There is a gap between them, or they are not in this order.
    Gap,
    /// One of them is of a kind that never merges: device memory, or one that may not grow.
    Special,
    /// Their flags differ, access rights for example.
    Flags,
    /// They show different files, or the same file opened twice, or one has none.
    File,
    /// The upper one does not go on where the lower one ends.
    Offset,
    /// Both hold anonymous pages, with reverse mappings of their own.
    AnonVma,
    /// One holds pages of the process that forked, and the other has none.
    Fork,
    /// Their names differ (PR_SET_VMA_ANON_NAME).
    Name,
    /// They are registered with different userfaultfds.
    Userfaultfd,
    /// The upper one's driver wants to hear of its end.
    Driver,
}

impl Apart {
    /// All of them.
    pub const ALL: [Apart; 10] = [
        Apart::Gap,
        Apart::Special,
        Apart::Flags,
        Apart::File,
        Apart::Offset,
        Apart::AnonVma,
        Apart::Fork,
        Apart::Name,
        Apart::Userfaultfd,
        Apart::Driver,
    ];
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Apart::Gap => "a gap",
            Apart::Special => "a special mapping",
            Apart::Flags => "flags",
            Apart::File => "the file",
            Apart::Offset => "the offset",
            Apart::AnonVma => "anonymous pages",
            Apart::Fork => "pages from before a fork",
            Apart::Name => "the name",
            Apart::Userfaultfd => "userfaultfd",
            Apart::Driver => "the driver",
        })
    }
}

impl Vma {
    /// All that keeps this VMA and the one above it from being one. Pages are `1 << page_shift`
    /// bytes.
    ///
    /// Without any reason they stay two until a call changes one of them or maps between them:
    /// Linux does not look at what a call leaves alone. O(1).
    ///
    /// ```
    /// use vmaple::{Apart, Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x2000, 3, 0x22)).unwrap();
    /// mm.mprotect(addr, 0x1000, 1).unwrap();
    /// let (below, above) = (mm.vma_at(addr).unwrap(), mm.vma_at(addr + 0x1000).unwrap());
    /// assert_eq!(below.reasons_apart(above, 12).collect::<Vec<_>>(), [Apart::Flags]);
    /// ```
    pub fn reasons_apart<'v>(
        &'v self,
        above: &'v Vma,
        page_shift: u32,
    ) -> impl Iterator<Item = Apart> + 'v {
        let keeps = move |reason: &Apart| match reason {
            Apart::Gap => self.end != above.start,
            Apart::Special => (self.flags | above.flags).intersects(VmFlags::SPECIAL),
            Apart::Flags => !(self.flags ^ above.flags).difference(STICKY).is_empty(),
            Apart::File => !self.backing.is_same(&above.backing),
            Apart::Offset => self.pgoff_at(self.end, page_shift) != above.pgoff,
            Apart::AnonVma => match (self.anon_vma, above.anon_vma) {
                (Some(below), Some(above)) => below.id != above.id,
                _ => false,
            },
            Apart::Fork => match (self.anon_vma, above.anon_vma) {
                (Some(only), None) | (None, Some(only)) => only.inherited,
                _ => false,
            },
            Apart::Name => self.anon_name != above.anon_name,
            Apart::Userfaultfd => self.uffd != above.uffd,
            Apart::Driver => above.backing.closes(),
        };
        Apart::ALL.into_iter().filter(keeps)
    }
}

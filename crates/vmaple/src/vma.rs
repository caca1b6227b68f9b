//! One mapping: a range with the same flags and the same backing.

use crate::addr::AddrRange;
use crate::errno::Errno;
use crate::file::{FileKind, FileRef};
use crate::flags::VmFlags;
use crate::operations::VmaOperations;
use alloc::sync::Arc;

/// Identity of a set of anonymous pages' reverse mapping, unique within one [`crate::Mm`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AnonVmaId(pub u64);

/// What a VMA that may hold anonymous pages of its own carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[doc(alias = "anon_vma")]
pub struct AnonVma {
    /// Which one.
    pub id: AnonVmaId,
    /// The VMA came through a fork while its parent had one, so pages may still be the parent's:
    /// it cannot lend its anon_vma to a neighbour that has none.
    pub inherited: bool,
}

/// Identity of a userfaultfd context.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UffdId(pub u64);

/// What is behind a VMA's pages.
#[derive(Clone, Debug)]
pub enum Backing {
    /// Private anonymous memory.
    Anonymous,
    /// A file, or a shared-memory object.
    File(FileRef),
    /// A mapping the kernel makes, such as `[vdso]`.
    Special(SpecialMapping),
}

/// A mapping the kernel makes by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpecialMapping {
    /// Its name, with brackets.
    pub name: Arc<str>,
    /// Whether parts of it can be unmapped or changed; those of x86-64 cannot.
    pub may_split: bool,
}

impl Backing {
    /// The file, if any.
    #[must_use]
    pub fn file(&self) -> Option<&FileRef> {
        match self {
            Backing::File(file) => Some(file),
            Backing::Anonymous | Backing::Special(_) => None,
        }
    }

    /// Whether two VMAs with these backings may become one.
    #[inline]
    #[must_use]
    pub fn is_same(&self, other: &Backing) -> bool {
        match (self, other) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            _ => self.is_same_object(other),
        }
    }

    /// The same of two that are not both anonymous.
    fn is_same_object(&self, other: &Backing) -> bool {
        match (self, other) {
            (Backing::File(ours), Backing::File(theirs)) => {
                Arc::ptr_eq(ours, theirs) || ours.identity() == theirs.identity()
            }
            (Backing::Special(ours), Backing::Special(theirs)) => ours.name == theirs.name,
            _ => false,
        }
    }

    /// Whether the backing must be told of each VMA that goes away, so that no merge may remove
    /// one.
    #[must_use]
    #[doc(alias = "vm_ops->close")]
    pub fn closes(&self) -> bool {
        let Some(file) = self.file() else {
            return false;
        };
        let by_kind = match file.kind() {
            FileKind::SystemV => true,
            FileKind::Device { closes, .. } => closes,
            _ => false,
        };
        by_kind || file.operations().is_some_and(VmaOperations::has_close)
    }
}

/// A virtual memory area.
///
/// Plain data: [`crate::Mm`] hands out shared references only.
#[derive(Clone, Debug)]
#[doc(alias = "vm_area_struct")]
pub struct Vma {
    /// First address, in bytes, page aligned.
    pub start: u64,
    /// First address after it, in bytes, page aligned.
    pub end: u64,
    /// What it is and permits.
    pub flags: VmFlags,
    /// Page number of `start` in the file; for anonymous memory of the place where it was when
    /// first written to. Neighbours merge only if these fit.
    pub pgoff: u64,
    /// What is behind it.
    pub backing: Backing,
    /// Present once private pages may exist.
    pub anon_vma: Option<AnonVma>,
    /// Name given by PR_SET_VMA_ANON_NAME.
    pub anon_name: Option<Arc<str>>,
    /// userfaultfd context it is registered with.
    pub uffd: Option<UffdId>,
}

impl Vma {
    /// A VMA without pages, name or registration.
    #[must_use]
    pub fn new(range: AddrRange, flags: VmFlags, pgoff: u64, backing: Backing) -> Vma {
        Vma {
            start: range.start,
            end: range.end,
            flags,
            pgoff,
            backing,
            anon_vma: None,
            anon_name: None,
            uffd: None,
        }
    }

    /// The addresses it covers.
    #[must_use]
    pub const fn range(&self) -> AddrRange {
        AddrRange::new(self.start, self.end)
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Never true of a VMA in an address space.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// Whether it may be cut at `addr`, in bytes, which lies inside it.
    ///
    /// # Errors
    /// EINVAL for a mapping of the kernel's own, else what its
    /// [operations](VmaOperations::may_split) answer.
    #[doc(alias = "vm_ops->may_split")]
    pub fn may_split(&self, addr: u64) -> Result<(), Errno> {
        match &self.backing {
            Backing::Special(special) if !special.may_split => Err(Errno::EINVAL),
            _ => match self.operations() {
                Some(operations) => operations.may_split(self, addr),
                None => Ok(()),
            },
        }
    }

    /// Whether its pages are anonymous memory: no file, or a private mapping of `/dev/zero`.
    #[must_use]
    #[doc(alias = "vma_is_anonymous")]
    pub fn is_anonymous(&self) -> bool {
        match &self.backing {
            Backing::Anonymous => true,
            Backing::File(file) => {
                file.kind() == FileKind::DevZero && !self.flags.contains(VmFlags::MAYSHARE)
            }
            Backing::Special(_) => false,
        }
    }

    /// Whether its pages would be its own, and it has had none so far.
    #[must_use]
    pub fn lacks_anon_vma(&self) -> bool {
        let is_shared = self.flags.intersects(VmFlags::SHARED | VmFlags::MAYSHARE);
        self.anon_vma.is_none() && !is_shared
    }

    /// Page number of `addr` (inside or at the end) in the backing.
    #[must_use]
    pub const fn pgoff_at(&self, addr: u64, page_shift: u32) -> u64 {
        self.pgoff.wrapping_add((addr - self.start) >> page_shift)
    }

    /// First address that must stay free below it: a growing VMA keeps a guard gap.
    #[must_use]
    #[doc(alias = "vm_start_gap")]
    pub const fn start_with_gap(&self, guard_gap: u64) -> u64 {
        if self.flags.contains(VmFlags::GROWSDOWN) {
            self.start.saturating_sub(guard_gap)
        } else {
            self.start
        }
    }
}

/// The mapping at the end of `/proc/PID/maps` that belongs to no address space: `[vsyscall]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateVma {
    /// Where it lies.
    pub range: AddrRange,
    /// Its permissions.
    pub flags: VmFlags,
    /// Its name, with brackets.
    pub name: Arc<str>,
}

impl GateVma {
    /// The `[vsyscall]` page of x86-64 in its execute-only form.
    #[must_use]
    pub fn vsyscall() -> GateVma {
        GateVma {
            range: AddrRange::new(0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000),
            flags: VmFlags::EXEC,
            name: "[vsyscall]".into(),
        }
    }
}

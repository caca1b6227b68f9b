//! `fork`: the child's copy of the map.

use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::vma::AnonVma;
use core::fmt;

/// Why a fork failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ForkError(pub Errno);

impl fmt::Display for ForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fork: {}", self.0)
    }
}

impl core::error::Error for ForkError {}

impl Mm {
    /// The child's address space after a fork.
    ///
    /// Without the mappings marked DONTCOPY, without locks, and without userfaultfd registrations
    /// whose context does not follow forks. A mapping that holds anonymous pages gets an anon_vma
    /// of its own that refers to the parent's pages, which restrains merging in the child. The
    /// parent is only read; `&mut` stands for its write lock.
    ///
    /// # Errors
    /// ENOMEM: the copy exceeds the commit limit.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x2000, 3, 0x22)).unwrap();
    /// mm.note_faulted(addr);
    /// let child = mm.fork().unwrap();
    /// assert!(child.vma_at(addr).unwrap().anon_vma.unwrap().inherited);
    /// ```
    #[doc(alias = "dup_mmap")]
    pub fn fork(&mut self) -> Result<Mm, ForkError> {
        let mut child = Mm {
            areas: self.areas,
            gate: self.gate.clone(),
            uffd_features: self.uffd_features.clone(),
            def_flags: self.def_flags - VmFlags::LOCKED_MASK,
            next_anon: self.next_anon,
            next_shared: self.next_shared,
            ..Mm::new(self.config.clone())
        };
        let copied = self
            .iter()
            .filter(|vma| !vma.flags.contains(VmFlags::DONTCOPY));
        for vma in copied {
            if vma.flags.contains(VmFlags::ACCOUNT) {
                self.enough_memory(self.pages(vma.len()))
                    .map_err(ForkError)?;
            }
            let mut copy = vma.clone();
            copy.flags -= VmFlags::LOCKED_MASK;
            let follows = |uffd| self.uffd_features.get(&uffd).is_some_and(|f| f.event_fork);
            if !copy.uffd.is_some_and(follows) {
                copy.uffd = None;
                copy.flags -= VmFlags::UFFD_MASK;
            }
            let wiped = vma.flags.contains(VmFlags::WIPEONFORK);
            copy.anon_vma = vma.anon_vma.filter(|_| !wiped).map(|_| AnonVma {
                id: child.fresh_anon_id(),
                inherited: true,
            });
            copy.opened();
            child.store_new(copy);
        }
        child.counters.inserts = 0;
        Ok(child)
    }
}

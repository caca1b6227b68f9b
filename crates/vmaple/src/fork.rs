//! `fork`: the child's copy of the map.

use crate::accounting::{CommitRule, count_vma, enough_memory};
use crate::counters::Counters;
use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::uffd::features_of;
use crate::vma::{AnonVma, AnonVmaId, UffdId, Vma};
use alloc::vec::Vec;
use core::fmt;
use vmaple_locks::Environment;

/// Why a fork failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ForkError(pub Errno);

impl fmt::Display for ForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fork: {}", self.0)
    }
}

impl core::error::Error for ForkError {}

impl<E: Environment> Mm<E> {
    /// The child's address space after a fork.
    ///
    /// Without the mappings marked DONTCOPY, without locks, and without userfaultfd registrations
    /// whose context does not follow forks. A mapping that holds anonymous pages gets an anon_vma
    /// of its own that refers to the parent's pages, which restrains merging in the child. The
    /// parent is only read; `&mut` stands for its write lock.
    ///
    /// # Errors
    /// ENOMEM: the copy exceeds the commit limit, or there is no memory for it.
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
    pub fn fork(&mut self) -> Result<Self, ForkError> {
        let mut contexts = Vec::new();
        let nr_contexts = self.uffd_features.len();
        let reserved = contexts.try_reserve_exact(nr_contexts);
        reserved.map_err(|_| ForkError(Errno::ENOMEM))?;
        contexts.extend_from_slice(&self.uffd_features);
        let mut next_anon = self.next_anon;
        let mut counters = Counters::default();
        let mut refusal = Ok(());
        let Mm {
            tree,
            config,
            uffd_features,
            counters: ours,
            commit_rule,
            ..
        } = self;
        let rule: &dyn CommitRule = match commit_rule {
            Some(rule) => &**rule,
            None => &config.overcommit,
        };
        let copied = tree.duplicate(|vma| {
            if refusal.is_err() || vma.flags.contains(VmFlags::DONTCOPY) {
                return None;
            }
            if vma.flags.contains(VmFlags::ACCOUNT) {
                refusal = enough_memory(rule, ours, vma.len() >> config.page_shift());
            }
            let follows = |uffd| features_of(uffd_features, uffd).event_fork;
            let copy = child_vma(vma, follows, || {
                next_anon += 1;
                AnonVmaId(next_anon - 1)
            });
            count_vma(&mut counters, &copy, config.page_shift());
            refusal.is_ok().then_some(copy)
        });
        let tree = copied.map_err(ForkError)?;
        refusal.map_err(ForkError)?;
        tree.iter().for_each(Vma::opened);
        counters.peak_vmas = tree.len();
        Ok(Mm {
            areas: self.areas,
            gate: self.gate.clone(),
            uffd_features: contexts,
            def_flags: self.def_flags - VmFlags::LOCKED_MASK,
            commit_rule: self.commit_rule.clone(),
            guards: None,
            next_anon,
            next_shared: self.next_shared,
            tree,
            counters,
            config: self.config.clone(),
            published: None,
        })
    }
}

/// The child's copy of a VMA. `follows`: whether a userfaultfd context goes on in the child.
fn child_vma(
    vma: &Vma,
    follows: impl Fn(UffdId) -> bool,
    fresh_anon_id: impl FnOnce() -> AnonVmaId,
) -> Vma {
    let mut copy = vma.clone();
    copy.flags -= VmFlags::LOCKED_MASK;
    if !copy.uffd.is_some_and(follows) {
        copy.uffd = None;
        copy.flags -= VmFlags::UFFD_MASK;
    }
    let wiped = vma.flags.contains(VmFlags::WIPEONFORK);
    copy.anon_vma = vma.anon_vma.filter(|_| !wiped).map(|_| AnonVma {
        id: fresh_anon_id(),
        inherited: true,
    });
    copy
}

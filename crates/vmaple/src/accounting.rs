//! Sizes, resource limits and the commit limit.

#[cfg(doc)]
use crate::config::MmConfig;
use crate::config::Overcommit;
use crate::counters::Counters;
use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::vma::Vma;
use alloc::sync::Arc;
use core::fmt;
use vmaple_locks::Environment;

/// Private writable memory other than a stack: what RLIMIT_DATA counts.
#[doc(alias = "is_data_mapping")]
pub(crate) const fn is_data(flags: VmFlags) -> bool {
    flags.is_private_writable() && !flags.contains(VmFlags::GROWSDOWN)
}

/// Executable memory that is neither writable nor a stack.
#[doc(alias = "is_exec_mapping")]
const fn is_exec(flags: VmFlags) -> bool {
    flags.contains(VmFlags::EXEC) && !flags.intersects(VmFlags::WRITE.union(VmFlags::GROWSDOWN))
}

/// Whether new memory with these flags counts against the commit limit.
#[doc(alias = "accountable_mapping")]
pub(crate) const fn is_accountable(flags: VmFlags) -> bool {
    flags.is_private_writable() && !flags.contains(VmFlags::NORESERVE)
}

/// Adds a VMA's pages.
pub(crate) fn count_vma(counters: &mut Counters, vma: &Vma, page_shift: u32) {
    count_pages(counters, vma.flags, (vma.len() >> page_shift).cast_signed());
}

/// Flags that say which kind of memory it is.
const OF_A_KIND: VmFlags = VmFlags::EXEC
    .union(VmFlags::WRITE)
    .union(VmFlags::SHARED)
    .union(VmFlags::GROWSDOWN);

/// Flags on which it depends what counts a page.
pub(crate) const COUNTED: VmFlags = OF_A_KIND.union(VmFlags::LOCKED).union(VmFlags::ACCOUNT);

/// What counts pages of this kind, beside what counts all.
#[inline]
fn counter_of_kind(counters: &mut Counters, flags: VmFlags) -> Option<&mut u64> {
    if is_exec(flags) {
        Some(&mut counters.exec_vm)
    } else if flags.contains(VmFlags::GROWSDOWN) {
        Some(&mut counters.stack_vm)
    } else {
        is_data(flags).then_some(&mut counters.data_vm)
    }
}

/// Adds pages with these flags, or takes some away.
pub(crate) fn count_pages(counters: &mut Counters, flags: VmFlags, pages: i64) {
    let add = |counter: &mut u64| *counter = counter.wrapping_add_signed(pages);
    add(&mut counters.total_vm);
    if let Some(counter) = counter_of_kind(counters, flags) {
        add(counter);
    }
    if flags.contains(VmFlags::LOCKED) {
        add(&mut counters.locked_vm);
    }
    if flags.contains(VmFlags::ACCOUNT) {
        add(&mut counters.committed);
    }
}

/// Counts pages that had the flags `was` under the flags `is`.
#[inline]
pub(crate) fn recount_pages(counters: &mut Counters, was: VmFlags, is: VmFlags, pages: i64) {
    let changed = was ^ is;
    let mut settle = |flags, pages| {
        if let Some(counter) = counter_of_kind(counters, flags) {
            *counter = counter.wrapping_add_signed(pages);
        }
    };
    if changed.intersects(OF_A_KIND) {
        settle(was, -pages);
        settle(is, pages);
    }
    let gain = |flag: VmFlags| if is.contains(flag) { pages } else { -pages };
    if changed.contains(VmFlags::LOCKED) {
        counters.locked_vm = counters
            .locked_vm
            .wrapping_add_signed(gain(VmFlags::LOCKED));
    }
    if changed.contains(VmFlags::ACCOUNT) {
        counters.committed = counters
            .committed
            .wrapping_add_signed(gain(VmFlags::ACCOUNT));
    }
}

/// Decides whether memory may be committed: [`Overcommit`] is Linux's way.
///
/// ```
/// use std::sync::Arc;
/// use vmaple::{CommitRule, Errno, Mm, MmConfig, MmapArgs};
///
/// /// Two pages at a time, and ten in all.
/// #[derive(Debug)]
/// struct Thrifty;
///
/// impl CommitRule for Thrifty {
///     fn permits(&self, committed: u64, pages: u64) -> bool {
///         pages <= 2 && committed + pages <= 10
///     }
/// }
///
/// let mut mm = Mm::new(MmConfig::x86_64());
/// mm.set_commit_rule(Arc::new(Thrifty));
/// let map = |mm: &mut Mm, len| mm.mmap(&MmapArgs::anonymous(0, len, 3, 0x22));
/// assert!(map(&mut mm, 0x2000).is_ok());
/// assert_eq!(map(&mut mm, 0x3000), Err(Errno::ENOMEM.into()));
/// ```
pub trait CommitRule: fmt::Debug + Send + Sync {
    /// Whether an address space that has committed so many pages may commit `pages` more. It runs
    /// inside a call on that address space and should be quick.
    #[doc(alias = "__vm_enough_memory")]
    fn permits(&self, committed: u64, pages: u64) -> bool;
}

impl CommitRule for Overcommit {
    fn permits(&self, committed: u64, pages: u64) -> bool {
        match *self {
            Overcommit::Always => true,
            Overcommit::Heuristic { total_pages } => pages <= total_pages,
            Overcommit::Never { limit_pages } => committed.saturating_add(pages) <= limit_pages,
        }
    }
}

/// Whether `pages` more can be committed by an address space with these counts.
pub(crate) fn enough_memory(
    rule: &dyn CommitRule,
    counters: &Counters,
    pages: u64,
) -> Result<(), Errno> {
    if rule.permits(counters.committed, pages) {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}

impl<E: Environment> Mm<E> {
    /// Whether `pages` more with these flags stay within RLIMIT_AS and RLIMIT_DATA.
    ///
    /// A data limit of exactly 0 is not enforced, as in Linux (for the sake of Valgrind).
    #[doc(alias = "may_expand_vm")]
    pub(crate) fn may_expand(&self, flags: VmFlags, pages: u64) -> bool {
        let shift = self.config.page_shift();
        let limits = self.config.limits;
        let over = |used: u64, limit: u64| match used.checked_add(pages) {
            Some(sum) => sum > limit >> shift,
            None => true,
        };
        if over(self.counters.total_vm, limits.as_bytes) {
            return false;
        }
        let limited = is_data(flags) && limits.data_bytes != 0;
        !(limited && over(self.counters.data_vm, limits.data_bytes))
    }

    /// Whether `pages` more can be committed.
    #[doc(alias = "security_vm_enough_memory_mm")]
    #[inline]
    pub(crate) fn enough_memory(&self, pages: u64) -> Result<(), Errno> {
        let committed = self.counters.committed;
        let permits = match &self.commit_rule {
            Some(rule) => rule.permits(committed, pages),
            None => self.config.overcommit.permits(committed, pages),
        };
        if permits { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Lets `rule` decide about commitments in the place of [`MmConfig::overcommit`], here and in
    /// the children that fork makes.
    pub fn set_commit_rule(&mut self, rule: Arc<dyn CommitRule>) {
        self.commit_rule = Some(rule);
    }

    /// Whether locking is permitted at all.
    #[doc(alias = "can_do_mlock")]
    pub(crate) fn can_lock(&self) -> bool {
        self.config.limits.memlock_bytes != 0 || self.config.capabilities.ipc_lock
    }

    /// Whether `len` bytes more with these flags stay within the lock limit.
    #[doc(alias = "mlock_future_ok")]
    pub(crate) fn lock_limit_permits(&self, flags: VmFlags, len: u64) -> bool {
        if !flags.contains(VmFlags::LOCKED) || self.config.capabilities.ipc_lock {
            return true;
        }
        let shift = self.config.page_shift();
        let locked = self.counters.locked_vm.saturating_add(len >> shift);
        locked <= self.config.limits.memlock_bytes >> shift
    }
}

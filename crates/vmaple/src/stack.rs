//! Growth of stacks: what a page fault below a growing VMA does.

use crate::addr::AddrRange;
use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::vma::Vma;
use vmaple_locks::Environment;

/// What an address has to do with a stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Growth {
    /// Nothing grows there.
    None,
    /// It is mapped.
    NotNeeded,
    /// A stack above it may grow down to it.
    Needed,
}

impl<E: Environment> Mm<E> {
    /// A fault at `addr`, below a growing VMA: that VMA grows down to the page of `addr`.
    ///
    /// Returns its range. An address inside a VMA changes nothing.
    ///
    /// # Errors
    /// EFAULT: no growing VMA above. ENOMEM: the guard gap to the VMA below (unless that cannot
    /// be accessed), RLIMIT_STACK, RLIMIT_AS, the lock limit, or the commit limit. EPERM: below
    /// mmap_min_addr. The process gets SIGSEGV in each case.
    ///
    /// ```
    /// use vmaple::{Mm, MmConfig, MmapArgs};
    /// let mut mm = Mm::new(MmConfig::x86_64());
    /// let grows_down = 0x122;
    /// let addr = mm.mmap(&MmapArgs::anonymous(0, 0x2000, 3, grows_down)).unwrap();
    /// let range = mm.expand_stack(addr - 0x3000).unwrap();
    /// assert_eq!(range.start, addr - 0x3000);
    /// ```
    #[doc(alias = "expand_downwards")]
    pub fn expand_stack(&mut self, addr: u64) -> Result<AddrRange, Errno> {
        let addr = self.config.page_floor(addr);
        let vma = self.find(addr).ok_or(Errno::EFAULT)?.clone();
        if vma.start <= addr {
            return Ok(vma.range());
        }
        if !vma.flags.contains(VmFlags::GROWSDOWN) {
            return Err(Errno::EFAULT);
        }
        if addr < self.config.lowest_addr() {
            return Err(Errno::EPERM);
        }
        if let Some(below) = self.tree.prev(addr) {
            let guarded = !below.flags.contains(VmFlags::GROWSDOWN) && below.flags.is_accessible();
            if guarded && addr - below.end < self.config.guard_gap() {
                return Err(Errno::ENOMEM);
            }
        }
        self.note_faulted(vma.start);
        let pages = self.pages(vma.start - addr);
        if pages > vma.pgoff {
            return Err(Errno::ENOMEM);
        }
        self.check_growth(&vma, addr, pages)?;
        let range = AddrRange::new(addr, vma.end);
        self.expand(vma.start, range, |vma| vma.pgoff -= pages)?;
        Ok(range)
    }

    #[doc(alias = "acct_stack_growth")]
    fn check_growth(&self, vma: &Vma, addr: u64, pages: u64) -> Result<(), Errno> {
        let too_large = vma.end - addr > self.config.limits.stack_bytes;
        let bytes = vma.start - addr;
        if !self.may_expand(vma.flags, pages)
            || too_large
            || !self.lock_limit_permits(vma.flags, bytes)
        {
            return Err(Errno::ENOMEM);
        }
        self.enough_memory(pages)
    }
}

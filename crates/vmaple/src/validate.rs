//! What must hold of an address space at any time.

use crate::accounting::count_vma;
use crate::counters::Counters;
use crate::flags::VmFlags;
use crate::mm::Mm;
use crate::vma::Vma;
use alloc::format;
use alloc::string::String;
use core::fmt;
use vmaple_locks::Environment;

/// A rule that an address space breaks: the crate has a bug.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Violation {}

impl<E: Environment> Mm<E> {
    /// Checks order, alignment, flags and counters of the whole map. O(n).
    ///
    /// The count of locked pages is not checked: Linux miscounts it after MREMAP_DONTUNMAP and for
    /// very large ranges, and so does this crate.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), Violation> {
        let mut counters = Counters::default();
        let mut last_end = 0;
        let mut count = 0;
        for vma in self.iter() {
            self.validate_vma(vma, last_end)?;
            count_vma(&mut counters, vma, self.config.page_shift());
            last_end = vma.end;
            count += 1;
        }
        if count != self.len() {
            return Err(Violation(format!(
                "{} VMAs counted, {count} found",
                self.len()
            )));
        }
        let sizes = |c: &Counters| [c.total_vm, c.data_vm, c.exec_vm, c.stack_vm, c.committed];
        if sizes(&counters) != sizes(&self.counters) {
            let (kept, found) = (sizes(&self.counters), sizes(&counters));
            return Err(Violation(format!(
                "counters {kept:?}, VMAs add up to {found:?}"
            )));
        }
        Ok(())
    }

    fn validate_vma(&self, vma: &Vma, last_end: u64) -> Result<(), Violation> {
        let broken = |rule: &str| Err(Violation(format!("{}: {rule}", vma.range())));
        if vma.is_empty() || vma.end > self.config.task_size {
            return broken("empty or out of the space");
        }
        if !self.config.is_aligned(vma.start) || !self.config.is_aligned(vma.end) {
            return broken("not page aligned");
        }
        if vma.start < last_end {
            return broken("overlaps its predecessor");
        }
        if vma.anon_vma.is_some() && vma.flags.contains(VmFlags::SHARED) {
            return broken("shared, but holds anonymous pages");
        }
        if vma.uffd.is_none() && vma.flags.intersects(VmFlags::UFFD_MASK) {
            return broken("userfaultfd flags without a context");
        }
        Ok(())
    }
}

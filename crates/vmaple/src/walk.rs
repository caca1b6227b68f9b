//! Walks the VMAs of a range while a call changes them.

use crate::addr::AddrRange;
use crate::errno::CallError;
use crate::mm::Mm;
use crate::vma::Vma;
use vmaple_locks::Environment;

/// Whether a range is mapped throughout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coverage {
    /// It is.
    Whole,
    /// Some of it is not.
    Holes,
}

impl<E: Environment> Mm<E> {
    /// Calls `step` for the part of each VMA that lies in `range`, in ascending order; holes are
    /// passed over. A step may change, split and merge VMAs; it returns the address up to which
    /// it is done, so that what a merge took in is not met again.
    ///
    /// # Errors
    /// The first of `step`; what was done before it stays done.
    pub(crate) fn walk_parts(
        &mut self,
        range: AddrRange,
        mut step: impl FnMut(&mut Self, &Vma, AddrRange) -> Result<u64, CallError>,
    ) -> Result<Coverage, CallError> {
        let mut coverage = Coverage::Whole;
        let mut at = range.start;
        while at < range.end {
            let next = self.tree.find(at).filter(|vma| vma.start < range.end);
            let Some(vma) = next.cloned() else {
                return Ok(Coverage::Holes);
            };
            if vma.start > at {
                coverage = Coverage::Holes;
            }
            let part = vma.range().intersection(AddrRange::new(at, range.end));
            at = step(self, &vma, part)?.max(part.end);
        }
        Ok(coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MmConfig, MmapArgs};

    #[test]
    fn parts_are_cut_to_the_range_and_holes_are_told() {
        let mut mm = Mm::new(MmConfig::x86_64());
        let at = mm.mmap(&MmapArgs::anonymous(0, 6 << 12, 3, 0x22)).unwrap();
        mm.munmap(at + (2 << 12), 1 << 12).unwrap();
        let mut parts = [].to_vec();
        let mut walk = |mm: &mut Mm, start: u64, end: u64| {
            parts.clear();
            let range = AddrRange::new(at + (start << 12), at + (end << 12));
            let coverage = mm.walk_parts(range, |_, _, part| {
                parts.push(((part.start - at) >> 12, (part.end - at) >> 12));
                Ok(part.end)
            });
            (coverage.unwrap(), parts.clone())
        };
        assert_eq!(
            walk(&mut mm, 1, 5),
            (Coverage::Holes, [(1, 2), (3, 5)].to_vec())
        );
        assert_eq!(walk(&mut mm, 3, 6), (Coverage::Whole, [(3, 6)].to_vec()));
        assert_eq!(walk(&mut mm, 2, 3), (Coverage::Holes, [].to_vec()));
    }
}

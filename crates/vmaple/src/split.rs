//! Cutting a VMA in two: a pure function on values.

use crate::vma::Vma;

/// The parts of `vma` below and above `addr`, which must lie inside it.
///
/// Both keep everything but the range; the upper part's offset moves on with it.
#[doc(alias = "__split_vma")]
pub(crate) fn split_at(vma: &Vma, addr: u64, page_shift: u32) -> (Vma, Vma) {
    debug_assert!(vma.start < addr && addr < vma.end);
    let mut below = vma.clone();
    let mut above = vma.clone();
    below.end = addr;
    above.start = addr;
    above.pgoff = vma.pgoff_at(addr, page_shift);
    (below, above)
}

#[cfg(test)]
mod tests {
    use super::split_at;
    use crate::{AddrRange, AnonVma, AnonVmaId, Backing, VmFlags, Vma};

    /// ```text
    /// AAAAAAAA      pgoff 5
    /// BBAAAAAA      5, 7
    /// ```
    #[test]
    fn upper_part_moves_its_offset() {
        let range = AddrRange::new(0x10000, 0x18000);
        let mut vma = Vma::new(range, VmFlags::READ, 5, Backing::Anonymous);
        vma.anon_vma = Some(AnonVma {
            id: AnonVmaId(3),
            inherited: true,
        });
        let (below, above) = split_at(&vma, 0x12000, 12);
        assert_eq!((below.start, below.end, below.pgoff), (0x10000, 0x12000, 5));
        assert_eq!((above.start, above.end, above.pgoff), (0x12000, 0x18000, 7));
        assert_eq!(
            (below.anon_vma, above.anon_vma),
            (vma.anon_vma, vma.anon_vma)
        );
    }
}

//! Cutting a VMA in two: a pure function on values.

use crate::addr::AddrRange;
use crate::vma::Vma;

/// The part of `vma` from `addr`, which must lie inside it, to its end.
///
/// It keeps everything but the range; its offset moves on.
#[doc(alias = "__split_vma")]
pub(crate) fn part_above(vma: &Vma, addr: u64, page_shift: u32) -> Vma {
    debug_assert!(vma.start < addr && addr < vma.end);
    let mut above = vma.clone();
    above.start = addr;
    above.pgoff = vma.pgoff_at(addr, page_shift);
    above
}

/// The part of `vma` in `range`, which must lie inside it.
///
/// It keeps everything but the range; its offset moves on.
pub(crate) fn part(vma: &Vma, range: AddrRange, page_shift: u32) -> Vma {
    debug_assert!(vma.start <= range.start && range.end <= vma.end);
    let mut part = vma.clone();
    (part.start, part.end) = (range.start, range.end);
    part.pgoff = vma.pgoff_at(range.start, page_shift);
    part
}

#[cfg(test)]
mod tests {
    use super::{part, part_above};
    use crate::{AddrRange, AnonVma, AnonVmaId, Backing, VmFlags, Vma};

    /// ```text
    /// AAAAAAAA      pgoff 5
    ///   AAAAAA      7
    /// ```
    #[test]
    fn upper_part_moves_its_offset() {
        let range = AddrRange::new(0x10000, 0x18000);
        let mut vma = Vma::new(range, VmFlags::READ, 5, Backing::Anonymous);
        vma.anon_vma = Some(AnonVma {
            id: AnonVmaId(3),
            inherited: true,
        });
        let above = part_above(&vma, 0x12000, 12);
        assert_eq!((above.start, above.end, above.pgoff), (0x12000, 0x18000, 7));
        assert_eq!(above.anon_vma, vma.anon_vma);
        let middle = part(&vma, AddrRange::new(0x11000, 0x12000), 12);
        assert_eq!(
            (middle.start, middle.end, middle.pgoff),
            (0x11000, 0x12000, 6)
        );
        assert_eq!(middle.anon_vma, vma.anon_vma);
    }
}

//! The store of VMAs: the only file that knows the container.
//!
//! Every change of the set goes through [`VmaTree::insert`], [`VmaTree::remove`],
//! [`VmaTree::replace`] and [`VmaTree::update`].

use crate::addr::AddrRange;
use crate::vma::Vma;
use alloc::collections::BTreeMap;

/// VMAs in ascending order of address, none overlapping another.
#[derive(Clone, Debug, Default)]
pub(crate) struct VmaTree {
    /// Keyed by the last address of each VMA.
    by_last: BTreeMap<u64, Vma>,
}

impl VmaTree {
    pub(crate) fn new() -> VmaTree {
        VmaTree::default()
    }

    /// Number of VMAs.
    pub(crate) fn len(&self) -> usize {
        self.by_last.len()
    }

    /// The VMA that contains `addr`, or the first one above it.
    pub(crate) fn find(&self, addr: u64) -> Option<&Vma> {
        self.by_last.range(addr..).next().map(|(_, vma)| vma)
    }

    /// The VMA that contains `addr`.
    pub(crate) fn at(&self, addr: u64) -> Option<&Vma> {
        self.find(addr).filter(|vma| vma.start <= addr)
    }

    /// The last VMA that ends at or below `addr`.
    pub(crate) fn prev(&self, addr: u64) -> Option<&Vma> {
        self.by_last.range(..addr).next_back().map(|(_, vma)| vma)
    }

    /// The VMA that ends exactly at `addr`.
    pub(crate) fn ending_at(&self, addr: u64) -> Option<&Vma> {
        self.by_last.get(&addr.wrapping_sub(1))
    }

    /// The VMA that starts exactly at `addr`.
    pub(crate) fn starting_at(&self, addr: u64) -> Option<&Vma> {
        self.find(addr).filter(|vma| vma.start == addr)
    }

    /// All VMAs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.by_last.values()
    }

    /// The VMAs that overlap `range`, in ascending order.
    pub(crate) fn overlapping(&self, range: AddrRange) -> impl Iterator<Item = &Vma> {
        self.by_last
            .range(range.start..)
            .map(|(_, vma)| vma)
            .take_while(move |vma| vma.start < range.end)
    }

    /// Puts in a VMA; its range must be free.
    pub(crate) fn insert(&mut self, vma: Vma) {
        debug_assert!(self.overlapping(vma.range()).next().is_none());
        self.by_last.insert(vma.end - 1, vma);
    }

    /// Takes out the VMA that contains `addr`.
    pub(crate) fn remove(&mut self, addr: u64) -> Option<Vma> {
        let last = self.at(addr)?.end - 1;
        self.by_last.remove(&last)
    }

    /// Puts `vma` in the place of the one that contains `addr`, and returns that.
    ///
    /// The range may differ, but must not overlap a third VMA.
    pub(crate) fn replace(&mut self, addr: u64, vma: Vma) -> Option<Vma> {
        let old = self.remove(addr);
        self.insert(vma);
        old
    }

    /// Changes the VMA that contains `addr` without moving it.
    pub(crate) fn update(&mut self, addr: u64, change: impl FnOnce(&mut Vma)) {
        if let Some((_, vma)) = self.by_last.range_mut(addr..).next() {
            let range = vma.range();
            change(vma);
            debug_assert_eq!(range, vma.range());
        }
    }

    /// The highest free range of at least `len` bytes within `low..high`.
    pub(crate) fn highest_gap(&self, low: u64, high: u64, len: u64) -> Option<AddrRange> {
        let mut end = high;
        for vma in self.by_last.range(low..).rev().map(|(_, vma)| vma) {
            if vma.end < end && end - vma.end >= len && vma.end >= low {
                return Some(AddrRange::new(vma.end, end));
            }
            end = end.min(vma.start);
            if end < low {
                return None;
            }
        }
        (end >= low && end - low >= len).then(|| AddrRange::new(low, end))
    }

    /// The lowest free range of at least `len` bytes within `low..high`.
    pub(crate) fn lowest_gap(&self, low: u64, high: u64, len: u64) -> Option<AddrRange> {
        let mut start = low;
        for vma in self.by_last.range(low..).map(|(_, vma)| vma) {
            if start >= high {
                return None;
            }
            let end = vma.start.min(high);
            if end > start && end - start >= len {
                return Some(AddrRange::new(start, end));
            }
            start = start.max(vma.end);
        }
        (start < high && high - start >= len).then(|| AddrRange::new(start, high))
    }
}

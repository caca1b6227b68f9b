//! The store of VMAs: the only file that knows the container, a maple tree.
//!
//! Every change of the set goes through [`VmaTree::insert`], [`VmaTree::remove`],
//! [`VmaTree::replace`] and [`VmaTree::update`]. Running out of memory for nodes ends as running
//! out of memory for any other allocation does.

use crate::addr::AddrRange;
use crate::vma::Vma;
use alloc::alloc::handle_alloc_error;
use alloc::boxed::Box;
use core::alloc::Layout;
use maple_tree::{MapleTree, Span};

/// VMAs in ascending order of address, none overlapping another.
#[derive(Debug, Default)]
pub(crate) struct VmaTree {
    tree: MapleTree<Box<Vma>>,
    len: usize,
}

/// The indices a range takes in the tree, where both ends count.
fn span_of(range: AddrRange) -> Span {
    Span::new(range.start, range.end - 1)
}

/// Memory for a node or an entry is out.
fn out_of_memory() -> ! {
    handle_alloc_error(Layout::new::<Vma>())
}

impl Clone for VmaTree {
    fn clone(&self) -> Self {
        let Ok(tree) = self.tree.duplicate() else {
            out_of_memory()
        };
        VmaTree {
            tree,
            len: self.len,
        }
    }
}

impl VmaTree {
    pub(crate) fn new() -> VmaTree {
        VmaTree::default()
    }

    /// Number of VMAs.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The VMA that contains `addr`, or the first one above it.
    pub(crate) fn find(&self, addr: u64) -> Option<&Vma> {
        self.tree.find(addr).map(|(_, vma)| vma)
    }

    /// The VMA that contains `addr`.
    pub(crate) fn at(&self, addr: u64) -> Option<&Vma> {
        self.tree.get(addr)
    }

    /// The last VMA that ends at or below `addr`.
    pub(crate) fn prev(&self, addr: u64) -> Option<&Vma> {
        let (span, vma) = self.tree.find_rev(addr.checked_sub(1)?)?;
        if span.last < addr {
            return Some(vma);
        }
        self.tree.prev(span).map(|(_, vma)| vma)
    }

    /// The VMA that ends exactly at `addr`.
    pub(crate) fn ending_at(&self, addr: u64) -> Option<&Vma> {
        let vma = self.tree.get(addr.checked_sub(1)?)?;
        (vma.end == addr).then_some(vma)
    }

    /// The VMA that starts exactly at `addr`.
    pub(crate) fn starting_at(&self, addr: u64) -> Option<&Vma> {
        self.at(addr).filter(|vma| vma.start == addr)
    }

    /// All VMAs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.tree.iter().map(|(_, vma)| vma)
    }

    /// The VMAs that overlap `range`, in ascending order.
    pub(crate) fn overlapping(&self, range: AddrRange) -> impl Iterator<Item = &Vma> {
        let from = self.tree.iter_from(range.start).map(|(_, vma)| vma);
        from.take_while(move |vma| vma.start < range.end)
    }

    /// Puts in a VMA; its range must be free.
    pub(crate) fn insert(&mut self, vma: Vma) {
        debug_assert!(self.overlapping(vma.range()).next().is_none());
        self.store(vma);
        self.len += 1;
    }

    /// Takes out the VMA that contains `addr`.
    pub(crate) fn remove(&mut self, addr: u64) -> Option<Vma> {
        let Ok(erased) = self.tree.erase(addr) else {
            out_of_memory()
        };
        let (_, vma) = erased?;
        self.len -= 1;
        Some(*vma)
    }

    /// Puts `vma` in the place of the one that contains `addr`.
    ///
    /// The range may differ, but must not overlap a third VMA.
    pub(crate) fn replace(&mut self, addr: u64, vma: Vma) {
        let covers_old = self
            .at(addr)
            .is_some_and(|old| vma.start <= old.start && old.end <= vma.end);
        if covers_old {
            self.store(vma);
        } else {
            self.remove(addr);
            self.insert(vma);
        }
    }

    /// Changes the VMA that contains `addr` without moving it.
    pub(crate) fn update(&mut self, addr: u64, change: impl FnOnce(&mut Vma)) {
        let Some(mut vma) = self.at(addr).cloned() else {
            return;
        };
        let range = vma.range();
        change(&mut vma);
        debug_assert_eq!(range, vma.range());
        self.store(vma);
    }

    /// The highest address of a free range of `len` bytes within `low..high`.
    pub(crate) fn highest_gap(&self, low: u64, high: u64, len: u64) -> Option<u64> {
        let last = high.checked_sub(1).filter(|last| *last >= low)?;
        self.tree.highest_gap(len, 1, Span::new(low, last))
    }

    /// The lowest address of a free range of `len` bytes within `low..high`.
    pub(crate) fn lowest_gap(&self, low: u64, high: u64, len: u64) -> Option<u64> {
        let last = high.checked_sub(1).filter(|last| *last >= low)?;
        self.tree.lowest_gap(len, 1, Span::new(low, last))
    }

    /// Stores a VMA over its range.
    fn store(&mut self, vma: Vma) {
        if self
            .tree
            .store(span_of(vma.range()), Box::new(vma))
            .is_err()
        {
            out_of_memory();
        }
    }
}

//! The store of VMAs: the only file that knows the container, a maple tree.
//!
//! Every change of the set is one of [`insert`](VmaTree::insert), [`clear`](VmaTree::clear),
//! [`cut`](VmaTree::cut), [`carve`](VmaTree::carve), [`punch`](VmaTree::punch),
//! [`expand`](VmaTree::expand) and [`update`](VmaTree::update), with no more stores into the tree
//! than VMAs begin or end by it. Running out of memory for nodes ends as running out of memory for
//! any other allocation does.

use crate::addr::AddrRange;
use crate::split::part_above;
use crate::vma::Vma;
use alloc::alloc::handle_alloc_error;
use core::alloc::Layout;
use maple_tree::{MapleTree, Span};
use slab::Slab;

/// VMAs in ascending order of address, none overlapping another.
#[derive(Debug, Default)]
pub(crate) struct VmaTree {
    /// Where in `vmas` the VMA of a range is.
    tree: MapleTree<u32>,
    vmas: Slab<Vma>,
}

/// Which moment of a change a VMA is shown at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Before,
    After,
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
            vmas: self.vmas.clone(),
        }
    }
}

impl VmaTree {
    pub(crate) fn new() -> VmaTree {
        VmaTree::default()
    }

    /// Number of VMAs.
    pub(crate) fn len(&self) -> usize {
        self.vmas.len()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "what the tree names is in the slab"
    )]
    fn vma(&self, key: u32) -> &Vma {
        &self.vmas[key as usize]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "what the tree names is in the slab"
    )]
    fn vma_mut(&mut self, key: u32) -> &mut Vma {
        &mut self.vmas[key as usize]
    }

    /// The VMA that contains `addr`, or the first one above it.
    pub(crate) fn find(&self, addr: u64) -> Option<&Vma> {
        self.tree.find(addr).map(|(_, key)| self.vma(key))
    }

    /// The VMA that contains `addr`.
    pub(crate) fn at(&self, addr: u64) -> Option<&Vma> {
        self.tree.get(addr).map(|key| self.vma(key))
    }

    /// The last VMA that ends at or below `addr`.
    pub(crate) fn prev(&self, addr: u64) -> Option<&Vma> {
        let (span, key) = self.tree.find_rev(addr.checked_sub(1)?)?;
        if span.last < addr {
            return Some(self.vma(key));
        }
        self.tree.prev(span).map(|(_, key)| self.vma(key))
    }

    /// The VMA that ends exactly at `addr`.
    pub(crate) fn ending_at(&self, addr: u64) -> Option<&Vma> {
        self.at(addr.checked_sub(1)?).filter(|vma| vma.end == addr)
    }

    /// What is at `addr`: a VMA, or free addresses around it, maybe not all of them.
    ///
    /// If the free range does not begin at `addr`, nothing ends there; if it ends beyond some
    /// address, nothing starts there.
    pub(crate) fn place_at(&self, addr: u64) -> Result<&Vma, AddrRange> {
        match self.tree.range_at(addr) {
            (_, Some(key)) => Ok(self.vma(key)),
            (gap, None) => Err(AddrRange::new(gap.first, gap.last.saturating_add(1))),
        }
    }

    /// The VMAs that touch a free range below and above.
    pub(crate) fn neighbours(&self, range: AddrRange) -> (Option<&Vma>, Option<&Vma>) {
        let Err(gap) = self.place_at(range.start) else {
            return (None, None);
        };
        let begins = gap.start == range.start;
        let ends = gap.end <= range.end;
        (
            begins.then(|| self.ending_at(range.start)).flatten(),
            ends.then(|| self.starting_at(range.end)).flatten(),
        )
    }

    /// The first VMA that overlaps `range`.
    pub(crate) fn first_in(&self, range: AddrRange) -> Option<&Vma> {
        let (span, key) = self.tree.find(range.start)?;
        (span.first < range.end).then(|| self.vma(key))
    }

    /// The VMA that starts exactly at `addr`.
    pub(crate) fn starting_at(&self, addr: u64) -> Option<&Vma> {
        self.at(addr).filter(|vma| vma.start == addr)
    }

    /// All VMAs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.tree.iter().map(|(_, key)| self.vma(key))
    }

    /// The VMAs that overlap `range`, in ascending order.
    pub(crate) fn overlapping(&self, range: AddrRange) -> impl Iterator<Item = &Vma> {
        let from = self.tree.iter_from(range.start);
        from.take_while(move |(span, _)| span.first < range.end)
            .map(|(_, key)| self.vma(key))
    }

    /// Puts in a VMA; its range must be free.
    pub(crate) fn insert(&mut self, vma: Vma) {
        debug_assert!(self.overlapping(vma.range()).next().is_none());
        let range = vma.range();
        let key = self.keep(vma);
        self.store(range, key);
    }

    /// Takes out every VMA of `range`, after it was shown to `gone`; none may reach out of it.
    pub(crate) fn clear(&mut self, range: AddrRange, mut gone: impl FnMut(&Vma)) {
        let mut addr = range.start;
        while addr < range.end
            && let Some((span, key)) = self.tree.find(addr)
            && span.first < range.end
        {
            debug_assert!(range.start <= span.first && span.last < range.end);
            gone(&self.vmas.remove(key as usize));
            addr = span.last + 1;
        }
        if addr != range.start && self.tree.clear(span_of(range)).is_err() {
            out_of_memory();
        }
    }

    /// Cuts the VMA that contains `addr`, not as its first address, in two there.
    pub(crate) fn cut(&mut self, addr: u64, page_shift: u32) {
        let Some(key) = self.tree.get(addr) else {
            return;
        };
        let below = self.vma_mut(key);
        let above = part_above(below, addr, page_shift);
        below.end = addr;
        let range = above.range();
        let key = self.keep(above);
        self.store(range, key);
    }

    /// Makes `range`, part of one VMA, a VMA of its own, and makes `change` to that. What lies
    /// below and above keeps the old properties.
    ///
    /// The old VMA is shown to `count` before, its parts after.
    pub(crate) fn carve(
        &mut self,
        range: AddrRange,
        page_shift: u32,
        change: impl FnOnce(&mut Vma),
        mut count: impl FnMut(&Vma, Moment),
    ) {
        let Some(key) = self.tree.get(range.start) else {
            return;
        };
        let old = self.vma(key);
        let whole = old.range();
        debug_assert!(whole.start <= range.start && range.end <= whole.end);
        count(old, Moment::Before);
        if range.end < whole.end {
            let above = part_above(old, range.end, page_shift);
            count(&above, Moment::After);
            let above = self.keep(above);
            self.store(AddrRange::new(range.end, whole.end), above);
        }
        let old = self.vma_mut(key);
        let middle = if whole.start < range.start {
            let middle = part_above(old, range.start, page_shift);
            old.end = range.start;
            count(old, Moment::After);
            let middle = self.keep(middle);
            self.store(range, middle);
            self.vma_mut(middle)
        } else {
            old
        };
        middle.end = range.end;
        change(middle);
        count(middle, Moment::After);
    }

    /// Frees `range`, which lies inside a VMA and touches none of its ends.
    ///
    /// The VMA is shown to `count` before, its parts after.
    pub(crate) fn punch(
        &mut self,
        range: AddrRange,
        page_shift: u32,
        mut count: impl FnMut(&Vma, Moment),
    ) {
        let Some(key) = self.tree.get(range.start) else {
            return;
        };
        let below = self.vma_mut(key);
        debug_assert!(below.start < range.start && range.end < below.end);
        count(below, Moment::Before);
        let above = part_above(below, range.end, page_shift);
        below.end = range.start;
        count(below, Moment::After);
        count(&above, Moment::After);
        let upper = above.range();
        let above = self.keep(above);
        self.store(upper, above);
        if self.tree.clear(span_of(range)).is_err() {
            out_of_memory();
        }
    }

    /// Gives `range` to the VMA that contains `addr`, and makes `change` to it.
    ///
    /// `range` contains the VMA. Other VMAs wholly in `range` go; one that reaches out of it
    /// keeps what lies outside. Each VMA concerned is shown to `count` as it was before, and
    /// again, if it stays, as it is after.
    pub(crate) fn expand(
        &mut self,
        addr: u64,
        range: AddrRange,
        page_shift: u32,
        change: impl FnOnce(&mut Vma),
        mut count: impl FnMut(&Vma, Moment),
    ) {
        let Some(target) = self.tree.get(addr) else {
            return;
        };
        let mut at = range.start;
        while at < range.end
            && let Some((span, key)) = self.tree.find(at)
            && span.first < range.end
        {
            at = span.last + 1;
            count(self.vma(key), Moment::Before);
            if key == target {
                continue;
            }
            if range.start <= span.first && span.last < range.end {
                self.vmas.remove(key as usize);
                continue;
            }
            let rest = self.vma_mut(key);
            if span.first < range.start {
                rest.end = range.start;
            } else {
                rest.pgoff = rest.pgoff_at(range.end, page_shift);
                rest.start = range.end;
            }
            count(rest, Moment::After);
        }
        let vma = self.vma_mut(target);
        debug_assert!(range.start <= vma.start && vma.end <= range.end);
        (vma.start, vma.end) = (range.start, range.end);
        change(vma);
        count(vma, Moment::After);
        self.store(range, target);
    }

    /// Changes the VMA that contains `addr` without moving it.
    pub(crate) fn update(&mut self, addr: u64, change: impl FnOnce(&mut Vma)) {
        let Some(key) = self.tree.get(addr) else {
            return;
        };
        let vma = self.vma_mut(key);
        let range = vma.range();
        change(vma);
        debug_assert_eq!(range, vma.range());
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

    /// Room for a VMA.
    fn keep(&mut self, vma: Vma) -> u32 {
        match u32::try_from(self.vmas.insert(vma)) {
            Ok(key) => key,
            Err(_) => out_of_memory(),
        }
    }

    fn store(&mut self, range: AddrRange, key: u32) {
        if self.tree.store(span_of(range), key).is_err() {
            out_of_memory();
        }
    }
}

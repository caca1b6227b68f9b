//! The VMAs of one address space: the only file that knows where they are kept, a tree with a
//! lock for each VMA (`vmaple-locks`).
//!
//! Every change of the set is one of [`insert`](VmaTree::insert), [`clear`](VmaTree::clear),
//! [`cut`](VmaTree::cut), [`carve`](VmaTree::carve), [`punch`](VmaTree::punch),
//! [`expand`](VmaTree::expand) and [`update`](VmaTree::update). Each write-locks the VMAs that it
//! changes, and needs no more stores into the tree than VMAs begin or end by it. Where memory is
//! out, the set is as it was.

use crate::addr::AddrRange;
use crate::errno::Errno;
use crate::split::part_above;
use crate::vma::Vma;
use alloc::alloc::handle_alloc_error;
use core::alloc::Layout;
use core::fmt;
use core::ops::Range;
use vmaple_locks::{ChangeError, Environment, Fate, VmaRef, VmaWrite};

/// What the locks call the set.
pub(crate) type Locked<E> = vmaple_locks::VmaTree<Vma, E>;

/// VMAs in ascending order of address, none overlapping another.
pub(crate) struct VmaTree<E: Environment> {
    pub(crate) locked: Locked<E>,
}

/// Whether the call that frees addresses maps some of them again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Freed {
    ForGood,
    ToBeMapped,
}

/// Which moment of a change a VMA is shown at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Before,
    After,
}

impl<E: Environment> fmt::Debug for VmaTree<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What becomes of a VMA whose addresses are freed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cleared<'c> {
    Gone(&'c Vma),
    Trimmed(&'c Vma, Moment),
}

/// Leaves `vma` the part `rest`.
fn trim(vma: &mut Vma, rest: &Range<u64>, page_shift: u32) {
    vma.pgoff = vma.pgoff_at(rest.start, page_shift);
    (vma.start, vma.end) = (rest.start, rest.end);
}

fn addresses(range: AddrRange) -> Range<u64> {
    range.start..range.end
}

/// What a call answers when a change failed. All failures but a lack of memory are mistakes of
/// this crate: the callers have looked before.
fn errno_of(cause: &ChangeError) -> Errno {
    debug_assert_eq!(*cause, ChangeError::OutOfMemory);
    Errno::ENOMEM
}

impl<E: Environment> Clone for VmaTree<E> {
    /// Without memory it ends the program as any other clone does.
    fn clone(&self) -> Self {
        let mut copy = VmaTree {
            locked: Locked::new_in(self.locked.slab()),
        };
        for vma in self.iter() {
            if copy.insert(vma.clone()).is_err() {
                handle_alloc_error(Layout::new::<Vma>())
            }
        }
        copy.locked.end_write();
        copy
    }
}

impl<E: Environment> VmaTree<E> {
    pub(crate) fn new() -> Self {
        VmaTree {
            locked: Locked::new(),
        }
    }

    /// Number of VMAs.
    pub(crate) fn len(&self) -> usize {
        self.locked.len()
    }

    /// The VMA that contains `addr`, or the first one above it.
    pub(crate) fn find(&self, addr: u64) -> Option<&Vma> {
        self.locked.find(addr).map(VmaRef::get)
    }

    /// The VMA that contains `addr`.
    pub(crate) fn at(&self, addr: u64) -> Option<&Vma> {
        self.locked.at(addr).map(VmaRef::get)
    }

    /// The last VMA that ends at or below `addr`.
    pub(crate) fn prev(&self, addr: u64) -> Option<&Vma> {
        self.locked.prev(addr).map(VmaRef::get)
    }

    /// The VMA that ends exactly at `addr`.
    pub(crate) fn ending_at(&self, addr: u64) -> Option<&Vma> {
        self.at(addr.checked_sub(1)?).filter(|vma| vma.end == addr)
    }

    /// The VMA that starts exactly at `addr`.
    pub(crate) fn starting_at(&self, addr: u64) -> Option<&Vma> {
        self.at(addr).filter(|vma| vma.start == addr)
    }

    /// The VMAs that touch a free range below and above.
    pub(crate) fn neighbours(&self, range: AddrRange) -> (Option<&Vma>, Option<&Vma>) {
        let Err(gap) = self.locked.place_at(range.start) else {
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
        let vma = self.locked.find_intersection(addresses(range));
        vma.map(VmaRef::get)
    }

    /// All VMAs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Vma> {
        self.locked.iter().map(VmaRef::get)
    }

    /// The VMAs that overlap `range`, in ascending order.
    pub(crate) fn overlapping(&self, range: AddrRange) -> impl Iterator<Item = &Vma> {
        self.locked.overlapping(addresses(range)).map(VmaRef::get)
    }

    /// Puts in a VMA; its range must be free.
    pub(crate) fn insert(&mut self, vma: Vma) -> Result<(), Errno> {
        match self.locked.insert(vma.start..vma.end, vma) {
            Ok(_) => Ok(()),
            Err(error) => Err(errno_of(&error.cause)),
        }
    }

    /// Frees `range`. VMAs wholly in it go; one that reaches out of it on one side keeps that.
    pub(crate) fn clear(
        &mut self,
        range: AddrRange,
        page_shift: u32,
        freed: Freed,
        mut change: impl FnMut(Cleared<'_>),
    ) -> Result<(), Errno> {
        let fate = |fate: Fate<'_, Vma>| match fate {
            Fate::Gone(_, vma) => change(Cleared::Gone(&vma)),
            Fate::Trimmed(_, rest, vma) => {
                change(Cleared::Trimmed(vma, Moment::Before));
                trim(vma, &rest, page_shift);
                change(Cleared::Trimmed(vma, Moment::After));
            }
        };
        self.free(range, freed, fate)
    }

    fn free(
        &mut self,
        range: AddrRange,
        freed: Freed,
        fate: impl FnMut(Fate<'_, Vma>),
    ) -> Result<(), Errno> {
        let outcome = match freed {
            Freed::ForGood => self.locked.clear_for_good(addresses(range), fate),
            Freed::ToBeMapped => self.locked.clear(addresses(range), fate),
        };
        outcome.map_err(|cause| errno_of(&cause))
    }

    /// Makes sure that the next `nr` changes within `range` cannot fail for want of memory.
    pub(crate) fn reserve(&mut self, range: AddrRange, nr: usize) -> Result<(), Errno> {
        let outcome = self.locked.reserve_over(addresses(range), nr);
        outcome.map_err(|cause| errno_of(&cause))
    }

    /// Cuts the VMA that contains `addr`, not as its first address, in two there.
    pub(crate) fn cut(&mut self, addr: u64, page_shift: u32) -> Result<(), Errno> {
        let Some(below) = self.at(addr) else {
            return Ok(());
        };
        let (start, above) = (below.start, part_above(below, addr, page_shift));
        match self.locked.split(addr, above) {
            Ok(_) => {}
            Err(error) => return Err(errno_of(&error.cause)),
        }
        if let Some(mut below) = self.locked.write_lock(start) {
            below.end = addr;
        }
        Ok(())
    }

    /// Makes `range`, part of one VMA, a VMA of its own, and makes `change` to that. What lies
    /// below and above keeps the old properties. The new VMA is shown to `count` before the change
    /// and after.
    pub(crate) fn carve(
        &mut self,
        range: AddrRange,
        page_shift: u32,
        change: impl FnOnce(&mut Vma),
        mut count: impl FnMut(&Vma, Moment),
    ) -> Result<(), Errno> {
        let Some(old) = self.at(range.start) else {
            return Ok(());
        };
        let whole = old.range();
        debug_assert!(whole.start <= range.start && range.end <= whole.end);
        let cuts = usize::from(whole.start < range.start) + usize::from(range.end < whole.end);
        if cuts == 2 {
            self.reserve(range, cuts)?;
        }
        if range.end < whole.end {
            self.cut(range.end, page_shift)?;
        }
        if whole.start < range.start {
            self.cut(range.start, page_shift)?;
        }
        if let Some(mut middle) = self.locked.write_lock(range.start) {
            count(&middle, Moment::Before);
            change(&mut middle);
            count(&middle, Moment::After);
        }
        Ok(())
    }

    /// Frees `range`, which lies inside a VMA and touches none of its ends. `count` is shown a VMA
    /// that ends with the range before, and what is left of it after.
    pub(crate) fn punch(
        &mut self,
        range: AddrRange,
        page_shift: u32,
        freed: Freed,
        mut count: impl FnMut(&Vma, Moment),
    ) -> Result<(), Errno> {
        self.reserve(range, 2)?;
        self.cut(range.end, page_shift)?;
        let trimmed = |fate: Fate<'_, Vma>| {
            if let Fate::Trimmed(_, rest, vma) = fate {
                count(vma, Moment::Before);
                vma.end = rest.end;
                count(vma, Moment::After);
            }
        };
        self.free(range, freed, trimmed)
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
    ) -> Result<(), Errno> {
        let fate = |fate: Fate<'_, Vma>| match fate {
            Fate::Gone(_, vma) => count(&vma, Moment::Before),
            Fate::Trimmed(_, rest, vma) => {
                count(vma, Moment::Before);
                trim(vma, &rest, page_shift);
                count(vma, Moment::After);
            }
        };
        let target = self.locked.expand(addr, addresses(range), fate);
        let mut vma: VmaWrite<'_, Vma> = target.map_err(|cause| errno_of(&cause))?;
        count(&vma, Moment::Before);
        (vma.start, vma.end) = (range.start, range.end);
        change(&mut vma);
        count(&vma, Moment::After);
        Ok(())
    }

    /// Changes the VMA that contains `addr` without moving it.
    pub(crate) fn update(&mut self, addr: u64, change: impl FnOnce(&mut Vma)) {
        let Some(mut vma) = self.locked.write_lock(addr) else {
            return;
        };
        let range = vma.range();
        change(&mut vma);
        debug_assert_eq!((range.start, range.end), (vma.start, vma.end));
    }

    /// A copy of the set: `copy` makes the other's VMA, or leaves it out.
    pub(crate) fn duplicate(
        &mut self,
        mut copy: impl FnMut(&Vma) -> Option<Vma>,
    ) -> Result<Self, Errno> {
        let locked = self.locked.duplicate(|vma| copy(vma.get()));
        Ok(VmaTree {
            locked: locked.map_err(|cause| errno_of(&cause))?,
        })
    }

    /// The highest address of a free range of `len` bytes within `low..high`.
    pub(crate) fn highest_gap(&self, low: u64, high: u64, len: u64) -> Option<u64> {
        self.locked.highest_gap(len, 1, low..high)
    }

    /// The lowest address of a free range of `len` bytes within `low..high`.
    pub(crate) fn lowest_gap(&self, low: u64, high: u64, len: u64) -> Option<u64> {
        self.locked.lowest_gap(len, 1, low..high)
    }
}

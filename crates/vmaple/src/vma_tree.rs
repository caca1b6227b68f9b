//! The VMAs of one address space: the only file that knows where they are kept, a tree with a
//! lock for each VMA (`vmaple-locks`).
//!
//! Every change of the set is one of [`insert`](VmaTree::insert), [`clear`](VmaTree::clear),
//! [`cut`](VmaTree::cut), [`carve`](VmaTree::carve), [`unmap`](VmaTree::unmap),
//! [`expand`](VmaTree::expand) and [`update`](VmaTree::update). Each write-locks the VMAs that it
//! changes, and needs no more stores into the tree than VMAs begin or end by it. Where memory is
//! out, the set is as it was.

use crate::addr::AddrRange;
use crate::errno::Errno;
use crate::flags::VmFlags;
use crate::plain::PlainVma;
use crate::split::{part, part_above};
use crate::vma::Vma;
use alloc::alloc::handle_alloc_error;
use core::alloc::Layout;
use core::fmt;
use core::ops::Range;
use vmaple_locks::{ChangeError, Environment, Fate, VmaRef, VmaWrite};

/// What the locks call the set.
pub(crate) type Locked<E> = vmaple_locks::VmaTree<Vma, E>;

/// A VMA or free addresses, and what touches that.
pub(crate) type Place<'t, E> = vmaple_locks::Place<'t, Vma, E>;

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

impl<E: Environment> fmt::Debug for VmaTree<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Addresses at which nothing is mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreeRange {
    range: AddrRange,
    /// Whether a VMA may end where it begins.
    may_touch_below: bool,
    /// Whether a VMA may begin where it ends.
    may_touch_above: bool,
}

impl FreeRange {
    /// Whether no VMA ends where it begins, nor begins where it ends.
    #[inline]
    pub(crate) const fn touches_nothing(&self) -> bool {
        let touches_below = self.may_touch_below && !cfg!(planted = "neighbour_unasked");
        !touches_below && !self.may_touch_above
    }
}

/// What becomes of a VMA whose addresses are freed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cleared<'c> {
    Gone(&'c Vma),
    Trimmed(Gain),
    Punched(Gain),
}

impl<'c> Cleared<'c> {
    fn of(fate: Fate<'c, Vma>, page_shift: u32) -> Self {
        match fate {
            Fate::Gone(_, vma) => Cleared::Gone(vma),
            Fate::Trimmed(_, rest, vma) => Cleared::Trimmed(trim(vma, &rest, page_shift)),
            Fate::Punched(hole, below) => {
                below.end = hole.start;
                let bytes = (hole.start.cast_signed()).wrapping_sub(hole.end.cast_signed());
                let flags = below.flags;
                Cleared::Punched(Gain { flags, bytes })
            }
        }
    }
}

/// How many bytes more there are with some flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gain {
    pub(crate) flags: VmFlags,
    pub(crate) bytes: i64,
}

impl Gain {
    /// None of what `vma` has is there any more.
    pub(crate) fn loss_of(vma: &Vma) -> Gain {
        Gain {
            flags: vma.flags,
            bytes: -all_of(vma),
        }
    }
}

/// All that `vma` has.
fn all_of(vma: &Vma) -> i64 {
    vma.len().cast_signed()
}

/// Leaves `vma` the part `rest`; what it has more then.
fn trim(vma: &mut Vma, rest: &Range<u64>, page_shift: u32) -> Gain {
    let before = all_of(vma);
    vma.pgoff = vma.pgoff_at(rest.start, page_shift);
    (vma.start, vma.end) = (rest.start, rest.end);
    Gain {
        flags: vma.flags,
        bytes: all_of(vma) - before,
    }
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
            locked: Locked::new_in(self.locked.slab()).publishing(PlainVma::to_word),
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
            locked: Locked::new().publishing(PlainVma::to_word),
        }
    }

    /// Says that what is around `addr` is looked at and changed next, which is quick then.
    #[inline]
    pub(crate) fn seek(&mut self, addr: u64) {
        self.locked.seek(addr);
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
    pub(crate) fn neighbours(&self, free: &FreeRange) -> (Option<&Vma>, Option<&Vma>) {
        let FreeRange {
            range,
            may_touch_below,
            may_touch_above,
        } = *free;
        let below = may_touch_below.then(|| self.ending_at(range.start));
        let above = may_touch_above.then(|| self.starting_at(range.end));
        (below.flatten(), above.flatten())
    }

    /// What is at `addr`, from where the VMAs that touch it are near.
    #[inline(always)]
    pub(crate) fn place(&self, addr: u64) -> Place<'_, E> {
        self.locked.place_at(addr)
    }

    /// The range as a free one; none if there is something in it.
    #[inline(always)]
    pub(crate) fn free(&self, range: AddrRange) -> Option<FreeRange> {
        let place = self.place(range.start);
        if place.vma().is_some() {
            return None;
        }
        let gap = place.range();
        let is_free = gap.end >= range.end || self.first_in(range).is_none();
        is_free.then_some(FreeRange {
            range,
            may_touch_below: gap.start == range.start,
            may_touch_above: gap.end <= range.end,
        })
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
    #[inline]
    pub(crate) fn insert(&mut self, vma: Vma) -> Result<(), Errno> {
        match self.locked.insert_with(vma.start..vma.end, || vma) {
            Ok(_) => Ok(()),
            Err(cause) => Err(errno_of(&cause)),
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
        let fate = |fate: Fate<'_, Vma>| change(Cleared::of(fate, page_shift));
        let outcome = match freed {
            Freed::ForGood => self.locked.clear_for_good(addresses(range), fate),
            Freed::ToBeMapped => self.locked.clear(addresses(range), fate),
        };
        outcome.map_err(|cause| errno_of(&cause))
    }

    /// Frees `range`, wherever it lies, if `ask` agrees to that for every VMA in it. Answers
    /// whether it did.
    #[inline]
    pub(crate) fn unmap(
        &mut self,
        range: AddrRange,
        page_shift: u32,
        freed: Freed,
        mut ask: impl FnMut(&Vma) -> bool,
        mut change: impl FnMut(Cleared<'_>),
    ) -> Result<bool, Errno> {
        let ask = |vma: VmaRef<'_, Vma>| ask(vma.get());
        let above = |old: &Vma| part_above(old, range.end, page_shift);
        let fate = |fate: Fate<'_, Vma>| change(Cleared::of(fate, page_shift));
        let outcome = match freed {
            Freed::ForGood => self
                .locked
                .unmap_for_good(addresses(range), ask, above, fate),
            Freed::ToBeMapped => self.locked.unmap(addresses(range), ask, above, fate),
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
        let above = part_above(below, addr, page_shift);
        match self.locked.split(addr, above) {
            Ok(mut below) => below.end = addr,
            Err(error) => return Err(errno_of(&error.cause)),
        }
        Ok(())
    }

    /// Makes `range`, part of the VMA `whole`, a VMA of its own, and makes `change` to that, in one step.
    /// What lies below and above keeps the old properties.
    #[inline]
    pub(crate) fn carve(
        &mut self,
        whole: AddrRange,
        range: AddrRange,
        page_shift: u32,
        change: impl FnOnce(&mut Vma),
    ) -> Result<(), Errno> {
        debug_assert!(whole.start <= range.start && range.end <= whole.end);
        if range.start == whole.start {
            if range.end < whole.end {
                self.cut(range.end, page_shift)?;
            }
            if let Some(mut middle) = self.locked.write_lock(range.start) {
                change(&mut middle);
            }
            return Ok(());
        }
        let make_middle = |old: &Vma| {
            let mut middle = part(old, range, page_shift);
            change(&mut middle);
            middle
        };
        let carved = if range.end == whole.end {
            let Some(old) = self.at(range.start) else {
                return Ok(());
            };
            let middle = make_middle(old);
            let carved = self.locked.split(range.start, middle);
            carved.map_err(|error| error.cause)
        } else {
            let above = |old: &Vma| part_above(old, range.end, page_shift);
            self.locked.carve(addresses(range), make_middle, above)
        };
        carved.map_err(|cause| errno_of(&cause))?.end = range.start;
        Ok(())
    }

    /// Gives `range` to the VMA that contains `addr`, and makes `change` to it.
    ///
    /// `range` contains the VMA. Other VMAs wholly in `range` go; one that reaches out of it
    /// keeps what lies outside. `change` sees the range that it had.
    #[inline]
    pub(crate) fn expand(
        &mut self,
        addr: u64,
        range: AddrRange,
        page_shift: u32,
        change: impl FnOnce(&mut Vma),
    ) -> Result<(), Errno> {
        let fate = |fate: Fate<'_, Vma>| {
            Cleared::of(fate, page_shift);
        };
        let target = self.locked.expand(addr, addresses(range), fate);
        let mut target: VmaWrite<'_, Vma> = target.map_err(|cause| errno_of(&cause))?;
        let vma = &mut *target;
        change(vma);
        (vma.start, vma.end) = (range.start, range.end);
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

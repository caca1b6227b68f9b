//! Changes of the set of VMAs. Each is one store into the index, so that readers beside it see it
//! whole: addresses that stay mapped are mapped at every moment.
//!
//! The steps are always the same: write-lock all that is concerned (waits for readers), store into
//! the index (may fail; then nothing has changed but locks), change ranges, detach what is gone.
//!
//! # Safety
//!
//! As in the parent module; slots in the index may be written because `&mut self` and their write
//! locks are held, slots out of it because they are detached and owned here.
#![expect(
    unsafe_code,
    reason = "fills, moves and empties slots under their locks"
)]

use super::{VmaTree, span_of};
use crate::env::Environment;
use crate::level;
use crate::lockdep;
use crate::sequence::Section;
use crate::slot::{Handle, VmaSlot};
use crate::views::{VmaRef, VmaWrite, addresses};
use core::fmt;
use core::ops::{ControlFlow, Range};
use maple_tree::{AllocError, Span, WriteError};
use vmaple_sync::atomic::Ordering;
use vmaple_sync::planted;

/// Why the VMAs are as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeError {
    /// There is no memory for a VMA or for the index.
    OutOfMemory,
    /// The range holds no address.
    EmptyRange,
    /// There is no VMA at this address.
    NotMapped(u64),
    /// The range is not free: the first VMA in it has this range.
    Occupied(Range<u64>),
    /// The range is in the middle of the VMA of this range, which must be split first.
    WouldSplit(Range<u64>),
    /// The VMA of this range does not lie within what was asked for, or does not begin before it.
    OutOfRange(Range<u64>),
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of memory; the VMAs are unchanged"),
            Self::EmptyRange => f.write_str("the range holds no address"),
            Self::NotMapped(addr) => write!(f, "no VMA at {addr:#x}"),
            Self::Occupied(vma) => write!(f, "a VMA is at {vma:#x?}"),
            Self::WouldSplit(vma) => write!(f, "the VMA at {vma:#x?} must be split first"),
            Self::OutOfRange(vma) => write!(f, "the VMA at {vma:#x?} does not fit the request"),
        }
    }
}

impl core::error::Error for ChangeError {}

impl From<AllocError> for ChangeError {
    fn from(_: AllocError) -> Self {
        Self::OutOfMemory
    }
}

impl From<WriteError> for ChangeError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Occupied(span) => Self::Occupied(addresses(span)),
            _ => Self::OutOfMemory,
        }
    }
}

/// A value that was not put in comes back.
#[derive(Clone, PartialEq, Eq)]
pub struct InsertError<V> {
    /// What was to be put in.
    pub value: V,
    /// Why it was not.
    pub cause: ChangeError,
}

impl<V> fmt::Debug for InsertError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InsertError").field(&self.cause).finish()
    }
}

impl<V> fmt::Display for InsertError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<V> core::error::Error for InsertError<V> {}

/// What becomes of a VMA that another one, or nothing, takes addresses from.
#[derive(Debug)]
pub enum Fate<'c, V> {
    /// It had these addresses, and is gone; its value is dropped next.
    Gone(Range<u64>, &'c mut V),
    /// It had the first, and keeps the second. It is write-locked.
    Trimmed(Range<u64>, Range<u64>, &'c mut V),
    /// These addresses were in the middle of it, and are free; it keeps what lies below them, and
    /// a new VMA has what lies above. Both are write-locked.
    Punched(Range<u64>, &'c mut V),
}

/// What a store into the index will do to the VMAs it meets, but for those that it covers.
pub(super) struct Met<V> {
    /// The one that takes the range, and lies in it.
    taker: Option<Handle<V>>,
    /// Reaches out of the range below, and keeps that.
    below: Option<Trimmed<V>>,
    /// Reaches out of the range above, and keeps that.
    above: Option<Trimmed<V>>,
}

impl<V> Met<V> {
    pub(super) const NONE: Self = Self {
        taker: None,
        below: None,
        above: None,
    };
}

/// Why a store is not made.
enum Refused {
    Memory,
    /// This range would be split.
    Split(Span),
    /// The one that is to take the range reaches out of it.
    Taker(Span),
}

impl From<Refused> for ChangeError {
    #[cold]
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Memory => Self::OutOfMemory,
            Refused::Split(was) => Self::WouldSplit(addresses(was)),
            Refused::Taker(was) => Self::OutOfRange(addresses(was)),
        }
    }
}

/// A VMA that keeps part of its range.
pub(super) struct Trimmed<V> {
    pub(super) handle: Handle<V>,
    pub(super) was: Span,
    pub(super) is: Span,
}

/// A detached slot, whose value goes with this.
struct Discarded<'s, V>(&'s VmaSlot<V>);

impl<V> Drop for Discarded<'_, V> {
    fn drop(&mut self) {
        // SAFETY: Made for a slot that is detached and has a value.
        unsafe { self.0.clear() };
    }
}

impl<V, E: Environment> VmaTree<V, E> {
    /// The slot of a handle of this tree.
    pub(super) fn slot<'s>(handle: Handle<V>) -> &'s VmaSlot<V> {
        // SAFETY: 3; used by methods of the tree only, while it exists.
        unsafe { handle.slot() }
    }

    /// Fills a slot and attaches it, write-locked.
    #[inline]
    pub(super) fn attach(
        &mut self,
        section: Section,
        span: Span,
        value: V,
    ) -> Result<Handle<V>, InsertError<V>> {
        let handle = match self.take_slot() {
            Ok(handle) => handle,
            Err(cause) => return Err(InsertError { value, cause }),
        };
        self.attach_to(handle, section, span, || value);
        Ok(handle)
    }

    /// Fills a slot that was taken, with a value that is made in it, and attaches it, write-locked.
    #[inline]
    pub(super) fn attach_to(
        &mut self,
        handle: Handle<V>,
        section: Section,
        span: Span,
        value: impl FnOnce() -> V,
    ) {
        let slot = Self::slot(handle);
        // SAFETY: A free slot, owned by this tree.
        unsafe { slot.fill(self.shared.id(), span, self.facts, value) };
        slot.attach(section);
        self.len += 1;
    }

    /// Detaches a slot that is not in the index, frees it, and hands its content out.
    pub(super) fn detach(&mut self, section: Section, handle: Handle<V>) -> (Span, V) {
        let slot = Self::slot(handle);
        slot.detach::<E::Wait>(section);
        self.len -= 1;
        // SAFETY: Detached, and attached with a value before.
        let content = unsafe { slot.take() };
        self.free_slot(handle);
        content
    }

    /// Detaches a slot that is not in the index, shows its content to `gone`, drops it, and frees
    /// the slot. Should `gone` panic, the slot is not used again.
    #[inline]
    pub(super) fn discard(
        &mut self,
        section: Section,
        handle: Handle<V>,
        gone: impl FnOnce(Span, &mut V),
    ) {
        let slot = Self::slot(handle);
        slot.detach::<E::Wait>(section);
        self.len -= 1;
        let last_words = Discarded(slot);
        // SAFETY: Detached, hence this tree's alone, and attached with a value before.
        gone(slot.span(), unsafe { slot.value_mut() });
        drop(last_words);
        self.free_slot(handle);
    }

    /// Puts in a VMA over whatever is there, in one step. What it displaces is told to `fate`;
    /// a VMA that reaches out of the range on one side keeps that.
    ///
    /// # Errors
    ///
    /// For an empty range, one in the middle of a VMA, or without memory.
    #[doc(alias = "MAP_FIXED")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn insert_over(
        &mut self,
        range: Range<u64>,
        value: V,
        fate: impl FnMut(Fate<'_, V>),
    ) -> Result<VmaWrite<'_, V>, InsertError<V>> {
        let Some(span) = span_of(&range) else {
            let cause = ChangeError::EmptyRange;
            return Err(InsertError { value, cause });
        };
        let section = self.shared.seq.begin();
        let mut met = Met::NONE;
        if let Err(cause) = self.meet(section, span, None, &mut met) {
            return Err(InsertError { value, cause });
        }
        let slot: *const VmaSlot<V> = match self.store_new(span, value, |index, handle| {
            index.store(span, handle).map_err(|error| error.cause)
        }) {
            Ok(stored) => stored.slot(),
            Err(error) => return Err(error),
        };
        self.settle(section, met, fate);
        // SAFETY: A slot of this tree: 3.
        let slot = unsafe { &*slot };
        // SAFETY: Attached by `store_new`, and write-locked; borrowed by `&mut`.
        Ok(unsafe { VmaWrite::new(slot, self.facts) })
    }

    /// Gives `range` to the VMA at `addr`, which lies within it, in one step. VMAs wholly in the
    /// range go, one that reaches out of it keeps what lies outside; `fate` is told.
    ///
    /// # Errors
    ///
    /// If there is no VMA at `addr`, or it does not lie within the range, or without memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::{Fate, VmaTree};
    ///
    /// let mut tree: VmaTree<&str> = VmaTree::new();
    /// tree.insert(0x1000..0x2000, "a").expect("free");
    /// tree.insert(0x2000..0x3000, "b").expect("free");
    /// tree.insert(0x3000..0x5000, "c").expect("free");
    /// let mut gone = Vec::new();
    /// tree.expand(0x1000, 0x1000..0x4000, |fate| {
    ///     if let Fate::Gone(range, value) = fate {
    ///         gone.push((range, *value));
    ///     }
    /// })
    /// .expect("memory");
    /// assert_eq!(gone, [(0x2000..0x3000, "b")]);
    /// assert_eq!(tree.at(0x4fff).expect("kept").range(), 0x4000..0x5000);
    /// # }
    /// ```
    #[doc(alias = "vma_expand")]
    #[doc(alias = "commit_merge")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn expand(
        &mut self,
        addr: u64,
        range: Range<u64>,
        fate: impl FnMut(Fate<'_, V>),
    ) -> Result<VmaWrite<'_, V>, ChangeError> {
        let span = span_of(&range).ok_or(ChangeError::EmptyRange)?;
        let section = self.shared.seq.begin();
        let mut met = Met::NONE;
        self.meet(section, span, Some(addr), &mut met)?;
        let Some(handle) = met.taker else {
            return Err(match self.at(addr) {
                Some(vma) => ChangeError::OutOfRange(vma.range()),
                None => ChangeError::NotMapped(addr),
            });
        };
        let slot = Self::slot(handle);
        self.index
            .store(span, handle)
            .map_err(|error| error.cause)?;
        slot.set_span(span);
        self.settle(section, met, fate);
        // SAFETY: Attached to this tree, borrowed by `&mut`, and write-locked.
        Ok(unsafe { VmaWrite::new(slot, self.facts) })
    }

    /// Cuts the VMA that contains `addr`, not as its first address, in two there: what lies below
    /// stays in it, what lies above becomes a VMA with the value `upper`. Both are write-locked;
    /// hands out the lower one.
    ///
    /// A hole, or a VMA, in the middle is made by [`punch`](Self::punch) and
    /// [`carve`](Self::carve).
    ///
    /// # Errors
    ///
    /// If no VMA contains `addr` and an address below it, or without memory.
    #[doc(alias = "__split_vma")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn split(&mut self, addr: u64, upper: V) -> Result<VmaWrite<'_, V>, InsertError<V>> {
        let section = self.shared.seq.begin();
        self.index.seek(addr);
        let (was, slot) = match self.at(addr) {
            Some(lower) if lower.range().start < addr => (lower.range(), Handle::of(lower.slot())),
            other => {
                let cause = other.map_or(ChangeError::NotMapped(addr), |vma| {
                    ChangeError::OutOfRange(vma.range())
                });
                let value = upper;
                return Err(InsertError { value, cause });
            }
        };
        let slot = Self::slot(slot);
        self.write_lock_slot(section, slot);
        let above = Span::new(addr, was.end - 1);
        self.store_new(above, upper, |index, handle| {
            index.store(above, handle).map_err(|error| error.cause)
        })?;
        slot.set_span(Span::new(was.start, addr - 1));
        // SAFETY: Attached to this tree, borrowed by `&mut`, and write-locked.
        Ok(unsafe { VmaWrite::new(slot, self.facts) })
    }

    /// Takes the VMA that contains `addr` out and hands it over.
    ///
    /// # Errors
    ///
    /// Without memory.
    #[doc(alias = "vma_mark_detached")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn remove(&mut self, addr: u64) -> Result<Option<(Range<u64>, V)>, ChangeError> {
        let _: Section = self.shared.replacing.begin();
        let section = self.shared.seq.begin();
        self.index.seek(addr);
        let Some(vma) = self.at(addr) else {
            return Ok(None);
        };
        let handle = Handle::of(vma.slot());
        self.write_lock_slot(section, Self::slot(handle));
        self.index.erase(addr)?;
        let (span, value) = self.detach(section, handle);
        Ok(Some((addresses(span), value)))
    }

    /// A copy of the set for a child address space, in the same slab. Every VMA is write-locked
    /// first: a fault beside this would change what is copied. `copy` makes the child's value, or
    /// leaves the VMA out. O(n log n).
    ///
    /// # Errors
    ///
    /// Without memory; there is no child.
    #[doc(alias = "dup_mmap")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn duplicate(
        &mut self,
        mut copy: impl FnMut(VmaRef<'_, V>) -> Option<V>,
    ) -> Result<Self, ChangeError> {
        let section = self.shared.seq.begin();
        let mut child = Self::try_new_in(&self.shared.slab)?.publishing(self.facts);
        for vma in self.iter() {
            if !planted!("fork_without_locks") {
                self.write_lock_slot(section, vma.slot());
            }
            if let Some(value) = copy(vma) {
                child
                    .insert(vma.range(), value)
                    .map_err(|error| error.cause)?;
            }
        }
        child.end_write();
        Ok(child)
    }

    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(super) fn write_lock_slot(&self, section: Section, slot: &VmaSlot<V>) {
        lockdep::about_to_wait::<level::VmaWrite>(slot.lock().place());
        // Without a canceller there is no error.
        let _ = slot.start_write::<E::Readers, E::Wait>(section, None);
    }

    /// Write-locks every VMA that meets `span`, and notes in `self.met` and in `met` what a
    /// store there will do to them. The one at `taker` is to take the range.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(super) fn meet(
        &mut self,
        section: Section,
        span: Span,
        taker: Option<u64>,
        met: &mut Met<V>,
    ) -> Result<(), ChangeError> {
        if self.nr_covered > 0 {
            self.detach_left(section);
        }
        self.met.clear();
        self.index.seek(span.first);
        let all_met = &mut self.met;
        let mut refused = None;
        // The refusal is large, and what decides whether to go on is to be small.
        let _: ControlFlow<()> = self.index.near().try_for_each(span, |was, slot| {
            let handle = Handle::of(slot);
            let is_taker = taker.is_some_and(|addr| was.contains(addr));
            if was.first >= span.first && was.last <= span.last {
                if is_taker {
                    met.taker = Some(handle);
                } else if all_met.try_reserve(1).is_ok() {
                    all_met.push(handle);
                } else {
                    refused = Some(Refused::Memory);
                }
            } else if is_taker {
                refused = Some(Refused::Taker(was));
            } else if was.first >= span.first {
                let is = Span::new(span.last + 1, was.last);
                met.above = Some(Trimmed { handle, was, is });
            } else if was.last <= span.last {
                let is = Span::new(was.first, span.first - 1);
                met.below = Some(Trimmed { handle, was, is });
            } else {
                refused = Some(Refused::Split(was));
            }
            if refused.is_some() {
                return ControlFlow::Break(());
            }
            lockdep::about_to_wait::<level::VmaWrite>(slot.lock().place());
            // Without a canceller there is no error.
            let _ = slot.start_write::<E::Readers, E::Wait>(section, None);
            ControlFlow::Continue(())
        });
        match refused {
            None => Ok(()),
            Some(refused) => Err(refused.into()),
        }
    }

    /// Moves the ends of a VMA that has lost part of its range to a store, and is write-locked.
    pub(super) fn trim(&self, trimmed: &Trimmed<V>, fate: &mut impl FnMut(Fate<'_, V>)) {
        let Trimmed { handle, was, is } = *trimmed;
        let slot = Self::slot(handle);
        slot.set_span(is);
        // SAFETY: Attached to the tree, borrowed by `&mut` by the caller, and write-locked.
        let mut vma = unsafe { VmaWrite::new(slot, self.facts) };
        fate(Fate::Trimmed(addresses(was), addresses(is), &mut vma));
    }

    /// After the store: moves the ends of those that were trimmed, detaches those covered.
    pub(super) fn settle(
        &mut self,
        section: Section,
        met: Met<V>,
        mut fate: impl FnMut(Fate<'_, V>),
    ) {
        self.nr_covered = self.met.len();
        if let Some(below) = met.below {
            self.trim(&below, &mut fate);
        }
        if let Some(above) = met.above {
            self.trim(&above, &mut fate);
        }
        self.detach_covered(section, |span, value| {
            fate(Fate::Gone(addresses(span), value));
        });
    }

    /// Detaches what a store has taken out of the index. Should `gone` panic, the rest is for the
    /// next change, or for the tree's drop.
    fn detach_covered(&mut self, section: Section, mut gone: impl FnMut(Span, &mut V)) {
        while let Some(last) = self.nr_covered.checked_sub(1) {
            self.nr_covered = last;
            self.discard(section, self.met[last], &mut gone);
        }
    }

    /// Detaches what an earlier change has taken out of the index and left.
    #[cold]
    fn detach_left(&mut self, section: Section) {
        for &handle in &self.met[..self.nr_covered] {
            // Its section may be over.
            self.write_lock_slot(section, Self::slot(handle));
        }
        self.detach_covered(section, |_, _| ());
    }
}

impl<V, E: Environment> Drop for VmaTree<V, E> {
    /// Waits for readers, VMA by VMA.
    #[doc(alias = "exit_mmap")]
    fn drop(&mut self) {
        let section = self.shared.seq.begin();
        // Relaxed: readers ask until they see it.
        self.shared.is_closed.store(true, Ordering::Relaxed);
        let slots = self.index.reader().iter().map(|(_, slot)| slot);
        for slot in slots {
            self.write_lock_slot(section, slot);
            slot.detach::<E::Wait>(section);
            // SAFETY: Detached, and attached with a value before.
            let content = unsafe { slot.take() };
            // SAFETY: From this slab, and nobody's any more.
            unsafe { self.shared.slab.give_back([Handle::of(slot)].into_iter()) };
            drop(content);
        }
        self.detach_left(section);
        // SAFETY: From this slab, and owned by this tree alone.
        unsafe { self.shared.slab.give_back(self.store.drain(..)) };
    }
}

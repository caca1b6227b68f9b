//! The VMAs of one address space, as the holder of `mmap_lock` sees them.
//!
//! The tree's index holds handles of slots; the VMAs are in the slots. Whoever has `&VmaTree`
//! reads, whoever has `&mut VmaTree` changes (in `changes.rs`), and [`VmaReaders`] look VMAs up
//! beside them.
//!
//! # Safety
//!
//! 1. The slots that the index holds are attached to this tree, and have a value: `changes.rs`
//!    keeps it so at the end of each call.
//! 2. Only this tree's `&mut` methods change, attach or detach its slots.
//! 3. The slab exists as long as the tree: `shared` has a part in it.
#![expect(
    unsafe_code,
    reason = "lends attached slots by the borrow of their tree"
)]

mod ahead;
mod carve;
mod changes;
mod clear;
mod insert;
mod place;
mod validate;

pub use changes::{ChangeError, Fate, InsertError};
pub use place::Place;
pub use validate::Broken;

use crate::cancel::{Cancel, Cancelled};
use crate::env::Environment;
#[cfg(feature = "std")]
use crate::env::Host;
use crate::events::{Counters, Events};
use crate::level::{self, Before, Held};
use crate::lockdep;
use crate::readers::{TooManyReaders, VmaReaders};
use crate::sequence::{MmSeq, Section};
use crate::slab::Slab;
use crate::slot::{Handle, TreeId, VmaSlot};
use crate::views::{VmaRead, VmaRef, VmaWrite};
use crate::vma_lock::Visit;
use alloc::alloc::{Layout, handle_alloc_error};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;
use core::ops::{Deref, Range};
use maple_tree::{MapleTree, Span, TreeWriter};
use vmaple_sync::atomic::{AtomicBool, Ordering};
use vmaple_sync::joint::Joint;

/// On cache lines of its own: what every section writes takes nothing else from readers.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct OwnLine<T>(pub(crate) T);

impl<T> Deref for OwnLine<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a tree and its readers share.
pub(crate) struct Shared<V, E: Environment> {
    pub(crate) seq: OwnLine<MmSeq>,
    pub(crate) counters: OwnLine<Counters>,
    /// Odd from where a section has freed addresses that it may map again to its end: what is
    /// free meanwhile may never have been so between two sections.
    pub(crate) replacing: MmSeq,
    /// Set when the tree goes; readers that still walk its index find nothing.
    is_closed: AtomicBool,
    /// Keeps the slots.
    slab: Slab<V, E::Wait>,
}

impl<V, E: Environment> Shared<V, E> {
    /// The name of the tree: its address, which nothing else has while this exists.
    #[inline]
    pub(crate) fn id(&self) -> TreeId {
        TreeId(
            NonZeroUsize::new(core::ptr::from_ref(self).addr()).expect("a reference is not null"),
        )
    }

    #[cold]
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: asked again and again by one who waits for it.
        self.is_closed.load(Ordering::Relaxed)
    }
}

/// The VMAs of an address space: ranges of addresses with a value each, locked one by one.
///
/// There is one of it, and it is the right to change the VMAs: `&mut` stands for `mmap_lock` held
/// for writing, `&` for holding it at all. Keep it in the state of a [`MmapLock`], and give
/// [`VmaReaders`] to those who look VMAs up without that lock.
///
/// A change takes the write locks that it needs, which wait for readers, and they last until the
/// *write section* ends: [`MmapLock`] begins and ends it; a tree outside of one begins it by
/// itself, and ends it by [`end_write`](Self::end_write). VMAs that a section has touched cannot
/// be looked up until it ends, so that readers see none of its steps.
///
/// Addresses are in bytes, ranges `start..end`. Complexity: O(log n) each, if nothing else is said.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "std")] {
/// use vmaple_locks::{Held, Lookup, VmaTree};
///
/// let mut tree: VmaTree<&str> = VmaTree::new();
/// tree.insert(0x1000..0x3000, "text").expect("free");
/// tree.end_write();
///
/// let readers = tree.readers();
/// let mut held = Held::nothing();
/// let Lookup::Locked(vma) = readers.lock_vma_under_rcu(&mut held, 0x2fff) else {
///     panic!("mapped, and nobody writes");
/// };
/// assert_eq!((vma.range(), *vma), (0x1000..0x3000, "text"));
/// # }
/// ```
///
/// A VMA is changed through its write lock only:
///
/// ```compile_fail,E0594
/// let tree: vmaple_locks::VmaTree<u32> = vmaple_locks::VmaTree::new();
/// *tree.at(0x1000).unwrap() = 7;
/// ```
///
/// [`MmapLock`]: crate::MmapLock
pub struct VmaTree<
    V,
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    index: Index<V, E>,
    shared: Joint<Shared<V, E>>,
    /// Free slots at hand, so that most changes need not go to the slab.
    store: Vec<Handle<V>>,
    /// Slots that the change at work takes out of the index. Means nothing between changes but for
    /// what `nr_covered` says.
    met: Vec<Handle<V>>,
    /// So many of `met`, the first, are out of the index and still attached.
    nr_covered: usize,
    len: usize,
    /// What VMAs publish of their values.
    facts: fn(&V) -> u64,
}

type Index<V, E> = TreeWriter<Handle<V>, <E as Environment>::Shape, <E as Environment>::Rcu>;

/// The indices of a range, where both ends count; none if it is empty.
fn span_of(range: &Range<u64>) -> Option<Span> {
    (range.start < range.end).then(|| Span::new(range.start, range.end - 1))
}

impl<V, E: Environment> VmaTree<V, E> {
    /// Without VMAs, with memory of its own for them.
    #[must_use]
    pub fn new() -> Self {
        Self::new_in(&Slab::new())
    }

    /// Without VMAs, with memory for them from `slab`.
    ///
    /// Without memory for its own head it ends the program as `Box` does.
    #[must_use]
    pub fn new_in(slab: &Slab<V, E::Wait>) -> Self {
        Self::try_new_in(slab).unwrap_or_else(|_| handle_alloc_error(Layout::new::<Shared<V, E>>()))
    }

    /// Without VMAs, with memory for them from `slab`.
    ///
    /// # Errors
    ///
    /// [`ChangeError::OutOfMemory`]: without memory for its own head.
    pub fn try_new_in(slab: &Slab<V, E::Wait>) -> Result<Self, ChangeError> {
        let shared = Joint::try_new(Shared {
            seq: OwnLine(MmSeq::new()),
            replacing: MmSeq::new(),
            counters: OwnLine(Counters::new()),
            is_closed: AtomicBool::new(false),
            slab: slab.clone(),
        });
        let index = TreeWriter::try_from_tree(MapleTree::new());
        Ok(Self {
            index: index.map_err(|_| ChangeError::OutOfMemory)?,
            shared: shared.map_err(|_| ChangeError::OutOfMemory)?,
            store: Vec::new(),
            met: Vec::new(),
            nr_covered: 0,
            len: 0,
            facts: |_| 0,
        })
    }

    /// The same with VMAs that publish what `facts` makes of their values, for walkers who look at
    /// them without a lock ([`VmaWalk::glance_next`](crate::VmaWalk::glance_next)). 0 stands for a
    /// VMA that cannot be told by one word. VMAs that are there already publish when they are
    /// written next. O(1).
    #[must_use]
    pub fn publishing(mut self, facts: fn(&V) -> u64) -> Self {
        self.facts = facts;
        self
    }

    /// Where its VMAs' memory comes from.
    #[must_use]
    pub fn slab(&self) -> &Slab<V, E::Wait> {
        &self.shared.slab
    }

    /// Looks VMAs up beside this tree, from any thread.
    #[must_use]
    pub fn readers(&self) -> VmaReaders<V, E> {
        VmaReaders::new(self.index.new_reader(), self.shared.clone())
    }

    /// Whether these readers read this tree.
    #[must_use]
    pub fn is_read_by(&self, readers: &VmaReaders<V, E>) -> bool {
        readers.is_of(&self.shared)
    }

    /// Number of VMAs. O(1).
    #[must_use]
    #[doc(alias = "map_count")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no VMA.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What became of lookups so far.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.counters.read()
    }

    /// Begins a write section, or goes on with the open one. [`MmapLock`] calls it.
    ///
    /// [`MmapLock`]: crate::MmapLock
    pub fn begin_write(&mut self) {
        let _: Section = self.shared.seq.begin();
    }

    /// Ends the write section, and with it every VMA write lock. [`MmapLock`] calls it.
    ///
    /// [`MmapLock`]: crate::MmapLock
    #[doc(alias = "vma_end_write_all")]
    pub fn end_write(&mut self) {
        self.shared.replacing.end();
        self.shared.seq.end();
    }

    /// An attached slot, for as long as the borrow.
    #[inline]
    fn lend<'t>(&'t self, slot: &'t VmaSlot<V>) -> VmaRef<'t, V> {
        // SAFETY: 1 and 2: attached to this tree, which is borrowed.
        unsafe { VmaRef::new(slot) }
    }

    /// The VMA that contains `addr`.
    #[inline]
    #[must_use]
    #[doc(alias = "vma_lookup")]
    pub fn at(&self, addr: u64) -> Option<VmaRef<'_, V>> {
        self.index.near().get(addr).map(|slot| self.lend(slot))
    }

    /// Says that what is around `addr` is looked at and changed next: it costs no walk then, as
    /// long as that stays near. Every change says so by itself.
    #[inline]
    pub fn seek(&mut self, addr: u64) {
        self.index.seek(addr);
    }

    /// The VMA that contains `addr`, or the first one above it.
    #[inline]
    #[must_use]
    #[doc(alias = "find_vma")]
    pub fn find(&self, addr: u64) -> Option<VmaRef<'_, V>> {
        let (_, slot) = self.index.near().find(addr)?;
        Some(self.lend(slot))
    }

    /// The first VMA that overlaps `range`.
    #[must_use]
    #[doc(alias = "find_vma_intersection")]
    pub fn find_intersection(&self, range: Range<u64>) -> Option<VmaRef<'_, V>> {
        let (span, slot) = self.index.near().find(range.start)?;
        (span.first < range.end).then(|| self.lend(slot))
    }

    /// The last VMA that ends at or below `addr`.
    #[must_use]
    #[doc(alias = "find_vma_prev")]
    pub fn prev(&self, addr: u64) -> Option<VmaRef<'_, V>> {
        let reader = self.index.reader();
        let (span, slot) = reader.find_rev(addr.checked_sub(1)?)?;
        if span.last < addr {
            return Some(self.lend(slot));
        }
        reader.prev(span).map(|(_, slot)| self.lend(slot))
    }

    /// All VMAs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = VmaRef<'_, V>> {
        self.index.reader().iter().map(|(_, slot)| self.lend(slot))
    }

    /// The VMAs that overlap `range`, ascending.
    #[doc(alias = "for_each_vma_range")]
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = VmaRef<'_, V>> {
        let from = self.index.reader().iter_from(range.start);
        from.take_while(move |(span, _)| span.first < range.end)
            .map(|(_, slot)| self.lend(slot))
    }

    /// The lowest free `len` bytes within `limits`, by their first address, a multiple of `align`
    /// (a power of two, in bytes).
    #[must_use]
    pub fn lowest_gap(&self, len: u64, align: u64, limits: Range<u64>) -> Option<u64> {
        self.index
            .reader()
            .lowest_gap(len, align, span_of(&limits)?)
    }

    /// The highest free `len` bytes within `limits`, by their first address, a multiple of `align`
    /// (a power of two, in bytes).
    #[must_use]
    pub fn highest_gap(&self, len: u64, align: u64, limits: Range<u64>) -> Option<u64> {
        self.index
            .reader()
            .highest_gap(len, align, span_of(&limits)?)
    }

    /// Read-locks the VMA that contains `addr`, for a holder of `mmap_lock`: waits for nobody,
    /// because writers are kept out.
    ///
    /// # Errors
    ///
    /// When the VMA has as many readers as can be counted.
    #[doc(alias = "vma_start_read_locked")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn start_read_locked<'h, L: Before<level::VmaRead>>(
        &'h self,
        _held: &'h mut Held<L>,
        addr: u64,
    ) -> Result<Option<VmaRead<'h, V, E>>, TooManyReaders> {
        self.at(addr).map(|vma| self.read_lock(vma)).transpose()
    }

    /// As [`start_read_locked`](Self::start_read_locked), beside a VMA that is read-locked so
    /// already; it may be the same.
    ///
    /// # Errors
    ///
    /// When the VMA has as many readers as can be counted.
    #[doc(alias = "vma_start_read_locked_nested")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn start_read_locked_nested<'h>(
        &'h self,
        _outer: &VmaRead<'h, V, E>,
        addr: u64,
    ) -> Result<Option<VmaRead<'h, V, E>>, TooManyReaders> {
        self.at(addr).map(|vma| self.read_lock(vma)).transpose()
    }

    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(crate) fn read_lock<'t>(
        &'t self,
        vma: VmaRef<'t, V>,
    ) -> Result<VmaRead<'t, V, E>, TooManyReaders> {
        let slot = vma.slot();
        match slot
            .lock()
            .start_read_locked::<E::Readers, E::Wait>(Visit::Wanted)
        {
            // SAFETY: Just locked; the tree, hence the slab, exists during 't.
            Ok(hold) => Ok(unsafe { VmaRead::new(slot, hold) }),
            Err(_) => Err(TooManyReaders),
        }
    }

    /// Whether the VMA that contains `addr` is write-locked in the open section.
    #[must_use]
    #[doc(alias = "vma_assert_write_locked")]
    pub fn is_write_locked(&self, addr: u64) -> bool {
        self.at(addr)
            .is_some_and(|vma| vma.slot().lock().is_write_locked(self.shared.seq.section()))
    }

    /// Write-locks the VMA that contains `addr` until the section ends, waiting for its readers.
    #[doc(alias = "vma_start_write")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn write_lock(&mut self, addr: u64) -> Option<VmaWrite<'_, V>> {
        // Without a canceller there is no error.
        self.write_lock_by(addr, None).ok().flatten()
    }

    /// As [`write_lock`](Self::write_lock), unless `cancel` ends the wait. Locks taken before
    /// stay.
    ///
    /// # Errors
    ///
    /// [`Cancelled`]; this VMA is as it was.
    #[doc(alias = "vma_start_write_killable")]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn write_lock_killable(
        &mut self,
        addr: u64,
        cancel: &Cancel<E::Wait>,
    ) -> Result<Option<VmaWrite<'_, V>>, Cancelled> {
        self.write_lock_by(addr, Some(cancel))
    }

    #[cfg_attr(feature = "lockdep", track_caller)]
    fn write_lock_by(
        &mut self,
        addr: u64,
        cancel: Option<&Cancel<E::Wait>>,
    ) -> Result<Option<VmaWrite<'_, V>>, Cancelled> {
        let section = self.shared.seq.begin();
        let Some(slot) = self.index.near().get(addr) else {
            return Ok(None);
        };
        lockdep::about_to_wait::<level::VmaWrite>(slot.lock().place());
        slot.start_write::<E::Readers, E::Wait>(section, cancel)?;
        // SAFETY: 1 and 2: attached to this tree, which is borrowed by `&mut`, and locked.
        Ok(Some(unsafe { VmaWrite::new(slot, self.facts) }))
    }

    /// Write-locks every VMA that overlaps `range`, so that changes there do not wait. O(VMAs).
    ///
    /// # Errors
    ///
    /// [`Cancelled`]; those locked already stay locked.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn write_lock_range(
        &mut self,
        range: Range<u64>,
        cancel: Option<&Cancel<E::Wait>>,
    ) -> Result<(), Cancelled> {
        let section = self.shared.seq.begin();
        for vma in self.overlapping(range) {
            vma.slot()
                .start_write::<E::Readers, E::Wait>(section, cancel)?;
        }
        Ok(())
    }
}

impl<V, E: Environment> Default for VmaTree<V, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: fmt::Debug, E: Environment> fmt::Debug for VmaTree<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|vma| (vma.range(), vma.get())))
            .finish()
    }
}

impl<V, E: Environment> fmt::Debug for Shared<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("seq", &self.seq)
            .field("events", &self.counters.read())
            .finish_non_exhaustive()
    }
}

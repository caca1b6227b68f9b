//! An address space that threads share: calls under `mmap_lock`, lookups and faults beside it.

use crate::areas::{BrkArea, PublishedAreas};
use crate::mm::Mm;
use crate::plain::PlainVma;
use crate::proc_text::VmaSource;
use crate::vma::{GateVma, Vma};
use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
#[cfg(feature = "std")]
use vmaple_locks::Host;
use vmaple_locks::level::Nothing;
use vmaple_locks::{
    AddressSpace, Cancel, Environment, Held, Space, VmaTree, VmaWalk, WaitError, WriteSection,
};

impl<E: Environment> WriteSection for Mm<E> {
    fn begin_write(&mut self) {
        self.tree.locked.begin_write();
    }

    fn end_write(&mut self) {
        if let Some(published) = &self.published {
            published.publish(&self.areas);
        }
        self.tree.locked.end_write();
    }
}

impl<E: Environment> Space for Mm<E> {
    type Vma = Vma;
    type Env = E;

    fn vmas(&self) -> &VmaTree<Self::Vma, E> {
        &self.tree.locked
    }
}

/// An [`Mm`] for many threads.
///
/// Calls of [`Mm`] that change it are made under `mmap_lock` held for writing
/// ([`write`](AddressSpace::write)), those that only look under it held for reading
/// ([`read`](AddressSpace::read)). A fault ([`fault`](Self::fault)) or a reader of one mapping
/// ([`lock_vma_under_rcu`](AddressSpace::lock_vma_under_rcu)) takes the lock of that VMA alone, and
/// does not notice calls on other mappings.
///
/// What a thread holds is a value, [`Held`]: a call that would wait for its own
/// caller does not compile.
///
/// ```
/// use vmaple::locks::{Held, Lookup};
/// use vmaple::{Mm, MmConfig, MmapArgs, SharedMm};
///
/// let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
/// let mut held = Held::nothing();
/// let (read_write, private_anonymous) = (3, 0x22);
/// let args = MmapArgs::anonymous(0, 0x4000, read_write, private_anonymous);
/// let addr = space.write(&mut held).mmap(&args)?;
///
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut held = Held::nothing();
///         if let Lookup::Locked(vma) = space.lock_vma_under_rcu(&mut held, addr) {
///             assert!(vma.range().contains(&addr), "until `vma` is dropped");
///         }
///     });
///     // Unmapping: pages are freed under the lock held for reading, beside faults elsewhere.
///     let mut writing = space.write(&mut held);
///     writing.munmap(addr, 0x1000)?;
///     let reading = writing.downgrade();
///     assert_eq!(reading.len(), 1);
///     Ok::<(), vmaple::CallError>(())
/// })?;
/// # Ok::<(), vmaple::CallError>(())
/// ```
///
/// A VMA's lock is not given back by waiting for the whole address space:
///
/// ```compile_fail,E0499
/// # use vmaple::locks::{Held, Lookup};
/// # use vmaple::{Mm, MmConfig, SharedMm};
/// # let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
/// # let mut held = Held::nothing();
/// let Lookup::Locked(vma) = space.lock_vma_under_rcu(&mut held, 0x1000) else { return };
/// let writing = space.write(&mut held); // would wait for the reader of `vma`: for itself
/// drop((vma, writing));
/// ```
#[derive(Debug)]
#[doc(alias = "mm_struct")]
pub struct SharedMm<
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    space: AddressSpace<Mm<E>>,
    areas: Arc<PublishedAreas>,
    gate: Option<GateVma>,
    page_shift: u32,
}

impl<E: Environment> SharedMm<E> {
    /// Opens an address space to threads.
    #[must_use]
    pub fn new(mut mm: Mm<E>) -> Self {
        let areas = Arc::new(PublishedAreas::default());
        mm.published = Some(Arc::clone(&areas));
        SharedMm {
            areas,
            gate: mm.gate.clone(),
            page_shift: mm.config.page_shift(),
            space: AddressSpace::new(mm),
        }
    }

    /// The address space for one owner again.
    #[must_use]
    pub fn into_inner(self) -> Mm<E> {
        let mut mm = self.space.into_inner();
        mm.published = None;
        mm
    }
}

impl<E: Environment> From<Mm<E>> for SharedMm<E> {
    fn from(mm: Mm<E>) -> Self {
        SharedMm::new(mm)
    }
}

impl<E: Environment> Deref for SharedMm<E> {
    type Target = AddressSpace<Mm<E>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.space
    }
}

impl<E: Environment> SharedMm<E> {
    /// This address space as a source of VMAs for a reader of its maps, or for a query.
    ///
    /// Each VMA is shown under its own lock, beside calls on others. The source waits for a call
    /// that is changing the VMA in its way; `mmap_lock` is taken for reading, for one VMA, only
    /// where it has met many such calls in turn.
    ///
    /// # What a reader of maps is promised
    ///
    /// Of the text that one [`MapsReader`](crate::MapsReader) reads from start to end, within a read
    /// and across reads, whatever calls are made meanwhile:
    ///
    /// * lines never overlap;
    /// * lines never go backwards: none begins below the end of the one before;
    /// * an address that is mapped throughout, by whatever VMAs, is always covered by a line;
    /// * there is no gap that never was: an address in no line was free at some moment;
    /// * each line was true at some moment between the start and the end of the reading: a VMA was
    ///   just so, or a VMA that had grown downwards past the line before, from there on.
    ///
    /// Lines of different moments may stand side by side. Linux promises the first three for one
    /// `read`, and keeps the third.
    ///
    /// A wait ends when `cancel` says so.
    ///
    /// ```
    /// use vmaple::locks::{Cancel, Held};
    /// use vmaple::{MapsReader, Mm, MmConfig, MmapArgs, SharedMm};
    ///
    /// let space = SharedMm::new(Mm::new(MmConfig::x86_64()));
    /// let mut held = Held::nothing();
    /// space.write(&mut held).mmap(&MmapArgs::anonymous(0x10000, 0x1000, 3, 0x32)).unwrap();
    ///
    /// let (mut buf, cancel) = ([0; 100], Cancel::new());
    /// let mut maps = space.vma_source(&mut held, &cancel);
    /// let len = MapsReader::new().read(&mut maps, &mut buf).expect("never cancelled");
    /// assert_eq!(&buf[..len], b"00010000-00011000 rw-p 00000000 00:00 0 \n");
    /// ```
    #[must_use]
    pub fn vma_source<'s>(
        &'s self,
        held: &'s mut Held<Nothing>,
        cancel: &'s Cancel<E::Wait>,
    ) -> SharedSource<'s, E> {
        SharedSource {
            space: self,
            walk: self.space.walk(),
            held,
            cancel,
        }
    }
}

/// The VMAs of a [`SharedMm`] one by one; made by [`SharedMm::vma_source`].
pub struct SharedSource<
    's,
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    space: &'s SharedMm<E>,
    walk: VmaWalk<'s, Mm<E>>,
    held: &'s mut Held<Nothing>,
    cancel: &'s Cancel<E::Wait>,
}

impl<E: Environment> fmt::Debug for SharedSource<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSource")
    }
}

impl<E: Environment> VmaSource for SharedSource<'_, E> {
    type Error = WaitError;

    fn with_next<R>(
        &mut self,
        addr: u64,
        show: impl FnOnce(&Vma, &BrkArea) -> R,
    ) -> Result<Option<R>, WaitError> {
        let next = self.walk.lock_next(self.held, addr, self.cancel)?;
        if vmaple_sync::planted!("name_wants_mmap_lock")
            && next.as_deref().is_some_and(|vma| vma.anon_name.is_some())
        {
            assert!(self.space.mmap_lock().is_locked(), "as bug 55 had it");
        }
        Ok(next.map(|vma| show(&vma, &self.space.areas.read())))
    }

    fn glance_next(&mut self, addr: u64) -> Option<PlainVma> {
        let areas = &self.space.areas;
        let (seen, areas) = self.walk.glance_next(addr, || areas.read())?;
        Some(PlainVma::of_word(seen.range, seen.facts, areas))
    }

    fn gate(&self) -> Option<&GateVma> {
        self.space.gate.as_ref()
    }

    fn page_shift(&self) -> u32 {
        self.space.page_shift
    }
}

//! An address space that threads share: its `mmap_lock`, and lookups beside it that may wait.

use crate::cancel::{Cancel, Cancelled};
use crate::env::Environment;
use crate::level::{self, Held, Nothing};
use crate::lockdep;
use crate::mmap_lock::{MmapLock, MmapRead, MmapWrite, WriteSection};
use crate::readers::{Found, Lookup, TooManyReaders, VmaReaders};
use crate::tree::{OwnLine, VmaTree};
use crate::views::VmaRead;
use crate::vma_lock::Visit;
use core::fmt;

/// The state of an address space: it has a [`VmaTree`].
pub trait Space: WriteSection {
    /// What the embedder keeps in a VMA.
    type Vma;
    /// The environment of its locks.
    type Env: Environment;

    /// Its VMAs.
    fn vmas(&self) -> &VmaTree<Self::Vma, Self::Env>;
}

impl<V, E: Environment> Space for VmaTree<V, E> {
    type Vma = V;
    type Env = E;

    fn vmas(&self) -> &Self {
        self
    }
}

impl<V, E: Environment> WriteSection for VmaTree<V, E> {
    fn begin_write(&mut self) {
        VmaTree::begin_write(self);
    }

    fn end_write(&mut self) {
        VmaTree::end_write(self);
    }
}

/// Why a lookup that waits came back without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitError {
    /// The wait was cancelled.
    Cancelled,
    /// The VMA has as many readers as can be counted.
    TooManyReaders,
    /// The state's tree is not the one that it was made with.
    TreeReplaced,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => Cancelled.fmt(f),
            Self::TooManyReaders => TooManyReaders.fmt(f),
            Self::TreeReplaced => f.write_str("the address space has got another tree of VMAs"),
        }
    }
}

impl core::error::Error for WaitError {}

impl From<Cancelled> for WaitError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<TooManyReaders> for WaitError {
    fn from(_: TooManyReaders) -> Self {
        Self::TooManyReaders
    }
}

pub(crate) type WaitOf<T> = <<T as Space>::Env as Environment>::Wait;
pub(crate) type ReadOf<'l, T> = VmaRead<'l, <T as Space>::Vma, <T as Space>::Env>;
type LookupOf<'l, T> = Lookup<'l, <T as Space>::Vma, <T as Space>::Env>;

/// An address space for many threads: the state under `mmap_lock`, and its VMAs one by one.
///
/// # Examples
///
/// A fault handler tries the VMA's own lock, and waits for the writer only if it met one:
///
/// ```
/// # #[cfg(feature = "std")] {
/// use vmaple_locks::{AddressSpace, Held, Lookup, VmaTree, WaitError};
///
/// fn fault(
///     space: &AddressSpace<VmaTree<&str>>,
///     held: &mut Held,
///     addr: u64,
/// ) -> Result<bool, WaitError> {
///     let vma = match space.lock_vma_under_rcu(held, addr) {
///         Lookup::Locked(vma) => vma,
///         Lookup::NotMapped(_) => return Ok(false),
///         Lookup::Contended(_, held) => match space.vma_start_read_unlocked(held, addr)? {
///             Some(vma) => vma,
///             None => return Ok(false),
///         },
///     };
///     assert!(vma.range().contains(&addr), "stays so until `vma` is dropped");
///     Ok(true)
/// }
///
/// let space: AddressSpace<VmaTree<&str>> = AddressSpace::new(VmaTree::new());
/// let mut held = Held::nothing();
/// space.write(&mut held).insert(0x1000..0x2000, "text").expect("free");
/// assert_eq!(fault(&space, &mut held, 0x1fff), Ok(true));
/// assert_eq!(fault(&space, &mut held, 0x2000), Ok(false));
/// # }
/// ```
pub struct AddressSpace<T: Space> {
    lock: MmapLock<T, WaitOf<T>>,
    /// Apart from what every call writes into the state.
    readers: OwnLine<VmaReaders<T::Vma, T::Env>>,
}

impl<T: Space> AddressSpace<T> {
    /// Shares a state. A write section that is open in it ends.
    pub fn new(state: T) -> Self {
        Self {
            readers: OwnLine(state.vmas().readers()),
            lock: MmapLock::new(state),
        }
    }

    /// The lock around the state, for its other ways of taking it.
    pub fn mmap_lock(&self) -> &MmapLock<T, WaitOf<T>> {
        &self.lock
    }

    /// Lookups beside the lock, to be handed to those who need no more.
    pub fn readers(&self) -> &VmaReaders<T::Vma, T::Env> {
        &self.readers
    }

    /// See [`MmapLock::read`].
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn read<'l>(&'l self, held: &'l mut Held<Nothing>) -> MmapRead<'l, T, WaitOf<T>> {
        self.lock.read(held)
    }

    /// See [`MmapLock::write`].
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn write<'l>(&'l self, held: &'l mut Held<Nothing>) -> MmapWrite<'l, T, WaitOf<T>> {
        self.lock.write(held)
    }

    /// See [`VmaReaders::lock_vma_under_rcu`].
    #[inline]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn lock_vma_under_rcu<'l>(
        &'l self,
        held: &'l mut Held<Nothing>,
        addr: u64,
    ) -> LookupOf<'l, T> {
        self.readers.lock_vma_under_rcu(held, addr)
    }

    /// Read-locks the VMA that contains `addr`, waiting for writers: where the lookup beside
    /// `mmap_lock` meets one, takes that lock for reading, read-locks the VMA under it, and gives
    /// `mmap_lock` back. So the caller never holds it, and may fault.
    ///
    /// It needs `Held<Nothing>`: under `mmap_lock` or a VMA's lock it could wait for a writer who
    /// waits for its caller.
    ///
    /// # Errors
    ///
    /// [`WaitError::TooManyReaders`], and [`WaitError::TreeReplaced`].
    ///
    /// # Examples
    ///
    /// ```compile_fail,E0499
    /// # use vmaple_locks::{AddressSpace, Held, VmaTree};
    /// # let space = AddressSpace::new(VmaTree::<u32>::new());
    /// let mut held = Held::nothing();
    /// let vma = space.vma_start_read_unlocked(&mut held, 0x1000);
    /// let other = space.vma_start_read_unlocked(&mut held, 0x5000); // could wait for itself
    /// drop((vma, other));
    /// ```
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn vma_start_read_unlocked<'l>(
        &'l self,
        held: &'l mut Held<Nothing>,
        addr: u64,
    ) -> Result<Option<ReadOf<'l, T>>, WaitError> {
        lockdep::about_to_wait::<level::MmapRead>(core::ptr::from_ref(self).addr());
        match self.readers.lock_at(addr) {
            Found::Locked(vma) => Ok(Some(vma)),
            Found::NotMapped => Ok(None),
            Found::Contended(_) => {
                self.lock_in(&self.lock.read(held), Visit::Wanted, |tree| tree.at(addr))
            }
        }
    }

    /// As [`vma_start_read_unlocked`](Self::vma_start_read_unlocked), unless `cancel` ends the
    /// wait.
    ///
    /// # Errors
    ///
    /// As there, and [`WaitError::Cancelled`].
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn vma_start_read_unlocked_killable<'l>(
        &'l self,
        held: &'l mut Held<Nothing>,
        addr: u64,
        cancel: &Cancel<WaitOf<T>>,
    ) -> Result<Option<ReadOf<'l, T>>, WaitError> {
        lockdep::about_to_wait::<level::MmapRead>(core::ptr::from_ref(self).addr());
        match self.readers.lock_at(addr) {
            Found::Locked(vma) => Ok(Some(vma)),
            Found::NotMapped => Ok(None),
            Found::Contended(_) => {
                let state = self.lock.read_killable(held, cancel)?;
                self.lock_in(&state, Visit::Wanted, |tree| tree.at(addr))
            }
        }
    }

    /// Read-locks the VMA that contains `from`, or the first one above it, waiting for writers as
    /// [`vma_start_read_unlocked`](Self::vma_start_read_unlocked) does; see
    /// [`VmaReaders::lock_next_vma`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// For one VMA; a [`walk`](Self::walk) over many costs its writers less.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn lock_next_vma<'l>(
        &'l self,
        held: &'l mut Held<Nothing>,
        from: u64,
        cancel: &Cancel<WaitOf<T>>,
    ) -> Result<Option<ReadOf<'l, T>>, WaitError> {
        self.walk().lock_next(held, from, cancel)
    }

    /// Read-locks a VMA under `mmap_lock`, to be kept after it.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(crate) fn lock_in<'l>(
        &'l self,
        state: &T,
        visit: Visit<'_>,
        find: impl FnOnce(&VmaTree<T::Vma, T::Env>) -> Option<crate::views::VmaRef<'_, T::Vma>>,
    ) -> Result<Option<ReadOf<'l, T>>, WaitError> {
        let tree = state.vmas();
        if !tree.is_read_by(&self.readers) {
            return Err(WaitError::TreeReplaced);
        }
        let Some(vma) = find(tree) else {
            return Ok(None);
        };
        Ok(Some(self.readers.lock_ref(tree, vma, visit)?))
    }

    /// Takes the state out.
    pub fn into_inner(self) -> T {
        self.lock.into_inner()
    }
}

impl<T: Space> fmt::Debug for AddressSpace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressSpace")
            .field("lock", &self.lock)
            .field("readers", self.readers())
            .finish()
    }
}

//! An address space that threads share: calls under `mmap_lock`, lookups and faults beside it.

use crate::mm::Mm;
use core::ops::Deref;
#[cfg(feature = "std")]
use vmaple_locks::Host;
use vmaple_locks::{AddressSpace, Environment, Space, VmaTree, WriteSection};

impl<E: Environment> WriteSection for Mm<E> {
    fn begin_write(&mut self) {
        self.tree.locked.begin_write();
    }

    fn end_write(&mut self) {
        self.tree.locked.end_write();
    }
}

impl<E: Environment> Space for Mm<E> {
    type Vma = crate::vma::Vma;
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
/// What a thread holds is a value, [`Held`](vmaple_locks::Held): a call that would wait for its own
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
>(AddressSpace<Mm<E>>);

impl<E: Environment> SharedMm<E> {
    /// Opens an address space to threads.
    #[must_use]
    pub fn new(mm: Mm<E>) -> Self {
        SharedMm(AddressSpace::new(mm))
    }

    /// The address space for one owner again.
    #[must_use]
    pub fn into_inner(self) -> Mm<E> {
        self.0.into_inner()
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
        &self.0
    }
}

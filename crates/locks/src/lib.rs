//! The locks of an address space: `mmap_lock`, a lock for each VMA, and lookups that take only the
//! latter. Linux's protocol, with its rules carried by types.
//!
//! An [`AddressSpace`] is a state under `mmap_lock` that has a [`VmaTree`]. Who maps and unmaps
//! takes that lock for writing and changes the tree; who handles a fault, or reads the maps, looks
//! a VMA up without it and read-locks that one VMA.
//!
//! | to | take | with |
//! |---|---|---|
//! | look at all VMAs | `mmap_lock` for reading | [`AddressSpace::read`] |
//! | look at one VMA, if nobody writes it | its read lock | [`VmaReaders::lock_vma_under_rcu`] |
//! | look at one VMA, waiting for writers | its read lock | [`AddressSpace::vma_start_read_unlocked`] |
//! | walk over the VMAs without stopping writers | one read lock at a time | [`AddressSpace::walk`] |
//! | read a few things that belong together | nothing | [`VmaReaders::speculate`] |
//! | change VMAs | `mmap_lock` for writing; the VMAs' write locks come with it | [`AddressSpace::write`] |
//!
//! # Examples
//!
//! Two threads, one that maps and one that faults:
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use vmaple_locks::{AddressSpace, Held, Lookup, VmaTree};
//!
//! let space: AddressSpace<VmaTree<&str>> = AddressSpace::new(VmaTree::new());
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let mut held = Held::nothing();
//!         let mut tree = space.write(&mut held);
//!         tree.insert(0x1000..0x3000, "text").expect("free");
//!         tree.split(0x2000, "data").expect("inside");
//!     });
//!     scope.spawn(|| {
//!         let mut held = Held::nothing();
//!         if let Lookup::Locked(vma) = space.lock_vma_under_rcu(&mut held, 0x2000) {
//!             assert_eq!((vma.range(), *vma), (0x2000..0x3000, "data"), "never half done");
//!         }
//!     });
//! });
//! # }
//! ```
//!
//! # What types see to
//!
//! * A VMA is changed through `&mut VmaTree`, which `mmap_lock` held for writing lends, and through
//!   [`VmaWrite`], which is its write lock.
//! * A VMA that is in the tree cannot be put in again, one that was taken out cannot be used: they
//!   are values that move in and out.
//! * [`Held`] carries the order of locks: `mmap_lock` cannot be taken, nor a writer waited for,
//!   while a VMA is read-locked.
//! * Guards stay on their thread.
//!
//! # Consistency
//!
//! A VMA that is read-locked is what it was at the end of some write section, and stays so. What a
//! write section has touched cannot be read-locked before it ends, so its steps are never seen.
//!
//! # Environment
//!
//! [`Environment`] names how threads wait, the read sections (RCU), the width of the tree's nodes,
//! and how readers of one VMA say that they read it ([`Counted`], or `Biased`, which does not write
//! to the VMA). With the feature `std` there is `Host`.
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test, loom, shuttle))]
extern crate std;

mod ahead;
#[cfg(feature = "std")]
mod bias;
mod cancel;
#[cfg(all(test, loom))]
mod checks;
mod env;
mod events;
pub mod level;
mod list;
#[cfg(feature = "lockdep")]
pub mod lockdep;
#[cfg(not(feature = "lockdep"))]
#[path = "no_lockdep.rs"]
mod lockdep;
mod mmap_lock;
mod prefetch;
mod published;
mod raw_lock;
mod readers;
mod refcnt;
mod scheme;
mod sequence;
mod slab;
mod slot;
mod space;
#[cfg(feature = "std")]
mod spots;
#[cfg(feature = "std")]
mod threads;
mod trace;
mod tree;
mod views;
mod vma_lock;
mod walk;

pub use cancel::{Cancel, Cancelled};
pub use env::Environment;
#[cfg(feature = "std")]
pub use env::Host;
pub use events::Events;
pub use level::{Held, LeveledGuard, LeveledMutex};
pub use mmap_lock::{MmapLock, MmapRead, MmapWrite, WriteSection};
pub use readers::{Contention, Lookup, TooManyReaders, VmaReaders};
#[cfg(feature = "std")]
pub use scheme::Biased;
pub use scheme::{Counted, ReadScheme};
pub use slab::Slab;
pub use space::{AddressSpace, Space, WaitError};
pub use tree::{Broken, ChangeError, Fate, InsertError, Place, VmaTree};
pub use views::{VmaRead, VmaRef, VmaWrite};
pub use walk::{Glance, VmaWalk};

//! Read-copy-update: readers that write no shared memory, and memory freed when the last reader
//! who could see it has left.
//!
//! A reader enters a *read section* ([`read`]), follows pointers, and leaves by dropping the
//! [`ReadGuard`]. A writer makes an object unreachable, then *retires* it: [`defer`] runs a
//! closure once every section that was open at that moment has been left, [`synchronize`] waits
//! for that moment. Structures that keep their own list of retired memory (a tree, a slab) take a
//! [`GracePeriod`] with [`Backend::start_grace_period`] and ask [`Backend::has_elapsed`] later.
//!
//! # Backends
//!
//! Everything is generic over a [`Backend`]: a type that stands for one domain of readers. With
//! the feature `std` (on by default) there is [`Membarrier`]; a kernel brings its own RCU by
//! implementing the trait, and the structures above do not change.
//!
//! # Price and consistency
//!
//! Entering and leaving costs about a nanosecond with [`Membarrier`] on Linux (`DECISION.md` has
//! the measurements): two stores to the thread's own cache line and no fence, because the writer
//! brings the fence with `membarrier(2)`, and only where readers cannot be seen to have left
//! without it. A stalled reader blocks nobody; it only keeps memory from being freed until it
//! leaves.
//!
//! # Examples
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use std::sync::atomic::{AtomicBool, Ordering};
//! static DROPPED: AtomicBool = AtomicBool::new(false);
//!
//! let section = vmaple_rcu::read();
//! vmaple_rcu::defer(|| DROPPED.store(true, Ordering::Relaxed));
//! assert!(!DROPPED.load(Ordering::Relaxed), "this section is still open");
//! drop(section);
//! vmaple_rcu::synchronize();
//! assert!(DROPPED.load(Ordering::Relaxed));
//! # }
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", loom))]
extern crate std;

mod backend;
mod deferred;
mod domain;
pub mod fence;
mod guard;
#[cfg(feature = "std")]
mod membarrier;
pub mod strict;

pub use backend::{Backend, GracePeriod};
pub use deferred::Deferred;
pub use domain::{Domain, Record};
pub use guard::ReadGuard;
#[cfg(feature = "std")]
pub use membarrier::Membarrier;

/// The backend that the functions of this crate's root use.
#[cfg(feature = "std")]
pub type DefaultBackend = Membarrier;

/// Enters a read section of the default backend. Sections nest.
#[cfg(feature = "std")]
#[doc(alias = "rcu_read_lock")]
#[inline]
pub fn read() -> ReadGuard<DefaultBackend> {
    ReadGuard::enter()
}

/// Waits until every read section that is open now has been left, and runs what was deferred
/// before. Called inside a read section it would wait for itself, so it panics there.
///
/// # Panics
///
/// When the calling thread is inside a read section.
#[cfg(feature = "std")]
#[doc(alias = "synchronize_rcu")]
pub fn synchronize() {
    DefaultBackend::synchronize();
}

/// Runs `work` after every read section that is open now has been left: in a later `defer` or
/// [`synchronize`], on whichever thread calls it. Works are collected in batches.
#[cfg(feature = "std")]
#[doc(alias = "call_rcu")]
#[doc(alias = "kfree_rcu")]
pub fn defer(work: impl FnOnce() + Send + 'static) {
    DefaultBackend::defer(Deferred::new(work));
}

/// Drops `object` after every read section that is open now has been left.
#[cfg(feature = "std")]
pub fn defer_drop<T: Send + 'static>(object: alloc::boxed::Box<T>) {
    DefaultBackend::defer(Deferred::drop_box(object));
}

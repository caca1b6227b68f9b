//! Atomic integers, pointers and fences of the environment the crate is built for.
//!
//! Under loom, `SeqCst` *accesses* count as `AcqRel`, but `fence(SeqCst)` is honoured: put
//! store-load ordering into fences.

#[cfg(not(any(loom, shuttle)))]
pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence,
    fence,
};

#[cfg(any(loom, shuttle))]
pub use crate::watched::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence,
};
#[cfg(any(loom, shuttle))]
pub use core::sync::atomic::Ordering;

/// A fence that binds only the compiler; a checker, which has no other thread's barrier to pair
/// it with, takes it as a full one.
#[cfg(any(loom, shuttle))]
#[track_caller]
pub fn compiler_fence(order: Ordering) {
    fence(order);
}

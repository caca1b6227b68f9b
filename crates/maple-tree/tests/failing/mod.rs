//! An allocator that fails the k-th call of a thread.
//!
//! # Safety
//!
//! Forwards to the system's.
#![expect(unsafe_code, reason = "an allocator that fails on demand")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Allocations of this thread until one fails; negative: never.
    static UNTIL_FAILURE: Cell<i64> = const { Cell::new(-1) };
}

struct Failing;

// SAFETY: Forwards to `System`, or returns null, which an allocator may.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let left = UNTIL_FAILURE.try_with(Cell::get).unwrap_or(-1);
        if left == 0 {
            return std::ptr::null_mut();
        }
        if left > 0 {
            UNTIL_FAILURE.with(|until| until.set(left - 1));
        }
        // SAFETY: The caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: The caller's promise.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Runs `work` while every allocation after the first `nr_allowed` of this thread fails.
pub(crate) fn with_failures<R>(nr_allowed: i64, work: impl FnOnce() -> R) -> R {
    UNTIL_FAILURE.with(|until| until.set(nr_allowed));
    let result = work();
    UNTIL_FAILURE.with(|until| until.set(-1));
    result
}

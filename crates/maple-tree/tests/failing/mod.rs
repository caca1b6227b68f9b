//! An allocator that fails the k-th call of a thread, and counts what a thread holds.
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
    /// Whether memory is out for a moment: only one allocation of this thread fails then.
    pub(crate) static IS_ONCE: Cell<bool> = const { Cell::new(false) };
    /// Bytes that this thread has allocated, less those that it has freed.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

struct Failing;

// SAFETY: Forwards to `System`, or returns null, which an allocator may.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let left = UNTIL_FAILURE.try_with(Cell::get).unwrap_or(-1);
        if left == 0 {
            if IS_ONCE.with(Cell::get) {
                UNTIL_FAILURE.with(|until| until.set(-1));
            }
            return std::ptr::null_mut();
        }
        if left > 0 {
            UNTIL_FAILURE.with(|until| until.set(left - 1));
        }
        hold(layout.size() as i64);
        // SAFETY: The caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        hold(-(layout.size() as i64));
        // SAFETY: The caller's promise.
        unsafe { System.dealloc(memory, layout) };
    }
}

fn hold(nr_bytes: i64) {
    // A thread that ends may have dropped the counter already.
    let _ = HELD.try_with(|held| held.set(held.get() + nr_bytes));
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Runs `work` while every allocation after the first `nr_allowed` of this thread fails.
pub(crate) fn with_failures<R>(nr_allowed: i64, work: impl FnOnce() -> R) -> R {
    let held_before = bytes_held();
    UNTIL_FAILURE.with(|until| until.set(nr_allowed));
    let result = work();
    UNTIL_FAILURE.with(|until| until.set(-1));
    let is_once = IS_ONCE.with(Cell::get);
    let is_kept = nr_allowed > 0 || is_once || bytes_held() <= held_before;
    assert!(is_kept, "an allocation came through");
    result
}

/// Bytes that this thread holds.
pub(crate) fn bytes_held() -> i64 {
    HELD.with(Cell::get)
}

//! A piece of work kept for later: one pointer and one function.
//!
//! # Safety
//!
//! `data` is what the constructor's `call` function expects, and it is called at most once,
//! because [`Deferred::run`] consumes it.
#![expect(unsafe_code, reason = "erases the type of a boxed work")]

use alloc::boxed::Box;

/// Work that runs after a grace period. Dropping it unrun leaks what it owns, on purpose:
/// a reader may still use it.
#[derive(Debug)]
#[must_use = "leaks when it is not run"]
pub struct Deferred {
    data: *mut (),
    call: unsafe fn(*mut ()),
}

// SAFETY: Both constructors demand that what `data` owns is `Send`.
unsafe impl Send for Deferred {}

impl Deferred {
    /// Defers a call.
    pub fn new<F: FnOnce() + Send + 'static>(work: F) -> Self {
        /// # Safety
        ///
        /// `data` came from `Box::<F>::into_raw` and is passed once.
        unsafe fn call<F: FnOnce()>(data: *mut ()) {
            // SAFETY: By the contract above.
            let work = unsafe { Box::from_raw(data.cast::<F>()) };
            work();
        }
        Self {
            data: Box::into_raw(Box::new(work)).cast(),
            call: call::<F>,
        }
    }

    /// Defers the drop of a box, without allocating.
    pub fn drop_box<T: Send + 'static>(object: Box<T>) -> Self {
        /// # Safety
        ///
        /// `data` came from `Box::<T>::into_raw` and is passed once.
        unsafe fn call<T>(data: *mut ()) {
            // SAFETY: By the contract above.
            drop(unsafe { Box::from_raw(data.cast::<T>()) });
        }
        Self {
            data: Box::into_raw(object).cast(),
            call: call::<T>,
        }
    }

    /// Does the work now.
    pub fn run(self) {
        // SAFETY: `data` belongs to `call`, and `self` is consumed: this is the only call.
        unsafe { (self.call)(self.data) };
    }
}

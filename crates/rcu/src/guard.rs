//! The read section as a value.
//!
//! # Safety
//!
//! `leave` pairs with the `enter` of the same guard: a guard is made only by entering, cannot be
//! copied, and stays on its thread.
#![expect(
    unsafe_code,
    reason = "calls Backend::leave, whose pairing the guard proves"
)]

use crate::backend::Backend;
use core::marker::PhantomData;

/// An open read section: while it lives, nothing retired after it was entered is freed.
///
/// References into a structure are bounded by a borrow of the guard. It stays on its thread:
///
/// ```compile_fail
/// let section = vmaple_rcu::read();
/// std::thread::spawn(move || drop(section));
/// ```
#[must_use = "the section ends where the guard is dropped"]
pub struct ReadGuard<B: Backend> {
    /// A section belongs to the thread that entered it.
    not_send: PhantomData<*const ()>,
    backend: PhantomData<fn() -> B>,
}

impl<B: Backend> ReadGuard<B> {
    /// Enters a read section.
    #[inline]
    pub fn enter() -> Self {
        B::enter();
        Self {
            not_send: PhantomData,
            backend: PhantomData,
        }
    }
}

impl<B: Backend> Drop for ReadGuard<B> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: This guard was made by one `enter` on this thread, and drops once.
        unsafe { B::leave() };
    }
}

impl<B: Backend> core::fmt::Debug for ReadGuard<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ReadGuard")
    }
}

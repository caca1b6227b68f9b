//! A small mutex over [`Wait`], for writers' locks and slow paths.
//!
//! # Safety
//!
//! The value is reached only through a [`MutexGuard`], and a guard exists only between a
//! successful [`Mutex::try_lock`] and its own drop.
#![expect(
    unsafe_code,
    reason = "lends the value of a cell to the holder of the lock"
)]

use crate::atomic::{AtomicU32, Ordering};
use crate::cell::UnsafeCell;
use crate::names::{Name, named};
use crate::wait::{DefaultWait, Wait};
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// Nobody holds the lock.
const FREE: u32 = 0;
/// Held, and nobody sleeps. Set by the locker.
const HELD: u32 = 1;
/// Held, and somebody may sleep. Set by whoever goes to sleep, cleared by the unlocker.
const CONTENDED: u32 = 2;

static STATE: Name = Name::with_bits("mutex", &[(2, "CONTENDED"), (1, "HELD")]);
static VALUE: Name = Name::new("what the mutex protects");

/// A mutual-exclusion lock around a value; unfair, not poisoned by panics.
///
/// # Examples
///
/// ```
/// use vmaple_sync::mutex::Mutex;
///
/// let total: Mutex<u64> = Mutex::new(1);
/// *total.lock() += 1;
/// assert_eq!(*total.lock(), 2);
/// ```
pub struct Mutex<T, W: Wait = DefaultWait> {
    state: AtomicU32,
    value: UnsafeCell<T>,
    wait: PhantomData<fn() -> W>,
}

// SAFETY: The lock hands the value to one thread at a time, which is moving it between threads.
unsafe impl<T: Send, W: Wait> Send for Mutex<T, W> {}
// SAFETY: Sharing the lock gives out the value to one thread at a time, so `Send` suffices.
unsafe impl<T: Send, W: Wait> Sync for Mutex<T, W> {}

impl<T, W: Wait> Mutex<T, W> {
    /// A free lock around `value`.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn new(value: T) -> Self {
        Self {
            state: named(&STATE, AtomicU32::new(FREE)),
            value: named(&VALUE, UnsafeCell::new(value)),
            wait: PhantomData,
        }
    }

    /// A free lock around `value`.
    #[cfg(any(loom, shuttle))]
    pub fn new(value: T) -> Self {
        Self {
            state: named(&STATE, AtomicU32::new(FREE)),
            value: named(&VALUE, UnsafeCell::new(value)),
            wait: PhantomData,
        }
    }

    /// Takes the lock, sleeping until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T, W> {
        if let Some(guard) = self.try_lock() {
            return guard;
        }
        // Acquire: pairs with the Release in `MutexGuard::drop`; the value's last change is seen.
        // Witness: `tests::every_waiter_gets_through`, and loom over `SharedMapleTree`.
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            W::wait(&self.state, CONTENDED);
        }
        MutexGuard {
            mutex: self,
            not_send: PhantomData,
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T, W>> {
        // Acquire: pairs with the Release in `MutexGuard::drop`. Relaxed: a failure reads nothing.
        self.state
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| MutexGuard {
                mutex: self,
                not_send: PhantomData,
            })
    }

    /// The value, without locking: the borrow proves that nobody else has the lock.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self` means that no guard lives.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: Default, W: Wait> Default for Mutex<T, W> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T, W: Wait> fmt::Debug for Mutex<T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a report, not a decision.
        let is_held = self.state.load(Ordering::Relaxed) != FREE;
        f.debug_struct("Mutex")
            .field("is_held", &is_held)
            .finish_non_exhaustive()
    }
}

/// The right to use the value, until dropped. Stays on its thread.
pub struct MutexGuard<'a, T, W: Wait = DefaultWait> {
    mutex: &'a Mutex<T, W>,
    not_send: PhantomData<*const ()>,
}

impl<T, W: Wait> Deref for MutexGuard<'_, T, W> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: This guard holds the lock, and its borrow forbids `deref_mut` meanwhile.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T, W: Wait> DerefMut for MutexGuard<'_, T, W> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: This guard holds the lock, and `&mut self` is its only use.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T, W: Wait> Drop for MutexGuard<'_, T, W> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `Mutex::lock`; what this holder wrote is seen by the
        // next one. Witness: `tests::every_waiter_gets_through`.
        if self.mutex.state.swap(FREE, Ordering::Release) == CONTENDED {
            W::wake_one(&self.mutex.state);
        }
    }
}

impl<T: fmt::Debug, W: Wait> fmt::Debug for MutexGuard<'_, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, feature = "std", not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::wait::Spin;
    use std::thread;

    fn count_with<W: Wait>(nr_threads: usize, rounds: u64) -> u64 {
        let total: Mutex<u64, W> = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..nr_threads {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        *total.lock() += 1;
                    }
                });
            }
        });
        total.into_inner()
    }

    #[test]
    fn every_waiter_gets_through() {
        assert_eq!(count_with::<DefaultWait>(4, 20_000), 80_000);
        assert_eq!(count_with::<Spin>(2, 2_000), 4_000);
    }

    #[test]
    fn a_held_lock_refuses_a_second_holder() {
        let lock: Mutex<u8> = Mutex::new(7);
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(held);
        assert_eq!(*lock.try_lock().expect("free again"), 7);
    }
}

//! Sleeping on a word, supplied by the environment.
//!
//! The shape is the futex: a thread sleeps while a word holds a value, and whoever changes the
//! word wakes it. A kernel implements [`Wait`] on its wait queues, a hosted program takes
//! `Threads` (feature `std`), and everybody else has [`Spin`].

use crate::atomic::AtomicU32;

/// How a thread waits for a word to change.
///
/// Spurious wake-ups are allowed: the caller checks the word again. A wake-up that follows a
/// change of the word must not be lost.
pub trait Wait {
    /// Sleeps while `word` holds `expected`; may return at any time, and does so at once if the
    /// word holds something else.
    fn wait(word: &AtomicU32, expected: u32);

    /// Wakes one thread that sleeps on `word`.
    fn wake_one(word: &AtomicU32);

    /// Wakes every thread that sleeps on `word`.
    fn wake_all(word: &AtomicU32);
}

/// Waits by spinning; needs nothing from the environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spin;

impl Wait for Spin {
    fn wait(_word: &AtomicU32, _expected: u32) {
        crate::hint::spin_loop();
    }

    fn wake_one(_word: &AtomicU32) {}

    fn wake_all(_word: &AtomicU32) {}
}

/// The environment's default: `Threads` with the feature `std`, else [`Spin`].
#[cfg(all(feature = "std", not(any(loom, shuttle))))]
pub type DefaultWait = Threads;
/// The environment's default: `Threads` with the feature `std`, else [`Spin`].
#[cfg(any(not(feature = "std"), loom, shuttle))]
pub type DefaultWait = Spin;

#[cfg(all(feature = "std", not(any(loom, shuttle))))]
pub use threads::Threads;

#[cfg(all(feature = "std", not(any(loom, shuttle))))]
mod threads {
    //! Waiting through the host's threads: a fixed table of condition variables, found by the
    //! word's address. Words that share a bucket wake each other for nothing, which is allowed.

    use super::Wait;
    use crate::atomic::{AtomicU32, Ordering};
    use std::sync::{Condvar, Mutex, PoisonError};

    /// Waits by blocking the host's thread.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct Threads;

    struct Bucket {
        /// How many threads sleep here: who finds none need not ask the host to wake any.
        nr_asleep: Mutex<usize>,
        changed: Condvar,
    }

    const NR_BUCKETS: usize = 64;

    static BUCKETS: [Bucket; NR_BUCKETS] = [const {
        Bucket {
            nr_asleep: Mutex::new(0),
            changed: Condvar::new(),
        }
    }; NR_BUCKETS];

    fn bucket_of(word: &AtomicU32) -> &'static Bucket {
        let address = core::ptr::from_ref(word).addr();
        &BUCKETS[(address >> 6) % NR_BUCKETS]
    }

    impl Wait for Threads {
        fn wait(word: &AtomicU32, expected: u32) {
            let bucket = bucket_of(word);
            let mut nr_asleep = bucket
                .nr_asleep
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // Acquire: pairs with the release store of whoever changed the word. The waker takes
            // the bucket's lock after its change, so a change that this load misses is followed
            // by a wake-up that this thread, already asleep, receives.
            // Witness: `mutex::tests::every_waiter_gets_through`.
            if word.load(Ordering::Acquire) == expected {
                *nr_asleep += 1;
                let woken = bucket.changed.wait(nr_asleep);
                *woken.unwrap_or_else(PoisonError::into_inner) -= 1;
            }
        }

        fn wake_one(word: &AtomicU32) {
            // Words share buckets: waking one could wake the wrong one and lose the wake-up.
            Self::wake_all(word);
        }

        fn wake_all(word: &AtomicU32) {
            let bucket = bucket_of(word);
            let nr_asleep = bucket
                .nr_asleep
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let is_empty = *nr_asleep == 0;
            drop(nr_asleep);
            if !is_empty {
                bucket.changed.notify_all();
            }
        }
    }
}

//! A checker's atomics, each of whose accesses is noted in [`crate::steps`].

use crate::names::{Name, Nameable};
use crate::steps::{Access, Raw, Word, note_fence};
use core::sync::atomic::Ordering;

#[cfg(loom)]
use loom::sync::atomic as checker;
#[cfg(shuttle)]
use shuttle::sync::atomic as checker;

/// The checker's fence, noted.
#[track_caller]
pub fn fence(order: Ordering) {
    checker::fence(order);
    note_fence(order);
}

/// An atomic of the checker, and which one it is.
macro_rules! watched {
    ($name:ident $(<$param:ident>)?, $value:ty) => {
        /// The checker's atomic of this name; what is done to it is noted.
        #[derive(Debug)]
        pub struct $name $(<$param>)? {
            inner: checker::$name $(<$param>)?,
            word: Word,
        }

        impl $(<$param>)? Nameable for $name $(<$param>)? {
            fn with_name(mut self, name: &'static Name) -> Self {
                self.word.name = Some(name);
                self
            }
        }

        impl $(<$param>)? $name $(<$param>)? {
            /// Holds `value`.
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Self { inner: checker::$name::new(value), word: Word::new() }
            }

            /// As core's.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                let value = self.inner.load(order);
                self.word.note(Access::Load(value.raw()), order);
                value
            }

            /// As core's.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                self.inner.store(value, order);
                self.word.note(Access::Store(value.raw()), order);
            }

            /// As core's.
            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                let before = self.inner.swap(value, order);
                self.word.note(Access::Change(before.raw(), value.raw()), order);
                before
            }

            /// As core's.
            ///
            /// # Errors
            ///
            /// What it held, if that is not `now`.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                now: $value,
                next: $value,
                order: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let outcome = self.inner.compare_exchange(now, next, order, failure);
                match outcome {
                    Ok(before) => self.word.note(Access::Change(before.raw(), next.raw()), order),
                    Err(found) => self.word.note(Access::Kept(found.raw(), now.raw()), failure),
                }
                outcome
            }

            /// As core's; never fails for nothing.
            ///
            /// # Errors
            ///
            /// What it held, if that is not `now`.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                now: $value,
                next: $value,
                order: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(now, next, order, failure)
            }
        }
    };
}

/// What only numbers can do.
macro_rules! watched_number {
    ($name:ident, $value:ty) => {
        watched!($name, $value);

        impl $name {
            /// As core's.
            #[track_caller]
            pub fn fetch_add(&self, by: $value, order: Ordering) -> $value {
                let before = self.inner.fetch_add(by, order);
                self.changed(before, before.wrapping_add(by), order)
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_sub(&self, by: $value, order: Ordering) -> $value {
                let before = self.inner.fetch_sub(by, order);
                self.changed(before, before.wrapping_sub(by), order)
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_and(&self, mask: $value, order: Ordering) -> $value {
                let before = self.inner.fetch_and(mask, order);
                self.changed(before, before & mask, order)
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_or(&self, mask: $value, order: Ordering) -> $value {
                let before = self.inner.fetch_or(mask, order);
                self.changed(before, before | mask, order)
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_xor(&self, mask: $value, order: Ordering) -> $value {
                let before = self.inner.fetch_xor(mask, order);
                self.changed(before, before ^ mask, order)
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_max(&self, other: $value, order: Ordering) -> $value {
                let before = self.inner.fetch_max(other, order);
                self.changed(before, before.max(other), order)
            }

            /// As core's.
            ///
            /// # Errors
            ///
            /// What it held, if `next` has nothing to put there.
            #[track_caller]
            pub fn fetch_update(
                &self,
                order: Ordering,
                failure: Ordering,
                mut next: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut now = self.load(failure);
                while let Some(value) = next(now) {
                    match self.compare_exchange(now, value, order, failure) {
                        Ok(before) => return Ok(before),
                        Err(found) => now = found,
                    }
                }
                Err(now)
            }

            #[track_caller]
            fn changed(&self, before: $value, after: $value, order: Ordering) -> $value {
                self.word
                    .note(Access::Change(before.raw(), after.raw()), order);
                before
            }
        }
    };
}

watched!(AtomicBool, bool);
watched!(AtomicPtr<T>, *mut T);
watched_number!(AtomicU8, u8);
watched_number!(AtomicU32, u32);
watched_number!(AtomicU64, u64);
watched_number!(AtomicUsize, usize);

macro_rules! default {
    ($($name:ident)*) => {$(
        impl Default for $name {
            #[track_caller]
            fn default() -> Self {
                Self::new(Default::default())
            }
        }
    )*};
}

default!(AtomicBool AtomicU8 AtomicU32 AtomicU64 AtomicUsize);

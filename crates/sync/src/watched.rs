//! A checker's atomics, each of whose accesses is noted in [`crate::steps`].
//!
//! Loom changes threads before an access, so that a note after it is in its place. Shuttle changes
//! them before and after; there the note is made by the function that its update calls in between.

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

            /// Makes an access: `note` says what becomes of a value, `make` makes it.
            #[cfg(loom)]
            #[track_caller]
            fn access(
                &self,
                (order, failure): (Ordering, Ordering),
                note: impl Fn($value) -> (Access, Option<$value>),
                make: impl FnOnce(&checker::$name $(<$param>)?) -> Result<$value, $value>,
            ) -> Result<$value, $value> {
                let outcome = make(&self.inner);
                let (found, order) = match outcome {
                    Ok(found) => (found, order),
                    Err(found) => (found, failure),
                };
                self.word.note(note(found).0, order);
                outcome
            }

            /// Makes an access: `note` says what becomes of a value.
            #[cfg(shuttle)]
            #[track_caller]
            fn access(
                &self,
                (order, failure): (Ordering, Ordering),
                note: impl Fn($value) -> (Access, Option<$value>),
                _make: impl FnOnce(&checker::$name $(<$param>)?) -> Result<$value, $value>,
            ) -> Result<$value, $value> {
                let at = core::panic::Location::caller();
                self.inner.fetch_update(order, failure, |found| {
                    let (access, next) = note(found);
                    self.word.note_at(at, access, if next.is_some() { order } else { failure });
                    next
                })
            }

            /// As core's.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                self.access(
                    (order, order),
                    |now| (Access::Load(now.raw()), None),
                    |inner| Err(inner.load(order)),
                )
                .unwrap_or_else(core::convert::identity)
            }

            /// As core's.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                let _ = self.access(
                    (order, order),
                    |_| (Access::Store(value.raw()), Some(value)),
                    |inner| {
                        inner.store(value, order);
                        Ok(value)
                    },
                );
            }

            /// As core's.
            #[track_caller]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                self.access(
                    (order, order),
                    |now| (Access::Change(now.raw(), value.raw()), Some(value)),
                    |inner| Ok(inner.swap(value, order)),
                )
                .unwrap_or_else(core::convert::identity)
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
                self.access(
                    (order, failure),
                    |found| {
                        if found == now {
                            (Access::Change(found.raw(), next.raw()), Some(next))
                        } else {
                            (Access::Kept(found.raw(), now.raw()), None)
                        }
                    },
                    |inner| inner.compare_exchange(now, next, order, failure),
                )
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
                self.change(
                    order,
                    |before| before.wrapping_add(by),
                    |inner| inner.fetch_add(by, order),
                )
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_sub(&self, by: $value, order: Ordering) -> $value {
                self.change(
                    order,
                    |before| before.wrapping_sub(by),
                    |inner| inner.fetch_sub(by, order),
                )
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_and(&self, mask: $value, order: Ordering) -> $value {
                self.change(
                    order,
                    |before| before & mask,
                    |inner| inner.fetch_and(mask, order),
                )
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_or(&self, mask: $value, order: Ordering) -> $value {
                self.change(
                    order,
                    |before| before | mask,
                    |inner| inner.fetch_or(mask, order),
                )
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_xor(&self, mask: $value, order: Ordering) -> $value {
                self.change(
                    order,
                    |before| before ^ mask,
                    |inner| inner.fetch_xor(mask, order),
                )
            }

            /// As core's.
            #[track_caller]
            pub fn fetch_max(&self, other: $value, order: Ordering) -> $value {
                self.change(
                    order,
                    |before| before.max(other),
                    |inner| inner.fetch_max(other, order),
                )
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
            fn change(
                &self,
                order: Ordering,
                next: impl Fn($value) -> $value,
                make: impl FnOnce(&checker::$name) -> $value,
            ) -> $value {
                self.access(
                    (order, order),
                    |now| (Access::Change(now.raw(), next(now).raw()), Some(next(now))),
                    |inner| Ok(make(inner)),
                )
                .unwrap_or_else(core::convert::identity)
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

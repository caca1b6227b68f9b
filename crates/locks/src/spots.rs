//! Spots where threads say what they read, so that they need not write to it.
//!
//! A reader writes the address of a lock into a spot of its own; a writer that wants the lock
//! looks through all spots. Each thread has a [`Record`] of [`SPOTS`] spots on cache lines of its
//! own. Fences come from the caller, as in the table of [`crate::bias`].
//!
//! # Safety
//!
//! Records are leaked and linked into a list that only grows: a pointer to one is valid forever.
#![expect(unsafe_code, reason = "follows a list of records that live forever")]

use alloc::alloc::{Layout, alloc};
use core::ptr;
use vmaple_sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;

static SPOT: Name = Name::new("spot");
static RECORDS: Name = Name::new("records");
static IS_OWNED: Name = Name::new("record is owned");

/// How many locks a thread can hold by spots at once; beyond, it uses the reference count.
pub(crate) const SPOTS: usize = 7;

/// Holds the address of a lock, or 0.
pub(crate) type Spot = AtomicUsize;

/// A thread's spots.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Record {
    pub(crate) spots: [Spot; SPOTS],
    /// Whether a thread owns this record. Free records are taken over by new threads.
    is_owned: AtomicBool,
    /// Set before the record is published, then constant.
    next: *const Record,
}

// SAFETY: `next` points at a record that lives forever and is shared by atomics only.
unsafe impl Send for Record {}
// SAFETY: As above; `next` is constant once the record can be seen.
unsafe impl Sync for Record {}

/// All records.
#[derive(Debug)]
pub(crate) struct SpotTable {
    /// The head of the list. Only grows.
    records: AtomicPtr<Record>,
}

impl SpotTable {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) const fn new() -> Self {
        Self {
            records: named(&RECORDS, AtomicPtr::new(ptr::null_mut())),
        }
    }

    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self {
            records: named(&RECORDS, AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// A record for the calling thread: a free one, or a new one that is never freed. `None`
    /// without memory.
    pub(crate) fn register(&self) -> Option<&'static Record> {
        self.take_free_record().or_else(|| self.add_record())
    }

    fn take_free_record(&self) -> Option<&'static Record> {
        self.records().find(|record| {
            // Acquire: pairs with the Release in `unregister`. Relaxed: a failure reads nothing.
            // There is no witness: a record's fields are atomics, and nothing else is passed on.
            record
                .is_owned
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        })
    }

    fn add_record(&self) -> Option<&'static Record> {
        // SAFETY: The layout of a record is not empty.
        let memory = unsafe { alloc(Layout::new::<Record>()) }.cast::<Record>();
        if memory.is_null() {
            return None;
        }
        let record = Record {
            spots: core::array::from_fn(|_| named(&SPOT, Spot::new(0))),
            is_owned: named(&IS_OWNED, AtomicBool::new(true)),
            next: ptr::null(),
        };
        // SAFETY: Fresh memory of this layout.
        unsafe { memory.write(record) };
        // Relaxed: only a first guess for the exchange below.
        let mut head = self.records.load(Ordering::Relaxed);
        loop {
            // SAFETY: Nobody else knows the record before the exchange succeeds.
            unsafe { (*memory).next = head };
            // Release: pairs with the Acquire in `records`; whoever finds the record sees its
            // fields. There is no witness: loom does not watch the fields of a record.
            match self
                .records
                .compare_exchange(head, memory, Ordering::Release, Ordering::Relaxed)
            {
                // SAFETY: Initialized, and never freed.
                Ok(_) => return Some(unsafe { &*memory }),
                Err(now) => head = now,
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = &'static Record> {
        // Acquire: pairs with the Release in `add_record`. There is no witness: see there.
        let mut next = self.records.load(Ordering::Acquire).cast_const();
        core::iter::from_fn(move || {
            // SAFETY: Null, or a record, which lives forever and is initialized before it is
            // linked; the Acquire above and the chain of exchanges order that.
            let record = unsafe { next.as_ref() }?;
            next = record.next;
            Some(record)
        })
    }

    /// Whether some spot holds `address`. O(threads).
    pub(crate) fn is_held(&self, address: usize) -> bool {
        self.records().any(|record| {
            record.spots.iter().any(|spot| {
                // Acquire: pairs with the Release in `set` and `clear`: what the reader read, it
                // read before the writer writes. Witness: `checks::biased_reader_then_writer`.
                spot.load(Ordering::Acquire) == address
            })
        })
    }
}

impl Record {
    /// A spot that holds nothing. For the record's thread.
    #[inline]
    pub(crate) fn free_spot(&self) -> Option<&Spot> {
        // Relaxed: only this thread writes its spots. The first is nearly always free, and to
        // guess that right costs less than to keep a list of those in use.
        self.spots
            .iter()
            .find(|spot| spot.load(Ordering::Relaxed) == 0)
    }

    /// Whether no spot holds anything.
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: only this thread writes its spots.
        self.spots
            .iter()
            .all(|spot| spot.load(Ordering::Relaxed) == 0)
    }

    /// Gives the record back at its thread's end.
    pub(crate) fn unregister(&self) {
        // Release: pairs with the Acquire in `take_free_record`. There is no witness: see there.
        self.is_owned.store(false, Ordering::Release);
    }
}

/// Writes the address of a lock into a free spot of this thread.
#[inline]
pub(crate) fn set(spot: &Spot, address: usize) {
    // Release: pairs with the Acquire in `is_held`: a writer that finds another lock here knows
    // that the reading of the one before is over.
    // Witness: `checks::a_spot_used_again`.
    spot.store(address, Ordering::Release);
}

/// Empties a spot.
#[inline]
pub(crate) fn clear(spot: &Spot) {
    // Release: pairs with the Acquire in `is_held`.
    // Witness: `checks::biased_reader_then_writer`.
    let order = if planted!("clear_relaxed") {
        Ordering::Relaxed
    } else {
        Ordering::Release
    };
    spot.store(0, order);
}

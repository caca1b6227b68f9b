//! The reclamation protocol: which readers are inside, and since when.
//!
//! A [`Domain`] has an *epoch*, a counter that only grows. A reader copies it into its own
//! [`Record`] on entering and writes 0 on leaving. A writer unlinks, then raises the epoch to
//! `e`; the grace period `e` has elapsed when every record holds 0 or at least `e`.
//!
//! ```text
//! reader                              writer
//! v = epoch          (Acquire)        unlink
//! record = v         (Release)        epoch = e            (Release)
//! ---- light fence ----               ---- heavy fence ----
//! walk                                v = record           (Acquire)
//! record = 0         (Release)        free if v == 0 or v >= e
//! ```
//!
//! 1. The writer reads 0 from *before* the reader entered: by the fences, the reader's walk comes
//!    after the unlink and cannot meet the object.
//! 2. It reads 0 from *after* the reader left: Release/Acquire order the walk before the free.
//! 3. It reads a value >= e: the reader saw the raised epoch before its walk, hence the unlink;
//!    what it did in earlier sections is ordered as in 2, because entering is a Release too.
//!
//! # Safety
//!
//! Records are leaked and linked into a list that only grows: a pointer to one is valid forever.
#![expect(unsafe_code, reason = "follows a list of records that live forever")]

use crate::backend::GracePeriod;
use crate::fence;
use alloc::boxed::Box;
use core::ptr;
use vmaple_sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// A record's epoch while its thread is outside.
const OUTSIDE: u64 = 0;

/// A set of readers and the epochs in which they entered.
#[derive(Debug)]
pub struct Domain {
    /// Raised by writers, copied by readers; starts at 1 so that it never equals [`OUTSIDE`].
    epoch: AtomicU64,
    /// The highest period known to have elapsed: spares the fence on a second question.
    elapsed: AtomicU64,
    /// The head of the list of records. Only grows.
    records: AtomicPtr<Record>,
}

/// A reader's mark, one per thread; on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub struct Record {
    /// [`OUTSIDE`], or the epoch in which its thread entered. Written by its thread only.
    epoch: AtomicU64,
    /// Whether a thread owns this record. Free records are taken over by new threads.
    is_owned: AtomicBool,
    /// Set before the record is published, then constant.
    next: *const Record,
}

// SAFETY: `next` points at a record that lives forever and is shared by atomics only.
unsafe impl Send for Record {}
// SAFETY: As above; `next` is constant once the record can be seen.
unsafe impl Sync for Record {}

impl Default for Domain {
    fn default() -> Self {
        Self::new()
    }
}

impl Domain {
    /// A domain without readers.
    #[cfg(not(any(loom, shuttle)))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            epoch: AtomicU64::new(1),
            elapsed: AtomicU64::new(1),
            records: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// A domain without readers.
    #[cfg(any(loom, shuttle))]
    #[must_use]
    pub fn new() -> Self {
        Self {
            epoch: AtomicU64::new(1),
            elapsed: AtomicU64::new(1),
            records: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Gives the calling thread a record: a free one, or a new one that is never freed.
    #[must_use]
    pub fn register(&self) -> &'static Record {
        fence::prepare();
        let record = self.take_free_record().unwrap_or_else(|| self.add_record());
        // SeqCst fence: pairs with the one in `heavy`. A writer that misses this record (or finds
        // it free) has its unlink before our first walk. Loom has no witness: `enter` fences again
        // before the walk, so without this one every model still passes.
        vmaple_sync::atomic::fence(Ordering::SeqCst);
        record
    }

    fn take_free_record(&self) -> Option<&'static Record> {
        self.records().find(|record| {
            // Acquire: pairs with the Release in `unregister`; Relaxed: a failure reads nothing.
            // Loom has no witness: a record's fields are atomics, and nothing else is passed on.
            record
                .is_owned
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        })
    }

    fn add_record(&self) -> &'static Record {
        let record = Box::leak(Box::new(Record {
            epoch: AtomicU64::new(OUTSIDE),
            is_owned: AtomicBool::new(true),
            next: ptr::null(),
        }));
        // Relaxed: only a first guess for the exchange below.
        let mut head = self.records.load(Ordering::Relaxed);
        loop {
            record.next = head;
            // Release: pairs with the Acquire in `records`; whoever finds the record sees its
            // fields. Loom has no witness: it does not watch the fields of a record.
            match self
                .records
                .compare_exchange(head, record, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return record,
                Err(now) => head = now,
            }
        }
    }

    fn records(&self) -> impl Iterator<Item = &'static Record> {
        // Acquire: pairs with the Release in `add_record`.
        // Witness: `tests/loom.rs::sections_in_a_row`.
        let mut next = self.records.load(Ordering::Acquire).cast_const();
        core::iter::from_fn(move || {
            // SAFETY: Null, or a record, which lives forever and is initialized before it is
            // linked; the Acquire above and the chain of exchanges order that.
            let record = unsafe { next.as_ref() }?;
            next = record.next;
            Some(record)
        })
    }

    /// Enters a read section on the record's thread. Does not nest: the caller counts.
    #[inline]
    pub fn enter(&self, record: &Record) {
        // Acquire: pairs with the Release in `start_grace_period`; a reader in epoch e sees every
        // unlink before e. Loom has no witness for it: there `light` is a fence, which does the
        // same; with `membarrier` nothing else does.
        let epoch = self.epoch.load(Ordering::Acquire);
        // Release: pairs with the Acquire in `has_elapsed`; earlier sections of this thread are
        // over for whoever reads this epoch. Witness: `tests/loom.rs::sections_in_a_row`.
        record.epoch.store(epoch, Ordering::Release);
        fence::light();
    }

    /// Leaves the read section.
    #[inline]
    pub fn leave(&self, record: &Record) {
        // Release: pairs with the Acquire in `has_elapsed`; the walk happens before the free.
        // Witness: `tests/loom.rs::a_reader_keeps_what_it_sees`.
        record.epoch.store(OUTSIDE, Ordering::Release);
    }

    /// Gives a record back when its thread ends.
    pub fn unregister(&self, record: &Record) {
        // Release: pairs with the Acquire in `take_free_record`. Loom has no witness: see there.
        record.is_owned.store(false, Ordering::Release);
    }

    /// Starts a grace period for everything unlinked before.
    pub fn start_grace_period(&self) -> GracePeriod {
        // Release: pairs with the Acquire in `enter`. Acquire: orders the writers of one domain.
        // Loom has no witness: weakened, it still passes `tests/loom.rs`.
        GracePeriod(self.epoch.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// Whether every section entered before `period` has been left.
    pub fn has_elapsed(&self, period: GracePeriod) -> bool {
        // Acquire: pairs with the Release below; what that scan saw happens before our free.
        // Loom has no witness: no model asks twice about one period from two threads.
        if self.elapsed.load(Ordering::Acquire) >= period.0 {
            return true;
        }
        fence::heavy();
        let oldest = self
            .records()
            // Acquire: pairs with the Release in `leave` and `enter`.
            // Witness: `tests/loom.rs::a_reader_keeps_what_it_sees`.
            .map(|record| record.epoch.load(Ordering::Acquire))
            .filter(|epoch| *epoch != OUTSIDE)
            .min();
        if oldest.is_some_and(|epoch| epoch < period.0) {
            return false;
        }
        // Release: pairs with the Acquire above. Loom has no witness: see there.
        self.elapsed.fetch_max(period.0, Ordering::AcqRel);
        true
    }

    /// Counts the records, owned or free: how many threads have read at once at most.
    #[must_use]
    pub fn nr_records(&self) -> usize {
        self.records().count()
    }
}

//! The reclamation protocol: which readers are inside, and since when.
//!
//! A [`Domain`] has an *epoch*, an even counter that only grows. A reader has a [`Record`] with its
//! *mark*: on entering it copies the epoch there and makes it odd, on leaving it makes it even
//! again. A writer unlinks, then raises the epoch to `e`; the grace period `e` has elapsed when
//! every mark is even or above `e`.
//!
//! ```text
//! reader                              writer
//! v = epoch          (Acquire)        unlink
//! mark = v + 1       (Release)        epoch = e            (Release)
//! ---- light fence ----               ---- heavy fence ----
//! walk                                m = mark             (Acquire)
//! mark = v           (Release)        free if m is even or m > e
//! ```
//!
//! 1. The writer reads an even mark from *before* the reader entered: by the fences, the reader's
//!    walk comes after the unlink and cannot meet the object.
//! 2. It reads an even mark from *after* the reader left: Release/Acquire order the walk before the
//!    free.
//! 3. It reads a mark of at least `e`, even or odd: the reader saw the raised epoch before its
//!    walk, hence the unlink, and so it will in later walks; what it did in earlier sections is
//!    ordered as in 2, because entering is a Release too.
//!
//! Case 3 needs no fence. While every reader comes and goes, each soon marks the new epoch, and the
//! writer sees that for nothing ([`Domain::has_visibly_elapsed`]). Only for a reader that has not
//! come since it must fence, which interrupts every processor at work.
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
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;

/// By how much the epoch grows: marks have its parity for themselves.
const STEP: u64 = 2;
/// The bit of a mark that says that its thread is inside.
const INSIDE: u64 = 1;

/// A set of readers and the epochs in which they entered.
#[derive(Debug)]
pub struct Domain {
    /// Raised by writers, copied by readers; starts above the mark of who was never inside.
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
    /// The epoch in which its thread entered last, with [`INSIDE`] until it leaves. Written by its
    /// thread only.
    mark: AtomicU64,
    /// Whether a thread owns this record. Free records are taken over by new threads.
    is_owned: AtomicBool,
    /// Set before the record is published, then constant.
    next: *const Record,
}

// SAFETY: `next` points at a record that lives forever and is shared by atomics only.
unsafe impl Send for Record {}
// SAFETY: As above; `next` is constant once the record can be seen.
unsafe impl Sync for Record {}

impl Record {
    /// Whether its thread is in a section; for that thread to ask.
    #[inline]
    #[must_use]
    pub fn is_inside(&self) -> bool {
        // Relaxed: written by this thread.
        self.mark.load(Ordering::Relaxed) & INSIDE != 0
    }
}

impl Default for Domain {
    fn default() -> Self {
        Self::new()
    }
}

static EPOCH: Name = Name::new("epoch");
static ELAPSED: Name = Name::new("elapsed");
static RECORDS: Name = Name::new("records");
static MARK: Name = Name::with_bits("reader's mark", &[(INSIDE, "INSIDE")]);
static IS_OWNED: Name = Name::new("record is owned");

impl Domain {
    /// A domain without readers.
    #[cfg(not(any(loom, shuttle)))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            epoch: named(&EPOCH, AtomicU64::new(STEP)),
            elapsed: named(&ELAPSED, AtomicU64::new(STEP)),
            records: named(&RECORDS, AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// A domain without readers.
    #[cfg(any(loom, shuttle))]
    #[must_use]
    pub fn new() -> Self {
        Self {
            epoch: named(&EPOCH, AtomicU64::new(STEP)),
            elapsed: named(&ELAPSED, AtomicU64::new(STEP)),
            records: named(&RECORDS, AtomicPtr::new(ptr::null_mut())),
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
            mark: named(&MARK, AtomicU64::new(0)),
            is_owned: named(&IS_OWNED, AtomicBool::new(true)),
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
        record.mark.store(epoch | INSIDE, Ordering::Release);
        fence::light();
    }

    /// Enters as a reader does whose fence the writer's barrier is, for models without a barrier.
    #[cfg(loom)]
    pub fn enter_unfenced(&self, record: &Record) {
        // Acquire: as in `enter`.
        // Witness: `tests/loom.rs::a_reader_that_comes_again_has_visibly_left`.
        let epoch = self.epoch.load(Ordering::Acquire);
        // Release: as in `enter`.
        // Witness: `tests/loom.rs::a_reader_that_comes_again_has_visibly_left`.
        record.mark.store(epoch | INSIDE, Ordering::Release);
    }

    /// Leaves the read section.
    #[inline]
    pub fn leave(&self, record: &Record) {
        // Relaxed: written by this thread.
        let mark = record.mark.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `has_elapsed`; the walk happens before the free.
        // Witness: `tests/loom.rs::a_reader_keeps_what_it_sees`.
        record.mark.store(mark & !INSIDE, Ordering::Release);
    }

    /// Gives a record back when its thread ends.
    pub fn unregister(&self, record: &Record) {
        // Release: pairs with the Acquire in `take_free_record`, and in `has_visibly_elapsed`: the
        // sections were left before. Witness: `tests/loom.rs::a_reader_that_ended_has_visibly_left`.
        record.is_owned.store(false, Ordering::Release);
    }

    /// Starts a grace period for everything unlinked before.
    pub fn start_grace_period(&self) -> GracePeriod {
        // Release: pairs with the Acquire in `enter`. Acquire: orders the writers of one domain.
        // Loom has no witness: weakened, it still passes `tests/loom.rs`.
        GracePeriod(self.epoch.fetch_add(STEP, Ordering::AcqRel) + STEP)
    }

    /// Whether every section entered before `period` has been left.
    pub fn has_elapsed(&self, period: GracePeriod) -> bool {
        // Acquire: pairs with the Release in `note_elapsed`; what that scan saw happens before our
        // free. Loom has no witness: see there.
        if self.elapsed.load(Ordering::Acquire) >= period.0 {
            return true;
        }
        fence::heavy();
        let is_open = self.records().any(|record| {
            // Acquire: pairs with the Release in `leave` and `enter`.
            // Witness: `tests/loom.rs::a_reader_keeps_what_it_sees`.
            let mark = record.mark.load(Ordering::Acquire);
            mark & INSIDE != 0 && mark < period.0
        });
        !is_open && self.note_elapsed(period)
    }

    /// Whether every reader has shown by itself that it left the sections it entered before
    /// `period`, by entering one since, or by the end of its thread.
    ///
    /// Interrupts nobody. `false` says only that it is not known: a reader that does not come again
    /// is asked by [`has_elapsed`](Self::has_elapsed). `own` is the calling thread's record, if it
    /// has one: it need not come again.
    pub fn has_visibly_elapsed(&self, period: GracePeriod, own: Option<&Record>) -> bool {
        // Acquire: pairs with the Release in `note_elapsed`. Loom has no witness: see there.
        if self.elapsed.load(Ordering::Acquire) >= period.0 {
            return true;
        }
        // SeqCst: pairs with the fence in `register`. Either we see that a record is owned, or its
        // new owner sees what was unlinked. Loom has no witness: `enter` fences there, see
        // `register`.
        vmaple_sync::atomic::fence(Ordering::SeqCst);
        let is_unknown = self.records().any(|record| {
            // Acquire: pairs with the Release in `unregister`; the sections of a thread that gave
            // its record back are over.
            // Witness: `tests/loom.rs::a_reader_that_ended_has_visibly_left`.
            if !record.is_owned.load(Ordering::Acquire) {
                return false;
            }
            // Acquire: pairs with the Release in `enter` and `leave`.
            // Witness: `tests/loom.rs::a_reader_that_comes_again_has_visibly_left`.
            let mark = record.mark.load(Ordering::Acquire);
            let is_mine = own.is_some_and(|own| ptr::eq(own, record));
            let is_left = mark & INSIDE == 0 && (is_mine || planted!("outside_unfenced"));
            mark < period.0 && !is_left
        });
        !is_unknown && self.note_elapsed(period)
    }

    fn note_elapsed(&self, period: GracePeriod) -> bool {
        // Release: pairs with the Acquire where `elapsed` is read.
        // Loom has no witness: no model asks twice about one period from two threads.
        self.elapsed.fetch_max(period.0, Ordering::AcqRel);
        true
    }

    /// Counts the records, owned or free: how many threads have read at once at most.
    #[must_use]
    pub fn nr_records(&self) -> usize {
        self.records().count()
    }
}

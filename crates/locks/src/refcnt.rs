//! `vm_refcnt`: one word that says whether a VMA is in a tree, who reads it, and whether a writer
//! waits.
//!
//! | value | meaning |
//! |---|---|
//! | 0 | detached: nobody can take a reference |
//! | 1 | attached, no reader (write-locked or not: the sequence numbers decide) |
//! | 1 + n | attached, n readers, some of them perhaps about to find that they may not |
//! | FLAG + 1 + n | attached, a writer waits for n readers; nobody else gets in |
//! | FLAG + 1 | attached, the writer has it for itself |
//! | FLAG + n | being detached: the attachment is dropped, n readers about to leave |
//!
//! The flag is there only while a writer *takes* its lock. Afterwards the word is 1 again, and
//! readers find the writer's sequence number.
//!
//! Readers change the word by one, whoever they are; the rest is the writer's, and there is one
//! writer. The word outlives what it counts: the memory under it is type-stable.

use vmaple_sync::atomic::{AtomicU32, Ordering};
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;

/// A writer keeps new readers out.
#[doc(alias = "VM_REFCNT_EXCLUDE_READERS_FLAG")]
#[doc(alias = "VMA_LOCK_OFFSET")]
pub(crate) const EXCLUDE_READERS: u32 = 1 << 30;

/// The highest value without the flag.
#[doc(alias = "VM_REFCNT_LIMIT")]
#[doc(alias = "VMA_REF_LIMIT")]
pub(crate) const LIMIT: u32 = EXCLUDE_READERS - 1;

static VM_REFCNT: Name = Name::with_bits("vm_refcnt", &[(EXCLUDE_READERS as u64, "FLAG")]);

/// The word.
#[derive(Debug)]
pub(crate) struct Refcnt(AtomicU32);

/// What came of asking for a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Get {
    /// It is the caller's now, who owes a [`Refcnt::put`].
    Taken,
    /// The object is in no tree.
    Detached,
    /// A writer is taking its lock.
    Excluded,
    /// There are as many as the word can count.
    AtLimit,
}

/// What a reader that leaves has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Put {
    /// Nothing.
    Done,
    /// Wake the writer, who waits for this.
    WakeWriter,
}

/// What is left when the attachment is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Detach {
    /// Nobody has a reference.
    Done,
    /// Readers that have not found out yet; the flag keeps others out.
    WaitForReaders,
}

impl Refcnt {
    /// In no tree.
    pub(crate) fn detached() -> Self {
        Self(named(&VM_REFCNT, AtomicU32::new(0)))
    }

    /// Asks for a reference.
    #[inline]
    pub(crate) fn try_get(&self) -> Get {
        // Relaxed: a first guess for the exchange.
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            if now == 0 {
                return Get::Detached;
            }
            if now >= LIMIT + u32::from(planted!("limit_ignored")) {
                return if now == LIMIT {
                    Get::AtLimit
                } else {
                    Get::Excluded
                };
            }
            // Acquire: pairs with the Release in `attach` (what the VMA is was written before) and
            // with the one in `admit_readers` (so was the writer's sequence number).
            // Witness: `checks::attach_then_read`, `writer_excludes_readers`.
            let order = if planted!("get_relaxed") {
                Ordering::Relaxed
            } else {
                Ordering::Acquire
            };
            // Relaxed: a failure only looks again.
            match self
                .0
                .compare_exchange_weak(now, now + 1, order, Ordering::Relaxed)
            {
                Ok(_) => return Get::Taken,
                Err(seen) => now = seen,
            }
        }
    }

    /// Gives a reference back.
    #[inline]
    pub(crate) fn put(&self) -> Put {
        // Release: pairs with the Acquire in `is_alone` and `drop_attachment`: what this reader
        // read, it read before the writer writes. Witness: `checks::writer_excludes_readers`.
        let order = if planted!("put_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        let left = self.0.fetch_sub(1, order) - 1;
        if left & EXCLUDE_READERS != 0 && left <= EXCLUDE_READERS + 1 {
            Put::WakeWriter
        } else {
            Put::Done
        }
    }

    /// Makes the object visible to readers: the tree's reference.
    #[doc(alias = "vma_mark_attached")]
    pub(crate) fn attach(&self) {
        // Relaxed: only the owner of a detached object changes its word.
        debug_assert_eq!(self.0.load(Ordering::Relaxed), 0, "attached twice");
        // Release: pairs with the Acquire in `try_get`.
        // Witness: `checks::attach_then_read`.
        let order = if planted!("attach_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.0.store(1, order);
    }

    /// Keeps new readers out, if the object is attached.
    #[doc(alias = "__vma_start_exclude_readers")]
    pub(crate) fn exclude_readers(&self) -> bool {
        // Relaxed: orders nothing; `is_alone` does.
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                debug_assert_eq!(now & EXCLUDE_READERS, 0, "one writer at a time");
                (now != 0).then_some(now + EXCLUDE_READERS)
            })
            .is_ok()
    }

    /// Whether every reader has left since [`exclude_readers`](Self::exclude_readers).
    #[inline]
    pub(crate) fn is_alone(&self, attachment: Attachment) -> bool {
        let target = match attachment {
            Attachment::There => EXCLUDE_READERS + 1,
            Attachment::Dropped => EXCLUDE_READERS,
        };
        // Acquire: pairs with the Release in `put`.
        // Witness: `checks::writer_excludes_readers`.
        self.0.load(Ordering::Acquire) == target
    }

    /// Lets readers ask again.
    #[doc(alias = "__vma_end_exclude_readers")]
    pub(crate) fn admit_readers(&self) {
        // Release: pairs with the Acquire in `try_get`: who gets a reference after this sees the
        // sequence number that the writer has stored before.
        // Witness: `checks::writer_excludes_readers`.
        let order = if planted!("admit_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        let before = self.0.fetch_sub(EXCLUDE_READERS, order);
        debug_assert_ne!(before & EXCLUDE_READERS, 0, "readers were not excluded");
    }

    /// Drops the tree's reference.
    #[doc(alias = "vma_mark_detached")]
    pub(crate) fn drop_attachment(&self) -> Detach {
        // Acquire: pairs with the Release in `put`; the object's next owner comes after its last
        // reader. There is no witness: a reader that may still be there has read atomics only.
        let left = self.0.fetch_sub(1, Ordering::Acquire) - 1;
        debug_assert_eq!(left & EXCLUDE_READERS, 0, "one writer at a time");
        if left == 0 || planted!("detach_does_not_wait") || !self.exclude_readers() {
            Detach::Done
        } else {
            Detach::WaitForReaders
        }
    }

    /// What copying a fresh object over a used one did in bug 47.
    pub(crate) fn overwrite(&self) {
        // Relaxed: it is wrong in any order.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether it is in a tree, or was a moment ago.
    pub(crate) fn is_attached(&self) -> bool {
        // Relaxed: a report; the caller keeps the writer out if it wants more.
        self.0.load(Ordering::Relaxed) & LIMIT != 0
    }

    /// The word, for tests and reports.
    pub(crate) fn value(&self) -> u32 {
        // Relaxed: a report.
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the tree's own reference is still counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attachment {
    /// A writer locks it.
    There,
    /// It is being detached.
    Dropped,
}

#[cfg(all(test, not(loom), not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_detached_object_gives_no_reference() {
        let word = Refcnt::detached();
        assert_eq!(word.try_get(), Get::Detached);
        assert!(!word.exclude_readers());
        word.attach();
        assert_eq!(word.try_get(), Get::Taken);
        assert_eq!(word.put(), Put::Done);
    }

    #[test]
    fn a_writer_keeps_new_readers_out_and_is_woken_by_the_last() {
        let word = Refcnt::detached();
        word.attach();
        assert_eq!([word.try_get(), word.try_get()], [Get::Taken; 2]);
        assert!(word.exclude_readers());
        assert_eq!(word.try_get(), Get::Excluded);
        assert_eq!(word.put(), Put::Done);
        assert!(!word.is_alone(Attachment::There));
        assert_eq!(word.put(), Put::WakeWriter);
        assert!(word.is_alone(Attachment::There));
        word.admit_readers();
        assert_eq!(word.value(), 1);
    }

    #[test]
    fn detaching_waits_for_a_reader_that_has_not_found_out() {
        let word = Refcnt::detached();
        word.attach();
        assert_eq!(word.try_get(), Get::Taken);
        assert_eq!(word.drop_attachment(), Detach::WaitForReaders);
        assert_eq!(word.try_get(), Get::Excluded);
        assert_eq!(word.put(), Put::WakeWriter);
        assert!(word.is_alone(Attachment::Dropped));
        word.admit_readers();
        assert_eq!(word.value(), 0);
    }

    /// Bug 49: the limit is an answer, not an overflow into the flag.
    #[test]
    fn the_limit_refuses() {
        let word = Refcnt(AtomicU32::new(LIMIT - 1));
        assert_eq!(word.try_get(), Get::Taken);
        assert_eq!(word.try_get(), Get::AtLimit);
        assert_eq!(word.value(), LIMIT);
        assert_eq!(word.put(), Put::Done);
    }
}

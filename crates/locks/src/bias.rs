//! The bias of a VMA: whether it can be read without writing to it.
//!
//! Counting readers in the VMA's word is what Linux does; threads that read one hot VMA pass the
//! word's cache line around. A *biased* VMA is read by marks in places of the readers' own:
//!
//! ```text
//! reader                                   writer, having excluded readers by the count
//! spot = address of the lock   (Release)   bias = REVOKING
//! ---- light fence ----                    ---- heavy fence ----
//! bias == BIASED?              (Acquire)   no spot holds the address?   (Acquire)
//! read                                     bias = 0, store vm_lock_seq, write
//! spot = 0                     (Release)
//! ---- light fence ----
//! bias == REVOKING? wake the writer
//! ```
//!
//! 1. The reader's look comes before the writer's REVOKING: by the fences the writer's look comes
//!    after the reader's spot, and the writer waits for it.
//! 2. It comes after: the reader does not find BIASED, and goes the other way.
//! 3. The writer finds the spot taken and sleeps; by the same fences, the reader's second look
//!    finds REVOKING.
//!
//! A VMA becomes biased when it was read-locked by the count [`BIAS_AFTER`] times since it was
//! last write-locked, and is so until its next write lock. So a VMA that is written again and
//! again never pays for a heavy fence, and one that is read pays once per many reads. Read locks
//! of a walk over all VMAs do not count: who reads the maps in a loop would make every writer pay.
//! Only a reader that holds the count sets BIASED: then no writer is past it.

use crate::cancel::{Cancel, Cancelled, wait_until};
use vmaple_rcu::fence;
use vmaple_sync::atomic::{AtomicU32, Ordering};
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;
use vmaple_sync::wait::Wait;

/// Read locks by the count after which a VMA becomes biased.
const BIAS_AFTER: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 256 };

/// Readers may use spots. Set by a reader that holds the count, cleared by the writer.
const BIASED: u32 = 1 << 31;
/// A writer looks at the spots. Set and cleared by the writer.
const REVOKING: u32 = 1 << 30;

static BIAS: Name = Name::with_bits(
    "bias",
    &[(BIASED as u64, "BIASED"), (REVOKING as u64, "REVOKING")],
);

/// The bias of one lock; below the two marks, a count of read locks.
#[derive(Debug)]
pub(crate) struct Bias(AtomicU32);

impl Bias {
    pub(crate) fn new() -> Self {
        Self(named(&BIAS, AtomicU32::new(0)))
    }

    /// A fresh VMA is not biased. Only for the owner of a detached object.
    pub(crate) fn clear(&self) {
        // Relaxed: attaching the object publishes it.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Notes a read lock by the count, which the caller still holds.
    #[inline]
    pub(crate) fn note_read(&self) {
        // Relaxed: lost counts are fine, see below for the marks.
        let now = self.0.load(Ordering::Relaxed);
        if now & (BIASED | REVOKING) != 0 {
            return;
        }
        let next = if now + 1 >= BIAS_AFTER {
            BIASED
        } else {
            now + 1
        };
        // Release: pairs with the Acquire in `is_biased`: this reader has seen the last writer's
        // stores, and passes them on. The store cannot hide a mark: marks are changed by writers
        // that have waited for this reader, or set by readers alike.
        // Witness: `checks::bias_passes_on_what_was_written`.
        self.0.store(next, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_biased(&self) -> bool {
        // Acquire: pairs with the Release in `note_read`.
        // Witness: `checks::bias_passes_on_what_was_written`.
        self.0.load(Ordering::Acquire) == BIASED
    }

    /// Takes the bias away and waits for the readers who use it. The caller has excluded readers
    /// by the count; `event` is raised by a reader that leaves meanwhile.
    pub(crate) fn revoke<W: Wait>(
        &self,
        event: &AtomicU32,
        cancel: Option<&Cancel<W>>,
        mut is_held: impl FnMut() -> bool,
    ) -> Result<(), Cancelled> {
        // Relaxed: readers set it while they held the count, and this writer has waited for them.
        if self.0.load(Ordering::Relaxed) != BIASED {
            return Ok(());
        }
        // Relaxed: the fence orders it.
        self.0.store(REVOKING, Ordering::Relaxed);
        if !planted!("revoke_without_fence") {
            fence::heavy();
        }
        let outcome = if planted!("revoke_without_scan") {
            Ok(())
        } else {
            wait_until(event, cancel, || !is_held())
        };
        // Relaxed: the writer's next Release publishes it; a reader that still finds REVOKING
        // raises an event for nothing. After a cancelled wait readers use the count again.
        self.0.store(0, Ordering::Relaxed);
        outcome
    }

    /// Whether a writer may be asleep because of the spot that was just emptied.
    #[inline]
    pub(crate) fn must_wake(&self) -> bool {
        fence::light();
        // Relaxed: the fences order it, see the head.
        self.0.load(Ordering::Relaxed) == REVOKING
    }
}

#[cfg(all(test, not(loom), not(shuttle)))]
mod tests {
    use super::BIAS_AFTER;
    use crate::scheme::Biased;
    use crate::sequence::{Known, MmSeq};
    use crate::vma_lock::{Visit, VmaLock};
    use vmaple_sync::wait::Spin;

    /// Walks over all VMAs are no reason for a bias, lookups of one are.
    #[test]
    fn a_walk_leaves_no_bias() {
        let (lock, seq, known) = (VmaLock::new(), MmSeq::new(), Known::default());
        lock.attach(seq.begin());
        seq.end();
        let is_biased_after = |visit| {
            for _ in 0..2 * BIAS_AFTER {
                let hold = lock.start_read::<Biased, Spin>(&seq, visit, || true);
                lock.end_read::<Biased, Spin>(hold.expect("nobody writes"));
            }
            lock.bias.is_biased()
        };
        assert!(!is_biased_after(Visit::Passing(&known)));
        assert!(is_biased_after(Visit::Wanted));
    }
}

//! The lock of one VMA: reference count, sequence number and bias put together.
//!
//! A reader gets in when no writer keeps it out *and* the VMA's sequence number is not that of the
//! open write section. The order of its checks is the protocol:
//!
//! 1. (a) compare the numbers without ordering: spares the writes below, and may be wrong;
//! 2. (b) take a reference, with acquire: from here on the object is not recycled, and what it is
//!    was written before;
//! 3. (d) is it still a VMA of our address space? Only now, because only now it stays what it is;
//! 4. (e) compare the numbers, that of the address space with acquire: unlocked means that the
//!    last writer's stores are seen. A reader that has read a higher number before, with acquire,
//!    need not read it again.
//!
//! A writer is safe from this because it first keeps new readers out, waits for the old ones, then
//! stores its number, then lets readers ask again: a reader is waited for, or turned away by the
//! flag, or finds the number.
//!
//! With a bias (see [`crate::bias`]), finding the mark after leaving one's own replaces (a), (b)
//! and (e): the writer takes the mark away before it stores its number, and so do all who detach.

#[cfg(feature = "std")]
use crate::bias::Bias;
use crate::cancel::{Cancel, Cancelled, raise, wait_until};
use crate::refcnt::{Attachment, Detach, Get, Put, Refcnt};
use crate::scheme::{ReadScheme, Target};
use crate::sequence::{Known, MmSeq, NEVER_LOCKED, Section};
use vmaple_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;
use vmaple_sync::wait::Wait;

static VM_LOCK_SEQ: Name = Name::with_bits("vm_lock_seq", &[(NEVER_LOCKED, "never")]);
static EVENT: Name = Name::new("wake-ups");

/// The words of one lock. They outlive what they protect: their memory is type-stable.
#[derive(Debug)]
pub(crate) struct VmaLock {
    /// `vm_refcnt`.
    refcnt: Refcnt,
    /// `vm_lock_seq`: the write section in which it was write-locked last.
    lock_seq: AtomicU64,
    /// Counts what a waiting writer wants to hear of; what it sleeps on. It belongs to the lock
    /// and not to the address space: a reader that leaves touches nothing else.
    pub(crate) event: AtomicU32,
    #[cfg(feature = "std")]
    pub(crate) bias: Bias,
}

/// How a reader holds the lock.
#[derive(Debug)]
pub(crate) enum Hold<S: ReadScheme> {
    /// By a reference.
    Count,
    /// By a spot of its thread.
    Spot(S::Spot),
}

impl<S: ReadScheme> Clone for Hold<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ReadScheme> Copy for Hold<S> {}

/// Why a VMA is read-locked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Visit<'w> {
    /// It is wanted, and may be again: it is worth a bias.
    Wanted,
    /// It stood in the way of a walk over all VMAs: that says nothing of it, and a bias would only
    /// make its next writer wait.
    Passing(&'w Known),
}

impl Visit<'_> {
    /// Whether the write section of this number is known to be over.
    #[inline]
    fn is_over(self, number: u64) -> bool {
        match self {
            Visit::Wanted => false,
            Visit::Passing(known) => known.is_over(number),
        }
    }

    /// The number of the address space.
    #[inline]
    fn read(self, seq: &MmSeq) -> u64 {
        match self {
            Visit::Wanted => seq.read(),
            Visit::Passing(known) => known.read(seq),
        }
    }
}

/// When a writer got the lock that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Earlier in its section.
    Before,
    /// By this call.
    Now,
}

/// Why a reader did not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A writer has it, or is taking it, or it looks so.
    WriteLocked,
    /// There are as many readers as can be counted.
    TooManyReaders,
    /// It is in no tree, or in another one: the caller's pointer is old.
    Recycled,
}

impl VmaLock {
    /// In no tree, never locked.
    pub(crate) fn new() -> Self {
        Self {
            refcnt: Refcnt::detached(),
            lock_seq: named(&VM_LOCK_SEQ, AtomicU64::new(NEVER_LOCKED)),
            event: named(&EVENT, AtomicU32::new(0)),
            #[cfg(feature = "std")]
            bias: Bias::new(),
        }
    }

    /// Which lock it is: what a spot says of it, and a report.
    pub(crate) fn place(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Read-locks it, if that needs no waiting. `is_ours` is asked while the object stays what it
    /// is.
    #[inline]
    #[doc(alias = "vma_start_read")]
    pub(crate) fn start_read<S: ReadScheme, W: Wait>(
        &self,
        seq: &MmSeq,
        visit: Visit<'_>,
        is_ours: impl Fn() -> bool,
    ) -> Result<Hold<S>, Refusal> {
        if let Some(spot) = S::enter::<W>(Target(self)) {
            if is_ours() {
                return Ok(Hold::Spot(spot));
            }
            S::leave::<W>(Target(self), spot);
            return Err(Refusal::Recycled);
        }
        // Relaxed: (a); a wrong guess only refuses, or is found out in (e).
        let guess = self.lock_seq.load(Ordering::Relaxed);
        if !visit.is_over(guess) && guess == seq.peek() {
            return Err(Refusal::WriteLocked);
        }
        self.take_reference()?;
        let refusal = if !is_ours() && !planted!("identity_unchecked") {
            Refusal::Recycled
        } else if self.is_write_locked_for(seq, visit) && !planted!("sequence_unchecked") {
            Refusal::WriteLocked
        } else {
            self.note_read::<S>(visit);
            return Ok(Hold::Count);
        };
        self.put_reference::<W>();
        Err(refusal)
    }

    /// Read-locks it for a holder of `mmap_lock`, which keeps writers away: only the limit refuses.
    #[doc(alias = "vma_start_read_locked")]
    pub(crate) fn start_read_locked<S: ReadScheme, W: Wait>(
        &self,
        visit: Visit<'_>,
    ) -> Result<Hold<S>, Refusal> {
        if let Some(spot) = S::enter::<W>(Target(self)) {
            return Ok(Hold::Spot(spot));
        }
        self.take_reference()?;
        self.note_read::<S>(visit);
        Ok(Hold::Count)
    }

    /// Notes a read lock by the count, which is held.
    #[inline]
    fn note_read<S: ReadScheme>(&self, visit: Visit<'_>) {
        if matches!(visit, Visit::Wanted) || planted!("passing_reads_bias") {
            S::note_read(Target(self));
        }
    }

    #[inline]
    fn take_reference(&self) -> Result<(), Refusal> {
        match self.refcnt.try_get() {
            Get::Taken => Ok(()),
            Get::Detached => Err(Refusal::Recycled),
            Get::Excluded => Err(Refusal::WriteLocked),
            Get::AtLimit => Err(Refusal::TooManyReaders),
        }
    }

    #[inline]
    fn put_reference<W: Wait>(&self) {
        if self.refcnt.put() == Put::WakeWriter {
            raise::<W>(&self.event);
        }
    }

    /// Unlocks what [`start_read`](Self::start_read) locked.
    #[inline]
    #[doc(alias = "vma_end_read")]
    pub(crate) fn end_read<S: ReadScheme, W: Wait>(&self, hold: Hold<S>) {
        match hold {
            Hold::Count => self.put_reference::<W>(),
            Hold::Spot(spot) => S::leave::<W>(Target(self), spot),
        }
    }

    /// Write-locks it until the section ends: waits for its readers. Says whether the section had
    /// it before.
    ///
    /// # Errors
    ///
    /// When `cancel` ends the wait: the lock is as it was.
    #[inline]
    #[doc(alias = "vma_start_write")]
    #[doc(alias = "vma_start_write_killable")]
    pub(crate) fn start_write<S: ReadScheme, W: Wait>(
        &self,
        section: Section,
        cancel: Option<&Cancel<W>>,
    ) -> Result<Taken, Cancelled> {
        let is_old = planted!("locked_for_ever") && !self.is_write_locked_in(NEVER_LOCKED);
        if is_old || self.is_write_locked_in(section.0) {
            return Ok(Taken::Before);
        }
        self.start_write_anew::<S, W>(section, cancel)?;
        Ok(Taken::Now)
    }

    /// The same, where it is not locked yet.
    #[inline(never)]
    fn start_write_anew<S: ReadScheme, W: Wait>(
        &self,
        section: Section,
        cancel: Option<&Cancel<W>>,
    ) -> Result<(), Cancelled> {
        if !self.refcnt.exclude_readers() {
            self.mark_write_locked(section);
            return Ok(());
        }
        let admit = AdmitOnDrop(&self.refcnt);
        if !planted!("writer_does_not_wait") {
            let outcome = wait_until(&self.event, cancel, || {
                self.refcnt.is_alone(Attachment::There)
            });
            if outcome.is_err() && planted!("cancelled_flag_stays") {
                core::mem::forget(admit);
                return outcome;
            }
            outcome?;
        }
        S::revoke(Target(self), cancel)?;
        if planted!("number_after_admitting") {
            drop(admit);
            self.mark_write_locked(section);
        } else {
            self.mark_write_locked(section);
            drop(admit);
        }
        Ok(())
    }

    fn mark_write_locked(&self, section: Section) {
        // Relaxed: readers see it by the reference that they get after `admit_readers`.
        self.lock_seq.store(section.0, Ordering::Relaxed);
    }

    #[inline]
    fn is_write_locked_in(&self, number: u64) -> bool {
        // Relaxed: for the writer, who wrote it; for a reader, ordered by its reference.
        self.lock_seq.load(Ordering::Relaxed) == number
    }

    /// (e), for a reader that has a reference: while it has, nobody can lock it anew.
    #[inline]
    fn is_write_locked_for(&self, seq: &MmSeq, visit: Visit<'_>) -> bool {
        // Relaxed: ordered by the reference.
        let number = self.lock_seq.load(Ordering::Relaxed);
        !visit.is_over(number) && number == visit.read(seq)
    }

    /// Whether the section's writer has it.
    #[doc(alias = "vma_assert_write_locked")]
    pub(crate) fn is_write_locked(&self, section: Option<Section>) -> bool {
        section.is_some_and(|section| self.is_write_locked_in(section.0))
    }

    /// Makes it visible to readers, as write-locked. For the owner of a detached object.
    #[doc(alias = "vma_mark_attached")]
    pub(crate) fn attach(&self, section: Section) {
        #[cfg(feature = "std")]
        self.bias.clear();
        if !planted!("attached_unlocked") {
            self.mark_write_locked(section);
        }
        self.refcnt.attach();
    }

    /// Takes it out of readers' sight for good, and waits for those who have not found out. It is
    /// write-locked; afterwards it belongs to the caller alone.
    #[doc(alias = "vma_mark_detached")]
    pub(crate) fn detach<W: Wait>(&self, section: Section) {
        debug_assert!(
            self.is_write_locked_in(section.0),
            "detached without its write lock"
        );
        if planted!("word_overwritten") {
            self.refcnt.overwrite();
        } else if self.refcnt.drop_attachment() == Detach::WaitForReaders {
            let admit = AdmitOnDrop(&self.refcnt);
            let waited = wait_until::<W>(&self.event, None, || {
                self.refcnt.is_alone(Attachment::Dropped)
            });
            debug_assert!(waited.is_ok(), "nobody can cancel this");
            drop(admit);
        }
        debug_assert_eq!(self.refcnt.value(), 0, "detached with readers");
    }

    /// Whether it is in a tree.
    #[doc(alias = "vma_assert_attached")]
    pub(crate) fn is_attached(&self) -> bool {
        self.refcnt.is_attached()
    }

    /// The reference count's word, for reports.
    pub(crate) fn refcnt_value(&self) -> u32 {
        self.refcnt.value()
    }
}

/// Takes the flag back however the wait ends: a flag that stays would keep readers out for ever.
struct AdmitOnDrop<'l>(&'l Refcnt);

impl Drop for AdmitOnDrop<'_> {
    fn drop(&mut self) {
        self.0.admit_readers();
    }
}

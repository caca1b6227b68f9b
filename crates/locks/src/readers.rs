//! Looking VMAs up without `mmap_lock`.
//!
//! A lookup enters a read section, walks the index, and read-locks the VMA that it finds; whatever
//! goes wrong with that, the section is left and nothing of the walk is used again: a retry starts
//! from the address.
//!
//! # Safety
//!
//! Slots found in the index stay slots as long as the slab, which `shared` keeps. A slot's content
//! is looked at under its read lock only.
#![expect(unsafe_code, reason = "lends slots for as long as the slab is kept")]

use crate::ahead::{Ahead, Seen};
use crate::env::Environment;
#[cfg(feature = "std")]
use crate::env::Host;
use crate::events::{Event, Events};
use crate::level::{Held, Nothing};
use crate::published::Glimpse;
use crate::sequence::Known;
use crate::slot::{Handle, VmaSlot};
use crate::tree::{Shared, VmaTree};
use crate::views::{VmaRead, VmaRef};
use crate::vma_lock::{Hold, Refusal, Visit};
use core::fmt;
use maple_tree::{Span, TreeReader};
use vmaple_sync::hint::spin_loop;
use vmaple_sync::joint::Joint;
use vmaple_sync::planted;

/// What a lookup came to. Where no VMA was locked, what the caller holds comes back with the
/// answer, to go another way with it.
#[derive(Debug)]
#[must_use]
pub enum Lookup<
    'l,
    V,
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    /// The VMA, read-locked.
    Locked(VmaRead<'l, V, E>),
    /// There is none, and no write section was about to map again what it had freed.
    NotMapped(&'l mut Held<Nothing>),
    /// There is one, or was; whether it can be used only the holder of `mmap_lock` can tell.
    Contended(Contention, &'l mut Held<Nothing>),
}

impl<'l, V, E: Environment> Lookup<'l, V, E> {
    /// The VMA, if it was locked.
    pub fn locked(self) -> Option<VmaRead<'l, V, E>> {
        match self {
            Self::Locked(vma) => Some(vma),
            Self::NotMapped(_) | Self::Contended(..) => None,
        }
    }

    /// Whether there was no VMA.
    pub fn is_not_mapped(&self) -> bool {
        matches!(self, Self::NotMapped(_))
    }
}

/// The same without what the caller holds.
pub(crate) enum Found<'l, V, E: Environment> {
    Locked(VmaRead<'l, V, E>),
    NotMapped,
    Contended(Contention),
}

impl<'l, V, E: Environment> Found<'l, V, E> {
    #[inline]
    fn with(self, held: &'l mut Held<Nothing>) -> Lookup<'l, V, E> {
        match self {
            Self::Locked(vma) => Lookup::Locked(vma),
            Self::NotMapped => Lookup::NotMapped(held),
            Self::Contended(contention) => Lookup::Contended(contention, held),
        }
    }
}

/// Why a VMA could not be read-locked without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contention {
    /// It is write-locked, or being so.
    WriteLocked,
    /// It has as many readers as can be counted.
    TooManyReaders,
}

/// The VMA has as many readers as its reference count can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "EAGAIN")]
pub struct TooManyReaders;

impl fmt::Display for TooManyReaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the VMA has too many readers")
    }
}

impl core::error::Error for TooManyReaders {}

/// How often a gap is looked at again that was seen while somebody wrote, before `mmap_lock` has to
/// tell.
const GAP_TRIES: usize = if cfg!(any(loom, shuttle)) { 2 } else { 16 };

/// A slot that was just read-locked, to be made a guard or be unlocked.
struct Locked<'s, V, E: Environment> {
    slot: &'s VmaSlot<V>,
    hold: Hold<E::Readers>,
}

/// Whether what was found from `from` on is now where it leaves no gap that may never have been. A
/// walk has seen that nothing is between `from` and where the VMA began then: if it begins higher
/// now, somebody else may have got what it had.
#[inline]
fn begins_in_time(seen: Span, now: Span, from: u64) -> bool {
    now.first <= from.max(seen.first) || planted!("false_gap")
}

/// Looks VMAs up beside the holder of their [`VmaTree`]. Clones are cheap.
///
/// A lookup takes no lock but that of the VMA it finds, and waits for nobody: its steps are bounded
/// when the writer stops anywhere. It finds each address that is mapped throughout the call, or
/// says that it met a writer there. What is locked stays locked, also against the tree's drop,
/// which waits for it.
///
/// Price: a walk, about 1 ns for the read section, and 5 to 15 ns for the lock.
pub struct VmaReaders<
    V,
    #[cfg(feature = "std")] E: Environment = Host,
    #[cfg(not(feature = "std"))] E: Environment,
> {
    index: TreeReader<Handle<V>, E::Shape, E::Rcu>,
    shared: Joint<Shared<V, E>>,
}

impl<V, E: Environment> Clone for VmaReaders<V, E> {
    fn clone(&self) -> Self {
        Self {
            index: self.index.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<V, E: Environment> VmaReaders<V, E> {
    pub(crate) fn new(
        index: TreeReader<Handle<V>, E::Shape, E::Rcu>,
        shared: Joint<Shared<V, E>>,
    ) -> Self {
        Self { index, shared }
    }

    pub(crate) fn is_of(&self, shared: &Joint<Shared<V, E>>) -> bool {
        Joint::is_same(&self.shared, shared)
    }

    /// Read-locks the VMA that contains `addr`, if that needs no waiting.
    ///
    /// The guard borrows `held`: while it lives, `mmap_lock` cannot be taken.
    ///
    /// # Examples
    ///
    /// See [`VmaTree`]. This does not compile:
    ///
    /// ```compile_fail,E0499
    /// # use vmaple_locks::{Held, MmapLock, VmaTree};
    /// # let tree: VmaTree<u32> = VmaTree::new();
    /// let readers = tree.readers();
    /// let lock = MmapLock::<_>::new(tree);
    /// let mut held = Held::nothing();
    /// let vma = readers.lock_vma_under_rcu(&mut held, 0x1000);
    /// lock.read(&mut held); // could wait for a writer who waits for `vma`
    /// drop(vma);
    /// ```
    #[inline]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn lock_vma_under_rcu<'l>(
        &'l self,
        held: &'l mut Held<Nothing>,
        addr: u64,
    ) -> Lookup<'l, V, E> {
        self.lock_at(addr).with(held)
    }

    /// The same for callers inside this crate, who answer for what is held.
    #[inline]
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(crate) fn lock_at(&self, addr: u64) -> Found<'_, V, E> {
        self.lock_by(
            Visit::Wanted,
            |reader| reader.load(addr),
            |_, now| now.first <= addr && addr <= now.last,
        )
    }

    /// Read-locks the VMA that contains `from`, or the first one above it, if that needs no
    /// waiting. Addresses from `from` to its start are free, or were during the call: an address
    /// that is mapped throughout, by one VMA after another, is not passed over, even if a section
    /// frees it for a moment ([`VmaTree::clear`]) before it maps it again.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub fn lock_next_vma<'l>(&'l self, held: &'l mut Held<Nothing>, from: u64) -> Lookup<'l, V, E> {
        self.lock_next(from, &Known::default()).with(held)
    }

    /// The same for callers inside this crate, who answer for what is held.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(crate) fn lock_next(&self, from: u64, known: &Known) -> Found<'_, V, E> {
        for _ in 0..GAP_TRIES {
            let before = self.shared.replacing.snapshot();
            let found = self.lock_by(
                Visit::Passing(known),
                |reader| reader.find(from),
                |seen, now| now.last >= from && begins_in_time(seen, now, from),
            );
            let Found::Locked(vma) = &found else {
                return found;
            };
            // A gap counts if nobody was about to fill it when it was seen.
            let has_gap = vma.span().first > from;
            let is_between =
                || before.is_some_and(|before| self.shared.replacing.is_unchanged(before));
            if !has_gap || is_between() || planted!("false_gap") {
                return found;
            }
            drop(found);
            self.shared.counters.note(Event::Miss);
            spin_loop();
        }
        self.abort(Contention::WriteLocked)
    }

    /// Reads the next entries of the index from `from` on, for a walk to go on with: none if a
    /// section was open that may map again what it has freed.
    pub(crate) fn look_ahead<'l>(&'l self, from: u64, ahead: &mut Ahead<'l, V>) {
        let before = self.shared.replacing.snapshot();
        let section = self.index.enter();
        let entries = self.index.read(&section).iter_from(from);
        ahead.refill(
            from,
            entries.map(|(span, slot)| {
                slot.prefetch_published();
                (span, self.keep(slot))
            }),
        );
        drop(section);
        let is_between = before.is_some_and(|before| self.shared.replacing.is_unchanged(before));
        if !is_between && !planted!("gaps_ahead_unchecked") {
            ahead.clear();
        }
    }

    /// What the VMA of an entry publishes, if it is still what a walk that has come to `from` looks
    /// for.
    #[inline]
    pub(crate) fn glance<R>(
        &self,
        seen: &Seen<'_, V>,
        from: u64,
        known: &Known,
        also: impl FnOnce() -> R,
    ) -> Option<(Glimpse, R)> {
        let shared = &self.shared;
        let (now, also) = seen
            .slot
            .published
            .glance(&shared.seq, known, shared.id(), also)?;
        (now.span.last >= from && begins_in_time(seen.span, now.span, from)).then_some((now, also))
    }

    /// Walks, locks what was found, and looks whether it is still what was looked for.
    #[inline]
    #[cfg_attr(feature = "lockdep", track_caller)]
    fn lock_by<'l>(
        &'l self,
        visit: Visit<'_>,
        walk: impl for<'g> Fn(
            maple_tree::Reader<'g, Handle<V>, E::Shape>,
        ) -> Option<(Span, &'g VmaSlot<V>)>,
        is_wanted: impl Fn(Span, Span) -> bool,
    ) -> Found<'l, V, E> {
        let mut kept = None;
        loop {
            let (seen, locked) = if let Some((seen, slot)) = kept
                && planted!("retry_without_walk")
            {
                (seen, self.try_lock(slot, visit))
            } else {
                let section = self.index.enter();
                let Some((seen, slot)) = walk(self.index.read(&section)) else {
                    drop(section);
                    match self.found_nothing(&walk) {
                        Some(answer) => return answer,
                        None => continue,
                    }
                };
                if planted!("retry_without_walk") {
                    kept = Some((seen, self.keep(slot)));
                }
                (seen, self.try_lock(slot, visit))
            };
            match locked {
                Ok(Locked { slot, hold }) => {
                    // SAFETY: Just locked by `try_lock`; the slab is kept during 'l.
                    let vma = unsafe { VmaRead::<V, E>::new(slot, hold) };
                    if is_wanted(seen, vma.span()) {
                        self.shared.counters.note(Event::Success);
                        return Found::Locked(vma);
                    }
                }
                Err(Refusal::Recycled) if self.shared.is_closed() => return Found::NotMapped,
                Err(Refusal::Recycled) => {}
                Err(Refusal::WriteLocked) => return self.abort(Contention::WriteLocked),
                Err(Refusal::TooManyReaders) => return self.abort(Contention::TooManyReaders),
            }
            // Somebody has changed the index since the walk: nothing of it is used again.
            self.shared.counters.note(Event::Miss);
            spin_loop();
        }
    }

    /// Read-locks a VMA of a tree that these readers read, and whose `mmap_lock` the caller holds;
    /// the guard does not borrow that.
    #[cfg_attr(feature = "lockdep", track_caller)]
    pub(crate) fn lock_ref<'l>(
        &'l self,
        tree: &VmaTree<V, E>,
        vma: VmaRef<'_, V>,
        visit: Visit<'_>,
    ) -> Result<VmaRead<'l, V, E>, TooManyReaders> {
        assert!(tree.is_read_by(self), "the slab would not be kept");
        let slot = self.keep(vma.slot());
        match slot.lock().start_read_locked::<E::Readers, E::Wait>(visit) {
            // SAFETY: Just locked; the slab is kept during 'l.
            Ok(hold) => Ok(unsafe { VmaRead::new(slot, hold) }),
            Err(_) => Err(TooManyReaders),
        }
    }

    /// A slot of this tree's slab, for longer than a read section: slots are type-stable.
    #[inline]
    fn keep<'l>(&'l self, slot: &VmaSlot<V>) -> &'l VmaSlot<V> {
        // SAFETY: It is in the slab that `shared` keeps during 'l.
        unsafe { Handle::of(slot).slot() }
    }

    #[inline]
    fn try_lock<'l>(
        &'l self,
        slot: &VmaSlot<V>,
        visit: Visit<'_>,
    ) -> Result<Locked<'l, V, E>, Refusal> {
        let slot = self.keep(slot);
        let id = self.shared.id();
        if matches!(visit, Visit::Passing(_)) {
            slot.prefetch();
        }
        let hold =
            slot.lock()
                .start_read::<E::Readers, E::Wait>(&self.shared.seq, visit, || {
                    slot.published.is_in(id)
                })?;
        Ok(Locked { slot, hold })
    }

    /// A walk has found nothing. In a section that may map again what it has freed that says
    /// little: walks again while there is none. No answer if there is something by now.
    fn found_nothing<'l>(
        &'l self,
        walk: impl for<'g> Fn(
            maple_tree::Reader<'g, Handle<V>, E::Shape>,
        ) -> Option<(Span, &'g VmaSlot<V>)>,
    ) -> Option<Found<'l, V, E>> {
        let section = self.index.enter();
        let before = self.shared.replacing.snapshot();
        let is_there = walk(self.index.read(&section)).is_some();
        let is_between = before.is_some_and(|before| self.shared.replacing.is_unchanged(before));
        match is_between.then_some(is_there) {
            Some(true) => None,
            Some(false) => Some(Found::NotMapped),
            None => Some(self.abort(Contention::WriteLocked)),
        }
    }

    #[cold]
    fn abort<'l>(&'l self, contention: Contention) -> Found<'l, V, E> {
        if self.shared.is_closed() {
            return Found::NotMapped;
        }
        self.shared.counters.note(Event::Abort);
        Found::Contended(contention)
    }

    /// Runs `read`, and gives what it returns if no write section was open meanwhile: then what
    /// was read belongs together, although it was read in steps. `None` says to take `mmap_lock`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use vmaple_locks::VmaTree;
    ///
    /// let mut tree: VmaTree<&str> = VmaTree::new();
    /// tree.insert(0x1000..0x2000, "text").expect("free");
    /// let readers = tree.readers();
    /// let both = |readers: &vmaple_locks::VmaReaders<&str>| {
    ///     (readers.is_mapped(0x1000), readers.is_mapped(0x2000))
    /// };
    /// assert_eq!(readers.speculate(|| both(&readers)), None, "still writing");
    /// tree.end_write();
    /// assert_eq!(readers.speculate(|| both(&readers)), Some((true, false)));
    /// # }
    /// ```
    #[doc(alias = "mmap_lock_speculate_try_begin")]
    #[doc(alias = "mmap_lock_speculate_retry")]
    pub fn speculate<R>(&self, read: impl FnOnce() -> R) -> Option<R> {
        let snapshot = self.shared.seq.snapshot()?;
        let outcome = read();
        self.shared.seq.is_unchanged(snapshot).then_some(outcome)
    }

    /// Whether some VMA contains `addr`. It may be otherwise by now.
    #[must_use]
    pub fn is_mapped(&self, addr: u64) -> bool {
        let section = self.index.enter();
        self.index.read(&section).get(addr).is_some()
    }

    /// What became of lookups so far.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared.counters.read()
    }

    /// Counts that a caller gave a VMA back before it was done, and came again.
    #[doc(alias = "VM_FAULT_RETRY")]
    pub fn note_retry(&self) {
        self.shared.counters.note(Event::Retry);
    }
}

impl<V, E: Environment> fmt::Debug for VmaReaders<V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VmaReaders").field(&self.shared).finish()
    }
}

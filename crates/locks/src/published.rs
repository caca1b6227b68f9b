//! What a VMA publishes of itself: its range and one word of the embedder's, for those who look at
//! it without a lock.
//!
//! Who walks over all VMAs writes nothing to those that tell enough by these words: no cache line
//! is taken from their writers, and nobody waits for a walker that has lost its processor.
//!
//! ```text
//! writer, who has the write lock       reader
//! version = odd                        version is even          (Acquire)
//! ---- fence ----              (Rel.)  the number's section is over, by mm_lock_seq
//! number = its section                 the owner is our tree
//! version = even           (Release)   the words
//! the words, until the section ends    ---- fence ----          (Acq.)
//! mm_lock_seq = even       (Release)   version is the same
//! ```
//!
//! 1. The reader finds an even version, hence the owner and the number of that version, or later
//!    ones.
//! 2. Were one of them, or a word, of a later version, then that version's odd number would have
//!    been seen at the end, by the two fences.
//! 3. So all belong to one version, and the section that could change the words is over: the
//!    reader sees all that it has stored.
//!
//! The version stays odd while the VMA is in no tree: then its next owner writes all words. It has
//! 64 bits and never comes round.

use crate::sequence::{Known, MmSeq, NEVER_LOCKED, Section};
use crate::slot::TreeId;
use core::num::NonZeroU64;
use maple_tree::Span;
use vmaple_sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use vmaple_sync::names::{Name, named};
use vmaple_sync::planted;

static VERSION: Name = Name::new("version");
static OWNER: Name = Name::new("the VMA's tree");
static FACTS: Name = Name::new("facts");

/// The words. Written by whoever may write the VMA. On cache lines of their own: who looks at them
/// takes nothing else from the writer.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Published {
    /// Odd while the VMA is in no tree, or its lock changes hands.
    version: AtomicU64,
    /// The write section in which it was write-locked last, as in `vm_lock_seq`.
    number: AtomicU64,
    /// Which tree it is in, as a [`TreeId`]: to be trusted while the VMA cannot be recycled.
    owner: AtomicUsize,
    first: AtomicU64,
    last: AtomicU64,
    /// What the embedder says of the value; 0 says nothing.
    facts: AtomicU64,
}

/// An even version that a reader has begun with.
#[derive(Debug, Clone, Copy)]
struct Version(u64);

/// What a VMA was at some moment during a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glimpse {
    pub(crate) span: Span,
    pub(crate) facts: NonZeroU64,
}

impl Published {
    /// Of a VMA in no tree.
    pub(crate) fn new() -> Self {
        Self {
            version: named(&VERSION, AtomicU64::new(1)),
            number: AtomicU64::new(NEVER_LOCKED),
            owner: named(&OWNER, AtomicUsize::new(0)),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            facts: named(&FACTS, AtomicU64::new(0)),
        }
    }

    /// Keeps readers out until the section ends. The writer has write-locked the VMA.
    #[inline]
    pub(crate) fn claim(&self, section: Section) {
        self.close();
        self.open(section);
    }

    /// Stops readers, until it is opened again.
    #[inline]
    pub(crate) fn close(&self) {
        // Relaxed: only the writer writes it; the fence orders it.
        let version = self.version.load(Ordering::Relaxed);
        debug_assert_eq!(version & 1, 0, "closed twice");
        // Relaxed: as above.
        self.version.store(version + 1, Ordering::Relaxed);
        self.order_what_follows();
    }

    /// What a VMA publishes that is about to be put into a tree.
    #[inline]
    pub(crate) fn fill(&self, tree: TreeId, span: Span, facts: u64) {
        // Another thread may have closed it, and a fence orders the stores of its own thread.
        self.order_what_follows();
        // Relaxed: opening publishes it; for those with a reference, attaching does.
        self.owner.store(tree.0.get(), Ordering::Relaxed);
        self.set_span(span);
        self.set_facts(facts);
    }

    /// Orders the odd version before whatever the caller stores next.
    #[inline]
    fn order_what_follows(&self) {
        if !planted!("closed_without_fence") {
            // Release: pairs with the fence in `is_still`. Witness: `checks::a_glimpse_is_no_mix`.
            fence(Ordering::Release);
        }
    }

    /// Lets readers look at the version again, and find that the section may still change the words.
    #[inline]
    pub(crate) fn open(&self, section: Section) {
        // Relaxed: published by the version.
        self.number.store(section.0, Ordering::Relaxed);
        // Relaxed: only the writer writes it.
        let version = self.version.load(Ordering::Relaxed);
        debug_assert_eq!(version & 1, 1, "open already");
        // Release: pairs with the Acquire in `begin`: who finds this version finds the number of
        // the section that may still change the words.
        // Witness: `checks::a_glimpse_is_no_mix`.
        let order = if planted!("opened_relaxed") {
            Ordering::Relaxed
        } else {
            Ordering::Release
        };
        self.version.store(version + 1, order);
    }

    /// The range. For who keeps writers away, or is the writer.
    #[inline]
    pub(crate) fn span(&self) -> Span {
        // Relaxed: ordered by what keeps writers away, or by `is_still`.
        let first = self.first.load(Ordering::Relaxed);
        // Relaxed: as above.
        Span::new(first, self.last.load(Ordering::Relaxed))
    }

    /// Changes the range. For the writer.
    #[inline]
    pub(crate) fn set_span(&self, span: Span) {
        // Relaxed: ordered by the version and by the section's end.
        self.first.store(span.first, Ordering::Relaxed);
        // Relaxed: as above.
        self.last.store(span.last, Ordering::Relaxed);
    }

    /// Changes what is said of the value. For the writer.
    #[inline]
    pub(crate) fn set_facts(&self, facts: u64) {
        // Relaxed: ordered by the version and by the section's end.
        self.facts.store(facts, Ordering::Relaxed);
    }

    /// What is said of the value.
    #[inline]
    pub(crate) fn facts(&self) -> u64 {
        // Relaxed: for the writer; for a reader, ordered by `is_still`.
        self.facts.load(Ordering::Relaxed)
    }

    /// Whether the VMA is in that tree. The caller has a reference, or a spot that a writer heeds.
    #[inline]
    pub(crate) fn is_in(&self, tree: TreeId) -> bool {
        // Relaxed: written before the VMA was attached, which the caller's reference has acquired.
        self.owner.load(Ordering::Relaxed) == tree.0.get()
    }

    /// What the VMA is, if it is in that tree, tells enough, and no section has it. `also` is run
    /// at a moment when it was just so, or its result is thrown away.
    #[inline]
    pub(crate) fn glance<R>(
        &self,
        seq: &MmSeq,
        known: &Known,
        tree: TreeId,
        also: impl FnOnce() -> R,
    ) -> Option<(Glimpse, R)> {
        let version = self.begin()?;
        // Relaxed: of this version or a later one, which `is_still` finds out.
        let number = self.number.load(Ordering::Relaxed);
        if !known.is_over_now(number, seq) && !planted!("glimpse_of_an_open_section") {
            return None;
        }
        // The owner's version is found out in the same way.
        if !self.is_in(tree) && !planted!("glimpse_of_a_stranger") {
            return None;
        }
        let (span, facts) = (self.span(), self.facts());
        let also = also();
        if !self.is_still(version) {
            return None;
        }
        let facts = NonZeroU64::new(facts)?;
        Some((Glimpse { span, facts }, also))
    }

    /// Begins a look; not while the VMA is in no tree, or is being locked.
    #[inline]
    fn begin(&self) -> Option<Version> {
        // Acquire: pairs with the Release in `open`. Witness: `checks::a_glimpse_is_no_mix`.
        let version = self.version.load(Ordering::Acquire);
        (version & 1 == 0).then_some(Version(version))
    }

    /// Whether all that was read since belongs to that version.
    #[inline]
    fn is_still(&self, version: Version) -> bool {
        if !planted!("glimpse_without_fence") {
            // Acquire: pairs with the fence in `order_what_follows`; what was read before the fence
            // was read before the version below. Witness: `checks::a_glimpse_is_no_mix`.
            fence(Ordering::Acquire);
        }
        // Relaxed: the fence orders it.
        self.version.load(Ordering::Relaxed) == version.0 || planted!("glimpse_unchecked")
    }
}

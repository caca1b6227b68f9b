//! Versions: whether a tree is still as it was when somebody looked.
//!
//! Who knows that no write has begun since may go on in a leaf that an earlier walk came to, in a
//! later read section too: then nothing that the walk met has been displaced. The version counts,
//! once when a write begins and once when it has ended; while one is under way it is odd.
//!
//! ```text
//! reader                               writer
//! count, even          (Acquire)       count, odd
//! walk to a leaf                       publish            (Release)
//! -------- section ends --------       count, even        (Release)
//! -------- another begins ------       start a grace period for what was displaced
//! the same count: the leaf is live     free
//! ```
//!
//! 1. *The leaf is live.* The walk came after the end of every write that the count tells of, so the
//!    write that displaces the leaf counts on after that. A section that began after that write's
//!    grace period sees its count, which is another one. A section that began before is waited for.
//! 2. *The leaf is up to date.* Who has seen what a write published has seen the odd count as well.
//!
//! A tree with one owner is changed by `&mut`, which no section is open beside: there, whoever lends
//! the tree out to be changed counts ([`Counted`]).

use core::fmt;
use vmaple_sync::atomic::{AtomicU64, Ordering};
use vmaple_sync::names::{Name, named};
use vmaple_sync::{planted, unique};

/// The version of one tree.
pub(crate) struct Version {
    /// Names the tree for good, once somebody has asked; 0 before.
    id: AtomicU64,
    /// Odd while a write is under way.
    count: AtomicU64,
}

/// A tree between two writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    id: u64,
    count: u64,
}

static ID: Name = Name::new("tree's number");
static COUNT: Name = Name::new("version");

impl Version {
    pub(crate) fn new() -> Self {
        Self {
            id: named(&ID, AtomicU64::new(0)),
            count: named(&COUNT, AtomicU64::new(0)),
        }
    }

    /// This moment, to be asked for before a walk; none while a write is under way.
    #[inline]
    pub(crate) fn now(&self) -> Option<Moment> {
        // Acquire: pairs with the Release at the end of a write; a walk sees what that published.
        // Witness: `tests/loom/positions.rs::a_leaf_is_displaced_between_two_sections`.
        let count = self.count.load(Ordering::Acquire);
        let is_quiet = count.is_multiple_of(2) || planted!("version_odd");
        is_quiet.then(|| Moment {
            id: self.id(),
            count,
        })
    }

    /// Whether no write has begun since `moment`, which may be one of another tree.
    #[inline]
    pub(crate) fn is_still(&self, moment: Moment) -> bool {
        // Relaxed: what a section sees when it begins is enough, see 1 above, and what the caller
        // has seen before, see 2.
        let count = self.count.load(Ordering::Relaxed);
        // Relaxed: it changes once, from 0, which is no moment's.
        let id = self.id.load(Ordering::Relaxed);
        id == moment.id && (count == moment.count || planted!("version_unchecked"))
    }

    #[inline]
    fn id(&self) -> u64 {
        // Relaxed: a number by itself.
        match self.id.load(Ordering::Relaxed) {
            0 => self.name(),
            id => id,
        }
    }

    #[cold]
    fn name(&self) -> u64 {
        let id = unique::number().get();
        // Relaxed: as above. Of two that ask at once, both get the first one's.
        self.id
            .compare_exchange(0, id, Ordering::Relaxed, Ordering::Relaxed)
            .err()
            .unwrap_or(id)
    }

    /// Begins a write, by the tree's one writer; it has ended when what this returns is dropped.
    #[inline]
    pub(crate) fn begin(&self) -> Underway<'_> {
        // Relaxed: read by the writer, who wrote it.
        let odd = self.count.load(Ordering::Relaxed) | 1;
        let begun = odd + u64::from(planted!("version_early"));
        // Relaxed: the Release that publishes comes after; who sees what it publishes sees this.
        // Witness: `tests/loom/positions.rs::what_was_seen_is_seen_by_who_goes_on`.
        if !planted!("version_late") {
            self.count.store(begun, Ordering::Relaxed);
        }
        Underway {
            version: self,
            next: odd + 1,
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: to be shown.
        let count = self.count.load(Ordering::Relaxed);
        f.debug_tuple("Version").field(&count).finish()
    }
}

/// A write under way.
#[derive(Debug)]
#[must_use = "the write ends where this is dropped"]
pub(crate) struct Underway<'w> {
    version: &'w Version,
    next: u64,
}

impl Drop for Underway<'_> {
    #[inline]
    fn drop(&mut self) {
        let order = if planted!("version_relaxed") {
            // Relaxed: the bug.
            Ordering::Relaxed
        } else {
            // Release: pairs with the Acquire in `now`; a walk that begins at this count sees what
            // the write published.
            // Witness: `tests/loom/positions.rs::a_leaf_is_displaced_between_two_sections`.
            Ordering::Release
        };
        self.version.count.store(self.next, order);
    }
}

/// What one owner has, who counts how often it was lent out to be changed.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    value: T,
    version: Version,
}

impl<T> Counted<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value,
            version: Version::new(),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        &self.value
    }

    #[inline]
    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    /// Lends it out to be changed; nobody can look meanwhile.
    #[inline]
    pub(crate) fn change(&mut self) -> &mut T {
        if !cfg!(planted = "version_kept") {
            drop(self.version.begin());
        }
        &mut self.value
    }

    pub(crate) fn into_inner(self) -> T {
        self.value
    }
}

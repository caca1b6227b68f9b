//! Recorded runs of one writer beside readers, and the judgement whether a range map that keeps
//! its promises could have answered so.
//!
//! Every call is recorded with the ticks of a common [`Clock`] before and after it. A call takes
//! effect somewhere in between, so a read may have seen the map after any of a *window* of the
//! writer's changes: at least those that had ended when it began, at most those that had begun
//! when it ended.
//!
//! * Lookups ([`Seen::Load`], [`Seen::RangeAt`]) must be *linearizable*: for all of them together
//!   there is one moment each, in the order of the clock, at which the map was as they say
//!   ([`lookups`](self)). With one writer the order of changes is known, which makes this a matter
//!   of one pass.
//! * Whatever may look at several places one after the other (iteration, `find`, gap search) must
//!   have seen each of them at some moment of its window, and must not have missed what was there
//!   throughout.

mod lookups;
mod passes;

use crate::tree::{Held, NaiveTree};
use std::fmt;
use vmaple_sync::atomic::{AtomicU64, Ordering};

/// Ticks that all threads of a run share: of two calls, one came before the other if its last
/// tick is below the other's first.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    /// Runs `call` between two ticks.
    pub fn time<R>(&self, call: impl FnOnce() -> R) -> (During, R) {
        let start = self.tick();
        let result = call();
        let end = self.tick();
        (During { start, end }, result)
    }

    fn tick(&self) -> u64 {
        // AcqRel: pairs with itself on another thread: what came before a lower tick is seen
        // after a higher one, so that a call recorded as later is one. There is no witness: the
        // recorder judges, it is not judged.
        self.0.fetch_add(1, Ordering::AcqRel)
    }
}

/// The ticks before and after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct During {
    /// The tick before.
    pub start: u64,
    /// The tick after.
    pub end: u64,
}

/// What a writer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Stored a value over `first..=last`.
    Store(Held),
    /// Emptied `first..=last`.
    Clear(u64, u64),
}

impl Change {
    /// Makes the change.
    pub fn apply(self, tree: &mut NaiveTree) {
        match self {
            Self::Store((first, last, value)) => tree.store(first..=last, value),
            Self::Clear(first, last) => tree.clear(first..=last),
        }
    }
}

/// A question and the answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The entry at an index, with its bounds.
    Load(u64, Option<Held>),
    /// The range at an index, of an entry or of a gap.
    RangeAt(u64, (u64, u64), Option<u32>),
    /// The entry at an index or the next.
    Find(u64, Option<Held>),
    /// The entry at an index or the one before.
    FindRev(u64, Option<Held>),
    /// The lowest gap of a size within limits, both included.
    LowestGap(u64, (u64, u64), Option<u64>),
    /// The highest one.
    HighestGap(u64, (u64, u64), Option<u64>),
    /// All entries from an index on, by an iterator.
    Pass(Way, u64, Vec<Held>),
    /// All entries from an index on, by a cursor that looks at the map anew for each: an entry may
    /// overlap the one before, if it reaches further.
    Steps(Way, u64, Vec<Held>),
}

/// The direction of a search or a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To higher indices.
    Up,
    /// To lower indices.
    Down,
}

/// A run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// What the map held before.
    pub before: NaiveTree,
    /// The one writer's changes, in their order. Values are not used twice.
    pub changes: Vec<(During, Change)>,
    /// What readers saw, of all threads, in any order.
    pub reads: Vec<(During, Seen)>,
}

/// A read that no run of a right map explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// The read.
    pub seen: Seen,
    /// How many changes had certainly been made, and how many possibly.
    pub window: (usize, usize),
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.window;
        write!(
            f,
            "{}: {:x?}, after {least} to {most} changes",
            self.what, self.seen
        )
    }
}

/// How much of a run could have gone wrong: a run without overlaps proves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Reads that were judged.
    pub nr_reads: usize,
    /// Those during which at least one change began or ended.
    pub nr_beside_changes: usize,
}

/// A read with its window.
struct Windowed<'h> {
    during: During,
    seen: &'h Seen,
    /// Changes that had ended when the read began.
    least: usize,
    /// Changes that had begun when it ended.
    most: usize,
}

impl Windowed<'_> {
    fn anomaly(&self, what: &'static str) -> Anomaly {
        Anomaly {
            seen: self.seen.clone(),
            window: (self.least, self.most),
            what,
        }
    }
}

impl History {
    /// Judges the run.
    ///
    /// # Errors
    ///
    /// A read that is not explained.
    pub fn check(&self) -> Result<Coverage, Anomaly> {
        let reads = self.windowed();
        lookups::check(self, &reads)?;
        passes::check(self, &reads)?;
        Ok(Coverage {
            nr_reads: reads.len(),
            nr_beside_changes: reads.iter().filter(|read| read.least < read.most).count(),
        })
    }

    /// The reads in the order in which they began.
    fn windowed(&self) -> Vec<Windowed<'_>> {
        let mut reads: Vec<Windowed<'_>> = self
            .reads
            .iter()
            .map(|(during, seen)| Windowed {
                during: *during,
                seen,
                least: self
                    .changes
                    .partition_point(|(change, _)| change.end < during.start),
                most: self
                    .changes
                    .partition_point(|(change, _)| change.start < during.end),
            })
            .collect();
        reads.sort_by_key(|read| read.during.start);
        reads
    }
}

#[cfg(test)]
mod tests;

//! Reads that look at several places one after the other: iteration, `find`, gap search.

use super::{Anomaly, Change, During, History, Seen, Way, Windowed};
use crate::tree::{Held, NaiveTree};
use std::collections::BTreeSet;

/// The map's versions in a read's window.
struct Window {
    versions: Vec<NaiveTree>,
    /// What any of them held.
    ever: BTreeSet<Held>,
    /// What all of them held, ascending.
    always: Vec<Held>,
    /// What was empty in any of them.
    gaps: NaiveTree,
}

impl Window {
    fn new(first: &NaiveTree, changes: &[(During, Change)]) -> Self {
        let mut versions = vec![first.clone()];
        for (_, change) in changes {
            let mut next = versions[versions.len() - 1].clone();
            change.apply(&mut next);
            versions.push(next);
        }
        let mut always = first.entries();
        always.retain(|held| versions.iter().all(|tree| tree.load(held.0) == Some(*held)));
        let mut gaps = NaiveTree::default();
        for (first, last) in versions.iter().flat_map(NaiveTree::gaps) {
            gaps.store(first..=last, 0);
        }
        Self {
            ever: versions.iter().flat_map(NaiveTree::entries).collect(),
            always,
            gaps,
            versions,
        }
    }

    /// A map of everything that was ever held: what is a gap in it was one throughout.
    fn overlaid(&self) -> NaiveTree {
        let mut tree = NaiveTree::default();
        for held in &self.ever {
            tree.store(held.0..=held.1, held.2);
        }
        tree
    }

    /// The nearest index from `index` on that was covered throughout, by whatever entries: a gap
    /// between all gaps.
    fn nearest_covered(&self, way: Way, index: u64) -> Option<u64> {
        match way {
            Way::Up => self.gaps.lowest_gap(1, 1, index..=u64::MAX),
            Way::Down => self.gaps.highest_gap(1, 1, 0..=index),
        }
    }

    fn was_empty_once(&self, first: u64, size: u64) -> bool {
        let Some(last) = first.checked_add(size - 1) else {
            return false;
        };
        let is_empty = |tree: &NaiveTree| tree.occupant(first..=last).is_none();
        self.versions.iter().any(is_empty)
    }
}

const NEVER_THERE: &str = "an entry that was never there with these bounds";
const PASSED: &str = "passed an index that was covered throughout";
const WRONG_SIDE: &str = "an entry on the wrong side of the index";
const MISSED: &str = "missed an entry that was there throughout";

impl Way {
    /// Whether `one` comes before `other`.
    fn is_before(self, one: u64, other: u64) -> bool {
        match self {
            Self::Up => one < other,
            Self::Down => one > other,
        }
    }

    /// The ends of an entry that come first and last this way.
    fn ends(self, held: &Held) -> (u64, u64) {
        match self {
            Self::Up => (held.0, held.1),
            Self::Down => (held.1, held.0),
        }
    }

    fn after(self, index: u64) -> Option<u64> {
        match self {
            Self::Up => index.checked_add(1),
            Self::Down => index.checked_sub(1),
        }
    }

    /// Whether an entry is at `index` or beyond.
    fn is_ahead(self, index: u64, held: &Held) -> bool {
        !self.is_before(self.ends(held).1, index)
    }
}

/// What is wrong with a `find` from `index`.
fn judge_find(window: &Window, way: Way, index: u64, found: Option<Held>) -> Option<&'static str> {
    let covered = window.nearest_covered(way, index);
    let Some(found) = found else {
        return covered.map(|_| MISSED);
    };
    if !window.ever.contains(&found) {
        return Some(NEVER_THERE);
    }
    if !way.is_ahead(index, &found) {
        return Some(WRONG_SIDE);
    }
    let near = way.ends(&found).0;
    if covered.is_some_and(|covered| way.is_before(covered, near)) {
        return Some(PASSED);
    }
    let is_missed =
        |held: &Held| way.is_ahead(index, held) && way.is_before(way.ends(held).0, near);
    window.always.iter().any(is_missed).then_some(MISSED)
}

/// What is wrong with a pass from `index`, whose entries follow each other if `is_onward`.
fn judge_pass(
    window: &Window,
    (way, index, items): (Way, u64, &[Held]),
    is_onward: impl Fn(&Held, &Held) -> bool,
) -> Option<&'static str> {
    if !items.windows(2).all(|pair| is_onward(&pair[0], &pair[1])) {
        return Some("went backwards, or met something twice");
    }
    if !items.iter().all(|held| way.is_ahead(index, held)) {
        return Some(WRONG_SIDE);
    }
    if !items.iter().all(|held| window.ever.contains(held)) {
        return Some(NEVER_THERE);
    }
    let seen: BTreeSet<Held> = items.iter().copied().collect();
    let is_missed = |held: &Held| way.is_ahead(index, held) && !seen.contains(held);
    if window.always.iter().any(is_missed) {
        return Some(MISSED);
    }
    // Between two items, and between them and the ends, nothing was covered throughout.
    let mut next = Some(index);
    for held in items {
        let (near, far) = way.ends(held);
        let covered = next.and_then(|index| window.nearest_covered(way, index));
        if covered.is_some_and(|covered| way.is_before(covered, near)) {
            return Some(PASSED);
        }
        next = way.after(far);
    }
    let covered = next.and_then(|index| window.nearest_covered(way, index));
    covered.map(|_| PASSED)
}

/// What is wrong with a search for the first gap of a size.
fn judge_gap(
    window: &Window,
    way: Way,
    (size, limits): (u64, (u64, u64)),
    found: Option<u64>,
) -> Option<&'static str> {
    let (overlaid, limits_span) = (window.overlaid(), limits.0..=limits.1);
    let of_all = match way {
        Way::Up => overlaid.lowest_gap(size, 1, limits_span),
        Way::Down => overlaid.highest_gap(size, 1, limits_span),
    };
    let Some(found) = found else {
        return of_all.map(|_| "missed a gap that was there throughout");
    };
    if found < limits.0
        || found
            .checked_add(size - 1)
            .is_none_or(|last| last > limits.1)
    {
        return Some("a gap outside the limits");
    }
    if !window.was_empty_once(found, size) {
        return Some("a gap that never was one");
    }
    of_all
        .is_some_and(|there| way.is_before(there, found))
        .then_some("passed over a gap that was there throughout")
}

fn judge(window: &Window, seen: &Seen) -> Option<&'static str> {
    match seen {
        Seen::Load(..) | Seen::RangeAt(..) => None,
        Seen::Find(index, found) => judge_find(window, Way::Up, *index, *found),
        Seen::FindRev(index, found) => judge_find(window, Way::Down, *index, *found),
        Seen::LowestGap(size, limits, found) => {
            judge_gap(window, Way::Up, (*size, *limits), *found)
        }
        Seen::HighestGap(size, limits, found) => {
            judge_gap(window, Way::Down, (*size, *limits), *found)
        }
        Seen::Pass(way, index, items) => {
            let apart = |one: &Held, next: &Held| way.is_before(way.ends(one).1, way.ends(next).0);
            judge_pass(window, (*way, *index, items), apart)
        }
        Seen::Steps(way, index, items) => {
            let further =
                |one: &Held, next: &Held| way.is_before(way.ends(one).1, way.ends(next).1);
            judge_pass(window, (*way, *index, items), further)
        }
    }
}

/// Changes that a window may span: beyond that, the reader slept, and its read proves little.
const LONGEST_WINDOW: usize = 200;

pub(super) fn check(history: &History, reads: &[Windowed<'_>]) -> Result<(), Anomaly> {
    let mut tree = history.before.clone();
    let mut nr_made = 0;
    for read in reads {
        while nr_made < read.least {
            history.changes[nr_made].1.apply(&mut tree);
            nr_made += 1;
        }
        let is_pass = !matches!(read.seen, Seen::Load(..) | Seen::RangeAt(..));
        if is_pass && read.most - read.least <= LONGEST_WINDOW {
            let window = Window::new(&tree, &history.changes[read.least..read.most]);
            if let Some(what) = judge(&window, read.seen) {
                return Err(read.anomaly(what));
            }
        }
    }
    Ok(())
}

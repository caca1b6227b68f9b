//! Reads that look at several places one after the other: iteration, `find`, gap search.

use super::{Anomaly, Change, During, History, Seen, Windowed};
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

    /// The nearest index from `index` on, upwards or downwards, that was covered throughout, by
    /// whatever entries: a gap between all gaps.
    fn nearest_covered(&self, index: u64, up: bool) -> Option<u64> {
        if up {
            self.gaps.lowest_gap(1, 1, index..=u64::MAX)
        } else {
            self.gaps.highest_gap(1, 1, 0..=index)
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
const MISSED: &str = "missed an entry that was there throughout";

/// What is wrong with a `find` from `index`, upwards or downwards.
fn judge_find(window: &Window, index: u64, found: Option<Held>, up: bool) -> Option<&'static str> {
    let is_ahead = |held: &Held| if up { held.1 >= index } else { held.0 <= index };
    let is_nearer = |held: &Held, than: &Held| if up { held.0 < than.0 } else { held.1 > than.1 };
    let Some(found) = found else {
        return window.nearest_covered(index, up).map(|_| MISSED);
    };
    if !window.ever.contains(&found) {
        return Some(NEVER_THERE);
    }
    if !is_ahead(&found) {
        return Some("an entry on the wrong side of the index");
    }
    let is_passed = |covered: u64| {
        if up {
            covered < found.0
        } else {
            covered > found.1
        }
    };
    if window.nearest_covered(index, up).is_some_and(is_passed) {
        return Some(PASSED);
    }
    let is_missed = |held: &Held| is_ahead(held) && is_nearer(held, &found);
    window.always.iter().any(is_missed).then_some(MISSED)
}

/// What is wrong with an iteration from `index`, upwards or downwards.
fn judge_pass(window: &Window, index: u64, items: &[Held], up: bool) -> Option<&'static str> {
    let is_onward = |pair: &[Held]| {
        if up {
            pair[0].1 < pair[1].0
        } else {
            pair[1].1 < pair[0].0
        }
    };
    if !items.windows(2).all(is_onward) {
        return Some("went backwards, or met an index twice");
    }
    let is_ahead = |held: &Held| if up { held.1 >= index } else { held.0 <= index };
    if !items.iter().all(is_ahead) {
        return Some("an entry on the wrong side of the index");
    }
    if !items.iter().all(|held| window.ever.contains(held)) {
        return Some(NEVER_THERE);
    }
    let seen: BTreeSet<Held> = items.iter().copied().collect();
    let is_missed = |held: &Held| is_ahead(held) && !seen.contains(held);
    if window.always.iter().any(is_missed) {
        return Some(MISSED);
    }
    // Between two items, and between them and the ends, nothing was covered throughout.
    let mut next = Some(index);
    for held in items {
        let is_passed = |covered: u64| {
            if up {
                covered < held.0
            } else {
                covered > held.1
            }
        };
        let covered = next.and_then(|index| window.nearest_covered(index, up));
        if covered.is_some_and(is_passed) {
            return Some(PASSED);
        }
        next = if up {
            held.1.checked_add(1)
        } else {
            held.0.checked_sub(1)
        };
    }
    let covered = next.and_then(|index| window.nearest_covered(index, up));
    covered.map(|_| PASSED)
}

/// What is wrong with a gap search; `of_all` is the gap that was there throughout, if any.
fn judge_gap(
    window: &Window,
    (size, limits): (u64, (u64, u64)),
    found: Option<u64>,
    of_all: Option<u64>,
    lowest: bool,
) -> Option<&'static str> {
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
    let is_beyond = |there: u64| if lowest { there < found } else { there > found };
    of_all
        .is_some_and(is_beyond)
        .then_some("passed over a gap that was there throughout")
}

fn judge(window: &Window, seen: &Seen) -> Option<&'static str> {
    match seen {
        Seen::Load(..) | Seen::RangeAt(..) => None,
        Seen::Find(index, found) => judge_find(window, *index, *found, true),
        Seen::FindRev(index, found) => judge_find(window, *index, *found, false),
        Seen::Forward(index, items) => judge_pass(window, *index, items, true),
        Seen::Backward(index, items) => judge_pass(window, *index, items, false),
        Seen::LowestGap(size, limits, found) => {
            let of_all = window.overlaid().lowest_gap(*size, 1, limits.0..=limits.1);
            judge_gap(window, (*size, *limits), *found, of_all, true)
        }
        Seen::HighestGap(size, limits, found) => {
            let of_all = window.overlaid().highest_gap(*size, 1, limits.0..=limits.1);
            judge_gap(window, (*size, *limits), *found, of_all, false)
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

//! The rows whose loops the kernel's own benchmark of its tree has.

use super::Row;
use crate::meter::{Meter, Sample};
use crate::subject::{Entry, GapSubject, Subject};
use crate::workload::word;
use maple_tree::{Gaps, MapleTree, Position, Span};
use std::hint::black_box;

/// Ranges of `len` indices, one at each multiple of `step` below `end`.
fn filled<S: Subject>(end: u64, step: usize, len: u64) -> S {
    let mut tree = S::new();
    for i in (0..end).step_by(step) {
        tree.store(Span::new(i, i + len - 1), word(i));
    }
    tree
}

pub(super) fn slot_store<S: Subject>(row: Row<'_>) -> Sample {
    let mut tree: S = filled(1040, 10, 6);
    let nr_pairs = 4_000_000;
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..nr_pairs {
            tree.clear(Span::new(105, 105));
            tree.store(Span::new(100, 105), word(105));
        }
    });
    meter.sample(row.name, 2 * nr_pairs, tree.sum().1, String::new())
}

pub(super) fn node_store<S: Subject>(row: Row<'_>) -> Sample {
    let mut tree: S = filled(240, 10, 6);
    let nr_stores = 6_000_000;
    let mut at = 76;
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..nr_stores {
            tree.store(Span::new(at, at + 15), word(at));
            at += 5;
            if at >= 135 {
                at = 76;
            }
        }
    });
    meter.sample(row.name, nr_stores, tree.sum().1, String::new())
}

pub(super) fn gap<S: GapSubject>(row: Row<'_>) -> Sample {
    let mut tree: S = filled(2500, 10, 6);
    tree.clear(Span::new(1470, 1475));
    let nr_searches = 8_000_000;
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        (0..nr_searches).fold(0, |sum, _| {
            let found = tree.highest_gap(black_box(10), black_box(Span::new(0, 2000)));
            sum + found.expect("there is one")
        })
    });
    meter.sample(row.name, nr_searches, sum, String::new())
}

const NR_LOOKUPS: u64 = 30_000_000;

pub(super) fn walk<S: Subject>(row: Row<'_>) -> Sample {
    let tree: S = filled(2500, 10, 6);
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        (0..NR_LOOKUPS).fold(0, |sum, _| {
            let (word, first) = tree.walk(black_box(1470)).expect("filled");
            black_box(first);
            sum + word
        })
    });
    meter.sample(row.name, NR_LOOKUPS, sum, String::new())
}

pub(super) fn load<S: Subject>(row: Row<'_>) -> Sample {
    let tree: S = filled(2500, 10, 6);
    let mut meter = Meter::new();
    let sum = meter.run(|| (0..NR_LOOKUPS).fold(0, |sum, _| sum + tree.load(black_box(1470))));
    meter.sample(row.name, NR_LOOKUPS, sum, String::new())
}

/// Goes from entry to entry by positions, which are kept between read sections, as the loop of the
/// kernel does.
pub(super) fn next_each<S: Subject>(row: Row<'_>) -> Sample {
    let tree: S = filled(2500, 5, 5);
    let nr_passes = 30_000;
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        let mut sum = 0;
        for _ in 0..nr_passes {
            let mut at = black_box(Position::start());
            while let Some((word, next)) = tree.next(at) {
                sum += word >> 1;
                at = next;
            }
        }
        sum
    });
    meter.sample(row.name, 500 * nr_passes, sum, String::new())
}

/// The same with nothing kept but an index: a walk from the top for each entry. The C side has only
/// the one loop.
pub(super) fn find_each<S: Subject>(row: Row<'_>) -> Sample {
    let tree: S = filled(2500, 5, 5);
    let nr_passes = 30_000;
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        let mut sum = 0;
        for _ in 0..nr_passes {
            let mut at = black_box(0);
            while let Some((word, next)) = tree.find(at) {
                sum += word >> 1;
                at = next;
            }
        }
        sum
    });
    meter.sample(row.name, 500 * nr_passes, sum, String::new())
}

/// Adjacent ranges of five indices, but every sixth of four.
fn uneven<S: Subject>() -> S {
    let mut tree = S::new();
    for i in (0..2500).step_by(5) {
        let last = i + if i % 30 == 0 { 3 } else { 4 };
        tree.store(Span::new(i, last), word(i));
    }
    tree
}

const NR_PASSES: u64 = 60_000;

pub(super) fn each<S: Subject>(row: Row<'_>) -> Sample {
    let tree: S = uneven();
    let mut meter = Meter::new();
    let span = Span::new(0, 2500);
    let sum = meter.run(|| {
        (0..NR_PASSES).fold(0, |sum, _| {
            sum + black_box(&tree).sum_values(black_box(span))
        })
    });
    meter.sample(row.name, 500 * NR_PASSES, sum, String::new())
}

pub(super) fn each_rev<S: Subject>(row: Row<'_>) -> Sample {
    let tree: S = uneven();
    let mut meter = Meter::new();
    let sum =
        meter.run(|| (0..NR_PASSES).fold(0, |sum, _| sum + black_box(&tree).sum_values_rev()));
    meter.sample(row.name, 500 * NR_PASSES, sum, String::new())
}

/// Copies a tree, walks over the copy storing each entry again, and drops it.
pub(super) fn fork(row: Row<'_>) -> Sample {
    let mut tree: MapleTree<Entry, Gaps> = MapleTree::new();
    for i in 0..135 {
        Subject::store(&mut tree, Span::new(10 * i, 10 * i + 5), word(i));
    }
    let nr_forks = 80_000;
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        let mut sum = 0;
        for _ in 0..nr_forks {
            let mut copy = tree.duplicate().expect("memory");
            let mut cursor = copy.cursor_mut(0);
            while let Some((span, entry)) = cursor.next() {
                cursor.store(span, entry).expect("memory");
                sum += entry.get() >> 1;
            }
        }
        sum
    });
    meter.sample(row.name, nr_forks, sum, String::new())
}

//! Rows on whole trees: build, iterate, duplicate.

use super::{Row, built, memory_note, store_all};
use crate::meter::{Meter, Sample};
use crate::subject::{Entry, Subject};
use crate::workload::{Layout, shuffled, word};
use maple_tree::{Gaps, MapleTree, Position};
use std::hint::black_box;

fn nr_builds(row: Row<'_>) -> usize {
    match row.size {
        0..65_000 => 2000,
        65_000..1_000_000 => 30,
        _ => 3,
    }
}

/// Builds trees; their drop is not measured. `build_mas` keeps a state between ascending stores: a
/// cursor.
pub(super) fn build<S: Subject>(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let order = if row.is_random_order {
        shuffled(row.size)
    } else {
        (0..row.size).collect()
    };
    let nr_builds = nr_builds(row);
    let mut meter = Meter::new();
    let mut sum = 0;
    let mut note = String::new();
    for build in 0..nr_builds {
        let mut tree = S::new();
        if row.kind == "build_mas" {
            let all = layout.spans.iter().zip(1..);
            let all = all.map(|(span, nth)| (*span, word(nth)));
            meter.run(|| tree.store_by_cursor(all));
        } else {
            meter.run(|| store_all(&mut tree, &layout, &order));
        }
        if build == nr_builds - 1 {
            sum = tree.sum().1;
            note = memory_note(&tree, row.size as u64);
        }
    }
    meter.sample(row.name, (nr_builds * row.size) as u64, sum, note)
}

/// Builds trees by an appender, which C has nothing like: its side is that of `build_mas`.
pub(super) fn append(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let nr_builds = nr_builds(row);
    let mut meter = Meter::new();
    let mut tree: MapleTree<Entry, Gaps> = MapleTree::new();
    for _ in 0..nr_builds {
        tree = MapleTree::new();
        meter.run(|| {
            let mut appender = tree.appender();
            for (span, nth) in layout.spans.iter().zip(1..) {
                let entry = Entry::new(word(nth)).expect("tagged");
                appender.push(*span, entry).expect("ascending, and memory");
            }
        });
    }
    let note = memory_note(&tree, row.size as u64);
    let sum = Subject::sum(&tree).1;
    meter.sample(row.name, (nr_builds * row.size) as u64, sum, note)
}

pub(super) fn iterate<S: Subject>(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let tree: S = built(&layout, row.is_random_order);
    let nr_passes = 20_000_000 / row.size as u64;
    black_box(tree.sum());
    let mut meter = Meter::new();
    let sum = meter
        .run(|| (0..nr_passes).fold(0_u64, |sum, _| sum.wrapping_add(black_box(&tree).sum().1)));
    let note = memory_note(&tree, row.size as u64);
    meter.sample(row.name, nr_passes * row.size as u64, sum, note)
}

/// Goes from entry to entry by positions, which are kept between read sections.
pub(super) fn next_each<S: Subject>(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let tree: S = built(&layout, false);
    let nr_passes = 20_000_000 / row.size as u64;
    black_box(tree.sum());
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        let mut sum = 0_u64;
        for _ in 0..nr_passes {
            let mut at = black_box(Position::start());
            while let Some((word, next)) = tree.next(at) {
                sum = sum.wrapping_add(word >> 1);
                at = next;
            }
        }
        sum
    });
    let note = memory_note(&tree, row.size as u64);
    meter.sample(row.name, nr_passes * row.size as u64, sum, note)
}

/// Walks to each entry from the top.
pub(super) fn find_each<S: Subject>(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let tree: S = built(&layout, false);
    let nr_passes = 20_000_000 / row.size as u64;
    black_box(tree.sum());
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        let mut sum = 0_u64;
        for _ in 0..nr_passes {
            let mut at = black_box(0);
            while let Some((word, next)) = tree.find(at) {
                sum = sum.wrapping_add(word >> 1);
                at = next;
            }
        }
        sum
    });
    let note = memory_note(&tree, row.size as u64);
    meter.sample(row.name, nr_passes * row.size as u64, sum, note)
}

/// Makes batches of copies, then drops them; the first batch only warms up.
pub(super) fn duplicate(row: Row<'_>) -> Vec<Sample> {
    let layout = Layout::mappings(row.size);
    let tree: MapleTree<Entry, Gaps> = built(&layout, row.is_random_order);
    let (nr_batches, nr_copies) = match row.size {
        0..1000 => (20_000, 8),
        1000..65_000 => (2000, 8),
        _ => (200, 1),
    };
    let (mut making, mut ending) = (Meter::new(), Meter::new());
    let mut copies = Vec::with_capacity(nr_copies);
    let mut sum = 0;
    for batch in 0..nr_batches {
        let mut make = || copies.extend((0..nr_copies).map(|_| tree.duplicate().expect("memory")));
        if batch == 0 {
            make();
            copies.clear();
            continue;
        }
        making.run(make);
        if batch == nr_batches - 1 {
            sum = Subject::sum(&copies[0]).1;
        }
        ending.run(|| copies.clear());
    }
    let nr = ((nr_batches - 1) * nr_copies) as u64;
    let note = memory_note(&tree, row.size as u64);
    let name = format!("{}.destroy", row.name);
    vec![
        making.sample(row.name, nr, sum, note),
        ending.sample(&name, nr, sum, String::new()),
    ]
}

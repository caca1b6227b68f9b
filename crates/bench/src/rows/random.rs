//! Rows of random lookups, stores and gap searches.

use super::{Row, built, memory_note};
use crate::meter::{Meter, Sample};
use crate::subject::{GapSubject, Subject};
use crate::workload::{BASE, Layout, NR_QUERIES, PAGE, word};
use maple_tree::Span;
use std::hint::black_box;
use vmaple_model::random::SplitMix64;

/// Builds the row's tree, warms it up, and measures `lookup` on each query, again and again. The
/// lookup gets the answer of the one before.
fn lookups<S: Subject>(row: Row<'_>, lookup: impl Fn(&S, u64, u64) -> (u64, u64)) -> Sample {
    let layout = Layout::mappings(row.size);
    let tree: S = built(&layout, row.is_random_order);
    let queries = layout.queries();
    for index in &queries {
        black_box(tree.load(*index));
    }
    let nr_passes = if row.size >= 1_000_000 { 4 } else { 12 };
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        let (mut sum, mut before) = (0_u64, 0);
        for _ in 0..nr_passes {
            for index in &queries {
                let (term, word) = lookup(&tree, *index, before);
                sum = sum.wrapping_add(term);
                before = word;
            }
        }
        sum
    });
    let note = memory_note(&tree, row.size as u64);
    meter.sample(row.name, nr_passes * NR_QUERIES as u64, sum, note)
}

pub(super) fn load<S: Subject>(row: Row<'_>) -> Sample {
    lookups::<S>(row, |tree, index, _| (tree.load(index), 0))
}

/// Each index depends on the answer before, so that latency is measured, not throughput.
pub(super) fn load_dependent<S: Subject>(row: Row<'_>) -> Sample {
    // Zero, but neither compiler nor processor knows before the load is done.
    let mask = black_box(0);
    lookups::<S>(row, move |tree, index, before| {
        let word = tree.load(index + (before & mask));
        (word, word)
    })
}

pub(super) fn walk<S: Subject>(row: Row<'_>) -> Sample {
    lookups::<S>(row, |tree, index, _| {
        let (word, first) = tree.walk(index).expect("inside a range");
        (word.wrapping_add(first), 0)
    })
}

pub(super) fn find<S: Subject>(row: Row<'_>) -> Sample {
    lookups::<S>(row, |tree, index, _| {
        let (word, next) = tree.find(index).expect("inside a range");
        (word.wrapping_add(next), 0)
    })
}

pub(super) fn mix<S: Subject>(row: Row<'_>, bits: u32) -> Sample {
    let domain = 1_u64 << bits;
    let nr_ops = 3_000_000;
    let mut random = SplitMix64::new(2024);
    let mut tree = S::new();
    let mut step = |tree: &mut S, is_prefill: bool| {
        let z = random.next_u64();
        let first = random.bounded(domain);
        if is_prefill || z & 3 != 0 {
            let span = Span::new(first, first + ((z >> 8) & 15));
            tree.store(span, word((z >> 20) & 0xff_ffff | 1));
        } else {
            tree.erase(first);
        }
    };
    for _ in 0..domain / 8 {
        step(&mut tree, true);
    }
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..nr_ops {
            step(&mut tree, false);
        }
    });
    let (nr, sum) = tree.sum();
    meter.sample(row.name, nr_ops, sum, memory_note(&tree, nr))
}

pub(super) fn remap<S: Subject>(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let mut tree: S = built(&layout, false);
    let mut random = SplitMix64::new(99);
    let nr_pairs = 1_000_000;
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..nr_pairs {
            let k = random.bounded(row.size as u64);
            let span = layout.spans[k as usize];
            tree.clear(span);
            tree.store(span, word(k + 1));
        }
    });
    let (nr, sum) = tree.sum();
    meter.sample(row.name, 2 * nr_pairs, sum, memory_note(&tree, nr))
}

pub(super) fn mmapsim<S: GapSubject>(row: Row<'_>) -> Sample {
    let limits = Span::new(BASE, 0x7fff_ffff_f000 - 1);
    let nr_ops = 2_000_000;
    let mut random = SplitMix64::new(77);
    let mut places: Vec<Option<Span>> = vec![None; row.size];
    let mut tree = S::new();
    let mut sum = 0_u64;
    let mut step = || {
        let z = random.next_u64();
        let k = ((u128::from(z) * row.size as u128) >> 64) as usize;
        if let Some(span) = places[k].take() {
            tree.clear(span);
        } else {
            let size = (1 + ((z >> 8) & 15)) * PAGE;
            let first = tree
                .allocate(size, limits, word(k as u64 + 1))
                .expect("room");
            places[k] = Some(Span::new(first, first + size - 1));
            sum = sum.wrapping_add(first);
        }
    };
    for _ in 0..4 * row.size {
        step();
    }
    let mut meter = Meter::new();
    meter.run(|| {
        for _ in 0..nr_ops {
            step();
        }
    });
    let (nr, of_tree) = tree.sum();
    meter.sample(row.name, nr_ops, sum ^ of_tree, memory_note(&tree, nr))
}

pub(super) fn gap<S: GapSubject>(row: Row<'_>, is_forward: bool) -> Sample {
    let layout = Layout::gappy(row.size);
    let tree: S = built(&layout, false);
    let width = layout.top - BASE;
    let nr_searches = 1_000_000;
    let mut random = SplitMix64::new(555);
    let mut meter = Meter::new();
    let sum = meter.run(|| {
        (0..nr_searches).fold(0_u64, |sum, _| {
            let at = BASE + random.bounded(width) / PAGE * PAGE;
            let size = PAGE << (random.next_u64() % 10);
            let found = if is_forward {
                tree.lowest_gap(size, Span::new(at, layout.top - 1))
            } else {
                tree.highest_gap(size, Span::new(BASE, at + PAGE - 1))
            };
            sum.wrapping_add(found.unwrap_or(0))
        })
    });
    meter.sample(
        row.name,
        nr_searches,
        sum,
        memory_note(&tree, row.size as u64),
    )
}

//! Real threads, recorded and judged: one writer makes random changes, readers ask every kind of
//! question, and `vmaple_model::history` decides whether a range map that keeps its promises could
//! have answered so.
#![cfg(not(loom))]

use maple_tree::{Config, Fan, Gaps, Reader, SharedMapleTree, Span, Tracked, TracksGaps};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use vmaple_model::history::{Change, Clock, During, History, Seen};
use vmaple_model::random::SplitMix64;
use vmaple_model::tree::{Held, NaiveTree};

/// Where the ranges are; the empty end is a gap of all trees.
const DOMAIN: u64 = 500;
const NR_CHANGES: usize = 12_000;
/// Reads of one thread that are kept.
const NR_READS: usize = 60_000;

type Tree<C> = SharedMapleTree<u32, C>;

fn flat((span, value): (Span, u32)) -> Held {
    (span.first, span.last, value)
}

/// Changes that keep a few places busy: most replace what is there, by its exact range or by one
/// that is a little off, and some span many leaves.
fn choose(random: &mut SplitMix64, tree: &NaiveTree, value: u32) -> Change {
    let at = match random.bounded(3) {
        0 => random.bounded(DOMAIN),
        _ => random.bounded(DOMAIN / 10),
    };
    let held = tree.load(at).unwrap_or((at, at + random.bounded(8), 0));
    let (first, last) = match random.bounded(32) {
        0 => (at, at + random.bounded(DOMAIN / 4)),
        1..=3 => (at, at + random.bounded(12)),
        4..=7 => (held.0, held.1 + random.bounded(4)),
        8..=10 => (held.0 + (held.1 - held.0) / 2, held.1),
        _ => (held.0, held.1),
    };
    match random.bounded(5) {
        0 => Change::Clear(first, last),
        _ => Change::Store((first, last, value)),
    }
}

/// Makes the changes, and notes when.
fn write<C: Config>(tree: &Tree<C>, clock: &Clock, mut naive: NaiveTree) -> Vec<(During, Change)> {
    let mut random = SplitMix64::new(90);
    let mut changes = Vec::with_capacity(NR_CHANGES);
    for value in 0..NR_CHANGES as u32 {
        let change = choose(&mut random, &naive, value);
        change.apply(&mut naive);
        let mut writer = tree.write();
        let (during, ()) = clock.time(|| match change {
            Change::Store((first, last, value)) => {
                writer.store(first..=last, value).expect("memory");
            }
            Change::Clear(first, last) => writer.clear(first..=last).expect("memory"),
        });
        changes.push((during, change));
    }
    changes
}

/// Asks one question.
fn ask<C: TracksGaps>(reader: Reader<'_, u32, C>, random: &mut SplitMix64) -> Seen {
    let index = match random.bounded(3) {
        0 => random.bounded(DOMAIN),
        _ => random.bounded(DOMAIN / 10),
    };
    match random.bounded(32) {
        0..=11 => Seen::Load(index, reader.load(index).map(flat)),
        12..=19 => {
            let (span, value) = reader.range_at(index);
            Seen::RangeAt(index, (span.first, span.last), value)
        }
        20..=22 => Seen::Find(index, reader.find(index).map(flat)),
        23..=25 => Seen::FindRev(index, reader.find_rev(index).map(flat)),
        26 => Seen::Forward(index, reader.iter_from(index).map(flat).collect()),
        27 => Seen::Backward(index, reader.iter_rev_from(index).map(flat).collect()),
        kind => {
            let size = 1 + random.bounded(12);
            let limits = (index, index + 30 + random.bounded(DOMAIN));
            let span = Span::new(limits.0, limits.1);
            if kind % 2 == 0 {
                Seen::LowestGap(size, limits, reader.lowest_gap(size, 1, span))
            } else {
                Seen::HighestGap(size, limits, reader.highest_gap(size, 1, span))
            }
        }
    }
}

/// Asks until the writer is done; keeps the last reads.
fn read<C: TracksGaps>(
    tree: &Tree<C>,
    (clock, is_over): (&Clock, &AtomicBool),
    seed: u64,
) -> Vec<(During, Seen)> {
    let mut random = SplitMix64::new(seed);
    let mut reads = Vec::with_capacity(NR_READS);
    while !is_over.load(Ordering::Relaxed) && reads.len() < NR_READS {
        let section = tree.enter();
        let reader = tree.read(&section);
        // Some sections are long: what they see must not be freed meanwhile.
        for _ in 0..1 + random.bounded(6) {
            reads.push(clock.time(|| ask(reader, &mut random)));
        }
    }
    reads
}

/// Says that the writer is done, also if it panics: the readers must not go on for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn record<C: TracksGaps>() -> History {
    let tree = Tree::<C>::new();
    let mut before = NaiveTree::default();
    for i in 0..DOMAIN / 10 {
        let (first, value) = (10 * i, u32::MAX - i as u32);
        tree.write()
            .store(first..=first + 5, value)
            .expect("memory");
        before.store(first..=first + 5, value);
    }
    let (clock, is_over) = (Clock::default(), AtomicBool::new(false));
    let (changes, reads) = thread::scope(|scope| {
        let readers = [91, 92].map(|seed| {
            let (tree, shared) = (&tree, (&clock, &is_over));
            scope.spawn(move || read(tree, shared, seed))
        });
        let over = Over(&is_over);
        let changes = write(&tree, &clock, before.clone());
        drop(over);
        let reads = readers.map(|reader| reader.join().expect("reads to the end"));
        (changes, reads.concat())
    });
    assert_eq!(tree.write().validate(), Ok(()));
    History {
        before,
        changes,
        reads,
    }
}

fn check<C: TracksGaps>() {
    // One processor may run reader and writer by turns: then try again.
    let enough = (0..20).find(|_| match record::<C>().check() {
        Ok(coverage) => {
            println!("{coverage:?}");
            coverage.nr_beside_changes > 500
        }
        Err(anomaly) => panic!("{anomaly}"),
    });
    assert!(enough.is_some(), "readers hardly ever met a change");
}

#[test]
fn what_readers_saw_can_have_been_at_fan_out_3() {
    check::<Fan<Tracked, 3, 3>>();
}

#[test]
fn what_readers_saw_can_have_been_at_fan_out_4() {
    check::<Fan<Tracked, 4, 4>>();
}

#[test]
fn what_readers_saw_can_have_been_at_release_fan_out() {
    check::<Gaps>();
}

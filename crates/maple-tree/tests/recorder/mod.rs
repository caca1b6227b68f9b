//! A run to be judged by `vmaple_model::history`: random changes by one writer, and readers that
//! ask every kind of question, each call timed. How threads are made is the caller's matter.

use maple_tree::{Config, Reader, SharedMapleTree, Span, TracksGaps};
use vmaple_model::history::{Change, Clock, During, Seen, Way};
use vmaple_model::random::SplitMix64;
use vmaple_model::tree::{Held, NaiveTree};
use vmaple_sync::atomic::{AtomicBool, Ordering};

pub(crate) type Tree<C> = SharedMapleTree<u32, C>;

/// How large a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Where the ranges are; the empty end is a gap throughout. Every tenth index begins one.
    pub(crate) domain: u64,
    pub(crate) nr_changes: usize,
    /// Reads of one thread at most.
    pub(crate) nr_reads: usize,
}

fn flat((span, value): (Span, u32)) -> Held {
    (span.first, span.last, value)
}

/// Mostly from the lowest tenth: there writer and readers are to meet.
fn busy_index(random: &mut SplitMix64, domain: u64) -> u64 {
    match random.bounded(3) {
        0 => random.bounded(domain),
        _ => random.bounded(domain / 10),
    }
}

/// What a run begins with.
pub(crate) fn fill<C: Config>(tree: &Tree<C>, scale: Scale) -> NaiveTree {
    let mut naive = NaiveTree::default();
    for i in 0..scale.domain / 10 {
        let (first, value) = (10 * i, u32::MAX - i as u32);
        tree.write()
            .store(first..=first + 5, value)
            .expect("memory");
        naive.store(first..=first + 5, value);
    }
    naive
}

/// Changes that keep a few places busy: most replace what is there, by its exact range or by one
/// that is a little off, and some span many leaves.
fn choose(random: &mut SplitMix64, domain: u64, tree: &NaiveTree, value: u32) -> Change {
    let at = busy_index(random, domain);
    let held = tree.load(at).unwrap_or((at, at + random.bounded(8), 0));
    let (first, last) = match random.bounded(32) {
        0 => (at, at + random.bounded(domain / 4)),
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
pub(crate) fn write<C: Config>(
    tree: &Tree<C>,
    clock: &Clock,
    mut naive: NaiveTree,
    (scale, seed): (Scale, u64),
) -> Vec<(During, Change)> {
    let mut random = SplitMix64::new(seed);
    let mut changes = Vec::with_capacity(scale.nr_changes);
    for value in 0..scale.nr_changes as u32 {
        let change = choose(&mut random, scale.domain, &naive, value);
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

/// Goes through the tree by a cursor that is paused after some steps: each leg has a read section
/// of its own.
fn step_through<C: Config>(tree: &Tree<C>, random: &mut SplitMix64, index: u64) -> Seen {
    let way = match random.bounded(2) {
        0 => Way::Up,
        _ => Way::Down,
    };
    let mut position = {
        let section = tree.enter();
        // A cursor stands before its index: downwards, that index is to be met.
        let before = match way {
            Way::Up => index,
            Way::Down => index + 1,
        };
        tree.read(&section).cursor(before).pause()
    };
    let mut items = Vec::new();
    loop {
        let section = tree.enter();
        let mut cursor = tree.read(&section).resume(position);
        for _ in 0..1 + random.bounded(9) {
            let found = match way {
                Way::Up => cursor.next(),
                Way::Down => cursor.prev(),
            };
            match found {
                Some(found) => items.push(flat(found)),
                None => return Seen::Steps(way, index, items),
            }
        }
        position = cursor.pause();
    }
}

/// Asks one question.
fn ask<C: TracksGaps>(reader: Reader<'_, u32, C>, random: &mut SplitMix64, domain: u64) -> Seen {
    let index = busy_index(random, domain);
    match random.bounded(32) {
        0..=11 => Seen::Load(index, reader.load(index).map(flat)),
        12..=19 => {
            let (span, value) = reader.range_at(index);
            Seen::RangeAt(index, (span.first, span.last), value)
        }
        20..=22 => Seen::Find(index, reader.find(index).map(flat)),
        23..=25 => Seen::FindRev(index, reader.find_rev(index).map(flat)),
        26 => Seen::Pass(Way::Up, index, reader.iter_from(index).map(flat).collect()),
        27 => Seen::Pass(
            Way::Down,
            index,
            reader.iter_rev_from(index).map(flat).collect(),
        ),
        kind => {
            let size = 1 + random.bounded(12);
            let limits = (index, index + 30 + random.bounded(domain));
            let span = Span::new(limits.0, limits.1);
            if kind % 2 == 0 {
                Seen::LowestGap(size, limits, reader.lowest_gap(size, 1, span))
            } else {
                Seen::HighestGap(size, limits, reader.highest_gap(size, 1, span))
            }
        }
    }
}

/// Asks until the writer is done.
pub(crate) fn read<C: TracksGaps>(
    tree: &Tree<C>,
    (clock, is_over): (&Clock, &AtomicBool),
    (scale, seed): (Scale, u64),
) -> Vec<(During, Seen)> {
    let mut random = SplitMix64::new(seed);
    let mut reads = Vec::with_capacity(scale.nr_reads);
    while !is_over.load(Ordering::Relaxed) && reads.len() < scale.nr_reads {
        if random.bounded(16) == 0 {
            let index = busy_index(&mut random, scale.domain);
            reads.push(clock.time(|| step_through(tree, &mut random, index)));
            continue;
        }
        let section = tree.enter();
        let reader = tree.read(&section);
        // Some sections are long: what they see must not be freed meanwhile.
        for _ in 0..1 + random.bounded(6) {
            reads.push(clock.time(|| ask(reader, &mut random, scale.domain)));
        }
    }
    reads
}

//! The questions of the interpreter, each put to the trees and to the naive one.

use super::bytes::Bytes;
use super::flat;
use maple_tree::{MapleTree, Reader, Room, Span, TracksGaps};
use vmaple_model::tree::{Held, NaiveTree};

/// Everything that is asked about one index.
pub(super) fn lookups<C: TracksGaps>(
    alone: &MapleTree<u32, C>,
    beside: Reader<'_, u32, C>,
    naive: &NaiveTree,
    index: u64,
) {
    for reader in [alone.reader(), beside] {
        let what = || format!("{index:#x} in {}", alone.dump());
        let held = naive.load(index);
        assert_eq!(reader.load(index).map(flat), held, "load {}", what());
        assert_eq!(reader.get(index), held.map(|held| held.2), "get {}", what());
        let found = reader.find(index).map(flat);
        assert_eq!(found, naive.find(index), "find {}", what());
        let found = reader.find_rev(index).map(flat);
        assert_eq!(found, naive.find_rev(index), "find_rev {}", what());
        let (span, value) = reader.range_at(index);
        let range = ((span.first, span.last), value);
        assert_eq!(range, naive.range_at(index), "range_at {}", what());
        let next = span.last.checked_add(1).and_then(|next| naive.find(next));
        assert_eq!(reader.next(span).map(flat), next, "next {}", what());
        let prev = span
            .first
            .checked_sub(1)
            .and_then(|prev| naive.find_rev(prev));
        assert_eq!(reader.prev(span).map(flat), prev, "prev {}", what());
    }
}

/// Iteration within limits, from both ends.
pub(super) fn passes<C: TracksGaps>(tree: &MapleTree<u32, C>, naive: &NaiveTree, limits: Span) {
    let entries = naive.entries();
    let from = |held: &&Held| held.1 >= limits.first;
    let to = |held: &&Held| held.0 <= limits.last;
    let upwards = entries.iter().filter(from).copied();
    assert!(tree.iter_from(limits.first).map(flat).eq(upwards.clone()));
    let within = upwards.filter(|held| to(&held));
    assert!(tree.range(limits).map(flat).eq(within.clone()), "{limits}");
    let folded = tree.range(limits).fold(Vec::new(), |mut all, found| {
        all.push(flat(found));
        all
    });
    assert!(within.eq(folded), "{limits} by fold");
    let downwards = entries.iter().rev().filter(to).copied();
    assert!(tree.iter_rev_from(limits.last).map(flat).eq(downwards));
}

/// Gap search within limits, both ways.
pub(super) fn gaps<C: TracksGaps>(
    alone: &MapleTree<u32, C>,
    beside: Reader<'_, u32, C>,
    naive: &NaiveTree,
    bytes: &mut Bytes<'_>,
) {
    let limits = bytes.long_range();
    let (size, align) = (bytes.size(), bytes.align());
    let range = limits.first..=limits.last;
    let expected = (
        naive.lowest_gap(size, align, range.clone()),
        naive.highest_gap(size, align, range),
    );
    for reader in [alone.reader(), beside] {
        let found = (
            reader.lowest_gap(size, align, limits),
            reader.highest_gap(size, align, limits),
        );
        let what = || format!("{size:#x} by {align} in {limits} of {}", alone.dump());
        assert_eq!(found, expected, "{}", what());
    }
}

/// Where `room` is: lowest (0), highest (1), or lowest from `from` on and else lowest (2).
pub(super) fn place(naive: &NaiveTree, room: Room, kind: u8, from: u64) -> Option<u64> {
    let Room {
        size,
        align,
        limits,
    } = room;
    let lowest = |first: u64| {
        (first <= limits.last).then(|| naive.lowest_gap(size, align, first..=limits.last))?
    };
    match kind {
        0 => lowest(limits.first),
        1 => naive.highest_gap(size, align, limits.first..=limits.last),
        _ => lowest(from.max(limits.first)).or_else(|| lowest(limits.first)),
    }
}

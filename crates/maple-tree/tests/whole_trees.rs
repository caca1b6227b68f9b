//! Cursors, allocation in gaps, and operations on whole trees, against the naive tree.
#![cfg(not(any(loom, shuttle)))]

use maple_tree::{Config, Fan, Gaps, MapleTree, Room, Span, Tracked, TracksGaps, WriteError};
use std::sync::Arc;
use vmaple_model::random::SplitMix64;
use vmaple_model::tree::{Held, NaiveTree};

const DOMAIN: u64 = 600;

fn flat((span, value): (Span, u32)) -> Held {
    (span.first, span.last, value)
}

fn random_trees<C: Config>(random: &mut SplitMix64) -> (MapleTree<u32, C>, NaiveTree) {
    let (mut tree, mut naive) = (MapleTree::new(), NaiveTree::default());
    for value in 0..random.bounded(120) as u32 {
        let first = random.bounded(DOMAIN);
        let last = match random.bounded(60) {
            0 => u64::MAX,
            _ => first + random.bounded(9),
        };
        tree.store(first..=last, value).expect("memory");
        naive.store(first..=last, value);
    }
    (tree, naive)
}

fn assert_equal<C: Config>(tree: &MapleTree<u32, C>, expected: &[Held]) {
    assert_eq!(tree.validate(), Ok(()), "{}", tree.dump());
    assert!(tree.iter().map(flat).eq(expected.iter().copied()));
}

/// The place of a naive cursor: an index between entries, or an entry's range.
fn check_cursors<C: Config>(random: &mut SplitMix64) {
    let (mut tree, mut naive) = random_trees::<C>(random);
    let start = random.bounded(DOMAIN);
    let mut position = tree.reader().cursor(start).pause();
    // Above this index lies what `next` meets; up to that one, what `prev` meets.
    let (mut above, mut below) = (Some(start), start.checked_sub(1));
    for step in 0..200 {
        if random.bounded(4) == 0 {
            let first = random.bounded(DOMAIN);
            tree.store(first..=first + 3, step).expect("memory");
            naive.store(first..=first + 3, step);
        }
        let mut cursor = tree.reader().resume(position);
        let is_up = random.bounded(2) == 0;
        let (found, expected) = if is_up {
            (cursor.next(), above.and_then(|index| naive.find(index)))
        } else {
            (cursor.prev(), below.and_then(|index| naive.find_rev(index)))
        };
        assert_eq!(found.map(flat), expected, "step {step} up {is_up}");
        assert_eq!(cursor.span(), found.map(|(span, _)| span));
        (above, below) = match (expected, is_up) {
            (Some((first, last, _)), _) => (last.checked_add(1), first.checked_sub(1)),
            (None, true) => (None, Some(u64::MAX)),
            (None, false) => (Some(0), None),
        };
        position = cursor.pause();
    }
}

#[test]
fn cursors_go_both_ways_beside_writes() {
    let mut random = SplitMix64::new(31);
    for _ in 0..60 {
        check_cursors::<Fan<Tracked, 3, 3>>(&mut random);
        check_cursors::<Gaps>(&mut random);
    }
}

#[test]
fn a_cursor_at_an_end_comes_back() {
    let tree: MapleTree<u32> = [(0..=4, 1), (9..=u64::MAX, 2)].into_iter().collect();
    let mut cursor = tree.reader().cursor_at_end();
    assert_eq!(cursor.next(), None);
    assert_eq!(cursor.prev().map(|found| found.1), Some(2));
    assert_eq!(cursor.next(), None, "the entry ends where indices do");
    assert_eq!(cursor.prev().map(|found| found.1), Some(2));
    assert_eq!(cursor.prev().map(|found| found.1), Some(1));
    assert_eq!(cursor.prev(), None);
    assert_eq!(cursor.prev(), None);
    assert_eq!(cursor.next().map(|found| found.1), Some(1));
}

fn check_whole<C: Config>(random: &mut SplitMix64) {
    let (tree, naive) = random_trees::<C>(random);
    let entries = naive.entries();
    assert_equal(&tree.clone(), &entries);
    assert!(
        tree.clone()
            .into_iter()
            .map(flat)
            .eq(entries.iter().copied())
    );
    let again: MapleTree<u32, C> = tree.clone().into_iter().collect();
    assert_equal(&again, &entries);

    let mut kept = tree.clone();
    let divisor = 1 + random.bounded(3) as u32;
    kept.retain(|_, value| value % divisor == 0)
        .expect("memory");
    let expected: Vec<Held> = entries
        .iter()
        .filter(|held| held.2 % divisor == 0)
        .copied()
        .collect();
    assert_equal(&kept, &expected);

    let mut low = tree;
    let at = random.bounded(DOMAIN);
    let high = low.split_off(at).expect("memory");
    let (mut naive_low, mut naive_high) = (naive.clone(), naive);
    naive_low.clear(at..=u64::MAX);
    if let Some(below) = at.checked_sub(1) {
        naive_high.clear(0..=below);
    }
    assert_equal(&low, &naive_low.entries());
    assert_equal(&high, &naive_high.entries());
    low.extend(high);
    assert_eq!(low.validate(), Ok(()));
}

#[test]
fn whole_trees_are_copied_filtered_and_cut() {
    let mut random = SplitMix64::new(32);
    for _ in 0..150 {
        check_whole::<Fan<Tracked, 3, 3>>(&mut random);
        check_whole::<Fan<Tracked, 4, 4>>(&mut random);
        check_whole::<Gaps>(&mut random);
    }
}

fn check_allocation<C: TracksGaps>(random: &mut SplitMix64) {
    let (mut tree, mut naive) = random_trees::<C>(random);
    let mut next = random.bounded(DOMAIN);
    for value in 0..80 {
        let limits = Span::new(random.bounded(200), 300 + random.bounded(DOMAIN));
        let room = Room::new(1 + random.bounded(12), limits).aligned(1 << random.bounded(4));
        let naive_gap = |from: u64| {
            let limits = from..=limits.last;
            (from <= *limits.end()).then(|| naive.lowest_gap(room.size, room.align, limits))?
        };
        let (stored, expected) = match random.bounded(3) {
            0 => (tree.allocate_lowest(room, value), naive_gap(limits.first)),
            1 => (
                tree.allocate_highest(room, value),
                naive.highest_gap(room.size, room.align, limits.first..=limits.last),
            ),
            _ => {
                let from = next.max(limits.first);
                let expected = naive_gap(from).or_else(|| naive_gap(limits.first));
                let stored = tree.allocate_cyclic(room, &mut next, value);
                if let Ok(span) = stored {
                    let after = span.last + 1;
                    let is_around = after > limits.last;
                    assert_eq!(next, if is_around { limits.first } else { after });
                }
                (stored, expected)
            }
        };
        match stored {
            Ok(span) => {
                assert_eq!(Some(span.first), expected);
                assert_eq!(span.last - span.first, room.size - 1);
                naive.store(span.first..=span.last, value);
            }
            Err(refused) => {
                assert_eq!((refused.cause, expected), (WriteError::NoGap, None));
            }
        }
        assert_equal(&tree, &naive.entries());
    }
}

#[test]
fn allocation_takes_the_gap_that_a_linear_search_finds() {
    let mut random = SplitMix64::new(33);
    for _ in 0..20 {
        check_allocation::<Fan<Tracked, 3, 3>>(&mut random);
        check_allocation::<Gaps>(&mut random);
    }
}

#[test]
fn impossible_rooms_are_refused_by_name() {
    let mut tree: MapleTree<u32> = MapleTree::new();
    let mut cause = |room: Room| tree.allocate_lowest(room, 1).expect_err("impossible").cause;
    assert_eq!(cause(Room::new(0, 0..=9)), WriteError::ZeroSize);
    assert_eq!(
        cause(Room::new(1, 0..=9).aligned(3)),
        WriteError::BadAlignment
    );
    assert_eq!(
        cause(Room::new(1, Span::new(9, 0))),
        WriteError::InvertedRange
    );
    assert_eq!(cause(Room::new(11, 0..=9)), WriteError::NoGap);
    let mut next = 5;
    let room = Room::new(11, 0..=9);
    assert!(tree.allocate_cyclic(room, &mut next, 1).is_err());
    assert_eq!(next, 5, "a refusal moves nothing");
    let room = Room::new(5, 0..=9);
    assert!(tree.allocate_cyclic(room, &mut next, 1).is_ok());
    assert_eq!(next, 0, "the limits are used up");
}

#[test]
fn entries_taken_or_left_are_dropped_once() {
    let entry = Arc::new(());
    let ranges = |n: u64| (0..n).map(|i| (10 * i..=10 * i + 4, Arc::clone(&entry)));
    let tree: MapleTree<Arc<()>> = ranges(100).collect();
    let mut rest = tree.into_iter();
    let taken: Vec<_> = rest.by_ref().take(37).collect();
    drop(rest);
    assert_eq!(Arc::strong_count(&entry), 1 + 37);
    drop(taken);
    let mut tree: MapleTree<Arc<()>> = ranges(100).collect();
    let upper = tree.split_off(502).expect("memory");
    assert_eq!(
        Arc::strong_count(&entry),
        1 + 101,
        "one entry was on both sides"
    );
    drop(upper);
    tree.retain(|span, _| span.first % 20 == 0).expect("memory");
    assert_eq!(Arc::strong_count(&entry) - 1, tree.iter().count());
    tree.clear_all();
    assert_eq!(Arc::strong_count(&entry), 1);
}

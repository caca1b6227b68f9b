//! Edges at which range trees, Linux's among them, have been wrong; a test for each. The numbers
//! are those of the project's list of such bugs, in which a row is a bug that was found in the
//! field or by review.
//!
//! | row | the bug | here |
//! |---|---|---|
//! | 14 | an emptied tree that keeps a node | `edge_14` |
//! | 15 | a spanning store up to the last child copies what it has overwritten | `edge_15` |
//! | 16 | a spanning store that leaves too little to fill a node | `edge_16` |
//! | 17 | wrong gap after a split | `edge_17` |
//! | 18 | reverse gap search above, below and without data | `edge_18` |
//! | 19 | sparse windows: a size not checked again after a limit was raised | `edge_19` |
//! | 20 | a state that cannot be used after a search that found nothing | `edge_20` |
//! | 21 | after going below 0, the next search skips an entry | `edge_21` |
//! | 22 | a retried write that remembers a range from before | `edge_22` |
//! | 23, 24 | too little allocated ahead; a commit that allocates | `ahead.rs` |
//! | 25 | checking a tree that changes meanwhile | no such call: `validate` is the writer's |
//! | 26 | a half-made copy that somebody sees or that stays behind | `edge_26` |
#![cfg(not(any(loom, shuttle)))]

mod failing;

use failing::with_failures;
use maple_tree::{
    AllocError, Config, Fan, Gaps, MapleTree, Room, Span, StoreError, Tracked, TracksGaps,
    TreeWriter, WriteError,
};
use std::sync::Arc;
use vmaple_model::tree::{Held, NaiveTree};

type Small = Fan<Tracked, 3, 3>;

fn flat((span, value): (Span, u32)) -> Held {
    (span.first, span.last, value)
}

/// A page, as in the report of row 15.
const PAGE: u64 = 0x1000;

/// `nr` ranges of a page each that meet, and the naive tree of them.
fn pages<C: Config>(nr: u64) -> (MapleTree<u32, C>, NaiveTree) {
    let (mut tree, mut naive) = (MapleTree::new(), NaiveTree::default());
    for page in 0..nr {
        let (first, last) = (page * PAGE, page * PAGE + PAGE - 1);
        tree.store(first..=last, page as u32).expect("memory");
        naive.store(first..=last, page as u32);
    }
    (tree, naive)
}

/// Stores (or, without a value, clears) by each kind of writer on a copy, and compares.
fn check_write<C: TracksGaps>(
    tree: &MapleTree<u32, C>,
    naive: &NaiveTree,
    span: Span,
    value: Option<u32>,
) {
    let mut naive = naive.clone();
    let mut alone = tree.duplicate().expect("memory");
    let mut beside = TreeWriter::<u32, C>::from(tree.duplicate().expect("memory"));
    // Somebody who might read: the writer publishes instead of editing.
    let _reader = beside.new_reader();
    if let Some(value) = value {
        naive.store(span.first..=span.last, value);
        alone.store(span, value).expect("memory");
        beside.store(span, value).expect("memory");
    } else {
        naive.clear(span.first..=span.last);
        alone.clear(span).expect("memory");
        beside.clear(span).expect("memory");
    }
    for tree in [&alone, &beside.duplicate().expect("memory")] {
        assert_eq!(tree.validate(), Ok(()), "{span}\n{}", tree.dump());
        assert!(tree.iter().map(flat).eq(naive.entries()), "{span}");
        for size in [1, PAGE, 3 * PAGE] {
            let range = 0..=u64::MAX;
            let lowest = naive.lowest_gap(size, 1, range.clone());
            assert_eq!(tree.lowest_gap(size, 1, range.clone()), lowest, "{span}");
            let highest = naive.highest_gap(size, 1, range.clone());
            assert_eq!(tree.highest_gap(size, 1, range), highest, "{span}");
        }
        if naive.entries().is_empty() {
            assert_eq!((tree.census().height, tree.is_empty()), (0, true), "{span}");
        }
    }
}

/// Row 14: emptying a tree, from any side, leaves no node.
fn edge_14<C: TracksGaps>() {
    for nr in [1, 2, 3, 7, 40, 300] {
        let (tree, naive) = pages::<C>(nr);
        let end = nr * PAGE - 1;
        for (first, last) in [(0, u64::MAX), (0, end), (0, end + 1), (0, u64::MAX - 1)] {
            check_write(&tree, &naive, Span::new(first, last), None);
        }
        // The last entry goes alone, and what it leaves widens to everything.
        for left in [0, nr / 2, nr - 1] {
            let (mut tree, mut naive) = (tree.duplicate().expect("memory"), naive.clone());
            for page in (0..nr).filter(|page| *page != left) {
                tree.erase(page * PAGE).expect("memory");
                naive.erase(page * PAGE);
            }
            let span = Span::new(left * PAGE, left * PAGE + PAGE - 1);
            check_write(&tree, &naive, span, None);
        }
    }
}

#[test]
fn edge_14_an_emptied_tree_has_no_root() {
    edge_14::<Small>();
    edge_14::<Gaps>();
}

/// Row 15: from anywhere to the end of any leaf, the last child's included, with an entry that
/// reaches to the end of everything or without.
fn edge_15<C: TracksGaps>(nr: u64) {
    for has_tail in [false, true] {
        let (mut tree, mut naive) = pages::<C>(nr);
        if has_tail {
            tree.store(nr * PAGE..=u64::MAX, 999).expect("memory");
            naive.store(nr * PAGE..=u64::MAX, 999);
        }
        for first in 0..nr {
            for last in first..=nr {
                let last = if last == nr {
                    u64::MAX
                } else {
                    last * PAGE + PAGE - 1
                };
                for cut in [0, 1, PAGE / 2] {
                    check_write(
                        &tree,
                        &naive,
                        Span::new(first * PAGE + cut, last),
                        Some(7777),
                    );
                }
            }
        }
    }
}

#[test]
fn edge_15_a_spanning_store_ends_with_the_last_child() {
    for nr in 4..22 {
        edge_15::<Small>(nr);
    }
    edge_15::<Fan<Tracked, 4, 3>>(17);
    edge_15::<Gaps>(50);
}

/// Row 16: nearly everything goes, from either side or in the middle, and the few that stay have
/// to be put together again at every level.
fn edge_16<C: TracksGaps>(nr: u64) {
    let (tree, naive) = pages::<C>(nr);
    for nr_kept in 0..4.min(nr) {
        for nr_low in 0..=nr_kept {
            let first = nr_low * PAGE;
            let last = (nr - (nr_kept - nr_low)) * PAGE - 1;
            for value in [None, Some(7777)] {
                check_write(&tree, &naive, Span::new(first, last), value);
                check_write(&tree, &naive, Span::new(first + 1, last), value);
            }
        }
    }
}

#[test]
fn edge_16_a_spanning_store_leaves_too_little() {
    for nr in [5, 9, 14, 27, 28, 81, 100] {
        edge_16::<Small>(nr);
        edge_16::<Fan<Tracked, 4, 4>>(nr);
    }
    edge_16::<Gaps>(700);
}

/// Row 17: entries with gaps of all sizes between them, put in so that nodes split at their low
/// end, at their high end, and in the middle.
fn edge_17<C: TracksGaps>(order: impl Iterator<Item = u64>) {
    let (mut tree, mut naive) = (MapleTree::<u32, C>::new(), NaiveTree::default());
    for place in order {
        let first = place * 100 + place % 37;
        tree.store(first..=first + 9, 1).expect("memory");
        naive.store(first..=first + 9, 1);
        assert_eq!(tree.validate(), Ok(()), "{}", tree.dump());
        for size in [50, 80, 91, 110, 128] {
            let found = tree.lowest_gap(size, 1, 100..=29_000);
            assert_eq!(found, naive.lowest_gap(size, 1, 100..=29_000), "{size}");
            let found = tree.highest_gap(size, 1, 100..=29_000);
            assert_eq!(found, naive.highest_gap(size, 1, 100..=29_000), "{size}");
        }
    }
}

#[test]
fn edge_17_gaps_are_right_after_every_split() {
    edge_17::<Small>(0..120);
    edge_17::<Small>((0..120).rev());
    edge_17::<Small>((0..120).map(|i| i * 77 % 120));
    edge_17::<Gaps>((0..300).map(|i| i * 77 % 300));
}

#[test]
fn edge_18_reverse_gap_search_beyond_all_data() {
    let empty = MapleTree::<u32, Small>::new();
    assert_eq!(empty.highest_gap(1, 1, 0..=u64::MAX), Some(u64::MAX));
    assert_eq!(empty.highest_gap(u64::MAX, 1, 0..=u64::MAX), Some(1));
    for nr in [1, 3, 30] {
        let (tree, _) = pages::<Small>(nr);
        let end = nr * PAGE;
        assert_eq!(
            tree.highest_gap(PAGE, PAGE, end..=end + 5 * PAGE),
            Some(end + 4 * PAGE)
        );
        assert_eq!(
            tree.highest_gap(1, 1, end..=end),
            Some(end),
            "all of it above the data"
        );
        assert_eq!(
            tree.highest_gap(2, 1, end - 1..=end),
            None,
            "half of it above the data"
        );
        assert_eq!(
            tree.highest_gap(1, 1, 0..=end - 1),
            None,
            "all of it in the data"
        );
        let (mut full, _) = pages::<Small>(nr);
        full.store(end..=u64::MAX, 1).expect("memory");
        assert_eq!(full.highest_gap(1, 1, 0..=u64::MAX), None, "no gap at all");
        full.erase(0).expect("memory");
        assert_eq!(
            full.highest_gap(PAGE, 1, 0..=u64::MAX),
            Some(0),
            "below the data"
        );
        assert_eq!(full.highest_gap(PAGE + 1, 1, 0..=u64::MAX), None);
    }
}

#[test]
fn edge_19_sparse_windows_are_searched_as_by_hand() {
    let (mut tree, mut naive) = (MapleTree::<u32, Small>::new(), NaiveTree::default());
    for bit in (4..63).step_by(3) {
        let first = 1_u64 << bit;
        tree.store(first..=first + 7, 1).expect("memory");
        naive.store(first..=first + 7, 1);
    }
    // Windows that begin or end within a gap, at its ends, and beside them.
    let ends = |held: Held| {
        [
            held.0 - 1,
            held.0,
            held.0 + 3,
            held.1,
            held.1 + 1,
            held.1 + 40,
        ]
    };
    let places: Vec<u64> = naive.entries().into_iter().flat_map(ends).collect();
    for (nr, lo) in places.iter().enumerate() {
        for hi in places[nr..].iter().filter(|hi| **hi >= *lo) {
            let room = hi - lo;
            for size in [1, 2, 40, room / 2, room, room.saturating_add(1)] {
                for align in [1, 8, 4096] {
                    let found = (
                        tree.lowest_gap(size, align, *lo..=*hi),
                        tree.highest_gap(size, align, *lo..=*hi),
                    );
                    let expected = (
                        naive.lowest_gap(size, align, *lo..=*hi),
                        naive.highest_gap(size, align, *lo..=*hi),
                    );
                    assert_eq!(found, expected, "{size:#x} by {align} in {lo:#x}..={hi:#x}");
                }
            }
        }
    }
}

#[test]
fn edge_20_a_search_that_failed_leaves_nothing_behind() {
    let (tree, naive) = pages::<Small>(40);
    let reader = tree.reader();
    let mut cursor = reader.cursor(5 * PAGE);
    // Nothing in the low window; then a wider one, by the same reader.
    assert_eq!(reader.highest_gap(PAGE, PAGE, 0..=40 * PAGE - 1), None);
    assert_eq!(reader.lowest_gap(PAGE, PAGE, 0..=u64::MAX), Some(40 * PAGE));
    assert_eq!(cursor.next().map(flat), naive.load(5 * PAGE));
    // A cursor that found nothing goes on where it stands.
    let mut cursor = reader.cursor(40 * PAGE);
    assert_eq!(cursor.next(), None);
    assert_eq!(cursor.next(), None);
    assert_eq!(cursor.prev().map(flat), naive.load(39 * PAGE));
    assert_eq!(cursor.prev().map(flat), naive.load(38 * PAGE));
    assert_eq!(cursor.next().map(flat), naive.load(39 * PAGE));
    let position = cursor.pause();
    let mut cursor = reader.resume(position);
    assert_eq!(cursor.next(), None);
    assert_eq!(
        reader.cursor_at_end().prev().map(flat),
        naive.load(39 * PAGE)
    );
}

#[test]
fn edge_21_below_zero_and_back_meets_the_first_entry() {
    let (tree, naive) = pages::<Small>(9);
    let first = naive.load(0);
    for start in [0, 1, PAGE - 1] {
        let mut cursor = tree.reader().cursor(start);
        while cursor.prev().is_some() {}
        assert_eq!(cursor.prev(), None, "and again");
        assert_eq!(cursor.next().map(flat), first, "from {start}");
        assert_eq!(cursor.next().map(flat), naive.load(PAGE));
    }
    let lowest = tree.range_at(0).0;
    assert_eq!(tree.prev(lowest), None);
    assert_eq!(tree.find(0).map(flat), first);
    // With a gap below the first entry.
    let mut tree = tree;
    tree.erase(0).expect("memory");
    let mut cursor = tree.reader().cursor(PAGE);
    assert_eq!(cursor.prev(), None);
    assert_eq!(cursor.next().map(flat), naive.load(PAGE));
}

/// Row 22: an erasure widens over the gaps beside it, fails for want of memory, and is tried again
/// after somebody has stored into such a gap.
fn edge_22<C: Config>() {
    let mut tree = MapleTree::<u32, C>::new();
    for i in 0..30 {
        tree.store(i * 20..=i * 20 + 9, i as u32).expect("memory");
    }
    let mut writer = TreeWriter::<u32, C>::from(tree);
    let mut nr_failed = 0;
    for round in 0..25 {
        let _reader = writer.new_reader();
        let (first, last) = (round * 20, round * 20 + 29);
        let mut nr_allowed = 0;
        // Each failure is followed by a store beside the range.
        while with_failures(nr_allowed, || writer.clear(first..=last)).is_err() {
            nr_allowed += 1;
            nr_failed += 1;
            let beside = last + 1 + nr_allowed as u64;
            writer
                .store(beside, 5000 + nr_allowed as u32)
                .expect("memory");
            assert_eq!(writer.validate(), Ok(()));
        }
        assert!(writer.reader().range(first..=last).next().is_none());
        for nr in 1..=nr_allowed as u64 {
            let found = writer.reader().get(last + 1 + nr);
            assert_eq!(found, Some(5000 + nr as u32), "round {round}");
        }
        // With an empty pool, so that the next round's writes must allocate.
        writer = TreeWriter::from(writer.duplicate().expect("memory"));
    }
    assert!(nr_failed >= 20, "{nr_failed}");
}

#[test]
fn edge_22_a_retried_write_begins_anew() {
    edge_22::<Small>();
    edge_22::<Gaps>();
}

/// An entry that is counted, and whose duplicate is an allocation that can fail.
type Boxed = Box<Arc<()>>;

/// Stores into the middle of entries, which duplicates them, with every allocation failing in
/// turn; returns how many failed.
fn check_failing_duplicates<C: Config>(is_alone: bool) -> usize {
    let counted = Arc::new(());
    let mut nr_failed = 0;
    for nr in 0..20_u64 {
        let mut tree = MapleTree::<Boxed, C>::new();
        for i in 0..=nr {
            let entry = Box::new(Arc::clone(&counted));
            tree.store(i * 20..=i * 20 + 19, entry).expect("memory");
        }
        for nr_allowed in 0.. {
            let copy = tree.duplicate().expect("memory");
            let nr_before = 2 * (nr as usize + 1);
            let new = Box::new(Arc::clone(&counted));
            let (is_done, copy) = if is_alone {
                let mut copy = copy;
                let stored = with_failures(nr_allowed, || copy.store(nr / 2 * 20 + 5, new));
                (stored.is_ok(), copy)
            } else {
                let mut writer = TreeWriter::<Boxed, C>::from(copy);
                let _reader = writer.new_reader();
                let stored = with_failures(nr_allowed, || writer.store(nr / 2 * 20 + 5, new));
                let is_done = stored.is_ok();
                drop(stored);
                // The copy that has one owner again takes the place of the shared one.
                (is_done, writer.duplicate().expect("memory"))
            };
            assert_eq!(copy.validate(), Ok(()));
            // Three parts in place of one, or nothing new.
            let expected = nr_before + if is_done { 2 } else { 0 };
            assert_eq!(
                Arc::strong_count(&counted) - 1,
                expected,
                "{nr} {nr_allowed}"
            );
            if is_done {
                break;
            }
            nr_failed += 1;
        }
    }
    assert_eq!(Arc::strong_count(&counted), 1);
    nr_failed
}

#[test]
fn a_split_whose_duplicate_fails_leaks_nothing() {
    assert!(check_failing_duplicates::<Small>(true) >= 20);
    assert!(check_failing_duplicates::<Gaps>(true) >= 20);
    assert!(check_failing_duplicates::<Small>(false) >= 20);
    assert!(check_failing_duplicates::<Gaps>(false) >= 20);
}

#[test]
fn edge_26_a_copy_that_fails_at_any_entry_leaves_nothing() {
    let counted = Arc::new(());
    let mut tree = MapleTree::<Boxed, Small>::new();
    for i in 0..40_u64 {
        let entry = Box::new(Arc::clone(&counted));
        tree.store(i * 20..=i * 20 + 9, entry).expect("memory");
    }
    let mut nr_failed = 0;
    while with_failures(nr_failed, || tree.duplicate()).is_err() {
        assert_eq!(Arc::strong_count(&counted) - 1, 40, "after {nr_failed}");
        nr_failed += 1;
    }
    assert!(nr_failed > 40, "every entry's duplicate has failed once");
    assert_eq!(Arc::strong_count(&counted) - 1, 40);
}

/// An invalid call of each kind on a tree that holds [0x0, 0x9fff] and ends there.
fn refusals<T>(tree: &mut T, call: impl Fn(&mut T, WriteError) -> Option<StoreError<u32>>) {
    let causes = [
        WriteError::InvertedRange,
        WriteError::Occupied(Span::new(0, PAGE - 1)),
        WriteError::Vacant,
        WriteError::NotInside(Span::new(0, PAGE - 1)),
        WriteError::NoGap,
        WriteError::ZeroSize,
        WriteError::BadAlignment,
    ];
    for expected in causes {
        let refused = call(tree, expected).unwrap_or_else(|| panic!("{expected} came through"));
        assert_eq!(
            (refused.cause, refused.entry),
            (expected, 7),
            "the entry comes back"
        );
    }
}

/// Makes the call on `$tree` that is to be refused for `$cause`, with the entry 7.
macro_rules! refused {
    ($tree:expr, $cause:expr) => {
        match $cause {
            WriteError::InvertedRange => {
                let room = Room::new(1, Span::new(9, 0));
                let others = [
                    $tree
                        .insert(Span::new(2, 1), 7)
                        .err()
                        .map(|refused| refused.cause),
                    $tree
                        .allocate_lowest(room, 7)
                        .err()
                        .map(|refused| refused.cause),
                    $tree.clear(Span::new(2, 1)).err(),
                    $tree.plan_store(Span::new(2, 1)).err(),
                    $tree.plan_insert(Span::new(2, 1)).err(),
                    $tree.plan_clear(Span::new(2, 1)).err(),
                    $tree.plan_lowest(room).err(),
                ];
                assert_eq!(others, [Some(WriteError::InvertedRange); 7]);
                $tree.store(Span::new(2, 1), 7).err()
            }
            WriteError::Occupied(_) => $tree.insert(0..=u64::MAX, 7).err(),
            WriteError::Vacant => $tree.replace(u64::MAX, 7).err(),
            WriteError::NotInside(_) => {
                let refused = $tree.carve(0..=5, None, 7).err();
                refused.map(|refused| StoreError {
                    entry: refused.entry.1,
                    cause: refused.cause,
                })
            }
            WriteError::NoGap => $tree.allocate_highest(Room::new(1, 0..=PAGE), 7).err(),
            WriteError::ZeroSize => $tree.allocate_lowest(Room::new(0, 0..=PAGE), 7).err(),
            WriteError::BadAlignment => {
                let room = Room::new(1, 0..=u64::MAX);
                let zero = $tree.allocate_highest(room.aligned(0), 7);
                assert_eq!(zero.err().map(|refused| refused.cause), Some($cause));
                $tree.allocate_lowest(room.aligned(3), 7).err()
            }
            WriteError::Alloc(_) => with_failures(0, || $tree.store(5, 7).err()),
            WriteError::NotAbove(_) => None,
        }
    };
}

#[test]
fn every_invalid_call_has_its_error_and_changes_nothing() {
    let (mut tree, naive) = pages::<Small>(10);
    let mut writer = TreeWriter::<u32, Small>::from(tree.clone());
    let _reader = writer.new_reader();
    refusals(&mut tree, |tree, cause| refused!(tree, cause));
    refusals(&mut writer, |writer, cause| refused!(writer, cause));
    let no_memory = refused!(writer, WriteError::Alloc(AllocError)).expect("no memory");
    assert_eq!(
        (no_memory.entry, no_memory.cause),
        (7, WriteError::Alloc(AllocError))
    );
    let last = WriteError::NotAbove(Span::new(9 * PAGE, 10 * PAGE - 1));
    let refused = tree.appender().push(10 * PAGE - 1, 7).expect_err("taken");
    assert_eq!((refused.entry, refused.cause), (7, last));
    let mut upper = tree.clone();
    assert_eq!(tree.append(&mut upper), Err(last));
    // Searches have no error: there is no such gap.
    for (size, align, limits) in [
        (0, 1, (0, 9)),
        (1, 3, (0, 9)),
        (1, 0, (0, 9)),
        (1, 1, (9, 0)),
    ] {
        let limits = Span::new(limits.0, limits.1);
        assert_eq!(tree.lowest_gap(size, align, limits), None);
        assert_eq!(tree.highest_gap(size, align, limits), None);
    }
    assert!(tree.range(Span::new(9, 0)).next().is_none());
    for tree in [tree, upper, writer.duplicate().expect("memory")] {
        assert_eq!(tree.validate(), Ok(()));
        assert!(tree.iter().map(flat).eq(naive.entries()));
    }
}

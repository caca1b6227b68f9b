//! Histories made by hand: right ones pass, and each kind of wrong one is refused.

use super::*;

fn at(start: u64, end: u64) -> During {
    During { start, end }
}

/// A map of `[0, 9]`, `[20, 29]` and `[40, 49]` with the values 1, 2 and 3.
fn before() -> NaiveTree {
    let mut tree = NaiveTree::default();
    for (first, value) in [(0, 1), (20, 2), (40, 3)] {
        tree.store(first..=first + 9, value);
    }
    tree
}

/// The map, then [20, 34] stored at 10 to 20 and [0, 9] cleared at 30 to 40; and these reads.
fn judged(reads: &[(During, Seen)]) -> Result<Coverage, &'static str> {
    let history = History {
        before: before(),
        changes: vec![
            (at(10, 20), Change::Store((20, 34, 7))),
            (at(30, 40), Change::Clear(0, 9)),
        ],
        reads: reads.to_vec(),
    };
    history.check().map_err(|anomaly| anomaly.what)
}

fn is_right(during: During, seen: Seen) -> bool {
    judged(&[(during, seen)]).is_ok()
}

const OLD: Held = (20, 29, 2);
const NEW: Held = (20, 34, 7);

#[test]
fn a_lookup_beside_a_store_sees_it_or_does_not() {
    for held in [OLD, NEW] {
        assert!(is_right(at(11, 12), Seen::Load(25, Some(held))));
    }
    assert!(is_right(at(11, 12), Seen::RangeAt(32, (30, 39), None)));
    assert!(is_right(at(11, 12), Seen::RangeAt(32, (20, 34), Some(7))));
}

#[test]
fn a_mix_of_two_versions_is_refused() {
    for mix in [(20, 29, 7), (20, 34, 2), (20, 28, 2), (20, 29, 9)] {
        assert!(!is_right(at(11, 12), Seen::Load(25, Some(mix))), "{mix:?}");
    }
    assert!(!is_right(at(11, 12), Seen::Load(25, None)));
    for gap in [(30, 34), (35, 39), (29, 39), (30, 40)] {
        assert!(
            !is_right(at(11, 12), Seen::RangeAt(32, gap, None)),
            "{gap:?}"
        );
    }
}

#[test]
fn a_stale_and_an_early_answer_are_refused() {
    assert!(!is_right(at(21, 22), Seen::Load(25, Some(OLD))), "stale");
    assert!(!is_right(at(1, 2), Seen::Load(25, Some(NEW))), "early");
    assert!(is_right(at(21, 22), Seen::Load(25, Some(NEW))));
}

#[test]
fn lookups_in_a_row_do_not_go_back_in_time() {
    let new_then = |end, held| {
        let first = (at(11, 12), Seen::Load(25, Some(NEW)));
        judged(&[(at(end, 19), Seen::Load(25, Some(held))), first])
    };
    assert!(
        new_then(13, OLD).is_err(),
        "another reader has seen the new one"
    );
    assert!(new_then(13, NEW).is_ok());
    assert!(new_then(11, OLD).is_ok(), "at the same time, it may be");
}

#[test]
fn one_moment_must_do_for_what_depends_on_it() {
    // The first read saw the second change: all that comes after has seen the first as well.
    let cleared = (at(31, 32), Seen::Load(5, None));
    let uncleared = (at(33, 34), Seen::Load(5, Some((0, 9, 1))));
    assert!(judged(&[cleared.clone(), uncleared.clone()]).is_err());
    assert!(judged(&[uncleared]).is_ok());
    assert!(judged(&[cleared]).is_ok());
}

#[test]
fn finds_must_not_miss_or_invent() {
    let find = |from, found| is_right(at(11, 12), Seen::Find(from, found));
    assert!(find(12, Some(OLD)) && find(12, Some(NEW)) && find(50, None));
    assert!(
        !find(12, Some((40, 49, 3))),
        "one of both was there throughout at 20"
    );
    assert!(!find(25, Some((40, 49, 3))), "25 was covered throughout");
    assert!(find(32, Some((40, 49, 3))) && find(32, Some(NEW)));
    assert!(!find(35, Some(NEW)), "behind");
    assert!(!find(2, None) && !find(12, Some((20, 28, 2))));

    let find_rev = |from, found| is_right(at(11, 12), Seen::FindRev(from, found));
    assert!(find_rev(39, Some(OLD)) && find_rev(39, Some(NEW)));
    assert!(!find_rev(39, Some((0, 9, 1))) && !find_rev(60, Some(NEW)) && !find_rev(60, None));
}

#[test]
fn iterations_must_not_miss_repeat_or_turn() {
    let (low, high) = ((0, 9, 1), (40, 49, 3));
    let forward = |items: &[Held]| is_right(at(11, 12), Seen::Pass(Way::Up, 0, items.to_vec()));
    assert!(forward(&[low, OLD, high]) && forward(&[low, NEW, high]));
    // Neither was there throughout: a pass may meet the place between the two.
    assert!(!forward(&[low, OLD]), "missed the last");
    assert!(!forward(&[OLD, high]), "missed the first");
    assert!(!forward(&[low, OLD, OLD, high]), "twice");
    assert!(!forward(&[low, OLD, NEW, high]), "backwards");
    assert!(!forward(&[OLD, low, high]), "backwards");
    assert!(!forward(&[low, (20, 29, 7), high]), "a mix");
    let back =
        |items: &[Held]| is_right(at(11, 12), Seen::Pass(Way::Down, u64::MAX, items.to_vec()));
    assert!(back(&[high, NEW, low]));
    assert!(!back(&[low, NEW, high]) && !back(&[high, NEW]) && !back(&[high, NEW, NEW, low]));
    assert!(
        is_right(at(31, 32), Seen::Pass(Way::Up, 0, vec![NEW, high])),
        "cleared meanwhile"
    );
    assert!(
        !is_right(at(21, 22), Seen::Pass(Way::Up, 0, vec![NEW, high])),
        "not yet cleared"
    );
}

#[test]
fn steps_may_overlap_if_they_get_further() {
    let (low, high) = ((0, 9, 1), (40, 49, 3));
    let up = |items: &[Held]| is_right(at(11, 12), Seen::Steps(Way::Up, 0, items.to_vec()));
    assert!(
        up(&[low, NEW, high]) && up(&[low, OLD, NEW, high]),
        "it has grown"
    );
    assert!(!up(&[low, NEW, OLD, high]) && !up(&[low, OLD, OLD, high]) && !up(&[low, high]));
    let down =
        |items: &[Held]| is_right(at(11, 12), Seen::Steps(Way::Down, u64::MAX, items.to_vec()));
    assert!(down(&[high, NEW, low]) && !down(&[high, NEW, OLD, low]));
}

#[test]
fn gaps_must_be_gaps_and_the_nearest() {
    let limits = (0, 60);
    let lowest = |size, found| is_right(at(11, 12), Seen::LowestGap(size, limits, found));
    assert!(lowest(5, Some(10)) && lowest(11, Some(50)) && lowest(12, None));
    assert!(!lowest(5, Some(30)), "10 to 19 was empty throughout");
    assert!(!lowest(5, None) && !lowest(5, Some(8)) && !lowest(11, Some(51)));
    let highest = |size, found| is_right(at(11, 12), Seen::HighestGap(size, limits, found));
    assert!(highest(5, Some(56)) && !highest(5, Some(35)) && !highest(5, None));
    // Between the two versions' gaps, both may be found.
    let near = |found| is_right(at(11, 12), Seen::LowestGap(6, (20, 39), found));
    assert!(near(Some(30)) && near(None) && !near(Some(36)));
}

#[test]
fn overlaps_are_counted() {
    let reads = [
        (at(1, 2), Seen::Load(25, Some(OLD))),
        (at(11, 12), Seen::Load(25, Some(OLD))),
    ];
    let coverage = Coverage {
        nr_reads: 2,
        nr_beside_changes: 1,
    };
    assert_eq!(judged(&reads), Ok(coverage));
}

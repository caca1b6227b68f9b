//! Entries put behind each other must build the tree that stores in turn build.
#![cfg(not(loom))]

mod failing;

use failing::{bytes_held, with_failures};
use maple_tree::{
    Config, Fan, Gaps, MapleTree, NoGaps, Span, StoreError, Tracked, TracksGaps, WriteError,
};
use std::sync::Arc;
use vmaple_model::random::SplitMix64;
use vmaple_model::script::{Op, Script, Shape};

const SHAPE: Shape = Shape {
    domain: 300,
    longest: 8,
    removals: 7,
    wide_every: 25,
};

/// A tree that a random script has left.
fn worn<C: Config>(seed: u64) -> MapleTree<u32, C> {
    let mut tree = MapleTree::new();
    let nr_ops = seed % 90;
    for (step, op) in Script::new(seed, SHAPE).take(nr_ops as usize).enumerate() {
        match op {
            Op::Store { first, last } | Op::Insert { first, last } => {
                tree.store(first..=last, step as u32).expect("memory");
            }
            Op::Clear { first, last } => tree.clear(first..=last).expect("memory"),
            Op::Erase(index) => drop(tree.erase(index).expect("memory")),
        }
    }
    // Room above.
    tree.clear(SHAPE.domain..=u64::MAX).expect("memory");
    tree
}

/// Ascending ranges from `next` on, some of them touching.
fn ascending(random: &mut SplitMix64, mut next: u64, nr: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    for _ in 0..nr {
        let first = next + [0, 0, 1, 7][random.bounded(4) as usize];
        let last = first + random.bounded(5);
        spans.push(Span::new(first, last));
        next = last + 1;
    }
    spans
}

fn end_of<C: Config>(tree: &MapleTree<u32, C>) -> u64 {
    tree.find_rev(u64::MAX).map_or(0, |(span, _)| span.last + 1)
}

fn check_pushes<C: TracksGaps>(seed: u64) {
    let mut random = SplitMix64::new(seed);
    for round in 0..300 {
        let mut tree = worn::<C>(seed * 1000 + round);
        let mut plain = tree.clone();
        // The appender is dropped and made anew now and then.
        for _ in 0..3 {
            let nr = random.bounded(40) as usize;
            let mut spans = ascending(&mut random, end_of(&plain), nr);
            if random.bounded(5) == 0 {
                spans.push(Span::new(end_of(&plain) + 1000, u64::MAX));
            }
            let mut appender = tree.appender().leaving_room(random.bounded(8) as usize);
            for (value, span) in spans.iter().enumerate() {
                appender.push(*span, value as u32).expect("above");
                plain.store(*span, value as u32).expect("memory");
            }
            drop(appender);
            assert_eq!(tree.validate(), Ok(()), "seed {seed} round {round}");
            assert!(tree.iter().eq(plain.iter()), "seed {seed} round {round}");
            for size in [1, 2, 7, 1000] {
                let limits = Span::new(random.bounded(400), u64::MAX);
                let gap = |tree: &MapleTree<u32, C>| tree.lowest_gap(size, 1, limits);
                assert_eq!(gap(&tree), gap(&plain));
            }
            if plain.get(u64::MAX).is_some() {
                break;
            }
        }
        // What was built can be written to like any other.
        for (step, op) in Script::new(round, SHAPE).take(60).enumerate() {
            if let Op::Store { first, last } | Op::Clear { first, last } = op {
                tree.store(first..=last, step as u32).expect("memory");
                plain.store(first..=last, step as u32).expect("memory");
                assert_eq!(tree.validate(), Ok(()), "seed {seed} round {round} {op:?}");
            }
        }
        assert!(tree.iter().eq(plain.iter()));
    }
}

#[test]
fn pushes_are_stores_in_ascending_order() {
    check_pushes::<Fan<Tracked, 3, 3>>(1);
    check_pushes::<Fan<Tracked, 4, 3>>(2);
    check_pushes::<Gaps>(3);
}

#[test]
fn leaves_are_full_or_leave_the_room_asked_for() {
    let spans = (0..16_000).map(|i| (i * 10..=i * 10 + 9, i as u32));
    let tree: MapleTree<u32> = spans.clone().collect();
    assert_eq!(tree.validate(), Ok(()));
    let census = tree.census();
    assert!(census.leaves <= 16_001usize.div_ceil(16), "{census:?}");
    assert!(census.branches <= 63 + 4 + 1, "{census:?}");

    let mut roomy: MapleTree<u32, NoGaps> = MapleTree::new();
    let mut appender = roomy.appender().leaving_room(8);
    spans.for_each(|(span, value)| appender.push(span, value).expect("memory"));
    drop(appender);
    assert_eq!(roomy.validate(), Ok(()));
    assert_eq!(roomy.census().leaves, 16_001usize.div_ceil(8));
}

#[test]
fn what_is_not_above_is_refused() {
    let mut tree: MapleTree<u32> = MapleTree::new();
    let mut appender = tree.appender();
    let inverted = appender.push(Span::new(9, 8), 1).expect_err("inverted");
    assert_eq!(
        (inverted.entry, inverted.cause),
        (1, WriteError::InvertedRange)
    );
    appender.push(5..=9, 2).expect("memory");
    let below = appender.push(9..=12, 3).expect_err("not above");
    assert_eq!(below.cause, WriteError::NotAbove(Span::new(5, 9)));
    appender.push(10..=u64::MAX, 4).expect("memory");
    let full = appender.push(u64::MAX, 5).expect_err("nothing is left");
    assert_eq!(full.cause, WriteError::NotAbove(Span::new(10, u64::MAX)));
    drop(appender);
    assert_eq!(tree.validate(), Ok(()));
    let all: Vec<_> = tree.iter().collect();
    assert_eq!(all, [(Span::new(5, 9), 2), (Span::new(10, u64::MAX), 4)]);
}

#[test]
fn a_push_without_memory_changes_nothing() {
    let entry = Arc::new(());
    let mut nr_failed = 0;
    let held_before = bytes_held();
    for nr_allowed in 0..40 {
        assert_eq!(bytes_held(), held_before, "leaked before {nr_allowed}");
        let mut tree: MapleTree<Arc<()>, Fan<Tracked, 3, 3>> = MapleTree::new();
        let mut appender = tree.appender();
        let mut nr_pushed = 0;
        with_failures(nr_allowed, || {
            for i in 0..200 {
                match appender.push(i * 3..=i * 3 + 1, Arc::clone(&entry)) {
                    Ok(()) => nr_pushed += 1,
                    Err(StoreError { cause, .. }) => {
                        assert!(matches!(cause, WriteError::Alloc(_)));
                        nr_failed += 1;
                        break;
                    }
                }
            }
        });
        // It goes on as if nothing had been.
        appender
            .push(5000..=5001, Arc::clone(&entry))
            .expect("memory");
        drop(appender);
        assert_eq!(tree.validate(), Ok(()), "after {nr_allowed}");
        assert_eq!(tree.iter().count(), nr_pushed + 1);
        assert_eq!(Arc::strong_count(&entry), nr_pushed + 2);
    }
    assert_eq!(nr_failed, 40, "every allocation failed once");
}

fn check_extend<C: Config>(seed: u64) {
    let mut random = SplitMix64::new(seed);
    for round in 0..300 {
        let mut tree = worn::<C>(round);
        let mut plain = tree.clone();
        let mut items = Vec::new();
        let mut next = end_of(&plain);
        for value in 0..random.bounded(60) as u32 {
            // Mostly onward, now and then back.
            let first = match random.bounded(8) {
                0 => random.bounded(next + 1),
                step => next + step % 3,
            };
            let span = Span::new(first, first + random.bounded(9));
            next = next.max(span.last + 1);
            items.push((span, value));
        }
        for (span, value) in &items {
            plain.store(*span, *value).expect("memory");
        }
        tree.extend(items);
        assert_eq!(tree.validate(), Ok(()), "seed {seed} round {round}");
        assert!(tree.iter().eq(plain.iter()), "seed {seed} round {round}");
    }
}

#[test]
fn extending_is_storing_in_turn() {
    check_extend::<Fan<Tracked, 3, 3>>(5);
    check_extend::<Gaps>(6);
}

#[test]
fn an_input_that_panics_leaves_a_whole_tree() {
    let mut tree: MapleTree<u32, Fan<Tracked, 3, 3>> = MapleTree::new();
    let input = (0..).map(|i: u64| {
        assert!(i < 50, "the input ends here");
        (i * 10..=i * 10 + 4, i as u32)
    });
    let extend = std::panic::AssertUnwindSafe(|| tree.extend(input));
    assert!(std::panic::catch_unwind(extend).is_err());
    assert_eq!(tree.validate(), Ok(()));
    assert_eq!(tree.iter().count(), 50);
}

#[test]
fn a_leaked_appender_hides_no_gap() {
    let mut tree: MapleTree<u32, Fan<Tracked, 3, 3>> = MapleTree::new();
    let mut appender = tree.appender();
    for i in 0..60 {
        appender.push(i * 10..=i * 10 + i % 7, 1).expect("memory");
    }
    std::mem::forget(appender);
    let plain: MapleTree<u32, Fan<Tracked, 3, 3>> = tree.iter().collect();
    for size in 1..12 {
        for limit in 0..60 {
            let limits = Span::new(limit * 10, 700);
            assert_eq!(
                tree.lowest_gap(size, 1, limits),
                plain.lowest_gap(size, 1, limits)
            );
            assert_eq!(
                tree.highest_gap(size, 1, limits),
                plain.highest_gap(size, 1, limits)
            );
        }
    }
}

fn check_append<C: Config>(seed: u64) {
    let entry = Arc::new(());
    let mut random = SplitMix64::new(seed);
    for round in 0..200 {
        let mut trees = [MapleTree::<Arc<()>, C>::new(), MapleTree::new()];
        let mut next = 0;
        for tree in &mut trees {
            let nr = random.bounded(50) as usize;
            for span in ascending(&mut random, next, nr) {
                tree.store(span, Arc::clone(&entry)).expect("memory");
                next = span.last + 1;
            }
        }
        let [low, high] = &mut trees;
        let spans = |tree: &MapleTree<Arc<()>, C>| -> Vec<Span> {
            tree.iter().map(|(span, _)| span).collect()
        };
        let (below, above) = (spans(low), spans(high));
        if let (Some(last), false) = (below.last(), above.is_empty()) {
            let refused = high.append(low);
            assert_eq!(
                refused,
                Err(WriteError::NotAbove(*above.last().expect("some")))
            );
            assert_eq!(
                (spans(low), spans(high)),
                (below.clone(), above.clone()),
                "{last}"
            );
        }
        let mut nr_allowed = 0;
        while let Err(error) = with_failures(nr_allowed, || low.append(high)) {
            assert!(matches!(error, WriteError::Alloc(_)));
            assert_eq!((spans(low), spans(high)), (below.clone(), above.clone()));
            nr_allowed += 1;
        }
        assert!(high.is_empty());
        assert_eq!(low.validate(), Ok(()), "round {round}");
        assert_eq!(spans(low), [below, above].concat(), "round {round}");
        assert_eq!(Arc::strong_count(&entry), 1 + low.iter().count());
        drop(trees);
        assert_eq!(Arc::strong_count(&entry), 1);
    }
}

#[test]
fn trees_are_appended_whole() {
    check_append::<Fan<Tracked, 3, 3>>(7);
    check_append::<Gaps>(8);
}

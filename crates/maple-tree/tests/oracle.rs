//! The tree against a naive one: long random sequences, validated after every write.
#![cfg(not(any(loom, shuttle)))]

use maple_tree::{
    Fan, Gaps, MapleTree, NoGaps, SharedMapleTree, Span, Tracked, TracksGaps, TreeWriter,
    Untracked, WriteError,
};
use vmaple_model::random::SplitMix64;
use vmaple_model::script::{Op, Script, Shape};
use vmaple_model::tree::{Held, NaiveTree};
use vmaple_rcu::DefaultBackend;

fn flat((span, value): (Span, u32)) -> Held {
    (span.first, span.last, value)
}

/// Applies one operation to both and compares what they say.
fn apply<C: maple_tree::Config>(
    tree: &mut MapleTree<u32, C>,
    naive: &mut NaiveTree,
    op: Op,
    value: u32,
) {
    match op {
        Op::Store { first, last } => {
            tree.store(first..=last, value).expect("memory");
            naive.store(first..=last, value);
        }
        Op::Insert { first, last } => {
            let outcome = tree.insert(first..=last, value);
            match naive.occupant(first..=last) {
                None => {
                    outcome.expect("empty");
                    naive.store(first..=last, value);
                }
                Some((f, l, _)) => assert_eq!(
                    outcome.expect_err("occupied").cause,
                    WriteError::Occupied(Span::new(f, l))
                ),
            }
        }
        Op::Clear { first, last } => {
            tree.clear(first..=last).expect("memory");
            naive.clear(first..=last);
        }
        Op::Erase(index) => {
            let erased = tree.erase(index).expect("memory");
            assert_eq!(erased.map(flat), naive.erase(index));
        }
    }
}

/// Compares single lookups at and around an index.
fn compare_at<C: maple_tree::Config>(tree: &MapleTree<u32, C>, naive: &NaiveTree, index: u64) {
    assert_eq!(
        tree.load(index).map(flat),
        naive.load(index),
        "load {index}"
    );
    assert_eq!(tree.get(index), naive.load(index).map(|held| held.2));
    assert_eq!(
        tree.find(index).map(flat),
        naive.find(index),
        "find {index}"
    );
    assert_eq!(
        tree.find_rev(index).map(flat),
        naive.find_rev(index),
        "find_rev {index}"
    );
    let (span, value) = tree.range_at(index);
    if value.is_none() {
        assert!(
            naive.gaps().contains(&(span.first, span.last)),
            "gap {span}"
        );
    }
}

/// Compares iteration from both ends and from an index.
fn compare_all<C: maple_tree::Config>(tree: &MapleTree<u32, C>, naive: &NaiveTree, index: u64) {
    let entries = naive.entries();
    assert!(tree.iter().map(flat).eq(entries.iter().copied()));
    assert!(tree.iter_rev().map(flat).eq(entries.iter().rev().copied()));
    let above = entries.iter().filter(|held| held.1 >= index).copied();
    assert!(tree.iter_from(index).map(flat).eq(above));
    let below = entries.iter().rev().filter(|held| held.0 <= index).copied();
    assert!(tree.iter_rev_from(index).map(flat).eq(below));
    let within = entries
        .iter()
        .filter(|held| held.1 >= index && held.0 <= index.saturating_add(9))
        .copied();
    assert!(
        tree.range(index..=index.saturating_add(9))
            .map(flat)
            .eq(within)
    );
    let mut folded = Vec::new();
    tree.range(index..=index.saturating_add(40))
        .for_each(|found| folded.push(flat(found)));
    let stepped = tree.range(index..=index.saturating_add(40)).map(flat);
    assert!(stepped.eq(folded));
    assert_eq!(tree.is_empty(), entries.is_empty());
}

fn compare_gaps<C: TracksGaps>(
    tree: &MapleTree<u32, C>,
    naive: &NaiveTree,
    random: &mut SplitMix64,
    domain: u64,
) {
    let lo = random.bounded(domain);
    let hi = match random.bounded(4) {
        0 => u64::MAX,
        _ => lo + random.bounded(domain),
    };
    let lo = if random.bounded(4) == 0 { 0 } else { lo };
    let size = match random.bounded(8) {
        0 => u64::MAX - random.bounded(domain),
        _ => random.bounded(domain / 2),
    };
    let align = 1 << random.bounded(5);
    let limits = lo..=hi;
    assert_eq!(
        tree.lowest_gap(size, align, limits.clone()),
        naive.lowest_gap(size, align, limits.clone()),
        "lowest gap of {size} by {align} in {limits:?}\n{}",
        tree.dump()
    );
    assert_eq!(
        tree.highest_gap(size, align, limits.clone()),
        naive.highest_gap(size, align, limits.clone()),
        "highest gap of {size} by {align} in {limits:?}\n{}",
        tree.dump()
    );
}

fn check<C: TracksGaps>(seed: u64, shape: Shape, steps: usize) {
    let mut tree = MapleTree::<u32, C>::new();
    let mut naive = NaiveTree::default();
    let mut random = SplitMix64::new(!seed);
    for (step, op) in Script::new(seed, shape).take(steps).enumerate() {
        let before = format!("{}", tree.dump());
        apply(&mut tree, &mut naive, op, step as u32);
        if let Err(violation) = tree.validate() {
            panic!(
                "seed {seed} step {step} {op:x?}: {violation}\n{before}\nafter\n{}",
                tree.dump()
            );
        }
        for _ in 0..2 {
            let index = random.bounded(shape.domain + 2);
            compare_at(&tree, &naive, index);
            compare_at(&tree, &naive, u64::MAX - index);
            compare_gaps(&tree, &naive, &mut random, shape.domain);
        }
        if step % 8 == 0 {
            compare_all(&tree, &naive, random.bounded(shape.domain));
        }
    }
    let copy = tree.duplicate().expect("memory");
    assert_eq!(copy.validate(), Ok(()));
    compare_all(&copy, &naive, 0);
}

const SPARSE: Shape = Shape {
    domain: 400,
    longest: 9,
    removals: 7,
    wide_every: 40,
};

const DENSE: Shape = Shape {
    domain: 300,
    longest: 4,
    removals: 3,
    wide_every: 200,
};

const WIDE: Shape = Shape {
    domain: 200,
    longest: 12,
    removals: 5,
    wide_every: 6,
};

const LARGE: Shape = Shape {
    domain: 6000,
    longest: 9,
    removals: 6,
    wide_every: 100,
};

fn check_shapes<C: TracksGaps>(steps: usize) {
    for seed in 1..=3 {
        for shape in [SPARSE, DENSE, WIDE] {
            check::<C>(seed, shape, steps);
        }
    }
}

#[test]
fn fan_out_3() {
    check_shapes::<Fan<Tracked, 3, 3>>(1500);
}

#[test]
fn fan_out_4() {
    check_shapes::<Fan<Tracked, 4, 4>>(1500);
}

#[test]
fn uneven_fan_out() {
    check::<Fan<Tracked, 3, 7>>(5, SPARSE, 1500);
    check::<Fan<Tracked, 9, 3>>(6, SPARSE, 1500);
}

#[test]
fn release_fan_out() {
    check_shapes::<Gaps>(1000);
    check::<Gaps>(4, LARGE, 1500);
}

fn check_without_gaps<C: maple_tree::Config>(seed: u64) {
    let mut tree = MapleTree::<u32, C>::new();
    let mut naive = NaiveTree::default();
    for (step, op) in Script::new(seed, SPARSE).take(2000).enumerate() {
        apply(&mut tree, &mut naive, op, step as u32);
        assert_eq!(tree.validate(), Ok(()), "step {step} {op:?}");
        compare_at(&tree, &naive, step as u64 % SPARSE.domain);
    }
    compare_all(&tree, &naive, 0);
}

/// Makes one write in both and compares what they say.
fn write<C: maple_tree::Config, S: ?Sized>(
    writer: &mut TreeWriter<u32, C, DefaultBackend, S>,
    naive: &mut NaiveTree,
    op: Op,
    value: u32,
) {
    match op {
        Op::Store { first, last } => {
            writer.store(first..=last, value).expect("memory");
            naive.store(first..=last, value);
        }
        Op::Insert { first, last } => {
            let is_free = naive.occupant(first..=last).is_none();
            assert_eq!(writer.insert(first..=last, value).is_ok(), is_free);
            if is_free {
                naive.store(first..=last, value);
            }
        }
        Op::Clear { first, last } => {
            writer.clear(first..=last).expect("memory");
            naive.clear(first..=last);
        }
        Op::Erase(index) => {
            let erased = writer.erase(index).expect("memory");
            let expected = naive.erase(index);
            let expected = expected.map(|held| (Span::new(held.0, held.1), held.2));
            assert_eq!(erased, expected);
        }
    }
}

/// A writer whose readers come and go: it edits in place where it is alone, else it copies.
fn check_handles<C: maple_tree::Config>(seed: u64, shape: Shape, steps: usize) {
    let mut writer = TreeWriter::<u32, C>::new();
    let mut naive = NaiveTree::default();
    let mut random = SplitMix64::new(seed);
    let mut reader = None;
    for (step, op) in Script::new(seed, shape).take(steps).enumerate() {
        match random.bounded(8) {
            0 => reader = Some(writer.new_reader()),
            1 => reader = None,
            _ => {}
        }
        assert_eq!(writer.is_alone(), reader.is_none());
        write(&mut writer, &mut naive, op, step as u32);
        assert_eq!(writer.validate(), Ok(()), "seed {seed} step {step} {op:x?}");
        let entries = naive.entries();
        assert!(writer.reader().iter().map(flat).eq(entries.iter().copied()));
    }
}

#[test]
fn readers_come_and_go() {
    for shape in [SPARSE, DENSE, WIDE] {
        check_handles::<Fan<Tracked, 3, 3>>(21, shape, 1500);
        check_handles::<Gaps>(22, shape, 1500);
    }
}

/// The writes of a shared tree, which copy where one with a single owner edits in place.
fn check_shared<C: TracksGaps>(seed: u64, shape: Shape, steps: usize) {
    let tree = SharedMapleTree::<u32, C>::new();
    let mut naive = NaiveTree::default();
    for (step, op) in Script::new(seed, shape).take(steps).enumerate() {
        let value = step as u32;
        let mut writer = tree.write();
        write(&mut *writer, &mut naive, op, value);
        assert_eq!(writer.validate(), Ok(()), "seed {seed} step {step} {op:x?}");
        let entries = naive.entries();
        assert!(writer.reader().iter().map(flat).eq(entries.iter().copied()));
    }
}

#[test]
fn shared_writes() {
    for shape in [SPARSE, DENSE, WIDE] {
        check_shared::<Fan<Tracked, 3, 3>>(11, shape, 1500);
        check_shared::<Fan<Tracked, 4, 4>>(12, shape, 1500);
        check_shared::<Gaps>(13, shape, 1500);
    }
}

#[test]
fn without_gap_tracking() {
    check_without_gaps::<NoGaps>(1);
    check_without_gaps::<Fan<Untracked, 3, 3>>(2);
}

#[test]
fn ascending_stores_fill_the_leaves() {
    let mut tree: MapleTree<u32> = MapleTree::new();
    for i in 0..10_000 {
        tree.store(i * 10..=i * 10 + 9, i as u32).expect("memory");
    }
    assert_eq!(tree.validate(), Ok(()));
    let census = tree.census();
    assert!(census.leaves <= 10_001usize.div_ceil(16) + 1, "{census:?}");
}

#[test]
fn descending_stores_leave_fuller_leaves_than_halves() {
    let mut tree: MapleTree<u32> = MapleTree::new();
    for i in (0..10_000).rev() {
        tree.store(i * 10..=i * 10 + 9, i as u32).expect("memory");
    }
    assert_eq!(tree.validate(), Ok(()));
    let census = tree.census();
    assert!(census.leaves * 10 <= 10_000, "{census:?}");
}

#[test]
fn clearing_everything_leaves_no_root() {
    for (first, last) in [(0, u64::MAX), (5, u64::MAX), (0, 5000)] {
        let mut tree = MapleTree::<u32, Fan<Tracked, 3, 3>>::new();
        for i in 1..200 {
            tree.store(i * 20..=i * 20 + 9, 1).expect("memory");
        }
        tree.clear(first..=last).expect("memory");
        assert!(tree.is_empty());
        assert_eq!(tree.census().height, 0);
        assert_eq!(tree.lowest_gap(u64::MAX, 1, 0..=u64::MAX), Some(0));
    }
}

#[test]
fn invalid_arguments_are_refused() {
    let mut tree: MapleTree<u32> = MapleTree::new();
    let refused = tree.store(Span::new(2, 1), 7).expect_err("inverted");
    assert_eq!(
        (refused.entry, refused.cause),
        (7, WriteError::InvertedRange)
    );
    assert_eq!(tree.clear(Span::new(2, 1)), Err(WriteError::InvertedRange));
    assert_eq!(tree.lowest_gap(0, 1, 0..=9), None);
    assert_eq!(tree.lowest_gap(1, 3, 0..=9), None);
    assert_eq!(tree.highest_gap(1, 1, Span::new(9, 0)), None);
    tree.store(0..=u64::MAX, 1).expect("memory");
    assert_eq!(tree.lowest_gap(1, 1, 0..=u64::MAX), None);
    assert_eq!(tree.erase(77).expect("memory"), Some((Span::ALL, 1)));
    assert!(tree.is_empty());
}

//! Writes that were promised memory: none of them fails when there is no more.
#![cfg(not(any(loom, shuttle)))]

mod failing;

use failing::{bytes_held, with_failures};
use maple_tree::{
    Config, Fan, Gaps, MapleTree, Room, SharedMapleTree, Span, StorePlan, Tracked, TracksGaps,
    TreeWriter, WritableTree, WriteError,
};
use std::sync::Arc;
use vmaple_model::script::{Op, Script, Shape};

const SHAPE: Shape = Shape {
    domain: 400,
    longest: 12,
    removals: 6,
    wide_every: 15,
};

type Counted = Arc<()>;

/// Whether the operation was not refused for want of memory.
fn apply<C: Config>(tree: &mut MapleTree<Counted, C>, op: Op, entry: &Counted) -> bool {
    match op {
        Op::Store { first, last } => tree.store(first..=last, Arc::clone(entry)).is_ok(),
        Op::Insert { first, last } => {
            let done = tree.insert(first..=last, Arc::clone(entry));
            done.is_ok_or_occupied()
        }
        Op::Clear { first, last } => tree.clear(first..=last).is_ok(),
        Op::Erase(index) => tree.erase(index).is_ok(),
    }
}

fn apply_shared<C: Config>(tree: &SharedMapleTree<Counted, C>, op: Op, entry: &Counted) -> bool {
    let mut writer = tree.write();
    match op {
        Op::Store { first, last } => writer.store(first..=last, Arc::clone(entry)).is_ok(),
        Op::Insert { first, last } => {
            let done = writer.insert(first..=last, Arc::clone(entry));
            done.is_ok_or_occupied()
        }
        Op::Clear { first, last } => writer.clear(first..=last).is_ok(),
        Op::Erase(index) => writer.erase(index).is_ok(),
    }
}

trait Outcome {
    fn is_ok_or_occupied(&self) -> bool;
}

impl Outcome for Result<(), maple_tree::StoreError<Counted>> {
    fn is_ok_or_occupied(&self) -> bool {
        !matches!(self, Err(error) if matches!(error.cause, WriteError::Alloc(_)))
    }
}

fn check_reserved<C: Config>(seed: u64, nr_writes: usize) {
    let entry = Arc::new(());
    let mut tree = MapleTree::<Counted, C>::new();
    let shared = SharedMapleTree::<Counted, C>::new();
    let mut ops = Script::new(seed, SHAPE);
    for round in 0..600 {
        // Fresh pools: whatever the writes need must come from the reservation.
        let mut tree_now = tree.duplicate().expect("memory");
        let shared_now = SharedMapleTree::from(shared.write().duplicate().expect("memory"));
        tree_now.reserve(nr_writes).expect("memory");
        shared_now.write().reserve(nr_writes).expect("memory");
        for nth in 0..nr_writes {
            let op = ops.next().expect("endless");
            let is_done = with_failures(0, || apply(&mut tree_now, op, &entry));
            assert!(is_done, "round {round}: write {nth} of {nr_writes}: {op:?}");
            let is_done = with_failures(0, || apply_shared(&shared_now, op, &entry));
            assert!(
                is_done,
                "shared, round {round}: write {nth} of {nr_writes}: {op:?}"
            );
            // What lasts is built with all the memory there is.
            assert!(apply(&mut tree, op, &entry) && apply_shared(&shared, op, &entry));
        }
        assert_eq!(tree_now.validate(), Ok(()));
        assert_eq!(shared_now.write().validate(), Ok(()));
    }
    drop((tree, shared));
    assert_eq!(Arc::strong_count(&entry), 1);
}

#[test]
fn reserved_writes_need_no_memory() {
    for nr_writes in [1, 2, 5] {
        check_reserved::<Fan<Tracked, 3, 3>>(1, nr_writes);
        check_reserved::<Fan<Tracked, 4, 4>>(2, nr_writes);
        check_reserved::<Gaps>(3, nr_writes);
    }
}

/// The log of what is displaced fills up while it is held: one tree for the whole script.
#[test]
fn reservations_follow_each_other() {
    let entry = Arc::new(());
    let tree = SharedMapleTree::<Counted, Fan<Tracked, 3, 3>>::new();
    let mut ops = Script::new(9, SHAPE);
    for round in 0..1000 {
        tree.write().reserve(3).expect("memory");
        // A second one within the first breaks no promise.
        tree.write().reserve(1).expect("memory");
        for nth in 0..3 {
            let op = ops.next().expect("endless");
            let is_done = with_failures(0, || apply_shared(&tree, op, &entry));
            assert!(is_done, "round {round}: write {nth}: {op:?}");
        }
    }
    assert_eq!(tree.write().validate(), Ok(()));
    tree.write().reclaim();
    assert_eq!(tree.write().nr_waiting(), 0);
    let nr_entries = tree.write().reader().iter().count();
    assert_eq!(Arc::strong_count(&entry), 1 + nr_entries);
}

#[test]
fn a_reservation_that_fails_changes_nothing() {
    let mut tree: MapleTree<u32, Fan<Tracked, 3, 3>> = MapleTree::new();
    for i in 0..50 {
        tree.store(i * 10..=i * 10 + 4, 1).expect("memory");
    }
    let before: Vec<_> = tree.iter().collect();
    let nr_needed = (0..)
        .find(|nr_allowed| {
            let mut copy = tree.duplicate().expect("memory");
            let is_done = with_failures(*nr_allowed, || copy.reserve(3)).is_ok();
            assert_eq!(copy.validate(), Ok(()));
            assert!(copy.iter().eq(before.iter().copied()));
            is_done
        })
        .expect("some number suffices");
    assert!(nr_needed > 9, "three leaves for each write at least");
    assert!(tree.reserve(usize::MAX).is_err(), "more than there is");
    assert_eq!(tree.validate(), Ok(()));
}

/// Commits a plan with no memory left.
fn commit<T: WritableTree<Entry = Box<u64>> + ?Sized>(plan: StorePlan<'_, T>, value: u64) -> Span {
    let span = plan.span();
    let entry = Box::new(value);
    with_failures(0, || plan.commit(entry));
    span
}

fn check_plans<C: TracksGaps>(seed: u64) {
    let mut tree = MapleTree::<Box<u64>, C>::new();
    let mut writer = TreeWriter::<Box<u64>, C>::new();
    let mut plain = MapleTree::<Box<u64>, C>::new();
    for (step, op) in Script::new(seed, SHAPE).take(1500).enumerate() {
        let value = step as u64;
        match op {
            Op::Store { first, last } => {
                commit(tree.plan_store(first..=last).expect("memory"), value);
                commit(writer.plan_store(first..=last).expect("memory"), value);
                plain.store(first..=last, Box::new(value)).expect("memory");
            }
            Op::Insert { first, last } => {
                let done = plain.insert(first..=last, Box::new(value));
                let cause = done.err().map(|error| error.cause);
                match tree.plan_insert(first..=last) {
                    Ok(plan) => drop(commit(plan, value)),
                    Err(error) => assert_eq!(Some(error), cause),
                }
                match writer.plan_insert(first..=last) {
                    Ok(plan) => drop(commit(plan, value)),
                    Err(error) => assert_eq!(Some(error), cause),
                }
            }
            Op::Clear { first, last } => {
                let plan = tree.plan_clear(first..=last).expect("memory");
                with_failures(0, || plan.commit());
                let plan = writer.plan_clear(first..=last).expect("memory");
                with_failures(0, || plan.commit());
                plain.clear(first..=last).expect("memory");
            }
            Op::Erase(_) => {
                let room = Room::new(3 + value % 5, 0..=700).aligned(2);
                let refused = plain.allocate_lowest(room, Box::new(value));
                match tree.plan_lowest(room) {
                    Ok(plan) => assert_eq!(commit(plan, value), refused.expect("room")),
                    Err(error) => assert_eq!(error, refused.expect_err("no room").cause),
                }
                if let Ok(plan) = writer.plan_lowest(room) {
                    commit(plan, value);
                }
                if let Ok(span) = plain.allocate_highest(room, Box::new(value)) {
                    assert_eq!(commit(tree.plan_highest(room).expect("room"), value), span);
                    assert_eq!(
                        commit(writer.plan_highest(room).expect("room"), value),
                        span
                    );
                }
            }
        }
        assert_eq!(tree.validate(), Ok(()));
        assert_eq!(writer.validate(), Ok(()));
        assert!(tree.iter().eq(plain.iter()), "step {step} {op:?}");
        assert!(
            writer.reader().iter().eq(plain.iter()),
            "step {step} {op:?}"
        );
    }
}

#[test]
fn plans_do_what_the_writes_do() {
    check_plans::<Fan<Tracked, 3, 3>>(11);
    check_plans::<Gaps>(12);
}

#[test]
fn a_plan_that_fails_or_is_dropped_changes_nothing() {
    let mut nr_failed = 0;
    let held_before = bytes_held();
    for nr_allowed in 0.. {
        assert_eq!(bytes_held(), held_before, "leaked before {nr_allowed}");
        let mut tree: MapleTree<Box<u64>, Fan<Tracked, 3, 3>> = MapleTree::new();
        tree.store(0..=999, Box::new(7)).expect("memory");
        let planned = with_failures(nr_allowed, || tree.plan_store(100..=199).map(drop));
        assert_eq!(tree.load(150), Some((Span::new(0, 999), &7)));
        // What the dropped plan made is not used by another write.
        tree.store(2000..=2999, Box::new(8)).expect("memory");
        tree.store(2400..=2499, Box::new(9)).expect("memory");
        assert_eq!(tree.load(2900), Some((Span::new(2500, 2999), &8)));
        match planned {
            Ok(()) => break,
            Err(error) => assert!(matches!(error, WriteError::Alloc(_))),
        }
        nr_failed += 1;
    }
    assert!(nr_failed >= 5, "nodes, logs and the duplicate: {nr_failed}");
}

#[test]
fn plans_of_what_cannot_be_are_refused() {
    let mut tree: MapleTree<Box<u64>> = MapleTree::new();
    let inverted = Span::new(2, 1);
    assert_eq!(
        tree.plan_store(inverted).err(),
        Some(WriteError::InvertedRange)
    );
    assert_eq!(
        tree.plan_insert(inverted).err(),
        Some(WriteError::InvertedRange)
    );
    assert_eq!(
        tree.plan_clear(inverted).err(),
        Some(WriteError::InvertedRange)
    );
    let nowhere = Room::new(0, 0..=9);
    assert_eq!(tree.plan_lowest(nowhere).err(), Some(WriteError::ZeroSize));
    tree.store(0..=9, Box::new(1)).expect("memory");
    let full = Room::new(1, 0..=9);
    assert_eq!(tree.plan_highest(full).err(), Some(WriteError::NoGap));
}

//! Copies of whole trees: written to, emptied, dropped, and made with too little memory. What they
//! take is counted, and comes back.
#![cfg(not(loom))]

mod failing;

use failing::{bytes_held, with_failures};
use maple_tree::{Config, Entry, Fan, Gaps, MapleTree, NoGaps, SharedMapleTree, Tracked};
use std::sync::Arc;
use vmaple_model::script::{Op, Script, Shape};

const SHAPE: Shape = Shape {
    domain: 4000,
    longest: 8,
    removals: 7,
    wide_every: 400,
};

fn filled<E: Entry + Clone, C: Config>(entry: &E, nr: u64) -> MapleTree<E, C> {
    let ranges = (0..nr).map(|i| (4 * i..=4 * i + 2, entry.clone()));
    ranges.collect()
}

fn apply<E: Entry + Clone, C: Config>(tree: &mut MapleTree<E, C>, op: Op, entry: &E) {
    match op {
        Op::Store { first, last } => tree.store(first..=last, entry.clone()).is_ok(),
        Op::Insert { first, last } => tree.insert(first..=last, entry.clone()).is_ok(),
        Op::Clear { first, last } => tree.clear(first..=last).is_ok(),
        Op::Erase(index) => tree.erase(index).is_ok(),
    };
}

fn spans<E: Entry, C: Config>(tree: &MapleTree<E, C>) -> Vec<(u64, u64)> {
    let spans = tree.iter().map(|(span, _)| (span.first, span.last));
    spans.collect()
}

/// Copies of copies, all written to: none changes another, and all memory comes back.
fn check_writes<E: Entry + Clone, C: Config>(entry: &E, seed: u64) {
    let held_before = bytes_held();
    {
        let tree: MapleTree<E, C> = filled(entry, 1000);
        let before = spans(&tree);
        let mut copy = tree.duplicate().expect("memory");
        for (step, op) in Script::new(seed, SHAPE).take(3000).enumerate() {
            apply(&mut copy, op, entry);
            if step % 500 == 0 {
                assert_eq!(copy.validate(), Ok(()), "{op:?}");
                let again = copy.duplicate().expect("memory");
                assert_eq!(again.validate(), Ok(()));
                assert_eq!(spans(&again), spans(&copy));
                copy = again;
            }
        }
        assert_eq!(spans(&tree), before);
        let shared: SharedMapleTree<E, C> = SharedMapleTree::from(copy);
        for i in 0..1000 {
            let mut writer = shared.write();
            writer
                .store(4 * i..=4 * i + 1, entry.clone())
                .expect("memory");
        }
        assert_eq!(shared.write().validate(), Ok(()));
    }
    assert_eq!(bytes_held(), held_before, "not all came back");
}

#[test]
fn copies_are_trees_of_their_own() {
    check_writes::<u32, Gaps>(&7, 1);
    check_writes::<u32, NoGaps>(&7, 2);
    check_writes::<u32, Fan<Tracked, 3, 4>>(&7, 3);
    let entry = Arc::new(());
    check_writes::<Arc<()>, Gaps>(&entry, 4);
    check_writes::<Arc<()>, Fan<Tracked, 3, 3>>(&entry, 5);
    check_writes::<Box<Arc<()>>, Gaps>(&Box::new(Arc::clone(&entry)), 6);
    assert_eq!(Arc::strong_count(&entry), 1);
}

#[test]
#[cfg_attr(feature = "strict", ignore = "every node is a piece of its own then")]
fn a_copy_takes_its_memory_in_few_pieces_and_gives_it_back_as_it_is_emptied() {
    let held_at_first = bytes_held();
    let tree: MapleTree<u32> = filled(&7, 20_000);
    let nr_bytes = tree.census().bytes as i64;
    let held_before = bytes_held();
    let mut copy = with_failures(8 + nr_bytes / 60_000, || tree.duplicate()).expect("few pieces");
    let copied = bytes_held() - held_before;
    assert!(
        (nr_bytes..nr_bytes + nr_bytes / 50).contains(&copied),
        "{copied}"
    );
    copy.clear(0..=39_999).expect("memory");
    let half = bytes_held() - held_before;
    assert!(half < copied * 6 / 10, "{half} of {copied}");
    copy.clear(200..=u64::MAX).expect("memory");
    copy.clear(0..=u64::MAX).expect("memory");
    let rest = bytes_held() - held_before;
    assert!(rest < 64 * 1024, "{rest} for an empty tree");
    drop((copy, tree));
    assert_eq!(bytes_held(), held_at_first);
}

#[test]
#[cfg_attr(feature = "strict", ignore = "every node is a piece of its own then")]
fn a_copy_takes_the_memory_of_those_that_are_gone() {
    let held_at_first = bytes_held();
    let tree: MapleTree<u32> = filled(&7, 20_000);
    let nr_pieces = tree.census().bytes as i64 / 65_536;
    // The list of pieces grows a few times.
    let nr_allowed = nr_pieces - 2;
    assert!(with_failures(nr_allowed, || tree.duplicate()).is_err());
    let copies = [tree.duplicate(), tree.duplicate()].map(|copy| copy.expect("memory"));
    let [first, second] = copies;
    let again = first.duplicate().expect("memory");
    drop((first, second));
    let child = with_failures(nr_allowed, || again.duplicate()).expect("the first one's memory");
    assert_eq!(spans(&child), spans(&tree));
    assert_eq!(child.validate(), Ok(()));
    // The last of the family takes the shelf with it.
    drop((tree, again));
    assert_eq!(child.validate(), Ok(()));
    drop(child);
    assert_eq!(bytes_held(), held_at_first);
}

#[test]
fn what_copies_leave_behind_is_bounded() {
    let held_at_first = bytes_held();
    for nr in [600, 2000, 20_000] {
        let mut tree: MapleTree<u32> = filled(&7, nr);
        let held_before = bytes_held();
        for step in 0..20 {
            let copies: Vec<_> = (0..20).map(|_| tree.duplicate().expect("memory")).collect();
            assert!(copies.iter().all(|copy| copy.validate().is_ok()));
            // Later copies are larger, so that what is left behind does not fit them.
            let nr_now = nr + nr / 10 * step;
            for i in nr_now..nr_now + nr / 10 {
                tree.store(4 * i..=4 * i + 2, 7).expect("memory");
            }
            drop(copies);
            let most = i64::max(256 << 10, tree.census().bytes as i64);
            let left = bytes_held() - held_before;
            assert!(left < 2 * most + most / 8, "{left} of {nr} at {step}");
        }
    }
    assert_eq!(bytes_held(), held_at_first);
}

#[test]
fn copies_come_and_go_on_many_threads() {
    let entry = Arc::new(());
    let tree: MapleTree<Arc<()>> = filled(&entry, 2000);
    let before = spans(&tree);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (tree, entry, before) = (&tree, &entry, &before);
            scope.spawn(move || {
                for round in 0..8 {
                    let mut copy = tree.duplicate().expect("memory");
                    assert_eq!(&spans(&copy), before);
                    for op in Script::new(8 * seed + round, SHAPE).take(50) {
                        apply(&mut copy, op, entry);
                    }
                    let again = copy.duplicate().expect("memory");
                    scope.spawn(move || assert_eq!(again.validate(), Ok(())));
                    assert_eq!(copy.validate(), Ok(()));
                }
            });
        }
    });
    assert_eq!(spans(&tree), before);
    drop(tree);
    assert_eq!(Arc::strong_count(&entry), 1);
}

fn check_failures<E: Entry + Clone, C: Config>(entry: &E, least: i64) {
    let held_before = bytes_held();
    let nr_needed = (0..)
        .find(|nr_allowed| {
            let tree: MapleTree<E, C> = filled(entry, 300);
            let copy = with_failures(*nr_allowed, || tree.duplicate());
            let is_whole = copy.is_ok_and(|copy| spans(&copy) == spans(&tree));
            drop(tree);
            assert_eq!(bytes_held(), held_before, "after {nr_allowed}");
            is_whole
        })
        .expect("some number suffices");
    assert!(nr_needed >= least, "{nr_needed}");
}

#[test]
fn a_copy_that_fails_leaves_nothing() {
    check_failures::<u32, Gaps>(&7, 2);
    // Each entry of these is an allocation, so copying fails at each of them.
    let entry = Box::new(Arc::new(()));
    check_failures::<Box<Arc<()>>, Gaps>(&entry, 302);
    check_failures::<Box<Arc<()>>, Fan<Tracked, 3, 3>>(&entry, 302);
    assert_eq!(Arc::strong_count(&entry), 1);
}

//! Every entry is dropped once: counted through long random sequences, and with an allocator that
//! fails the k-th call, for every k.
#![cfg(not(any(loom, shuttle)))]

mod failing;

use failing::{bytes_held, with_failures};
use maple_tree::{
    Config, CursorMut, Fan, Gaps, MapleTree, SharedMapleTree, Tracked, TreeWriter, WritableTree,
};
use std::sync::Arc;
use vmaple_model::script::{Op, Script, Shape};

const SHAPE: Shape = Shape {
    domain: 300,
    longest: 8,
    removals: 7,
    wide_every: 20,
};

type Counted = Arc<()>;

fn apply<C: Config>(tree: &mut MapleTree<Counted, C>, op: Op, entry: &Counted) -> bool {
    match op {
        Op::Store { first, last } => tree.store(first..=last, Arc::clone(entry)).is_ok(),
        Op::Insert { first, last } => !matches!(
            tree.insert(first..=last, Arc::clone(entry)),
            Err(error) if matches!(error.cause, maple_tree::WriteError::Alloc(_))
        ),
        Op::Clear { first, last } => tree.clear(first..=last).is_ok(),
        Op::Erase(index) => tree.erase(index).is_ok(),
    }
}

fn check_counts<C: Config>(seed: u64) {
    let mut tree = MapleTree::<Counted, C>::new();
    let entry = Arc::new(());
    for op in Script::new(seed, SHAPE).take(3000) {
        assert!(apply(&mut tree, op, &entry));
        assert_eq!(Arc::strong_count(&entry) - 1, tree.iter().count(), "{op:?}");
    }
    let copy = tree.duplicate().expect("memory");
    assert_eq!(Arc::strong_count(&entry) - 1, 2 * tree.iter().count());
    drop(tree);
    assert_eq!(Arc::strong_count(&entry) - 1, copy.iter().count());
    drop(copy);
    assert_eq!(Arc::strong_count(&entry), 1);
}

#[test]
fn every_entry_is_dropped_once() {
    check_counts::<Fan<Tracked, 3, 3>>(1);
    check_counts::<Fan<Tracked, 4, 4>>(2);
    check_counts::<Gaps>(3);
}

/// Puts another entry in the place of each, by a cursor; returns how many there are.
fn replace_all<T: WritableTree<Entry = Counted>>(
    mut cursor: CursorMut<'_, T>,
    entry: &Counted,
) -> usize {
    let mut nr_replaced = 0;
    while let Some((span, _)) = cursor.next() {
        cursor.store(span, Arc::clone(entry)).expect("memory");
        cursor.replace(Arc::clone(entry)).expect("memory");
        nr_replaced += 1;
    }
    nr_replaced
}

#[test]
fn a_cursor_drops_what_it_replaces() {
    let [old, new] = [Arc::new(()), Arc::new(())];
    let mut tree: MapleTree<Counted> = MapleTree::new();
    for i in 0..100 {
        tree.store(10 * i..=10 * i + 5, Arc::clone(&old))
            .expect("memory");
    }
    assert_eq!(replace_all(tree.cursor_mut(0), &new), 100);
    let counts = || [&old, &new].map(Arc::strong_count);
    assert_eq!(counts(), [1, 101]);
    let mut writer: TreeWriter<Counted> = TreeWriter::from(tree);
    let reader = writer.new_reader();
    assert_eq!(replace_all(writer.cursor_mut(0), &old), 100);
    writer.reclaim();
    assert_eq!(counts(), [101, 1]);
    drop((writer, reader));
    assert_eq!(counts(), [1, 1]);
}

#[test]
fn a_shared_tree_drops_every_entry_once() {
    let entry = Arc::new(());
    let tree: SharedMapleTree<Counted, Fan<Tracked, 3, 3>> = SharedMapleTree::new();
    for op in Script::new(4, SHAPE).take(3000) {
        let mut writer = tree.write();
        match op {
            Op::Store { first, last } | Op::Insert { first, last } => {
                writer
                    .store(first..=last, Arc::clone(&entry))
                    .expect("memory");
            }
            Op::Clear { first, last } => writer.clear(first..=last).expect("memory"),
            Op::Erase(index) => {
                let lent = writer.erase(index).expect("memory");
                assert!(lent.is_none_or(|(_, lent)| Arc::ptr_eq(&lent.to_arc(), &entry)));
            }
        }
    }
    let mut writer = tree.write();
    assert_eq!(writer.validate(), Ok(()));
    let nr_before = writer.reader().iter().count();
    writer.reclaim();
    assert_eq!(writer.nr_waiting(), 0);
    assert_eq!(Arc::strong_count(&entry) - 1, nr_before);
    drop(writer);
    drop(tree);
    assert_eq!(Arc::strong_count(&entry), 1);
}

#[test]
fn a_tree_can_be_shared_after_it_was_built() {
    let entry = Arc::new(());
    let mut tree: MapleTree<Counted> = MapleTree::new();
    for i in 0..100 {
        tree.store(i * 4..=i * 4 + 1, Arc::clone(&entry))
            .expect("memory");
    }
    let shared: SharedMapleTree<Counted> = tree.into();
    let section = shared.enter();
    assert_eq!(shared.read(&section).iter().count(), 100);
    shared.write().clear(0..=u64::MAX).expect("memory");
    assert!(shared.read(&section).is_empty());
    drop(section);
    drop(shared);
    assert_eq!(Arc::strong_count(&entry), 1);
}

#[test]
fn the_last_handle_frees_the_tree() {
    type Writer = TreeWriter<Counted, Fan<Tracked, 3, 3>>;
    let entry = Arc::new(());
    for is_writer_first in [true, false] {
        let mut writer = Writer::new();
        for i in 0..100 {
            let span = i % 60 * 4..=i % 60 * 4 + 1;
            writer.store(span, Arc::clone(&entry)).expect("memory");
        }
        let reader = writer.new_reader();
        let other = reader.clone();
        assert!(reader.is_of_same_tree(&other));
        assert!(!reader.is_of_same_tree(&Writer::new().new_reader()));
        if is_writer_first {
            drop(writer);
            assert_eq!(reader.read(&reader.enter()).iter().count(), 60);
            assert!(Arc::strong_count(&entry) > 60);
            drop((reader, other));
        } else {
            drop((reader, other));
            writer.reclaim();
            assert_eq!(Arc::strong_count(&entry), 61);
            drop(writer);
        }
        assert_eq!(Arc::strong_count(&entry), 1);
    }
}

#[test]
fn a_tree_that_cannot_be_shared_comes_back() {
    let entry = Arc::new(());
    let mut tree: MapleTree<Counted> = MapleTree::new();
    tree.store(4..=9, Arc::clone(&entry)).expect("memory");
    let refused = with_failures(0, || TreeWriter::<_, _>::try_from_tree(tree).err());
    let tree = refused.expect("no memory");
    assert_eq!(contents(&tree), [(4, 9)]);
    assert_eq!(Arc::strong_count(&entry), 2);
    let writer = TreeWriter::<_, _>::try_from_tree(tree).expect("memory");
    assert_eq!(writer.reader().iter().count(), 1);
}

#[test]
fn what_a_write_displaced_is_lent_until_the_next_write() {
    let mut writer: TreeWriter<Counted, Fan<Tracked, 3, 3>> = TreeWriter::new();
    let entry = Arc::new(());
    for round in 0..1000 {
        writer.store(0..=9, Arc::clone(&entry)).expect("memory");
        let (span, lent) = if round % 2 == 0 {
            writer.replace(3, Arc::clone(&entry)).expect("there")
        } else {
            writer.erase(3).expect("memory").expect("there")
        };
        assert_eq!((span.first, span.last), (0, 9));
        assert!(Arc::ptr_eq(&lent.to_arc(), &entry));
    }
    drop(writer);
    assert_eq!(Arc::strong_count(&entry), 1);
}

/// What a tree holds, without allocating in between.
fn contents<C: Config>(tree: &MapleTree<Counted, C>) -> Vec<(u64, u64)> {
    tree.iter()
        .map(|(span, _)| (span.first, span.last))
        .collect()
}

/// The same operation on a tree that others may read: it never edits in place.
fn apply_shared<C: Config>(tree: &SharedMapleTree<Counted, C>, op: Op, entry: &Counted) -> bool {
    let mut writer = tree.write();
    match op {
        Op::Store { first, last } => writer.store(first..=last, Arc::clone(entry)).is_ok(),
        Op::Insert { first, last } => !matches!(
            writer.insert(first..=last, Arc::clone(entry)),
            Err(error) if matches!(error.cause, maple_tree::WriteError::Alloc(_))
        ),
        Op::Clear { first, last } => writer.clear(first..=last).is_ok(),
        Op::Erase(index) => writer.erase(index).is_ok(),
    }
}

/// Whether the operation succeeds on a copy of `tree` after `nr_allowed` allocations; if not, the
/// copy must hold what `tree` holds.
fn try_on_copy<C: Config>(
    tree: &MapleTree<Counted, C>,
    (op, entry): (Op, &Counted),
    nr_allowed: i64,
    is_shared: bool,
) -> bool {
    // A copy has an empty pool: every node it needs is an allocation that can fail.
    let mut copy = tree.duplicate().expect("memory");
    let is_done = if is_shared {
        let shared = SharedMapleTree::from(copy);
        let is_done = with_failures(nr_allowed, || apply_shared(&shared, op, entry));
        copy = shared.write().duplicate().expect("memory");
        is_done
    } else {
        with_failures(nr_allowed, || apply(&mut copy, op, entry))
    };
    assert_eq!(copy.validate(), Ok(()), "{op:?} after {nr_allowed}");
    if !is_done {
        assert_eq!(contents(&copy), contents(tree), "{op:?} after {nr_allowed}");
    }
    is_done
}

/// Fails every allocation of every operation in turn; returns how many that were.
fn check_failures<C: Config>(seed: u64, is_shared: bool) -> u64 {
    let mut tree = MapleTree::<Counted, C>::new();
    let entry = Arc::new(());
    let mut nr_failed = 0;
    for op in Script::new(seed, SHAPE).take(400) {
        let mut nr_allowed = 0;
        while !try_on_copy(&tree, (op, &entry), nr_allowed, is_shared) {
            nr_allowed += 1;
            nr_failed += 1;
            let nr_held = tree.iter().count();
            assert_eq!(Arc::strong_count(&entry) - 1, nr_held, "{op:?}");
        }
        assert!(apply(&mut tree, op, &entry));
    }
    nr_failed
}

fn check_failed_copies<C: Config>(seed: u64) {
    let mut tree = MapleTree::<Counted, C>::new();
    let entry = Arc::new(());
    for op in Script::new(seed, SHAPE).take(300) {
        assert!(apply(&mut tree, op, &entry));
    }
    let nr_entries = tree.iter().count();
    let held_before = bytes_held();
    let nr_needed = (0..)
        .find(|nr_allowed| {
            let copy = with_failures(*nr_allowed, || tree.duplicate());
            let expected = nr_entries * (1 + usize::from(copy.is_ok()));
            assert_eq!(Arc::strong_count(&entry) - 1, expected, "leaked");
            let is_whole = copy.is_ok();
            drop(copy);
            assert_eq!(bytes_held(), held_before, "leaked");
            is_whole
        })
        .expect("some number suffices");
    assert!(nr_needed >= 2, "a block and its place in the list");
}

#[test]
fn a_copy_that_fails_leaks_nothing() {
    check_failed_copies::<Fan<Tracked, 3, 3>>(7);
    check_failed_copies::<Gaps>(8);
}

#[test]
fn a_failed_allocation_changes_nothing() {
    // The lower bounds say that the failures were reached: in place, few writes allocate.
    assert!(check_failures::<Fan<Tracked, 3, 3>>(5, false) > 700);
    assert!(check_failures::<Gaps>(6, false) > 80);
    assert!(check_failures::<Fan<Tracked, 3, 3>>(5, true) > 1000);
    assert!(check_failures::<Gaps>(6, true) > 300);
}

/// Carves in ever narrower entries, each call with an allocator that fails the k-th time.
fn check_carving<C: Config>(beside_readers: bool) -> usize {
    let entry = Arc::new(());
    let mut writer: TreeWriter<Counted, C> = TreeWriter::new();
    let _reader = beside_readers.then(|| writer.new_reader());
    writer.store(0..=9999, Arc::clone(&entry)).expect("memory");
    let (mut nr_entries, mut nr_failed) = (1, 0);
    for step in 0..300_u64 {
        let first = 1 + step * 7919 % 9000;
        let middle = step.is_multiple_of(3).then(|| Arc::clone(&entry));
        let mut pair = Some((middle, Arc::clone(&entry)));
        let mut nr_allowed = 0;
        while let Some((middle, above)) = pair.take() {
            let is_middle = middle.is_some();
            writer.seek(first);
            let outcome = with_failures(nr_allowed, || {
                writer.carve(first..=first + 3, middle, above)
            });
            match outcome {
                Ok(()) => nr_entries += 1 + usize::from(is_middle),
                Err(refused) => {
                    assert_eq!(writer.reader().iter().count(), nr_entries);
                    if let maple_tree::WriteError::Alloc(_) = refused.cause {
                        nr_failed += 1;
                        nr_allowed += 1;
                        pair = Some(refused.entry);
                    }
                }
            }
        }
        assert_eq!(writer.validate(), Ok(()));
        assert_eq!(writer.reader().iter().count(), nr_entries);
        assert_eq!(
            Arc::strong_count(&entry) - 1,
            nr_entries,
            "none is duplicated"
        );
    }
    assert!(nr_entries > 300, "{nr_entries}");
    drop(writer);
    nr_failed
}

#[test]
fn carving_moves_entries_and_leaks_none() {
    assert!(check_carving::<Fan<Tracked, 3, 3>>(false) > 20);
    assert!(check_carving::<Gaps>(false) > 5);
    assert!(check_carving::<Fan<Tracked, 3, 3>>(true) > 100);
    assert!(check_carving::<Gaps>(true) > 20);
}

#[test]
fn boxes_are_cloned_where_a_store_splits_them() {
    let mut tree: MapleTree<Box<String>> = MapleTree::new();
    tree.store(0..=99, Box::new("wide".to_owned()))
        .expect("memory");
    tree.store(40..=59, Box::new("mid".to_owned()))
        .expect("memory");
    let words: Vec<_> = tree
        .iter()
        .map(|(span, word)| (span.first, word.as_str()))
        .collect();
    assert_eq!(words, [(0, "wide"), (40, "mid"), (60, "wide")]);
    let (_, word) = tree.erase(70).expect("memory").expect("there");
    assert_eq!(*word, "wide");
}

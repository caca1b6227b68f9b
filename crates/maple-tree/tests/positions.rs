//! Positions: where a cursor goes on after the tree has changed, or not, or is another one.
#![cfg(not(any(loom, shuttle)))]

use maple_tree::{Fan, MapleTree, Position, Reader, SharedMapleTree, Span, Tracked};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vmaple_model::random::SplitMix64;

type Small = Fan<Tracked, 4, 4>;
type Tree = MapleTree<u32, Small>;

fn filled(nr: u32) -> Tree {
    (0..nr)
        .map(|i| (u64::from(i) * 10..=u64::from(i) * 10 + 9, i))
        .collect()
}

/// The position on the entry at `index`.
fn on(tree: &Tree, index: u64) -> Position {
    let mut cursor = tree.reader().cursor(index);
    assert!(cursor.next().is_some_and(|(span, _)| span.contains(index)));
    cursor.pause()
}

fn next(tree: &Tree, position: Position) -> Option<u32> {
    tree.reader()
        .resume(position)
        .next()
        .map(|(_, value)| value)
}

fn prev(tree: &Tree, position: Position) -> Option<u32> {
    tree.reader()
        .resume(position)
        .prev()
        .map(|(_, value)| value)
}

#[test]
fn a_leaf_whose_slots_have_moved_is_not_trusted() {
    let mut tree: Tree = [(10..=19, 1), (20..=29, 2)].into_iter().collect();
    let position = on(&tree, 15);
    tree.store(0..=4, 3).expect("memory");
    assert_eq!(
        (next(&tree, position), prev(&tree, position)),
        (Some(2), Some(3))
    );
    tree.erase(25).expect("memory");
    assert_eq!(
        (next(&tree, position), prev(&tree, position)),
        (None, Some(3))
    );
}

#[test]
fn a_position_in_another_tree_is_a_place() {
    let (tree, other) = (filled(40), filled(3));
    let position = on(&tree, 10);
    assert_eq!(next(&other, position), Some(2));
    let copy = tree.duplicate().expect("memory");
    drop(tree);
    assert_eq!(
        (next(&copy, position), prev(&copy, position)),
        (Some(2), Some(0))
    );
}

#[test]
fn a_tree_in_the_place_of_a_dropped_one_is_another_tree() {
    for _ in 0..100 {
        let mut tree = Box::new(filled(3));
        let position = on(&tree, 0);
        *tree = Tree::new();
        assert_eq!(next(&tree, position), None);
        // The memory of the leaf comes back as another leaf, after as many writes.
        *tree = [(0..=9, 7), (12..=15, 8), (20..=29, 9)]
            .into_iter()
            .collect();
        assert_eq!(next(&tree, position), Some(8));
    }
}

#[test]
fn a_tree_that_has_moved_is_the_same() {
    let tree = filled(40);
    let position = on(&tree, 100);
    let tree = Box::new(tree);
    assert_eq!(
        (next(&tree, position), prev(&tree, position)),
        (Some(11), Some(9))
    );
}

#[test]
fn a_tree_opened_to_readers_is_another_tree() {
    let tree = filled(40);
    let position = on(&tree, 100);
    let shared: SharedMapleTree<u32, Small> = SharedMapleTree::from(tree);
    shared.write().store(105..=114, 50).expect("memory");
    let section = shared.enter();
    let found = shared.read(&section).resume(position).next();
    assert_eq!(
        found,
        Some((Span::new(105, 114), 50)),
        "the first behind 100..=109"
    );
    drop(section);
    drop(shared);
}

#[test]
fn positions_are_equal_at_the_same_place() {
    let mut tree = filled(10);
    let before = on(&tree, 50);
    tree.store(200..=209, 1).expect("memory");
    assert_eq!(before, on(&tree, 50));
    assert_ne!(before, on(&tree, 60));
    assert_eq!(Position::start(), tree.reader().cursor(0).pause());
}

/// Both ways from a position, compared with searches from the top.
fn check<'g>(reader: Reader<'g, u32, Small>, position: Position) {
    let cursor = reader.resume(position);
    let Some(span) = cursor.span() else { return };
    let (mut up, mut down) = (cursor.clone(), cursor);
    let mut at = span;
    for _ in 0..3 {
        let expected = reader.next(at);
        assert_eq!(up.next(), expected, "after {at} in {reader:?}");
        let Some((found, _)) = expected else { break };
        at = found;
    }
    at = span;
    for _ in 0..3 {
        let expected = reader.prev(at);
        assert_eq!(down.prev(), expected, "before {at} in {reader:?}");
        let Some((found, _)) = expected else { break };
        at = found;
    }
}

fn random_span(random: &mut SplitMix64) -> Span {
    let first = random.bounded(200);
    Span::new(first, first + random.bounded(12))
}

#[test]
fn positions_kept_over_random_writes() {
    for seed in 0..200 {
        let mut random = SplitMix64::new(seed);
        let mut tree = Tree::new();
        let mut positions = vec![Position::start(); 8];
        for step in 0..100 {
            let span = random_span(&mut random);
            match random.bounded(4) {
                0 => drop(tree.erase(span.first).expect("memory")),
                1 => tree.clear(span).expect("memory"),
                2 => tree.store(span, step).expect("memory"),
                // No write: what positions remember is used.
                _ => (),
            }
            for position in &positions {
                check(tree.reader(), *position);
            }
            let mut cursor = tree.reader().cursor(span.first);
            if cursor.next().is_some() {
                let kept = random.bounded(8) as usize;
                positions[kept] = cursor.pause();
            }
        }
    }
}

#[test]
fn positions_beside_a_writer() {
    let tree: SharedMapleTree<Arc<Span>, Small> = SharedMapleTree::new();
    for i in 0..50 {
        let span = Span::new(10 * i, 10 * i + 9);
        tree.write().store(span, Arc::new(span)).expect("memory");
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let (mut position, mut behind) = (Position::start(), 0);
                    loop {
                        let section = tree.enter();
                        let mut cursor = tree.read(&section).resume(position);
                        let Some((span, entry)) = cursor.next() else {
                            break;
                        };
                        assert!(span.last >= behind, "{span} after {behind}");
                        assert!(entry.first <= span.first && span.last <= entry.last);
                        behind = span.last + 1;
                        position = cursor.pause();
                    }
                    assert!(behind >= 500, "the last range is there throughout");
                }
            });
        }
        let mut random = SplitMix64::new(1);
        for _ in 0..10_000 {
            // Not the last range.
            let first = random.bounded(470);
            let span = Span::new(first, first + random.bounded(20));
            let mut writer = tree.write();
            if random.bounded(3) == 0 {
                writer.clear(span).expect("memory");
            } else {
                writer.store(span, Arc::new(span)).expect("memory");
            }
            drop(writer);
            if random.bounded(8) == 0 {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

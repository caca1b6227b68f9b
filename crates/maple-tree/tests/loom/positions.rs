//! Positions that outlive a read section, beside a writer that displaces the leaf they remember.

use super::{Known, Tree, known, store};
use maple_tree::{Fan, MapleTree, Position, Span, Tracked};
use std::sync::Arc;
use vmaple_sync::model;

/// Two ranges that touch, in one leaf.
fn two_beside_each_other() -> MapleTree<Arc<Known>, Fan<Tracked, 3, 3>> {
    let mut tree = MapleTree::new();
    for span in [Span::new(0, 4), Span::new(5, 9)] {
        assert!(tree.store(span, known(span)).is_ok());
    }
    tree
}

/// Steps on from a position, in a read section of its own.
fn next(tree: &Tree, position: Position) -> (Span, Position) {
    let section = tree.enter();
    let mut cursor = tree.read(&section).resume(position);
    let (span, entry) = cursor.next().expect("one more, throughout");
    entry.check(span);
    (span, cursor.pause())
}

#[test]
fn a_leaf_is_displaced_between_two_sections() {
    model::check(|| {
        let tree = Arc::new(Tree::from(two_beside_each_other()));
        let writer = {
            let tree = Arc::clone(&tree);
            model::spawn("writer", move || {
                // Displaces the leaf and the entry behind the reader's; later writes free both.
                store(&tree, 5, 12);
                store(&tree, 5, 12);
                store(&tree, 5, 12);
            })
        };
        model::i_am("reader");
        let (first, position) = next(&tree, Position::start());
        assert_eq!(first, Span::new(0, 4));
        let (second, _) = next(&tree, position);
        assert_eq!(second.first, 5);
        writer.join().expect("no anomaly");
    });
}

#[test]
fn what_was_seen_is_seen_by_who_goes_on() {
    model::check(|| {
        let tree = Arc::new(Tree::from(two_beside_each_other()));
        let writer = {
            let tree = Arc::clone(&tree);
            model::spawn("writer", move || {
                store(&tree, 5, 12);
                // Without writes that look after the reader the checker tries one order only.
                store(&tree, 5, 12);
                store(&tree, 5, 12);
            })
        };
        model::i_am("reader");
        let (_, position) = next(&tree, Position::start());
        let seen = {
            let section = tree.enter();
            let (span, _) = tree.read(&section).load(7).expect("there throughout");
            span
        };
        let (second, _) = next(&tree, position);
        assert!(second.last >= seen.last, "{second} after {seen}");
        writer.join().expect("no anomaly");
    });
}

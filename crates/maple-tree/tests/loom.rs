//! The tree under loom: every interleaving of a short write with a short read, at small fan-out,
//! on the real code. Run with `RUSTFLAGS="--cfg loom" cargo test --release --test loom`.
#![cfg(loom)]

#[path = "loom/positions.rs"]
mod positions;

use maple_tree::{Fan, MapleTree, SharedMapleTree, Span, Tracked, TreeWriter};
use std::sync::Arc;
use vmaple_sync::model;

type Tree = SharedMapleTree<Arc<Known>, Fan<Tracked, 3, 3>>;

/// An entry that knows its range, and whose memory loom watches: dropping it is a write, looking
/// at it a read.
struct Known {
    span: Span,
    alive: vmaple_sync::cell::UnsafeCell<bool>,
}

// SAFETY: The cell is read through `check` and written by drop; that these are ordered is what the
// tests let loom check.
#[expect(unsafe_code, reason = "the cell is what loom checks")]
unsafe impl Send for Known {}
// SAFETY: As above.
#[expect(unsafe_code, reason = "the cell is what loom checks")]
unsafe impl Sync for Known {}

impl Known {
    #[expect(unsafe_code, reason = "the cell is what loom checks")]
    fn check(&self, seen: Span) {
        assert_eq!(self.span, seen, "entry and bounds are not of one store");
        // SAFETY: Loom reports a race with the write in drop.
        assert!(self.alive.with(|alive| unsafe { *alive }), "freed");
    }
}

impl Drop for Known {
    #[expect(unsafe_code, reason = "the cell is what loom checks")]
    fn drop(&mut self) {
        // SAFETY: Loom reports a race with a reader.
        self.alive.with_mut(|alive| unsafe { *alive = false });
    }
}

fn known(span: Span) -> Arc<Known> {
    Arc::new(Known {
        span,
        alive: vmaple_sync::cell::UnsafeCell::new(true),
    })
}

/// A tree of `nr` ranges `[10 i, 10 i + 4]`.
fn spaced(nr: u64) -> MapleTree<Arc<Known>, Fan<Tracked, 3, 3>> {
    let mut tree = MapleTree::new();
    for i in 0..nr {
        let span = Span::new(10 * i, 10 * i + 4);
        assert!(tree.store(span, known(span)).is_ok());
    }
    tree
}

/// Runs `write` beside `read` in every order.
fn beside(
    nr: u64,
    write: impl Fn(&Tree) + Sync + Send + Copy + 'static,
    read: impl Fn(&Tree) + Sync + Send + Copy + 'static,
) {
    model::check(move || {
        let tree = Arc::new(Tree::from(spaced(nr)));
        let writer = {
            let tree = Arc::clone(&tree);
            model::spawn("writer", move || {
                write(&tree);
                // More writes close the batch and free what can be freed.
                store(&tree, 900, 901);
                store(&tree, 900, 901);
            })
        };
        model::i_am("reader");
        read(&tree);
        writer.join().expect("no anomaly");
        assert_eq!(tree.write().validate(), Ok(()));
    });
}

fn store(tree: &Tree, first: u64, last: u64) {
    let span = Span::new(first, last);
    assert!(tree.write().store(span, known(span)).is_ok());
}

fn check_at(tree: &Tree, index: u64) -> Option<Span> {
    let section = tree.enter();
    let (span, entry) = tree.read(&section).load(index)?;
    entry.check(span);
    Some(span)
}

#[test]
fn publish_then_walk() {
    beside(
        1,
        |tree| store(tree, 10, 14),
        |tree| {
            check_at(tree, 12);
            assert!(check_at(tree, 2).is_some(), "there throughout");
        },
    );
}

#[test]
fn exact_fit_then_load() {
    beside(
        2,
        |tree| store(tree, 10, 14),
        |tree| assert_eq!(check_at(tree, 12), Some(Span::new(10, 14))),
    );
}

#[test]
fn replace_then_walk() {
    beside(
        4,
        |tree| store(tree, 20, 26),
        |tree| {
            let seen = check_at(tree, 22).expect("covered throughout");
            assert!(seen == Span::new(20, 24) || seen == Span::new(20, 26));
        },
    );
}

#[test]
fn split_then_walk() {
    beside(
        3,
        |tree| store(tree, 6, 7),
        |tree| {
            assert!(check_at(tree, 12).is_some(), "there throughout");
            check_at(tree, 6);
        },
    );
}

#[test]
fn erase_then_walk() {
    beside(
        4,
        |tree| assert!(tree.write().erase(12).is_ok()),
        |tree| {
            check_at(tree, 12);
            assert!(check_at(tree, 22).is_some(), "there throughout");
        },
    );
}

#[test]
fn a_store_into_the_next_leaf_then_walk() {
    beside(
        4,
        |tree| store(tree, 2, 16),
        |tree| {
            let (low, high) = {
                let section = tree.enter();
                let reader = tree.read(&section);
                let ends = [4, 12].map(|index| {
                    let (span, entry) = reader.load(index).expect("covered throughout");
                    entry.check(span);
                    span
                });
                (ends[0], ends[1])
            };
            let new = Span::new(2, 16);
            assert!(low == Span::new(0, 4) || low == new);
            assert!(high == new || (high == Span::new(10, 14) && low != new));
        },
    );
}

#[test]
fn a_gap_that_leaves_share_then_walk() {
    // Wherever the leaves end, one of the erasures joins gaps of two.
    for at in [12, 22] {
        beside(
            4,
            move |tree| assert!(tree.write().erase(at).is_ok()),
            move |tree| {
                let section = tree.enter();
                let reader = tree.read(&section);
                let (span, entry) = reader.range_at(at);
                match entry {
                    Some(entry) => entry.check(span),
                    None => assert_eq!(span, Span::new(at - 7, at + 7)),
                }
                assert!(reader.load(at + 10).is_some(), "there throughout");
                assert!(reader.load(at - 10).is_some(), "there throughout");
            },
        );
    }
}

#[test]
fn root_replacement() {
    beside(
        1,
        |tree| assert!(tree.write().clear(0..=u64::MAX).is_ok()),
        |tree| {
            check_at(tree, 2);
        },
    );
}

#[test]
fn the_last_handle_frees() {
    model::check(|| {
        let writer: TreeWriter<_, _> = TreeWriter::from(spaced(1));
        let reader = writer.new_reader();
        let other = model::spawn("other", move || {
            let section = reader.enter();
            let (span, entry) = reader.read(&section).load(2).expect("there");
            entry.check(span);
        });
        // Not joined yet: what orders the other's reads before the drop is the handles' own doing.
        drop(writer);
        other.join().expect("no race");
    });
}

#[test]
fn iteration_beside_a_spanning_store() {
    beside(
        5,
        |tree| store(tree, 10, 34),
        |tree| {
            let section = tree.enter();
            let mut next = 0;
            let mut seen = 0;
            for (span, entry) in tree.read(&section).iter() {
                entry.check(span);
                assert!(span.first >= next, "backwards");
                next = span.last + 1;
                seen |= u64::from(span.first == 0) | u64::from(span.first == 40) << 1;
            }
            assert_eq!(seen, 3, "missed what was there throughout");
        },
    );
}

#[test]
fn a_gap_there_throughout_is_found() {
    beside(
        4,
        |tree| {
            store(tree, 15, 19);
            assert!(tree.write().clear(15..=19).is_ok());
        },
        |tree| {
            let section = tree.enter();
            let found = tree.read(&section).lowest_gap(5, 1, 0..=39);
            assert_eq!(found, Some(5), "there throughout");
        },
    );
}

#[test]
fn a_gap_seen_to_grow_is_found() {
    beside(
        4,
        |tree| assert!(tree.write().erase(12).is_ok()),
        |tree| {
            let section = tree.enter();
            let reader = tree.read(&section);
            if reader.load(12).is_none() {
                assert_eq!(reader.lowest_gap(15, 1, 0..=29), Some(5));
            }
        },
    );
}

#[test]
fn a_gap_seen_to_grow_within_a_leaf_is_found() {
    beside(
        4,
        |tree| assert!(tree.write().clear(22..=24).is_ok()),
        |tree| {
            let section = tree.enter();
            let reader = tree.read(&section);
            if reader.load(23).is_none() {
                assert_eq!(reader.lowest_gap(8, 1, 0..=29), Some(22));
            }
        },
    );
}

#[test]
fn a_gap_seen_used_up_is_occupied() {
    beside(
        4,
        |tree| store(tree, 15, 19),
        |tree| {
            let section = tree.enter();
            let reader = tree.read(&section);
            if reader.lowest_gap(5, 1, 15..=19).is_none() {
                assert!(reader.load(17).is_some());
            }
        },
    );
}

#[test]
fn a_lowered_hint_comes_after_its_cause() {
    // [5, 9] is the only gap of the first leaf of two levels: used up, its hint alone says so.
    beside(
        4,
        |tree| store(tree, 5, 9),
        |tree| {
            let section = tree.enter();
            let reader = tree.read(&section);
            if reader.lowest_gap(5, 1, 5..=9).is_none() {
                assert!(reader.load(7).is_some());
            }
        },
    );
}

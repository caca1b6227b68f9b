//! Changes of a VMA tree while memory runs out at each of their allocations in turn: they fail and
//! leave everything as it was, or they succeed.
#![cfg(not(any(loom, shuttle)))]

#[path = "../../maple-tree/tests/failing/mod.rs"]
mod failing;

use failing::{bytes_held, with_failures};
use maple_tree::{Fan, Tracked};
use std::ops::Range;
use std::sync::Arc;
use vmaple_locks::{ChangeError, Counted, Environment, Held, VmaTree};
use vmaple_rcu::DefaultBackend;
use vmaple_sync::wait::DefaultWait;

/// The smallest nodes, so that changes take in many.
#[derive(Debug)]
struct Small;

impl Environment for Small {
    type Wait = DefaultWait;
    type Rcu = DefaultBackend;
    type Shape = Fan<Tracked, 3, 3>;
    type Readers = Counted;
}

type Value = Arc<u64>;
type Tree = VmaTree<Value, Small>;

/// VMAs of 8, with 2 free above each.
fn tree_of(nr: u64, value: &Value) -> Tree {
    let mut tree = Tree::new();
    for i in 0..nr {
        let range = 10 * i..10 * i + 8;
        tree.insert(range, value.clone()).expect("memory");
    }
    tree.end_write();
    tree
}

fn all(tree: &Tree) -> Vec<(Range<u64>, u64)> {
    tree.iter().map(|vma| (vma.range(), **vma.get())).collect()
}

type Change = fn(&mut Tree, Value) -> Result<(), ChangeError>;

/// Each change, by its name.
const CHANGES: [(&str, Change); 14] = [
    ("insert", |tree, value| {
        let inserted = tree.insert(38..40, value);
        inserted.map(drop).map_err(|error| error.cause)
    }),
    ("insert_with", |tree, value| {
        tree.insert_with(38..40, || value).map(drop)
    }),
    ("insert_over", |tree, value| {
        let inserted = tree.insert_over(25..62, value, |_| ());
        inserted.map(drop).map_err(|error| error.cause)
    }),
    ("expand", |tree, _| {
        tree.expand(20, 20..65, |_| ()).map(drop)
    }),
    ("split", |tree, value| {
        tree.split(34, value).map(drop).map_err(|error| error.cause)
    }),
    ("carve", |tree, value| {
        let carved = tree.carve(33..35, |_| Arc::clone(&value), |_| Arc::clone(&value));
        carved.map(drop)
    }),
    ("punch", |tree, value| {
        let punched = tree.punch(33..35, |_| value);
        punched.map(drop)
    }),
    ("unmap a middle", |tree, value| {
        let unmapped = tree.unmap(33..35, |_| true, |_| value, |_| ());
        unmapped.map(|agreed| assert!(agreed))
    }),
    ("unmap several", |tree, value| {
        let unmapped = tree.unmap_for_good(25..62, |_| true, |_| value, |_| ());
        unmapped.map(|agreed| assert!(agreed))
    }),
    ("remove", |tree, _| tree.remove(30).map(drop)),
    ("clear", |tree, _| tree.clear(25..62, |_| ())),
    ("clear_for_good", |tree, _| {
        tree.clear_for_good(10..80, |_| ())
    }),
    ("reserve", |tree, _| tree.reserve(100)),
    ("reserve_over", |tree, _| tree.reserve_over(0..100, 5)),
];

/// Makes a change with so many allocations and no more; whether that was enough.
fn is_enough(nr_allowed: i64, nr_vmas: u64, (name, change): (&str, Change)) -> bool {
    let value = Arc::new(7);
    let mut tree = tree_of(nr_vmas, &value);
    let before = all(&tree);
    let given = Arc::clone(&value);
    let outcome = with_failures(nr_allowed, || change(&mut tree, given));
    assert_eq!(tree.validate(), Ok(()), "{name} with {nr_allowed}");
    assert_eq!(
        Arc::strong_count(&value),
        1 + tree.len(),
        "{name}: each value has one owner"
    );
    if outcome.is_ok() {
        return true;
    }
    assert_eq!(outcome, Err(ChangeError::OutOfMemory), "{name}");
    assert_eq!(all(&tree), before, "{name} with {nr_allowed} left its mark");
    // Everything can still be read, and locked, and changed.
    tree.end_write();
    let readers = tree.readers();
    let mut held = Held::nothing();
    for (range, _) in &before {
        let vma = readers.lock_vma_under_rcu(&mut held, range.start).locked();
        assert_eq!(vma.expect("nobody writes").range(), *range, "{name}");
    }
    change(&mut tree, Arc::clone(&value)).expect("there is memory again");
    assert_eq!(tree.validate(), Ok(()), "{name}");
    false
}

#[test]
fn changes_fail_whole_at_every_allocation() {
    let mut nr_failed = 0;
    for change in CHANGES {
        for nr_vmas in [9, 30, 64] {
            let needed = (0..3000).find(|nr| is_enough(*nr, nr_vmas, change));
            let needed = needed.expect("needs no more than that");
            nr_failed += needed;
        }
    }
    assert!(nr_failed > 20, "changes hardly need memory: {nr_failed}");
}

/// A copy for a child: there is none at all, and nothing is kept of it.
#[test]
fn a_child_comes_whole_or_not_at_all() {
    let value = Arc::new(7);
    let mut tree = tree_of(40, &value);
    let mut is_whole = |nr_allowed| {
        let held = bytes_held();
        let copied = with_failures(nr_allowed, || {
            tree.duplicate(|vma| Some(Arc::clone(vma.get())))
        });
        if let Ok(child) = copied {
            assert_eq!(all(&child), all(&tree));
            return true;
        }
        assert_eq!(
            Arc::strong_count(&value),
            41,
            "values of the child are dropped"
        );
        assert_eq!(tree.validate(), Ok(()));
        assert!(bytes_held() <= held + 64 * 1024, "{nr_allowed}: kept");
        false
    };
    let needed = (0..400).find(|nr| is_whole(*nr)).expect("needs no more");
    assert!(needed > 5, "a copy hardly needs memory: {needed}");
}

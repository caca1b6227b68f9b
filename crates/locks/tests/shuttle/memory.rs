//! Memory of VMAs that goes from one address space to another.

use crate::space::{Known, Tree, all_is_well, below, explore, new_space, read, write};
use std::ops::Range;
use std::sync::Arc;
use vmaple_locks::{Biased, Counted, Held, Lookup, ReadScheme, Slab};
use vmaple_sync::model;

/// Two address spaces that give each other their VMAs' memory: a reader of one never sees what is
/// the other's, and the words of a lock outlive its owner.
fn two_spaces<S: ReadScheme>() {
    let slab = Slab::new();
    let spaces = ['a', 'b'].map(|name| (name, new_space::<S>(name, &slab)));
    let threads = spaces.map(|(name, space)| {
        let reader = {
            let space = Arc::clone(&space);
            model::spawn("reader", move || read(name, &space, 4))
        };
        let writer = model::spawn("writer", move || {
            write(name, &space, 3);
            space
        });
        (reader, writer)
    });
    for (reader, writer) in threads {
        reader.join().expect("no anomaly");
        let space = writer.join().expect("no anomaly");
        all_is_well(&space);
        drop(space);
    }
    assert_eq!(slab.nr_free(), slab.nr_slots(), "all are back");
}

#[test]
fn memory_that_goes_from_space_to_space_counted() {
    explore(two_spaces::<Counted>);
}

#[test]
fn memory_that_goes_from_space_to_space_biased() {
    explore(two_spaces::<Biased>);
}

/// The memory of a VMA goes to another address space, which puts it at the same address, while a
/// reader of the first one is about to lock it: bug 45.
fn handed_over<S: ReadScheme>() {
    const PLACES: [Range<u64>; 3] = [0..10, 10..20, 20..30];
    let fill = |name, tree: &mut Tree<S>| {
        // In any order: the first gets the memory that was given back last.
        let mut places = PLACES;
        places.rotate_left(below(3) as usize);
        for range in places {
            let known = Known::new(name, range.clone());
            assert!(tree.insert(range, known).is_ok(), "free");
        }
    };
    let slab = Slab::new();
    let mut tree = Tree::<S>::new_in(&slab);
    fill('a', &mut tree);
    tree.end_write();
    let readers = tree.readers();
    let reader = model::spawn("reader of a", move || {
        let mut held = Held::nothing();
        for _ in 0..2 {
            let addr = below(30);
            let found = match below(2) {
                0 => readers.lock_vma_under_rcu(&mut held, addr),
                _ => readers.lock_next_vma(&mut held, 0),
            };
            if let Lookup::Locked(vma) = found {
                vma.look('a', &vma.range());
            }
        }
    });
    model::i_am("writer of a, then of b");
    assert!(tree.clear(0..30, |_| ()).is_ok());
    tree.end_write();
    let mut other = Tree::<S>::new_in(&slab);
    fill('b', &mut other);
    other.end_write();
    reader.join().expect("no anomaly");
    let readers = other.readers();
    for range in PLACES {
        let mut held = Held::nothing();
        let found = readers.lock_vma_under_rcu(&mut held, range.start).locked();
        found.expect("nobody writes").look('b', &range);
    }
}

/// The run is short, and what it looks for is rare.
fn explore_long(test: fn()) {
    model::explore(8 * model::nr_schedules(300), test);
}

#[test]
fn memory_that_is_handed_over_counted() {
    explore_long(handed_over::<Counted>);
}

#[test]
fn memory_that_is_handed_over_biased() {
    explore_long(handed_over::<Biased>);
}

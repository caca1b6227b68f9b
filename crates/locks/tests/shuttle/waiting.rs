//! Who waits comes back: no deadlock, and nobody is passed over for ever.

use crate::space::{END, HIGH, LOW, below, change, explore, new_space, read, write};
use maple_tree::{Fan, Tracked};
use std::sync::Arc;
use vmaple_locks::{AddressSpace, Biased, Counted, Environment, Held, ReadScheme, Slab, VmaTree};
use vmaple_rcu::DefaultBackend;
use vmaple_sync::atomic::{AtomicU32, Ordering};
use vmaple_sync::wait::Spin;
use vmaple_sync::{model, planted};

/// What bug 51 did: a handler that has a VMA calls the lookup that waits for writers, and a writer
/// waits for that VMA. Types forbid it; the plant goes around them with a second token.
fn waits_for_writers<S: ReadScheme>() {
    let space = new_space::<S>('a', &Slab::new());
    let writer = {
        let space = Arc::clone(&space);
        model::spawn("writer", move || write('a', &space, 2))
    };
    model::i_am("handler");
    for _ in 0..2 {
        let (mut held, mut second) = (Held::nothing(), Held::nothing());
        let kept = space.lock_vma_under_rcu(&mut second, below(END)).locked();
        let kept = kept.filter(|_| planted!("waits_under_a_lock"));
        let addr = below(END);
        let found = space
            .vma_start_read_unlocked(&mut held, addr)
            .expect("room");
        assert!(
            found.is_some() || (LOW..HIGH).contains(&addr),
            "always mapped"
        );
        drop((found, kept));
    }
    writer.join().expect("no anomaly");
}

#[test]
fn the_lookup_that_waits_comes_back() {
    explore(waits_for_writers::<Counted>);
}

/// Who waits gets in, whatever the others do, if the schedule is fair: a writer among readers that
/// come again and again, and a reader among writers.
fn everybody_gets_in<S: ReadScheme>() {
    let space = new_space::<S>('a', &Slab::new());
    let is_done = Arc::new(AtomicU32::new(0));
    let others = [0; 2].map(|nr| {
        let (space, is_done) = (Arc::clone(&space), Arc::clone(&is_done));
        model::spawn(if nr == 0 { "readers" } else { "writers" }, move || {
            let mut held = Held::nothing();
            // Without end but for the two who wait: shuttle ends a run that is too long.
            while is_done.load(Ordering::Relaxed) < 2 {
                if nr == 0 {
                    drop(space.read(&mut held));
                    read('a', &space, 1);
                } else {
                    change('a', &mut space.write(&mut held));
                }
            }
        })
    });
    let waiting = [0; 2].map(|nr| {
        let (space, is_done) = (Arc::clone(&space), Arc::clone(&is_done));
        model::spawn(if nr == 0 { "a reader" } else { "a writer" }, move || {
            let mut held = Held::nothing();
            for _ in 0..2 {
                if nr == 0 {
                    assert!(space.read(&mut held).len() >= 2);
                } else {
                    change('a', &mut space.write(&mut held));
                }
            }
            is_done.fetch_add(1, Ordering::Relaxed);
        })
    });
    for thread in waiting.into_iter().chain(others) {
        thread.join().expect("gets in");
    }
}

/// Random schedules are fair; those that prefer a thread are not, and prove nothing here.
#[test]
fn nobody_waits_for_ever_counted() {
    model::explore_fairly(model::nr_schedules(300), everybody_gets_in::<Counted>);
}

#[test]
fn nobody_waits_for_ever_biased() {
    model::explore_fairly(model::nr_schedules(300), everybody_gets_in::<Biased>);
}

/// Spinning instead of sleeping, for environments that cannot park.
#[test]
fn spinning_is_enough() {
    #[derive(Debug)]
    struct Spinning;
    impl Environment for Spinning {
        type Wait = Spin;
        type Rcu = DefaultBackend;
        type Shape = Fan<Tracked, 3, 3>;
        type Readers = Counted;
    }
    model::explore_fairly(model::nr_schedules(300), || {
        let tree: VmaTree<u32, Spinning> = VmaTree::new();
        let space = Arc::new(AddressSpace::new(tree));
        let other = {
            let space = Arc::clone(&space);
            model::spawn("writer", move || {
                let mut held = Held::nothing();
                assert!(space.write(&mut held).insert(0..10, 1).is_ok());
                assert!(space.write(&mut held).clear(0..10, |_| ()).is_ok());
            })
        };
        let mut held = Held::nothing();
        for _ in 0..3 {
            drop(space.vma_start_read_unlocked(&mut held, 5).expect("room"));
        }
        other.join().expect("no anomaly");
    });
}

//! Whole lookups under shuttle, beside long write sections on small real trees: random schedules,
//! more threads and longer runs than loom can take. Run with
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p vmaple-locks --test shuttle`; `NR_SCHEDULES`
//! for more.
#![cfg(shuttle)]

mod forks;
mod holes;
mod memory;
mod space;
mod waiting;

use space::{all_is_well, explore, new_space, read, walk, write};
use std::sync::Arc;
use vmaple_locks::{Biased, Counted, ReadScheme, Slab};
use vmaple_sync::model;

/// Two readers and a walker beside two writers of one address space, who take turns.
fn one_space<S: ReadScheme>() {
    let space = new_space::<S>('a', &Slab::new());
    let readers = [0; 2].map(|_| {
        let space = Arc::clone(&space);
        model::spawn("reader", move || read('a', &space, 4))
    });
    let walker = {
        let space = Arc::clone(&space);
        model::spawn("walker", move || walk('a', &space))
    };
    let writer = {
        let space = Arc::clone(&space);
        model::spawn("writer", move || write('a', &space, 3))
    };
    write('a', &space, 3);
    for thread in readers.into_iter().chain([walker, writer]) {
        thread.join().expect("no anomaly");
    }
    all_is_well(&space);
}

#[test]
fn lookups_beside_every_change_counted() {
    explore(one_space::<Counted>);
}

#[test]
fn lookups_beside_every_change_biased() {
    explore(one_space::<Biased>);
}

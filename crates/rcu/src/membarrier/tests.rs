//! The backend on real threads: nothing runs early, everything runs in the end.

use super::*;
use crate::guard::ReadGuard;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

type Guard = ReadGuard<Membarrier>;

#[test]
fn sections_nest() {
    let outer = Guard::enter();
    let inner = Guard::enter();
    let period = Membarrier::start_grace_period();
    drop(outer);
    assert!(!Membarrier::has_elapsed(period), "the inner one is open");
    drop(inner);
    // Other tests' sections may be open for a moment.
    wait_for(period);
}

#[test]
fn a_stalled_reader_delays_the_work_and_blocks_nobody() {
    let (tell_inside, inside) = mpsc::channel();
    let (tell_leave, leave) = mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let section = Guard::enter();
        tell_inside.send(()).expect("the test waits");
        leave.recv().expect("the test tells");
        drop(section);
    });
    inside.recv().expect("the reader enters");
    let nr_run = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 * BATCH {
        let nr_run = Arc::clone(&nr_run);
        Membarrier::defer(Deferred::new(move || {
            nr_run.fetch_add(1, Ordering::Relaxed);
        }));
    }
    assert_eq!(nr_run.load(Ordering::Relaxed), 0, "the reader is inside");
    tell_leave.send(()).expect("the reader waits");
    reader.join().expect("the reader ends well");
    Membarrier::synchronize();
    assert_eq!(nr_run.load(Ordering::Relaxed), 10 * BATCH);
}

#[test]
#[should_panic(expected = "would wait for itself")]
fn synchronize_inside_a_section_panics() {
    let _section = Guard::enter();
    Membarrier::synchronize();
}

#[test]
fn records_are_taken_over_by_later_threads() {
    for _ in 0..50 {
        thread::spawn(|| drop(Guard::enter()))
            .join()
            .expect("the thread ends well");
    }
    assert!(DOMAIN.nr_records() < 40, "one at a time needs few records");
}

//! Real threads, recorded and judged: one writer makes random changes, readers ask every kind of
//! question, and `vmaple_model::history` decides whether a range map that keeps its promises could
//! have answered so.
#![cfg(not(any(loom, shuttle)))]

#[path = "recorder/mod.rs"]
mod recorder;

use maple_tree::{Fan, Gaps, Tracked, TracksGaps};
use recorder::{Scale, Tree};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use vmaple_model::history::{Clock, History};

const SCALE: Scale = Scale {
    domain: 500,
    nr_changes: 12_000,
    nr_reads: 60_000,
};

/// Says that the writer is done, also if it panics: the readers must not go on for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn record<C: TracksGaps>() -> History {
    let tree = Tree::<C>::new();
    let before = recorder::fill(&tree, SCALE);
    let (clock, is_over) = (Clock::default(), AtomicBool::new(false));
    let (changes, reads) = thread::scope(|scope| {
        let readers = [91, 92].map(|seed| {
            let (tree, shared) = (&tree, (&clock, &is_over));
            scope.spawn(move || recorder::read(tree, shared, (SCALE, seed)))
        });
        let over = Over(&is_over);
        let changes = recorder::write(&tree, &clock, before.clone(), (SCALE, 90));
        drop(over);
        let reads = readers.map(|reader| reader.join().expect("reads to the end"));
        (changes, reads.concat())
    });
    assert_eq!(tree.write().validate(), Ok(()));
    History {
        before,
        changes,
        reads,
    }
}

fn check<C: TracksGaps>() {
    // One processor may run reader and writer by turns: then try again.
    let enough = (0..20).find(|_| match record::<C>().check() {
        Ok(coverage) => {
            println!("{coverage:?}");
            coverage.nr_beside_changes > 500
        }
        Err(anomaly) => panic!("{anomaly}"),
    });
    assert!(enough.is_some(), "readers hardly ever met a change");
}

#[test]
fn what_readers_saw_can_have_been_at_fan_out_3() {
    check::<Fan<Tracked, 3, 3>>();
}

#[test]
fn what_readers_saw_can_have_been_at_fan_out_4() {
    check::<Fan<Tracked, 4, 4>>();
}

#[test]
fn what_readers_saw_can_have_been_at_release_fan_out() {
    check::<Gaps>();
}

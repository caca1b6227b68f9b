//! Rows with two threads on the shared tree.

use super::{Row, built};
use crate::meter::{Meter, Sample};
use crate::subject::{Entry, Subject};
use crate::workload::{Layout, NR_QUERIES, word};
use maple_tree::{Gaps, SharedMapleTree};
use std::num::NonZeroU64;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;
use vmaple_model::random::SplitMix64;

type Tree = SharedMapleTree<Entry, Gaps>;

const NR_PASSES: usize = 16;

/// Looks each query up, from an offset on; how many were not found.
fn read_all(tree: &Tree, queries: &[u64], offset: usize) -> u64 {
    let mut nr_missed = 0;
    for _ in 0..NR_PASSES {
        for j in 0..NR_QUERIES {
            let index = queries[(j + offset) % NR_QUERIES];
            nr_missed += u64::from(tree.load(index) == 0);
        }
    }
    nr_missed
}

const NR_LOADS: u64 = (NR_PASSES * NR_QUERIES) as u64;

pub(super) fn two_readers(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let tree: Tree = built(&layout, false);
    let queries = layout.queries();
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            assert_eq!(read_all(&tree, &queries, NR_QUERIES / 2), 0);
        });
        let mut meter = Meter::new();
        start.wait();
        let nr_missed = meter.run(|| read_all(&tree, &queries, 0));
        assert_eq!(nr_missed, 0);
        meter.sample(row.name, NR_LOADS, 0, String::new())
    })
}

/// The writer clears ranges and stores them again, so some loads find nothing: that is no error.
pub(super) fn reader_and_writer(row: Row<'_>) -> Sample {
    let layout = Layout::mappings(row.size);
    let tree: Tree = built(&layout, false);
    let queries = layout.queries();
    let start = Barrier::new(2);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut random = SplitMix64::new(99);
            let mut nr_stores = 0_u64;
            start.wait();
            let since = Instant::now();
            while !is_over.load(Ordering::Relaxed) {
                let k = random.bounded(row.size as u64);
                let span = layout.spans[k as usize];
                let entry = NonZeroU64::new(word(k + 1)).expect("tagged");
                tree.write().clear(span).expect("memory");
                tree.write().store(span, entry).expect("memory");
                nr_stores += 2;
            }
            since.elapsed().as_nanos() as f64 / nr_stores as f64
        });
        let mut meter = Meter::new();
        start.wait();
        let nr_missed = meter.run(|| read_all(&tree, &queries, 0));
        is_over.store(true, Ordering::Relaxed);
        let writer_ns = writer.join().expect("the writer does not panic");
        let per_million = 1e6 * nr_missed as f64 / NR_LOADS as f64;
        let note = format!("writer_ns={writer_ns:.1} missed_per_million={per_million:.0}");
        meter.sample(row.name, NR_LOADS, 0, note)
    })
}

//! Random schedules under shuttle, on the real code: more threads and longer runs than loom can
//! take, recorded and judged as runs of real threads are. Run with
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test shuttle`; `NR_SCHEDULES` for more, the
//! feature `strict` to have freed memory poisoned.
#![cfg(shuttle)]

#[path = "recorder/mod.rs"]
mod recorder;

use maple_tree::{Config, Fan, SharedMapleTree, Span, Tracked, TracksGaps};
use recorder::{Scale, Tree};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use vmaple_model::history::{Clock, History};
use vmaple_model::random::SplitMix64;
use vmaple_sync::atomic::{AtomicBool, AtomicU64};
use vmaple_sync::model;

/// Three levels at fan-out 3.
const SCALE: Scale = Scale {
    domain: 120,
    nr_changes: 14,
    nr_reads: 12,
};

fn explore(test: impl Fn() + Send + Sync + Copy + 'static) -> usize {
    model::explore(model::nr_schedules(500), test)
}

/// A seed that the schedule draws, so that a failing one is replayed with it.
fn draw_seed() -> u64 {
    use shuttle::rand::Rng;
    shuttle::rand::thread_rng().gen_range(0..u64::MAX)
}

fn recorded_run<C: TracksGaps>() {
    let tree = Arc::new(Tree::<C>::new());
    let before = recorder::fill(&tree, SCALE);
    let clock = Arc::new(Clock::default());
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = [0; 2].map(|_| {
        let (tree, clock, is_over) = (tree.clone(), clock.clone(), is_over.clone());
        let seed = draw_seed();
        model::spawn("reader", move || {
            recorder::read(&tree, (&clock, &is_over), (SCALE, seed))
        })
    });
    let seed = draw_seed();
    let changes = recorder::write(&tree, &clock, before.clone(), (SCALE, seed));
    is_over.store(true, Relaxed);
    let reads = readers.map(|reader| reader.join().expect("reads to the end"));
    assert_eq!(tree.write().validate(), Ok(()));
    let history = History {
        before,
        changes,
        reads: reads.concat(),
    };
    match history.check() {
        Ok(coverage) => NR_MET.fetch_add(coverage.nr_beside_changes, Relaxed),
        Err(anomaly) => panic!("{anomaly}"),
    };
}

/// Reads that met a change, of all schedules.
static NR_MET: AtomicUsize = AtomicUsize::new(0);

#[test]
fn what_readers_saw_can_have_been_at_fan_out_3() {
    let nr = explore(recorded_run::<Fan<Tracked, 3, 3>>);
    assert!(
        NR_MET.load(Relaxed) > nr,
        "readers hardly ever met a change"
    );
}

#[test]
fn what_readers_saw_can_have_been_at_uneven_fan_out() {
    explore(recorded_run::<Fan<Tracked, 5, 3>>);
}

/// How many entries of a test are alive.
type Count = Arc<AtomicU64>;

/// An entry that knows where it was stored, and is marked when it is dropped.
struct Known {
    span: Span,
    alive: AtomicBool,
    nr_alive: Count,
}

impl Known {
    fn new(span: Span, nr_alive: &Count) -> Arc<Self> {
        nr_alive.fetch_add(1, Relaxed);
        Arc::new(Self {
            span,
            alive: AtomicBool::new(true),
            nr_alive: nr_alive.clone(),
        })
    }

    fn check(&self, seen: Span) {
        assert!(self.alive.load(Relaxed), "freed while in sight");
        let is_part = self.span.contains(seen.first) && self.span.contains(seen.last);
        assert!(is_part, "entry and bounds are not of one store");
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.alive.store(false, Relaxed);
        self.nr_alive.fetch_sub(1, Relaxed);
    }
}

type KnownTree<C> = SharedMapleTree<Arc<Known>, C>;

fn store<C: Config>(tree: &KnownTree<C>, span: Span, nr_alive: &Count) {
    tree.write()
        .store(span, Known::new(span, nr_alive))
        .expect("memory");
}

/// Writes to cells of 10 indices, [10 i, 10 i + 5] or more, and reclaims at times.
fn write_cells<C: Config>(tree: &KnownTree<C>, nr_alive: &Count, seed: u64) {
    let mut random = SplitMix64::new(seed);
    for _ in 0..10 {
        let cell = random.bounded(12);
        let whole = Span::new(10 * cell, 10 * cell + 5);
        match random.bounded(8) {
            0 => tree
                .write()
                .clear(10 * cell..=10 * cell + 49)
                .expect("memory"),
            1 => drop(tree.write().erase(10 * cell).expect("memory")),
            2 => tree.write().clear(0..=u64::MAX).expect("memory"),
            3 => tree.write().reclaim(),
            4 => store(tree, Span::new(10 * cell, 10 * cell + 35), nr_alive),
            _ => store(tree, whole, nr_alive),
        }
    }
}

/// Keeps what it met to the end of a section, while it goes on.
fn read_long<C: Config>(tree: &KnownTree<C>, seed: u64) {
    let mut random = SplitMix64::new(seed);
    for _ in 0..4 {
        let section = tree.enter();
        let reader = tree.read(&section);
        let mut met = Vec::new();
        met.extend(reader.load(10 * random.bounded(12) + 2));
        met.extend(reader.iter_from(10 * random.bounded(12)).take(4));
        met.extend(reader.iter_rev().take(3));
        for (span, known) in met {
            known.check(span);
        }
    }
}

fn retire_and_reclaim<C: Config>() {
    let nr_alive = Count::default();
    let tree = Arc::new(KnownTree::<C>::new());
    for cell in 0..12 {
        store(&tree, Span::new(10 * cell, 10 * cell + 5), &nr_alive);
    }
    let readers = [0; 2].map(|_| {
        let (tree, seed) = (tree.clone(), draw_seed());
        model::spawn("reader", move || read_long(&tree, seed))
    });
    // Two writers, who take turns by the lock.
    let writers = [0; 2].map(|_| {
        let (tree, nr_alive, seed) = (tree.clone(), nr_alive.clone(), draw_seed());
        model::spawn("writer", move || write_cells(&tree, &nr_alive, seed))
    });
    for thread in readers.into_iter().chain(writers) {
        thread.join().expect("no anomaly");
    }
    let mut writer = tree.write();
    assert_eq!(writer.validate(), Ok(()));
    writer.reclaim();
    assert_eq!(writer.nr_waiting(), 0);
    let nr_left = writer.reader().iter().count() as u64;
    // A store into the middle of an entry leaves that in two places.
    assert!(nr_alive.load(Relaxed) <= nr_left);
    drop(writer);
    drop(tree);
    assert_eq!(nr_alive.load(Relaxed), 0, "leaked");
}

#[test]
fn what_is_in_sight_is_alive_and_the_rest_is_freed() {
    explore(retire_and_reclaim::<Fan<Tracked, 3, 3>>);
}

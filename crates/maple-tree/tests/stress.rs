//! Real threads: one writer keeps replacing ranges while readers check that what they see was
//! there as a whole.
#![cfg(not(any(loom, shuttle)))]

use maple_tree::{Config, Fan, Gaps, SharedMapleTree, Span, Tracked, TracksGaps};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use vmaple_model::random::SplitMix64;

/// An entry that knows the range it was stored over; poisoned by its drop.
#[derive(Debug)]
struct Known {
    span: Span,
    alive: AtomicBool,
}

impl Known {
    fn new(span: Span) -> Arc<Self> {
        Arc::new(Self {
            span,
            alive: AtomicBool::new(true),
        })
    }

    fn check(&self, seen: Span) {
        assert!(self.alive.load(Ordering::Relaxed), "freed while in sight");
        assert_eq!(self.span, seen, "entry and bounds are not of one store");
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Relaxed);
    }
}

/// Each cell of 64 indices holds one range or two that meet; the cells' last quarter stays empty,
/// and every fourth cell never changes.
const CELL: u64 = 64;
const NR_CELLS: u64 = 120;

type Tree<C> = SharedMapleTree<Arc<Known>, C>;

fn store<C: Config>(tree: &Tree<C>, span: Span) {
    tree.write().store(span, Known::new(span)).expect("memory");
}

/// Replaces a cell's ranges by others that end elsewhere. The parts are stored from the left, so
/// that none is ever cut: first the whole, then its right part after the left.
fn replace_cell<C: Config>(tree: &Tree<C>, cell: u64, random: &mut SplitMix64) {
    let base = cell * CELL;
    let whole = Span::new(base, base + 47);
    store(tree, whole);
    if random.bounded(2) == 0 {
        // A store over the whole and beyond, which then shrinks back by another whole store.
        let wide = Span::new(base, base + 47 + random.bounded(16));
        store(tree, wide);
        tree.write().clear(wide).expect("memory");
        store(tree, whole);
    }
}

fn write_for<C: Config>(tree: &Tree<C>, nr_rounds: usize) {
    let mut random = SplitMix64::new(1);
    for _ in 0..nr_rounds {
        let cell = random.bounded(NR_CELLS);
        if !cell.is_multiple_of(4) {
            replace_cell(tree, cell, &mut random);
        }
        if random.bounded(200) == 0 {
            // Spans three changing cells: whole subtrees go at once.
            let first = random.bounded(NR_CELLS / 4 - 1) * 4 + 1;
            tree.write()
                .clear(first * CELL..=(first + 3) * CELL - 1)
                .expect("memory");
        }
    }
}

fn read_until<C: TracksGaps>(tree: &Tree<C>, is_over: &AtomicBool, seed: u64) -> u64 {
    let mut random = SplitMix64::new(seed);
    let mut nr_found = 0;
    while !is_over.load(Ordering::Relaxed) {
        let section = tree.enter();
        let reader = tree.read(&section);
        let cell = random.bounded(NR_CELLS);
        if let Some((span, known)) = reader.load(cell * CELL + 20) {
            known.check(span);
            nr_found += 1;
        }
        let constant = cell / 4 * 4 * CELL;
        let (span, known) = reader.load(constant + 3).expect("never changes");
        known.check(span);
        let (span, _) = reader.find(constant).expect("never changes");
        assert_eq!(span.first, constant);
        // The end of each constant cell is a gap throughout.
        let gap = reader.lowest_gap(16, 1, constant..=constant + CELL - 1);
        assert_eq!(gap, Some(constant + 48));
        let mut next = 0;
        let mut nr_constant = 0;
        for (span, known) in reader.iter() {
            known.check(span);
            assert!(span.first >= next, "backwards");
            next = span.last + 1;
            nr_constant += u64::from(span.first.is_multiple_of(4 * CELL));
        }
        assert_eq!(
            nr_constant,
            NR_CELLS / 4,
            "missed what was there throughout"
        );
        let nr_back = reader
            .iter_rev()
            .filter(|(span, _)| span.first.is_multiple_of(4 * CELL));
        assert_eq!(nr_back.count() as u64, NR_CELLS / 4);
    }
    nr_found
}

fn check<C: TracksGaps>(nr_rounds: usize) {
    let tree = Tree::<C>::new();
    for cell in 0..NR_CELLS {
        store(&tree, Span::new(cell * CELL, cell * CELL + 47));
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers = [7, 8].map(|seed| {
            let (tree, is_over) = (&tree, &is_over);
            scope.spawn(move || read_until(tree, is_over, seed))
        });
        // Over also when the writer panics: the readers must not go on for ever.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let over = Over(&is_over);
        write_for(&tree, nr_rounds);
        drop(over);
        for reader in readers {
            assert!(reader.join().expect("no anomaly") > 0);
        }
    });
    let mut writer = tree.write();
    assert_eq!(writer.validate(), Ok(()));
    writer.reclaim();
    assert_eq!(writer.nr_waiting(), 0);
}

#[test]
fn readers_see_whole_stores_at_small_fan_out() {
    check::<Fan<Tracked, 4, 3>>(50_000);
}

#[test]
fn readers_see_whole_stores_at_release_fan_out() {
    check::<Gaps>(50_000);
}

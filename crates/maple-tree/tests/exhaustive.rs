//! All small trees, and all single writes to them.
//!
//! The index space is cut into a few *cells*. From the empty tree on, every write whose range is a
//! run of cells is made on every tree reached so far, by each kind of writer, until no new tree
//! comes up. Trees that differ only in their entries' values are one. Each result is validated and
//! compared with a row of cells; each tree is read in every way there is.
//!
//! `EXHAUSTIVE_CELLS=11` makes the space larger than the one of the normal run.
#![cfg(not(any(loom, shuttle)))]

#[path = "exhaustive/cells.rs"]
mod cells;
#[path = "exhaustive/reads.rs"]
mod reads;

use cells::{Cells, Held};
use maple_tree::{
    ClearPlan, Config, Fan, MapleTree, SharedMapleTree, Span, Tracked, TracksGaps, WriteError,
};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

/// The value of what a write puts in; those that were there count from 0.
const NEW: u32 = 1000;
/// The value of what lies above something carved out.
const ABOVE: u32 = 1001;

#[derive(Debug, Clone, Copy)]
enum Write {
    Store,
    Insert,
    Clear,
    Erase,
    /// Carves an entry out of another one.
    Carve,
    /// Carves a hole out of it.
    Punch,
}

/// One write over a run of cells.
#[derive(Debug, Clone, Copy)]
struct Op {
    write: Write,
    first: usize,
    last: usize,
}

/// What a write answers: the range that was erased, or that is in the way, or inside of which
/// nothing can be carved (that of the call itself, where there is no entry).
type Answer = Option<Span>;

fn every_op(nr_cells: usize) -> Vec<Op> {
    let mut ops = Vec::new();
    for first in 0..nr_cells {
        for last in first..nr_cells {
            for write in [
                Write::Store,
                Write::Insert,
                Write::Clear,
                Write::Carve,
                Write::Punch,
            ] {
                ops.push(Op { write, first, last });
            }
        }
        let (write, last) = (Write::Erase, first);
        ops.push(Op { write, first, last });
    }
    ops
}

/// The answer and the cells after a write.
fn expect(op: Op, cells: &Cells) -> (Answer, Cells) {
    let mut after = cells.clone();
    let answer = match op.write {
        Write::Store => {
            after.fill(op.first, op.last, Some(NEW));
            None
        }
        Write::Insert => {
            let occupant = cells.occupant(op.first, op.last);
            if occupant.is_none() {
                after.fill(op.first, op.last, Some(NEW));
            }
            occupant
        }
        Write::Clear => {
            after.fill(op.first, op.last, None);
            None
        }
        Write::Erase => {
            let erased = cells.entry_at(op.first);
            if let Some((from, to)) = erased {
                after.fill(from, to, None);
            }
            erased.map(|(from, to)| cells.span(from, to))
        }
        Write::Carve | Write::Punch => match cells.entry_at(op.first) {
            None => Some(cells.span(op.first, op.last)),
            Some((from, to)) if from < op.first && op.last < to => {
                let middle = matches!(op.write, Write::Carve).then_some(NEW);
                after.fill(op.first, op.last, middle);
                after.fill(op.last + 1, to, Some(ABOVE));
                None
            }
            Some((from, to)) => Some(cells.span(from, to)),
        },
    };
    (answer, after)
}

fn occupied(refused: Result<(), maple_tree::StoreError<u32>>) -> Answer {
    let refused = refused.err()?;
    assert_eq!(refused.entry, NEW, "the entry comes back");
    match refused.cause {
        WriteError::Occupied(span) => Some(span),
        other => panic!("{other}"),
    }
}

type Carved = Result<(), maple_tree::StoreError<(Option<u32>, u32)>>;

/// What `carve` gets for the middle.
fn middle(op: Op) -> Option<u32> {
    matches!(op.write, Write::Carve).then_some(NEW)
}

fn carved(refused: Carved, op: Op, span: Span) -> Answer {
    let refused = refused.err()?;
    assert_eq!(refused.entry, (middle(op), ABOVE), "the entries come back");
    match refused.cause {
        WriteError::NotInside(held) => Some(held),
        WriteError::Vacant => Some(span),
        other => panic!("{other}"),
    }
}

fn write_alone<C: Config>(tree: &mut MapleTree<u32, C>, op: Op, span: Span) -> Answer {
    match op.write {
        Write::Store => {
            tree.store(span, NEW).expect("memory");
            None
        }
        Write::Insert => occupied(tree.insert(span, NEW)),
        Write::Clear => {
            tree.clear(span).expect("memory");
            None
        }
        Write::Erase => tree.erase(span.first).expect("memory").map(|found| found.0),
        Write::Carve | Write::Punch => carved(tree.carve(span, middle(op), ABOVE), op, span),
    }
}

/// The same by a writer whom others may be reading, who copies where the other edits, and who has
/// been there before.
fn write_shared<C: Config>(tree: &mut MapleTree<u32, C>, op: Op, span: Span) -> Answer {
    let shared: SharedMapleTree<u32, C> = core::mem::take(tree).into();
    let mut writer = shared.write();
    writer.seek(span.first);
    compare_near(&writer, span);
    let answer = match op.write {
        Write::Store => {
            writer.store(span, NEW).expect("memory");
            None
        }
        Write::Insert => occupied(writer.insert(span, NEW)),
        Write::Clear => {
            writer.clear(span).expect("memory");
            None
        }
        Write::Erase => writer
            .erase(span.first)
            .expect("memory")
            .map(|found| found.0),
        Write::Carve | Write::Punch => carved(writer.carve(span, middle(op), ABOVE), op, span),
    };
    compare_near(&writer, span);
    *tree = writer.duplicate().expect("memory");
    answer
}

/// What the writer sees near its place is what it sees by walks.
fn compare_near<C: Config>(
    writer: &maple_tree::TreeWriter<u32, C, vmaple_rcu::DefaultBackend, maple_tree::Lent>,
    span: Span,
) {
    let (near, reader) = (writer.near(), writer.reader());
    let places = [
        0,
        span.first,
        span.last,
        span.last.saturating_add(1),
        u64::MAX,
    ];
    for index in places.into_iter().chain(span.first.checked_sub(1)) {
        assert_eq!(near.range_at(index), reader.range_at(index), "{index}");
        assert_eq!(near.find(index), reader.find(index), "{index}");
        assert_eq!(near.get(index), reader.get(index), "{index}");
        let mut seen = vec![];
        let all = near.try_for_each(Span::new(index, span.last), |span, value| {
            seen.push((span, value));
            ControlFlow::<()>::Continue(())
        });
        assert!(all.is_continue());
        if index <= span.last {
            assert!(reader.range(index..=span.last).eq(seen), "{index}");
        }
        let first = near.try_for_each(Span::new(index, u64::MAX), |span, value| {
            ControlFlow::Break((span, value))
        });
        assert_eq!(first.break_value(), reader.find(index), "{index}");
    }
}

/// The same by a plan that is made ahead.
fn write_planned<C: Config>(tree: &mut MapleTree<u32, C>, op: Op, span: Span) -> Answer {
    let planned = match op.write {
        Write::Store => tree.plan_store(span).map(|plan| plan.commit(NEW)),
        Write::Insert => tree.plan_insert(span).map(|plan| plan.commit(NEW)),
        Write::Clear => tree.plan_clear(span).map(ClearPlan::commit),
        Write::Erase | Write::Carve | Write::Punch => return write_alone(tree, op, span),
    };
    match planned {
        Ok(()) => None,
        Err(WriteError::Occupied(span)) => Some(span),
        Err(other) => panic!("{other}"),
    }
}

/// A kind of writer.
type Writer<C> = fn(&mut MapleTree<u32, C>, Op, Span) -> Answer;

fn flat((span, value): (Span, u32)) -> Held {
    (span.first, span.last, value)
}

/// The trees found so far.
struct Explored<C: Config> {
    nr_cells: usize,
    /// Two hashes of the structure of each tree: together they tell all of them apart, but for
    /// a chance of one in 2^80.
    seen: HashSet<(u64, u64)>,
    hashers: [RandomState; 2],
    /// Trees that no write has been made on yet.
    open: Vec<MapleTree<u32, C>>,
    tallest: usize,
}

impl<C: TracksGaps> Explored<C> {
    /// Takes a tree up if it is a new one. Its entries get new values: their own numbers.
    fn take_up(&mut self, mut tree: MapleTree<u32, C>) {
        let spans: Vec<Span> = tree.iter().map(|(span, _)| span).collect();
        for (value, span) in (0..).zip(spans) {
            tree.store(span, value).expect("a slot is replaced");
        }
        let structure = tree.dump().to_string();
        let [one, two] = &self.hashers;
        if self
            .seen
            .insert((one.hash_one(&structure), two.hash_one(&structure)))
        {
            assert_eq!(tree.validate(), Ok(()), "{structure}");
            self.tallest = self.tallest.max(tree.census().height);
            reads::check(&tree, &Cells::of(self.nr_cells, &tree));
            self.open.push(tree);
        }
    }

    /// Makes one write on a copy of `tree`.
    fn try_op(&mut self, (tree, cells): (&MapleTree<u32, C>, &Cells), op: Op, write: Writer<C>) {
        let (answer, after) = expect(op, cells);
        let mut copy = tree.duplicate().expect("memory");
        let answered = write(&mut copy, op, cells.span(op.first, op.last));
        let is_right = answered == answer && copy.iter().map(flat).eq(after.entries());
        if let (true, Ok(())) = (is_right, copy.validate()) {
            return self.take_up(copy);
        }
        panic!(
            "{op:?} of {cells:?} on\n{}\nanswered {answered:?} for {answer:?}, {:?}, and left\n{}",
            tree.dump(),
            copy.validate(),
            copy.dump()
        );
    }

    /// The trees that come of whole-tree operations.
    fn try_whole(&mut self, tree: &MapleTree<u32, C>, cells: &Cells) {
        for nr_free in [0, 1] {
            let mut built = MapleTree::<u32, C>::new();
            let mut appender = built.appender().leaving_room(nr_free);
            for (span, value) in tree.iter() {
                appender.push(span, value).expect("ascending");
            }
            drop(appender);
            assert!(built.iter().map(flat).eq(cells.entries()));
            self.take_up(built);
        }
        for at in 0..self.nr_cells {
            let mut low = tree.duplicate().expect("memory");
            let high = low.split_off(cells.span(at, at).first).expect("memory");
            let (mut below, mut above) = (cells.clone(), cells.clone());
            below.fill(at, self.nr_cells - 1, None);
            if at > 0 {
                above.fill(0, at - 1, None);
            }
            assert!(low.iter().map(flat).eq(below.entries()), "{}", tree.dump());
            assert!(high.iter().map(flat).eq(above.entries()), "{}", tree.dump());
            let (mut both, mut upper) = (low.clone(), high.clone());
            both.append(&mut upper).expect("all of it lies above");
            assert!(upper.is_empty(), "{}", upper.dump());
            let parts = below.entries().chain(above.entries());
            assert!(both.iter().map(flat).eq(parts), "{}", both.dump());
            // Its entries may number one more: one was cut.
            assert_eq!(both.validate(), Ok(()), "{}", both.dump());
            self.take_up(low);
            self.take_up(high);
            self.take_up(both);
        }
    }
}

/// Explores every tree of a shape over `nr_cells` cells; returns how many there are, and the
/// height of the tallest.
fn explore<C: TracksGaps>(nr_cells: usize) -> (usize, usize) {
    let mut explored = Explored::<C> {
        nr_cells,
        seen: HashSet::new(),
        hashers: [RandomState::new(), RandomState::new()],
        open: Vec::new(),
        tallest: 0,
    };
    explored.take_up(MapleTree::new());
    let ops = every_op(nr_cells);
    while let Some(tree) = explored.open.pop() {
        let cells = Cells::of(nr_cells, &tree);
        for op in &ops {
            explored.try_op((&tree, &cells), *op, write_alone);
            explored.try_op((&tree, &cells), *op, write_shared);
            explored.try_op((&tree, &cells), *op, write_planned);
        }
        explored.try_whole(&tree, &cells);
    }
    (explored.seen.len(), explored.tallest)
}

/// The number of cells: that of the long run if there is one.
fn nr_cells(normal: usize) -> usize {
    let wanted = std::env::var("EXHAUSTIVE_CELLS").ok();
    let wanted = wanted.map(|cells| cells.parse().expect("EXHAUSTIVE_CELLS is a number"));
    wanted.unwrap_or(normal).max(normal)
}

#[test]
fn every_tree_of_fan_out_3() {
    let nr_cells = nr_cells(8);
    let (nr_trees, tallest) = explore::<Fan<Tracked, 3, 3>>(nr_cells);
    println!("{nr_trees} trees over {nr_cells} cells, up to {tallest} levels");
    assert!(tallest >= 3, "trees of three levels are the point");
    assert!(nr_trees > 3000, "{nr_trees}");
}

#[test]
fn every_tree_of_fan_out_4() {
    let nr_cells = nr_cells(7);
    let (nr_trees, tallest) = explore::<Fan<Tracked, 4, 4>>(nr_cells);
    println!("{nr_trees} trees over {nr_cells} cells, up to {tallest} levels");
    assert!(tallest >= 2 && nr_trees > 900, "{nr_trees}");
}

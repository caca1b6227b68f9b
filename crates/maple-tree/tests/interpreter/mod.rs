//! Bytes as operations on trees, for the fuzzer and for the tests that replay what it found.
//!
//! The first byte chooses the fan-out. Each operation is made on a tree with one owner, by the
//! writer of a tree that may have readers, and on the naive tree; what they answer and what they
//! hold is compared, and both trees are validated. Any bytes mean something, so that the fuzzer
//! wastes none.

mod bytes;
mod reads;

use bytes::Bytes;
use maple_tree::{
    Config, Fan, Gaps, MapleTree, Position, Room, Span, StoreError, Tracked, TracksGaps,
    TreeReader, TreeWriter, WriteError,
};
use vmaple_model::tree::{Held, NaiveTree};

/// Runs the operations that `data` stands for.
///
/// # Panics
///
/// When a tree is wrong.
pub(crate) fn run(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    match bytes.byte() % 4 {
        0 => Machine::<Fan<Tracked, 3, 3>>::new().run(bytes),
        1 => Machine::<Fan<Tracked, 4, 4>>::new().run(bytes),
        2 => Machine::<Fan<Tracked, 9, 3>>::new().run(bytes),
        _ => Machine::<Gaps>::new().run(bytes),
    }
}

fn flat((span, value): (Span, u32)) -> Held {
    (span.first, span.last, value)
}

/// A cursor that is paused between operations, and what it must meet.
struct Paused {
    position: Position,
    /// `next` meets the first entry that ends here or above.
    above: Option<u64>,
    /// `prev` meets the last entry that begins here or below.
    below: Option<u64>,
}

/// The trees, kept equal.
struct Machine<C: Config> {
    /// Edited in place.
    alone: MapleTree<u32, C>,
    /// Changed by publishing, while there is a reader.
    beside: TreeWriter<u32, C>,
    reader: Option<TreeReader<u32, C>>,
    naive: NaiveTree,
    paused: Paused,
    /// Where the next cyclic allocation looks first.
    next: u64,
    /// The value of what is stored next.
    value: u32,
}

impl<C: TracksGaps> Machine<C> {
    fn new() -> Self {
        let alone = MapleTree::new();
        let position = alone.reader().cursor(0).pause();
        let beside = TreeWriter::new();
        Self {
            alone,
            reader: Some(beside.new_reader()),
            beside,
            naive: NaiveTree::default(),
            paused: Paused {
                position,
                above: Some(0),
                below: None,
            },
            next: 0,
            value: 0,
        }
    }

    fn run(mut self, mut bytes: Bytes<'_>) {
        while !bytes.is_empty() {
            self.value += 1;
            self.step(&mut bytes);
            self.check_structure();
        }
        self.check_whole();
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let byte = bytes.byte();
        match byte {
            244..=247 => return self.beside.seek(bytes.index()),
            248..=251 => return self.look_near(bytes.index()),
            252.. => return self.carve(bytes.short_range(), bytes.byte()),
            _ => {}
        }
        match byte % 25 {
            0..=6 => self.store(bytes.short_range()),
            7 => self.store(bytes.long_range()),
            8 => self.insert(bytes.short_range()),
            9 | 10 => self.clear(bytes.short_range()),
            11 => self.clear(bytes.long_range()),
            12..=14 => self.erase(bytes.index()),
            15 => self.replace(bytes.index()),
            16 => reads::lookups(
                &self.alone,
                self.beside.reader(),
                &self.naive,
                bytes.index(),
            ),
            17 => reads::passes(&self.alone, &self.naive, bytes.long_range()),
            18 => reads::gaps(&self.alone, self.beside.reader(), &self.naive, bytes),
            19 => self.allocate(bytes),
            20 => self.move_cursor(bytes.byte()),
            21 => self.cut_and_join(bytes.index()),
            22 => self.filter(bytes.byte()),
            23 => self.plan(bytes.short_range()),
            _ => self.rebuild(bytes.byte()),
        }
    }

    fn check_structure(&self) {
        assert_eq!(self.alone.validate(), Ok(()), "{}", self.alone.dump());
        assert_eq!(self.beside.validate(), Ok(()));
    }

    fn check_whole(&self) {
        let entries = self.naive.entries();
        assert!(self.alone.iter().map(flat).eq(entries.iter().copied()));
        let beside = self.beside.reader().iter().map(flat);
        assert!(beside.eq(entries.iter().copied()));
    }

    fn store(&mut self, span: Span) {
        self.alone.store(span, self.value).expect("memory");
        self.beside.store(span, self.value).expect("memory");
        self.naive.store(span.first..=span.last, self.value);
    }

    /// A store and an erasure that are decided ahead; one of the plans comes to nothing.
    fn plan(&mut self, span: Span) {
        drop(self.alone.plan_clear(0..=u64::MAX).expect("memory"));
        self.alone
            .plan_store(span)
            .expect("memory")
            .commit(self.value);
        drop(self.beside.plan_clear(span).expect("memory"));
        self.beside
            .plan_store(span)
            .expect("memory")
            .commit(self.value);
        self.naive.store(span.first..=span.last, self.value);
        self.check_structure();
        let middle = span.first + span.len_less_one() / 2;
        self.alone.plan_clear(middle).expect("memory").commit();
        self.beside.plan_clear(middle).expect("memory").commit();
        self.naive.clear(middle..=middle);
    }

    fn clear(&mut self, span: Span) {
        self.alone.clear(span).expect("memory");
        self.beside.clear(span).expect("memory");
        self.naive.clear(span.first..=span.last);
    }

    fn insert(&mut self, span: Span) {
        let expected = match self.naive.occupant(span.first..=span.last) {
            Some((first, last, _)) => Err(WriteError::Occupied(Span::new(first, last))),
            None => Ok(()),
        };
        let cause = |refused: StoreError<u32>| refused.cause;
        let alone = self.alone.insert(span, self.value).map_err(cause);
        let beside = self.beside.insert(span, self.value).map_err(cause);
        assert_eq!((alone, beside), (expected, expected), "insert {span}");
        if expected.is_ok() {
            self.naive.store(span.first..=span.last, self.value);
        }
    }

    /// The writer sees the same wherever it was sent before.
    fn look_near(&self, index: u64) {
        let (near, reader) = (self.beside.near(), self.beside.reader());
        assert_eq!(near.range_at(index), reader.range_at(index));
        assert_eq!(near.find(index), reader.find(index));
        assert_eq!(near.get(index), reader.get(index));
    }

    /// Carves a hole or an entry out of one.
    fn carve(&mut self, span: Span, byte: u8) {
        let (middle, above) = (byte.is_multiple_of(2).then_some(self.value), self.value + 1);
        let expected = match self.naive.load(span.first) {
            None => Err(WriteError::Vacant),
            Some((first, last, _)) if first < span.first && span.last < last => Ok(last),
            Some((first, last, _)) => Err(WriteError::NotInside(Span::new(first, last))),
        };
        let alone = self.alone.carve(span, middle, above);
        let beside = self.beside.carve(span, middle, above);
        let answers = [alone, beside].map(|answer| answer.map_err(|refused| refused.cause));
        assert_eq!(answers, [expected.map(|_| ()); 2], "carve {span}");
        if let Ok(last) = expected {
            self.value = above;
            match middle {
                Some(value) => self.naive.store(span.first..=span.last, value),
                None => self.naive.clear(span.first..=span.last),
            }
            self.naive.store(span.last + 1..=last, above);
        }
    }

    fn erase(&mut self, index: u64) {
        let expected = self.naive.erase(index);
        let alone = self.alone.erase(index).expect("memory").map(flat);
        let beside = self.beside.erase(index).expect("memory").map(flat);
        assert_eq!((alone, beside), (expected, expected), "erase {index:#x}");
    }

    fn replace(&mut self, index: u64) {
        let expected = self.naive.load(index).ok_or(WriteError::Vacant);
        let cause = |refused: StoreError<u32>| refused.cause;
        let alone = self.alone.replace(index, self.value).map(flat);
        let beside = self.beside.replace(index, self.value).map(flat);
        let answers = (alone.map_err(cause), beside.map_err(cause));
        assert_eq!(answers, (expected, expected), "replace {index:#x}");
        if let Ok((first, last, _)) = expected {
            self.naive.store(first..=last, self.value);
        }
    }

    fn allocate(&mut self, bytes: &mut Bytes<'_>) {
        let limits = bytes.long_range();
        let room = Room::new(bytes.size(), limits).aligned(bytes.align());
        let (kind, value) = (bytes.byte() % 3, self.value);
        let mut next = self.next;
        let expected = reads::place(&self.naive, room, kind, next);
        let (alone, beside) = match kind {
            0 => (
                self.alone.allocate_lowest(room, value),
                self.beside.allocate_lowest(room, value),
            ),
            1 => (
                self.alone.allocate_highest(room, value),
                self.beside.allocate_highest(room, value),
            ),
            _ => (
                self.alone.allocate_cyclic(room, &mut self.next, value),
                self.beside.allocate_cyclic(room, &mut next, value),
            ),
        };
        let cause = |refused: StoreError<u32>| refused.cause;
        let (alone, beside) = (alone.map_err(cause), beside.map_err(cause));
        assert_eq!((alone, self.next), (beside, next), "{room:?}");
        let first = alone.map(|span| span.first).ok();
        assert_eq!(first, expected, "{room:?}");
        if let Ok(span) = alone {
            let is_free = self.naive.occupant(span.first..=span.last).is_none();
            assert!(is_free && span.len_less_one() == room.size - 1, "{room:?}");
            assert!(limits.contains(span.first) && limits.contains(span.last));
            self.naive.store(span.first..=span.last, value);
        }
    }

    /// Resumes the paused cursor for some steps up or down.
    fn move_cursor(&mut self, steps: u8) {
        let Paused {
            position,
            mut above,
            mut below,
        } = self.paused;
        let mut cursor = self.alone.reader().resume(position);
        for _ in 0..=steps / 2 % 8 {
            let is_up = steps.is_multiple_of(2);
            let (found, expected) = if is_up {
                (
                    cursor.next(),
                    above.and_then(|index| self.naive.find(index)),
                )
            } else {
                (
                    cursor.prev(),
                    below.and_then(|index| self.naive.find_rev(index)),
                )
            };
            assert_eq!(found.map(flat), expected, "up {is_up}");
            (above, below) = match (expected, is_up) {
                (Some((first, last, _)), _) => (last.checked_add(1), first.checked_sub(1)),
                (None, true) => (None, Some(u64::MAX)),
                (None, false) => (Some(0), None),
            };
        }
        self.paused = Paused {
            position: cursor.pause(),
            above,
            below,
        };
    }

    /// Cuts the tree in two and puts it together again. The owner only: others share theirs.
    fn cut_and_join(&mut self, at: u64) {
        let mut high = self.alone.split_off(at).expect("memory");
        let (mut below, mut above) = (self.naive.clone(), self.naive.clone());
        below.clear(at..=u64::MAX);
        if let Some(last) = at.checked_sub(1) {
            above.clear(0..=last);
        }
        assert_eq!(high.validate(), Ok(()), "{}", high.dump());
        assert!(self.alone.iter().map(flat).eq(below.entries()), "{at:#x}");
        assert!(high.iter().map(flat).eq(above.entries()), "{at:#x}");
        self.check_structure();
        // An entry that lay across is two by now, in all three.
        self.alone.append(&mut high).expect("all of it lies above");
        assert!(high.is_empty());
        for (first, last, value) in above.entries() {
            below.store(first..=last, value);
        }
        for held in below.entries() {
            if self.naive.load(held.0) != Some(held) {
                let span = Span::new(held.0, held.1);
                self.beside.store(span, held.2).expect("memory");
            }
        }
        self.naive = below;
    }

    /// Keeps some of the entries.
    fn filter(&mut self, byte: u8) {
        let divisor = 2 + u32::from(byte % 3);
        let is_kept = |value: u32| !value.is_multiple_of(divisor);
        let kept = self.alone.retain(|_, value| is_kept(value));
        kept.expect("memory");
        for (first, _, value) in self.naive.entries() {
            if !is_kept(value) {
                self.naive.erase(first);
                self.beside.erase(first).expect("memory");
            }
        }
        self.check_whole();
    }

    /// Makes the trees anew, with the same or another structure.
    fn rebuild(&mut self, byte: u8) {
        self.alone = match byte % 5 {
            0 => self.alone.duplicate().expect("memory"),
            1 => self.beside.duplicate().expect("memory"),
            2 => core::mem::take(&mut self.alone).into_iter().collect(),
            3 => {
                let copy = self.alone.duplicate().expect("memory");
                self.beside = copy.into();
                self.reader = Some(self.beside.new_reader());
                return;
            }
            _ => {
                // Without readers the writer edits in place, until there are some again.
                self.reader = match self.reader {
                    Some(_) => None,
                    None => Some(self.beside.new_reader()),
                };
                return;
            }
        };
        self.check_whole();
    }
}

//! Small address spaces whose VMAs know what they are, and what is done to them.

use maple_tree::{Fan, Tracked};
use shuttle::rand::Rng;
use std::ops::Range;
use std::sync::Arc;
use vmaple_locks::{
    AddressSpace, Cancel, Environment, Fate, Held, Lookup, ReadScheme, Slab, VmaRef, VmaTree,
};
use vmaple_rcu::DefaultBackend;
use vmaple_sync::atomic::{AtomicU32, Ordering};
use vmaple_sync::model;
use vmaple_sync::names::{Name, named};
use vmaple_sync::wait::Wait;

/// Sleeps for real: a wake-up that is lost is a deadlock, which shuttle reports.
#[derive(Debug)]
pub(crate) struct Parked;

shuttle::lazy_static! {
    static ref BED: (shuttle::sync::Mutex<()>, shuttle::sync::Condvar) =
        (shuttle::sync::Mutex::new(()), shuttle::sync::Condvar::new());
}

impl Wait for Parked {
    fn wait(word: &AtomicU32, expected: u32) {
        let awake = BED.0.lock().expect("not poisoned");
        if word.load(Ordering::Acquire) == expected {
            drop(BED.1.wait(awake).expect("not poisoned"));
        }
    }

    fn wake_one(word: &AtomicU32) {
        Self::wake_all(word);
    }

    fn wake_all(_word: &AtomicU32) {
        drop(BED.0.lock().expect("not poisoned"));
        BED.1.notify_all();
    }
}

#[derive(Debug)]
pub(crate) struct Shuttle<S>(std::marker::PhantomData<fn() -> S>);

impl<S: ReadScheme> Environment for Shuttle<S> {
    type Wait = Parked;
    type Rcu = DefaultBackend;
    type Shape = Fan<Tracked, 3, 3>;
    type Readers = S;
}

pub(crate) type Tree<S> = VmaTree<Known, Shuttle<S>>;
pub(crate) type Space<S> = AddressSpace<Tree<S>>;

pub(crate) static READERS_INSIDE: Name = Name::new("readers of the VMA");

/// A value that knows which space and range it was given to, and who looks at it.
pub(crate) struct Known {
    space: char,
    pub(crate) range: Range<u64>,
    nr_readers: AtomicU32,
}

impl Known {
    pub(crate) fn new(space: char, range: Range<u64>) -> Self {
        Self {
            space,
            range,
            nr_readers: named(&READERS_INSIDE, AtomicU32::new(0)),
        }
    }

    /// For a reader: it is what its lock says, and stays so.
    pub(crate) fn look(&self, space: char, range: &Range<u64>) {
        self.nr_readers.fetch_add(1, Ordering::Relaxed);
        assert_eq!((self.space, &self.range), (space, range), "locked for this");
        self.nr_readers.fetch_sub(1, Ordering::Relaxed);
        assert_eq!(self.space, space, "still locked");
    }

    /// For the writer: nobody looks.
    pub(crate) fn is_mine(&self, range: &Range<u64>) {
        assert_eq!(
            self.nr_readers.load(Ordering::Relaxed),
            0,
            "a reader is in it"
        );
        assert_eq!(&self.range, range);
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.space = '-';
        self.range = 0..0;
    }
}

/// Addresses that are played with; below and above them something is mapped always.
pub(crate) const LOW: u64 = 10;
pub(crate) const HIGH: u64 = 70;
pub(crate) const END: u64 = 80;

pub(crate) fn below(limit: u64) -> u64 {
    shuttle::rand::thread_rng().gen_range(0..limit)
}

pub(crate) fn new_space<S: ReadScheme>(name: char, slab: &Slab<Known, Parked>) -> Arc<Space<S>> {
    let mut tree = Tree::<S>::new_in(slab);
    for range in [0..LOW, LOW..30, 40..HIGH, HIGH..END] {
        let known = Known::new(name, range.clone());
        assert!(tree.insert(range, known).is_ok());
    }
    Arc::new(AddressSpace::new(tree))
}

/// One change of every kind that there is.
pub(crate) fn change<S: ReadScheme>(name: char, tree: &mut Tree<S>) {
    let start = LOW + below(HIGH - LOW);
    let end = (start + 1 + below(25)).min(HIGH);
    let told = |fate: Fate<'_, Known>| match fate {
        Fate::Gone(range, known) => known.is_mine(&range),
        Fate::Trimmed(was, is, known) => {
            known.is_mine(&was);
            known.range = is;
        }
        Fate::Punched(hole, known) => known.range.end = hole.start,
    };
    match below(7) {
        // What it is, it is told when it is in: nobody sees it before the section ends.
        0 => {
            if let Ok(mut vma) = tree.insert(start..end, Known::new('?', 0..0)) {
                *vma = Known::new(name, start..end);
            }
        }
        1 => {
            if let Ok(mut vma) = tree.insert_over(start..end, Known::new('?', 0..0), told) {
                *vma = Known::new(name, start..end);
            }
        }
        2 => drop(tree.clear(start..end, told)),
        5 => {
            let above = |old: &Known| Known::new(name, end..old.range.end);
            drop(tree.unmap(start..end, |_| true, above, told));
        }
        3 => {
            let Some(vma) = tree.at(start).map(VmaRef::range) else {
                return;
            };
            if vma.start < start && tree.split(start, Known::new(name, start..vma.end)).is_ok() {
                let mut lower = tree.write_lock(vma.start).expect("below the cut");
                lower.is_mine(&vma);
                lower.range = vma.start..start;
            }
        }
        4 => {
            let Some(vma) = tree.at(start).map(VmaRef::range) else {
                return;
            };
            let wide = vma.start..vma.end.max(end);
            if let Ok(mut grown) = tree.expand(start, wide.clone(), told) {
                grown.is_mine(&vma);
                grown.range = wide;
            }
        }
        _ => {
            let removed = tree.remove(start).expect("memory");
            if let Some((range, known)) = removed {
                known.is_mine(&range);
                let known = Known::new(name, range.clone());
                assert!(tree.insert(range, known).is_ok(), "just freed");
            }
        }
    }
}

pub(crate) fn write<S: ReadScheme>(name: char, space: &Space<S>, nr: usize) {
    let mut held = Held::nothing();
    for _ in 0..nr {
        let mut tree = space.write(&mut held);
        for _ in 0..=below(2) {
            change(name, &mut tree);
        }
    }
}

/// Looks up at random, waiting where it has to: both ways find what is mapped throughout.
pub(crate) fn read<S: ReadScheme>(name: char, space: &Space<S>, nr: usize) {
    let mut held = Held::nothing();
    for _ in 0..nr {
        let addr = below(END);
        let is_always_mapped = !(LOW..HIGH).contains(&addr);
        let found = match space.lock_vma_under_rcu(&mut held, addr) {
            Lookup::Locked(vma) => Some(vma),
            Lookup::NotMapped(_) => None,
            Lookup::Contended(_, held) => space.vma_start_read_unlocked(held, addr).expect("room"),
        };
        if let Some(vma) = found {
            assert!(vma.range().contains(&addr));
            vma.look(name, &vma.range());
        } else {
            assert!(!is_always_mapped, "{addr} is mapped");
        }
    }
}

/// Walks over all VMAs, as the reader of the maps does.
pub(crate) fn walk<S: ReadScheme>(name: char, space: &Space<S>) {
    let mut held = Held::nothing();
    let cancel = Cancel::with_wait();
    let (mut from, mut nr) = (0, 0);
    while let Some(vma) = space.lock_next_vma(&mut held, from, &cancel).expect("room") {
        vma.look(name, &vma.range());
        assert!(vma.range().end > from, "backwards");
        from = vma.range().end;
        nr += 1;
    }
    assert!(from == END && nr >= 2, "both ends are always mapped");
}

pub(crate) fn explore(test: impl Fn() + Send + Sync + Copy + 'static) {
    model::explore(model::nr_schedules(300), test);
}

/// Every VMA can be locked: nobody has left a reference or a flag behind.
pub(crate) fn all_is_well<S: ReadScheme>(space: &Space<S>) {
    let mut held = Held::nothing();
    let mut tree = space.write(&mut held);
    tree.validate().expect("valid");
    assert!(
        tree.write_lock_range(0..END, None).is_ok(),
        "nobody cancels"
    );
    drop(tree);
    for addr in [0, END - 1] {
        assert!(space.lock_vma_under_rcu(&mut held, addr).locked().is_some());
    }
}

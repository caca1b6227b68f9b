//! Real threads: readers that look VMAs up beside a writer that moves them about. Each VMA knows
//! its range, and is told anew whenever that changes; what a reader locks must agree.
#![cfg(not(any(loom, shuttle)))]

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vmaple_locks::{
    AddressSpace, Biased, Cancel, Counted, Fate, Held, Host, Lookup, ReadScheme, VmaRef, VmaTree,
};

/// A value that says what range it was given, and that it is alive.
struct Known {
    range: Range<u64>,
    alive: u64,
}

const ALIVE: u64 = 0x600d_600d;

impl Known {
    fn new(range: Range<u64>) -> Self {
        Self {
            range,
            alive: ALIVE,
        }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.alive = 0xdead;
    }
}

type Space<S> = AddressSpace<VmaTree<Known, Host<S>>>;

/// Pages of the region that the writer plays with; two more around it are always mapped.
const PAGES: u64 = 64;
const PAGE: u64 = 0x1000;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn check(range: &Range<u64>, vma: &Known) {
    assert_eq!((&vma.range, vma.alive), (range, ALIVE));
}

/// Moves VMAs about for a while; returns how many changes that were.
fn write<S: ReadScheme>(space: &Space<S>, seed: u64, until: Instant) -> u64 {
    let mut held = Held::nothing();
    let mut random = Random(seed);
    let mut nr_changes = 0;
    while Instant::now() < until {
        for _ in 0..32 {
            nr_changes += 1;
            change(&mut space.write(&mut held), &mut random);
        }
    }
    nr_changes
}

fn change<S: ReadScheme>(tree: &mut VmaTree<Known, Host<S>>, random: &mut Random) {
    let start = (1 + random.below(PAGES)) * PAGE;
    let end = (start + (1 + random.below(6)) * PAGE).min((1 + PAGES) * PAGE);
    let told = |fate: Fate<'_, Known>| match fate {
        Fate::Gone(range, known) => check(&range, known),
        Fate::Trimmed(was, is, known) => {
            check(&was, known);
            known.range = is;
        }
        Fate::Punched(hole, known) => known.range.end = hole.start,
    };
    match random.below(6) {
        0 => {
            let _ = tree.insert(start..end, Known::new(start..end));
        }
        1 => {
            let _ = tree.insert_over(start..end, Known::new(start..end), told);
        }
        2 => {
            let _ = tree.clear(start..end, told);
        }
        3 => {
            let above = |old: &Known| Known::new(end..old.range.end);
            let _ = tree.unmap(start..end, |vma| vma.alive == ALIVE, above, told);
        }
        4 => {
            let Some(vma) = tree.at(start).map(VmaRef::range) else {
                return;
            };
            if vma.start < start && tree.split(start, Known::new(start..vma.end)).is_ok() {
                let mut lower = tree.write_lock(vma.start).expect("below the cut");
                lower.range = vma.start..start;
            }
        }
        _ => {
            let Some(vma) = tree.at(start).map(VmaRef::range) else {
                return;
            };
            if vma.start < PAGE || vma.end > (1 + PAGES) * PAGE {
                return;
            }
            let wide = vma.start..vma.end.max(end);
            if let Ok(mut vma) = tree.expand(start, wide.clone(), told) {
                vma.range = wide;
            }
        }
    }
}

/// Looks up at random; returns how often a VMA was locked.
fn read<S: ReadScheme>(space: &Space<S>, seed: u64, is_over: &AtomicBool) -> u64 {
    let mut held = Held::nothing();
    let mut random = Random(seed);
    let mut nr_locked = 0;
    while !is_over.load(Ordering::Relaxed) {
        let addr = (random.below(PAGES + 2)) * PAGE + random.below(PAGE);
        match space.lock_vma_under_rcu(&mut held, addr) {
            Lookup::Locked(vma) => {
                assert!(vma.range().contains(&addr));
                check(&vma.range(), &vma);
                nr_locked += 1;
            }
            Lookup::NotMapped(_) => assert!(addr >= PAGE, "mapped throughout"),
            Lookup::Contended(_, held) => {
                let waited = space.vma_start_read_unlocked(held, addr).expect("readers");
                if let Some(vma) = waited {
                    assert!(vma.range().contains(&addr));
                    check(&vma.range(), &vma);
                    nr_locked += 1;
                }
            }
        }
    }
    nr_locked
}

/// Walks over all VMAs again and again, as a reader of the maps does.
fn walk<S: ReadScheme>(space: &Space<S>, is_over: &AtomicBool) -> u64 {
    let mut held = Held::nothing();
    let cancel = Cancel::new();
    let mut nr_walks = 0;
    while !is_over.load(Ordering::Relaxed) {
        let (mut from, mut first, mut last) = (0, None, 0);
        while let Some(vma) = space
            .lock_next_vma(&mut held, from, &cancel)
            .expect("readers")
        {
            check(&vma.range(), &vma);
            assert!(vma.range().end > from, "backwards");
            first.get_or_insert(vma.range().start);
            last = vma.range().end;
            from = last;
        }
        assert_eq!(
            (first, last),
            (Some(0), (PAGES + 2) * PAGE),
            "the ends are always mapped"
        );
        nr_walks += 1;
    }
    nr_walks
}

fn stress<S: ReadScheme>() {
    let seconds: u64 = std::env::var("STRESS_SECONDS")
        .map_or(1, |text| text.parse().expect("STRESS_SECONDS is a number"));
    let space: Space<S> = AddressSpace::new(VmaTree::new());
    {
        let mut held = Held::nothing();
        let mut tree = space.write(&mut held);
        for start in [0, (1 + PAGES) * PAGE] {
            let range = start..start + PAGE;
            tree.insert(range.clone(), Known::new(range)).expect("free");
        }
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let is_over = AtomicBool::new(false);
    let nr_locked = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 1..3 {
            let (space, is_over, nr_locked) = (&space, &is_over, &nr_locked);
            scope.spawn(move || {
                nr_locked.fetch_add(read(space, seed * 77, is_over), Ordering::Relaxed)
            });
        }
        scope.spawn(|| assert!(walk(&space, &is_over) > 0));
        let other = scope.spawn(|| write(&space, 5, until));
        let nr_changes = write(&space, 3, until);
        assert!(nr_changes > 0 && other.join().expect("no anomaly") > 0);
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(nr_locked.into_inner() > 0);
    let tree = space.into_inner();
    tree.validate().expect("valid");
    for vma in tree.iter() {
        check(&vma.range(), &vma);
    }
}

#[test]
fn counted_readers_beside_writers() {
    stress::<Counted>();
}

#[test]
fn biased_readers_beside_writers() {
    stress::<Biased>();
}

#[test]
fn a_tree_that_goes_waits_for_its_readers() {
    let mut tree: VmaTree<Known> = VmaTree::new();
    tree.insert(0..PAGE, Known::new(0..PAGE)).expect("free");
    tree.end_write();
    let readers = tree.readers();
    let is_gone = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut held = Held::nothing();
        let vma = readers
            .lock_vma_under_rcu(&mut held, 7)
            .locked()
            .expect("mapped");
        let dropper = scope.spawn(|| {
            drop(tree);
            is_gone.store(true, Ordering::SeqCst);
        });
        thread::sleep(Duration::from_millis(20));
        assert!(!is_gone.load(Ordering::SeqCst), "a reader holds a VMA");
        check(&(0..PAGE), &vma);
        drop(vma);
        dropper.join().expect("dropped");
        assert!(readers.lock_vma_under_rcu(&mut held, 7).is_not_mapped());
    });
}

/// Bug 38: while a fault has a VMA of the parent, the child's copy of it is not made.
#[test]
fn a_fork_waits_for_readers_of_the_parent() {
    let mut parent: VmaTree<Known> = VmaTree::new();
    parent.insert(0..PAGE, Known::new(0..PAGE)).expect("free");
    parent.end_write();
    let readers = parent.readers();
    let is_copied = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut held = Held::nothing();
        let vma = readers
            .lock_vma_under_rcu(&mut held, 7)
            .locked()
            .expect("mapped");
        let fork = scope.spawn(|| {
            let copy = |vma: VmaRef<'_, Known>| {
                is_copied.store(true, Ordering::SeqCst);
                Some(Known::new(vma.range()))
            };
            parent.duplicate(copy).expect("memory").len()
        });
        thread::sleep(Duration::from_millis(20));
        assert!(!is_copied.load(Ordering::SeqCst), "copied beside a fault");
        drop(vma);
        assert_eq!(fork.join().expect("forked"), 1);
    });
}

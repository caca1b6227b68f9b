//! Random changes of a VMA tree beside a naive map: the same VMAs, the same answers, and every
//! value handed out exactly once.
#![cfg(not(any(loom, shuttle)))]

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use vmaple_locks::{
    AddressSpace, ChangeError, Contention, Counted, Fate, Held, Host, Lookup, VmaReaders, VmaRef,
    VmaTree, VmaWrite,
};

/// A value that knows how many there are.
#[derive(Clone)]
struct Counted64(u64, Rc<()>);

type Tree = VmaTree<Counted64, Host<Counted>>;

/// The naive map: start → (end, value).
#[derive(Default)]
struct Naive(BTreeMap<u64, (u64, u64)>);

impl Naive {
    fn all(&self) -> Vec<(Range<u64>, u64)> {
        self.0.iter().map(|(s, (e, v))| (*s..*e, *v)).collect()
    }

    fn at(&self, addr: u64) -> Option<(Range<u64>, u64)> {
        let (start, (end, value)) = self.0.range(..=addr).next_back()?;
        (addr < *end).then_some((*start..*end, *value))
    }

    fn overlapping(&self, range: &Range<u64>) -> Vec<(Range<u64>, u64)> {
        let meets = |(vma, _): &(Range<u64>, u64)| vma.start < range.end && range.start < vma.end;
        self.all().into_iter().filter(meets).collect()
    }

    /// Empties a range but for the VMA that starts at `spared`; `false` if it is inside a VMA.
    fn clear(&mut self, range: &Range<u64>, spared: Option<u64>) -> bool {
        let met = self.overlapping(range);
        let inside = |vma: &Range<u64>| vma.start < range.start && range.end < vma.end;
        if met.iter().any(|(vma, _)| inside(vma)) {
            return false;
        }
        for (vma, value) in met {
            if Some(vma.start) == spared {
                continue;
            }
            self.0.remove(&vma.start);
            if vma.start < range.start {
                self.0.insert(vma.start, (range.start, value));
            } else if range.end < vma.end {
                self.0.insert(range.end, (vma.end, value));
            }
        }
        true
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn range(&mut self) -> Range<u64> {
        let start = self.below(60);
        start..start + 1 + self.below(9)
    }
}

fn contents(tree: &Tree) -> Vec<(Range<u64>, u64)> {
    tree.iter().map(|vma| (vma.range(), vma.get().0)).collect()
}

fn step(tree: &mut Tree, naive: &mut Naive, random: &mut Random, value: &Counted64) {
    let range = random.range();
    let addr = random.below(70);
    match random.below(11) {
        0 => {
            let is_free = naive.overlapping(&range).is_empty();
            let done = insert(tree, &range, value, addr.is_multiple_of(2));
            assert_eq!(done, is_free, "insert {range:?}");
            if done {
                naive.0.insert(range.start, (range.end, value.0));
            }
        }
        1 => {
            let before = naive.overlapping(&range);
            let mut told = vec![];
            let done = tree
                .insert_over(range.clone(), value.clone(), |fate| told.push(from(fate)))
                .is_ok();
            assert_eq!(done, naive.clear(&range, None), "insert over {range:?}");
            if done {
                naive.0.insert(range.start, (range.end, value.0));
                told.sort_unstable();
                assert_eq!(told, starts(&before));
            } else {
                assert!(told.is_empty());
            }
        }
        2 => {
            let target = naive.at(addr);
            let wide = target.as_ref().map_or(range.clone(), |(vma, _)| {
                vma.start.saturating_sub(range.start % 5)..vma.end + range.end % 5
            });
            let done = tree.expand(addr, wide.clone(), |_| ()).is_ok();
            assert_eq!(done, target.is_some(), "expand {addr} to {wide:?}");
            if let Some((vma, value)) = target {
                assert!(naive.clear(&wide, Some(vma.start)));
                naive.0.remove(&vma.start);
                naive.0.insert(wide.start, (wide.end, value));
            }
        }
        3 => {
            let target = naive.at(addr).filter(|(vma, _)| vma.start < addr);
            assert_eq!(tree.split(addr, value.clone()).is_ok(), target.is_some());
            if let Some((vma, old)) = target {
                naive.0.insert(vma.start, (addr, old));
                naive.0.insert(addr, (vma.end, value.0));
            }
        }
        4 => {
            let removed = tree.remove(addr).expect("memory");
            let expected = naive.at(addr);
            assert_eq!(removed.map(|(range, value)| (range, value.0)), expected);
            if let Some((vma, _)) = expected {
                naive.0.remove(&vma.start);
            }
        }
        5 => {
            let outcome = tree.clear(range.clone(), |_| ());
            assert_eq!(
                outcome.is_ok(),
                naive.clear(&range, None),
                "clear {range:?}"
            );
        }
        6 | 7 => carve(tree, naive, random, value),
        8 | 9 => unmap(tree, naive, &range, value),
        _ => rewrite(tree, naive, addr, value),
    }
}

fn insert(tree: &mut Tree, range: &Range<u64>, value: &Counted64, is_made_there: bool) -> bool {
    let range = range.clone();
    if is_made_there {
        tree.insert_with(range, || value.clone()).is_ok()
    } else {
        tree.insert(range, value.clone()).is_ok()
    }
}

/// Frees a range unless a VMA refuses; whatever it is told is what was there.
fn unmap(tree: &mut Tree, naive: &mut Naive, range: &Range<u64>, value: &Counted64) {
    let before = naive.overlapping(range);
    let refuses = |value: u64| value.is_multiple_of(5);
    let agrees = !before.iter().any(|(_, value)| refuses(*value));
    let mut told = vec![];
    let mut nr_holes = 0;
    let ask = |vma: VmaRef<'_, Counted64>| !refuses(vma.get().0);
    let fate = |fate: Fate<'_, Counted64>| match fate {
        Fate::Punched(hole, vma) => {
            assert_eq!((&hole, vma.0), (range, before[0].1));
            nr_holes += 1;
        }
        other => told.push(from(other)),
    };
    let done = if value.0.is_multiple_of(2) {
        tree.unmap(range.clone(), ask, |_| value.clone(), fate)
    } else {
        tree.unmap_for_good(range.clone(), ask, |_| value.clone(), fate)
    };
    assert_eq!(done, Ok(agrees), "unmap {range:?}");
    if !agrees {
        assert!(told.is_empty() && nr_holes == 0);
        return;
    }
    if naive.clear(range, None) {
        told.sort_unstable();
        assert_eq!((told, nr_holes), (starts(&before), 0));
        return;
    }
    let (vma, old) = before[0].clone();
    assert_eq!((told, nr_holes), (vec![], 1));
    naive.0.insert(vma.start, (range.start, old));
    naive.0.insert(range.end, (vma.end, value.0));
}

/// Carves a VMA or a hole out of one.
fn carve(tree: &mut Tree, naive: &mut Naive, random: &mut Random, value: &Counted64) {
    let (range, kind) = (random.range(), random.below(3));
    let target = naive.at(range.start);
    let inside = target.filter(|(vma, _)| vma.start < range.start && range.end < vma.end);
    let (middle, above) = (
        value.clone(),
        Counted64(value.0 + 1000, Rc::clone(&value.1)),
    );
    let carved = match kind {
        0 => tree.carve(range.clone(), |_| middle, |_| above),
        1 => tree.punch(range.clone(), |_| above),
        _ => tree.punch_for_good(range.clone(), |_| above),
    };
    let below = carved.as_ref().ok().map(VmaWrite::range);
    assert_eq!(
        below,
        inside.as_ref().map(|(vma, _)| vma.start..range.start)
    );
    drop(carved);
    if let Some((vma, old)) = inside {
        naive.0.insert(vma.start, (range.start, old));
        if kind == 0 {
            naive.0.insert(range.start, (range.end, value.0));
        }
        naive.0.insert(range.end, (vma.end, value.0 + 1000));
    }
}

/// Changes the VMA at an address, if there is one, and ends the section.
fn rewrite(tree: &mut Tree, naive: &mut Naive, addr: u64, value: &Counted64) {
    let is_there = naive.at(addr);
    let vma = tree.write_lock(addr);
    let range = vma.as_ref().map(VmaWrite::range);
    assert_eq!(range, is_there.clone().map(|vma| vma.0));
    if let (Some(mut vma), Some((range, _))) = (vma, is_there) {
        *vma = value.clone();
        naive.0.insert(range.start, (range.end, value.0));
    }
    tree.end_write();
}

fn from(fate: Fate<'_, Counted64>) -> u64 {
    match fate {
        Fate::Gone(range, _) => range.start,
        Fate::Trimmed(was, is, _) => {
            assert!(was != is && was.start <= is.start && is.end <= was.end);
            was.start
        }
        Fate::Punched(hole, _) => unreachable!("a hole {hole:?}"),
    }
}

fn starts(vmas: &[(Range<u64>, u64)]) -> Vec<u64> {
    vmas.iter().map(|(range, _)| range.start).collect()
}

#[test]
fn random_changes_are_those_of_a_naive_map() {
    for seed in 1..60_u64 {
        let alive = Rc::new(());
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let tree = Tree::new().publishing(|value| value.0 + 1);
        let (mut tree, mut naive) = (tree, Naive::default());
        for nr in 0..400 {
            step(
                &mut tree,
                &mut naive,
                &mut random,
                &Counted64(nr, Rc::clone(&alive)),
            );
            assert_eq!(contents(&tree), naive.all(), "seed {seed}, step {nr}");
            assert_eq!(
                tree.len(),
                Rc::strong_count(&alive) - 1,
                "values, seed {seed}"
            );
            tree.validate().expect("valid");
        }
        drop(tree);
        assert_eq!(Rc::strong_count(&alive), 1, "every value was dropped");
    }
}

#[test]
fn lookups_are_those_of_a_naive_map() {
    let mut tree: VmaTree<u64> = VmaTree::new();
    for start in [10, 20, 30, 50] {
        tree.insert(start..start + 10, start).expect("free");
    }
    assert_eq!(tree.find(5).expect("above").range(), 10..20);
    assert_eq!(tree.find(60).map(VmaRef::range), None);
    assert_eq!(tree.prev(20).expect("below").range(), 10..20);
    assert_eq!(tree.prev(25).expect("below").range(), 10..20);
    assert_eq!(tree.prev(15).map(VmaRef::range), None);
    let free = tree.place_at(45);
    assert!(free.vma().is_none());
    assert_eq!(free.range(), 40..50);
    assert_eq!(free.below().map(VmaRef::range), Some(30..40));
    assert_eq!(free.above().map(VmaRef::range), Some(50..60));
    assert_eq!(tree.find_intersection(40..50).map(VmaRef::range), None);
    assert_eq!(tree.overlapping(25..51).count(), 3);
    assert_eq!(tree.highest_gap(10, 1, 0..100), Some(90));
    assert_eq!(tree.lowest_gap(10, 1, 10..100), Some(40));
}

#[test]
fn a_refused_change_changes_nothing() {
    let mut tree: VmaTree<u64> = VmaTree::new();
    tree.insert(10..40, 1).expect("free");
    let cause = |range: Range<u64>, tree: &mut VmaTree<u64>| {
        tree.insert(range, 2).expect_err("refused").cause
    };
    assert_eq!(cause(5..5, &mut tree), ChangeError::EmptyRange);
    assert_eq!(cause(39..50, &mut tree), ChangeError::Occupied(10..40));
    let within = tree.clear(20..30, |_| ());
    assert_eq!(within, Err(ChangeError::WouldSplit(10..40)));
    assert_eq!(tree.split(10, 2).expect_err("at its start").value, 2);
    assert!(
        tree.expand(10, 15..60, |_| ()).is_err(),
        "would give up addresses"
    );
    assert_eq!(tree.iter().count(), 1);
    tree.validate().expect("valid");
}

#[test]
fn slots_are_used_again_also_by_another_tree() {
    let mut parent: VmaTree<u64> = VmaTree::new();
    for start in 0..100 {
        parent.insert(start..start + 1, start).expect("free");
    }
    let nr_slots = parent.slab().nr_slots();
    let mut child = parent
        .duplicate(|vma| (*vma % 2 == 0).then_some(*vma))
        .expect("memory");
    assert_eq!(child.len(), 50);
    child.validate().expect("valid");
    let slab = parent.slab().clone();
    drop(parent);
    let with_child = slab.nr_slots();
    for start in 200..300 {
        child.insert(start..start + 1, start).expect("free");
    }
    assert_eq!(slab.nr_slots(), with_child, "the parent's slots were free");
    assert!(with_child < 3 * nr_slots);
    drop(child);
    assert_eq!(slab.nr_free(), slab.nr_slots());
}

#[test]
fn a_section_ends_with_a_downgrade_and_with_the_lock() {
    let mut held = Held::nothing();
    let space: AddressSpace<VmaTree<u64>> = AddressSpace::new(VmaTree::new());
    let mut writing = space.write(&mut held);
    writing.insert(0..10, 1).expect("free");
    let is_locked = |readers: &VmaReaders<u64>| {
        let mut held = Held::nothing();
        readers.lock_vma_under_rcu(&mut held, 5).locked().is_none()
    };
    assert!(writing.is_write_locked(5) && is_locked(space.readers()));
    let reading = writing.downgrade();
    assert!(!reading.is_write_locked(5) && !is_locked(space.readers()));
    drop(reading);
    space.write(&mut held).write_lock(5).expect("mapped");
    assert!(!is_locked(space.readers()), "over with the guard");
}

/// `mmap_lock` held for writing alone stops nobody (bug 43).
#[test]
fn only_what_a_section_touches_is_locked() {
    let mut held = Held::nothing();
    let space: AddressSpace<VmaTree<u64>> = AddressSpace::new(VmaTree::new());
    space.write(&mut held).insert(0..10, 1).expect("free");
    space.write(&mut held).insert(10..20, 2).expect("free");
    let mut writing = space.write(&mut held);
    writing.write_lock(5).expect("mapped");
    let mut other = Held::nothing();
    let looked = space.lock_vma_under_rcu(&mut other, 5);
    let Lookup::Contended(Contention::WriteLocked, other) = looked else {
        panic!("{looked:?}");
    };
    let untouched = space.lock_vma_under_rcu(other, 15).locked();
    assert_eq!(untouched.map(|vma| *vma), Some(2));
    assert_eq!(space.readers().events().nr_abort, 1);
}

/// A panic of the embedder's in the middle of a change: what was displaced is dropped, once.
#[test]
fn a_panic_in_the_middle_leaves_a_valid_tree() {
    let alive = Rc::new(());
    let value = |nr| Counted64(nr, Rc::clone(&alive));
    let mut tree = Tree::new();
    for start in [0, 10, 20, 30] {
        tree.insert(start..start + 10, value(start)).expect("free");
    }
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = tree.clear(5..40, |fate| assert!(!matches!(fate, Fate::Gone(..))));
    }));
    assert!(panic.is_err());
    assert_eq!(contents(&tree), [(0..5, 0)]);
    tree.end_write();
    tree.insert_over(0..20, value(7), |_| ()).expect("memory");
    assert_eq!((tree.len(), Rc::strong_count(&alive)), (1, 2));
    tree.validate().expect("valid");
    drop(tree);
    assert_eq!(Rc::strong_count(&alive), 1);
}

/// A walk without locks sees each VMA as its last section left it, and none that is being changed.
#[test]
fn a_glance_sees_what_was_written() {
    let space = AddressSpace::new(VmaTree::<u64>::new().publishing(|value| *value));
    let mut held = Held::nothing();
    space
        .write(&mut held)
        .insert(0x1000..0x9000, 5)
        .expect("free");
    let seen = |from| {
        let (seen, ()) = space.walk().glance_next(from, || ())?;
        Some((seen.range, seen.facts.get()))
    };
    assert_eq!(seen(0), Some((0x1000..0x9000, 5)));
    let mut tree = space.write(&mut held);
    *tree.write_lock(0x1000).expect("mapped") = 6;
    assert_eq!(seen(0), None, "the section is open");
    drop(tree);
    assert_eq!(seen(0), Some((0x1000..0x9000, 6)));

    let mut tree = space.write(&mut held);
    tree.carve(0x3000..0x4000, |_| 7, |_| 8).expect("inside");
    drop(tree);
    assert_eq!(seen(0), Some((0x1000..0x3000, 6)));
    assert_eq!(seen(0x3000), Some((0x3000..0x4000, 7)));
    assert_eq!(seen(0x4fff), Some((0x4000..0x9000, 8)));
    let mut tree = space.write(&mut held);
    *tree.write_lock(0x3000).expect("mapped").into_mut() = 9;
    drop(tree);
    assert_eq!(seen(0x3000), None, "lent for longer than its view");

    let mut tree = space.write(&mut held);
    tree.remove(0x3000).expect("memory");
    drop(tree);
    assert_eq!(seen(0x3000), Some((0x4000..0x9000, 8)));
    assert_eq!(seen(0x9000), None, "no more");
}

/// What a walk has seen ahead is not believed where a VMA has lost addresses in the meantime.
#[test]
fn a_walk_does_not_pass_over_what_took_the_place_of_what_it_saw() {
    let space = AddressSpace::new(VmaTree::<u64>::new().publishing(|value| *value));
    let mut held = Held::nothing();
    let mut tree = space.write(&mut held);
    tree.insert(0x1000..0x4000, 1).expect("free");
    tree.insert(0x8000..0x9000, 2).expect("free");
    tree.insert(0xa000..0xb000, 3).expect("free");
    drop(tree);

    let mut walk = space.walk();
    let mut next = |from| walk.glance_next(from, || ()).map(|(seen, ())| seen.range);
    assert_eq!(next(0), Some(0x1000..0x4000));
    // The second VMA grows over the third; the third one's memory is free.
    let mut tree = space.write(&mut held);
    tree.expand(0x8000, 0x8000..0xb000, |_| ()).expect("memory");
    drop(tree);
    assert_eq!(next(0x4000), Some(0x8000..0xb000));
    assert_eq!(next(0xb000), None, "no more");

    let mut walk = space.walk();
    let mut next = |from| walk.glance_next(from, || ()).map(|(seen, ())| seen.range);
    // The first VMA is cut, and another takes its addresses, before the walk has come to it.
    let mut tree = space.write(&mut held);
    tree.insert(0x5000..0x6000, 5).expect("free");
    drop(tree);
    assert_eq!(next(0), Some(0x1000..0x4000));
    let mut tree = space.write(&mut held);
    tree.clear_for_good(0x5000..0x6000, |_| ()).expect("memory");
    tree.insert(0x4000..0x7000, 6).expect("free");
    drop(tree);
    assert_eq!(next(0x4000), Some(0x4000..0x7000));
}

/// A walk comes to a VMA that was cut after it was seen: what took its addresses is in the text.
#[test]
fn a_walk_looks_again_behind_a_vma_that_was_cut() {
    let space = AddressSpace::new(VmaTree::<u64>::new().publishing(|value| *value));
    let mut held = Held::nothing();
    let mut tree = space.write(&mut held);
    tree.insert(0x1000..0x2000, 1).expect("free");
    tree.insert(0x2000..0x6000, 2).expect("free");
    tree.insert(0x6000..0x7000, 3).expect("free");
    drop(tree);
    let mut walk = space.walk();
    let mut next = |from| walk.glance_next(from, || ()).map(|(seen, ())| seen.range);
    assert_eq!(next(0), Some(0x1000..0x2000));
    let mut tree = space.write(&mut held);
    tree.split(0x4000, 4).expect("inside");
    drop(tree);
    assert_eq!(next(0x2000), Some(0x2000..0x4000));
    assert_eq!(next(0x4000), Some(0x4000..0x6000), "not passed over");
    assert_eq!(next(0x6000), Some(0x6000..0x7000));
}

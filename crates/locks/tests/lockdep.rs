//! What lockdep reports where a thread has made itself a second token, which no type can see.
#![cfg(all(feature = "lockdep", not(any(loom, shuttle))))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use vmaple_locks::level::{AnonVma, FileMapping};
use vmaple_locks::{AddressSpace, Held, LeveledMutex, VmaTree, lockdep};

fn space() -> AddressSpace<VmaTree<u32>> {
    let mut tree = VmaTree::new();
    tree.insert(0x1000..0x2000, 1).expect("free");
    AddressSpace::new(tree)
}

/// What is reported when `wrong` runs; it does not get as far as waiting.
fn report_of(wrong: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(wrong)).expect_err("is reported");
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn mmap_lock_under_a_vma_lock_is_reported_with_both_places() {
    let space = space();
    let (mut first, mut second) = (Held::nothing(), Held::nothing());
    let line = line!() + 1;
    let vma = space.lock_vma_under_rcu(&mut first, 0x1000).locked();
    assert!(vma.is_some());
    let report = report_of(|| drop(space.write(&mut second)));
    assert!(
        report.starts_with("locks taken in the wrong order"),
        "{report}"
    );
    let (taking, holding) = report.split_once("holding").expect("both");
    assert!(taking.contains("MmapWrite") && taking.contains(&format!("lockdep.rs:{}", line + 2)));
    assert!(holding.contains("VmaRead") && holding.contains(&format!("lockdep.rs:{line}")));
}

/// Thread 002: the lookup that waits for writers, called under `mmap_lock`. It is reported where it
/// would have met no writer, too.
#[test]
fn waiting_for_writers_under_mmap_lock_is_reported() {
    let space = space();
    let (mut first, mut second) = (Held::nothing(), Held::nothing());
    let reading = space.read(&mut first);
    let report = report_of(|| drop(space.vma_start_read_unlocked(&mut second, 0x1000)));
    assert!(report.contains("taking MmapRead") && report.contains("holding MmapRead"));
    drop(reading);
    drop(space.vma_start_read_unlocked(&mut second, 0x1000));
}

#[test]
fn a_lock_taken_again_is_reported() {
    let space = space();
    let (mut first, mut second) = (Held::nothing(), Held::nothing());
    let reading = space.read(&mut first);
    let report = report_of(|| drop(space.read(&mut second)));
    assert!(report.starts_with("lock taken again"), "{report}");
    drop(reading);
    let mut writing = space.write(&mut first);
    let report = report_of(|| drop(space.mmap_lock().read(&mut second)));
    assert!(report.contains("MmapWrite"));
    writing.write_lock(0x1000).expect("mapped");
    let reading = writing.downgrade();
    let held = lockdep::held_by_this_thread();
    assert_eq!(
        held.iter().map(|lock| lock.level).collect::<Vec<_>>(),
        ["MmapRead"]
    );
    drop(reading);
}

#[test]
fn a_writer_that_waits_for_its_own_thread_is_reported() {
    let mut tree: VmaTree<u32> = VmaTree::new();
    tree.insert(0x1000..0x2000, 1).expect("free");
    tree.end_write();
    let readers = tree.readers();
    let mut held = Held::nothing();
    let vma = readers.lock_vma_under_rcu(&mut held, 0x1000).locked();
    for wrong in [
        |tree: &mut VmaTree<u32>| drop(tree.write_lock(0x1000)),
        |tree: &mut VmaTree<u32>| drop(tree.remove(0x1000)),
        |tree: &mut VmaTree<u32>| drop(tree.clear(0x1000..0x2000, |_| ())),
    ] {
        let report = report_of(|| wrong(&mut tree));
        assert!(report.starts_with("lock taken again"), "{report}");
        assert!(report.matches("lockdep.rs").count() == 2, "{report}");
    }
    drop(vma);
}

#[test]
fn the_order_of_the_rest_is_kept_too() {
    let file: LeveledMutex<FileMapping, u32> = LeveledMutex::new(0);
    let anon: LeveledMutex<AnonVma, u32> = LeveledMutex::new(0);
    let (mut first, mut second) = (Held::nothing(), Held::nothing());
    let pages = anon.lock(&mut first);
    assert!(report_of(|| drop(file.lock(&mut second))).contains("FileMapping"));
    drop(pages);
    let mappings = file.lock(&mut first);
    drop(anon.lock(&mut second));
    drop(mappings);
    assert!(lockdep::held_by_this_thread().is_empty());
}

#[test]
fn what_other_threads_hold_is_theirs() {
    let space = space();
    thread::scope(|scope| {
        let mut held = Held::nothing();
        let reading = space.read(&mut held);
        let other = scope.spawn(|| {
            assert!(lockdep::held_by_this_thread().is_empty());
            assert!(!lockdep::held_by_all().is_empty());
            drop(space.read(&mut Held::nothing()));
        });
        other.join().expect("no report");
        drop(reading);
    });
}

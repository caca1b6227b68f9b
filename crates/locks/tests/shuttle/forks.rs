//! Forks beside faults.

use crate::space::{LOW, Shuttle, explore};
use vmaple_locks::{Counted, Held, VmaRef, VmaTree};
use vmaple_sync::atomic::{AtomicU32, Ordering};
use vmaple_sync::model;
use vmaple_sync::names::{Name, named};

/// A fault in the parent, which writes to what its VMA describes, beside a fork that copies it: the
/// copy is from before the fault or from after it.
fn fork_beside_fault() {
    type Pages = (AtomicU32, AtomicU32);
    static PAGE: Name = Name::new("page");
    let pages = |first, second| -> Pages {
        (
            named(&PAGE, AtomicU32::new(first)),
            named(&PAGE, AtomicU32::new(second)),
        )
    };
    let mut parent: VmaTree<Pages, Shuttle<Counted>> = VmaTree::new();
    assert!(parent.insert(0..LOW, pages(0, 0)).is_ok());
    parent.end_write();
    let readers = parent.readers();
    let fault = model::spawn("fault", move || {
        let mut held = Held::nothing();
        if let Some(vma) = readers.lock_vma_under_rcu(&mut held, 7).locked() {
            vma.0.store(1, Ordering::Relaxed);
            vma.1.store(1, Ordering::Relaxed);
        }
    });
    model::i_am("fork");
    let copy = |vma: VmaRef<'_, Pages>| {
        let first = vma.get().0.load(Ordering::Relaxed);
        let second = vma.get().1.load(Ordering::Relaxed);
        assert_eq!(first, second, "copied in the middle of a fault");
        Some(pages(first, second))
    };
    let child = parent.duplicate(copy).expect("memory");
    assert_eq!(child.len(), 1);
    parent.end_write();
    fault.join().expect("no anomaly");
}

#[test]
fn a_fork_copies_no_half_fault() {
    explore(fork_beside_fault);
}

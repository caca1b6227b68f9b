//! The protocols under loom: every interleaving of two or three threads, on the real words. Run
//! with `RUSTFLAGS="--cfg loom" cargo test --release -p vmaple-locks --lib checks`.

mod biased;
mod mmap_lock;
mod published;
mod vma_lock;

use crate::sequence::MmSeq;
use crate::vma_lock::VmaLock;
use loom::sync::{Condvar, Mutex};
use std::sync::Arc;
use vmaple_sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use vmaple_sync::cell::UnsafeCell;
use vmaple_sync::names::{Name, named};
use vmaple_sync::wait::Wait;

/// Sleeps for real, so that a wake-up that is lost is a deadlock, which loom reports.
#[derive(Debug)]
struct Parked;

loom::lazy_static! {
    static ref BED: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
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

static VMA: Name = Name::new("the VMA");
static OWNER: Name = Name::new("the VMA's tree");

/// What a lock protects; loom reports every read that is not ordered with every write.
struct Data(UnsafeCell<u32>);

// SAFETY: Whether accesses are ordered is what the checks let loom find out.
#[expect(unsafe_code, reason = "the cell is what loom checks")]
unsafe impl Sync for Data {}
// SAFETY: As above.
#[expect(unsafe_code, reason = "the cell is what loom checks")]
unsafe impl Send for Data {}

impl Data {
    fn new(value: u32) -> Self {
        Self(named(&VMA, UnsafeCell::new(value)))
    }

    #[expect(unsafe_code, reason = "the cell is what loom checks")]
    fn get(&self) -> u32 {
        // SAFETY: Loom reports a race with `set`.
        self.0.with(|value| unsafe { *value })
    }

    #[expect(unsafe_code, reason = "the cell is what loom checks")]
    fn set(&self, value: u32) {
        // SAFETY: Loom reports a race with `get` and `set`.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }
}

/// One VMA of one address space (or of the second one, while it is lent out).
struct Model {
    seq: MmSeq,
    lock: VmaLock,
    owner: AtomicUsize,
    data: Data,
}

impl Model {
    /// Attached and unlocked.
    fn attached() -> Arc<Self> {
        let model = Self::detached();
        model.owner.store(1, Ordering::Relaxed);
        model.lock.attach(model.seq.begin());
        model.seq.end();
        Arc::new(model)
    }

    fn detached() -> Self {
        Self {
            seq: MmSeq::new(),
            lock: VmaLock::new(),
            owner: named(&OWNER, AtomicUsize::new(0)),
            data: Data::new(1),
        }
    }

    fn is_in(&self, tree: usize) -> bool {
        self.owner.load(Ordering::Relaxed) == tree
    }
}

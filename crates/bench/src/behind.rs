//! The row of a writer's wait behind a reader: from the moment the reader begins to give the VMA
//! back to the moment the writer has it. A writer waits that long after the reader's hold, and no
//! longer. Beside it what the host needs to wake a thread at all.

use crate::meter::{Meter, Sample};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vmaple_locks::{AddressSpace, Biased, Counted, Held, Host, ReadScheme, VmaTree};

pub(crate) const ROW: &str = "locks:writer_behind_reader";
pub(crate) const SIDES: [&str; 3] = ["biased", "counted", "unpark"];

/// How long a reader keeps the VMA: long enough for the writer to have gone to sleep.
const HOLD: Duration = Duration::from_micros(100);

/// Measures the row for a side; None: there is no such side.
pub(crate) fn run(side: &str, is_short: bool) -> Option<Sample> {
    let rounds = if is_short { 20 } else { 3000 };
    let mut meter = Meter::new();
    match side {
        "biased" => behind_reader::<Biased>(&mut meter, rounds),
        "counted" => behind_reader::<Counted>(&mut meter, rounds),
        "unpark" => behind_unpark(&mut meter, rounds),
        _ => return None,
    }
    Some(meter.sample(ROW, rounds, 0, String::new()))
}

/// When something happened, on a clock that two threads share.
struct Moment(Instant, AtomicU64);

impl Moment {
    fn new() -> Self {
        Self(Instant::now(), AtomicU64::new(0))
    }

    /// Notes that it happens now.
    fn mark(&self) {
        let since = self.0.elapsed().as_nanos() as u64;
        self.1.store(since, Ordering::Release);
    }

    /// How long ago it happened.
    fn elapsed(&self) -> Duration {
        let marked = Duration::from_nanos(self.1.load(Ordering::Acquire));
        self.0.elapsed().saturating_sub(marked)
    }
}

fn stay_busy() {
    let start = Instant::now();
    while start.elapsed() < HOLD {
        std::hint::spin_loop();
    }
}

fn behind_reader<S: ReadScheme>(meter: &mut Meter, rounds: u64) {
    let mut tree: VmaTree<u64, Host<S>> = VmaTree::new();
    tree.insert(0..0x1000, 7).expect("free");
    let space = AddressSpace::new(tree);
    // Often enough for the VMA to be read by marks, in the scheme that has them.
    let mut held = Held::nothing();
    let turn = Barrier::new(2);
    let is_held = AtomicBool::new(false);
    let given_back = Moment::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = Held::nothing();
            for _ in 0..rounds {
                for _ in 0..300 {
                    drop(space.lock_vma_under_rcu(&mut held, 8).locked());
                }
                let vma = space.lock_vma_under_rcu(&mut held, 8).locked();
                assert!(vma.is_some(), "nobody writes yet");
                is_held.store(true, Ordering::Release);
                stay_busy();
                given_back.mark();
                drop(vma);
                turn.wait();
            }
        });
        for _ in 0..rounds {
            while !is_held.swap(false, Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let mut tree = space.write(&mut held);
            assert!(tree.write_lock(8).is_some());
            meter.add(given_back.elapsed());
            drop(tree);
            turn.wait();
        }
    });
}

/// The same with nothing but the host's own way to put a thread to sleep and wake it.
fn behind_unpark(meter: &mut Meter, rounds: u64) {
    let turn = Barrier::new(2);
    let is_there = AtomicBool::new(false);
    let given = Moment::new();
    let sleeper = thread::current();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds {
                stay_busy();
                given.mark();
                is_there.store(true, Ordering::Release);
                sleeper.unpark();
                turn.wait();
            }
        });
        for _ in 0..rounds {
            while !is_there.swap(false, Ordering::Acquire) {
                thread::park();
            }
            meter.add(given.elapsed());
            turn.wait();
        }
    });
}

//! Runtime checks of the lock order, for what types cannot see: two tokens in one thread, a lock
//! taken again that is held already.
//!
//! With the feature `lockdep` each guard is noted with the place in the source where it was taken.
//! A thread that is about to wait for a lock which it must not wait for, because of one that it
//! holds, is reported with both places, before it waits. Without the feature all of this is empty.
//!
//! Where there is no `std`, the embedder says who the running thread is, by [`set_thread_id`].

use crate::level::Level;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;
use vmaple_sync::mutex::Mutex;
use vmaple_sync::wait::Spin;

/// A lock that a thread holds.
#[derive(Debug, Clone, Copy)]
pub struct HeldLock {
    /// The thread, as the embedder numbers them.
    pub thread: u64,
    /// The name of its level.
    pub level: &'static str,
    /// Its rank in the order of locks.
    pub rank: u8,
    /// Where the lock is in memory: which one it is.
    pub address: usize,
    /// Where it was taken.
    pub site: &'static Location<'static>,
    number: u64,
}

impl fmt::Display for HeldLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            thread,
            level,
            address,
            site,
            ..
        } = self;
        write!(f, "{level} {address:#x} by thread {thread:#x} at {site}")
    }
}

/// A thread is about to wait for a lock that it must not wait for.
#[derive(Debug, Clone, Copy)]
pub struct Violation {
    /// What it would take.
    pub taking: HeldLock,
    /// What it holds.
    pub held: HeldLock,
}

impl Violation {
    /// Whether it holds that very lock.
    #[must_use]
    pub fn is_recursion(&self) -> bool {
        self.taking.address == self.held.address
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_recursion() {
            "lock taken again"
        } else {
            "locks taken in the wrong order"
        };
        write!(
            f,
            "{what}:\n  taking {}\n  holding {}",
            self.taking, self.held
        )
    }
}

struct State {
    held: Vec<HeldLock>,
    next_number: u64,
    thread_id: fn() -> u64,
    report: fn(&Violation),
}

static STATE: Mutex<State, Spin> = Mutex::new(State {
    held: Vec::new(),
    next_number: 0,
    thread_id: default_thread_id,
    report: default_report,
});

#[cfg(feature = "std")]
fn default_thread_id() -> u64 {
    std::thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| core::ptr::from_ref(here).addr() as u64)
}

/// All one thread, until the embedder says otherwise.
#[cfg(not(feature = "std"))]
fn default_thread_id() -> u64 {
    0
}

fn default_report(violation: &Violation) {
    panic!("{violation}");
}

/// Says how to find out which thread is running; two that run at once have different numbers.
pub fn set_thread_id(thread_id: fn() -> u64) {
    STATE.lock().thread_id = thread_id;
}

/// Says what is to be done about a violation, instead of a panic.
pub fn set_report(report: fn(&Violation)) {
    STATE.lock().report = report;
}

/// The locks that the calling thread holds, in the order in which it took them.
#[must_use]
pub fn held_by_this_thread() -> Vec<HeldLock> {
    let state = STATE.lock();
    let thread = (state.thread_id)();
    let mine = state.held.iter().filter(|lock| lock.thread == thread);
    mine.copied().collect()
}

/// The locks that all threads hold.
#[must_use]
pub fn held_by_all() -> Vec<HeldLock> {
    STATE.lock().held.clone()
}

/// Whether a thread that holds a lock of one rank may wait for one of another.
fn may_wait(held: u8, taking: u8) -> bool {
    // Locks of one kind have neighbouring ranks: reading is odd, writing comes after it.
    const fn kind(rank: u8) -> u8 {
        match rank {
            1 | 2 => 1,
            3 | 4 => 3,
            other => other,
        }
    }
    kind(held) < kind(taking)
}

fn note<L: Level>(state: &State, address: usize, site: &'static Location<'static>) -> HeldLock {
    HeldLock {
        thread: (state.thread_id)(),
        level: L::NAME,
        rank: L::RANK,
        address,
        site,
        number: state.next_number,
    }
}

/// The calling thread may have to wait for a lock: reports if it must not.
#[track_caller]
pub(crate) fn about_to_wait<L: Level>(address: usize) {
    let state = STATE.lock();
    let taking = note::<L>(&state, address, Location::caller());
    let wrong = state
        .held
        .iter()
        .find(|held| held.thread == taking.thread && !may_wait(held.rank, taking.rank))
        .copied();
    let report = state.report;
    drop(state);
    if let Some(held) = wrong {
        report(&Violation { taking, held });
    }
}

/// The note that a lock is held, until dropped.
#[derive(Debug)]
pub(crate) struct Note<L: Level> {
    number: u64,
    level: PhantomData<fn() -> L>,
}

impl<L: Level> Note<L> {
    /// The calling thread has taken a lock.
    #[track_caller]
    pub(crate) fn new(address: usize) -> Self {
        let mut state = STATE.lock();
        let lock = note::<L>(&state, address, Location::caller());
        state.next_number += 1;
        state.held.push(lock);
        Self {
            number: lock.number,
            level: PhantomData,
        }
    }

    /// As dropping it, for a guard that is not dropped.
    pub(crate) fn forget(&mut self) {
        STATE.lock().held.retain(|lock| lock.number != self.number);
    }
}

impl<L: Level> Drop for Note<L> {
    fn drop(&mut self) {
        self.forget();
    }
}

//! The backend for hosted programs: one domain per process, one record per thread.
//!
//! # Safety
//!
//! The thread's state is reached only from its own thread.
#![expect(unsafe_code, reason = "implements the unsafe trait Backend")]

use crate::backend::{Backend, GracePeriod};
use crate::deferred::Deferred;
use crate::domain::{Domain, Record};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Cell;
use vmaple_sync::hint::spin_loop;
use vmaple_sync::mutex::Mutex;

/// How many works make a batch. Small under test, so that batches close often.
const BATCH: usize = if cfg!(any(test, loom, shuttle)) {
    2
} else {
    64
};

/// Read sections of the threads of this process; on Linux with `membarrier(2)`, else with a fence.
#[derive(Debug, Clone, Copy, Default)]
pub struct Membarrier;

/// The works that wait for a grace period.
#[derive(Debug, Default)]
struct Queue {
    /// No grace period has been started for these yet.
    filling: Vec<Deferred>,
    /// Oldest first.
    waiting: VecDeque<(GracePeriod, Vec<Deferred>)>,
}

#[cfg(not(any(loom, shuttle)))]
static DOMAIN: Domain = Domain::new();
#[cfg(not(any(loom, shuttle)))]
static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    filling: Vec::new(),
    waiting: VecDeque::new(),
});
#[cfg(loom)]
loom::lazy_static! {
    static ref DOMAIN: Domain = Domain::new();
    static ref QUEUE: Mutex<Queue> = Mutex::new(Queue::default());
}
#[cfg(shuttle)]
shuttle::lazy_static! {
    static ref DOMAIN: Domain = Domain::new();
    static ref QUEUE: Mutex<Queue> = Mutex::new(Queue::default());
}

/// What a thread knows about its own sections. Without a destructor, so that access is plain.
struct Local {
    record: Cell<Option<&'static Record>>,
    /// The open sections but one, if there is one: the mark tells whether there is.
    nested: Cell<usize>,
}

impl Local {
    fn is_inside(&self) -> bool {
        self.record.get().is_some_and(Record::is_inside)
    }
}

/// Gives the record back at the thread's end.
struct Registration(&'static Record);

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = LOCAL.try_with(|local| {
            if !local.is_inside() {
                local.record.set(None);
                DOMAIN.unregister(self.0);
            }
        });
    }
}

#[cfg(not(any(loom, shuttle)))]
std::thread_local! {
    static LOCAL: Local = const { Local { record: Cell::new(None), nested: Cell::new(0) } };
    static REGISTRATION: Cell<Option<Registration>> = const { Cell::new(None) };
}
#[cfg(loom)]
loom::thread_local! {
    static LOCAL: Local = Local { record: Cell::new(None), nested: Cell::new(0) };
    static REGISTRATION: Cell<Option<Registration>> = Cell::new(None);
}

#[cfg(shuttle)]
shuttle::thread_local! {
    static LOCAL: Local = Local { record: Cell::new(None), nested: Cell::new(0) };
    static REGISTRATION: Cell<Option<Registration>> = Cell::new(None);
}

#[cold]
fn register(local: &Local) -> &'static Record {
    let record = DOMAIN.register();
    local.record.set(Some(record));
    // When the thread is already ending, its record stays owned and quiescent: a small leak.
    let _ = REGISTRATION.try_with(|slot| slot.set(Some(Registration(record))));
    record
}

/// Takes the batches whose grace period has elapsed.
fn take_due(queue: &mut Queue) -> Vec<Vec<Deferred>> {
    let mut due = Vec::new();
    while let Some((period, _)) = queue.waiting.front() {
        if !DOMAIN.has_elapsed(*period) {
            break;
        }
        due.extend(queue.waiting.pop_front().map(|(_, works)| works));
    }
    due
}

fn close_batch(queue: &mut Queue) {
    if !queue.filling.is_empty() {
        let works = core::mem::take(&mut queue.filling);
        queue
            .waiting
            .push_back((DOMAIN.start_grace_period(), works));
    }
}

fn run(due: Vec<Vec<Deferred>>) {
    due.into_iter().flatten().for_each(Deferred::run);
}

// SAFETY: 1 by the protocol in `domain`: a section is entered on the thread's own record when none is
// open there and left with the last one that is, which is also 3. 2: `synchronize` and
// `take_due` act only on periods that `Domain::has_elapsed` confirmed, started after the call.
unsafe impl Backend for Membarrier {
    #[inline]
    fn enter() {
        LOCAL.with(|local| {
            let record = match local.record.get() {
                Some(record) => record,
                None => register(local),
            };
            if record.is_inside() {
                local.nested.set(local.nested.get() + 1);
            } else {
                DOMAIN.enter(record);
            }
        });
    }

    #[inline]
    unsafe fn leave() {
        LOCAL.with(|local| {
            let nested = local.nested.get();
            if nested != 0 {
                local.nested.set(nested - 1);
            } else if let Some(record) = local.record.get() {
                DOMAIN.leave(record);
            }
        });
    }

    fn start_grace_period() -> GracePeriod {
        DOMAIN.start_grace_period()
    }

    fn has_elapsed(period: GracePeriod) -> bool {
        DOMAIN.has_elapsed(period)
    }

    fn has_visibly_elapsed(period: GracePeriod) -> bool {
        let own = LOCAL.with(|local| local.record.get());
        DOMAIN.has_visibly_elapsed(period, own)
    }

    fn synchronize() {
        assert!(
            !LOCAL.with(Local::is_inside),
            "synchronize inside a read section would wait for itself"
        );
        close_batch(&mut QUEUE.lock());
        wait_for(DOMAIN.start_grace_period());
        let due = take_due(&mut QUEUE.lock());
        run(due);
    }

    fn defer(work: Deferred) {
        let due = {
            let mut queue = QUEUE.lock();
            queue.filling.push(work);
            if queue.filling.len() < BATCH {
                return;
            }
            close_batch(&mut queue);
            take_due(&mut queue)
        };
        run(due);
    }
}

fn wait_for(period: GracePeriod) {
    let mut nr_rounds = 0_u32;
    while !DOMAIN.has_elapsed(period) {
        nr_rounds += 1;
        pause(nr_rounds);
    }
}

/// Spins a little, then lets other threads run, then sleeps.
fn pause(nr_rounds: u32) {
    if cfg!(any(loom, shuttle)) || nr_rounds < 16 {
        spin_loop();
    } else if nr_rounds < 64 {
        std::thread::yield_now();
    } else {
        std::thread::sleep(core::time::Duration::from_micros(50));
    }
}

#[cfg(test)]
mod tests;
